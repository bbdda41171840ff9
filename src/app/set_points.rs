//! Set points: the target in bytes and cores at present, following the limits of the host.

use std::time::Duration;

use tracing::{info, warn};

use super::event_loop::ReportSchedule;
use super::loads::Loads;
use super::process_info::usable_cpus;
use super::refusal::{PROGRAM_THREADS, thread_refusal};
use crate::cpu::{CpuLoad, workers};
use crate::host::Host;
use crate::quantity::{Bytes, Cores};
use crate::report::Wanted;
use crate::sample::Sample;
use crate::target::{Capacity, KnownLimits, Target, TargetSpec};

/// The target as it stands, and what it follows.
pub(super) struct SetPoints {
    spec: TargetSpec,
    target: Target,
    /// The limits that were ever known for certain.
    known: KnownLimits,
    /// CPUs that the process may run on.
    cpus: u64,
    budget: Budget,
    end_ns: Option<u64>,
    /// It has been logged that a thread is refused, and none has been started since.
    logged: bool,
}

/// CPU time wanted, at a rate that may change.
#[derive(Clone, Copy)]
struct Budget {
    rate: Cores,
    since_ns: u64,
    /// Wanted before that.
    before: Duration,
}

impl Budget {
    fn at(&self, time_ns: u64) -> Duration {
        let since = Duration::from_nanos(time_ns.saturating_sub(self.since_ns));
        self.before + since.mul_f64(self.rate.as_f64())
    }
}

impl SetPoints {
    /// The set points of `target`, as resolved from `spec` for the host's `capacity`.
    pub(super) fn new(
        spec: TargetSpec,
        target: Target,
        capacity: &Capacity<'_>,
        schedule: ReportSchedule,
    ) -> Self {
        Self {
            spec,
            target,
            known: capacity.known(),
            cpus: capacity.cpus,
            budget: Budget { rate: target.cpu, since_ns: schedule.started_ns, before: Duration::ZERO },
            end_ns: schedule.end_ns,
            logged: false,
        }
    }

    /// The target as it stands.
    pub(super) fn target(&self) -> Target {
        self.target
    }

    /// CPUs that the process may run on.
    pub(super) fn cpus(&self) -> u64 {
        self.cpus
    }

    /// CPU workers that the target takes.
    pub(super) fn cpu_threads(&self) -> u64 {
        workers(self.target.cpu, self.cpus)
    }

    /// Threads that the process takes in all.
    pub(super) fn threads(&self) -> u64 {
        PROGRAM_THREADS + u64::from(self.target.memory != Some(Bytes(0))) + self.cpu_threads()
    }

    /// What is wanted beside what was observed.
    pub(super) fn beside(&self, observed: &Sample<'_>) -> Wanted {
        let until_ns = self.end_ns.unwrap_or(u64::MAX).min(observed.monotonic_ns);
        Wanted {
            memory_target: self.target.memory,
            memory: observed.memory.wanted,
            cpu: self.target.cpu,
            cpu_time: self.budget.at(until_ns),
        }
    }

    /// Re-resolves shares against the present limits, and lets workers follow the present CPUs.
    pub(super) fn follow(&mut self, now_ns: u64, host: &Host, loads: &mut Loads) {
        let before = (self.target, self.cpu_threads());
        self.cpus = usable_cpus();
        if self.spec.follows() {
            let capacity = Capacity::of(host, self.cpus);
            self.target = self.target.follow(self.spec, self.known, &capacity);
            self.known = self.known.or(capacity.known());
        }
        self.apply_memory(before.0, loads);
        let has_changed = (before.0.cpu, before.1) != (self.target.cpu, self.cpu_threads());
        if has_changed {
            self.log_cpu(before.0);
        }
        if has_changed || self.has_got_threads(loads) {
            self.apply_cpu(now_ns, loads);
        }
    }

    /// Retries threads that were refused before; whether some could be started.
    fn has_got_threads(&self, loads: &mut Loads) -> bool {
        loads.cpu.as_mut().is_some_and(|load| {
            let before = load.threads();
            load.start_up_to(self.cpu_threads());
            load.threads() > before
        })
    }

    fn apply_memory(&self, before: Target, loads: &Loads) {
        if let (Some(memory), Some(target)) = (&loads.memory, self.target.memory)
            && self.target.memory != before.memory
        {
            info!("the memory limit changed: --memory {} is now {}", self.spec.memory, target.rounded());
            memory.change(target);
        }
    }

    fn log_cpu(&self, before: Target) {
        let (spec, cpu, cpus) = (self.spec.cpu, self.target.cpu, self.cpus);
        if cpu == before.cpu {
            info!("--cpu {spec} can now run on {cpus} CPUs");
        } else {
            info!("the CPU limit changed: --cpu {spec} is now {cpu} cores");
        }
    }

    fn apply_cpu(&mut self, now_ns: u64, loads: &mut Loads) {
        let rate = self.target.cpu;
        self.budget = Budget { rate, since_ns: now_ns, before: self.budget.at(now_ns) };
        let Some(load) = &mut loads.cpu else { return };
        load.change(rate, self.cpus, now_ns);
        self.log_refusal(load);
    }

    /// Logs that a thread is refused, unless that has been logged and none has been started since.
    pub(super) fn log_refusal(&mut self, load: &CpuLoad) {
        if let Some(error) = load.refused()
            && !self.logged
        {
            let (threads, wanted) = (load.threads(), self.cpu_threads());
            let why = thread_refusal(error, self.threads());
            warn!(
                "only {threads} of {wanted} threads burn CPU; the rest is given up, and retried every second: {why}"
            );
        }
        self.logged = load.refused().is_some();
    }
}
