//! Takes a sample, puts it beside what was wanted, and writes the record.

use std::io;
use std::time::Duration;

use nix::sys::eventfd::EventFd;
use tracing::{info, warn};

use super::facts::usable_cpus;
use super::sink::Sink;
use super::watch::{Schedule, Watched};
use crate::clock::ThreadClock;
use crate::config::{Args, OnFailure};
use crate::cpu::CpuLoad;
use crate::goal::{Asked, Goal, Offer};
use crate::host::{Correction, Host, HostReadings};
use crate::memory::{MemoryCounters, MemoryLoad, Phase};
use crate::quantity::{Bytes, Cores};
use crate::report::{Record, Snapshot, Start, Wanted, WorkloadReport, metrics};
use crate::sample::{Counters, Rates, Sample};
use crate::serve::Answers;

/// Writes records, and lets what is wanted follow the limits.
pub(super) struct Reporter<'a> {
    pub(super) memory: Option<MemoryLoad>,
    pub(super) cpu: Option<CpuLoad>,
    host: &'a Host,
    start: &'a Start,
    asked: Asked,
    goal: Goal,
    on_failure: OnFailure,
    schedule: Schedule,
    budget: Budget,
    sink: Sink,
    /// At the last report of the grid, the start included: what rates count from.
    base: Option<Counters>,
    best_work_rate: f64,
    /// What the cheap count of the program's own resident set lacks.
    own: Correction,
}

/// CPU time wanted, which may change its rate.
#[derive(Clone, Copy)]
struct Budget {
    rate: Cores,
    since_ns: u64,
    /// Wanted until then.
    before: Duration,
}

impl Budget {
    fn at(&self, time_ns: u64) -> Duration {
        let since = Duration::from_nanos(time_ns.saturating_sub(self.since_ns));
        self.before + since.mul_f64(self.rate.as_f64())
    }
}

impl<'a> Reporter<'a> {
    pub(super) fn new(
        args: &Args,
        host: &'a Host,
        start: &'a Start,
        asked: Asked,
        goal: Goal,
        schedule: Schedule,
    ) -> io::Result<Self> {
        Ok(Self {
            memory: None,
            cpu: None,
            host,
            start,
            asked,
            goal,
            on_failure: args.on_failure,
            schedule,
            budget: Budget { rate: goal.cpu, since_ns: schedule.started_ns, before: Duration::ZERO },
            sink: Sink::open(args.reports.format)?,
            base: None,
            best_work_rate: 0.0,
            own: host.process.correction(),
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
        Some(self.sink.clock())
    }

    /// What has been observed and what was wanted, now.
    fn snapshot<'s>(&mut self, record: Record<'s>) -> Snapshot<'s>
    where
        'a: 's,
    {
        // Where nothing was asked for it is held from the start.
        let idle_phase = if self.goal.memory == Some(Bytes(0)) { Phase::Holding } else { Phase::Growing };
        let observed =
            Sample::take(self.host, self.memory.as_ref(), (idle_phase, self.own), self.cpu.as_ref());
        let counters = observed.counters();
        // Over less than half of an interval a rate says little.
        let base = self.base.filter(|base| counters.since(*base) >= self.schedule.interval / 2);
        let rates = base.map(|base| Rates::between(base, counters)).unwrap_or_default();
        Snapshot {
            record,
            elapsed: Duration::from_nanos(observed.monotonic_ns.saturating_sub(self.schedule.started_ns)),
            wanted: self.wanted(&observed),
            rates,
            work_rate_of_best: rates.work_units_per_cpu_second.map(|rate| {
                self.best_work_rate = self.best_work_rate.max(rate);
                rate / self.best_work_rate
            }),
            reports_lost: self.sink.lost(),
            start: self.start,
            observed,
        }
    }

    fn wanted(&self, observed: &Sample<'_>) -> Wanted {
        let until_ns = self.schedule.end_ns.unwrap_or(u64::MAX).min(observed.monotonic_ns);
        Wanted {
            memory_target: self.goal.memory,
            memory: observed.memory.wanted,
            cpu: self.goal.cpu,
            cpu_time: self.budget.at(until_ns),
        }
    }

    /// Lets a percentage follow its limit.
    fn follow(&mut self, now_ns: u64, readings: &HostReadings<'_>) {
        if !self.asked.follows_memory() && !self.asked.follows_cpu() {
            return;
        }
        let cpus = if self.asked.follows_cpu() { usable_cpus() } else { self.start.cpus };
        // What is not known at the moment changes nothing.
        let Ok(goal) = Goal::resolve(self.asked, &Offer::new(readings, cpus)) else { return };
        if let (Some(memory), Some(target)) = (&self.memory, goal.memory)
            && goal.memory != self.goal.memory
        {
            info!("the memory limit has changed: --memory {} is {} now", self.asked.memory, target.rounded());
            memory.change(target);
        }
        if let Some(cpu) = &mut self.cpu
            && goal.cpu != self.goal.cpu
        {
            info!("the CPU limit has changed: --cpu {} is {} cores now", self.asked.cpu, goal.cpu);
            self.budget = Budget { rate: goal.cpu, since_ns: now_ns, before: self.budget.at(now_ns) };
            if let Err(error) = cpu.change(goal.cpu) {
                warn!("no further thread to burn CPU in, those that run do what they can: {error}");
            }
        }
        self.goal = goal;
    }
}

impl Watched for Reporter<'_> {
    fn changed(&self) -> Option<&EventFd> {
        self.memory.as_ref().map(MemoryLoad::changed)
    }

    fn record(&mut self, record: Record<'_>, on_grid: bool) -> Option<&'static str> {
        let asked = self.memory.as_ref().map(MemoryLoad::reports_asked);
        let snapshot = self.snapshot(record);
        let settled = self.sink.write::<WorkloadReport>(&snapshot);
        if let (true, Some(memory), Some(asked)) = (settled, &self.memory, asked) {
            memory.report_is_out(asked);
        }
        if on_grid {
            self.base = Some(snapshot.observed.counters());
            self.follow(snapshot.observed.monotonic_ns, &snapshot.observed.host);
        }
        let give_up = snapshot.observed.memory.stuck && self.on_failure == OnFailure::Exit;
        give_up.then_some("memory could not be allocated")
    }
}

impl Answers for Reporter<'_> {
    fn metrics(&mut self) -> String {
        metrics::render::<WorkloadReport>("workload", &self.snapshot(Record::Report))
    }

    fn readiness(&mut self) -> Result<String, String> {
        let Some(memory) = &self.memory else { return Ok("no memory was asked for".into()) };
        let MemoryCounters { phase, populated, correction, .. } = memory.counters();
        let resident = self.host.process.resident();
        let resident = resident.map_or(populated, |set| set.corrected(correction).held()).rounded();
        let target = match self.goal.memory {
            Some(target) => target.rounded().to_string(),
            None => "all that can be had".into(),
        };
        match (phase, self.goal.memory) {
            (Phase::Holding, _) => Ok(format!("holding {resident} of {target}")),
            (Phase::Limited, None) => Ok(format!("holding {resident}: no more is to be had")),
            (Phase::Limited, Some(_)) => Err(format!("no more to be had: {resident} of {target}")),
            (Phase::Growing, _) => Err(format!("growing: {resident} of {target}")),
        }
    }
}
