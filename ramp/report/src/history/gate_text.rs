//! Judgement of the gate, for people: a table for a terminal, and the same as Markdown.

use super::bounds::Amount;
use super::gate::{BoundOutcome, Judgement, Outcome};
use super::recorded::RecordedValue;
use crate::analysis::Estimate;
use crate::report::figure::Unit;
use crate::report::format::{number, wrapped};
use crate::stats::Interval;

/// Width of a terminal's text.
const WIDTH: usize = 100;
/// Blanks before and between the columns of a table.
const GAPS: usize = 2 * HEAD.len();
/// What a table has in its columns.
const HEAD: [&str; 6] = ["figure", "baseline", "now", "change", "bound", "outcome"];

/// A table of each subject, and a sentence for each outcome that needs one. Intervals of changes are left out where a line would
/// be too long: the sentences have those that matter.
#[must_use]
pub fn text(judged: &Judgement) -> String {
    let mut text = wrapped(&format!("Against {} ({})", judged.baseline, judged.bounds), 0, WIDTH);
    let mut rows = rows(judged, true);
    if widths(&rows).iter().sum::<usize>() + GAPS > WIDTH {
        rows = self::rows(judged, false);
    }
    let widths = widths(&rows);
    let line = |cells: &[&str]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut subject = None;
    for (outcome, row) in judged.outcomes.iter().zip(&rows) {
        if subject != Some(&outcome.subject) {
            text += &wrapped(&outcome.subject, 0, WIDTH);
            text += &line(&HEAD);
            subject = Some(&outcome.subject);
        }
        text += &line(&row.each_ref().map(String::as_str));
    }
    if judged.outcomes.is_empty() {
        text += "  no figure that has a bound is in both\n";
    }
    sentences(judged).iter().for_each(|sentence| text += &wrapped(sentence, 0, WIDTH));
    text
}

fn rows(judged: &Judgement, with_intervals: bool) -> Vec<[String; 6]> {
    judged.outcomes.iter().map(|outcome| row(outcome, with_intervals)).collect()
}

fn widths(rows: &[[String; 6]]) -> [usize; 6] {
    let all = rows.iter().map(|row| row.each_ref().map(String::as_str)).chain([HEAD]);
    all.fold([0; 6], |widths, row| std::array::from_fn(|at| widths[at].max(row[at].chars().count())))
}

/// The same for a job's summary.
#[must_use]
pub fn markdown(judged: &Judgement) -> String {
    let escaped = |text: &str| crate::report::markdown::escaped(text);
    let mut text = format!("### Against {} ({})\n\n", escaped(&judged.baseline), escaped(&judged.bounds));
    text += &format!("| of | {} |\n|---|{}\n", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    for outcome in &judged.outcomes {
        let cells = row(outcome, true).map(|cell| escaped(&cell));
        text += &format!("| {} | {} |\n", escaped(&outcome.subject), cells.join(" | "));
    }
    let sentences = sentences(judged);
    text += if sentences.is_empty() { "" } else { "\n" };
    sentences.iter().for_each(|sentence| text += &format!("- {}\n", escaped(sentence)));
    text
}

/// An outcome in a sentence.
#[must_use]
pub fn sentence(outcome: &BoundOutcome) -> String {
    let BoundOutcome { subject, bound, baseline, now, change, .. } = outcome;
    let unit = bound.figure.unit;
    let what = format!("{} of {subject}", bound.figure.name);
    let why = match &outcome.outcome {
        Outcome::Ok => format!("within {bound}"),
        Outcome::Regression => format!("worse by more than {bound}"),
        Outcome::CannotTell(why) => format!("whether it is within {bound} cannot be told: {why}"),
    };
    let (Ok(baseline), Ok(now), Some(change)) = (baseline, now, change) else {
        return format!("{what}: {why}");
    };
    let interval = change.interval.map_or_else(String::new, |Interval { low, high }| {
        format!(", 95% CI {} to {}", signed(unit, low), signed(unit, high))
    });
    let change = signed(unit, change.value);
    format!(
        "{what}: {}, in the baseline {} ({change}{interval}): {why}",
        value(unit, now.value),
        value(unit, baseline.value)
    )
}

/// A subject that only the baseline has, in a sentence.
#[must_use]
pub fn missing(subject: &str) -> String {
    format!("{subject}: only in the baseline, not in the report")
}

/// What the table cannot say: why something is not known, and what was not compared.
fn sentences(judged: &Judgement) -> Vec<String> {
    let untold = judged.outcomes.iter().filter(|outcome| matches!(outcome.outcome, Outcome::CannotTell(_)));
    let missing = judged.only_in_baseline.iter().map(|subject| missing(subject));
    let new =
        judged.only_now.iter().map(|subject| format!("{subject}: only in the report, not in the baseline"));
    untold.map(sentence).chain(missing).chain(new).collect()
}

fn row(outcome: &BoundOutcome, with_interval: bool) -> [String; 6] {
    let unit = outcome.bound.figure.unit;
    let cell = |estimate: &Estimate<RecordedValue>| {
        estimate.as_ref().map_or_else(|_| "n/a".into(), |known| value(unit, known.value))
    };
    let change =
        outcome.change.map_or_else(String::new, |change| change_text(outcome, change, with_interval));
    let bound =
        format!("{}{}", if outcome.bound.direction.sign() > 0.0 { "≤ +" } else { "≥ −" }, outcome.bound.said);
    [
        outcome.bound.figure.name.clone(),
        cell(&outcome.baseline),
        cell(&outcome.now),
        change,
        bound,
        outcome.outcome.name().into(),
    ]
}

/// A change, perhaps with its interval: as a share of the baseline where the bound is one, else in the unit of the figure.
fn change_text(outcome: &BoundOutcome, change: RecordedValue, with_interval: bool) -> String {
    let unit = outcome.bound.figure.unit;
    let base = outcome.baseline.as_ref().map_or(0.0, |baseline| baseline.value.abs());
    let is_share = base > 0.0 && matches!(outcome.bound.amount, Amount::Share(_));
    let one = |value: f64| if is_share { percent(value / base) } else { signed(unit, value) };
    match change.interval.filter(|_| with_interval) {
        Some(Interval { low, high }) => {
            let bare = |text: String| text.split([' ', '%', 'm']).next().unwrap_or_default().to_owned();
            format!("{} ({} to {})", one(change.value), bare(one(low)), bare(one(high)))
        }
        None => one(change.value),
    }
}

/// A value in its unit.
#[must_use]
pub fn value(unit: Unit, value: f64) -> String {
    let size = value.abs();
    let text = match unit {
        Unit::Count | Unit::Step | Unit::Instances | Unit::Decimal => number(size),
        // As Kubernetes has them.
        Unit::Cores => format!("{}m", number(1000.0 * size)),
        Unit::CpuSeconds | Unit::Seconds => format!("{} s", number(size)),
        _ => unit.text(size),
    };
    if value < 0.0 { format!("−{text}") } else { text }
}

fn percent(share: f64) -> String {
    let text = format!("{:+.1}%", 100.0 * share);
    if text == "-0.0%" { "+0.0%".into() } else { text.replace('-', "−") }
}

fn signed(unit: Unit, change: f64) -> String {
    format!("{}{}", if change < 0.0 { "" } else { "+" }, value(unit, change))
}
