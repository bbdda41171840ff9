//! The report as text, for a terminal: what fits on a screen, or all of it.

use super::estimate_table::{self, EstimateRow};
use super::format::wrapped;
use super::screen::{Screen, WIDTH, short_item};
use super::{Report, format, narrative};

/// Runs that have a column each; more have a row each.
const MOST_COLUMNS: usize = 3;
/// Width of the names of figures.
const NAME: usize = 24;

/// The answer, the table, and why figures are not available: one screen.
#[must_use]
pub fn summary(report: &Report) -> String {
    let mut screen = Screen::default();
    let answers = narrative::summaries(report);
    screen.push(1, answers.iter().map(|answer| wrapped(answer, 0, WIDTH)).collect());
    let tables: Vec<Vec<EstimateRow>> =
        (0..report.data.len()).map(|run| estimate_table::of_run(report, run)).collect();
    match tables.len() {
        0..=MOST_COLUMNS => screen.push_apart(1, columns(report, &tables)),
        _ => screen.push_apart(1, rows(report, &tables)),
    }
    for compared in &report.findings.comparisons {
        let [base, other] = report.names(compared);
        let lines = estimate_table::of_comparison(report, compared);
        let known = lines.iter().filter(|line| line.value.is_ok());
        let heading = wrapped(&format!("{other} against {base}"), 0, WIDTH);
        screen.push_apart(3, [heading].into_iter().chain(known.map(row)).collect());
        screen.push(2, missing(&[(String::new(), &lines)], 1));
    }
    let labels = report.labels();
    let named: Vec<(String, &Vec<EstimateRow>)> = labels.into_iter().zip(&tables).collect();
    screen.push_apart(2, missing(&named, named.len()));
    let sentences: usize = narrative::sections(report).iter().map(|section| section.sentences.len()).sum();
    screen.push_apart(0, vec![format!("--verbose: the analysis in {sentences} sentences\n")]);
    screen.text()
}

/// A line for each figure that is known of any run, and a column for each run.
fn columns(report: &Report, tables: &[Vec<EstimateRow>]) -> Vec<String> {
    let count = tables.len();
    let width = (WIDTH - NAME) / count.max(1) - 2;
    let line = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| wrapped(cell, 0, width)).collect();
        let height = cells.iter().map(|cell| cell.lines().count()).fold(1, usize::max);
        let mut text = String::new();
        for at in 0..height {
            let name = if at == 0 { name } else { "" };
            let parts = cells.iter().map(|cell| format!("{:<width$}", cell.lines().nth(at).unwrap_or("")));
            let whole = format!("{name:<NAME$}{}", parts.collect::<Vec<_>>().join("  "));
            text += &format!("{}\n", whole.trim_end());
        }
        text
    };
    let mut lines = Vec::new();
    if count > 1 {
        lines.push(line("", &report.labels()));
    }
    for name in names(tables) {
        let cell = |table: &Vec<EstimateRow>| match table.iter().find(|row| row.name == name) {
            Some(EstimateRow { value: Ok(value), .. }) => value.clone(),
            _ => "n/a".to_owned(),
        };
        let cells: Vec<String> = tables.iter().map(cell).collect();
        if cells.iter().any(|cell| cell != "n/a") {
            lines.push(line(name, &cells));
        }
    }
    lines
}

/// The names of all figures, in the order of the longest table.
fn names(tables: &[Vec<EstimateRow>]) -> Vec<&'static str> {
    let longest = tables.iter().max_by_key(|table| table.len());
    let mut names: Vec<&'static str> = longest.into_iter().flatten().map(|row| row.name).collect();
    for row in tables.iter().flatten() {
        if !names.contains(&row.name) {
            names.push(row.name);
        }
    }
    names
}

/// A line for each run, with what is asked most often of it.
fn rows(report: &Report, tables: &[Vec<EstimateRow>]) -> Vec<String> {
    const FIGURES: [(&str, usize); 3] =
        [("held at once", 14), ("running at once", 16), ("marginal cost", 44)];
    let labels = report.labels();
    let line = |name: &str, cells: [&str; 3]| {
        let mut text = format!("{name:<22}");
        for (cell, (_, width)) in cells.iter().zip(FIGURES) {
            text += &format!("{cell:<width$}");
        }
        format!("{}\n", text.trim_end())
    };
    let mut lines = vec![line("run", FIGURES.map(|(name, _)| name))];
    for (label, table) in labels.iter().zip(tables) {
        let cells = FIGURES.map(|(name, _)| {
            let found = table.iter().find(|row| row.name == name).and_then(|row| row.value.as_ref().ok());
            found.map_or("n/a", String::as_str)
        });
        lines.push(line(label, cells));
    }
    lines
}

/// Why figures are not available: each reason once, with the figures and the runs that it is of.
fn missing(tables: &[(String, &Vec<EstimateRow>)], of: usize) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>, Vec<&str>)> = Vec::new();
    for (label, table) in tables {
        for row in *table {
            let Err(why) = &row.value else { continue };
            match reasons.iter_mut().find(|(reason, ..)| reason == why) {
                Some((_, figures, runs)) => {
                    figures.push(row.name);
                    runs.push(label);
                }
                None => reasons.push((why, vec![row.name], vec![label])),
            }
        }
    }
    let sentence = |(why, mut figures, mut runs): (&str, Vec<&str>, Vec<&str>)| {
        figures.sort_unstable();
        figures.dedup();
        runs.dedup();
        let of = if runs.len() < of { format!(" of {}", runs.join(", ")) } else { String::new() };
        short_item(&format!("{}: n/a{of}: {why}", figures.join(", ")), 0)
    };
    reasons.into_iter().map(sentence).collect()
}

fn row(line: &EstimateRow) -> String {
    let text = wrapped(&line.text(), NAME + 2, WIDTH);
    format!("  {:<NAME$}{}", line.name, text.trim_start())
}

/// All of it in words.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n", narrative::summary(report));
    for (run, data) in report.data.iter().enumerate() {
        text.push_str(&format!("\n{}\n", data.name));
        text.extend(estimate_table::of_run(report, run).iter().map(row));
    }
    for compared in &report.findings.comparisons {
        let [base, other] = report.names(compared);
        text.push_str(&format!("\n{other} against {base}\n"));
        text.extend(estimate_table::of_comparison(report, compared).iter().map(row));
    }
    text.push_str("\nAnalysis\n");
    for section in narrative::sections(report) {
        text.push_str(&format!("  {}\n", section.title));
        for sentence in section.sentences {
            text.push_str(&format::wrapped(&format!("{} [{}]", sentence.text, sentence.rule), 4, 100));
        }
    }
    text
}
