//! What the kernel says: limits, usage, and the machine as seen from inside.
//!
//! Every reader takes the root of the file system as an argument, so that tests point it at a captured host.
//! Absence is data: a file that is not there gives `None` or [`Limit::Unknown`], never 0.

mod cgroup;
mod controllers;
mod format;
mod process;

pub use cgroup::{Hierarchy, Level, Version};
pub use controllers::{CpuController, CpuThrottling, InForce, MemoryController};
pub use process::{Machine, MemorySize, Process, ResidentSet};

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A limit, its absence, and not knowing are three different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// The kernel does not tell.
    Unknown,
    /// There is none.
    Unlimited,
    /// This much.
    Value(T),
}

impl<T> Limit<T> {
    /// The limit, if there is one that is known.
    #[must_use]
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unknown | Self::Unlimited => None,
        }
    }
}

/// Room for any of the files read here; longer ones lose their end, which none of the readers needs.
const FILE_BUFFER: usize = 8 << 10;

/// A file of the kernel's that is read again and again: opened once, read from its start each time, without
/// allocating.
#[derive(Debug)]
struct KernelFile(File);

impl KernelFile {
    /// `None` where it does not exist.
    ///
    /// # Errors
    /// Where it is there and must not be read.
    fn find(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `None` where it does not exist or must not be read.
    fn open(path: &Path) -> Option<Self> {
        Self::find(path).ok().flatten()
    }

    /// What `parse` makes of the file's present text; `None` where it cannot be read.
    fn read<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let mut buffer = [0; FILE_BUFFER];
        let mut length = 0;
        while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        let text = buffer.get(..length)?;
        // A cut in the middle of a character is the only way for these files not to be UTF-8 up to the cut.
        let valid = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        parse(valid)
    }
}

/// All that is read of the host at each report, kept open.
#[derive(Debug)]
pub struct Host {
    /// The memory controller.
    pub memory: MemoryController,
    /// The CPU controller.
    pub cpu: CpuController,
    /// This process.
    pub process: Process,
    /// The machine as seen from inside.
    pub machine: Machine,
}

impl Host {
    /// Looks for everything below `root`, which is `/` but in tests. Finds what there is and never fails.
    #[must_use]
    pub fn discover(root: &Path) -> Self {
        let text =
            |path: &str| fs::read(root.join(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let membership = text("proc/self/cgroup").unwrap_or_default();
        let mounts = text("proc/self/mountinfo").unwrap_or_default();
        let find = |controller| Hierarchy::find(controller, &membership, &mounts);
        Self {
            memory: MemoryController::open(root, find("memory")),
            cpu: CpuController::open(root, find("cpu")),
            process: Process::open(root),
            machine: Machine::open(root),
        }
    }
}
