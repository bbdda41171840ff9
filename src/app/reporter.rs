//! Reporter of the load: samples it, puts wanted beside observed, and writes the record.

use std::io;
use std::time::Duration;

use nix::sys::eventfd::EventFd;
use tracing::info;

use super::event_loop::{EventHandler, ReportSchedule};
use super::loads::Loads;
use super::outcome::Outcome;
use super::set_points::SetPoints;
use super::sink::Sink;
use crate::clock::{ThreadClock, monotonic_ns, next_point_ns};
use crate::config::{LoadSpec, OnFailure};
use crate::cpu::CpuLoad;
use crate::host::{Correction, Host};
use crate::http::Responder;
use crate::memory::{MemoryCounters, MemoryLoad, Phase};
use crate::quantity::Bytes;
use crate::report::{Record, Snapshot, Start, WorkloadReport, metrics};
use crate::sample::{Counters, Rates, Sample};

/// Limits and cgroup membership are refreshed this often, however rare reports are.
const REFRESH_EVERY_NS: u64 = 1_000_000_000;

/// Writes records, and lets the set points follow the limits.
pub(super) struct Reporter<'a> {
    observer: Observer<'a>,
    sink: Sink,
    on_failure: OnFailure,
    next_refresh_ns: u64,
}

/// All that goes into a record.
struct Observer<'a> {
    loads: Loads,
    host: Host,
    start: &'a Start,
    set_points: SetPoints,
    schedule: ReportSchedule,
    progress: Progress,
    /// By how much the cheap count of the program's own resident set is off.
    own: Correction,
}

/// Rates from one report of the grid to the next.
#[derive(Default)]
struct Progress {
    /// At the last report of the grid, the start included: the base of rates.
    base: Option<Counters>,
    /// The rates up to then.
    last: (Rates, Option<f64>),
    best_work_rate: f64,
}

impl Progress {
    /// The rates so far, and that of work relative to the best one so far.
    fn until(&self, counters: Counters, interval: Duration) -> (Rates, Option<f64>) {
        // Over less than half of an interval a rate says little.
        let base = self.base.filter(|base| counters.since(*base) >= interval / 2);
        let rates = base.map(|base| Rates::between(base, counters)).unwrap_or_default();
        let of_best = rates.work_units_per_cpu_second.map(|rate| rate / self.best_work_rate.max(rate));
        (rates, of_best)
    }

    /// Makes this report the base of rates.
    fn report_is_out(&mut self, counters: Counters, rates: (Rates, Option<f64>)) {
        self.base = Some(counters);
        self.last = rates;
        self.best_work_rate = self.best_work_rate.max(rates.0.work_units_per_cpu_second.unwrap_or(0.0));
    }
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        spec: &LoadSpec,
        host: Host,
        start: &'a Start,
        set_points: SetPoints,
        schedule: ReportSchedule,
    ) -> io::Result<Self> {
        let own = host.process.correction();
        let (loads, progress, threads) = (Loads::default(), Progress::default(), set_points.threads());
        Ok(Self {
            observer: Observer { loads, host, start, set_points, schedule, progress, own },
            sink: Sink::open(spec.reports.format, threads)?,
            on_failure: spec.on_failure,
            next_refresh_ns: schedule.started_ns + REFRESH_EVERY_NS,
        })
    }

    /// The loads that it reports on.
    pub(super) fn loads(&mut self) -> &mut Loads {
        &mut self.observer.loads
    }

    /// Takes the CPU load, and logs what it lacks.
    pub(super) fn burn(&mut self, cpu: CpuLoad) {
        self.observer.set_points.log_refusal(&cpu);
        self.observer.loads.cpu = Some(cpu);
    }

    /// Threads that the process takes in all.
    pub(super) fn threads(&self) -> u64 {
        self.observer.set_points.threads()
    }

    /// The reason to end with `--on-failure exit`.
    pub(super) fn could_not_hold(&self) -> Option<&'static str> {
        let Loads { memory, cpu } = &self.observer.loads;
        let is_stuck = memory.as_ref().is_some_and(|memory| memory.counters().stuck);
        let is_refused = cpu.as_ref().is_some_and(|cpu| cpu.refused().is_some());
        match self.on_failure {
            OnFailure::Exit if is_stuck => Some("memory could not be allocated"),
            OnFailure::Exit if is_refused => Some("threads to burn CPU were refused"),
            OnFailure::Exit | OnFailure::Hold => None,
        }
    }

    /// The outcome of a run that ended so: an error where reports are missing.
    pub(super) fn outcome(&self, outcome: Outcome) -> Outcome {
        self.sink.outcome(outcome)
    }

    /// The CPU clock of the thread that writes.
    pub(super) fn clock(&self) -> ThreadClock {
        self.sink.clock()
    }
}

impl Observer<'_> {
    /// Finds out whether the process has been moved.
    fn refresh(&mut self) {
        if self.host.refresh(monotonic_ns) {
            info!("moved to another cgroup; reporting its limits and counters");
        }
    }

    /// What is observed and what is wanted now.
    fn snapshot<'s>(&'s self, record: Record<'s>, reports_lost: u64) -> Snapshot<'s> {
        // A target of zero is held from the start.
        let nothing = self.set_points.target().memory == Some(Bytes(0));
        let idle_phase = if nothing { Phase::Holding } else { Phase::Growing };
        let Loads { memory, cpu } = &self.loads;
        let observed = Sample::take(&self.host, memory.as_ref(), (idle_phase, self.own), cpu.as_ref());
        let (rates, work_rate_of_best) = self.progress.until(observed.counters(), self.schedule.interval);
        Snapshot {
            record,
            elapsed: Duration::from_nanos(observed.monotonic_ns.saturating_sub(self.schedule.started_ns)),
            wanted: self.set_points.beside(&observed),
            cpus: self.set_points.cpus(),
            cpu_threads: cpu.as_ref().map_or(u64::MAX, CpuLoad::threads).min(self.set_points.cpu_threads()),
            rates,
            work_rate_of_best,
            reports_lost,
            start: self.start,
            observed,
        }
    }
}

impl EventHandler for Reporter<'_> {
    fn changed(&self) -> Option<&EventFd> {
        self.observer.loads.memory.as_ref().map(MemoryLoad::changed)
    }

    fn record(&mut self, record: Record<'_>, on_grid: bool) -> Option<&'static str> {
        let asked = self.observer.loads.memory.as_ref().map(MemoryLoad::reports_asked);
        if self.observer.loads.memory.as_ref().is_some_and(MemoryLoad::take_moved) {
            // Growth waits for this report because of limits that are others now.
            self.observer.host.look_soon();
            self.observer.refresh();
        }
        let snapshot = self.observer.snapshot(record, self.sink.lost());
        let settled = self.sink.write::<WorkloadReport>(&snapshot);
        let counters = snapshot.observed.counters();
        let rates = (snapshot.rates, snapshot.work_rate_of_best);
        if let (true, Some(memory), Some(asked)) = (settled, &self.observer.loads.memory, asked) {
            memory.report_is_out(asked);
        }
        if on_grid {
            self.observer.progress.report_is_out(counters, rates);
        }
        self.could_not_hold()
    }

    fn refresh_due_ns(&self) -> u64 {
        self.next_refresh_ns
    }

    fn refresh(&mut self, now_ns: u64) {
        // On the grid, so that it comes with a report where there is one each second.
        self.next_refresh_ns = next_point_ns(self.next_refresh_ns, REFRESH_EVERY_NS, now_ns);
        self.observer.refresh();
        let Observer { host, set_points, loads, .. } = &mut self.observer;
        set_points.follow(now_ns, host, loads);
    }
}

impl Responder for Reporter<'_> {
    /// Rates are those of the last report: a scrape may come at any time after it.
    fn metrics(&mut self) -> String {
        let (rates, work_rate_of_best) = self.observer.progress.last;
        let snapshot = self.observer.snapshot(Record::Report, self.sink.lost());
        metrics::render::<WorkloadReport>("workload", &Snapshot { rates, work_rate_of_best, ..snapshot })
    }

    fn readiness(&mut self) -> Result<String, String> {
        let Observer { loads, host, set_points, .. } = &self.observer;
        let Some(memory) = &loads.memory else { return Ok("no memory requested".into()) };
        let MemoryCounters { phase, populated, correction, .. } = memory.counters();
        let resident = host.process.resident();
        let resident = resident.map_or(populated, |set| set.corrected(correction).held()).rounded();
        let target = set_points.target().memory;
        let wanted = target.map_or("all available memory".into(), |target| target.rounded().to_string());
        let answer = match (phase, target) {
            (Phase::Holding, _) => format!("holding {resident} of {wanted}"),
            (Phase::Limited, None) => format!("holding {resident}: no more can be allocated"),
            (Phase::Limited, Some(_)) => format!("no more can be allocated: {resident} of {wanted}"),
            (Phase::Growing, _) => format!("growing: {resident} of {wanted}"),
        };
        if phase.is_ready(target) { Ok(answer) } else { Err(answer) }
    }
}
