//! Series of the charts: their labels and strokes, and their points along steps and time.

use super::super::Report;
use super::super::chart::{At, LINES, PALETTE, Series, Stroke, thinned};
use crate::dataset::{Dataset, Step};

/// Of one run a colour for each thing that is measured. Of more a colour for each runtime, and a stroke for each repeat; where there are
/// no repeats, for each thing.
pub(super) struct Pen {
    labels: Vec<String>,
    colours: Vec<usize>,
    repeats: Vec<usize>,
}

impl Pen {
    pub(super) fn of(report: &Report) -> Self {
        let runs = 0..report.data.len();
        Self {
            labels: report.labels(),
            colours: runs.clone().map(|run| report.colour(run)).collect(),
            repeats: runs.map(|run| report.repeat(run)).collect(),
        }
    }

    /// A line for a thing (its number, and its name) of a run.
    pub(super) fn line(&self, run: usize, (number, name): (usize, &str), points: Vec<At>) -> Series {
        let stroke = if self.is_alone() {
            Stroke::Line([0, 0])
        } else {
            let which = if self.has_repeats() { self.repeats.get(run).copied().unwrap_or(0) } else { number };
            LINES.get(which % LINES.len()).copied().unwrap_or(Stroke::Dots)
        };
        Series {
            label: self.label(run, name),
            colour: self.colour(run, number),
            stroke,
            hidden: false,
            points,
        }
    }

    /// One run has a colour for each thing, more have one for each runtime.
    pub(super) fn colour(&self, run: usize, number: usize) -> usize {
        let which = if self.is_alone() { number } else { self.colours.get(run).copied().unwrap_or(run) };
        which % PALETTE.len()
    }

    /// Whether some runtime was run more than once.
    pub(super) fn has_repeats(&self) -> bool {
        self.repeats.iter().any(|repeat| *repeat > 0)
    }

    pub(super) fn is_alone(&self) -> bool {
        self.labels.len() == 1
    }

    pub(super) fn label(&self, run: usize, name: &str) -> String {
        match self.labels.get(run) {
            Some(label) if !self.is_alone() => format!("{name} — {label}"),
            _ => name.to_owned(),
        }
    }
}

/// Points of a series, of which a drawing takes as many as it can show.
pub(super) const MOST_POINTS: usize = 4000;

/// Whether the memory of a step is what was measured then.
pub(super) fn is_stale(data: &Dataset, step: &Step) -> bool {
    !step.fresh && !data.nodes.is_empty()
}

/// A point for each step; `y` gets its index in [`Dataset::steps`] as well.
pub(super) fn by_step(
    data: &Dataset,
    y: impl Fn(usize, &Step) -> Option<f64>,
    stale: impl Fn(&Step) -> bool,
) -> Vec<At> {
    let mut last = f64::NEG_INFINITY;
    let mut points = Vec::new();
    for (index, step) in data.steps.iter().enumerate() {
        // Steps down count on; what is recorded for the hold and the removal has the number of the last one.
        let number = f64::from(step.step).max(if last.is_finite() { last + 0.001 } else { 0.0 });
        last = number;
        let seconds = step.elapsed_seconds.unwrap_or(f64::NAN);
        points.push(At { step: number, seconds, y: y(index, step), stale: stale(step) });
    }
    thinned(&points, MOST_POINTS)
}

/// Where a time lies between the steps: 3.5 is half-way through the fourth.
pub(super) struct StepAxis {
    ends: Vec<(f64, f64)>,
}

impl StepAxis {
    pub(super) fn of(data: &Dataset) -> Self {
        let mut ends: Vec<(f64, f64)> = Vec::new();
        for step in &data.steps {
            let Some(seconds) = step.elapsed_seconds else { continue };
            let number = f64::from(step.step);
            if ends.last().is_none_or(|(before, last)| seconds > *before && number > *last) {
                ends.push((seconds, number));
            }
        }
        Self { ends }
    }

    pub(super) fn step(&self, seconds: f64) -> f64 {
        let next = self.ends.partition_point(|(end, _)| *end < seconds);
        let (begin, before) =
            next.checked_sub(1).and_then(|at| self.ends.get(at)).copied().unwrap_or((0.0, 0.0));
        match self.ends.get(next) {
            Some((end, number)) if *end > begin => {
                before + (number - before) * (seconds - begin) / (end - begin)
            }
            _ => before,
        }
    }
}

pub(super) fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Whether any of the runs was recorded by ramp.
pub(super) fn has_runs(report: &Report) -> bool {
    report.data.iter().any(|data| !data.is_foreign())
}

pub(super) const STALE: &str = "Thin and dotted: at least one node repeats an older value, or has none.";
