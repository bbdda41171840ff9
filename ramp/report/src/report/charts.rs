//! The charts of a report, each defined once.

mod instances;
mod nodes;
mod overall;
mod phases;
mod search;
mod series;

use super::Report;
use super::chart::{Chart, Mark};
use crate::dataset::Step;

/// All charts that have anything to show.
#[must_use]
pub fn charts(report: &Report) -> Vec<Chart> {
    let mut charts = vec![
        overall::memory(report),
        overall::instances(report),
        search::levels(report),
        overall::usage(report),
        overall::cost(report),
    ];
    charts.extend(nodes::memory(report));
    charts.push(overall::time(report));
    charts.push(instances::startup_share(report));
    charts.push(instances::startup(report));
    charts.push(phases::by_load(report));
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
                colour: report.colour(run),
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
        // The first step after which a rule fired; it ended the run then, or --beyond steps later.
        if let Some(step) = data.steps.iter().find(|step| !step.rules.is_empty()) {
            mark(step, format!("stop rule {}", step.rules));
        }
    }
    marks
}
