//! This process, as `/proc` shows it.

use std::path::Path;

use super::file::KernelFile;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_agree_on_this_process() {
        let process = Process::open(Path::new("/"));
        let (cheap, exact) = (process.resident().unwrap(), process.resident_exactly().unwrap());
        let apart = cheap.total.0.abs_diff(exact.total.0);
        assert!(apart < 4 << 20, "{cheap:?} {exact:?}");
        assert_eq!(exact.anon.unwrap().0 + exact.file.unwrap().0, exact.total.0);
    }
}
