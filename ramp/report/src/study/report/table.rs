//! Table of a study's cells: a row for each, with what is asked most often of it.

use super::cell::CellReport;
use super::naming::{engine, label_with_size};
use super::overview::StudyReport;
use super::words::{WIDTH, ends, number};
use crate::stats::Interval;
use crate::study::figure::{INSTANCES_HELD, MEMORY_PER_INSTANCE, STARTUP_MEDIAN, StudyUnit};

/// A column: its heading, and its text in each row.
struct Column {
    heading: String,
    cells: Vec<String>,
}

/// The heading of each column, and what it has for each cell. Columns that have nothing for any cell are left out.
#[must_use]
pub fn columns(report: &StudyReport<'_>) -> (Vec<String>, Vec<Vec<String>>) {
    let all = all_columns(report);
    let rows = report
        .cells()
        .enumerate()
        .map(|(at, _)| all.iter().map(|column| column.cells.get(at).cloned().unwrap_or_default()).collect());
    let rows = rows.collect();
    (all.into_iter().map(|column| column.heading).collect(), rows)
}

fn all_columns(report: &StudyReport<'_>) -> Vec<Column> {
    let cells: Vec<&CellReport> = report.cells().collect();
    let column = |heading: &str, of: &dyn Fn(&CellReport) -> Option<String>| {
        let texts: Vec<Option<String>> = cells.iter().map(|cell| of(cell)).collect();
        texts.iter().any(Option::is_some).then(|| Column {
            heading: heading.to_owned(),
            cells: texts.into_iter().map(|text| text.unwrap_or_else(|| "n/a".into())).collect(),
        })
    };
    let runs = cells.iter().any(|cell| Some(cell.runs) != cells.first().map(|cell| cell.runs));
    let columns = [
        column("cell", &|cell| Some(label_with_size(&report.data.cells, cell.cell))),
        runs.then(|| column("runs", &|cell| Some(cell.runs.to_string()))).flatten(),
        column(&format!("memory per {}, MiB", engine(report.data).instance()), &|cell| {
            mean(cell, MEMORY_PER_INSTANCE)
        }),
        column("held", &|cell| held(report, cell)),
        column("hold with 95%", &CellReport::held_text),
        column("median startup, s", &|cell| mean(cell, STARTUP_MEDIAN)),
        column("fit by requests", &by_requests),
        column("fit by memory", &by_memory),
    ];
    columns.into_iter().flatten().collect()
}

/// A figure with its interval.
fn mean(cell: &CellReport, name: &str) -> Option<String> {
    let figure = cell.figures.iter().find(|figure| figure.figure.name == name)?;
    let mean = figure.mean?;
    let value = number(figure.figure.unit, mean.mean);
    Some(match mean.interval {
        Some(interval) if interval.low < interval.high => {
            format!("{value} ({})", ends(figure.figure.unit, interval))
        }
        _ => value,
    })
}

/// The most that were held at once, or at least: where no run reached saturation.
fn held(report: &StudyReport<'_>, cell: &CellReport) -> Option<String> {
    mean(cell, INSTANCES_HELD).or_else(|| {
        let runs = report.data.runs_of(cell.cell);
        let held = runs.iter().map(|run| run.at_least_held()).collect::<Option<Vec<u32>>>()?;
        Some(format!("≥ {}", held.into_iter().min()?))
    })
}

fn by_requests(cell: &CellReport) -> Option<String> {
    Some(cell.capacities.by_requests.as_ref().ok()?.least.instances.to_string())
}

fn by_memory(cell: &CellReport) -> Option<String> {
    let found = cell.capacities.by_memory.as_ref().ok()?;
    let value = number(StudyUnit::Instances, found.instances.round());
    let Interval { low, high } = found.interval;
    Some(match low < high {
        true => format!("{value} ({low:.0} to {high:.0})"),
        false => value,
    })
}

/// As text, no wider than a terminal where names leave room.
#[must_use]
pub fn cells(report: &StudyReport<'_>) -> String {
    let all = all_columns(report);
    let rows = report.cells().count();
    let in_lines = |lines: usize| aligned(&all, rows, lines);
    in_lines(1).or_else(|| in_lines(2)).unwrap_or_else(|| (0..rows).map(|row| record(&all, row)).collect())
}

/// In columns, below headings of so many lines; none where that is too wide.
fn aligned(all: &[Column], rows: usize, lines: usize) -> Option<String> {
    let headings: Vec<Vec<&str>> = all.iter().map(|column| column.heading_in(lines)).collect();
    let width = |text: &str| text.chars().count();
    let widths = all.iter().zip(&headings).map(|(column, heading)| {
        let texts = column.cells.iter().map(String::as_str).chain(heading.iter().copied());
        texts.map(width).fold(0, usize::max)
    });
    let widths: Vec<usize> = widths.collect();
    if widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) > WIDTH {
        return None;
    }
    let line = |texts: Vec<&str>| {
        let parts: Vec<String> =
            texts.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        format!("{}\n", parts.join("  ").trim_end())
    };
    let mut text = String::new();
    for number in 0..lines {
        text +=
            &line(headings.iter().map(|heading| heading.get(number).copied().unwrap_or_default()).collect());
    }
    for row in 0..rows {
        text += &line(all.iter().map(|column| column.cells.get(row).map_or("", String::as_str)).collect());
    }
    Some(text)
}

impl Column {
    /// Its heading, broken before its last word where there are two lines.
    fn heading_in(&self, lines: usize) -> Vec<&str> {
        match self.heading.rsplit_once(' ') {
            Some((first, last)) if lines > 1 => vec![first, last],
            _ => vec![&self.heading],
        }
    }
}

/// A row as a list, where the table would be too wide.
fn record(all: &[Column], row: usize) -> String {
    let mut parts = all.iter().filter_map(|column| Some((&column.heading, column.cells.get(row)?)));
    let name = parts.next().map_or("", |(_, name)| name.as_str());
    let figures: Vec<String> = parts.map(|(heading, text)| format!("{heading} {text}")).collect();
    crate::report::format::wrapped(&format!("{name}: {}", figures.join("; ")), 0, WIDTH)
}
