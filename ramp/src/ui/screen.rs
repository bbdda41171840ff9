//! Screen writer: a thread, because writes to a full pipe or a stopped terminal block.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Lines queued for a slow reader. Further ones are dropped and counted; the run directory has all records.
const LINES_WAITING: usize = 10_000;

/// The last lines are waited for until none has been written for this long: a reader that is slow gets them all.
const LAST_LINE_WITHIN: Duration = Duration::from_secs(5);

/// Writer of lines, with a status area below them on a terminal.
#[derive(Debug)]
pub struct Screen {
    /// None once it is being dropped.
    shown: Option<SyncSender<ScreenMessage>>,
    /// Disconnected once everything is written.
    written: Receiver<()>,
    /// Messages that the thread has taken.
    taken: Arc<AtomicU64>,
    /// Next status; none without a terminal.
    status: Option<Arc<Mutex<Option<String>>>>,
    /// Lines dropped since the last one was written.
    dropped: AtomicU64,
}

#[derive(Debug)]
enum ScreenMessage {
    Line(String),
    /// There is a new status.
    Status,
}

/// The messages of a screen, for the thread that writes them.
#[derive(Debug)]
struct Messages {
    queue: Receiver<ScreenMessage>,
    taken: Arc<AtomicU64>,
}

impl Iterator for Messages {
    type Item = ScreenMessage;

    fn next(&mut self) -> Option<ScreenMessage> {
        let message = self.queue.recv().ok()?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(message)
    }
}

impl Screen {
    pub(super) fn of_standard_error() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        if bar.is_hidden() {
            // Nobody can be told of a closed standard error.
            return Self::start(None, |shown| write_lines(&mut io::stderr(), shown, |_| {}));
        }
        // The template is a well-formed constant.
        let style = ProgressStyle::with_template("{spinner} {wide_msg}\n  {prefix}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = bar.with_style(style);
        let status = Arc::new(Mutex::new(None));
        Self::start(Some(status.clone()), move |shown| draw(&bar, &status, shown))
    }

    pub(super) fn of_standard_output() -> Self {
        Self::start(None, |shown| write_lines(&mut io::stdout(), shown, super::output_failed))
    }

    fn start(
        status: Option<Arc<Mutex<Option<String>>>>,
        write: impl FnOnce(Messages) + Send + 'static,
    ) -> Self {
        let (shown, queue) = sync_channel(LINES_WAITING);
        let (done, written) = channel();
        let taken: Arc<AtomicU64> = Arc::default();
        let messages = Messages { queue, taken: taken.clone() };
        let writer = thread::Builder::new().name("view".into()).spawn(move || {
            write(messages);
            drop(done);
        });
        // Without a thread nothing is shown; the run is recorded all the same.
        Self { shown: writer.ok().map(|_| shown), written, taken, status, dropped: AtomicU64::new(0) }
    }

    pub(super) fn line(&self, line: String) {
        let Some(shown) = &self.shown else { return };
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            let words = format!("  ! {dropped} lines dropped: output too slow");
            if shown.try_send(ScreenMessage::Line(words)).is_ok() {
                self.dropped.store(0, Ordering::Relaxed);
            }
        }
        if shown.try_send(ScreenMessage::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there is a status area.
    pub(super) fn has_status(&self) -> bool {
        self.status.is_some()
    }

    /// Updates the status area, if there is one.
    pub(super) fn status(&self, words: impl FnOnce() -> String) {
        let (Some(shown), Some(status)) = (&self.shown, &self.status) else { return };
        let before = locked(status).replace(words());
        if before.is_none() && shown.try_send(ScreenMessage::Status).is_err() {
            // The queue is full. The next status comes soon.
            locked(status).take();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.shown = None;
        let taken = || self.taken.load(Ordering::Relaxed);
        let mut before = taken();
        // A writer that is still blocked then is abandoned.
        while self.written.recv_timeout(LAST_LINE_WITHIN) == Err(RecvTimeoutError::Timeout)
            && taken() > before
        {
            before = taken();
        }
    }
}

/// Writes lines. A closed pipe or a full disk does not end a run.
fn write_lines(out: &mut impl Write, shown: Messages, failed: impl Fn(&io::Error)) {
    for shown in shown {
        if let ScreenMessage::Line(text) = shown {
            let written = writeln!(out, "{text}").and_then(|()| out.flush());
            written.unwrap_or_else(|error| failed(&error));
        }
    }
}

fn locked(status: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    status.lock().unwrap_or_else(PoisonError::into_inner)
}

fn draw(bar: &ProgressBar, status: &Mutex<Option<String>>, shown: Messages) {
    for shown in shown {
        match shown {
            ScreenMessage::Line(text) => bar.suspend(|| {
                let _ = writeln!(io::stderr(), "{text}");
            }),
            ScreenMessage::Status => {
                let Some(words) = locked(status).take() else { continue };
                let (first, second) = words.split_once('\n').unwrap_or((&words, ""));
                bar.set_message(first.to_owned());
                bar.set_prefix(second.trim_end().replace('\n', "\n  "));
                bar.tick();
            }
        }
    }
    bar.finish_and_clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_reader_that_has_stopped_and_what_it_missed_is_counted() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (go_on, stopped) = channel::<()>();
        let written = seen.clone();
        let screen = Screen::start(None, move |shown| {
            let _ = stopped.recv();
            for shown in shown {
                written.lock().unwrap().push(shown);
            }
        });
        for number in 0..LINES_WAITING + 5 {
            screen.line(number.to_string());
        }
        drop(go_on);
        while seen.lock().unwrap().len() < LINES_WAITING {
            thread::yield_now();
        }
        screen.line("last".into());
        drop(screen);
        let seen = seen.lock().unwrap();
        let Some([ScreenMessage::Line(words), ScreenMessage::Line(last)]) = seen.last_chunk() else {
            panic!("{seen:?}")
        };
        assert_eq!(words, "  ! 5 lines dropped: output too slow");
        assert_eq!(last, "last");
    }
}
