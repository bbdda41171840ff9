//! What is seen of a run while it goes on: a line per step, and below it the state of things now.

mod screen;

pub use screen::Screen;

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use workload::quantity::Bytes;

use crate::run::node_tracker::Sums;
use ramp_format::rows::{Part, StepRow};
use ramp_format::running_count::Most;
use ramp_format::state::State;
use ramp_format::state::{Counts, Totals};
use ramp_format::text::count;

/// Where it is shown. Showing never waits: who reads slowly, or has stopped the terminal, does not stop the run.
#[derive(Debug)]
pub enum View {
    /// Nowhere.
    Nothing,
    /// As lines for people on standard error; on a terminal with a status area below them.
    Words(Screen),
    /// As a JSON object a line on standard output.
    Json(Screen),
}

/// The state of things now.
#[derive(Clone, Debug)]
pub struct Status {
    /// Instances asked for.
    pub asked: u32,
    /// Instances by state.
    pub counts: Counts,
    /// What has happened so far.
    pub totals: Totals,
    /// What the nodes say.
    pub sums: Sums,
    /// How long the last request to the API took.
    pub latency: Option<Duration>,
    /// How long the way up should still take, or what is done in place of it, in words.
    pub time_left: String,
}

impl View {
    /// On standard error.
    #[must_use]
    pub fn words() -> Self {
        Self::Words(Screen::of_standard_error())
    }

    /// On standard output.
    #[must_use]
    pub fn json() -> Self {
        Self::Json(Screen::of_standard_output())
    }

    /// What was found and what is planned, before the first step.
    pub fn plan(&self, text: &str) {
        self.text(|| text.trim_end().to_owned());
    }

    /// The heading of the lines per step.
    pub fn heading(&self) {
        self.text(|| format!("\n{}", heading()));
    }

    /// A step has ended.
    pub fn step(&self, row: &StepRow) {
        self.record("step", row, || step_line(row));
    }

    /// Something to know of.
    pub fn say(&self, message: &str) {
        self.record("note", &Message { message }, || format!("  ! {message}"));
    }

    /// The run has ended.
    pub fn end(&self, summary: &Summary) {
        self.record("end", summary, || summary.words());
    }

    /// The state of things now.
    pub fn status(&self, status: &Status) {
        if let Self::Words(screen) = self {
            screen.status(|| status.words());
        }
    }

    /// For people only.
    fn text(&self, words: impl FnOnce() -> String) {
        if let Self::Words(screen) = self {
            screen.line(words());
        }
    }

    fn record(&self, record: &'static str, value: &impl Serialize, words: impl FnOnce() -> String) {
        match self {
            Self::Nothing => {}
            Self::Words(screen) => screen.line(words()),
            Self::Json(screen) => {
                // Nothing in these fails to serialize.
                if let Ok(text) = serde_json::to_string(&JsonLine { record, value }) {
                    screen.line(text);
                }
            }
        }
    }
}

/// How a run ended, for the last lines.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The run's id.
    pub run: String,
    /// Why it ended.
    pub why_ended: String,
    /// Whether that was something that went wrong for good, not a rule, the last step or an interrupt.
    pub failed: bool,
    /// Steps up that were made.
    pub steps: u32,
    /// The most instances that held all of their memory at once.
    pub held: Most,
    /// The most that ran at once.
    pub running: Most,
    /// Their number, as it was called.
    pub most_at_work: u32,
    /// And the step.
    pub most_at_work_at_step: u32,
    /// Evictions.
    pub evictions: u32,
    /// OOM kills.
    pub oom_kills: u32,
    /// How long removing everything took; none where something is left.
    pub teardown_seconds: Option<f64>,
    /// What is left.
    pub left: Vec<String>,
    /// Where it is written down.
    pub directory: String,
}

impl Summary {
    fn words(&self) -> String {
        let mut words = format!(
            "\nended: {}\nheld at once: {} at most (step {}); running: {} at most (step {})\n{}, {} in {}\n",
            self.why_ended,
            count(self.held.count, "instance"),
            self.held.step,
            self.running.count,
            self.running.step,
            count(self.evictions, "eviction"),
            count(self.oom_kills, "OOM kill"),
            count(self.steps, "step")
        );
        match (self.teardown_seconds, self.left.as_slice()) {
            (Some(seconds), _) => words.push_str(&format!("removed within {seconds:.1} s\n")),
            (None, []) => {}
            (None, left) => {
                words.push_str(&format!("left: {}; ramp clean {}\n", left.join(", "), self.directory));
            }
        }
        words.push_str(&format!("recorded in {}", self.directory));
        words
    }
}

#[derive(Serialize)]
struct JsonLine<'a, T> {
    record: &'static str,
    #[serde(flatten)]
    value: &'a T,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// A text on standard output, for who pipes it on.
pub(crate) fn out(text: &str) {
    // Of a closed pipe nobody has to be told.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn heading() -> String {
    format!(
        "{:>5} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>10} {:>8} {:>8}",
        "step",
        "asked",
        "pend",
        "creat",
        "run",
        "ready",
        "failed",
        "evict",
        "OOM",
        "available",
        "API",
        "took"
    )
}

fn step_line(row: &StepRow) -> String {
    let free = match (row.budget_bytes, row.budget_used_bytes) {
        (Some(budget), Some(used)) => Some(budget.saturating_sub(used)),
        _ => row.memory_available_bytes,
    };
    let free = free.map_or_else(|| "-".into(), |free| Bytes(free).rounded().to_string());
    let api = row
        .api_latency_max_seconds
        .map_or_else(|| "-".into(), |seconds| format!("{:.0} ms", seconds * 1000.0));
    let mark = match row.part {
        Part::Up => "",
        Part::Hold => "  held",
        Part::Down => "  down",
        Part::Clean => "  clean",
    };
    let how = match row.outcome {
        ramp_format::rows::StepOutcome::TimedOut => "  timed out",
        ramp_format::rows::StepOutcome::Unanswered => "  not answered",
        _ => "",
    };
    format!(
        "{:>5} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {free:>10} {api:>8} {:>6.1} s{mark}{how}",
        row.step,
        row.asked_instances,
        row.pending_instances + row.unschedulable_instances,
        row.creating_instances,
        row.running_instances,
        row.ready_instances,
        row.failures_total,
        row.evictions_total,
        row.oom_kills_total,
        row.step_seconds,
    )
}

impl Status {
    fn words(&self) -> String {
        let of = |state| self.counts.of(state);
        let free = self.sums.budget.map(|budget| Bytes(budget.limit.0.saturating_sub(budget.used.0)));
        let free = free.or(self.sums.memory.map(|memory| memory.available));
        let memory = match (free, self.sums.oldest) {
            (Some(free), Some(age)) => {
                format!("{} available ({:.1} s ago)", free.rounded(), age.as_secs_f64())
            }
            (None, Some(age)) => format!("memory stale for {:.0} s", age.as_secs_f64()),
            (_, None) => "no samples yet".into(),
        };
        let api = self.latency.map_or_else(|| "-".into(), |latency| format!("{} ms", latency.as_millis()));
        let left = if self.time_left.is_empty() { String::new() } else { format!(" | {}", self.time_left) };
        format!(
            "{} of {} asked: {} pending, {} creating, {} running, {} ready, {} ending | {} evicted, {} OOM\n\
             {memory} | API {api}{left}",
            self.counts.at_work(),
            self.asked,
            of(State::Pending) + of(State::Unschedulable),
            of(State::Creating),
            of(State::Running),
            of(State::Ready),
            of(State::Terminating),
            self.totals.evictions,
            self.totals.oom_kills,
        )
    }
}

#[cfg(test)]
mod tests;
