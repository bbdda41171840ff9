//! Live view: a line per step, messages, and a status area on a terminal; or JSON lines.

mod progress;
mod screen;
mod sparkline;

pub(crate) use progress::ProgressView;
pub use screen::Screen;
pub use sparkline::Sparkline;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use workload::quantity::Bytes;

use crate::run::node_tracker::Sums;
use ramp_format::rows::{Part, StepOutcome, StepRow};
use ramp_format::running_count::Most;
use ramp_format::state::{Counts, State, Totals};
use ramp_format::text::{count, shortened};

/// Output of the live view. Never blocks: a slow reader or a stopped terminal does not stop the run.
#[derive(Debug)]
pub enum View {
    /// None.
    Nothing,
    /// Text on standard error, with a status area on a terminal.
    Words(Screen),
    /// JSON lines on standard output.
    Json(Screen),
}

/// Current state of a run, for the status area.
#[derive(Clone, Debug)]
pub struct Status {
    /// Instances requested.
    pub asked: u32,
    /// Groups of a mixed run, with those of each that hold their memory, as text; empty for a run of one runtime.
    pub groups: String,
    /// Instances by state.
    pub counts: Counts,
    /// Events so far.
    pub totals: Totals,
    /// Memory of all nodes.
    pub sums: Sums,
    /// Latency of the last API request.
    pub latency: Option<Duration>,
    /// Memory left to the instances since the run began.
    pub memory_history: Sparkline,
    /// What the run waits for, as text, such as instances that cannot start, and why; empty where it does not wait.
    pub waits_for: String,
    /// Estimated time left, or the current phase, as text.
    pub time_left: String,
    /// Files that cannot be written, and rows that wait for them, as text; empty if all can.
    pub unwritten: String,
}

impl View {
    /// Text on standard error.
    #[must_use]
    pub fn words() -> Self {
        Self::Words(Screen::of_standard_error())
    }

    /// JSON lines on standard output.
    #[must_use]
    pub fn json() -> Self {
        Self::Json(Screen::of_standard_output())
    }

    /// JSON lines or text.
    #[must_use]
    pub fn of(json: bool) -> Self {
        if json { Self::json() } else { Self::words() }
    }

    /// Whether people read it without a status area, which would show what a step waits for.
    pub(crate) fn is_plain_text(&self) -> bool {
        matches!(self, Self::Words(screen) if !screen.has_status())
    }

    /// The preflight summary.
    pub fn plan(&self, text: &str) {
        self.text(|| text.trim_end().to_owned());
    }

    /// The heading of the lines per step.
    pub fn heading(&self) {
        self.text(|| format!("\n{HEADING}"));
    }

    /// A step has ended.
    pub fn step(&self, row: &StepRow) {
        self.record("step", row, || match (&row.not_held_because, row.level_held) {
            (None, _) => step_line(row),
            (Some(why), Some(_)) => {
                format!("{}\n  ! {} not held: {why}", step_line(row), row.asked_instances)
            }
            (Some(why), None) => {
                format!("{}\n  ! whether {} hold is not known: {why}", step_line(row), row.asked_instances)
            }
        });
    }

    /// The groups of a mixed run after a step.
    pub fn groups(&self, groups: &str) {
        self.text(|| format!("      {groups}"));
    }

    /// A message.
    pub fn say(&self, message: &str) {
        self.record("note", &Message { message }, || format!("  ! {message}"));
    }

    /// The run has ended.
    pub fn end(&self, summary: &Summary) {
        self.record("end", summary, || summary.words());
    }

    /// Updates the status area.
    pub fn status(&self, status: &Status) {
        if let Self::Words(screen) = self {
            screen.status(|| status.words());
        }
    }

    fn text(&self, words: impl FnOnce() -> String) {
        if let Self::Words(screen) = self {
            screen.line(words());
        }
    }

    /// Something with a record of its own in JSON.
    pub(crate) fn record(
        &self,
        record: &'static str,
        value: &impl Serialize,
        words: impl FnOnce() -> String,
    ) {
        match self {
            Self::Nothing => {}
            Self::Words(screen) => screen.line(words()),
            Self::Json(screen) => {
                // Serialization of these types does not fail.
                if let Ok(text) = serde_json::to_string(&JsonLine { record, value }) {
                    screen.line(text);
                }
            }
        }
    }
}

/// Summary of a run that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The run's id.
    pub run: String,
    /// Why it ended.
    pub why_ended: String,
    /// Whether it ended by an error rather than a stop rule, the last step or an interrupt.
    pub failed: bool,
    /// Steps up.
    pub steps: u32,
    /// Largest number of instances that held all of their memory at once.
    pub held: Most,
    /// Largest number of instances that ran at once.
    pub running: Most,
    /// Former name of `running.count`.
    pub most_at_work: u32,
    /// Former name of `running.step`.
    pub most_at_work_at_step: u32,
    /// Evictions.
    pub evictions: u32,
    /// OOM kills.
    pub oom_kills: u32,
    /// Duration of the teardown; none if something is left.
    pub teardown_seconds: Option<f64>,
    /// Objects left behind.
    pub left: Vec<String>,
    /// What a search has found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Rows that could not be written.
    #[serde(skip_serializing_if = "is_zero")]
    pub rows_lost: u64,
    /// Run directory.
    pub directory: String,
}

impl Summary {
    fn words(&self) -> String {
        let mut words = format!(
            "\nended: {}\nmost instances held: {} (step {}), running: {} (step {})\n{}, {} in {}\n",
            self.why_ended,
            self.held.count,
            self.held.step,
            self.running.count,
            self.running.step,
            count(self.evictions, "eviction"),
            count(self.oom_kills, "OOM kill"),
            count(self.steps, "step")
        );
        if let Some(search) = &self.search {
            words.push_str(&format!("search: {search}\n"));
        }
        match (self.teardown_seconds, self.left.as_slice()) {
            (Some(seconds), _) => words.push_str(&format!("teardown: {seconds:.1} s\n")),
            (None, []) => {}
            (None, left) => {
                words.push_str(&format!(
                    "left behind: {}; remove with: ramp clean {}\n",
                    left.join(", "),
                    self.directory
                ));
            }
        }
        if self.rows_lost > 0 {
            words.push_str(&format!("not recorded: {} (see run.json)\n", count(self.rows_lost, "row")));
        }
        words.push_str(&format!("run directory: {}", self.directory));
        words
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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

/// Whether something could not be written to standard output.
static OUTPUT_LOST: AtomicBool = AtomicBool::new(false);

/// Prints a text on standard output.
pub(crate) fn out(text: &str) {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.unwrap_or_else(|error| output_failed(&error));
}

/// Takes an error of standard output: it is shown once, and the exit status tells. A reader that has seen enough (`| head`) is no error.
pub fn output_failed(cause: &io::Error) {
    if cause.kind() != io::ErrorKind::BrokenPipe && !OUTPUT_LOST.swap(true, Ordering::Relaxed) {
        error(&format!("standard output: {cause}"));
    }
}

/// Whether something could not be written to standard output.
#[must_use]
pub fn is_output_lost() -> bool {
    OUTPUT_LOST.load(Ordering::Relaxed)
}

/// Prints an error on standard error, in the same form as the parser of the command line.
pub fn error(message: &str) {
    // Nobody reads a closed standard error.
    let _ = io::stderr().write_all(format!("error: {message}\n").as_bytes());
}

/// Prints a line on standard error, as it is.
pub(crate) fn aside(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Prints a message on standard error.
pub(crate) fn notice(message: &str) {
    let _ = io::stderr().write_all(format!("  ! {message}\n").as_bytes());
}

/// Heading of [`step_line`], whose columns fit on a terminal of 80.
const HEADING: &str = " step asked  pend creat   run ready failed evict  OOM available     API    took";

/// Columns of the status area, without its spinner: it fits on a terminal of 80.
const STATUS_CHARS: usize = 77;

/// A line of the status area: of one that is too long, as many whole words as fit.
fn fitted(line: &str) -> String {
    let short = shortened(line, STATUS_CHARS);
    match short.strip_suffix('…').and_then(|cut| cut.rsplit_once(' ')) {
        Some((words, _)) if short.len() < line.len() => format!("{words} …"),
        _ => short,
    }
}

/// Memory left to the instances: the rest of their budget (limit, used), else what is available.
fn free(budget: Option<(u64, u64)>, available: Option<u64>) -> Option<Bytes> {
    budget.map(|(limit, used)| limit.saturating_sub(used)).or(available).map(Bytes)
}

fn step_line(row: &StepRow) -> String {
    let free = free(row.budget_bytes.zip(row.budget_used_bytes), row.memory_available_bytes);
    let free = free.map_or_else(|| "-".into(), |free| free.rounded().to_string());
    let api = row
        .api_latency_max_seconds
        .map_or_else(|| "-".into(), |seconds| format!("{:.0} ms", seconds * 1000.0));
    let step = match row.part {
        Part::Up | Part::Search => row.step.to_string(),
        Part::Hold => "hold".into(),
        Part::Down => "down".into(),
        Part::Clean => "clean".into(),
    };
    let how = match (row.outcome, row.level_held) {
        (_, Some(true)) => "  held",
        (_, Some(false)) => "  not held",
        (StepOutcome::TimedOut, _) => "  timed out",
        (StepOutcome::Unanswered, _) => "  no answer",
        _ => "",
    };
    format!(
        "{step:>5} {:>5} {:>5} {:>5} {:>5} {:>5} {:>6} {:>5} {:>4} {free:>9} {api:>7} {:>5.1} s{how}",
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
        let free = Self::free_bytes(&self.sums).map(Bytes);
        let memory = match (free, self.sums.oldest) {
            (Some(free), Some(age)) => {
                format!("{} available ({:.1} s ago)", free.rounded(), age.as_secs_f64())
            }
            (None, Some(age)) => format!("memory samples stale for {:.0} s", age.as_secs_f64()),
            (_, None) => "no samples yet".into(),
        };
        let api = self.latency.map_or_else(|| "-".into(), |latency| format!("{} ms", latency.as_millis()));
        let memory = [memory, self.memory_history.text()].join(" ");
        let api = format!("API {api}");
        let parts = [memory.trim_end(), &self.groups, &api, &self.time_left];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // What cannot be written is worse than any wait.
        let waits_for = if self.unwritten.is_empty() { &self.waits_for } else { &self.unwritten };
        let lines = [&instances(self.asked, &self.counts, &self.totals), &parts.join(" | "), waits_for];
        let lines: Vec<String> = lines.iter().map(|line| fitted(line)).collect();
        lines.join("\n")
    }

    /// Memory left to the instances, if it is known.
    pub(crate) fn free_bytes(sums: &Sums) -> Option<u64> {
        let budget = sums.budget.map(|budget| (budget.limit.0, budget.used.0));
        free(budget, sums.memory.map(|memory| memory.available.0)).map(|free| free.0)
    }
}

/// Requested instances, those in each state, and those lost.
pub(crate) fn instances(asked: u32, counts: &Counts, totals: &Totals) -> String {
    let of = |state| counts.of(state);
    // What counts most first: the end of a line may be cut off.
    let by_state = [
        (of(State::Ready), "ready"),
        (totals.evictions, "evicted"),
        (totals.oom_kills, "OOM-killed"),
        (of(State::Running), "running"),
        (of(State::Creating), "creating"),
        (of(State::Pending) + of(State::Unschedulable), "pending"),
        (of(State::Terminating), "terminating"),
    ];
    let present = by_state.into_iter().filter(|(count, _)| *count > 0);
    let parts = present.map(|(count, state)| format!("{count} {state}")).collect::<Vec<_>>();
    format!("{} requested: {}", count(asked, "instance"), parts.join(", "))
}

#[cfg(test)]
mod tests;
