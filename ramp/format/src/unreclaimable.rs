//! Unreclaimable memory of a kernel.

/// The fields of a record of `workload node` that [`unreclaimable_bytes`] is made of, in its order.
pub const UNRECLAIMABLE_FIELDS: [&str; 10] = [
    "memory_anon_bytes",
    "memory_shmem_bytes",
    "memory_slab_unreclaimable_bytes",
    "memory_kernel_stack_bytes",
    "memory_page_tables_bytes",
    // What only newer kernels tell, or some.
    "memory_secondary_page_tables_bytes",
    "memory_percpu_bytes",
    "huge_pages_count",
    "huge_pages_free_count",
    "huge_page_size_bytes",
];

/// Memory that a kernel cannot take back but by swapping or killing, as far as it says whose it is, in bytes: AnonPages, Shmem,
/// SUnreclaim, KernelStack, PageTables, SecPageTables, Percpu, and huge pages in use (Documentation/filesystems/proc.rst). No
/// page is in two of them, but for stacks where they are smaller than pages and come from the slab (kernel/fork.c). What drivers
/// and the network take page by page is in none. `fields` are the values of [`UNRECLAIMABLE_FIELDS`]. None where one of the first
/// five is missing.
#[must_use]
pub fn unreclaimable_bytes(fields: [Option<u64>; UNRECLAIMABLE_FIELDS.len()]) -> Option<u64> {
    let [anon, shmem, slab, stacks, tables, some @ .., count, free, size] = fields;
    let mut sum = 0_u64;
    for bytes in [anon, shmem, slab, stacks, tables] {
        sum = sum.saturating_add(bytes?);
    }
    for bytes in some {
        sum = sum.saturating_add(bytes.unwrap_or(0));
    }
    if let (Some(count), Some(free), Some(size)) = (count, free, size) {
        sum = sum.saturating_add(count.saturating_sub(free).saturating_mul(size));
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_count_where_they_are_in_use_and_what_few_kernels_tell_where_they_do() {
        let field = |name: &str| match name {
            "memory_percpu_bytes" => Some(7),
            "huge_pages_count" => Some(5),
            "huge_pages_free_count" => Some(2),
            "huge_page_size_bytes" => Some(1000),
            "memory_secondary_page_tables_bytes" => None,
            _ => Some(100),
        };
        assert_eq!(unreclaimable_bytes(UNRECLAIMABLE_FIELDS.map(field)), Some(3507));
        let without_shmem = |name: &str| field(name).filter(|_| name != "memory_shmem_bytes");
        assert_eq!(unreclaimable_bytes(UNRECLAIMABLE_FIELDS.map(without_shmem)), None);
    }
}
