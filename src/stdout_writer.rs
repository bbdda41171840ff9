//! Standard output writer: reports, each waited for briefly, and counted when lost.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{SFlag, fstat};
use tracing::warn;

use crate::clock::ThreadClock;
use crate::line_writer::{LineStatus, LineWriter, Loss};

/// Standard output, for reports alone.
#[derive(Debug)]
pub struct StdoutWriter {
    writer: Arc<LineWriter>,
    is_file: bool,
    /// The first loss has been logged.
    logged: bool,
}

impl StdoutWriter {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// Where the system refuses it.
    pub fn open() -> io::Result<Self> {
        Self::to(io::stdout())
    }

    fn to(descriptor: impl AsFd + Send + 'static) -> io::Result<Self> {
        let is_file = fstat(&descriptor)
            .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG);
        Ok(Self { writer: LineWriter::open("stdout", descriptor)?, is_file, logged: false })
    }

    /// The CPU clock of the thread that writes.
    #[must_use]
    pub fn clock(&self) -> ThreadClock {
        self.writer.clock()
    }

    /// Records lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.writer.losses().count
    }

    /// Whether records are missing where they were to be kept, as on a full disk. A reader that went away wants no more.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        match self.writer.losses().failed {
            None | Some(Errno::EPIPE | Errno::ECONNRESET) => false,
            // Of a terminal that was closed.
            Some(Errno::EIO) => self.is_file,
            Some(_) => true,
        }
    }

    /// Writes a record, and waits for it for `patience`. One that finds another still pending is lost.
    ///
    /// Whether there is nothing left to wait for: it was written, or writing failed, so nobody will read it. `false`
    /// where the reader is behind: this record, or the one because of which it was lost, is still pending.
    pub fn write(&mut self, record: &[u8], patience: Duration) -> bool {
        let status = self.writer.send(record, patience);
        self.settled(status)
    }

    /// Writes the last record: where another is still pending this waits for both, for `patience` in all. Returns what
    /// [`Self::write`] returns.
    pub fn write_last(&mut self, record: &[u8], patience: Duration) -> bool {
        let status = self.writer.send_after(record, patience);
        self.settled(status)
    }

    fn settled(&mut self, status: LineStatus) -> bool {
        if let Some(loss) = self.writer.losses().first.filter(|_| !self.logged) {
            self.logged = true;
            let why = loss.reason();
            warn!("standard output: {why}; continuing, lost reports are counted");
        }
        match status {
            LineStatus::Written | LineStatus::Lost(Loss::Failed(_)) => true,
            LineStatus::Pending | LineStatus::Lost(Loss::Refused) => false,
        }
    }
}

#[cfg(test)]
mod tests;
