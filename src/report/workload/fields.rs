//! Every field of a report of the load, declared once: its name with the unit, its help, and where it comes from.

use std::time::Duration;

use super::super::field::{self, Scope, Unit};
use super::super::value::Value;
use super::WorkloadReport;
use crate::memory::Phase;

type Field = field::Field<WorkloadReport>;

/// All fields, in the order in which they are written.
pub(super) const FIELDS: &[Field] = &[
    Field::new("record", Unit::None, "start, report or end", |s| Value::Text(s.record.name())),
    Field::new("time", Unit::Time, "when it was observed, RFC 3339, UTC", |s| Value::Time(s.observed.time)),
    Field::new("elapsed_seconds", Unit::Seconds, "time since the program started", |s| s.elapsed.into())
        .column("elapsed"),
    Field::new("phase", Unit::None, "growing, holding, or limited: the last allocation failed", |s| {
        Value::Text(s.observed.memory.phase.name())
    })
    .column("phase"),
    Field::new("ready", Unit::Count, "1 while it holds all of its memory, as /readyz says, else 0", |s| {
        let all_to_be_had = s.observed.memory.phase == Phase::Limited && s.wanted.memory_target.is_none();
        u64::from(all_to_be_had || s.observed.memory.phase == Phase::Holding).into()
    }),
    Field::new("memory_target_bytes", Unit::Bytes, "resident set asked for; unlimited for max", |s| {
        s.wanted.memory_target.map_or(Value::Unlimited, Into::into)
    }),
    Field::new(
        "memory_wanted_bytes",
        Unit::Bytes,
        "resident set wanted now, on the way to the target",
        |s| s.wanted.memory.into(),
    )
    .column("mem wanted"),
    Field::new("memory_resident_bytes", Unit::Bytes, "resident set of the process (VmRSS)", |s| {
        s.host().resident.map(|set| set.total).into()
    })
    .column("resident"),
    Field::new("memory_anon_bytes", Unit::Bytes, "of it anonymous memory (RssAnon)", |s| {
        s.host().resident.and_then(|set| set.anon).into()
    }),
    Field::new("memory_file_bytes", Unit::Bytes, "of it file and shared memory (RssFile + RssShmem)", |s| {
        s.host().resident.and_then(|set| set.file).into()
    }),
    Field::new("memory_swap_bytes", Unit::Bytes, "anonymous memory swapped out (VmSwap)", |s| {
        s.host().resident.and_then(|set| set.swap).into()
    }),
    Field::new("memory_populated_bytes", Unit::Bytes, "pages written beyond the program itself", |s| {
        s.observed.memory.populated.into()
    }),
    Field::new("major_faults_total", Unit::Count, "page faults that waited for a device", |s| {
        s.observed.major_faults.into()
    }),
    Field::new("failed_allocations_total", Unit::Count, "attempts to grow that were refused", |s| {
        s.observed.memory.failed_allocations.into()
    }),
    Field::new(
        "machine_memory_bytes",
        Unit::Bytes,
        "the machine's memory as seen from inside (MemTotal)",
        |s| s.host().machine_memory.map(|memory| memory.total).into(),
    ),
    Field::new(
        "machine_available_bytes",
        Unit::Bytes,
        "what the machine can still give (MemAvailable)",
        |s| s.host().machine_memory.and_then(|memory| memory.available).into(),
    ),
    Field::new("machine_steal_seconds_total", Unit::Seconds, "CPU time the hypervisor gave to others", |s| {
        s.host().machine_steal.into()
    }),
    Field::new("memory_limit_bytes", Unit::Bytes, "tightest limit of all enclosing cgroups in sight", |s| {
        s.host().memory.limit.limit.into()
    }),
    Field::new("memory_limit_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.host().memory.limit.cgroup.into()
    }),
    Field::new(
        "memory_headroom_bytes",
        Unit::Bytes,
        "what may still be charged before the limit of an enclosing cgroup is hit",
        |s| s.host().memory.headroom.into(),
    ),
    Field::new(
        "memory_high_bytes",
        Unit::Bytes,
        "tightest memory.high: reclaim and throttling above it (v2)",
        |s| s.host().memory.high.limit.into(),
    ),
    Field::new("memory_high_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.host().memory.high.cgroup.into()
    }),
    Field::new(
        "memory_soft_limit_bytes",
        Unit::Bytes,
        "tightest soft limit: reclaim above it when the machine runs short (v1)",
        |s| s.host().memory.soft_limit.limit.into(),
    ),
    Field::new("memory_soft_limit_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.host().memory.soft_limit.cgroup.into()
    }),
    Field::new("memory_swap_limit_bytes", Unit::Bytes, "tightest limit on swap alone (v2)", |s| {
        s.host().memory.swap_limit.limit.into()
    }),
    Field::new("memory_swap_limit_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.host().memory.swap_limit.cgroup.into()
    }),
    Field::new(
        "memory_and_swap_limit_bytes",
        Unit::Bytes,
        "tightest limit on memory and swap together (v1 memsw)",
        |s| s.host().memory.memory_and_swap_limit.limit.into(),
    ),
    Field::new("memory_and_swap_limit_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.host().memory.memory_and_swap_limit.cgroup.into()
    }),
    Field::new("cgroup_memory_bytes", Unit::Bytes, "memory the kernel charges to the own cgroup", |s| {
        s.host().memory.usage.into()
    })
    .column("cgroup mem"),
    Field::new("cgroup_memory_peak_bytes", Unit::Bytes, "the most that ever was", |s| {
        s.host().memory.peak.into()
    }),
    Field::new("cgroup_swap_bytes", Unit::Bytes, "swap the kernel charges to the own cgroup", |s| {
        s.host().memory.swap.into()
    }),
    Field::new(
        "cgroup_memory_low_events_total",
        Unit::Count,
        "times it was reclaimed below its protection (v2)",
        |s| s.host().memory.events.low.into(),
    ),
    Field::new(
        "cgroup_memory_high_events_total",
        Unit::Count,
        "times it was throttled at memory.high (v2)",
        |s| s.host().memory.events.high.into(),
    ),
    Field::new("cgroup_memory_max_events_total", Unit::Count, "times it hit its limit (v1: failcnt)", |s| {
        s.host().memory.events.max.into()
    }),
    Field::new(
        "cgroup_oom_events_total",
        Unit::Count,
        "times it hit its limit and reclaim did not help (v2)",
        |s| s.host().memory.events.oom.into(),
    ),
    Field::new("cgroup_oom_kills_total", Unit::Count, "OOM kills in the own cgroup", |s| {
        s.host().memory.events.oom_kill.into()
    }),
    Field::new(
        "cgroup_oom_group_kills_total",
        Unit::Count,
        "times the OOM killer ended the whole cgroup (v2)",
        |s| s.host().memory.events.oom_group_kill.into(),
    ),
    Field::new("cgroup_under_oom", Unit::Count, "1 while its processes wait for memory, else 0 (v1)", |s| {
        s.host().memory.events.under_oom.map(u64::from).into()
    }),
    Field::new(
        "cgroup_oom_kill_disabled",
        Unit::Count,
        "1 where they wait instead of being killed, else 0 (v1)",
        |s| s.host().memory.events.oom_kill_disabled.map(u64::from).into(),
    ),
    Field::new("cpu_wanted_cores", Unit::Cores, "CPU time per wall time asked for", |s| s.wanted.cpu.into())
        .column("cpu wanted"),
    Field::new("cpu_used_cores", Unit::Cores, "CPU time per wall time since the last regular report", |s| {
        s.rates.cpu_used_cores.map_or(Value::Missing, |cores| Value::Decimal(cores, 6))
    })
    .column("cpu used"),
    Field::new("cpu_wanted_seconds_total", Unit::Seconds, "CPU time asked for since the start", |s| {
        s.wanted.cpu_time.into()
    }),
    Field::new(
        "cpu_used_seconds_total",
        Unit::Seconds,
        "CPU time of the whole process since its start",
        |s| s.observed.process_cpu.into(),
    ),
    Field::new("cpu_overdrawn_seconds", Unit::Seconds, "CPU time used ahead of what was asked for", |s| {
        s.observed.process_cpu.saturating_sub(s.wanted.cpu_time).into()
    }),
    Field::new(
        "cpu_given_up_seconds_total",
        Unit::Seconds,
        "CPU time asked for that could not be had",
        |s| Duration::from_nanos(s.observed.cpu.forgiven_ns).into(),
    )
    .column("given up"),
    Field::new("cpu_stalls_total", Unit::Count, "wake-ups more than three periods late", |s| {
        s.observed.cpu.stalls.into()
    }),
    Field::new("cpu_stalled_seconds_total", Unit::Seconds, "how late these were in all", |s| {
        Duration::from_nanos(s.observed.cpu.stalled_ns).into()
    }),
    Field::new("cpu_limit_cores", Unit::Cores, "tightest CPU quota of all enclosing cgroups in sight", |s| {
        s.host().cpu_limit.limit.into()
    }),
    Field::new("cpu_limit_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.host().cpu_limit.cgroup.into()
    }),
    Field::new("cpu_periods_total", Unit::Count, "quota periods in which its cgroup ran", |s| {
        s.host().throttling.map(|t| t.periods).into()
    }),
    Field::new("cpu_throttled_periods_total", Unit::Count, "quota periods that ran out", |s| {
        s.host().throttling.map(|t| t.throttled_periods).into()
    }),
    Field::new("cpu_throttled_seconds_total", Unit::Seconds, "time throttled, added up over CPUs", |s| {
        s.host().throttling.map(|t| t.throttled).into()
    })
    .column("throttled"),
    Field::new("cpuset_cpus", Unit::Count, "CPUs that enclosing cgroups leave to it", |s| {
        s.host().cpuset.map(|(cpus, _)| cpus).into()
    }),
    Field::new("cpuset_cgroup", Unit::None, "the cgroup that says so", |s| {
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
    Field::new("work_units_total", Unit::Count, "units of work done, each the same integer work", |s| {
        s.observed.cpu.work_units.into()
    }),
    Field::new("work_units_per_cpu_second", Unit::PerSecond, "work done per CPU time spent burning", |s| {
        s.rates.work_units_per_cpu_second.map_or(Value::Missing, |rate| Value::Decimal(rate, 1))
    })
    .column("work/cpu s"),
    Field::new("work_rate_of_best_ratio", Unit::Ratio, "that, as a part of the best so far", |s| {
        s.work_rate_of_best.map_or(Value::Missing, |ratio| Value::Decimal(ratio, 4))
    }),
    Field::new("reports_lost_total", Unit::Count, "reports that standard output did not take", |s| {
        s.reports_lost.into()
    }),
    Field::new("reason", Unit::None, "why it ended", |s| s.record.reason().into()).only(Scope::End),
    Field::new("version", Unit::None, "version of workload", |_| Value::Text(env!("CARGO_PKG_VERSION")))
        .only(Scope::Start),
    Field::new("hostname", Unit::None, "name of the host, in Kubernetes of the pod", |s| {
        Value::Text(&s.start.hostname)
    })
    .only(Scope::Start),
    Field::new("kernel", Unit::None, "release of the kernel", |s| Value::Text(&s.start.kernel))
        .only(Scope::Start),
    Field::new("cpus", Unit::Count, "CPUs that it may run on", |s| s.cpus.into()).only(Scope::Start),
    Field::new("cpu_threads", Unit::Count, "threads that burn CPU", |s| s.cpu_threads.into())
        .only(Scope::Start),
    Field::new("settings", Unit::None, "every setting by the name of its flag", |s| {
        Value::Settings(&s.start.settings)
    })
    .only(Scope::Start),
];
