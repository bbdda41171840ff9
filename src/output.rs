//! Standard output and standard error that can never hold the load up.
//!
//! Whoever reads them may be slow, gone, a stopped terminal, or a full disk, and a `write` may then wait for
//! ever. So each is written by a thread of its own, a line with one `write`; who has a line waits a moment for
//! it to be out, and then goes on. What finds the thread still busy is lost.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tracing::warn;

use crate::clock::ThreadClock;
use crate::threads;

/// Room for a line, so that handing it over allocates nothing.
const LINE_BYTES: usize = 8 << 10;

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Written,
    /// It waits for its reader.
    Pending,
    Lost(Loss),
}

/// Why a line is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// It was not taken, as the one before still waits.
    Refused,
    Failed(Errno),
}

impl Loss {
    fn reason(self) -> &'static str {
        match self {
            Self::Refused => "nobody reads it",
            Self::Failed(error) => error.desc(),
        }
    }
}

/// Lines lost: those whose loss shows only when nobody waits for them any more as well.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    count: u64,
    first: Option<Loss>,
}

impl Losses {
    fn add(&mut self, loss: Loss) {
        self.count += 1;
        self.first.get_or_insert(loss);
    }
}

/// The line under way.
#[derive(Debug)]
struct Slot {
    line: Vec<u8>,
    fate: Fate,
    losses: Losses,
}

/// A descriptor with a thread that writes to it.
#[derive(Debug)]
struct Channel {
    slot: Mutex<Slot>,
    changed: Condvar,
    clock: OnceLock<ThreadClock>,
}

impl Channel {
    /// # Errors
    /// Where the system refuses a thread.
    fn open(name: &str, descriptor: impl AsFd + Send + 'static) -> io::Result<Arc<Self>> {
        let line = Vec::with_capacity(LINE_BYTES);
        let slot = Mutex::new(Slot { line, fate: Fate::Written, losses: Losses::default() });
        let channel = Arc::new(Self { slot, changed: Condvar::new(), clock: OnceLock::new() });
        let its = Arc::clone(&channel);
        threads::start(name, move || {
            its.clock.get_or_init(ThreadClock::of_current);
            its.serve(descriptor.as_fd());
        })?;
        Ok(channel)
    }

    /// The CPU clock of the thread, which says it first of all: until then this waits.
    fn clock(&self) -> ThreadClock {
        *self.clock.wait()
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        // Nobody panics while holding it, and a line would be as good afterwards.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn losses(&self) -> Losses {
        self.lock().losses
    }

    /// Hands a line over, unless the one before is still under way, and waits for it to be written.
    fn send(&self, line: &[u8], patience: Duration) -> Fate {
        self.hand_over(self.lock(), line, patience)
    }

    /// The same, but waits for the one before as well; for both together no longer than `patience`.
    fn send_after(&self, line: &[u8], patience: Duration) -> Fate {
        let begin = Instant::now();
        let slot = self.settled(self.lock(), patience);
        self.hand_over(slot, line, patience.saturating_sub(begin.elapsed()))
    }

    fn hand_over<'a>(&'a self, mut slot: MutexGuard<'a, Slot>, line: &[u8], patience: Duration) -> Fate {
        if slot.fate == Fate::Pending {
            slot.losses.add(Loss::Refused);
            return Fate::Lost(Loss::Refused);
        }
        slot.line.clear();
        slot.line.extend_from_slice(line);
        slot.fate = Fate::Pending;
        self.changed.notify_all();
        self.settled(slot, patience).fate
    }

    /// Waits until no line is under way.
    fn settled<'a>(&self, slot: MutexGuard<'a, Slot>, patience: Duration) -> MutexGuard<'a, Slot> {
        let waited = self.changed.wait_timeout_while(slot, patience, |slot| slot.fate == Fate::Pending);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Writes lines for ever.
    fn serve(&self, descriptor: BorrowedFd<'_>) {
        let mut line = Vec::with_capacity(LINE_BYTES);
        // A record was cut in the middle: the next one must not seem to be its rest.
        let mut torn = false;
        loop {
            let slot = self.lock();
            let waited = self.changed.wait_while(slot, |slot| slot.fate != Fate::Pending);
            line.clear();
            if torn {
                line.push(b'\n');
            }
            line.extend_from_slice(&waited.unwrap_or_else(PoisonError::into_inner).line);
            let (written, fate) = write_all(descriptor, &line);
            torn = if written == 0 { torn } else { written < line.len() };
            self.settle(fate);
        }
    }

    /// Counts a loss here, as whoever sent the line may have gone on.
    fn settle(&self, fate: Fate) {
        let mut slot = self.lock();
        slot.fate = fate;
        if let Fate::Lost(loss) = fate {
            slot.losses.add(loss);
        }
        self.changed.notify_all();
    }
}

/// Writes as much as can be; more than one `write` only where one was cut short.
fn write_all(descriptor: BorrowedFd<'_>, line: &[u8]) -> (usize, Fate) {
    let mut written = 0;
    while let Some(rest) = line.get(written..).filter(|rest| !rest.is_empty()) {
        match nix::unistd::write(descriptor, rest) {
            Ok(0) => return (written, Fate::Lost(Loss::Failed(Errno::EIO))),
            Ok(count) => written += count,
            Err(Errno::EINTR) => {}
            Err(error) => return (written, Fate::Lost(Loss::Failed(error))),
        }
    }
    (written, Fate::Written)
}

/// Standard output, for reports alone.
#[derive(Debug)]
pub struct Reports {
    channel: Arc<Channel>,
    /// What was lost first was said.
    told: bool,
}

impl Reports {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Where the system refuses it.
    pub fn open() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(descriptor: impl AsFd + Send + 'static) -> io::Result<Self> {
        Ok(Self { channel: Channel::open("stdout", descriptor)?, told: false })
    }

    /// The CPU clock of the thread that writes.
    #[must_use]
    pub fn clock(&self) -> ThreadClock {
        self.channel.clock()
    }

    /// Records that were not written and never will be.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.channel.losses().count
    }

    /// Writes a record, and waits for it as long as `patience`. One that finds another still waiting for its
    /// reader is lost.
    ///
    /// Gives whether there is nothing to wait for any more: it was written, or writing failed, so nobody gets it.
    /// `false` where a reader is behind: the record, or the one because of which it was lost, still waits for it.
    pub fn write(&mut self, record: &[u8], patience: Duration) -> bool {
        let fate = self.channel.send(record, patience);
        self.settled(fate)
    }

    /// Writes the last record: where another still waits for its reader this waits for both, for `patience` in all.
    /// Gives what [`Self::write`] gives.
    pub fn write_last(&mut self, record: &[u8], patience: Duration) -> bool {
        let fate = self.channel.send_after(record, patience);
        self.settled(fate)
    }

    fn settled(&mut self, fate: Fate) -> bool {
        if let Some(loss) = self.channel.losses().first.filter(|_| !self.told) {
            self.told = true;
            let why = loss.reason();
            warn!(
                "standard output: {why}; the load goes on, reports that cannot be written are counted as lost"
            );
        }
        match fate {
            Fate::Written | Fate::Lost(Loss::Failed(_)) => true,
            Fate::Pending | Fate::Lost(Loss::Refused) => false,
        }
    }
}

/// Standard error for the log: a line that finds another still waiting for its reader is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

/// Opened by the first line; nothing where the system refused the thread.
static LOG: OnceLock<Option<Arc<Channel>>> = OnceLock::new();

impl Log {
    /// The CPU clock of the thread that writes the log; `None` before it has begun with the first line, and where the
    /// system has refused it. Never waits: the threads that burn ask for it.
    #[must_use]
    pub fn clock() -> Option<ThreadClock> {
        LOG.get()?.as_ref()?.clock.get().copied()
    }
}

impl io::Write for Log {
    /// Never fails: there is nowhere left to say so.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        const PATIENCE: Duration = Duration::from_millis(5);
        match LOG.get_or_init(|| Channel::open("stderr", io::stderr()).ok()) {
            Some(channel) => drop(channel.send(line, PATIENCE)),
            // No thread to be had: what comes now is the reason why the program ends.
            None => drop(nix::unistd::write(io::stderr().as_fd(), line)),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
