//! What memory of a kernel nobody else can have.

/// Memory that a kernel cannot take back but by swapping or killing, as far as it says whose it is, in bytes: AnonPages, Shmem,
/// SUnreclaim, KernelStack, PageTables, SecPageTables, Percpu, and huge pages in use (Documentation/filesystems/proc.rst). No
/// page is in two of them, but for stacks where they are smaller than pages and come from the slab (kernel/fork.c). What drivers
/// and the network take page by page is in none. `field` is what a record of `workload node` says under a name. None where one of
/// the first five is missing.
pub(crate) fn unreclaimable_bytes(field: impl Fn(&str) -> Option<u64>) -> Option<u64> {
    const ALL: [&str; 5] = [
        "memory_anon_bytes",
        "memory_shmem_bytes",
        "memory_slab_unreclaimable_bytes",
        "memory_kernel_stack_bytes",
        "memory_page_tables_bytes",
    ];
    /// What only newer kernels tell, or some.
    const SOME: [&str; 2] = ["memory_secondary_page_tables_bytes", "memory_percpu_bytes"];
    let mut sum = 0_u64;
    for name in ALL {
        sum = sum.saturating_add(field(name)?);
    }
    for name in SOME {
        sum = sum.saturating_add(field(name).unwrap_or(0));
    }
    let huge = ["huge_pages_count", "huge_pages_free_count", "huge_page_size_bytes"].map(&field);
    if let [Some(count), Some(free), Some(size)] = huge {
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
        assert_eq!(unreclaimable_bytes(field), Some(3507));
        assert_eq!(unreclaimable_bytes(|name| field(name).filter(|_| name != "memory_shmem_bytes")), None);
    }
}
