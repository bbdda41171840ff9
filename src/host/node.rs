//! Node memory: meminfo, vmstat, load, KSM and shared memory of the whole machine.
//!
//! Sources: Documentation/filesystems/proc.rst (meminfo, stat, loadavg), Documentation/admin-guide/mm/ksm.rst.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::file::{KernelFile, KernelText};
use super::parse::{colon_keyed, cpu_hundredths, flat_keyed, kilobytes, load_average, number, single_value};
use super::pressure::{Pressure, PressureFiles};
use crate::quantity::Bytes;

/// A file system in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    /// What it may hold.
    pub size: Bytes,
    /// What it holds.
    pub used: Bytes,
}

/// Pages that KSM has looked at, as counts of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergedPages {
    /// Pages that stand for others as well.
    pub shared: Option<u64>,
    /// Pages that they stand for: what is saved.
    pub sharing: Option<u64>,
    /// Pages looked at that are like no other.
    pub unshared: Option<u64>,
}

/// The machine, read whole.
#[derive(Debug)]
pub struct Node {
    meminfo: KernelText,
    vmstat: KernelText,
    stat: KernelText,
    load: KernelText,
    pressure: PressureFiles,
    ksm: [Option<KernelFile>; 3],
    shared_memory: PathBuf,
    boot_id: Option<String>,
}

impl Node {
    /// Opens the machine's files below `root`; reads nothing but the boot id yet.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        let proc = |file: &str| KernelText::open(&root.join("proc").join(file));
        let ksm = |file: &str| KernelFile::open(&root.join("sys/kernel/mm/ksm").join(file));
        let boot_id = fs::read_to_string(root.join("proc/sys/kernel/random/boot_id")).ok();
        Self {
            meminfo: proc("meminfo"),
            vmstat: proc("vmstat"),
            stat: proc("stat"),
            load: proc("loadavg"),
            pressure: PressureFiles::of_machine(root),
            ksm: ["pages_shared", "pages_sharing", "pages_unshared"].map(ksm),
            shared_memory: root.join("dev/shm"),
            boot_id: boot_id.as_deref().and_then(single_value).map(str::to_owned),
        }
    }

    /// Reads the texts anew that all figures but the last three come from.
    pub fn refresh(&mut self) {
        for text in [&mut self.meminfo, &mut self.vmstat, &mut self.stat, &mut self.load] {
            text.refresh();
        }
    }

    /// Which boot of which kernel this is: nodes with the same one share a kernel and its memory.
    #[must_use]
    pub fn boot_id(&self) -> Option<&str> {
        self.boot_id.as_deref()
    }

    /// A size in `meminfo`.
    #[must_use]
    pub fn memory(&self, key: &str) -> Option<Bytes> {
        kilobytes(self.meminfo.text(), key).map(Bytes)
    }

    /// A number of things in `meminfo`.
    #[must_use]
    pub fn memory_count(&self, key: &str) -> Option<u64> {
        colon_keyed(self.meminfo.text(), key)
    }

    /// A counter or a number of pages in `vmstat`.
    #[must_use]
    pub fn vmstat(&self, key: &str) -> Option<u64> {
        flat_keyed(self.vmstat.text(), key)
    }

    /// Time of all CPUs together since boot, by the column of `/proc/stat` ([`cpu_hundredths`]).
    #[must_use]
    pub fn cpu_time(&self, column: usize) -> Option<Duration> {
        let hundredths = cpu_hundredths(self.stat.text(), column)?;
        Some(Duration::from_millis(hundredths.checked_mul(10)?))
    }

    /// Average number of tasks that ran or waited, by the column of `/proc/loadavg` ([`load_average`]).
    #[must_use]
    pub fn load(&self, column: usize) -> Option<f64> {
        load_average(self.load.text(), column)
    }

    /// For how long tasks have waited, as it is now.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.pressure.read()
    }

    /// What KSM has merged, as it is now.
    #[must_use]
    pub fn merged_pages(&self) -> MergedPages {
        let [shared, sharing, unshared] = &self.ksm;
        let read = |file: &Option<KernelFile>| file.as_ref()?.read(number);
        MergedPages { shared: read(shared), sharing: read(sharing), unshared: read(unshared) }
    }

    /// `/dev/shm` as it is now, where it is a file system in memory: in a container its own, unless the host's is
    /// mounted there.
    #[must_use]
    pub fn shared_memory(&self) -> Option<SharedMemory> {
        let status = statfs(&self.shared_memory).ok().filter(|s| s.filesystem_type() == TMPFS_MAGIC)?;
        let block = u64::try_from(status.block_size()).ok()?;
        let used = status.blocks().checked_sub(status.blocks_free())?;
        Some(SharedMemory {
            size: Bytes(status.blocks().checked_mul(block)?),
            used: Bytes(used.checked_mul(block)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory_and_what_is_not_there_is_missing() {
        let mut node = Node::open(Path::new("/"));
        node.refresh();
        let (total, free) = (node.memory("MemTotal").unwrap(), node.memory("MemFree").unwrap());
        assert!(total > free && free > Bytes(0), "{total} {free}");
        assert!(node.cpu_time(3).unwrap() > Duration::ZERO);
        assert_eq!(node.memory("MemT"), None);
        assert_eq!(node.vmstat("no such"), None);
        let nowhere = tempfile::tempdir().unwrap();
        let mut node = Node::open(nowhere.path());
        node.refresh();
        assert_eq!((node.memory("MemTotal"), node.boot_id(), node.load(0)), (None, None, None));
        assert_eq!((node.shared_memory(), node.pressure()), (None, Pressure::default()));
    }
}
