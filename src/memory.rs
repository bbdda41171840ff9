//! The memory load: one thread that makes the resident set follow its plan of growth, and keeps it there.

mod brink;
mod gauge;
mod keeper;
mod lookout;
mod pace;

pub use lookout::View;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::clock::{ThreadClock, monotonic_ns};
use crate::fill::Fill;
use crate::growth::Growth;
use crate::host::Correction;
use crate::quantity::{Bytes, Rate};
use crate::threads;
use keeper::Keeper;

/// What the memory load is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct MemoryPlan {
    /// Resident set of the process in the end; `None` grows for ever.
    pub target: Option<Bytes>,
    /// How fast it gets there.
    pub rate: Rate,
    /// In what steps; `None` follows the line closely.
    pub step: Option<Bytes>,
    /// What pages are filled with.
    pub fill: Fill,
    /// Every page is rewritten at least this often; `None` for never.
    pub touch_every: Option<Duration>,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Makes the pages differ from those of every other instance.
    pub seed: u64,
    /// Size of a page in bytes.
    pub page_size: usize,
    /// CPUs that may help to give everything back in the end.
    pub cpus: u64,
}

/// Where the memory load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// On its way to the target.
    Growing,
    /// It has what was asked for.
    Holding,
    /// The last attempt to allocate failed; it tries again.
    Limited,
}

impl Phase {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Growing => "growing",
            Self::Holding => "holding",
            Self::Limited => "limited",
        }
    }

    fn load(from: &AtomicU8) -> Self {
        const ALL: [Phase; 3] = [Phase::Growing, Phase::Holding, Phase::Limited];
        let number = from.load(Ordering::Relaxed);
        // Nothing but a phase is ever stored.
        ALL.into_iter().find(|phase| *phase as u8 == number).unwrap_or(Self::Growing)
    }
}

/// What the thread lets others know.
#[derive(Debug)]
struct Shared {
    clock: OnceLock<ThreadClock>,
    /// The plan and when it began, once the program's own size is known.
    growth: Mutex<Option<(Growth, u64)>>,
    /// What is asked for in the end; `NO_TARGET` for ever more.
    target: AtomicU64,
    /// The process was found in another cgroup.
    moved: AtomicBool,
    /// Reports that growth has waited for, and the last of them that is out.
    reports_asked: AtomicU64,
    reports_out: AtomicU64,
    populated: AtomicU64,
    /// What the cheap count of the resident set lacked at the last exact measurement.
    correction: Mutex<Correction>,
    phase: AtomicU8,
    failed_allocations: AtomicU64,
    /// Not even a page could be had.
    stuck: AtomicBool,
    changed: EventFd,
    /// Time to give everything back.
    ended: AtomicBool,
}

/// Stands for "all that can be had".
const NO_TARGET: u64 = u64::MAX;

impl Shared {
    /// What is asked for in the end; `None` for all that can be had.
    fn target(&self) -> Option<Bytes> {
        let target = self.target.load(Ordering::Relaxed);
        (target != NO_TARGET).then_some(Bytes(target))
    }

    fn growth(&self) -> MutexGuard<'_, Option<(Growth, u64)>> {
        // Nobody panics while holding it.
        self.growth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn correction(&self) -> MutexGuard<'_, Correction> {
        // Nor this one.
        self.correction.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the memory load has done up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryCounters {
    /// Where it is.
    pub phase: Phase,
    /// Resident set that the plan wants now; `None` until there is one.
    pub wanted: Option<Bytes>,
    /// Bytes of pages populated beyond the program itself.
    pub populated: Bytes,
    /// What the cheap count of the resident set lacked at the last exact measurement.
    pub correction: Correction,
    /// Attempts to allocate that failed.
    pub failed_allocations: u64,
    /// Not even a page more can be had at the moment.
    pub stuck: bool,
}

/// The running memory load.
#[derive(Debug)]
pub struct MemoryLoad {
    shared: Arc<Shared>,
    start: Arc<Barrier>,
    thread: Thread,
    /// Told when the thread has begun to give back, closed when it has.
    given_back: Receiver<()>,
}

impl MemoryLoad {
    /// Starts the thread, which waits for [`Self::begin`] and runs until [`Self::end`].
    ///
    /// # Errors
    /// Where the system refuses the thread or the descriptor that tells of changes.
    pub fn start(plan: MemoryPlan, view: View) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            clock: OnceLock::new(),
            growth: Mutex::new(None),
            target: AtomicU64::new(plan.target.map_or(NO_TARGET, |target| target.0)),
            moved: AtomicBool::new(false),
            reports_asked: AtomicU64::new(0),
            reports_out: AtomicU64::new(0),
            populated: AtomicU64::new(0),
            correction: Mutex::default(),
            phase: AtomicU8::new(Phase::Growing as u8),
            failed_allocations: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            changed: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            ended: AtomicBool::new(false),
        });
        let start = Arc::new(Barrier::new(2));
        let (tell, given_back) = sync_channel(1);
        let (its_shared, its_start) = (Arc::clone(&shared), Arc::clone(&start));
        let thread = threads::start("memory", move || {
            its_shared.clock.get_or_init(ThreadClock::of_current);
            its_start.wait();
            its_start.wait();
            Keeper::new(plan, view, &its_shared).run(&tell);
        })?;
        start.wait();
        Ok(Self { shared, start, thread, given_back })
    }

    /// The CPU clock of its thread.
    #[must_use]
    pub fn clock(&self) -> Option<ThreadClock> {
        self.shared.clock.get().copied()
    }

    /// Lets it grow, from what the process has now. Call it once, when all threads have been started.
    pub fn begin(&self) {
        self.start.wait();
    }

    /// Asks for another resident set from now on: growth goes on at its rate, what is too much is given back at
    /// once.
    pub fn change(&self, target: Bytes) {
        self.shared.target.store(target.0, Ordering::Relaxed);
        self.thread.unpark();
    }

    /// Whether growth has found the process in another cgroup since this was last asked.
    #[must_use]
    pub fn take_moved(&self) -> bool {
        self.shared.moved.swap(false, Ordering::Acquire)
    }

    /// How many reports growth has asked for: to be taken before the sample of a report, and handed to
    /// [`Self::report_is_out`] after it has been written.
    #[must_use]
    pub fn reports_asked(&self) -> u64 {
        self.shared.reports_asked.load(Ordering::Acquire)
    }

    /// Lets growth go on that has waited for this report.
    pub fn report_is_out(&self, asked: u64) {
        if self.shared.reports_out.swap(asked, Ordering::Release) != asked {
            self.thread.unpark();
        }
    }

    /// Gives all memory back, faster than the exit of the process would. Where the thread cannot be reached
    /// (it may hang in a page fault) this returns soon all the same: the exit does the rest.
    pub fn end(&self) {
        /// A chunk of memory takes 4 ms at most.
        const TO_BEGIN: Duration = Duration::from_millis(15);
        /// A terabyte on one CPU takes longer, and then the exit goes on with it.
        const TO_FINISH: Duration = Duration::from_secs(10);
        /// It may hang again, where memory is not to be had.
        const TO_FINISH_LIMITED: Duration = Duration::from_millis(200);
        self.shared.ended.store(true, Ordering::Relaxed);
        self.thread.unpark();
        let limited = Phase::load(&self.shared.phase) == Phase::Limited;
        if self.given_back.recv_timeout(TO_BEGIN).is_ok() {
            // Closed, which is an error here, when it is done.
            let _ = self.given_back.recv_timeout(if limited { TO_FINISH_LIMITED } else { TO_FINISH });
        }
    }

    /// Readable when there is something to report: its phase has changed, or growth waits for a report.
    #[must_use]
    pub fn changed(&self) -> &EventFd {
        &self.shared.changed
    }

    /// What it has done up to now.
    #[must_use]
    pub fn counters(&self) -> MemoryCounters {
        let shared = &self.shared;
        let growth = *shared.growth();
        // After that of the growth, as whoever changes it changes the phase first.
        let phase = match Phase::load(&shared.phase) {
            // What it holds is what was asked for before.
            Phase::Holding if growth.is_none_or(|(growth, _)| growth.target != shared.target()) => {
                Phase::Growing
            }
            phase => phase,
        };
        MemoryCounters {
            phase,
            wanted: growth.map(|(growth, began_ns)| {
                growth.wanted(Duration::from_nanos(monotonic_ns().saturating_sub(began_ns)))
            }),
            populated: Bytes(shared.populated.load(Ordering::Relaxed)),
            correction: *shared.correction(),
            failed_allocations: shared.failed_allocations.load(Ordering::Relaxed),
            stuck: shared.stuck.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
