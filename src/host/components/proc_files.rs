//! Files of processes in `/proc`.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::program::Program;
use crate::host::parse::kilobytes;

/// As much as is read of a file: a command line may have megabytes.
const FILE_BYTES: u64 = 64 << 10;

/// Flag of a thread of the kernel (`PF_KTHREAD`).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Name that the kernel keeps, cut after 15 characters.
    pub(super) name: String,
    pub(super) parent: u32,
    pub(super) is_zombie: bool,
    pub(super) is_kernel_thread: bool,
    pub(super) threads: u64,
    /// CPU time in hundredths of a second.
    pub(super) cpu_hundredths: u64,
}

impl Stat {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (front, rest) = text.rsplit_once(')')?;
        let (_, name) = front.split_once('(')?;
        let columns: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |column: usize| columns.get(column)?.parse::<u64>().ok();
        Some(Self {
            name: name.to_owned(),
            is_zombie: matches!(*columns.first()?, "Z" | "X" | "x"),
            parent: columns.get(1)?.parse().ok()?,
            is_kernel_thread: number(6)? & KERNEL_THREAD != 0,
            cpu_hundredths: number(11)?.checked_add(number(12)?)?,
            threads: number(17)?,
        })
    }
}

/// Where the size of a process is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemorySource {
    /// Proportional: the page tables are walked, which takes time in proportion to the memory.
    #[default]
    SmapsRollup,
    /// `RssAnon` and `RssShmem` of `status`, at no cost: the same for a process that shares neither. Files are left out: all loads of a
    /// node share the pages of the program.
    Status,
}

impl MemorySource {
    /// The name of the kernel's file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SmapsRollup => "smaps_rollup",
            Self::Status => "status",
        }
    }
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) source: MemorySource,
    pub(super) pss: u64,
    pub(super) anon: Option<u64>,
    pub(super) shmem: Option<u64>,
    pub(super) file: Option<u64>,
    pub(super) swap: Option<u64>,
    pub(super) page_tables: Option<u64>,
}

/// What came of reading a process's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Memory(Memory),
    /// It has ended meanwhile.
    Ended,
    /// It may not be read.
    Refused,
}

impl From<io::Error> for Reading {
    fn from(error: io::Error) -> Self {
        let is_gone =
            error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32);
        if is_gone { Self::Ended } else { Self::Refused }
    }
}

/// Reader of these files.
#[derive(Debug)]
pub(super) struct ProcFiles {
    proc: PathBuf,
    buffer: Vec<u8>,
}

impl ProcFiles {
    pub(super) fn open(root: &Path) -> Self {
        Self { proc: root.join("proc"), buffer: Vec::new() }
    }

    /// IDs of all processes.
    pub(super) fn ids(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.proc).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// Parses the text of a file, of which 64 KiB are read at most.
    pub(super) fn text<T>(&mut self, file: &str, parse: impl FnOnce(&str) -> T) -> io::Result<T> {
        self.buffer.clear();
        File::open(self.proc.join(file))?.take(FILE_BYTES).read_to_end(&mut self.buffer)?;
        Ok(parse(&String::from_utf8_lossy(&self.buffer)))
    }

    /// Memory of a process. That of a load, which is large and shares none of it, comes from `status`, so that its page tables need not
    /// be walked.
    pub(super) fn memory(&mut self, id: u32, program: Program) -> Reading {
        let status = self.text(&format!("{id}/status"), |text| (kilobytes(text, "VmPTE"), from_status(text)));
        let (page_tables, cheap) = match status {
            Ok(status) => status,
            Err(error) => return error.into(),
        };
        let memory = match program {
            Program::Load => Ok(cheap),
            _ => self.text(&format!("{id}/smaps_rollup"), from_smaps_rollup),
        };
        match memory {
            Ok(Some(memory)) => Reading::Memory(Memory { page_tables, ..memory }),
            // It has no memory any more.
            Ok(None) => Reading::Ended,
            Err(error) => error.into(),
        }
    }
}

fn from_smaps_rollup(text: &str) -> Option<Memory> {
    let size = |key| kilobytes(text, key);
    Some(Memory {
        source: MemorySource::SmapsRollup,
        pss: size("Pss")?,
        // From Linux 5.3 on.
        anon: size("Pss_Anon"),
        shmem: size("Pss_Shmem"),
        file: size("Pss_File"),
        swap: size("SwapPss"),
        page_tables: None,
    })
}

fn from_status(text: &str) -> Option<Memory> {
    let (anon, shmem) = (kilobytes(text, "RssAnon")?, kilobytes(text, "RssShmem")?);
    Some(Memory {
        source: MemorySource::Status,
        pss: anon.checked_add(shmem)?,
        anon: Some(anon),
        shmem: Some(shmem),
        file: None,
        swap: kilobytes(text, "VmSwap"),
        page_tables: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_blanks_and_parentheses() {
        let text = "42 (a b) (c)) S 7 42 42 0 -1 4194560 1 0 0 0 150 50 9 9 20 0 12 0 100 1 2\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.parent, stat.threads, stat.cpu_hundredths),
            ("a b) (c)", 7, 12, 200)
        );
        assert!(!stat.is_zombie && !stat.is_kernel_thread);
        let kernel = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 18 0 0 20 0 1 0 1 0 0\n";
        assert!(Stat::parse(kernel).unwrap().is_kernel_thread);
        assert!(
            Stat::parse("9 (sh) Z 1 9 9 0 -1 4228100 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0\n").unwrap().is_zombie
        );
        assert!(Stat::parse("").is_none() && Stat::parse("1 (a) S 1").is_none());
    }

    #[test]
    fn old_kernels_tell_the_sum_alone() {
        let memory = from_smaps_rollup("Rss:     100 kB\nPss:      50 kB\nSwapPss:   4 kB\n").unwrap();
        assert_eq!((memory.pss, memory.anon, memory.swap), (50 << 10, None, Some(4 << 10)));
        assert_eq!(from_smaps_rollup(""), None);
        assert_eq!(from_status("Name:\tkthreadd\n"), None);
    }
}
