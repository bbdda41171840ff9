//! Charts of all instances and all nodes together.

use super::super::Report;
use super::super::chart::{At, Chart, Series, Stroke, X};
use super::series::{Pen, STALE, by_step, gib, has_runs, is_stale};
use crate::dataset::{Dataset, Step};

/// A thing that is measured at each step.
type StepColumn = (&'static str, fn(&Step) -> Option<f64>);

/// Lines of each run for each quantity. With several runs only the first quantities are shown at first.
fn lines(report: &Report, measures: &[StepColumn], at_first: usize, of_memory: bool) -> Vec<Series> {
    let pen = Pen::of(report);
    // Strokes of repeats do not tell things apart.
    let at_first = if pen.has_repeats() { 1 } else { at_first };
    let mut series = Vec::new();
    for (number, (name, measure)) in measures.iter().enumerate() {
        for (run, data) in report.data.iter().enumerate() {
            let points = by_step(data, |_, step| measure(step), |step| of_memory && is_stale(data, step));
            if points.iter().any(|at| at.y.is_some()) {
                let line = pen.line(run, (number, name), points);
                series.push(Series { hidden: report.data.len() > 1 && number >= at_first, ..line });
            }
        }
    }
    series
}

/// Memory of all nodes.
pub(super) fn memory(report: &Report) -> Chart {
    let measures: [StepColumn; 4] = [
        ("free", |step| step.memory.free.map(gib)),
        ("active", |step| step.memory.active.map(gib)),
        ("available", |step| step.memory.available.map(gib)),
        ("neither active nor free", |step| step.memory.unaccounted().map(gib)),
    ];
    Chart {
        note: STALE.into(),
        ..Chart::of_all("memory", "Memory of all nodes", "GiB", lines(report, &measures, 2, true))
    }
}

/// Instances by state.
pub(super) fn instances(report: &Report) -> Chart {
    let measures: [StepColumn; 7] = [
        ("running", |step| Some(step.running.into())),
        ("asked for", |step| step.asked.map(f64::from)),
        ("holding all memory", |step| step.ready.map(f64::from)),
        ("pending or being made", |step| match (step.pending, step.unschedulable, step.creating) {
            (None, None, None) => None,
            (a, b, c) => {
                Some(f64::from(a.unwrap_or(0)) + f64::from(b.unwrap_or(0)) + f64::from(c.unwrap_or(0)))
            }
        }),
        ("terminating", |step| step.terminating.map(f64::from)),
        ("evictions so far", |step| step.evictions_total.or(step.evicted).map(f64::from)),
        ("OOM kills so far", |step| step.oom_kills_total.map(f64::from)),
    ];
    Chart {
        note: "Running includes instances that do not hold all of their memory yet.".into(),
        ..Chart::of_all("instances", "Instances by state", "instances", lines(report, &measures, 1, false))
    }
}

/// Memory per container.
pub(super) fn usage(report: &Report) -> Chart {
    let pen = Pen::of(report);
    let mut series = Vec::new();
    for (run, (data, found)) in report.runs().enumerate() {
        let known = &found.estimates.usage.steps;
        let known: std::collections::HashMap<usize, f64> =
            known.iter().map(|(index, usage)| (*index, usage.mib)).collect();
        let points = by_step(data, |index, _| known.get(&index).copied(), |step| is_stale(data, step));
        if points.iter().any(|at| at.y.is_some()) {
            series.push(pen.line(run, (0, "memory per container"), points));
        }
    }
    Chart {
        note: match has_runs(report) {
            true => usage_note(report),
            false => format!(
                "As in the study: active memory of all nodes ÷ running instances, idle cluster included. {STALE}"
            ),
        },
        ..Chart::of_all("usage", "Memory per container", "MiB", series)
    }
}

/// What memory per container is made from in these runs.
fn usage_note(report: &Report) -> String {
    let mut measures: Vec<&str> = report.data.iter().map(Dataset::usage_measure).collect();
    measures.sort_unstable();
    measures.dedup();
    format!("Based on {} ÷ instances that held their memory.", measures.join(", or from "))
}

/// Time per step and latency of the API.
pub(super) fn time(report: &Report) -> Chart {
    let measures: [StepColumn; 2] = [
        ("time for the step", |step| step.step_seconds),
        ("slowest answer of the API", |step| step.api_latency_seconds),
    ];
    Chart::of_all(
        "time",
        if has_runs(report) { "Time per step, and API latency" } else { "Time per step" },
        "seconds",
        lines(report, &measures, 2, false),
    )
}

/// What an instance more costs: memory against instances, with the slope.
pub(super) fn cost(report: &Report) -> Chart {
    let mut series = Vec::new();
    let pen = Pen::of(report);
    for (run, found) in report.findings.runs.iter().enumerate() {
        for (number, points) in found.estimates.costs.series.iter().enumerate() {
            let x: Vec<f64> = points.iter().map(|point| point.x).collect();
            let place = |x: f64, bytes: f64| At {
                step: x,
                seconds: x,
                y: Some(bytes / f64::from(1 << 30)),
                stale: false,
            };
            let mut dots: Vec<At> = points.iter().map(|point| place(point.x, point.y)).collect();
            dots.sort_by(|a, b| a.step.total_cmp(&b.step));
            let colour = pen.colour(run, number);
            let (low, high) =
                (x.iter().copied().fold(f64::MAX, f64::min), x.iter().copied().fold(f64::MIN, f64::max));
            if let Ok(cost) = &found.estimates.marginal_cost
                && high > low
            {
                let mut above: Vec<f64> = points.iter().map(|point| point.y - cost.bytes * point.x).collect();
                above.sort_by(f64::total_cmp);
                let intercept = crate::stats::quantile(&above, 0.5).unwrap_or(0.0);
                let line = [low, high].map(|x| place(x, intercept + cost.bytes * x)).to_vec();
                let label = pen.label(run, &format!("{:.1} MB each", cost.bytes / 1e6));
                series.push(Series {
                    label,
                    colour,
                    stroke: Stroke::Line([0, 0]),
                    hidden: false,
                    points: line,
                });
            }
            let name = match found.estimates.costs.series.len() {
                1 => "samples".to_owned(),
                _ => format!("samples, kernel {}", number + 1),
            };
            series.push(Series {
                label: pen.label(run, &name),
                colour,
                stroke: Stroke::Dots,
                hidden: false,
                points: dots,
            });
        }
    }
    Chart {
        x: X::Own("running instances"),
        note: format!(
            "Samples of {} behind the marginal cost, which is the slope of the line.",
            report.findings.runs.first().map_or("memory", |found| found.estimates.costs.measure.name)
        ),
        ..Chart::of_all("cost", "Memory by running instances: marginal cost", "GiB", series)
    }
}
