//! Node memory: meminfo, vmstat, load, KSM, zram swap and shared memory of the whole machine.
//!
//! Sources: Documentation/filesystems/proc.rst (meminfo, stat, loadavg), Documentation/admin-guide/mm/ksm.rst,
//! Documentation/admin-guide/blockdev/zram.rst.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::file::{KernelFile, KernelText};
use super::parse::{
    colon_keyed, cpu_hundredths, flat_keyed, kilobytes, load_average, number, single_value, zram_memory,
    zram_swaps,
};
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

/// Swap on zram devices: compressed in memory that no figure of `meminfo` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZramSwap {
    /// What is stored, at its size before.
    pub stored: Bytes,
    /// Memory that this takes.
    pub used: Bytes,
}

/// The machine, read whole.
#[derive(Debug)]
pub struct Node {
    meminfo: KernelText,
    vmstat: KernelText,
    stat: KernelText,
    load: KernelText,
    swaps: KernelText,
    blocks: PathBuf,
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
            swaps: proc("swaps"),
            blocks: root.join("sys/block"),
            pressure: PressureFiles::of_machine(root),
            ksm: ["pages_shared", "pages_sharing", "pages_unshared"].map(ksm),
            shared_memory: root.join("dev/shm"),
            boot_id: boot_id.as_deref().and_then(single_value).map(str::to_owned),
        }
    }

    /// Reads the texts anew that all figures but the last three come from.
    pub fn refresh(&mut self) {
        for text in [&mut self.meminfo, &mut self.vmstat, &mut self.stat, &mut self.load, &mut self.swaps] {
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

    /// Swap on zram devices: none where it is unknown what the machine swaps to, or what such a device holds.
    #[must_use]
    pub fn zram_swap(&self) -> Option<ZramSwap> {
        let swaps = Some(self.swaps.text()).filter(|text| !text.is_empty())?;
        let mut all = ZramSwap::default();
        for name in zram_swaps(swaps) {
            let statistics = KernelFile::open(&self.blocks.join(name).join("mm_stat"))?;
            let (stored, used) = statistics.read(zram_memory)?;
            all.stored.0 = all.stored.0.saturating_add(stored);
            all.used.0 = all.used.0.saturating_add(used);
        }
        Some(all)
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
        assert_eq!(node.zram_swap(), None);
    }

    #[test]
    fn only_zram_devices_that_are_swapped_to_count_as_swap() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        write(
            "proc/swaps",
            &format!("{heading}/dev/zram0  partition\t1024\t512\t100\n/swap\\040file  file\t1024\t0\t-2\n"),
        );
        write(
            "sys/block/zram0/mm_stat",
            "  524288   130000   139264        0   139264        3        0        0        0\n",
        );
        write(
            "sys/block/zram1/mm_stat",
            "  900000   130000   139264        0   139264        3        0        0        0\n",
        );
        let mut node = Node::open(root.path());
        node.refresh();
        let found = node.zram_swap().unwrap();
        assert_eq!(found, ZramSwap { stored: Bytes(524_288), used: Bytes(139_264) });
        fs::remove_file(root.path().join("sys/block/zram0/mm_stat")).unwrap();
        assert_eq!(node.zram_swap(), None, "unknown is not 0");
        write("proc/swaps", heading);
        node.refresh();
        assert_eq!(node.zram_swap(), Some(ZramSwap::default()));
    }
}
