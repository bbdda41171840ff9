//! Resident set of this process, from `/proc/self`.

use std::path::Path;

use nix::unistd::{SysconfVar, sysconf};

use super::file::KernelFile;
use super::parse::kilobytes;
use crate::quantity::Bytes;

/// What the kernel counts as resident and swapped out, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidentSet {
    /// All that is resident: anonymous, file and shared memory.
    pub total: Bytes,
    /// Anonymous pages; `None` where only the sum is known.
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

    /// By how much an exact measurement differed from the cheap one at the same time.
    #[must_use]
    pub fn corrected(self, by: Correction) -> Self {
        let add = |bytes: Bytes, by| Bytes(bytes.0.saturating_add_signed(by));
        Self {
            total: add(self.total, by.total),
            anon: self.anon.map(|anon| add(anon, by.anon)),
            file: self.file.map(|file| add(file, by.total - by.anon)),
            swap: self.swap,
        }
    }
}

/// By how much the cheap count of the resident set is too small, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correction {
    /// Of all of it.
    pub total: i64,
    /// Of its anonymous part.
    pub anon: i64,
}

impl Correction {
    /// The difference between two counts of the same moment.
    #[must_use]
    pub fn between(exact: ResidentSet, cheap: ResidentSet) -> Self {
        // Sizes of memory are far below 2^63.
        let difference = |exact: Bytes, cheap: Bytes| exact.0.wrapping_sub(cheap.0) as i64;
        let anon = exact.anon.zip(cheap.anon).map_or(0, |(exact, cheap)| difference(exact, cheap));
        Self { total: difference(exact.total, cheap.total), anon }
    }
}

/// The process's own memory.
#[derive(Debug)]
pub struct Process {
    status: Option<KernelFile>,
    statm: Option<KernelFile>,
    smaps_rollup: Option<KernelFile>,
}

impl Process {
    /// Opens the files of the calling process below `root`.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        let open = |file: &str| KernelFile::open(&root.join("proc/self").join(file));
        Self { status: open("status"), statm: open("statm"), smaps_rollup: open("smaps_rollup") }
    }

    /// From `status`: cheap, but not exact. Before Linux 6.2 each thread keeps up to 64 faults' worth of pages to
    /// itself (`SPLIT_RSS_COUNTING`), which are missing here; from then to about 6.15 the counters are kept per CPU
    /// and may be tens of MB off on large hosts. [`ResidentSet::corrected`] mends both.
    ///
    /// A process may be in 65536 groups, and `status` lists them before it comes to memory. Where that is out of
    /// sight, the same counters are read from `statm`, which has no swap.
    #[must_use]
    pub fn resident(&self) -> Option<ResidentSet> {
        let status = self.status.as_ref().and_then(|file| file.read(from_status));
        status.or_else(|| self.statm.as_ref()?.read_whole(|text| from_statm(text, page_bytes()?)))
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

    /// By how much the cheap count is off at the moment; nothing where there is no other.
    #[must_use]
    pub fn correction(&self) -> Correction {
        let both = self.resident_exactly().zip(self.resident());
        both.map_or_else(Correction::default, |(exact, cheap)| Correction::between(exact, cheap))
    }
}

/// From the text of `status`, which may be cut: what is not there is unknown, and so is a sum that lacks a part.
fn from_status(text: &str) -> Option<ResidentSet> {
    let size = |key| kilobytes(text, key).map(Bytes);
    let file = size("RssFile").zip(size("RssShmem")).map(|(file, shmem)| Bytes(file.0 + shmem.0));
    Some(ResidentSet { total: size("VmRSS")?, anon: size("RssAnon"), file, swap: size("VmSwap") })
}

/// From the text of `statm`, all in pages: size, resident, and of it file and shared memory (proc_pid_statm(5)).
fn from_statm(text: &str, page_bytes: u64) -> Option<ResidentSet> {
    let mut bytes =
        text.split_ascii_whitespace().map(|pages| pages.parse::<u64>().ok()?.checked_mul(page_bytes));
    let (total, file) = (bytes.nth(1)??, bytes.next()??);
    // The two are not read at one moment.
    let anon = total.saturating_sub(file);
    Some(ResidentSet { total: Bytes(total), anon: Some(Bytes(anon)), file: Some(Bytes(file)), swap: None })
}

/// The size of a page in bytes; `None` where the system does not tell.
#[must_use]
pub fn page_bytes() -> Option<u64> {
    u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// The files of a process that is in `count` groups.
    fn in_groups(count: u32) -> (tempfile::TempDir, Process) {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("proc/self");
        fs::create_dir_all(&directory).unwrap();
        let groups: String = (0..count).map(|n| format!("{} ", 1_000_000_000 + n)).collect();
        let memory = "VmRSS:\t    2000 kB\nRssAnon:\t     500 kB\nRssFile:\t    1400 kB\n\
                      RssShmem:\t     100 kB\nVmSwap:\t       8 kB\n";
        fs::write(directory.join("status"), format!("Name:\tworkload\nGroups:\t{groups}\n{memory}")).unwrap();
        let statm = [3000, 500, 375, 200, 0, 800, 0].map(|pages| pages.to_string()).join(" ");
        fs::write(directory.join("statm"), statm + "\n").unwrap();
        let process = Process::open(root.path());
        (root, process)
    }

    #[test]
    fn in_more_groups_than_can_be_read_the_resident_set_is_known_all_the_same() {
        let (_root, process) = in_groups(3);
        let kib = |size: u64| Some(Bytes(size << 10));
        let told = ResidentSet { total: Bytes(2000 << 10), anon: kib(500), file: kib(1500), swap: kib(8) };
        assert_eq!(process.resident(), Some(told));
        let (_root, process) = in_groups(1_000);
        let bytes = |pages: u64| Bytes(pages * page_bytes().unwrap());
        let told =
            ResidentSet { total: bytes(500), anon: Some(bytes(125)), file: Some(bytes(375)), swap: None };
        assert_eq!(process.resident(), Some(told));
    }

    #[test]
    fn a_status_that_is_cut_tells_no_sum_that_lacks_a_part() {
        let text = "VmRSS:\t    2000 kB\nRssAnon:\t     500 kB\nRssFile:\t    1400 kB\nRssShmem:\t     1";
        let told = from_status(text).unwrap();
        assert_eq!((told.total, told.file), (Bytes(2000 << 10), None));
    }

    #[test]
    fn statm_that_is_not_of_its_format_tells_nothing() {
        for text in ["", "1", "1 2", "1 a 3", "1 2 b", "1 18446744073709551615 3"] {
            assert_eq!(from_statm(text, 4096), None, "{text}");
        }
    }

    #[test]
    fn a_correction_makes_the_cheap_count_the_exact_one() {
        let set = |total, anon, file| ResidentSet {
            total: Bytes(total),
            anon: Some(Bytes(anon)),
            file: Some(Bytes(file)),
            swap: Some(Bytes(7)),
        };
        let (exact, cheap) = (set(900, 600, 300), set(850, 620, 230));
        assert_eq!(cheap.corrected(Correction::between(exact, cheap)), exact);
        let unknown = ResidentSet { anon: None, file: None, ..cheap };
        assert_eq!(unknown.corrected(Correction::between(exact, unknown)).total, exact.total);
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
