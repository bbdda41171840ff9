//! What the thread of one worker does.

use std::mem::replace;
use std::sync::atomic::Ordering;

use super::{CpuCounters, CpuPlan, Shared, Worker};
use crate::burn::burn;
use crate::clock::{ThreadClock, monotonic_ns};
use crate::duty::Law;
use crate::threads::park_until;

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
    ///
    /// Begins with the plan and the number of changes that there were when it was started, however late it comes to
    /// run: the first workers owe all since the origin of theirs, those that a change has started have no part in it.
    pub(super) fn run(&mut self, mut plan: CpuPlan, mut changes: u64) {
        let mut law = Law::new(plan.duty(self.index, 0));
        loop {
            if self.has_part_in(&plan) {
                self.follow(&mut law, &plan, changes);
            } else {
                self.sleep_until(u64::MAX, changes);
            }
            if self.shared.ended() {
                return;
            }
            changes = self.shared.changes.load(Ordering::Acquire);
            let next = *self.shared.plan();
            let before = replace(&mut plan, next);
            law = self.move_on(law, &before, &plan);
        }
    }

    fn has_part_in(&self, plan: &CpuPlan) -> bool {
        self.index < plan.workers()
    }

    /// The law under another plan. What is owed when the plan changes moves on to the new one, in its count of what
    /// others use. A worker that has no part in it gives up what it owes, and what it has used in advance the first one
    /// makes up for.
    pub(super) fn move_on(&self, mut law: Law, before: &CpuPlan, plan: &CpuPlan) -> Law {
        let used_ns = self.clock.read_ns();
        // One reading for both plans: what comes later is paid under the new one.
        let others = self.shared.others();
        let paid_ns = used_ns + others.paid_by(self.index, before);
        let owed_ns = if self.has_part_in(before) { law.owed_ns(plan.origin_ns, paid_ns) } else { 0 };
        if self.has_part_in(plan) {
            let paid_ns = used_ns + others.paid_by(self.index, plan);
            return law.resume(plan.duty(self.index, paid_ns.cast_signed().saturating_add(owed_ns)));
        }
        match u64::try_from(owed_ns) {
            Ok(owed_ns) => law.forgive(owed_ns),
            Err(_) => {
                self.shared.overdrawn_ns.fetch_add(owed_ns.unsigned_abs(), Ordering::Relaxed);
            }
        }
        self.tell(&law, used_ns);
        law
    }

    fn has_changed(&self, changes: u64) -> bool {
        self.shared.ended() || self.shared.changes.load(Ordering::Acquire) != changes
    }

    /// Sleeps until a time, or until the plan changes.
    fn sleep_until(&self, time_ns: u64, changes: u64) {
        park_until(time_ns, || self.has_changed(changes));
    }

    /// Burns by the law until the plan changes or everything ends.
    fn follow(&mut self, law: &mut Law, plan: &CpuPlan, changes: u64) {
        let mut wake_ns = law.first_wake_ns();
        loop {
            self.sleep_until(wake_ns, changes);
            if self.has_changed(changes) {
                return;
            }
            // Each worker pays its part of what the rest of the process uses.
            let others_ns = self.shared.others().paid_by(self.index, plan);
            let burst = law.begin(monotonic_ns(), self.clock.read_ns() + others_ns);
            self.work_units += burn(burst, self.clock, others_ns, &self.shared.ended);
            let worker_cpu_ns = self.clock.read_ns();
            wake_ns = law.next_wake_ns(monotonic_ns(), worker_cpu_ns + others_ns);
            self.tell(law, worker_cpu_ns);
        }
    }

    /// Lets others know what was done by the time that its CPU clock read `worker_cpu_ns`.
    fn tell(&self, law: &Law, worker_cpu_ns: u64) {
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
