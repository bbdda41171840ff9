//! The report of a study as text, for a terminal: what it says, without the statistics that it rests on.

use super::answer::ComparedReport;
use super::listing::{item, push_overheads};
use super::naming::engine;
use super::overview::{CellGroup, StudyReport};
use super::provenance::{self, headline};
use super::runs::RunReport;
use super::table;
use super::words::{WIDTH, duration};
use super::{components, missing};
use crate::report::format::wrapped;
use ramp_format::plan::EngineKind;
use ramp_format::text::count;

/// Runs that are listed because something is to be known of them.
const MOST_RUNS: usize = 8;

/// The answers in words, for a terminal.
#[must_use]
pub fn text(report: &StudyReport<'_>) -> String {
    let mut text = wrapped(&headline(report), 0, WIDTH);
    for finding in &report.findings {
        text += &item(finding, 0);
    }
    if report.data.run_count() > 0 {
        text += &format!("\n{}", table::cells(report));
    }
    for sentence in missing::reasons(report).iter().chain(&report.notes) {
        text += &item(sentence, 0);
    }
    for group in &report.groups {
        push_group(&mut text, report, group);
    }
    push_overheads(&mut text, report);
    push_runs(&mut text, report);
    text += &wrapped(&provenance::short(report), 0, WIDTH);
    text
}

fn push_group(text: &mut String, report: &StudyReport<'_>, group: &CellGroup) {
    let title = if report.groups.len() > 1 { format!("{}: ", group.title) } else { String::new() };
    for compared in &group.comparisons {
        text.push('\n');
        if let Some(why) = compared.not_compared() {
            *text += &wrapped(&format!("{title}{why}"), 0, WIDTH);
            continue;
        }
        *text += &wrapped(&format!("{title}{}", compared.heading()), 0, WIDTH);
        if let Some(sentence) = &compared.search_sentence {
            *text += &wrapped(sentence, 0, WIDTH);
        }
        push_rows(text, compared, engine(report.data));
        for sentence in compared.caveats.iter().chain(&compared.capacities) {
            *text += &item(sentence, 2);
        }
    }
}

/// A line for each figure but the first, which is the heading.
fn push_rows(text: &mut String, compared: &ComparedReport, engine: EngineKind) {
    let mut rows: Vec<(String, String)> = compared
        .answers
        .iter()
        .skip(1)
        .filter(|answer| answer.is_main())
        .filter(|answer| components::has_line(answer.figure))
        .filter_map(|answer| Some((answer.title.clone(), answer.short.clone()?)))
        .collect();
    rows.extend(compared.startups_short.clone().map(|short| ("startup curves".to_owned(), short)));
    rows.extend(components::who_holds_it(compared, engine).map(|line| ("who holds it".to_owned(), line)));
    let width = rows.iter().map(|(title, _)| title.chars().count()).fold(0, usize::max);
    for (title, short) in rows {
        let line = wrapped(&short, width + 4, WIDTH);
        *text += &format!("  {title:<width$}  {}", line.trim_start());
    }
    if let Some(missing) = compared.missing_text() {
        *text += &wrapped(&missing, 2, WIDTH);
    }
}

/// How many runs there were, and those of which something is to be known.
fn push_runs(text: &mut String, report: &StudyReport<'_>) {
    let seconds: f64 = report.runs.iter().filter_map(|run| run.seconds).sum();
    let warm_up = report.runs.iter().filter(|run| run.block == 0).count();
    let warm_up = match warm_up {
        0 => String::new(),
        number => format!(", {number} of them the warm-up"),
    };
    *text +=
        &format!("\n{}{warm_up}, {} in all\n", count(report.runs.len() as u32, "run"), duration(seconds));
    let unusual: Vec<String> = report.runs.iter().filter_map(unusual).collect();
    for line in unusual.iter().take(MOST_RUNS) {
        *text += &item(line, 0);
    }
    if let Some(more) = unusual.len().checked_sub(MOST_RUNS).filter(|more| *more > 0) {
        *text += &item(&format!("{more} more: --verbose"), 0);
    }
}

/// What is to be known of a run; none where it went as planned.
fn unusual(run: &RunReport) -> Option<String> {
    // Of which findings tell.
    if ["failed", "unreadable"].contains(&run.state) {
        return None;
    }
    let state = (run.state != "done").then(|| run.state.to_owned());
    let is_repeat = run.directory.contains(".repeat-");
    let repeat = is_repeat.then(|| "repetition of one that failed".to_owned());
    let parts: Vec<String> = [state, repeat].into_iter().flatten().chain(run.notes.iter().cloned()).collect();
    let block = if run.block == 0 { run.block_text() } else { format!("block {}", run.block) };
    (!parts.is_empty()).then(|| format!("{block}, {}: {}", run.label, parts.join("; ")))
}
