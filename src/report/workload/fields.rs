//! Field registry of workload reports: each field declared once, with name, unit, help and source.

use std::time::Duration;

use super::super::field::{Scope, Unit};
use super::super::value::Value;
use super::snapshot::WorkloadField as Field;

/// All fields, in the order in which they are written.
pub(super) const FIELDS: &[Field] = &[
    Field::new("record", Unit::None, "kind of record: start, report or end", |s| {
        Value::Text(s.record.name())
    }),
    Field::new("time", Unit::Time, "time of the observation, RFC 3339, UTC", |s| {
        Value::Time(s.observed.time)
    }),
    Field::new("elapsed_seconds", Unit::Seconds, "time since the program started", |s| s.elapsed.into())
        .column("elapsed"),
    Field::new("phase", Unit::None, "growing, holding, or limited (the last allocation failed)", |s| {
        Value::Text(s.observed.memory.phase.name())
    })
    .column("phase"),
    Field::new(
        "ready",
        Unit::Count,
        "1 while all requested memory is held, as /readyz reports, else 0",
        |s| u64::from(s.observed.memory.phase.is_ready(s.wanted.memory_target)).into(),
    ),
    Field::new(
        "memory_held_after_seconds",
        Unit::Seconds,
        "time after the start at which all requested memory was first held",
        |s| s.held_after().into(),
    ),
    Field::new("memory_target_bytes", Unit::Bytes, "resident set requested; unlimited for max", |s| {
        s.wanted.memory_target.map_or(Value::Unlimited, Into::into)
    }),
    Field::new(
        "memory_wanted_bytes",
        Unit::Bytes,
        "resident set scheduled for now, on the way to the target",
        |s| s.wanted.memory.into(),
    )
    .column("mem wanted"),
    Field::new("memory_resident_bytes", Unit::Bytes, "resident set of the process (VmRSS)", |s| {
        s.host().resident.map(|set| set.total).into()
    })
    .column("resident"),
    Field::new("memory_anon_bytes", Unit::Bytes, "resident anonymous memory of the process (RssAnon)", |s| {
        s.host().resident.and_then(|set| set.anon).into()
    }),
    Field::new(
        "memory_file_bytes",
        Unit::Bytes,
        "resident file and shared memory of the process (RssFile + RssShmem)",
        |s| s.host().resident.and_then(|set| set.file).into(),
    ),
    Field::new(
        "memory_swap_bytes",
        Unit::Bytes,
        "anonymous memory of the process swapped out (VmSwap)",
        |s| s.host().resident.and_then(|set| set.swap).into(),
    ),
    Field::new("memory_populated_bytes", Unit::Bytes, "memory populated beyond the program's own", |s| {
        s.observed.memory.populated.into()
    }),
    Field::new("major_faults_total", Unit::Count, "page faults that required I/O", |s| {
        s.observed.major_faults.into()
    }),
    Field::new("failed_allocations_total", Unit::Count, "allocations that were refused", |s| {
        s.observed.memory.failed_allocations.into()
    }),
    Field::new(
        "machine_memory_bytes",
        Unit::Bytes,
        "memory of the machine as seen from inside (MemTotal)",
        |s| s.host().machine_memory.map(|memory| memory.total).into(),
    ),
    Field::new(
        "machine_available_bytes",
        Unit::Bytes,
        "available memory of the machine (MemAvailable)",
        |s| s.host().machine_memory.and_then(|memory| memory.available).into(),
    ),
    Field::new("machine_steal_seconds_total", Unit::Seconds, "CPU time stolen by the hypervisor", |s| {
        s.host().machine_steal.into()
    }),
    Field::new(
        "memory_limit_bytes",
        Unit::Bytes,
        "tightest memory limit of all visible enclosing cgroups",
        |s| s.host().memory.limit.limit.into(),
    ),
    Field::new("memory_limit_cgroup", Unit::None, "cgroup that sets memory_limit_bytes", |s| {
        s.host().memory.limit.cgroup.into()
    }),
    Field::new(
        "memory_headroom_bytes",
        Unit::Bytes,
        "memory that can still be charged before any visible enclosing cgroup reaches its limit",
        |s| s.host().memory.headroom.into(),
    ),
    Field::new(
        "memory_high_bytes",
        Unit::Bytes,
        "tightest memory.high, above which the kernel reclaims and throttles (v2)",
        |s| s.host().memory.high.limit.into(),
    ),
    Field::new("memory_high_cgroup", Unit::None, "cgroup that sets memory_high_bytes", |s| {
        s.host().memory.high.cgroup.into()
    }),
    Field::new(
        "memory_soft_limit_bytes",
        Unit::Bytes,
        "tightest soft limit, above which memory is reclaimed first under pressure (v1)",
        |s| s.host().memory.soft_limit.limit.into(),
    ),
    Field::new("memory_soft_limit_cgroup", Unit::None, "cgroup that sets memory_soft_limit_bytes", |s| {
        s.host().memory.soft_limit.cgroup.into()
    }),
    Field::new("memory_swap_limit_bytes", Unit::Bytes, "tightest swap limit (v2)", |s| {
        s.host().memory.swap_limit.limit.into()
    }),
    Field::new("memory_swap_limit_cgroup", Unit::None, "cgroup that sets memory_swap_limit_bytes", |s| {
        s.host().memory.swap_limit.cgroup.into()
    }),
    Field::new(
        "memory_and_swap_limit_bytes",
        Unit::Bytes,
        "tightest limit of memory plus swap (v1 memsw)",
        |s| s.host().memory.memory_and_swap_limit.limit.into(),
    ),
    Field::new(
        "memory_and_swap_limit_cgroup",
        Unit::None,
        "cgroup that sets memory_and_swap_limit_bytes",
        |s| s.host().memory.memory_and_swap_limit.cgroup.into(),
    ),
    Field::new("cgroup_memory_bytes", Unit::Bytes, "memory charged to the own cgroup", |s| {
        s.host().memory.usage.into()
    })
    .column("cgroup mem"),
    Field::new(
        "cgroup_memory_peak_bytes",
        Unit::Bytes,
        "peak of the memory charged to the own cgroup",
        |s| s.host().memory.peak.into(),
    ),
    Field::new("cgroup_swap_bytes", Unit::Bytes, "swap charged to the own cgroup", |s| {
        s.host().memory.swap.into()
    }),
    Field::new(
        "cgroup_memory_low_events_total",
        Unit::Count,
        "times the own cgroup was reclaimed below memory.low (v2)",
        |s| s.host().memory.events.low.into(),
    ),
    Field::new(
        "cgroup_memory_high_events_total",
        Unit::Count,
        "times the own cgroup was throttled at memory.high (v2)",
        |s| s.host().memory.events.high.into(),
    ),
    Field::new(
        "cgroup_memory_max_events_total",
        Unit::Count,
        "times the own cgroup hit its limit (v1: failcnt)",
        |s| s.host().memory.events.max.into(),
    ),
    Field::new(
        "cgroup_oom_events_total",
        Unit::Count,
        "times reclaim at the limit of the own cgroup failed (v2)",
        |s| s.host().memory.events.oom.into(),
    ),
    Field::new("cgroup_oom_kills_total", Unit::Count, "OOM kills in the own cgroup", |s| {
        s.host().memory.events.oom_kill.into()
    }),
    Field::new(
        "cgroup_oom_group_kills_total",
        Unit::Count,
        "times the OOM killer killed the whole own cgroup (v2)",
        |s| s.host().memory.events.oom_group_kill.into(),
    ),
    Field::new(
        "cgroup_under_oom",
        Unit::Count,
        "1 while processes of the own cgroup wait for memory, else 0 (v1)",
        |s| s.host().memory.events.under_oom.map(u64::from).into(),
    ),
    Field::new(
        "cgroup_oom_kill_disabled",
        Unit::Count,
        "1 if the OOM killer of the own cgroup is disabled, else 0 (v1)",
        |s| s.host().memory.events.oom_kill_disabled.map(u64::from).into(),
    ),
    Field::new("cpu_wanted_cores", Unit::Cores, "CPU time per wall time requested", |s| s.wanted.cpu.into())
        .column("cpu wanted"),
    Field::new("cpu_used_cores", Unit::Cores, "CPU time per wall time since the last regular report", |s| {
        s.rates.cpu_used_cores.map_or(Value::Missing, |cores| Value::Decimal(cores, 6))
    })
    .column("cpu used"),
    Field::new("cpu_wanted_seconds_total", Unit::Seconds, "CPU time requested since the start", |s| {
        s.wanted.cpu_time.into()
    }),
    Field::new(
        "cpu_used_seconds_total",
        Unit::Seconds,
        "CPU time of the whole process since its start",
        |s| s.observed.process_cpu.into(),
    ),
    Field::new("cpu_overdrawn_seconds", Unit::Seconds, "CPU time used ahead of the schedule", |s| {
        s.observed.process_cpu.saturating_sub(s.wanted.cpu_time).into()
    }),
    Field::new(
        "cpu_given_up_seconds_total",
        Unit::Seconds,
        "requested CPU time that could not be used and was given up",
        |s| Duration::from_nanos(s.observed.cpu.forgiven_ns).into(),
    )
    .column("given up"),
    Field::new("cpu_stalls_total", Unit::Count, "wake-ups more than three periods late", |s| {
        s.observed.cpu.stalls.into()
    }),
    Field::new("cpu_stalled_seconds_total", Unit::Seconds, "total delay of these wake-ups", |s| {
        Duration::from_nanos(s.observed.cpu.stalled_ns).into()
    }),
    Field::new("cpu_limit_cores", Unit::Cores, "tightest CPU quota of all visible enclosing cgroups", |s| {
        s.host().cpu_limit.limit.into()
    }),
    Field::new("cpu_limit_cgroup", Unit::None, "cgroup that sets cpu_limit_cores", |s| {
        s.host().cpu_limit.cgroup.into()
    }),
    Field::new("cpu_periods_total", Unit::Count, "quota periods in which the throttled cgroup ran", |s| {
        s.host().throttling.map(|t| t.periods).into()
    }),
    Field::new(
        "cpu_throttled_periods_total",
        Unit::Count,
        "quota periods in which the quota was exhausted",
        |s| s.host().throttling.map(|t| t.throttled_periods).into(),
    ),
    Field::new("cpu_throttled_seconds_total", Unit::Seconds, "time throttled, summed over CPUs", |s| {
        s.host().throttling.map(|t| t.throttled).into()
    })
    .column("throttled"),
    Field::new("cpuset_cpus", Unit::Count, "CPUs allowed by the cpusets of enclosing cgroups", |s| {
        s.host().cpuset.map(|(cpus, _)| cpus).into()
    }),
    Field::new("cpuset_cgroup", Unit::None, "cgroup that sets cpuset_cpus", |s| {
        s.host().cpuset.map(|(_, cgroup)| cgroup).into()
    }),
    Field::new(
        "cgroup_memory_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks of the own cgroup waited for memory",
        |s| s.host().pressure.memory.some.into(),
    ),
    Field::new(
        "cgroup_memory_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks of the own cgroup waited for memory",
        |s| s.host().pressure.memory.full.into(),
    ),
    Field::new(
        "cgroup_cpu_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks of the own cgroup waited for a CPU",
        |s| s.host().pressure.cpu.some.into(),
    ),
    Field::new(
        "cgroup_cpu_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks of the own cgroup waited for a CPU",
        |s| s.host().pressure.cpu.full.into(),
    ),
    Field::new(
        "cgroup_io_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks of the own cgroup waited for a block device",
        |s| s.host().pressure.io.some.into(),
    ),
    Field::new(
        "cgroup_io_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks of the own cgroup waited for a block device",
        |s| s.host().pressure.io.full.into(),
    ),
    Field::new(
        "machine_memory_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks of the machine waited for memory",
        |s| s.host().machine_pressure.memory.some.into(),
    ),
    Field::new(
        "machine_memory_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks of the machine waited for memory",
        |s| s.host().machine_pressure.memory.full.into(),
    ),
    Field::new(
        "machine_cpu_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks of the machine waited for a CPU",
        |s| s.host().machine_pressure.cpu.some.into(),
    ),
    Field::new(
        "machine_cpu_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks of the machine waited for a CPU",
        |s| s.host().machine_pressure.cpu.full.into(),
    ),
    Field::new(
        "machine_io_pressure_some_seconds_total",
        Unit::Seconds,
        "time some tasks of the machine waited for a block device",
        |s| s.host().machine_pressure.io.some.into(),
    ),
    Field::new(
        "machine_io_pressure_full_seconds_total",
        Unit::Seconds,
        "time all tasks of the machine waited for a block device",
        |s| s.host().machine_pressure.io.full.into(),
    ),
    Field::new(
        "work_units_total",
        Unit::Count,
        "units of work done (1024 dependent integer multiplications each)",
        |s| s.observed.cpu.work_units.into(),
    ),
    Field::new(
        "work_units_per_cpu_second",
        Unit::PerSecond,
        "units of work per CPU second spent burning",
        |s| s.rates.work_units_per_cpu_second.map_or(Value::Missing, |rate| Value::Decimal(rate, 1)),
    )
    .column("work/cpu s"),
    Field::new(
        "work_rate_of_best_ratio",
        Unit::Ratio,
        "work_units_per_cpu_second relative to the best so far",
        |s| s.work_rate_of_best.map_or(Value::Missing, |ratio| Value::Decimal(ratio, 4)),
    ),
    Field::new(
        "reports_lost_total",
        Unit::Count,
        "reports that could not be written to standard output",
        |s| s.reports_lost.into(),
    ),
    Field::new("reason", Unit::None, "reason of the end", |s| s.record.reason().into()).only(Scope::End),
    Field::new("version", Unit::None, "version of workload", |_| Value::Text(env!("CARGO_PKG_VERSION")))
        .only(Scope::Start),
    Field::new("hostname", Unit::None, "host name; in Kubernetes the name of the pod", |s| {
        Value::Text(&s.start.hostname)
    })
    .only(Scope::Start),
    Field::new("kernel", Unit::None, "kernel release", |s| Value::Text(&s.start.kernel)).only(Scope::Start),
    Field::new("cpus", Unit::Count, "CPUs the process may run on", |s| s.cpus.into()).only(Scope::Start),
    Field::new("cpu_threads", Unit::Count, "threads that burn CPU", |s| s.cpu_threads.into())
        .only(Scope::Start),
    Field::new("settings", Unit::None, "all settings by the names of their options", |s| {
        Value::Settings(&s.start.settings)
    })
    .only(Scope::Start),
];
