//! Field registry of node reports: each field declared once, with name, unit, help and source.

use super::super::field::{Scope, Unit};
use super::super::value::Value;
use super::snapshot::NodeField as Field;

/// All fields, in the order in which they are written.
pub(super) const FIELDS: &[Field] = &[
    Field::new("record", Unit::None, "kind of record: start, report or end", |s| {
        Value::Text(s.record.name())
    }),
    Field::new("time", Unit::Time, "time of the observation, RFC 3339, UTC", |s| Value::Time(s.time)),
    Field::new("elapsed_seconds", Unit::Seconds, "time since the program started", |s| s.elapsed.into())
        .column("elapsed"),
    Field::new("hostname", Unit::None, "host name; in Kubernetes the name of the pod", |s| {
        Value::Text(&s.start.hostname)
    }),
    Field::new(
        "boot_id",
        Unit::None,
        "boot ID: nodes with the same one share a kernel and its memory",
        |s| s.node.boot_id().into(),
    ),
    Field::new("memory_total_bytes", Unit::Bytes, "memory of the machine (MemTotal)", |s| {
        s.node.memory("MemTotal").into()
    }),
    Field::new("memory_free_bytes", Unit::Bytes, "free memory (MemFree)", |s| {
        s.node.memory("MemFree").into()
    })
    .column("free"),
    Field::new(
        "memory_available_bytes",
        Unit::Bytes,
        "memory available without swapping (MemAvailable)",
        |s| s.node.memory("MemAvailable").into(),
    )
    .column("available"),
    Field::new("memory_buffers_bytes", Unit::Bytes, "block device buffers (Buffers)", |s| {
        s.node.memory("Buffers").into()
    }),
    Field::new("memory_cached_bytes", Unit::Bytes, "page cache, shared memory included (Cached)", |s| {
        s.node.memory("Cached").into()
    }),
    Field::new("memory_active_bytes", Unit::Bytes, "recently used memory (Active)", |s| {
        s.node.memory("Active").into()
    })
    .column("active"),
    Field::new("memory_inactive_bytes", Unit::Bytes, "memory not used recently (Inactive)", |s| {
        s.node.memory("Inactive").into()
    })
    .column("inactive"),
    Field::new(
        "memory_active_anon_bytes",
        Unit::Bytes,
        "recently used anonymous memory (Active(anon))",
        |s| s.node.memory("Active(anon)").into(),
    ),
    Field::new(
        "memory_inactive_anon_bytes",
        Unit::Bytes,
        "anonymous memory not used recently (Inactive(anon))",
        |s| s.node.memory("Inactive(anon)").into(),
    ),
    Field::new("memory_active_file_bytes", Unit::Bytes, "recently used file pages (Active(file))", |s| {
        s.node.memory("Active(file)").into()
    }),
    Field::new(
        "memory_inactive_file_bytes",
        Unit::Bytes,
        "file pages not used recently (Inactive(file))",
        |s| s.node.memory("Inactive(file)").into(),
    ),
    Field::new(
        "memory_unevictable_bytes",
        Unit::Bytes,
        "memory that cannot be reclaimed (Unevictable)",
        |s| s.node.memory("Unevictable").into(),
    ),
    Field::new("memory_dirty_bytes", Unit::Bytes, "memory waiting to be written to disk (Dirty)", |s| {
        s.node.memory("Dirty").into()
    }),
    Field::new("memory_writeback_bytes", Unit::Bytes, "memory being written to disk (Writeback)", |s| {
        s.node.memory("Writeback").into()
    }),
    Field::new("memory_anon_bytes", Unit::Bytes, "anonymous memory mapped by processes (AnonPages)", |s| {
        s.node.memory("AnonPages").into()
    })
    .column("anon"),
    Field::new("memory_mapped_bytes", Unit::Bytes, "files mapped by processes (Mapped)", |s| {
        s.node.memory("Mapped").into()
    }),
    Field::new("memory_shmem_bytes", Unit::Bytes, "shared memory and tmpfs (Shmem)", |s| {
        s.node.memory("Shmem").into()
    })
    .column("shmem"),
    Field::new(
        "memory_slab_reclaimable_bytes",
        Unit::Bytes,
        "reclaimable kernel caches (SReclaimable)",
        |s| s.node.memory("SReclaimable").into(),
    ),
    Field::new(
        "memory_slab_unreclaimable_bytes",
        Unit::Bytes,
        "unreclaimable kernel objects (SUnreclaim)",
        |s| s.node.memory("SUnreclaim").into(),
    ),
    Field::new("memory_kernel_stack_bytes", Unit::Bytes, "kernel stacks of all tasks (KernelStack)", |s| {
        s.node.memory("KernelStack").into()
    }),
    Field::new("memory_page_tables_bytes", Unit::Bytes, "page tables of processes (PageTables)", |s| {
        s.node.memory("PageTables").into()
    }),
    Field::new(
        "memory_secondary_page_tables_bytes",
        Unit::Bytes,
        "page tables of virtual machines and devices (SecPageTables)",
        |s| s.node.memory("SecPageTables").into(),
    ),
    Field::new("memory_percpu_bytes", Unit::Bytes, "per-CPU memory of the kernel (Percpu)", |s| {
        s.node.memory("Percpu").into()
    }),
    Field::new(
        "memory_vmalloc_bytes",
        Unit::Bytes,
        "virtually contiguous memory of the kernel (VmallocUsed)",
        |s| s.node.memory("VmallocUsed").into(),
    ),
    Field::new("memory_committed_bytes", Unit::Bytes, "memory committed to processes (Committed_AS)", |s| {
        s.node.memory("Committed_AS").into()
    }),
    Field::new(
        "memory_commit_limit_bytes",
        Unit::Bytes,
        "limit of committed memory without overcommit (CommitLimit)",
        |s| s.node.memory("CommitLimit").into(),
    ),
    Field::new(
        "memory_anon_huge_pages_bytes",
        Unit::Bytes,
        "anonymous memory in huge pages (AnonHugePages)",
        |s| s.node.memory("AnonHugePages").into(),
    ),
    Field::new(
        "memory_shmem_huge_pages_bytes",
        Unit::Bytes,
        "shared memory in huge pages (ShmemHugePages)",
        |s| s.node.memory("ShmemHugePages").into(),
    ),
    Field::new("memory_huge_pages_bytes", Unit::Bytes, "reserved huge pages of all sizes (Hugetlb)", |s| {
        s.node.memory("Hugetlb").into()
    }),
    Field::new("huge_page_size_bytes", Unit::Bytes, "default size of a huge page (Hugepagesize)", |s| {
        s.node.memory("Hugepagesize").into()
    }),
    Field::new("swap_total_bytes", Unit::Bytes, "swap space (SwapTotal)", |s| {
        s.node.memory("SwapTotal").into()
    }),
    Field::new("swap_free_bytes", Unit::Bytes, "free swap space (SwapFree)", |s| {
        s.node.memory("SwapFree").into()
    }),
    Field::new(
        "swap_cached_bytes",
        Unit::Bytes,
        "swapped-out memory that is also in memory (SwapCached)",
        |s| s.node.memory("SwapCached").into(),
    ),
    Field::new("zswap_bytes", Unit::Bytes, "memory used by the compressed swap cache (Zswap)", |s| {
        s.node.memory("Zswap").into()
    }),
    Field::new("zswapped_bytes", Unit::Bytes, "memory stored in the compressed swap cache (Zswapped)", |s| {
        s.node.memory("Zswapped").into()
    }),
    Field::new("zram_bytes", Unit::Bytes, "memory used by swap on zram (mem_used_total)", |s| {
        s.node.zram_swap().map(|swap| swap.used).into()
    }),
    Field::new("zram_stored_bytes", Unit::Bytes, "memory stored in swap on zram (orig_data_size)", |s| {
        s.node.zram_swap().map(|swap| swap.stored).into()
    }),
    Field::new(
        "huge_pages_count",
        Unit::Count,
        "reserved huge pages of the default size (HugePages_Total)",
        |s| s.node.memory_count("HugePages_Total").into(),
    ),
    Field::new(
        "huge_pages_free_count",
        Unit::Count,
        "free huge pages of the default size (HugePages_Free)",
        |s| s.node.memory_count("HugePages_Free").into(),
    ),
    Field::new(
        "huge_pages_reserved_count",
        Unit::Count,
        "huge pages committed but not allocated (HugePages_Rsvd)",
        |s| s.node.memory_count("HugePages_Rsvd").into(),
    ),
    Field::new(
        "huge_pages_surplus_count",
        Unit::Count,
        "huge pages beyond the configured number (HugePages_Surp)",
        |s| s.node.memory_count("HugePages_Surp").into(),
    ),
    Field::new("dev_shm_size_bytes", Unit::Bytes, "size of the tmpfs at /dev/shm as seen from here", |s| {
        s.shared_memory.map(|shm| shm.size).into()
    }),
    Field::new("dev_shm_used_bytes", Unit::Bytes, "used space of the tmpfs at /dev/shm", |s| {
        s.shared_memory.map(|shm| shm.used).into()
    }),
    Field::new("ksm_shared_pages", Unit::Count, "pages that KSM shares (pages_shared)", |s| {
        s.merged.shared.into()
    }),
    Field::new("ksm_sharing_pages", Unit::Count, "pages saved by KSM (pages_sharing)", |s| {
        s.merged.sharing.into()
    }),
    Field::new("ksm_unshared_pages", Unit::Count, "pages that KSM found unique (pages_unshared)", |s| {
        s.merged.unshared.into()
    }),
    Field::new("oom_kills_total", Unit::Count, "processes killed by the OOM killer (oom_kill)", |s| {
        s.node.vmstat("oom_kill").into()
    })
    .column("OOM kills"),
    Field::new("page_faults_total", Unit::Count, "page faults (pgfault)", |s| {
        s.node.vmstat("pgfault").into()
    }),
    Field::new("major_faults_total", Unit::Count, "page faults that required I/O (pgmajfault)", |s| {
        s.node.vmstat("pgmajfault").into()
    }),
    Field::new("swapped_in_pages_total", Unit::Count, "pages swapped in (pswpin)", |s| {
        s.node.vmstat("pswpin").into()
    }),
    Field::new("swapped_out_pages_total", Unit::Count, "pages swapped out (pswpout)", |s| {
        s.node.vmstat("pswpout").into()
    }),
    Field::new(
        "memory_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks waited for memory",
        |s| s.pressure.memory.some.into(),
    )
    .column("mem stall"),
    Field::new(
        "memory_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks waited for memory",
        |s| s.pressure.memory.full.into(),
    ),
    Field::new("cpu_pressure_some_seconds_total", Unit::Seconds, "time some tasks waited for a CPU", |s| {
        s.pressure.cpu.some.into()
    }),
    Field::new("cpu_pressure_full_seconds_total", Unit::Seconds, "time all tasks waited for a CPU", |s| {
        s.pressure.cpu.full.into()
    }),
    Field::new(
        "io_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks waited for a block device",
        |s| s.pressure.io.some.into(),
    ),
    Field::new(
        "io_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks waited for a block device",
        |s| s.pressure.io.full.into(),
    ),
    Field::new("load_1m_tasks", Unit::Tasks, "load average of 1 min", |s| s.load(0)).column("load 1m"),
    Field::new("load_5m_tasks", Unit::Tasks, "load average of 5 min", |s| s.load(1)),
    Field::new("load_15m_tasks", Unit::Tasks, "load average of 15 min", |s| s.load(2)),
    Field::new("cpu_user_seconds_total", Unit::Seconds, "CPU time in user mode", |s| {
        s.node.cpu_time(0).into()
    }),
    Field::new("cpu_nice_seconds_total", Unit::Seconds, "CPU time in user mode at low priority", |s| {
        s.node.cpu_time(1).into()
    }),
    Field::new("cpu_system_seconds_total", Unit::Seconds, "CPU time in kernel mode", |s| {
        s.node.cpu_time(2).into()
    }),
    Field::new("cpu_idle_seconds_total", Unit::Seconds, "idle CPU time", |s| s.node.cpu_time(3).into())
        .column("cpu idle"),
    Field::new("cpu_iowait_seconds_total", Unit::Seconds, "idle CPU time while I/O was pending", |s| {
        s.node.cpu_time(4).into()
    }),
    Field::new("cpu_irq_seconds_total", Unit::Seconds, "CPU time serving interrupts", |s| {
        s.node.cpu_time(5).into()
    }),
    Field::new("cpu_softirq_seconds_total", Unit::Seconds, "CPU time serving softirqs", |s| {
        s.node.cpu_time(6).into()
    }),
    Field::new("cpu_steal_seconds_total", Unit::Seconds, "CPU time stolen by the hypervisor", |s| {
        s.node.cpu_time(7).into()
    }),
    Field::new(
        "cpu_guest_seconds_total",
        Unit::Seconds,
        "CPU time running virtual machines, included in user",
        |s| s.node.cpu_time(8).into(),
    ),
    Field::new(
        "cpu_guest_nice_seconds_total",
        Unit::Seconds,
        "CPU time running virtual machines at low priority, included in nice",
        |s| s.node.cpu_time(9).into(),
    ),
    Field::new("sampler_cpu_seconds_total", Unit::Seconds, "CPU time used by this program", |s| {
        s.sampler_cpu.into()
    }),
    Field::new("sampler_resident_bytes", Unit::Bytes, "resident set of this program (VmRSS)", |s| {
        s.sampler_resident.into()
    }),
    Field::new(
        "reports_lost_total",
        Unit::Count,
        "reports that could not be written to standard output",
        |s| s.reports_lost.into(),
    ),
    Field::new("reason", Unit::None, "reason of the end", |s| s.record.reason().into()).only(Scope::End),
    Field::new("version", Unit::None, "version of workload", |_| Value::Text(env!("CARGO_PKG_VERSION")))
        .only(Scope::Start),
    Field::new("kernel", Unit::None, "kernel release", |s| Value::Text(&s.start.kernel)).only(Scope::Start),
    Field::new("cpus", Unit::Count, "online CPUs", |s| s.start.cpus.into()).only(Scope::Start),
    Field::new("page_size_bytes", Unit::Bytes, "page size", |s| s.start.page_size.into()).only(Scope::Start),
    Field::new("settings", Unit::None, "all settings by the names of their options", |s| {
        Value::Settings(&s.start.settings)
    })
    .only(Scope::Start),
];
