//! Chart of a study: the phases of the start of each runtime, stacked.

use super::naming::engine;
use super::overview::{CellGroup, StudyReport};
use crate::analysis::startup_phases::StartupPhase;
use crate::report::format;
use crate::report::plot::{PlotAxis, PlotChart, PlotMark};
use crate::stats::{Duration, Quantile, Survival};
use crate::study::data::MeasuredRun;

/// Shorter phases have no label.
const LEAST_SECONDS: f64 = 0.02;

/// A chart for each scenario in one size.
pub(super) fn charts(report: &StudyReport<'_>) -> Vec<PlotChart> {
    let chart = |(number, group): (usize, &CellGroup)| {
        let is_one = report.groups.len() == 1;
        PlotChart {
            id: if is_one { "phases".into() } else { format!("phases-{}", number + 1) },
            title: format!(
                "Phases of the start of a {}{}",
                engine(report.data).instance(),
                if is_one { String::new() } else { format!(", {}", group.title) }
            ),
            x: PlotAxis::Names(group.cells.iter().map(|cell| cell.label.clone()).collect()),
            y: "seconds".into(),
            marks: marks(report, group),
            legend: Vec::new(),
            reach: Vec::new(),
            note: "Medians over the instances of all runs (Kaplan–Meier), from the creation at the bottom; medians of phases do not \
                   add up \
                   to that of the whole. Dot: 90% were ready within that time. Phases below 0.02 s \
                   have no label; those that neither the engine nor an event tells are left out."
                .into(),
        }
    };
    report.groups.iter().enumerate().map(chart).collect()
}

fn marks(report: &StudyReport<'_>, group: &CellGroup) -> Vec<PlotMark> {
    let mut marks = Vec::new();
    for (at, cell) in group.cells.iter().enumerate() {
        let runs = report.data.runs_of(cell.cell);
        let (place, mut from) = (at as f64, 0.0);
        for (number, phase) in StartupPhase::ALL.into_iter().enumerate() {
            let Some(median) = quantile(&durations(&runs, phase), 0.5) else { continue };
            let to = from + median.max(0.0);
            marks.push(PlotMark::Bar { x: (place - 0.4, place - 0.1), y: (from, to), colour: at, number });
            from = to;
            if median.abs() < LEAST_SECONDS {
                continue;
            }
            let text = format!("{} {}", phase.name(), format::seconds(median));
            marks.push(PlotMark::Label {
                from: place - 0.1,
                x: place - 0.04,
                y: to - median.max(0.0) / 2.0,
                text: text.replace('-', "−"),
            });
        }
        let whole: Vec<Duration> = runs.iter().flat_map(|run| run.figures.startups.iter().copied()).collect();
        if let Some(most) = quantile(&whole, 0.9).filter(|_| from > 0.0) {
            marks.push(PlotMark::Dots { places: vec![(place - 0.25, most)], colour: at });
        }
    }
    marks
}

/// What a phase took in all of these runs.
fn durations(runs: &[&MeasuredRun], phase: StartupPhase) -> Vec<Duration> {
    let of = |run: &&MeasuredRun| {
        let group =
            run.group.and_then(|index| run.results.mixed.get(index)).map(|group| group.runtime.as_str());
        run.results.phases.as_ref().ok()?.durations(phase, group).ok()
    };
    runs.iter().filter_map(of).flatten().collect()
}

fn quantile(durations: &[Duration], share: f64) -> Option<f64> {
    match Survival::of(durations)?.quantile(share) {
        Quantile::Seconds(seconds, ..) => Some(seconds),
        Quantile::LongerThan(_) => None,
    }
}
