//! The CPU load: as many threads as it takes, each under its own [`Law`](crate::duty::Law).

mod burner;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use crate::clock::ThreadClock;
use crate::duty::Duty;
use crate::quantity::Cores;
use crate::threads;
use burner::Burner;

/// A worker is asked for no more than this much of its CPU, so that it has room to catch up.
const FULL_SHARE: f64 = 0.9;

/// What all workers together are asked to do.
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
    /// CPU time of the process that no thread's clock tells any more: threads of the container runtime that ran
    /// in it before it became this program.
    pub inherited_ns: u64,
    /// Where in its period the first worker wakes, from 0 to 1: different in every instance, so that the
    /// replicas of a Deployment do not burst together.
    pub phase: f64,
}

/// How many workers it takes to use so much CPU: each leaves some room to catch up, as far as there are CPUs.
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

    /// What one of the workers is to do: an equal share, at its own place in the period, from `base_ns` of CPU
    /// time on.
    fn duty(&self, index: u64, base_ns: i64) -> Duty {
        let workers = self.workers().max(1) as f64;
        Duty {
            share: self.wanted.as_f64() / workers,
            origin_ns: self.origin_ns,
            base_ns,
            end_ns: self.end_ns,
            tick_ns: self.tick_ns,
            phase: (self.phase + index as f64 / workers).fract(),
        }
    }
}

/// What one worker lets others know.
#[derive(Debug, Default)]
struct Worker {
    clock: OnceLock<ThreadClock>,
    /// As of its last burst: taken at one moment, so that rates of one in another are true.
    counters: Mutex<CpuCounters>,
}

/// What the workers have done since the start; all counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuCounters {
    /// CPU time that the workers had used when they had done `work_units`.
    pub worker_cpu_ns: u64,
    /// Units of work done.
    pub work_units: u64,
    /// CPU time given up because it could not be had when it was due.
    pub forgiven_ns: u64,
    /// Wake-ups more than three periods late.
    pub stalls: u64,
    /// How late these were, added up over all workers.
    pub stalled_ns: u64,
}

/// The running workers.
#[derive(Debug)]
pub struct CpuLoad {
    shared: Arc<Shared>,
    /// Those that have been started.
    workers: Vec<(Thread, Arc<Worker>)>,
}

struct Shared {
    /// CPU time in nanoseconds of all other threads.
    others_ns: Box<dyn Fn() -> u64 + Send + Sync>,
    /// What is wanted at present, from when on.
    plan: Mutex<CpuPlan>,
    /// How often that has changed.
    changes: AtomicU64,
    /// CPU time in nanoseconds that workers had used in advance when they lost their part.
    overdrawn_ns: AtomicU64,
    ended: AtomicBool,
}

impl CpuLoad {
    /// Starts the workers, which run until [`Self::end`]. `others_ns` gives the CPU time in nanoseconds of all other
    /// threads, which comes out of the budget.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(plan: &CpuPlan, others_ns: impl Fn() -> u64 + Send + Sync + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            others_ns: Box::new(others_ns),
            plan: Mutex::new(*plan),
            changes: AtomicU64::new(0),
            overdrawn_ns: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let mut load = Self { shared, workers: Vec::new() };
        load.start_up_to(plan.workers())?;
        Ok(load)
    }

    /// Asks for another amount, on so many CPUs, from `now_ns` on. To be called no more often than a burst is long
    /// (125 ms): a worker that misses a plan altogether goes by the one before for as long as it was in force.
    ///
    /// # Errors
    /// Where it takes more threads and the system refuses one: those that run take as much of it as they can, and
    /// give up and count the rest.
    pub fn change(&mut self, wanted: Cores, cpus: u64, now_ns: u64) -> io::Result<()> {
        // Before the plan: new ones have no part in the old one, and owe nothing from it.
        let started = self.start_up_to(workers(wanted, cpus));
        {
            let mut plan = self.shared.plan();
            plan.wanted = wanted;
            plan.cpus = if started.is_ok() { cpus } else { self.threads() };
            plan.origin_ns = now_ns;
        }
        self.shared.changes.fetch_add(1, Ordering::Release);
        for (thread, _) in &self.workers {
            thread.unpark();
        }
        started
    }

    /// Threads that have been started, whether they have a part at present or not.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.workers.len() as u64
    }

    /// Starts threads until there are so many. They wait for [`Self::change`] to give them a part.
    ///
    /// # Errors
    /// Where the system refuses one.
    pub fn start_up_to(&mut self, workers: u64) -> io::Result<()> {
        let (plan, changes) = (*self.shared.plan(), self.shared.changes.load(Ordering::Acquire));
        while self.threads() < workers {
            let (index, worker) = (self.threads(), Arc::new(Worker::default()));
            let (its, shared) = (Arc::clone(&worker), Arc::clone(&self.shared));
            let thread =
                threads::start("burn", move || Burner::new(index, &its, &shared).run(plan, changes))?;
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

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, CpuPlan> {
        // Nobody panics while holding it.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// What the rest of the process has used up to now.
    fn others(&self) -> Others {
        Others { used_ns: (self.others_ns)(), overdrawn_ns: self.overdrawn_ns.load(Ordering::Relaxed) }
    }
}

/// CPU time that is not the worker's own and comes out of the budget.
#[derive(Clone, Copy, Debug)]
struct Others {
    /// Of threads that do not burn.
    used_ns: u64,
    /// Of workers that have no part any more, in advance.
    overdrawn_ns: u64,
}

impl Others {
    /// What one worker pays of it: an equal part, and the first one what was overdrawn, so that nothing of it depends
    /// on who notices when that the plan has changed.
    fn paid_by(self, index: u64, plan: &CpuPlan) -> u64 {
        let overdrawn_ns = if index == 0 { self.overdrawn_ns } else { 0 };
        (plan.inherited_ns + self.used_ns) / plan.workers().max(1) + overdrawn_ns
    }
}

impl Worker {
    fn lock(&self) -> MutexGuard<'_, CpuCounters> {
        // Nobody panics while holding it.
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::Law;

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
        let shared = Shared {
            others_ns: Box::new(|| 3_000_000_000),
            plan: Mutex::new(plan(1_000_000_000, 2)),
            changes: AtomicU64::new(0),
            overdrawn_ns: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        };
        let before = *shared.plan();
        let after = CpuPlan { wanted: Cores::from_nano(500_000_000), origin_ns: 2_000_000_000, ..before };
        let workers = [Worker::default(), Worker::default()];
        let burners = [0, 1].map(|index| Burner::new(index as u64, &workers[index], &shared));
        let laws = [0, 1].map(|index| Law::new(before.duty(index, 0)));
        // Both clocks are that of this thread, which goes on: they are given as if nothing had been burnt.
        let part_ns = shared.others().paid_by(0, &before);
        let owed_before = laws.iter().map(|law| law.owed_ns(after.origin_ns, part_ns)).sum();
        let [first, second] = laws;
        let first = if first_notices_first {
            let first = burners[0].move_on(first, &before, &after);
            burners[1].move_on(second, &before, &after);
            first
        } else {
            burners[1].move_on(second, &before, &after);
            burners[0].move_on(first, &before, &after)
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
