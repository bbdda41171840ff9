//! Termination signals, read from a descriptor.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::refusal::in_context;

/// SIGTERM, SIGINT and SIGHUP (a terminal or session that was closed), waiting to be read.
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
        let mut set: SigSet = [Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
        if !is_ignored(Signal::SIGHUP) {
            set.add(Signal::SIGHUP);
        }
        // Blocked, a write beyond RLIMIT_FSIZE is an error as on a full disk.
        SigSet::from(Signal::SIGXFSZ).thread_block()?;
        set.thread_block()?;
        let descriptor = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC);
        descriptor.map(Self).map_err(io::Error::from).map_err(in_context("cannot wait for signals"))
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

/// Whether the process was started with this signal ignored, as by nohup(1). While blocked it would be kept all the same.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}
