//! Takes a sample, puts it beside what was wanted, and writes the record.

use std::io;
use std::time::Duration;

use nix::sys::eventfd::EventFd;
use tracing::info;

use super::loads::Loads;
use super::sink::Sink;
use super::wants::Wants;
use super::watch::{Schedule, Watched};
use crate::clock::{ThreadClock, monotonic_ns, next_point_ns};
use crate::config::{Args, OnFailure};
use crate::cpu::CpuLoad;
use crate::host::{Correction, Host};
use crate::memory::{MemoryCounters, MemoryLoad, Phase};
use crate::quantity::Bytes;
use crate::report::{Record, Snapshot, Start, WorkloadReport, metrics};
use crate::sample::{Counters, Rates, Sample};
use crate::serve::Answers;

/// What is out of sight and what shares are of is looked up this often, however rare reports are.
const LOOK_EVERY_NS: u64 = 1_000_000_000;

/// Writes records, and lets what is wanted follow the limits.
pub(super) struct Reporter<'a> {
    observer: Observer<'a>,
    sink: Sink,
    on_failure: OnFailure,
    next_look_ns: u64,
}

/// All that goes into a record.
struct Observer<'a> {
    loads: Loads,
    host: Host,
    start: &'a Start,
    wants: Wants,
    schedule: Schedule,
    progress: Progress,
    /// What the cheap count of the program's own resident set lacks.
    own: Correction,
}

/// Rates from one report of the grid to the next.
#[derive(Default)]
struct Progress {
    /// At the last report of the grid, the start included: what rates count from.
    base: Option<Counters>,
    /// Up to then.
    last: (Rates, Option<f64>),
    best_work_rate: f64,
}

impl Progress {
    /// The rates up to now, and that of work as a part of the best one so far.
    fn until(&self, counters: Counters, interval: Duration) -> (Rates, Option<f64>) {
        // Over less than half of an interval a rate says little.
        let base = self.base.filter(|base| counters.since(*base) >= interval / 2);
        let rates = base.map(|base| Rates::between(base, counters)).unwrap_or_default();
        let of_best = rates.work_units_per_cpu_second.map(|rate| rate / self.best_work_rate.max(rate));
        (rates, of_best)
    }

    /// From here on rates count.
    fn report_is_out(&mut self, counters: Counters, rates: (Rates, Option<f64>)) {
        self.base = Some(counters);
        self.last = rates;
        self.best_work_rate = self.best_work_rate.max(rates.0.work_units_per_cpu_second.unwrap_or(0.0));
    }
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        args: &Args,
        host: Host,
        start: &'a Start,
        wants: Wants,
        schedule: Schedule,
    ) -> io::Result<Self> {
        let own = host.process.correction();
        let (loads, progress) = (Loads::default(), Progress::default());
        Ok(Self {
            observer: Observer { loads, host, start, wants, schedule, progress, own },
            sink: Sink::open(args.reports.format)?,
            on_failure: args.on_failure,
            next_look_ns: schedule.started_ns + LOOK_EVERY_NS,
        })
    }

    /// The loads that it reports on.
    pub(super) fn loads(&mut self) -> &mut Loads {
        &mut self.observer.loads
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
            info!("moved to another cgroup: its limits and counters are reported from now on");
        }
    }

    /// What has been observed and what was wanted, now.
    fn snapshot<'s>(&'s self, record: Record<'s>, reports_lost: u64) -> Snapshot<'s> {
        // Where nothing was asked for it is held from the start.
        let nothing = self.wants.target().memory == Some(Bytes(0));
        let idle_phase = if nothing { Phase::Holding } else { Phase::Growing };
        let Loads { memory, cpu } = &self.loads;
        let observed = Sample::take(&self.host, memory.as_ref(), (idle_phase, self.own), cpu.as_ref());
        let (rates, work_rate_of_best) = self.progress.until(observed.counters(), self.schedule.interval);
        Snapshot {
            record,
            elapsed: Duration::from_nanos(observed.monotonic_ns.saturating_sub(self.schedule.started_ns)),
            wanted: self.wants.beside(&observed),
            cpus: self.wants.cpus(),
            cpu_threads: cpu.as_ref().map_or(u64::MAX, CpuLoad::threads).min(self.wants.cpu_threads()),
            rates,
            work_rate_of_best,
            reports_lost,
            start: self.start,
            observed,
        }
    }
}

impl Watched for Reporter<'_> {
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
        let (counters, stuck) = (snapshot.observed.counters(), snapshot.observed.memory.stuck);
        let rates = (snapshot.rates, snapshot.work_rate_of_best);
        if let (true, Some(memory), Some(asked)) = (settled, &self.observer.loads.memory, asked) {
            memory.report_is_out(asked);
        }
        if on_grid {
            self.observer.progress.report_is_out(counters, rates);
        }
        (stuck && self.on_failure == OnFailure::Exit).then_some("memory could not be allocated")
    }

    fn look_due_ns(&self) -> u64 {
        self.next_look_ns
    }

    fn look(&mut self, now_ns: u64) {
        // On the grid, so that it comes with a report where there is one each second.
        self.next_look_ns = next_point_ns(self.next_look_ns, LOOK_EVERY_NS, now_ns);
        self.observer.refresh();
        let Observer { host, wants, loads, .. } = &mut self.observer;
        wants.follow(now_ns, host, loads);
    }
}

impl Answers for Reporter<'_> {
    /// Rates are those of the last report: a scrape may come at any time after it.
    fn metrics(&mut self) -> String {
        let (rates, work_rate_of_best) = self.observer.progress.last;
        let snapshot = self.observer.snapshot(Record::Report, self.sink.lost());
        metrics::render::<WorkloadReport>("workload", &Snapshot { rates, work_rate_of_best, ..snapshot })
    }

    fn readiness(&mut self) -> Result<String, String> {
        let Observer { loads, host, wants, .. } = &self.observer;
        let Some(memory) = &loads.memory else { return Ok("no memory was asked for".into()) };
        let MemoryCounters { phase, populated, correction, .. } = memory.counters();
        let resident = host.process.resident();
        let resident = resident.map_or(populated, |set| set.corrected(correction).held()).rounded();
        let target = match wants.target().memory {
            Some(target) => target.rounded().to_string(),
            None => "all that can be had".into(),
        };
        match (phase, wants.target().memory) {
            (Phase::Holding, _) => Ok(format!("holding {resident} of {target}")),
            (Phase::Limited, None) => Ok(format!("holding {resident}: no more is to be had")),
            (Phase::Limited, Some(_)) => Err(format!("no more to be had: {resident} of {target}")),
            (Phase::Growing, _) => Err(format!("growing: {resident} of {target}")),
        }
    }
}
