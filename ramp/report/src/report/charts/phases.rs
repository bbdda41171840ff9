//! Chart of the phases of the start, by load level.

use super::super::Report;
use super::super::chart::{At, Chart, Series, X};
use super::series::Pen;
use crate::analysis::startup_phases::{PhaseLevel, StartupPhase};
use crate::stats::Quantile;

/// Median of each phase against the population when instances were made.
pub(super) fn by_load(report: &Report) -> Chart {
    let pen = Pen::of(report);
    let mut series: Vec<Series> = Vec::new();
    for (run, found) in report.findings.runs.iter().enumerate() {
        let Ok(phases) = &found.phases else { continue };
        for (number, phase) in StartupPhase::ALL.into_iter().enumerate() {
            if phases.durations(phase, None).is_err() {
                continue;
            }
            let points: Vec<At> =
                phases.levels(phase).iter().map(|level| median(level, phases.full)).collect();
            if points.iter().any(|at| at.y.is_some()) {
                series.push(pen.line(run, (number, phase.name()), points));
            }
        }
    }
    Chart {
        x: X::Own("running instances at creation"),
        note: "Median of each phase (Kaplan–Meier) in each quarter of the instances up to saturation, and beyond it: from the creation to \
               a node, to the sandbox, the container, the first instruction of the program, all of its memory, and being seen to be \
               ready. \
               Phases that nothing tells are left out."
            .into(),
        ..Chart::of_all("phases", "Phases of the start against population", "seconds", series)
    }
}

/// In the middle of its level.
fn median(level: &PhaseLevel, full: u32) -> At {
    let x = match level.to {
        Some(to) => f64::midpoint(level.from.into(), to.saturating_sub(1).max(level.from).into()),
        None => level.from.max(full).into(),
    };
    let y = match level.survival.quantile(0.5) {
        Quantile::Seconds(seconds, ..) => Some(seconds),
        Quantile::LongerThan(_) => None,
    };
    At { step: x, seconds: x, y, stale: false }
}
