//! What the program waits for: signals, a time, a change of the load.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tracing::warn;

use crate::clock::{monotonic_ns, sleep_until};

/// SIGTERM and SIGINT, waiting to be read.
///
/// They are blocked and read from a descriptor: a blocked signal is kept also for process 1, whose unhandled
/// signals the kernel otherwise drops.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes them over, for this thread and all that it starts later.
    ///
    /// # Errors
    /// Where the system has no descriptor left.
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The name of the signal that came, if one did.
    pub(super) fn read(&self) -> Option<&'static str> {
        let info = self.0.read_signal().ok().flatten()?;
        let number = i32::try_from(info.ssi_signo).ok()?;
        Signal::try_from(number).ok().map(Signal::as_str)
    }
}

/// A timer on the monotonic clock that can be waited for together with other things. (The time limit of `poll`
/// itself is late by a thousandth of its length: `select_estimate_accuracy` in the kernel's fs/select.c.)
pub(super) struct Alarm(TimerFd);

impl Alarm {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?))
    }

    pub(super) fn set(&self, time_ns: u64) -> io::Result<()> {
        let time = TimeSpec::from_duration(Duration::from_nanos(time_ns));
        Ok(self.0.set(Expiration::OneShot(time), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }
}

/// Waits for a signal, the alarm, a change, or a request.
///
/// # Errors
/// Where the system cannot wait: `EINVAL` where the limit on descriptors was lowered below the four that are waited
/// for, `ENOMEM`. Both may last.
pub(super) fn wait(
    signals: &Signals,
    alarm: &Alarm,
    changed: Option<&EventFd>,
    requests: Option<BorrowedFd<'_>>,
) -> nix::Result<()> {
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let (signals, alarm) = (signals.0.as_fd(), alarm.0.as_fd());
    // What there is not is replaced by what is waited for anyway.
    let changed = changed.map_or(signals, AsFd::as_fd);
    let mut all = [signals, alarm, changed, requests.unwrap_or(signals)].map(readable);
    match poll(&mut all, PollTimeout::NONE) {
        // After SIGCONT: as good as a time-out, as the caller looks at everything anyway.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Stands in for [`wait`] where that fails: looks at everything from time to time.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    told: bool,
}

impl Rounds {
    /// Sleeps until `due_ns` on the monotonic clock, but no longer than a round. Says why the first time.
    pub(super) fn sleep(&mut self, error: Errno, due_ns: u64) {
        const ROUND_NS: u64 = 100_000_000;
        if !self.told {
            self.told = true;
            warn!(
                "cannot wait for signals and requests ({}), they are looked for every 100 ms",
                error.desc()
            );
        }
        sleep_until(due_ns.min(monotonic_ns() + ROUND_NS));
    }
}
