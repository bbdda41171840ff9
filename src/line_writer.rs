//! Line writer: a thread that writes reports, so that a slow reader never blocks the load.
//!
//! The reader of standard output may be slow, gone, a stopped terminal, or a full disk, and a `write` may then block for
//! ever. So it is written by its own thread, a line with one `write`; the sender waits briefly for its line, then goes on.
//! A report that finds the thread still busy is lost: a later one replaces it. (Lines of the log wait in a queue:
//! `log_writer`.)

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::ThreadClock;
use crate::threads;
use nix::errno::Errno;

/// Capacity for a line, so that sending it allocates nothing.
const LINE_BYTES: usize = 8 << 10;

/// The state of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineStatus {
    Written,
    /// Not written yet: its reader is behind.
    Pending,
    Lost(Loss),
}

/// Why a line is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Rejected, as the previous one is still pending.
    Refused,
    Failed(Errno),
}

impl Loss {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Refused => "no reader",
            Self::Failed(error) => error.desc(),
        }
    }
}

/// Lines lost, including those lost after the sender had gone on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Losses {
    pub(crate) count: u64,
    pub(crate) first: Option<Loss>,
    /// The first error of a descriptor that could not be written to.
    pub(crate) failed: Option<Errno>,
}

impl Losses {
    fn add(&mut self, loss: Loss) {
        self.count += 1;
        self.first.get_or_insert(loss);
        if let Loss::Failed(error) = loss {
            self.failed.get_or_insert(error);
        }
    }
}

/// The pending line.
#[derive(Debug)]
struct Slot {
    line: Vec<u8>,
    status: LineStatus,
    losses: Losses,
}

/// A descriptor with a thread that writes to it.
#[derive(Debug)]
pub(crate) struct LineWriter {
    slot: Mutex<Slot>,
    changed: Condvar,
    clock: OnceLock<ThreadClock>,
}

impl LineWriter {
    /// # Errors
    /// Where the system refuses a thread.
    pub(crate) fn open(name: &str, descriptor: impl AsFd + Send + 'static) -> io::Result<Arc<Self>> {
        let line = Vec::with_capacity(LINE_BYTES);
        let slot = Mutex::new(Slot { line, status: LineStatus::Written, losses: Losses::default() });
        let writer = Arc::new(Self { slot, changed: Condvar::new(), clock: OnceLock::new() });
        let its = Arc::clone(&writer);
        threads::start(name, move || {
            its.clock.get_or_init(ThreadClock::of_current);
            its.serve(descriptor.as_fd());
        })?;
        Ok(writer)
    }

    /// The CPU clock of the thread; waits until the thread has begun.
    pub(crate) fn clock(&self) -> ThreadClock {
        *self.clock.wait()
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        // Nobody panics while holding it, and a line would be as good afterwards.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn losses(&self) -> Losses {
        self.lock().losses
    }

    /// Sends a line, unless the previous one is still pending, and waits until it is written, for `patience` at most.
    pub(crate) fn send(&self, line: &[u8], patience: Duration) -> LineStatus {
        self.hand_over(self.lock(), line, patience)
    }

    /// The same, but waits for the previous one first; `patience` covers both.
    pub(crate) fn send_after(&self, line: &[u8], patience: Duration) -> LineStatus {
        let begin = Instant::now();
        let slot = self.settled(self.lock(), patience);
        self.hand_over(slot, line, patience.saturating_sub(begin.elapsed()))
    }

    fn hand_over<'a>(
        &'a self,
        mut slot: MutexGuard<'a, Slot>,
        line: &[u8],
        patience: Duration,
    ) -> LineStatus {
        if slot.status == LineStatus::Pending {
            slot.losses.add(Loss::Refused);
            return LineStatus::Lost(Loss::Refused);
        }
        slot.line.clear();
        slot.line.extend_from_slice(line);
        slot.status = LineStatus::Pending;
        self.changed.notify_all();
        self.settled(slot, patience).status
    }

    /// Waits until no line is pending.
    fn settled<'a>(&self, slot: MutexGuard<'a, Slot>, patience: Duration) -> MutexGuard<'a, Slot> {
        let waited =
            self.changed.wait_timeout_while(slot, patience, |slot| slot.status == LineStatus::Pending);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes lines for ever.
    fn serve(&self, descriptor: BorrowedFd<'_>) {
        let mut line = Vec::with_capacity(LINE_BYTES);
        // A line was cut short: the next one must not look like its continuation.
        let mut torn = false;
        loop {
            let slot = self.lock();
            let waited = self.changed.wait_while(slot, |slot| slot.status != LineStatus::Pending);
            line.clear();
            if torn {
                line.push(b'\n');
            }
            line.extend_from_slice(&waited.unwrap_or_else(PoisonError::into_inner).line);
            let (written, status) = write_all(descriptor, &line);
            torn = if written == 0 { torn } else { written < line.len() };
            self.settle(status);
        }
    }

    /// Counts a loss here, as the sender may have gone on.
    fn settle(&self, status: LineStatus) {
        let mut slot = self.lock();
        slot.status = status;
        if let LineStatus::Lost(loss) = status {
            slot.losses.add(loss);
        }
        self.changed.notify_all();
    }
}

/// Writes as much as possible; more than one `write` only after a short one.
pub(crate) fn write_all(descriptor: BorrowedFd<'_>, line: &[u8]) -> (usize, LineStatus) {
    let mut written = 0;
    while let Some(rest) = line.get(written..).filter(|rest| !rest.is_empty()) {
        match nix::unistd::write(descriptor, rest) {
            Ok(0) => return (written, LineStatus::Lost(Loss::Failed(Errno::EIO))),
            Ok(count) => written += count,
            Err(Errno::EINTR) => {}
            Err(error) => return (written, LineStatus::Lost(Loss::Failed(error))),
        }
    }
    (written, LineStatus::Written)
}
