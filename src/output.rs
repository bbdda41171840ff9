//! Standard output and standard error that can never hold the load up.
//!
//! Whoever reads them may be slow, gone, a stopped terminal, or a full disk, and a `write` may then wait for
//! ever. So each is written by a thread of its own, a line with one `write`; who has a line waits a moment for
//! it to be out, and then goes on. What finds the thread still busy is lost.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

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
    /// It was not taken, as the one before still waits.
    Refused,
    Failed(Errno),
}

/// The line under way.
#[derive(Debug)]
struct Slot {
    line: Vec<u8>,
    fate: Fate,
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
        let slot = Slot { line: Vec::with_capacity(LINE_BYTES), fate: Fate::Written };
        let channel =
            Arc::new(Self { slot: Mutex::new(slot), changed: Condvar::new(), clock: OnceLock::new() });
        let its = Arc::clone(&channel);
        threads::start(name, move || {
            its.clock.get_or_init(ThreadClock::of_current);
            its.serve(descriptor.as_fd());
        })?;
        Ok(channel)
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        // Nobody panics while holding it, and a line would be as good afterwards.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a line over, unless the one before is still under way, and waits for it to be written.
    fn send(&self, line: &[u8], patience: Duration) -> Fate {
        let mut slot = self.lock();
        if slot.fate == Fate::Pending {
            return Fate::Refused;
        }
        slot.line.clear();
        slot.line.extend_from_slice(line);
        slot.fate = Fate::Pending;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(slot, patience, |slot| slot.fate == Fate::Pending);
        waited.unwrap_or_else(PoisonError::into_inner).0.fate
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
            self.lock().fate = fate;
            self.changed.notify_all();
        }
    }
}

/// Writes as much as can be; more than one `write` only where one was cut short.
fn write_all(descriptor: BorrowedFd<'_>, line: &[u8]) -> (usize, Fate) {
    let mut written = 0;
    while let Some(rest) = line.get(written..).filter(|rest| !rest.is_empty()) {
        match nix::unistd::write(descriptor, rest) {
            Ok(0) => return (written, Fate::Failed(Errno::EIO)),
            Ok(count) => written += count,
            Err(Errno::EINTR) => {}
            Err(error) => return (written, Fate::Failed(error)),
        }
    }
    (written, Fate::Written)
}

/// Standard output, for reports alone.
#[derive(Debug)]
pub struct Reports {
    channel: Arc<Channel>,
    lost: u64,
    /// What failed was said.
    told: bool,
}

impl Reports {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Where the system refuses it.
    pub fn open() -> io::Result<Self> {
        Ok(Self { channel: Channel::open("stdout", io::stdout())?, lost: 0, told: false })
    }

    /// The CPU clock of the thread that writes, once it runs: at the latest when a record has been written.
    #[must_use]
    pub fn clock(&self) -> Option<ThreadClock> {
        self.channel.clock.get().copied()
    }

    /// Records that could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes a record, and waits for it as long as `patience`. One that finds another still waiting for its
    /// reader is lost.
    pub fn write(&mut self, record: &[u8], patience: Duration) {
        let why = match self.channel.send(record, patience) {
            Fate::Written | Fate::Pending => return,
            Fate::Refused => "nobody reads it",
            Fate::Failed(error) => error.desc(),
        };
        self.lost += 1;
        if !self.told {
            self.told = true;
            warn!(
                "standard output: {why}; the load goes on, reports that cannot be written are counted as lost"
            );
        }
    }
}

/// Standard error for the log: a line that finds another still waiting for its reader is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

impl io::Write for Log {
    /// Never fails: there is nowhere left to say so.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        const PATIENCE: Duration = Duration::from_millis(5);
        static CHANNEL: OnceLock<Option<Arc<Channel>>> = OnceLock::new();
        match CHANNEL.get_or_init(|| Channel::open("stderr", io::stderr()).ok()) {
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
