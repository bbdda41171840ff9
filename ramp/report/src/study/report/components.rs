//! Who holds what instances of a runtime take more: in a line, and as stacked bars.

use super::answer::ComparedReport;
use super::overview::CellGroup;
use super::plot::PlotMark;
use crate::analysis::mib;
use crate::study::comparison::FigureComparison;
use crate::study::components::PEAK_PER_INSTANCE;
use crate::study::figure::StudyFigure;
use ramp_format::plan::EngineKind;

/// Differences that are told, in MiB: less is rounded to nothing.
const LEAST: f64 = 0.05;

/// The component of a figure, in words.
fn words(figure: &StudyFigure) -> Option<String> {
    Some(figure.component()?.replace('_', " "))
}

fn signed(bytes: f64) -> String {
    format!("{:.1}", mib(bytes)).replace('-', "−")
}

/// The differences of all components, the largest first and the rest last; none where no component probe ran.
#[must_use]
pub fn who_holds_it(compared: &ComparedReport, engine: EngineKind) -> Option<String> {
    let figures = compared.compared.comparison.figures.iter().flatten();
    let mut all: Vec<&FigureComparison> =
        figures.filter(|found| found.figure.component().is_some()).collect();
    let mean = |found: &FigureComparison| found.difference.difference.mean;
    let is_rest = |found: &FigureComparison| found.figure.component() == Some("rest");
    all.retain(|found| is_rest(found) || mib(mean(found)).abs() >= LEAST);
    all.sort_by(|a, b| is_rest(a).cmp(&is_rest(b)).then(mean(b).abs().total_cmp(&mean(a).abs())));
    let one = |found: &&FigureComparison| {
        let name = words(found.figure)?;
        let (low, high) = (signed(found.interval.low), signed(found.interval.high));
        Some(format!("{name} {} ({low} to {high})", signed(mean(found))))
    };
    let texts: Vec<String> = all.iter().filter_map(one).collect();
    (!texts.is_empty()).then(|| format!("{} MiB per {}", texts.join(", "), engine.instance()))
}

/// Whether a figure has a line of its own in a short report.
#[must_use]
pub fn has_line(figure: &StudyFigure) -> bool {
    figure.component().is_none() || figure.name == PEAK_PER_INSTANCE
}

/// Width of a bar, as a share of the room of a runtime; where it begins, and where its labels do.
const BAR: f64 = 0.28;
const LEFT: f64 = -0.42;
const LABELS: f64 = 0.06;

/// A bar for each cell, of its components from the largest to the smallest, with the interval of each at its end. What is less than
/// nothing is below 0. A peak is a line above the bar.
#[must_use]
pub fn stacks(group: &CellGroup) -> Vec<PlotMark> {
    let mut marks = Vec::new();
    for (at, cell) in group.cells.iter().enumerate() {
        let known =
            |figure: &&super::cell::CellFigure| figure.figure.component().is_some() && figure.mean.is_some();
        let mut all: Vec<(String, f64, Option<crate::stats::Interval>)> = cell
            .figures
            .iter()
            .filter(known)
            .filter_map(|figure| Some((words(figure.figure)?, mib(figure.mean?.mean), figure.mean?.interval)))
            .filter(|(name, size, _)| size.abs() >= LEAST || name == "rest")
            .collect();
        all.sort_by(|(a, x, _), (b, y, _)| (a == "rest").cmp(&(b == "rest")).then(y.total_cmp(x)));
        let (mut above, mut below) = (0.0, 0.0);
        let count = all.len();
        for (number, (name, size, interval)) in all.into_iter().enumerate() {
            let from = if size < 0.0 { below } else { above };
            let to = from + size;
            let x = at as f64 + LEFT;
            marks.push(PlotMark::Bar { x: (x, x + BAR), y: (from, to), colour: at, number });
            if let Some(interval) = interval {
                // Each whisker at a place of its own, so that those of thin parts can be told apart.
                let place = x + BAR * (number as f64 + 1.0) / (count as f64 + 1.0);
                let (low, high) = (to - size + mib(interval.low), to - size + mib(interval.high));
                marks.push(PlotMark::Whisker { x: place, low, high });
            }
            let text = format!("{name} {size:.1}").replace('-', "−");
            marks.push(PlotMark::Label {
                x: at as f64 + LEFT + BAR + LABELS,
                y: f64::midpoint(from, to),
                text,
            });
            if size < 0.0 { below = to } else { above = to }
        }
    }
    marks
}
