//! Who holds what instances of a runtime take more: in a line, and as stacked bars.

use super::answer::ComparedReport;
use super::cell::{CellMean, CellReport};
use super::overview::CellGroup;
use crate::analysis::memory_parts::{MemoryPart, memory_parts};
use crate::analysis::mib;
use crate::report::memory_bars::{LEAST_MIB, MemoryBar, words};
use crate::study::comparison::FigureComparison;
use crate::study::components::PEAK_PER_INSTANCE;
use crate::study::data::StudyData;
use crate::study::figure::StudyFigure;
use ramp_format::plan::EngineKind;

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
    all.retain(|found| is_rest(found) || mib(mean(found)).abs() >= LEAST_MIB);
    all.sort_by(|a, b| is_rest(a).cmp(&is_rest(b)).then(mean(b).abs().total_cmp(&mean(a).abs())));
    let one = |found: &&FigureComparison| {
        let name = words(found.figure.component()?);
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

/// A bar for each cell: the means over its runs of all parts but the load.
#[must_use]
pub fn bars(data: &StudyData, group: &CellGroup) -> Vec<MemoryBar> {
    let bar = |(colour, cell): (usize, &CellReport)| {
        let runs = data.runs_of(cell.cell);
        let all: Vec<Vec<MemoryPart>> = runs
            .iter()
            .map(|run| memory_parts(&run.results, run.group))
            .filter(|parts| !parts.is_empty())
            .collect();
        let mut parts: Vec<MemoryPart> = Vec::new();
        for part in all.iter().flatten() {
            if parts.iter().all(|known| known.name != part.name) {
                parts.push(mean_of(part.name, &all));
            }
        }
        MemoryBar { label: cell.label.clone(), colour, parts }.beyond_load()
    };
    group.cells.iter().enumerate().map(bar).collect()
}

/// The mean over runs; what a run has nothing of it is nothing there. The interval of one run is its own.
fn mean_of(name: &'static str, all: &[Vec<MemoryPart>]) -> MemoryPart {
    let of = |parts: &Vec<MemoryPart>| parts.iter().find(|part| part.name == name).copied();
    let values: Vec<f64> = all.iter().map(|parts| of(parts).map_or(0.0, |part| part.bytes)).collect();
    match (all, CellMean::of(&values)) {
        ([_, _, ..], Some(CellMean { mean, interval, .. })) => MemoryPart { name, bytes: mean, interval },
        _ => all.iter().find_map(of).unwrap_or(MemoryPart { name, bytes: 0.0, interval: None }),
    }
}
