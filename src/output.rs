//! Standard output and standard error that can never hold the load up.
//!
//! Whoever reads them may be slow, gone, or a full disk. A line is written with one `write`, and only where
//! that will not block; what cannot be written is counted, and said once.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tracing::warn;

/// Waits until a write will not block, or has something to say about why it fails; whether it is so.
///
/// A pipe is ready when it takes a page (`PIPE_BUF`), and a record is shorter.
fn is_ready(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    matches!(poll(&mut fds, timeout), Ok(ready) if ready > 0)
}

/// Standard output, for reports alone.
#[derive(Debug, Default)]
pub struct Reports {
    lost: u64,
    /// The last record was cut in the middle.
    torn: bool,
    /// What failed was said.
    told: bool,
}

impl Reports {
    /// Records that could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes a record, or counts it as lost where that would take longer than `patience`.
    pub fn write(&mut self, record: &[u8], patience: Duration) {
        let stdout = io::stdout();
        let fd = stdout.as_fd();
        if self.torn && !matches!(self.write_all(fd, b"\n", patience), Ok(1)) {
            self.lost += 1;
            return;
        }
        let result = self.write_all(fd, record, patience);
        self.torn = matches!(result, Ok(written) if written > 0 && written < record.len());
        if !matches!(result, Ok(written) if written == record.len()) {
            self.lost += 1;
            self.tell(result.err());
        }
    }

    /// Writes as much as can be; more than one `write` only where the first one was cut short.
    fn write_all(&self, fd: BorrowedFd<'_>, record: &[u8], patience: Duration) -> Result<usize, Errno> {
        let mut written = 0;
        while let Some(rest) = record.get(written..).filter(|rest| !rest.is_empty()) {
            if !is_ready(fd, patience) {
                return if written > 0 { Ok(written) } else { Err(Errno::EAGAIN) };
            }
            match nix::unistd::write(fd, rest) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(Errno::EINTR) => {}
                Err(error) if written == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(written)
    }

    fn tell(&mut self, error: Option<Errno>) {
        if self.told {
            return;
        }
        self.told = true;
        let why = match error {
            Some(Errno::EAGAIN) => "nobody reads it".to_owned(),
            Some(error) => error.desc().to_owned(),
            None => "it took only a part of a record".to_owned(),
        };
        warn!("standard output: {why}; the load goes on, reports that cannot be written are counted as lost");
    }
}

/// Standard error for the log: a line that cannot be written at once is dropped.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        if !is_ready(stderr.as_fd(), Duration::ZERO) {
            return Ok(line.len());
        }
        Ok(nix::unistd::write(stderr.as_fd(), line)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
