//! The charts of a report, each defined once.

mod instances;
mod nodes;
mod overall;

use super::Report;
use super::chart::{At, Chart, LINES, Mark, PALETTE, Series, Stroke, thinned};
use crate::dataset::{Dataset, Source, Step};

/// All charts that have anything to show.
#[must_use]
pub fn charts(report: &Report) -> Vec<Chart> {
    let mut charts = vec![
        overall::memory(report),
        overall::instances(report),
        overall::usage(report),
        overall::cost(report),
    ];
    charts.extend(nodes::memory(report));
    charts.push(overall::time(report));
    charts.push(instances::startup(report));
    charts.push(instances::goodput(report));
    charts.push(instances::work(report));
    charts.push(nodes::pressure(report));
    charts.retain(|chart| !chart.is_empty());
    charts
}

/// What is to be marked in each chart along a run: where it was saturated, and which rules ended it.
#[must_use]
pub fn marks(report: &Report) -> Vec<Mark> {
    let labels = report.labels();
    let mut marks: Vec<Mark> = Vec::new();
    let mut letters = ('a'..='z').chain('A'..='Z').cycle();
    for (run, (data, found)) in report.runs().enumerate() {
        let of = labels
            .get(run)
            .filter(|_| labels.len() > 1)
            .map_or_else(String::new, |label| format!(" — {label}"));
        let mut mark = |step: &Step, what: String| {
            marks.push(Mark {
                letter: letters.next().unwrap_or('*'),
                run,
                colour: run % PALETTE.len(),
                label: format!("{what} (step {}){of}", step.step),
                step: f64::from(step.step),
                seconds: step.elapsed_seconds.unwrap_or(f64::NAN),
            });
        };
        if let Ok(at) = &found.estimates.saturation.saturation
            && let Some(step) = data.steps.get(at.index)
        {
            mark(step, format!("saturated: {}", at.rule));
        }
        // The first step after which a rule was true; it ended the run then, or so many steps later.
        if let Some(step) = data.steps.iter().find(|step| !step.rules.is_empty()) {
            mark(step, format!("stop rule {}", step.rules));
        }
    }
    marks
}

/// Of one run a colour for each thing that is measured; of more one for each run, and a stroke for each thing.
struct Pen {
    labels: Vec<String>,
}

impl Pen {
    fn of(report: &Report) -> Self {
        Self { labels: report.labels() }
    }

    /// A line for a thing (its number, and its name) of a run.
    fn line(&self, run: usize, (number, name): (usize, &str), points: Vec<At>) -> Series {
        let stroke = if self.is_alone() {
            Stroke::Line([0, 0])
        } else {
            LINES.get(number % LINES.len()).copied().unwrap_or(Stroke::Dots)
        };
        Series {
            label: self.label(run, name),
            colour: self.colour(run, number),
            stroke,
            hidden: false,
            points,
        }
    }

    /// One run has a colour for each thing, more have one for each run.
    fn colour(&self, run: usize, number: usize) -> usize {
        let which = if self.is_alone() { number } else { run };
        which % PALETTE.len()
    }

    fn is_alone(&self) -> bool {
        self.labels.len() == 1
    }

    fn label(&self, run: usize, name: &str) -> String {
        match self.labels.get(run) {
            Some(label) if !self.is_alone() => format!("{name} — {label}"),
            _ => name.to_owned(),
        }
    }
}

/// Points of a series, of which a drawing takes as many as it can show.
const MOST_POINTS: usize = 4000;

/// Whether the memory of a step is what was measured then.
fn is_stale(data: &Dataset, step: &Step) -> bool {
    !step.fresh && !data.nodes.is_empty()
}

/// A point for each step; `y` gets its index in [`Dataset::steps`] as well.
fn by_step(
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
struct StepAxis {
    ends: Vec<(f64, f64)>,
}

impl StepAxis {
    fn of(data: &Dataset) -> Self {
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

    fn step(&self, seconds: f64) -> f64 {
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

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// Whether any of the runs was recorded by ramp.
fn has_runs(report: &Report) -> bool {
    report.data.iter().any(|data| matches!(data.source, Source::Run(_)))
}

const STALE: &str = "Thin and dotted: at least one node repeats an older value, or has none.";
