//! Memory charged to a cgroup.

use std::path::Path;

/// What is charged to a cgroup of version 1 without page cache, in bytes. Shared memory counts as cache there and is none.
pub(crate) fn charged(group: &Path) -> f64 {
    let read = |file: &str| std::fs::read_to_string(group.join(file)).unwrap();
    let stat = read("memory.stat");
    let of = |name: &str| -> f64 {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().parse().unwrap()
    };
    let usage: f64 = read("memory.usage_in_bytes").trim().parse().unwrap();
    usage - of("total_cache") + of("total_shmem")
}
