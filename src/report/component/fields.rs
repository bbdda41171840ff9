//! Field registry of component reports: each field declared once, with name, unit, help and source.

use super::super::field::{Record, Scope, Unit};
use super::super::value::Value;
use super::snapshot::ComponentField as Field;
use crate::host::Program;

/// All fields, in the order in which they are written.
pub(super) const FIELDS: &[Field] = &[
    Field::new("record", Unit::None, "kind of record: start, component or end", |s| {
        Value::Text(match s.record {
            Record::Report => "component",
            Record::Start | Record::End(_) => s.record.name(),
        })
    }),
    Field::new("time", Unit::Time, "time of the sample, the same for all of its records, RFC 3339, UTC", |s| {
        Value::Time(s.time)
    }),
    Field::new("elapsed_seconds", Unit::Seconds, "time since the program started", |s| s.elapsed.into())
        .column("elapsed"),
    Field::new("hostname", Unit::None, "host name; in Kubernetes the name of the pod", |s| {
        Value::Text(&s.start.hostname)
    })
    .only(Scope::Start),
    Field::new(
        "boot_id",
        Unit::None,
        "boot ID: nodes with the same one share a kernel and its memory",
        |s| s.boot_id.into(),
    ),
    Field::new("pod_uid", Unit::None, "unique ID of the pod; none for a component of the node", |s| {
        s.component.and_then(|component| component.pod_uid.as_deref()).into()
    }),
    Field::new(
        "component",
        Unit::None,
        "pod (the whole pod, by its cgroup), load, pause, shim, vmm, virtiofsd, sentry, gofer, other; of the node kubelet, \
         container_runtime, probe",
        |s| s.component.map(|component| component.program.map_or("pod", Program::name)).into(),
    )
    .column("component"),
    Field::new("process", Unit::None, "names of its processes, separated by spaces", |s| {
        s.component.map(|component| component.process.as_str()).filter(|names| !names.is_empty()).into()
    }),
    Field::new("processes", Unit::Count, "its processes", |s| {
        s.component.map(|component| component.processes).into()
    })
    .column("processes"),
    Field::new("threads", Unit::Count, "their threads", |s| s.component.map(|component| component.threads).into()),
    Field::new(
        "unreadable",
        Unit::Count,
        "its processes whose memory cannot be read; the sizes are missing then",
        |s| s.component.map(|component| component.unreadable).into(),
    ),
    Field::new(
        "pss_source",
        Unit::None,
        "file that the sizes are from: smaps_rollup; of the load, which shares no memory but its program, status \
         (RssAnon and RssShmem)",
        |s| s.component.and_then(|component| component.memory).map(|memory| memory.source.name()).into(),
    ),
    Field::new(
        "pss_bytes",
        Unit::Bytes,
        "proportional set size of its processes: shared memory is divided among those that map it (Pss)",
        |s| s.memory(|memory| Some(memory.pss)).into(),
    )
    .column("PSS"),
    Field::new("pss_anon_bytes", Unit::Bytes, "of that anonymous memory (Pss_Anon)", |s| {
        s.memory(|memory| memory.anon).into()
    })
    .column("anon"),
    Field::new("pss_shmem_bytes", Unit::Bytes, "of that shared memory (Pss_Shmem)", |s| {
        s.memory(|memory| memory.shmem).into()
    })
    .column("shmem"),
    Field::new("pss_file_bytes", Unit::Bytes, "of that files (Pss_File)", |s| {
        s.memory(|memory| memory.file).into()
    })
    .column("file"),
    Field::new("swap_bytes", Unit::Bytes, "swapped-out memory of its processes (SwapPss)", |s| {
        s.memory(|memory| memory.swap).into()
    }),
    Field::new("page_tables_bytes", Unit::Bytes, "page tables of its processes (VmPTE)", |s| {
        s.memory(|memory| memory.page_tables).into()
    }),
    Field::new(
        "cpu_seconds_total",
        Unit::Seconds,
        "CPU time of its processes, in hundredths; of a pod that of its cgroup",
        |s| s.cpu().into(),
    )
    .column("CPU"),
    Field::new(
        "cgroup_memory_bytes",
        Unit::Bytes,
        "memory charged to the cgroup of the pod (memory.usage_in_bytes, memory.current)",
        |s| s.cgroup(|cgroup| cgroup.memory).into(),
    )
    .column("cgroup"),
    Field::new(
        "cgroup_memory_peak_bytes",
        Unit::Bytes,
        "most memory that was charged to the cgroup at any time (memory.max_usage_in_bytes, memory.peak)",
        |s| s.cgroup(|cgroup| cgroup.peak).into(),
    )
    .column("peak"),
    Field::new(
        "cgroup_anon_bytes",
        Unit::Bytes,
        "anonymous memory charged to the cgroup (total_rss, anon)",
        |s| s.cgroup(|cgroup| cgroup.anon).into(),
    ),
    Field::new(
        "cgroup_shmem_bytes",
        Unit::Bytes,
        "shared memory and tmpfs charged to the cgroup (total_shmem, shmem)",
        |s| s.cgroup(|cgroup| cgroup.shmem).into(),
    ),
    Field::new(
        "cgroup_file_bytes",
        Unit::Bytes,
        "reclaimable page cache charged to the cgroup (inactive and active file pages)",
        |s| s.cgroup(|cgroup| cgroup.file).into(),
    ),
    Field::new(
        "cgroup_kernel_bytes",
        Unit::Bytes,
        "kernel memory charged to the cgroup (memory.kmem.usage_in_bytes, kernel)",
        |s| s.cgroup(|cgroup| cgroup.kernel).into(),
    ),
    Field::new(
        "cgroup_swap_bytes",
        Unit::Bytes,
        "swap charged to the cgroup (total_swap, memory.swap.current)",
        |s| s.cgroup(|cgroup| cgroup.swap).into(),
    ),
    Field::new("sampler_cpu_seconds_total", Unit::Seconds, "CPU time of this program", |s| s.sampler_cpu.into())
        .only(Scope::End),
    Field::new("reports_lost_total", Unit::Count, "reports that could not be written", |s| s.reports_lost.into())
        .only(Scope::End),
    Field::new("reason", Unit::None, "why it ended", |s| s.record.reason().into()).only(Scope::End),
    Field::new("version", Unit::None, "version of this program", |_| Value::Text(env!("CARGO_PKG_VERSION")))
        .only(Scope::Start),
    Field::new("kernel", Unit::None, "release of the kernel", |s| Value::Text(&s.start.kernel)).only(Scope::Start),
    Field::new("settings", Unit::None, "all settings by option name", |s| Value::Settings(&s.start.settings))
        .only(Scope::Start),
];
