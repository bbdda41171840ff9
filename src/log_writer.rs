//! Log writer: standard error, by a thread of its own with a bounded queue of lines.
//!
//! The reader of standard error may be slow, gone or a stopped terminal, and a `write` may then block for ever. A line waits for its
//! reader, the program does not. Lines that find the queue full are dropped and counted, and the next line that is written says how many.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::clock::ThreadClock;
use crate::line_writer::{LineStatus, write_all};
use crate::threads;

/// Standard error for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogWriter;

/// Opened by the first line; `None` where the system refused the thread.
static LOG: OnceLock<Option<Arc<LineQueue>>> = OnceLock::new();

/// Lines that wait for a slow reader: hundreds of them.
const QUEUE_BYTES: usize = 64 << 10;

/// How long a line is waited for, so that it is usually written before the program goes on.
const PATIENCE: Duration = Duration::from_millis(5);

/// How long the last lines are waited for. Lines wait at all only where the pipe is full or the terminal is stopped.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

impl LogWriter {
    /// The CPU clock of the writing thread; `None` before it has begun with the first line, and where the system has
    /// refused it. Never waits: the CPU workers call it.
    #[must_use]
    pub fn clock() -> Option<ThreadClock> {
        LOG.get()?.as_ref()?.clock.get().copied()
    }

    /// Waits until all lines are written, for 3 s at most: for the end of the program.
    pub fn finish() {
        if let Some(Some(queue)) = LOG.get() {
            queue.finish(LAST_PATIENCE);
        }
    }
}

impl Write for LogWriter {
    /// Never fails: there would be nowhere to log it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match LOG.get_or_init(|| LineQueue::open("stderr", io::stderr()).ok()) {
            Some(queue) => queue.send(line, PATIENCE),
            // Without a thread: this line is the reason why the program ends.
            None => drop(nix::unistd::write(io::stderr().as_fd(), line)),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A descriptor with a thread that writes lines to it in turn.
#[derive(Debug)]
struct LineQueue {
    pending: Mutex<Pending>,
    changed: Condvar,
    clock: OnceLock<ThreadClock>,
}

#[derive(Debug)]
struct Pending {
    /// Whole lines.
    lines: Vec<u8>,
    /// Lines dropped since that was last written.
    dropped: u64,
    /// The thread is writing lines that it has taken.
    is_writing: bool,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0 && !self.is_writing
    }
}

impl LineQueue {
    /// # Errors
    /// Where the system refuses a thread or the memory: the first line may say that there is no more.
    fn open(name: &str, descriptor: impl AsFd + Send + 'static) -> io::Result<Arc<Self>> {
        let (lines, taken) = (buffer()?, buffer()?);
        let pending = Pending { lines, dropped: 0, is_writing: false };
        let queue =
            Arc::new(Self { pending: Mutex::new(pending), changed: Condvar::new(), clock: OnceLock::new() });
        let its = Arc::clone(&queue);
        threads::start(name, move || {
            its.clock.get_or_init(ThreadClock::of_current);
            its.serve(descriptor.as_fd(), taken);
        })?;
        Ok(queue)
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Nobody panics while holding it, and lines would be as good afterwards.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a line, and waits until all are written, for `patience` at most.
    fn send(&self, line: &[u8], patience: Duration) {
        let mut pending = self.lock();
        // Within its capacity: there may be no more memory.
        if pending.lines.len() + line.len() <= QUEUE_BYTES {
            pending.lines.extend_from_slice(line);
        } else {
            pending.dropped += 1;
        }
        // Where lines wait already their reader is behind: each of them has waited before.
        if !pending.is_writing {
            self.changed.notify_all();
            self.settled(pending, patience);
        }
    }

    fn finish(&self, patience: Duration) {
        self.settled(self.lock(), patience);
    }

    /// Waits until no line is pending.
    fn settled(&self, pending: MutexGuard<'_, Pending>, patience: Duration) {
        drop(self.changed.wait_timeout_while(pending, patience, |pending| !pending.is_empty()));
    }

    /// Writes lines for ever.
    fn serve(&self, descriptor: BorrowedFd<'_>, mut lines: Vec<u8>) {
        let (mut lost, mut torn) = (0, false);
        loop {
            let waited = self
                .changed
                .wait_while(self.lock(), |pending| pending.lines.is_empty() && pending.dropped == 0);
            let mut pending = waited.unwrap_or_else(PoisonError::into_inner);
            lines.clear();
            std::mem::swap(&mut pending.lines, &mut lines);
            let dropped = std::mem::take(&mut pending.dropped);
            pending.is_writing = true;
            drop(pending);
            for line in lines.split_inclusive(|byte| *byte == b'\n') {
                lost += u64::from(!write_line(descriptor, line, &mut torn));
            }
            // Those of a full queue came after these. Where nothing can be written, as on a full disk, the next line tries again.
            lost += dropped;
            if lost > 0 && write_dropped(descriptor, lost, &mut torn) {
                lost = 0;
            }
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }
}

/// Writes a line. Returns whether all of it was written; after one that was cut short the next one begins on a new line.
fn write_line(descriptor: BorrowedFd<'_>, line: &[u8], torn: &mut bool) -> bool {
    if *torn && write_all(descriptor, b"\n").1 != LineStatus::Written {
        return false;
    }
    let (written, status) = write_all(descriptor, line);
    *torn = written > 0 && written < line.len();
    status == LineStatus::Written
}

/// Says how many lines were dropped. Allocates nothing.
fn write_dropped(descriptor: BorrowedFd<'_>, lines: u64, torn: &mut bool) -> bool {
    let mut text = [0; 128];
    let mut rest = &mut text[..];
    let were = if lines == 1 { " was" } else { "s were" };
    // It fits.
    let _ = writeln!(rest, "{lines} line{were} dropped from the log: standard error took no more");
    let left = rest.len();
    write_line(descriptor, text.get(..text.len() - left).unwrap_or_default(), torn)
}

/// Room for the lines of a queue. Pages that no line reaches are not resident.
fn buffer() -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(QUEUE_BYTES).map_err(|_| io::ErrorKind::OutOfMemory)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Lines of the queue while its reader does not read: so many bytes of them are in the pipe, and the rest wait.
    const LINE_BYTES: usize = 100;

    fn line(number: usize) -> String {
        format!("{number:0>width$}\n", width = LINE_BYTES - 1)
    }

    #[test]
    fn lines_wait_for_a_slow_reader_and_those_that_the_queue_has_no_room_for_are_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        let queue = LineQueue::open("test", writer).unwrap();
        let begin = std::time::Instant::now();
        let count = 2 * QUEUE_BYTES / LINE_BYTES;
        (0..count).for_each(|number| queue.send(line(number).as_bytes(), PATIENCE));
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "none of them is waited for: {:?}",
            begin.elapsed()
        );
        let dropped = queue.lock().dropped as usize;
        assert!((1..count - QUEUE_BYTES / LINE_BYTES).contains(&dropped), "{dropped}");
        let expected = (0..count - dropped).map(line).collect::<String>()
            + &format!("{dropped} lines were dropped from the log: standard error took no more\n");
        let mut text = vec![0; expected.len()];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        queue.finish(Duration::from_secs(60));
        assert!(queue.lock().is_empty());
    }

    #[test]
    fn the_end_of_the_program_waits_for_the_lines_and_no_longer_than_it_has_patience() {
        let (mut reader, writer) = io::pipe().unwrap();
        nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        let queue = LineQueue::open("test", writer).unwrap();
        let count = 100;
        (0..count).for_each(|number| queue.send(line(number).as_bytes(), Duration::ZERO));
        queue.finish(Duration::from_millis(10));
        assert!(!queue.lock().is_empty(), "nobody reads");
        let reader = std::thread::spawn(move || {
            let mut text = vec![0; count * LINE_BYTES];
            reader.read_exact(&mut text).map(|()| text).unwrap()
        });
        queue.finish(Duration::from_secs(60));
        assert!(queue.lock().is_empty());
        assert_eq!(
            String::from_utf8(reader.join().unwrap()).unwrap(),
            (0..count).map(line).collect::<String>()
        );
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_with_the_next_that_can() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut torn = false;
        assert!(!write_line(full.as_fd(), b"a line\n", &mut torn) && !torn);
        let (mut reader, writer) = io::pipe().unwrap();
        assert!(write_dropped(writer.as_fd(), 1, &mut torn));
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "1 line was dropped from the log: standard error took no more\n");
    }

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
