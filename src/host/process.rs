//! This process and the machine, as `/proc` shows them.

use std::path::Path;
use std::time::Duration;

use super::KernelFile;
use super::format::kilobytes;
use crate::quantity::Bytes;

/// What the kernel counts as resident and swapped out, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidentSet {
    /// All that is resident: anonymous, file and shared memory.
    pub total: Bytes,
    /// Anonymous pages; `None` where only the sum is told.
    pub anon: Option<Bytes>,
    /// Pages of files (the program itself) and shared memory.
    pub file: Option<Bytes>,
    /// Anonymous pages that are swapped out.
    pub swap: Option<Bytes>,
}

impl ResidentSet {
    /// What is resident and what is swapped out: the process holds both.
    #[must_use]
    pub fn held(self) -> Bytes {
        Bytes(self.total.0 + self.swap.unwrap_or_default().0)
    }
}

/// The process's own memory.
#[derive(Debug)]
pub struct Process {
    status: Option<KernelFile>,
    smaps_rollup: Option<KernelFile>,
}

impl Process {
    /// Opens the files of the calling process below `root`.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        let open = |file: &str| KernelFile::open(&root.join("proc/self").join(file));
        Self { status: open("status"), smaps_rollup: open("smaps_rollup") }
    }

    /// From `status`: cheap, and exact but on Linux 6.2 to about 6.15, where its counters are kept per CPU and
    /// may be tens of MB off on large hosts.
    #[must_use]
    pub fn resident(&self) -> Option<ResidentSet> {
        self.status.as_ref()?.read(|text| {
            let size = |key| kilobytes(text, key).map(Bytes);
            let file = size("RssFile").map(|file| Bytes(file.0 + size("RssShmem").unwrap_or_default().0));
            Some(ResidentSet { total: size("VmRSS")?, anon: size("RssAnon"), file, swap: size("VmSwap") })
        })
    }

    /// From `smaps_rollup`: exact, as it walks the page tables, and dear for that (about 5 ms per 500 MB). Where
    /// the kernel has none (before 4.14), the same as [`Self::resident`].
    #[must_use]
    pub fn resident_exactly(&self) -> Option<ResidentSet> {
        let exactly = self.smaps_rollup.as_ref().and_then(|file| {
            file.read(|text| {
                let size = |key| kilobytes(text, key).map(Bytes);
                let (total, anon) = (size("Rss")?, size("Anonymous"));
                let file = anon.map(|anon| Bytes(total.0.saturating_sub(anon.0)));
                Some(ResidentSet { total, anon, file, swap: size("Swap") })
            })
        });
        exactly.or_else(|| self.resident())
    }
}

/// The machine's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySize {
    /// `MemTotal`.
    pub total: Bytes,
    /// `MemAvailable`; `None` where the kernel does not tell.
    pub available: Option<Bytes>,
}

/// The machine as seen from inside: in a VM, the guest.
#[derive(Debug)]
pub struct Machine {
    meminfo: Option<KernelFile>,
    stat: Option<KernelFile>,
}

impl Machine {
    /// Opens the machine's files below `root`.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        let open = |file: &str| KernelFile::open(&root.join("proc").join(file));
        Self { meminfo: open("meminfo"), stat: open("stat") }
    }

    /// From `meminfo`.
    #[must_use]
    pub fn memory(&self) -> Option<MemorySize> {
        self.meminfo.as_ref()?.read(|text| {
            let available = kilobytes(text, "MemAvailable").map(Bytes);
            Some(MemorySize { total: Bytes(kilobytes(text, "MemTotal")?), available })
        })
    }

    /// CPU time that the hypervisor gave to others while this machine wanted it, added up over CPUs since boot.
    #[must_use]
    pub fn steal(&self) -> Option<Duration> {
        self.stat.as_ref()?.read(steal)
    }
}

/// The eighth figure of the first line of `/proc/stat`, in hundredths of a second (`USER_HZ`, the same on every
/// architecture that matters here).
fn steal(stat: &str) -> Option<Duration> {
    let ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace().nth(7)?;
    Some(Duration::from_millis(ticks.parse::<u64>().ok()?.checked_mul(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_figure() {
        let stat = "cpu  11812 0 3578 281698 507 0 33 47 0 0\ncpu0 1 2 3\n";
        assert_eq!(steal(stat), Some(Duration::from_millis(470)));
        assert_eq!(steal("cpu  1 2 3\n"), None);
        assert_eq!(steal(""), None);
    }

    #[test]
    fn both_sources_agree_on_this_process() {
        let process = Process::open(Path::new("/"));
        let (cheap, exact) = (process.resident().unwrap(), process.resident_exactly().unwrap());
        let apart = cheap.total.0.abs_diff(exact.total.0);
        assert!(apart < 4 << 20, "{cheap:?} {exact:?}");
        assert_eq!(exact.anon.unwrap().0 + exact.file.unwrap().0, exact.total.0);
    }
}
