//! Every field of a report, declared once: its name with the unit, its help, and where it comes from.

use std::time::Duration;

use super::snapshot::{Record, Snapshot};
use super::value::Value;

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Words.
    None,
    /// A point in time, RFC 3339, UTC.
    Time,
    /// Bytes.
    Bytes,
    /// CPU time per wall time.
    Cores,
    /// Seconds.
    Seconds,
    /// A number of things.
    Count,
    /// A number of things per second.
    PerSecond,
    /// A part of a whole.
    Ratio,
}

/// Which records a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Every,
    /// The first one.
    Start,
    /// The last one.
    End,
}

/// A field of a report.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in JSON and CSV, with the unit.
    pub name: &'static str,
    /// What it means, in a line.
    pub help: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Which records it belongs to.
    pub scope: Scope,
    /// Its heading in the table for people, if it has a column there.
    pub column: Option<&'static str>,
    /// Where it comes from.
    pub value: for<'a> fn(&'a Snapshot<'_>) -> Value<'a>,
}

impl Field {
    const fn new(
        name: &'static str,
        unit: Unit,
        help: &'static str,
        value: for<'a> fn(&'a Snapshot<'_>) -> Value<'a>,
    ) -> Self {
        Self { name, help, unit, scope: Scope::Every, column: None, value }
    }

    const fn column(self, heading: &'static str) -> Self {
        Self { column: Some(heading), ..self }
    }

    const fn only(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Whether it belongs to a record.
    #[must_use]
    pub fn is_in(&self, record: Record<'_>) -> bool {
        match self.scope {
            Scope::Every => true,
            Scope::Start => matches!(record, Record::Start),
            Scope::End => matches!(record, Record::End(_)),
        }
    }
}

/// All fields, in the order in which they are written.
pub static FIELDS: &[Field] = &[
    Field::new("record", Unit::None, "start, report or end", |s| {
        Value::Text(match s.record {
            Record::Start => "start",
            Record::Report => "report",
            Record::End(_) => "end",
        })
    }),
    Field::new("time", Unit::Time, "when it was observed, RFC 3339, UTC", |s| Value::Time(s.observed.time)),
    Field::new("elapsed_seconds", Unit::Seconds, "time since the program started", |s| s.elapsed.into())
        .column("elapsed"),
    Field::new("phase", Unit::None, "growing, holding, or limited: the last allocation failed", |s| {
        Value::Text(s.observed.memory.phase.name())
    })
    .column("phase"),
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
        s.observed.resident.map(|set| set.total).into()
    })
    .column("resident"),
    Field::new("memory_anon_bytes", Unit::Bytes, "of it anonymous memory (RssAnon)", |s| {
        s.observed.resident.and_then(|set| set.anon).into()
    }),
    Field::new("memory_file_bytes", Unit::Bytes, "of it file and shared memory (RssFile + RssShmem)", |s| {
        s.observed.resident.and_then(|set| set.file).into()
    }),
    Field::new("memory_swap_bytes", Unit::Bytes, "anonymous memory swapped out (VmSwap)", |s| {
        s.observed.resident.and_then(|set| set.swap).into()
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
        |s| s.observed.machine.map(|memory| memory.total).into(),
    ),
    Field::new(
        "machine_available_bytes",
        Unit::Bytes,
        "what the machine can still give (MemAvailable)",
        |s| s.observed.machine.and_then(|memory| memory.available).into(),
    ),
    Field::new("machine_steal_seconds_total", Unit::Seconds, "CPU time the hypervisor gave to others", |s| {
        s.observed.steal.into()
    }),
    Field::new("memory_limit_bytes", Unit::Bytes, "tightest limit of all enclosing cgroups", |s| {
        s.observed.memory_limit.limit.into()
    }),
    Field::new("memory_limit_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.observed.memory_limit.cgroup.into()
    }),
    Field::new("cgroup_memory_bytes", Unit::Bytes, "memory the kernel charges to the own cgroup", |s| {
        s.observed.cgroup_memory.into()
    })
    .column("cgroup mem"),
    Field::new("cgroup_oom_kills_total", Unit::Count, "OOM kills in the own cgroup", |s| {
        s.observed.oom_kills.into()
    }),
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
    Field::new("cpu_limit_cores", Unit::Cores, "tightest CPU quota of all enclosing cgroups", |s| {
        s.observed.cpu_limit.limit.into()
    }),
    Field::new("cpu_limit_cgroup", Unit::None, "the cgroup that sets it", |s| {
        s.observed.cpu_limit.cgroup.into()
    }),
    Field::new("cpu_periods_total", Unit::Count, "quota periods in which its cgroup ran", |s| {
        s.observed.throttling.map(|t| t.periods).into()
    }),
    Field::new("cpu_throttled_periods_total", Unit::Count, "quota periods that ran out", |s| {
        s.observed.throttling.map(|t| t.throttled_periods).into()
    }),
    Field::new("cpu_throttled_seconds_total", Unit::Seconds, "time throttled, added up over CPUs", |s| {
        s.observed.throttling.map(|t| t.throttled).into()
    })
    .column("throttled"),
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
    Field::new("reason", Unit::None, "why it ended", |s| match s.record {
        Record::End(reason) => Value::Text(reason),
        Record::Start | Record::Report => Value::Missing,
    })
    .only(Scope::End),
    Field::new("version", Unit::None, "version of workload", |_| Value::Text(env!("CARGO_PKG_VERSION")))
        .only(Scope::Start),
    Field::new("hostname", Unit::None, "name of the host, in Kubernetes of the pod", |s| {
        Value::Text(&s.start.hostname)
    })
    .only(Scope::Start),
    Field::new("kernel", Unit::None, "release of the kernel", |s| Value::Text(&s.start.kernel))
        .only(Scope::Start),
    Field::new("cpus", Unit::Count, "CPUs that it may run on", |s| s.start.cpus.into()).only(Scope::Start),
    Field::new("cpu_threads", Unit::Count, "threads that burn CPU", |s| s.start.cpu_threads.into())
        .only(Scope::Start),
    Field::new("settings", Unit::None, "every setting by the name of its flag", |s| {
        Value::Settings(&s.start.settings)
    })
    .only(Scope::Start),
];
