//! Takes a sample, puts it beside what was wanted, and writes the record.

use std::io;
use std::time::Duration;

use tracing::error;

use super::Schedule;
use crate::clock::ThreadClock;
use crate::cpu::CpuLoad;
use crate::goal::Goal;
use crate::host::Host;
use crate::memory::{MemoryLoad, Phase};
use crate::output::Reports;
use crate::quantity::Bytes;
use crate::report::{Format, Record, Snapshot, Start, Wanted, WorkloadReport, Writer};
use crate::sample::{Counters, Rates, Sample};

/// How long a record is waited for. One that takes longer is written all the same, but for the last one: there is
/// no time after it.
const PATIENCE: Duration = Duration::from_millis(10);

/// Writes records.
pub(super) struct Reporter<'a> {
    pub(super) memory: Option<MemoryLoad>,
    pub(super) cpu: Option<CpuLoad>,
    host: &'a Host,
    start: &'a Start,
    goal: Goal,
    schedule: Schedule,
    writer: Writer,
    reports: Reports,
    /// At the last report of the grid, the start included: what rates count from.
    base: Option<Counters>,
    best_work_rate: f64,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        host: &'a Host,
        start: &'a Start,
        goal: Goal,
        format: Format,
        schedule: Schedule,
    ) -> io::Result<Self> {
        Ok(Self {
            memory: None,
            cpu: None,
            host,
            start,
            goal,
            schedule,
            writer: Writer::new(format),
            reports: Reports::open()?,
            base: None,
            best_work_rate: 0.0,
        })
    }

    /// Ends the burning first, so that giving memory back has the CPUs to itself.
    pub(super) fn end_loads(&self) {
        if let Some(cpu) = &self.cpu {
            cpu.end();
        }
        if let Some(memory) = &self.memory {
            memory.end();
        }
    }

    /// The CPU clock of the thread that writes.
    pub(super) fn clock(&self) -> Option<ThreadClock> {
        self.reports.clock()
    }

    /// Samples and writes one record; whether memory is stuck. Those `on_grid` come at regular times.
    pub(super) fn record(&mut self, record: Record<'_>, on_grid: bool) -> bool {
        // Where nothing was asked for it is held from the start.
        let idle_phase = if self.goal.memory == Some(Bytes(0)) { Phase::Holding } else { Phase::Growing };
        let observed = Sample::take(self.host, self.memory.as_ref(), idle_phase, self.cpu.as_ref());
        let stuck = observed.memory.stuck;
        let counters = observed.counters();
        // Over less than half of an interval a rate says little.
        let base = self.base.filter(|base| counters.since(*base) >= self.schedule.interval / 2);
        let rates = base.map(|base| Rates::between(base, counters)).unwrap_or_default();
        if on_grid {
            self.base = Some(counters);
        }
        let snapshot = Snapshot {
            record,
            elapsed: Duration::from_nanos(observed.monotonic_ns.saturating_sub(self.schedule.started_ns)),
            wanted: self.wanted(&observed),
            rates,
            work_rate_of_best: rates.work_units_per_cpu_second.map(|rate| {
                self.best_work_rate = self.best_work_rate.max(rate);
                rate / self.best_work_rate
            }),
            reports_lost: self.reports.lost(),
            start: self.start,
            observed,
        };
        match self.writer.render::<WorkloadReport>(&snapshot) {
            Ok(line) => self.reports.write(line, PATIENCE),
            Err(error) => error!("a record could not be put into words: {error}"),
        }
        stuck
    }

    fn wanted(&self, observed: &Sample<'_>) -> Wanted {
        let until_ns =
            self.schedule.end_ns.map_or(observed.monotonic_ns, |end_ns| observed.monotonic_ns.min(end_ns));
        let scheduled = Duration::from_nanos(until_ns.saturating_sub(self.schedule.started_ns));
        Wanted {
            memory_target: self.goal.memory,
            memory: observed.memory.wanted,
            cpu: self.goal.cpu,
            cpu_time: scheduled.mul_f64(self.goal.cpu.as_f64()),
        }
    }
}
