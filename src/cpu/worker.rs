//! CPU worker thread: follows the plan by duty cycle and busy loop.

use std::mem::replace;
use std::sync::atomic::Ordering;

use super::busy_loop::burn;
use super::duty_cycle::DutyCycle;
use super::plan::CpuPlan;
use super::state::{CpuCounters, CpuState, WorkerState};
use crate::clock::{ThreadClock, monotonic_ns};
use crate::threads::park_until;

/// The state of one worker's thread.
pub(super) struct CpuWorker<'a> {
    index: u64,
    worker: &'a WorkerState,
    shared: &'a CpuState,
    clock: ThreadClock,
    work_units: u64,
}

impl<'a> CpuWorker<'a> {
    /// For the thread that calls.
    pub(super) fn new(index: u64, worker: &'a WorkerState, shared: &'a CpuState) -> Self {
        let clock = *worker.clock.get_or_init(ThreadClock::of_current);
        Self { index, worker, shared, clock, work_units: 0 }
    }

    /// Follows one plan after the other until the end.
    ///
    /// Begins with the plan and the number of changes as of its start, however late it comes to run: the first workers
    /// owe all since the plan's origin, those that a change has started have no share of it.
    pub(super) fn run(&mut self, mut plan: CpuPlan, mut changes: u64) {
        let mut cycle = DutyCycle::new(plan.duty(self.index, 0));
        loop {
            if self.has_share_of(&plan) {
                self.follow(&mut cycle, &plan, changes);
            } else {
                self.sleep_until(u64::MAX, changes);
            }
            if self.shared.ended() {
                return;
            }
            changes = self.shared.changes.load(Ordering::Acquire);
            let next = *self.shared.plan();
            let before = replace(&mut plan, next);
            cycle = self.move_on(cycle, &before, &plan);
        }
    }

    fn has_share_of(&self, plan: &CpuPlan) -> bool {
        self.index < plan.workers()
    }

    /// The cycle under another plan. What is owed when the plan changes carries over, in the new plan's count of what
    /// others use. A worker without a share of it gives up what it owes; what it has used in advance is made up for by
    /// the first worker.
    pub(super) fn move_on(&self, mut cycle: DutyCycle, before: &CpuPlan, plan: &CpuPlan) -> DutyCycle {
        let used_ns = self.clock.read_ns();
        // One reading for both plans: what comes later is paid under the new one.
        let others = self.shared.others();
        let paid_ns = used_ns + others.paid_by(self.index, before);
        let owed_ns = if self.has_share_of(before) { cycle.owed_ns(plan.origin_ns, paid_ns) } else { 0 };
        if self.has_share_of(plan) {
            let paid_ns = used_ns + others.paid_by(self.index, plan);
            return cycle.resume(plan.duty(self.index, paid_ns.cast_signed().saturating_add(owed_ns)));
        }
        match u64::try_from(owed_ns) {
            Ok(owed_ns) => cycle.forgive(owed_ns),
            Err(_) => {
                self.shared.overdrawn_ns.fetch_add(owed_ns.unsigned_abs(), Ordering::Relaxed);
            }
        }
        self.publish(&cycle, used_ns);
        cycle
    }

    fn has_changed(&self, changes: u64) -> bool {
        self.shared.ended() || self.shared.changes.load(Ordering::Acquire) != changes
    }

    /// Sleeps until a time, or until the plan changes.
    fn sleep_until(&self, time_ns: u64, changes: u64) {
        park_until(time_ns, || self.has_changed(changes));
    }

    /// Follows the cycle until the plan changes or everything ends.
    fn follow(&mut self, cycle: &mut DutyCycle, plan: &CpuPlan, changes: u64) {
        let mut wake_ns = cycle.first_wake_ns();
        loop {
            self.sleep_until(wake_ns, changes);
            if self.has_changed(changes) {
                return;
            }
            // Each worker pays its part of what the rest of the process uses.
            let others_ns = self.shared.others().paid_by(self.index, plan);
            let burst = cycle.begin(monotonic_ns(), self.clock.read_ns() + others_ns);
            self.work_units += burn(burst, self.clock, others_ns, &self.shared.ended);
            let worker_cpu_ns = self.clock.read_ns();
            wake_ns = cycle.next_wake_ns(monotonic_ns(), worker_cpu_ns + others_ns);
            self.publish(cycle, worker_cpu_ns);
        }
    }

    /// Publishes what was done by the time that its CPU clock read `worker_cpu_ns`.
    fn publish(&self, cycle: &DutyCycle, worker_cpu_ns: u64) {
        let (stalls, stalled_ns) = cycle.stalls();
        *self.worker.lock() = CpuCounters {
            worker_cpu_ns,
            work_units: self.work_units,
            forgiven_ns: cycle.forgiven_ns(),
            stalls,
            stalled_ns,
        };
    }
}
