//! State shared between the CPU load's workers and their controller: the plan, the counters.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::plan::CpuPlan;
use crate::clock::ThreadClock;

/// What one worker publishes.
#[derive(Debug, Default)]
pub(super) struct WorkerState {
    pub(super) clock: OnceLock<ThreadClock>,
    /// As of its last burst: all taken at one moment, so that their ratios are consistent.
    counters: Mutex<CpuCounters>,
}

/// What the workers have done since the start; all counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters {
    /// CPU time that the workers had used when they had done `work_units`.
    pub worker_cpu_ns: u64,
    /// Units of work done.
    pub work_units: u64,
    /// CPU time given up because it was not available when due.
    pub forgiven_ns: u64,
    /// Wake-ups more than three periods late.
    pub stalls: u64,
    /// How late these were, added up over all workers.
    pub stalled_ns: u64,
}

/// What all workers and their controller share.
pub(super) struct CpuState {
    /// CPU time in nanoseconds of all other threads.
    others_ns: Box<dyn Fn() -> u64 + Send + Sync>,
    /// The present plan.
    plan: Mutex<CpuPlan>,
    /// How often the plan has changed.
    pub(super) changes: AtomicU64,
    /// CPU time in nanoseconds that workers had used in advance when they lost their share.
    pub(super) overdrawn_ns: AtomicU64,
    pub(super) ended: AtomicBool,
}

impl fmt::Debug for CpuState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuState").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl CpuState {
    pub(super) fn new(plan: &CpuPlan, others_ns: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            others_ns: Box::new(others_ns),
            plan: Mutex::new(*plan),
            changes: AtomicU64::new(0),
            overdrawn_ns: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn plan(&self) -> MutexGuard<'_, CpuPlan> {
        // Nobody panics while holding it.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// What the rest of the process has used so far.
    pub(super) fn others(&self) -> OtherThreads {
        OtherThreads { used_ns: (self.others_ns)(), overdrawn_ns: self.overdrawn_ns.load(Ordering::Relaxed) }
    }
}

/// CPU time that is not the worker's own and comes out of the budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherThreads {
    /// Of threads that do not burn.
    used_ns: u64,
    /// Used in advance by workers that have no share any more.
    overdrawn_ns: u64,
}

impl OtherThreads {
    /// What one worker pays of it: an equal part, and the first worker what was overdrawn, so that the result does not
    /// depend on the order in which workers notice a change of plan.
    pub(super) fn paid_by(self, index: u64, plan: &CpuPlan) -> u64 {
        let overdrawn_ns = if index == 0 { self.overdrawn_ns } else { 0 };
        (plan.inherited_ns + self.used_ns) / plan.workers().max(1) + overdrawn_ns
    }
}

impl WorkerState {
    pub(super) fn lock(&self) -> MutexGuard<'_, CpuCounters> {
        // Nobody panics while holding it.
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
