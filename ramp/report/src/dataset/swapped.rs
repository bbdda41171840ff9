//! Swapped-out memory of nodes: on a disk, or compressed in memory.

/// Memory that a kernel has swapped out, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwappedMemory {
    /// What is in swap space and not in memory as well, at its size in memory: SwapTotal − SwapFree − SwapCached.
    pub out: u64,
    /// Of that: what is compressed in memory, by zswap or on a zram device, at its size in memory.
    pub stored: u64,
    /// Memory that the compressed takes.
    pub pool: u64,
}

/// The fields of a record of `workload node` that [`SwappedMemory::of`] is made of, in its order.
pub(super) const SWAP_FIELDS: [&str; 7] = [
    "swap_total_bytes",
    "swap_free_bytes",
    "swap_cached_bytes",
    "zswapped_bytes",
    "zswap_bytes",
    // Only newer versions tell.
    "zram_stored_bytes",
    "zram_bytes",
];

impl SwappedMemory {
    /// By the values of [`SWAP_FIELDS`]; none where the first two are missing. A page in the swap cache is anonymous memory as well
    /// (Documentation/filesystems/proc.rst).
    pub(super) fn of(fields: [Option<u64>; SWAP_FIELDS.len()]) -> Option<Self> {
        let [total, free, cached, zswapped, zswap, zram_stored, zram] = fields;
        let sum = |a: Option<u64>, b: Option<u64>| a.unwrap_or(0).saturating_add(b.unwrap_or(0));
        let out = total?.saturating_sub(free?).saturating_sub(cached.unwrap_or(0));
        Some(Self { out, stored: sum(zswapped, zram_stored).min(out), pool: sum(zswap, zram) })
    }

    /// On a disk.
    #[must_use]
    pub fn on_disk(&self) -> u64 {
        self.out.saturating_sub(self.stored)
    }
}

/// Swapped-out memory of a kernel before its first instance, and with the most of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KernelSwap {
    /// The most instances that it had while all of them held their memory.
    pub instances: u32,
    /// Seconds by its clock, and what was swapped out: before the first.
    pub before: Vec<(f64, SwappedMemory)>,
    /// The same with the most instances.
    pub with_most: Vec<(f64, SwappedMemory)>,
}

/// What is known of swapped-out memory.
#[derive(Clone, Debug, PartialEq)]
pub enum SwapCourse {
    /// The samples of each kernel that had instances.
    OfKernels(Vec<KernelSwap>),
    /// Samples do not tell, or are of other memory: what an instance reports to have swapped out on average, in bytes.
    Reported(f64),
}

impl Default for SwapCourse {
    fn default() -> Self {
        Self::Reported(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_swapped_out_where_it_is_not_in_memory_as_well_and_compressed_memory_is_on_no_disk() {
        let fields = [Some(1000), Some(400), Some(50), Some(100), Some(30), Some(200), Some(60)];
        let swapped = SwappedMemory::of(fields).unwrap();
        assert_eq!(swapped, SwappedMemory { out: 550, stored: 300, pool: 90 });
        assert_eq!(swapped.on_disk(), 250);
        let only = SwappedMemory::of([Some(1000), Some(400), None, None, None, None, None]).unwrap();
        assert_eq!(only, SwappedMemory { out: 600, stored: 0, pool: 0 });
        assert_eq!(SwappedMemory::of([None, Some(400), None, None, None, None, None]), None);
    }
}
