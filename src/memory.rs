//! Memory load: one thread that makes the resident set follow a growth schedule, then holds it.

mod chunk_sizer;
mod fill;
mod headroom;
mod report_gate;
mod rss_meter;
mod state;
mod touch_schedule;
mod worker;

pub use fill::{Fill, Filler};
pub use headroom::HostMemory;
pub use state::{MemoryCounters, MemoryPlan, Phase};

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Barrier};
use std::thread::Thread;
use std::time::Duration;

use nix::sys::eventfd::EventFd;

use crate::clock::ThreadClock;
use crate::quantity::Bytes;
use crate::threads;
use state::MemoryState;
use worker::MemoryWorker;

/// The running memory load.
#[derive(Debug)]
pub struct MemoryLoad {
    shared: Arc<MemoryState>,
    start: Arc<Barrier>,
    thread: Thread,
    /// Told when the thread has begun to give back, closed when it has.
    given_back: Receiver<()>,
}

impl MemoryLoad {
    /// Starts the thread, which waits for [`Self::begin`] and runs until [`Self::end`].
    ///
    /// # Errors
    /// Where the system refuses the thread or the descriptor that signals changes.
    pub fn start(plan: MemoryPlan, host: HostMemory) -> io::Result<Self> {
        let shared = Arc::new(MemoryState::new(plan.target)?);
        let start = Arc::new(Barrier::new(2));
        let (tell, given_back) = sync_channel(1);
        let (its_shared, its_start) = (Arc::clone(&shared), Arc::clone(&start));
        let thread = threads::start("memory", move || {
            its_shared.clock.get_or_init(ThreadClock::of_current);
            its_start.wait();
            its_start.wait();
            MemoryWorker::new(plan, host, &its_shared).run(&tell);
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
        self.shared.set_target(target);
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
        let limited = self.shared.phase() == Phase::Limited;
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

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> MemoryCounters {
        self.shared.counters()
    }
}

#[cfg(test)]
mod tests;
