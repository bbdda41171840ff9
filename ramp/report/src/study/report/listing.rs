//! The report of a study as text with all statistics and every run, for `--verbose`.

use super::missing;
use super::naming::engine;
use super::overview::{CellGroup, StudyReport};
use super::provenance::{self, headline};
use super::table;
use super::untold::is_untold;
use super::words::WIDTH;
use crate::report::format::wrapped;
use crate::report::screen::item;
use ramp_format::text::count;

const MEMORY: &str = "memory of each, MiB (95% CI)";

/// All of it in words, for a terminal.
#[must_use]
pub fn listing(report: &StudyReport<'_>) -> String {
    let mut text = wrapped(&headline(report), 0, WIDTH);
    for sentence in report.findings.iter().chain(&report.notes) {
        text += &item(sentence, 0);
    }
    if report.data.run_count() > 0 {
        text += &format!("\n{}", table::cells(report));
    }
    for sentence in missing::reasons(report) {
        text += &item(&sentence, 0);
    }
    for group in &report.groups {
        push_group(&mut text, report, group);
    }
    push_overheads(&mut text, report);
    push_overhead_tables(&mut text, report);
    push_runs(&mut text, report);
    text += &format!("\n{}", wrapped(&provenance::provenance(report), 0, WIDTH));
    text
}

fn push_group(text: &mut String, report: &StudyReport<'_>, group: &CellGroup) {
    let engine = engine(report.data);
    *text += &format!("\n{}\n", group.title);
    for compared in &group.comparisons {
        if let Some(why) = compared.not_compared() {
            *text += &item(&why, 2);
            continue;
        }
        let told = compared.answers.iter().filter(|answer| !is_untold(report.data, answer.figure));
        for answer in told {
            *text += &item(&answer.sentence, 2);
            for part in answer.details() {
                *text += &wrapped(part, 6, WIDTH);
            }
        }
        *text += &item(&format!("startups, log-rank test: {}", compared.startups_text()), 2);
        if let Some(waiting) = &compared.waiting {
            *text += &wrapped(waiting, 6, WIDTH);
        }
        let told = compared.drift.iter().chain(&compared.caveats).chain(&compared.search_sentence);
        for sentence in told.chain(&compared.capacities) {
            *text += &item(sentence, 2);
        }
        if group.comparisons.len() > 1 {
            text.push('\n');
        }
    }
    for cell in &group.cells {
        let told = cell.figures.iter().filter(|figure| !is_untold(report.data, figure.figure));
        let figures: Vec<String> =
            told.map(|figure| format!("{} {}", figure.title, figure.text(engine))).collect();
        let runs = count(cell.runs as u32, "run");
        // A heading that is the name of its only cell is enough.
        let name = if cell.label == group.title { runs } else { format!("{} ({runs})", cell.label) };
        let line = format!("{name}: {}", figures.join("; "));
        *text += &item(&line, 2);
    }
}

/// Overhead by size, and podFixed.
fn push_overheads(text: &mut String, report: &StudyReport<'_>) {
    for overhead in report.overheads.iter().filter(|overhead| !overhead.sentences.is_empty()) {
        text.push('\n');
        for sentence in &overhead.sentences {
            *text += &item(sentence, 0);
        }
    }
}

/// A line for each size and usual limit.
fn push_overhead_tables(text: &mut String, report: &StudyReport<'_>) {
    for overhead in &report.overheads {
        let Some((headings, rows)) = overhead.table() else { continue };
        *text += &format!("\n{}\n", overhead.title());
        for row in rows {
            let named = headings.iter().zip(&row).skip(1).map(|(heading, cell)| format!("{heading}: {cell}"));
            let name = row.first().map_or("", String::as_str);
            *text += &item(&format!("{name}: {}", named.collect::<Vec<_>>().join("; ")), 2);
        }
    }
}

fn push_runs(text: &mut String, report: &StudyReport<'_>) {
    if report.runs.is_empty() {
        return;
    }
    let wide = |of: fn(&super::runs::RunReport) -> &str, least: usize| {
        report.runs.iter().map(|run| of(run).chars().count()).fold(least, usize::max)
    };
    let label = wide(|run| &run.label, 4);
    let memory =
        report.runs.iter().map(|run| run.memory_text().chars().count()).fold(MEMORY.len(), usize::max);
    *text += &format!(
        "\n{:<7}  {:<label$}  {:>7}  {:>4}  {MEMORY:<memory$}  directory\n",
        "block", "cell", "time", "held"
    );
    for run in &report.runs {
        let held = run.held.map_or_else(String::new, |held| held.to_string());
        let of_each = match run.state {
            "done" => run.memory_text(),
            state => state.to_owned(),
        };
        let line = format!(
            "{:<7}  {:<label$}  {:>7}  {held:>4}  {of_each:<memory$}  {}",
            run.block_text(),
            run.label,
            run.duration_text(),
            run.directory,
        );
        *text += line.trim_end();
        text.push('\n');
        for note in &run.notes {
            *text += &wrapped(note, 9, WIDTH);
        }
    }
    if let Some(decision) = report.data.record.decisions.last() {
        let needed = decision.blocks_needed.map_or_else(
            || "it is not known how many are needed".to_owned(),
            |blocks| format!("{} expected to be needed", count(blocks, "block")),
        );
        let after = count(decision.after_blocks, "block");
        *text += &wrapped(&format!("after {after}: {needed} ({})", decision.reason), 0, WIDTH);
    }
}
