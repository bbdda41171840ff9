//! Log writer: standard error, where all but errors are dropped rather than waited for.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use crate::clock::ThreadClock;
use crate::line_writer::LineWriter;

/// How long to wait for a line; one that finds another still pending is dropped.
const PATIENCE: Duration = Duration::from_millis(5);
/// How long to wait for an error, and for the line before it: it is why the program ends.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

/// Standard error for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter;

/// Standard error for one line.
#[derive(Clone, Copy, Debug)]
pub struct LogLine {
    is_error: bool,
}

/// Opened by the first line; `None` where the system refused the thread.
static LOG: OnceLock<Option<Arc<LineWriter>>> = OnceLock::new();

impl LogWriter {
    /// The CPU clock of the writing thread; `None` before it has begun with the first line, and where the system has
    /// refused it. Never waits: the CPU workers call it.
    #[must_use]
    pub fn clock() -> Option<ThreadClock> {
        LOG.get()?.as_ref()?.clock_if_begun()
    }

    /// Waits for a line that is still pending, for a moment: the process is about to end.
    pub(crate) fn finish() {
        if let Some(Some(writer)) = LOG.get() {
            writer.wait(LAST_PATIENCE);
        }
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine { is_error: false }
    }

    fn make_writer_for(&self, line: &Metadata<'_>) -> LogLine {
        LogLine { is_error: *line.level() == Level::ERROR }
    }
}

impl io::Write for LogLine {
    /// Never fails: there would be nowhere to log it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match LOG.get_or_init(|| LineWriter::open("stderr", io::stderr()).ok()) {
            Some(writer) if self.is_error => drop(writer.send_after(line, LAST_PATIENCE)),
            Some(writer) => drop(writer.send(line, PATIENCE)),
            // Without a thread: this line is the reason why the program ends.
            None => drop(nix::unistd::write(io::stderr().as_fd(), line)),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_clock_of_the_log_is_known_once_it_has_begun_with_its_first_line() {
        // No other test writes to it.
        assert!(LogWriter::clock().is_none());
        LogWriter.make_writer().write_all(b"\n").unwrap();
        let clock = loop {
            match LogWriter::clock() {
                Some(clock) => break clock,
                None => std::thread::yield_now(),
            }
        };
        assert!(clock.read_ns() > 0);
    }
}
