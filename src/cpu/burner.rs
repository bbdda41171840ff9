//! What the thread of one worker does.

use std::sync::atomic::Ordering;

use super::{CpuCounters, CpuPlan, Shared, Worker};
use crate::burn::burn;
use crate::clock::{ThreadClock, monotonic_ns, sleep_until};
use crate::duty::Law;

/// How long a worker that may be told otherwise sleeps at most.
const LONGEST_SLEEP_NS: u64 = 1_000_000_000;

/// What a worker's thread has at hand.
pub(super) struct Burner<'a> {
    index: u64,
    worker: &'a Worker,
    shared: &'a Shared,
    clock: ThreadClock,
    work_units: u64,
}

impl<'a> Burner<'a> {
    /// For the thread that calls.
    pub(super) fn new(index: u64, worker: &'a Worker, shared: &'a Shared) -> Self {
        let clock = *worker.clock.get_or_init(ThreadClock::of_current);
        Self { index, worker, shared, clock, work_units: 0 }
    }

    /// Follows one plan after the other until the end.
    pub(super) fn run(&mut self) {
        let mut changes = self.shared.changes.load(Ordering::Acquire);
        let mut plan = *self.shared.plan();
        // One that a change has started begins with nothing owed; the first ones owe all since the origin.
        let base_ns = if changes == 0 { 0 } else { self.shared.part_of_others_ns(&plan) };
        let mut law = Law::new(plan.duty(self.index, base_ns));
        loop {
            let active = self.index < plan.workers();
            if active {
                self.follow(&mut law, &plan, changes);
            } else {
                self.wait_for_a_change(changes);
            }
            if self.shared.ended() {
                return;
            }
            let before = plan;
            changes = self.shared.changes.load(Ordering::Acquire);
            plan = *self.shared.plan();
            // What is owed when the plan changes moves on to the new one, in its count of what others use.
            let used_ns = self.clock.read_ns();
            let owed_ns = law.owed_ns(plan.origin_ns, used_ns + self.shared.part_of_others_ns(&before));
            let owed_ns = if active { owed_ns } else { 0 };
            let base_ns = (used_ns + self.shared.part_of_others_ns(&plan)).saturating_add_signed(owed_ns);
            law = law.resume(plan.duty(self.index, base_ns));
        }
    }

    fn has_changed(&self, changes: u64) -> bool {
        self.shared.ended() || self.shared.changes.load(Ordering::Acquire) != changes
    }

    fn wait_for_a_change(&self, changes: u64) {
        while !self.has_changed(changes) {
            sleep_until(monotonic_ns() + LONGEST_SLEEP_NS);
        }
    }

    /// Burns by the law until the plan changes or everything ends.
    fn follow(&mut self, law: &mut Law, plan: &CpuPlan, changes: u64) {
        let mut wake_ns = law.first_wake_ns();
        while !self.has_changed(changes) {
            let soon_ns = monotonic_ns() + LONGEST_SLEEP_NS;
            if plan.changes && wake_ns > soon_ns {
                sleep_until(soon_ns);
                continue;
            }
            sleep_until(wake_ns);
            // Each worker pays its part of what the rest of the process uses.
            let others_ns = self.shared.part_of_others_ns(plan);
            let burst = law.begin(monotonic_ns(), self.clock.read_ns() + others_ns);
            self.work_units += burn(burst, self.clock, others_ns, &self.shared.ended);
            let worker_cpu_ns = self.clock.read_ns();
            wake_ns = law.next_wake_ns(monotonic_ns(), worker_cpu_ns + others_ns);
            let (stalls, stalled_ns) = law.stalls();
            *self.worker.lock() = CpuCounters {
                worker_cpu_ns,
                work_units: self.work_units,
                forgiven_ns: law.forgiven_ns(),
                stalls,
                stalled_ns,
            };
        }
    }
}
