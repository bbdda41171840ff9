//! Progress of a command that computes: a bar on a terminal, lines elsewhere, from a thread of its own.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ramp_report::progress::Progress;
use tokio::time::Instant;
use workload::quantity::Bytes;

use super::notice;
use crate::waiting::Wait;

/// What takes no longer shows no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
/// Between two looks at a bar.
const REDRAWN: Duration = Duration::from_millis(200);
/// Positions of a bar.
const WHOLE: u64 = 1000;

/// The stage that a command has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Something whose progress is not known.
    Busy(String),
    /// Bytes read, of all, for what.
    Reading { purpose: &'static str, bytes: u64, all: u64 },
    /// A figure is being computed, after so many others.
    Computing { figure: String, done: usize, all: usize },
}

/// A view of progress, until it is dropped.
#[derive(Debug)]
pub(crate) struct ProgressView {
    stage: SharedStage,
    /// None once it is being dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct SharedStage(Arc<Mutex<Stage>>);

impl ProgressView {
    /// Shows that this is being done, for as long as the view exists.
    pub(crate) fn busy(what: impl Into<String>) -> Self {
        Self::start(Stage::Busy(what.into()))
    }

    /// Shows how much of so many bytes is read, and then which figure is computed.
    pub(crate) fn of_report(all: u64) -> Self {
        Self::start(Stage::Reading { purpose: "the report", bytes: 0, all })
    }

    /// Shows how much of so many bytes is read, to be written in another format.
    pub(crate) fn of_export(all: u64) -> Self {
        Self::start(Stage::Reading { purpose: "the export", bytes: 0, all })
    }

    fn start(stage: Stage) -> Self {
        let stage = SharedStage(Arc::new(Mutex::new(stage)));
        let (end, ended) = channel::<()>();
        let its = stage.clone();
        let show = move || {
            let is_over = |within| ended.recv_timeout(within) != Err(RecvTimeoutError::Timeout);
            if std::io::stderr().is_terminal() { bar(&its, is_over) } else { lines(&its, is_over) }
        };
        // Without a thread nothing is shown.
        let thread = thread::Builder::new().name("progress".into()).spawn(show).ok();
        Self { stage, end: Some(end), thread }
    }

    /// What takes the progress of a report.
    pub(crate) fn observer(&self) -> impl Fn(Progress) + use<> {
        let stage = self.stage.clone();
        move |progress| stage.lock().follow(progress)
    }
}

impl Drop for ProgressView {
    fn drop(&mut self) {
        self.end = None;
        // The bar is gone before anything else is printed.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl SharedStage {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    fn follow(&mut self, progress: Progress) {
        match (&mut *self, progress) {
            (Self::Reading { bytes, .. }, Progress::Read(more)) => *bytes += more,
            (_, Progress::Read(_)) => {}
            (_, Progress::Computing { figure, of, number, all }) => {
                *self = Self::Computing { figure: format!("{figure} of {of}"), done: number - 1, all };
            }
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Busy(what) => what.clone(),
            Self::Reading { purpose, bytes, all: 0 } => {
                format!("{purpose}: {} read", Bytes(*bytes).rounded())
            }
            Self::Reading { purpose, bytes, all } => {
                format!("{purpose}: {} of {} read", Bytes(*bytes).rounded(), Bytes(*all).rounded())
            }
            Self::Computing { figure, done, all } => {
                format!("the report: {figure} ({} of {all})", done + 1)
            }
        }
    }

    /// Of [`WHOLE`]; none if it is not known.
    fn position(&self) -> Option<u64> {
        let of = |part: u64, all: u64| part.saturating_mul(WHOLE).checked_div(all).map(|at| at.min(WHOLE));
        match self {
            Self::Busy(_) => None,
            Self::Reading { bytes, all, .. } => of(*bytes, *all),
            Self::Computing { done, all, .. } => of(*done as u64, *all as u64),
        }
    }
}

/// Lines, as of every wait.
fn lines(stage: &SharedStage, is_over: impl Fn(Duration) -> bool) {
    let mut wait = Wait::begin(Instant::now());
    loop {
        if is_over(wait.due_at().saturating_duration_since(Instant::now())) {
            return;
        }
        let now = Instant::now();
        if wait.is_due(now) {
            notice(&wait.line(&stage.lock().words(), now));
        }
    }
}

fn bar(stage: &SharedStage, is_over: impl Fn(Duration) -> bool) {
    if is_over(BAR_AFTER) {
        return;
    }
    let style = |template| {
        // The templates are well-formed constants.
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
    };
    let bar = ProgressBar::with_draw_target(Some(WHOLE), ProgressDrawTarget::stderr_with_hz(5));
    loop {
        let stage = stage.lock().clone();
        match stage.position() {
            Some(position) => {
                bar.set_style(style("{spinner} [{bar:30}] {percent:>3} % {wide_msg}"));
                bar.set_position(position);
            }
            None => bar.set_style(style("{spinner} {wide_msg}")),
        }
        bar.set_message(stage.words());
        bar.tick();
        if is_over(REDRAWN) {
            break;
        }
    }
    bar.finish_and_clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_shown_by_bytes_and_then_by_figures() {
        let mut stage = Stage::Reading { purpose: "the report", bytes: 0, all: 40_000_000 };
        stage.follow(Progress::Read(10_000_000));
        assert_eq!(
            (stage.position(), stage.words()),
            (Some(250), "the report: 10.00 MB of 40.00 MB read".into())
        );
        let computing =
            |number| Progress::Computing { figure: "goodput", of: "run-a".into(), number, all: 4 };
        stage.follow(computing(1));
        assert_eq!(stage.position(), Some(0));
        stage.follow(computing(4));
        assert_eq!(
            (stage.position(), stage.words()),
            (Some(750), "the report: goodput of run-a (4 of 4)".into())
        );
        // A pipe has no length.
        assert_eq!(Stage::Reading { purpose: "the report", bytes: 5, all: 0 }.position(), None);
        assert_eq!(Stage::Busy("x".into()).position(), None);
    }
}
