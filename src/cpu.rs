//! CPU load: worker threads that follow a [`DutyCycle`](duty_cycle::DutyCycle) each.

pub mod busy_loop;
pub mod duty_cycle;
mod plan;
mod state;
mod worker;

pub use plan::{CpuPlan, workers};
pub use state::CpuCounters;

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Thread;

use crate::clock::monotonic_ns;
use crate::quantity::Cores;
use crate::threads;
use state::{CpuState, WorkerState};
use worker::CpuWorker;

/// The running workers.
#[derive(Debug)]
pub struct CpuLoad {
    shared: Arc<CpuState>,
    /// Those that have been started.
    workers: Vec<(Thread, Arc<WorkerState>)>,
    /// Why there are fewer than the plan takes.
    refused: Option<io::Error>,
}

impl CpuLoad {
    /// Starts the workers, which run until [`Self::end`]. `others_ns` gives the CPU time in nanoseconds of all other
    /// threads, which comes out of the budget.
    ///
    /// # Errors
    /// Where the system refuses the first worker. Where it refuses another one, those that there are burn as much as they can: see
    /// [`Self::refused`].
    pub fn start(plan: &CpuPlan, others_ns: impl Fn() -> u64 + Send + Sync + 'static) -> io::Result<Self> {
        let shared = Arc::new(CpuState::new(plan, others_ns));
        let mut load = Self { shared, workers: Vec::new(), refused: None };
        load.start_up_to(plan.workers());
        match load.refused.take() {
            Some(error) if load.workers.is_empty() => return Err(error),
            Some(error) => {
                load.share(plan.wanted, load.threads(), monotonic_ns());
                load.refused = Some(error);
            }
            None => {}
        }
        Ok(load)
    }

    /// Why there are fewer workers than the plan takes: they count as given up what they cannot burn.
    #[must_use]
    pub fn refused(&self) -> Option<&io::Error> {
        self.refused.as_ref()
    }

    /// Changes the plan to `wanted` on `cpus` CPUs from `now_ns` on. To be called no more often than a burst is long
    /// (125 ms): a worker that misses a plan altogether follows the previous one meanwhile. It may take more threads, which may be
    /// [refused](Self::refused).
    pub fn change(&mut self, wanted: Cores, cpus: u64, now_ns: u64) {
        // Before the plan changes: new workers have no share of the old one, and owe nothing from it.
        self.start_up_to(workers(wanted, cpus));
        self.share(wanted, if self.refused.is_none() { cpus } else { self.threads() }, now_ns);
    }

    /// Shares `wanted` among the workers for `cpus` CPUs.
    fn share(&self, wanted: Cores, cpus: u64, now_ns: u64) {
        {
            let mut plan = self.shared.plan();
            plan.wanted = wanted;
            plan.cpus = cpus;
            plan.origin_ns = now_ns;
        }
        self.shared.changes.fetch_add(1, Ordering::Release);
        for (thread, _) in &self.workers {
            thread.unpark();
        }
    }

    /// Threads started so far, with or without a share at present.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.workers.len() as u64
    }

    /// Starts threads until there are `workers`, or one is refused. They wait for [`Self::change`] to give them a share.
    pub fn start_up_to(&mut self, workers: u64) {
        self.refused = self.try_start_up_to(workers).err();
    }

    fn try_start_up_to(&mut self, workers: u64) -> io::Result<()> {
        let (plan, changes) = (*self.shared.plan(), self.shared.changes.load(Ordering::Acquire));
        while self.threads() < workers {
            let (index, worker) = (self.threads(), Arc::new(WorkerState::default()));
            let (its, shared) = (Arc::clone(&worker), Arc::clone(&self.shared));
            let thread =
                threads::start("burn", move || CpuWorker::new(index, &its, &shared).run(plan, changes))?;
            self.workers.push((thread, worker));
        }
        Ok(())
    }

    /// Makes the workers stop burning at once.
    pub fn end(&self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }

    /// What the workers had done by the end of their last burst. Reads the clock of each as well, which makes that
    /// of the process exact.
    #[must_use]
    pub fn counters(&self) -> CpuCounters {
        self.workers.iter().fold(CpuCounters::default(), |sum, (_, worker)| {
            let _ = worker.clock.get().map(|clock| clock.read_ns());
            let own = *worker.lock();
            CpuCounters {
                worker_cpu_ns: sum.worker_cpu_ns + own.worker_cpu_ns,
                work_units: sum.work_units + own.work_units,
                forgiven_ns: sum.forgiven_ns + own.forgiven_ns,
                stalls: sum.stalls + own.stalls,
                stalled_ns: sum.stalled_ns + own.stalled_ns,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::duty_cycle::DutyCycle;
    use super::*;
    use crate::clock::ThreadClock;

    fn plan(nano: u64, cpus: u64) -> CpuPlan {
        CpuPlan {
            wanted: Cores::from_nano(nano),
            cpus,
            origin_ns: 0,
            end_ns: None,
            tick_ns: 4_000_000,
            inherited_ns: 0,
            phase: 0.9,
        }
    }

    #[test]
    fn it_takes_as_many_threads_as_leave_room_to_catch_up() {
        assert_eq!(plan(0, 2).workers(), 0);
        assert_eq!(plan(1, 2).workers(), 1);
        assert_eq!(plan(900_000_000, 2).workers(), 1);
        assert_eq!(plan(1_000_000_000, 2).workers(), 2);
        assert_eq!(plan(1_500_000_000, 2).workers(), 2);
        assert_eq!(plan(1_500_000_000, 1).workers(), 1, "no more than there are CPUs");
        assert_eq!(plan(u64::MAX, 64).workers(), 64);
    }

    /// Two workers of a whole core, others having used up more than they should have; then half a core, which is one
    /// worker's. What is owed by both in nanoseconds, before and after.
    fn owed_over_a_change(first_notices_first: bool) -> (i64, i64) {
        let shared = CpuState::new(&plan(1_000_000_000, 2), || 3_000_000_000);
        let before = *shared.plan();
        let after = CpuPlan { wanted: Cores::from_nano(500_000_000), origin_ns: 2_000_000_000, ..before };
        let workers = [WorkerState::default(), WorkerState::default()];
        let cpu_workers = [0, 1].map(|index| CpuWorker::new(index as u64, &workers[index], &shared));
        let cycles = [0, 1].map(|index| DutyCycle::new(before.duty(index, 0)));
        // Both clocks are that of this thread, which goes on: they are given as if nothing had been burnt.
        let part_ns = shared.others().paid_by(0, &before);
        let owed_before = cycles.iter().map(|cycle| cycle.owed_ns(after.origin_ns, part_ns)).sum();
        let [first, second] = cycles;
        let first = if first_notices_first {
            let first = cpu_workers[0].move_on(first, &before, &after);
            cpu_workers[1].move_on(second, &before, &after);
            first
        } else {
            cpu_workers[1].move_on(second, &before, &after);
            cpu_workers[0].move_on(first, &before, &after)
        };
        (owed_before, first.owed_ns(after.origin_ns, shared.others().paid_by(0, &after)))
    }

    #[test]
    fn what_was_used_in_advance_is_owed_whoever_notices_the_change_first() {
        for first_notices_first in [true, false] {
            let (before, after) = owed_over_a_change(first_notices_first);
            assert_eq!(before, -1_000_000_000);
            // But for what this thread has used itself, which counts once for each of the two.
            let own_ns = 4 * ThreadClock::of_current().read_ns();
            assert!(before.abs_diff(after) <= own_ns, "{after} of {before}");
            assert!(own_ns < 400_000_000, "or this says nothing");
        }
    }

    #[test]
    fn shares_are_equal_and_phases_spread() {
        let plan = plan(1_500_000_000, 2);
        let (first, second) = (plan.duty(0, 0), plan.duty(1, 0));
        assert_eq!((first.share, second.share), (0.75, 0.75));
        assert!((first.phase - 0.9).abs() < 1e-9 && (second.phase - 0.4).abs() < 1e-9);
    }
}
