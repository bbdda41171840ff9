//! Termination signals, read from a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

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

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
