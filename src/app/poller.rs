//! Waiting with `poll`: for signals, a timer, a change of the load, and requests.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tracing::warn;

use super::signals::Signals;
use crate::clock::{monotonic_ns, sleep_until};

/// A timer on the monotonic clock that can be polled. (The time limit of `poll`
/// itself is late by a thousandth of its length: `select_estimate_accuracy` in the kernel's fs/select.c.)
pub(super) struct Timer(TimerFd);

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?))
    }

    pub(super) fn set(&self, time_ns: u64) -> io::Result<()> {
        let time = TimeSpec::from_duration(Duration::from_nanos(time_ns));
        Ok(self.0.set(Expiration::OneShot(time), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }
}

/// Waits for a signal, the timer, a change, or a request.
///
/// # Errors
/// Where the system cannot wait: `EINVAL` where the limit on descriptors was lowered below the four that are waited
/// for, `ENOMEM`. Both may last.
pub(super) fn wait(
    signals: &Signals,
    timer: &Timer,
    changed: Option<&EventFd>,
    requests: Option<BorrowedFd<'_>>,
) -> nix::Result<()> {
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let (signals, timer) = (signals.as_fd(), timer.0.as_fd());
    // An absent one is replaced by one that is waited for anyway.
    let changed = changed.map_or(signals, AsFd::as_fd);
    let mut all = [signals, timer, changed, requests.unwrap_or(signals)].map(readable);
    match poll(&mut all, PollTimeout::NONE) {
        // After SIGCONT: like a time-out, as the caller checks everything anyway.
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sleeps instead of [`wait`] where that fails, so that everything is checked periodically.
#[derive(Debug, Default)]
pub(super) struct PollFallback {
    logged: bool,
}

impl PollFallback {
    /// Sleeps until `due_ns` on the monotonic clock, for 100 ms at most. Logs the error the first time.
    pub(super) fn sleep(&mut self, error: Errno, due_ns: u64) {
        const ROUND_NS: u64 = 100_000_000;
        if !self.logged {
            self.logged = true;
            warn!("cannot wait for signals and requests ({}), polling every 100 ms", error.desc());
        }
        sleep_until(due_ns.min(monotonic_ns() + ROUND_NS));
    }
}
