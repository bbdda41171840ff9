//! Sample: raw readings of the kernel and the load's own counters at one moment; rates between two.

use std::time::{Duration, SystemTime};

use nix::sys::resource::{UsageWho, getrusage};

use crate::clock::{ThreadClock, monotonic_ns, process_cpu_ns};
use crate::cpu::{CpuCounters, CpuLoad};
use crate::host::{Correction, Host, HostReadings};
use crate::memory::{MemoryCounters, MemoryLoad, Phase};
use crate::quantity::Bytes;

/// What was observed at one moment. Counters are cumulative and raw.
#[derive(Clone, Debug)]
pub struct Sample<'h> {
    /// Wall clock, for people and for putting hosts side by side.
    pub time: SystemTime,
    /// `CLOCK_MONOTONIC`, for rates.
    pub monotonic_ns: u64,
    /// What was read of the host.
    pub host: HostReadings<'h>,
    /// Page faults that had to wait for a device.
    pub major_faults: Option<u64>,
    /// CPU time of the whole process.
    pub process_cpu: Duration,
    /// The memory load's counters.
    pub memory: MemoryCounters,
    /// The CPU load's counters.
    pub cpu: CpuCounters,
}

impl<'h> Sample<'h> {
    /// Reads everything. Without a memory load its counters are zero, its phase is `idle_phase`, and the resident set is
    /// corrected by `own`.
    #[must_use]
    pub fn take(
        host: &'h Host,
        memory: Option<&MemoryLoad>,
        (idle_phase, own): (Phase, Correction),
        cpu: Option<&CpuLoad>,
    ) -> Self {
        let idle = MemoryCounters {
            phase: idle_phase,
            wanted: None,
            populated: Bytes(0),
            correction: own,
            failed_allocations: 0,
            stuck: false,
            held_ns: None,
        };
        // Reading the clock of each thread first makes the clock of the process exact.
        let _ = memory.and_then(MemoryLoad::clock).map(ThreadClock::read_ns);
        let cpu = cpu.map(CpuLoad::counters).unwrap_or_default();
        let process_cpu = Duration::from_nanos(process_cpu_ns());
        let faults = getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| usage.major_page_faults());
        let memory = memory.map_or(idle, MemoryLoad::counters);
        let host = host.read();
        let resident = host.resident.map(|resident| resident.corrected(memory.correction));
        Self {
            time: SystemTime::now(),
            monotonic_ns: monotonic_ns(),
            host: HostReadings { resident, ..host },
            major_faults: faults.and_then(|faults| u64::try_from(faults).ok()),
            process_cpu,
            memory,
            cpu,
        }
    }

    /// The counters that rates are computed from.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            monotonic_ns: self.monotonic_ns,
            process_cpu: self.process_cpu,
            worker_cpu: Duration::from_nanos(self.cpu.worker_cpu_ns),
            work_units: self.cpu.work_units,
        }
    }
}

/// The counters of a sample that rates are computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
    /// CPU time of the whole process.
    pub process_cpu: Duration,
    /// CPU time of the workers.
    pub worker_cpu: Duration,
    /// Units of work done.
    pub work_units: u64,
}

impl Counters {
    /// Wall time from another sample to this one.
    #[must_use]
    pub fn since(self, before: Self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.saturating_sub(before.monotonic_ns))
    }
}

/// What happened between two samples. A counter that went backwards gives nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// CPU time of the process per wall time.
    pub cpu_used_cores: Option<f64>,
    /// Units of work per CPU second of the workers.
    pub work_units_per_cpu_second: Option<f64>,
}

impl Rates {
    /// A rate of work needs at least this much CPU time: below it, clock readings and the last, unfinished unit of a burst
    /// would show.
    const LEAST_CPU: Duration = Duration::from_millis(20);

    /// The rates from `before` to `after`.
    #[must_use]
    pub fn between(before: Counters, after: Counters) -> Self {
        let wall = after.since(before);
        let used = after.process_cpu.checked_sub(before.process_cpu);
        let worker = after.worker_cpu.checked_sub(before.worker_cpu);
        let units = after.work_units.checked_sub(before.work_units);
        let cpu_used_cores =
            used.filter(|_| !wall.is_zero()).map(|used| used.as_secs_f64() / wall.as_secs_f64());
        let work = worker.filter(|cpu| *cpu >= Self::LEAST_CPU).zip(units);
        // Exact below 2^53 units: centuries.
        let work_units_per_cpu_second = work.map(|(cpu, units)| units as f64 / cpu.as_secs_f64());
        Self { cpu_used_cores, work_units_per_cpu_second }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(seconds: u64, cpu_ms: u64, units: u64) -> Counters {
        Counters {
            monotonic_ns: seconds * 1_000_000_000,
            process_cpu: Duration::from_millis(cpu_ms),
            worker_cpu: Duration::from_millis(cpu_ms),
            work_units: units,
        }
    }

    #[test]
    fn rates_come_from_two_samples() {
        let rates = Rates::between(counters(1, 200, 100), counters(3, 600, 500));
        assert_eq!(rates.cpu_used_cores, Some(0.2));
        assert_eq!(rates.work_units_per_cpu_second, Some(1000.0));
    }

    #[test]
    fn a_counter_that_went_backwards_gives_nothing() {
        let rates = Rates::between(counters(1, 600, 500), counters(3, 200, 100));
        assert_eq!(rates, Rates::default());
    }

    #[test]
    fn no_time_and_no_cpu_give_nothing() {
        let same = counters(1, 600, 500);
        assert_eq!(Rates::between(same, same), Rates::default());
    }
}
