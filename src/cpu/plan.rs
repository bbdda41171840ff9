//! CPU plan: the load as a whole, and each worker's equal share of it.

use super::duty_cycle::DutySpec;
use crate::quantity::Cores;

/// A worker uses no more than this much of its CPU, so that it has room to catch up.
const FULL_SHARE: f64 = 0.9;

/// The load of all workers together.
#[derive(Clone, Copy, Debug)]
pub struct CpuPlan {
    /// CPU time of the whole process per wall time.
    pub wanted: Cores,
    /// CPUs that the process may run on.
    pub cpus: u64,
    /// When the schedule starts, on the monotonic clock.
    pub origin_ns: u64,
    /// When it ends, if it does.
    pub end_ns: Option<u64>,
    /// The scheduler's tick.
    pub tick_ns: u64,
    /// CPU time of the process in no thread's clock any more: of the container runtime's threads that ran in it before
    /// it became this program.
    pub inherited_ns: u64,
    /// Where in its period the first worker wakes, from 0 to 1: different in every instance, so that the
    /// replicas of a Deployment do not burst together.
    pub phase: f64,
}

/// How many workers it takes to use `wanted`: each leaves some room to catch up, as far as there are CPUs.
#[must_use]
pub fn workers(wanted: Cores, cpus: u64) -> u64 {
    // The cast saturates; more than there are CPUs is cut off.
    ((wanted.as_f64() / FULL_SHARE).ceil() as u64).min(cpus)
}

impl CpuPlan {
    /// How many workers it takes.
    #[must_use]
    pub fn workers(&self) -> u64 {
        workers(self.wanted, self.cpus)
    }

    /// The duty of one worker: an equal share, at its own phase, from `base_ns` of CPU time on.
    pub(super) fn duty(&self, index: u64, base_ns: i64) -> DutySpec {
        let workers = self.workers().max(1) as f64;
        DutySpec {
            share: self.wanted.as_f64() / workers,
            origin_ns: self.origin_ns,
            base_ns,
            end_ns: self.end_ns,
            tick_ns: self.tick_ns,
            phase: (self.phase + index as f64 / workers).fract(),
        }
    }
}
