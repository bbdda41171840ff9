//! Log writer: standard error, where lines are dropped rather than waited for.

use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::ThreadClock;
use crate::line_writer::LineWriter;

/// Standard error for the log: a line that finds another still pending is dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter;

/// Opened by the first line; `None` where the system refused the thread.
static LOG: OnceLock<Option<Arc<LineWriter>>> = OnceLock::new();

impl LogWriter {
    /// The CPU clock of the writing thread; `None` before it has begun with the first line, and where the system has
    /// refused it. Never waits: the CPU workers call it.
    #[must_use]
    pub fn clock() -> Option<ThreadClock> {
        LOG.get()?.as_ref()?.clock_if_begun()
    }
}

impl io::Write for LogWriter {
    /// Never fails: there would be nowhere to log it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        const PATIENCE: Duration = Duration::from_millis(5);
        match LOG.get_or_init(|| LineWriter::open("stderr", io::stderr()).ok()) {
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
        LogWriter.write_all(b"\n").unwrap();
        let clock = loop {
            match LogWriter::clock() {
                Some(clock) => break clock,
                None => std::thread::yield_now(),
            }
        };
        assert!(clock.read_ns() > 0);
    }
}
