//! Charts of individual instances.

use super::super::Report;
use super::super::chart::{At, Chart, Series, Stroke, X, thinned};
use super::series::{MOST_POINTS, Pen, StepAxis};
use crate::analysis::goodput::Goodput;
use crate::analysis::latency::Startup;
use crate::analysis::results::RunResults;
use crate::dataset::Dataset;
use crate::stats::{Duration, Survival};

/// Startup latency against the population when an instance was made.
pub(super) fn startup(report: &Report) -> Chart {
    let pen = Pen::of(report);
    let mut series = Vec::new();
    for (run, found) in report.findings.runs.iter().enumerate() {
        let Ok(startups) = &found.startups else { continue };
        for (is_ready, name, stroke) in
            [(true, "ready", Stroke::Dots), (false, "not ready when last seen", Stroke::Rings)]
        {
            let of = startups.iter().filter(|startup| startup.took.ended == is_ready);
            let mut points: Vec<At> = of.map(place).collect();
            if points.is_empty() {
                continue;
            }
            points.sort_by(|a, b| a.step.total_cmp(&b.step));
            let colour = pen.colour(run, usize::from(!is_ready));
            series.push(Series { label: pen.label(run, name), colour, stroke, hidden: false, points });
        }
    }
    Chart {
        x: X::Own("running instances at creation"),
        note: "From creation to holding all memory. Rings: evicted, killed or removed before, or still waiting: it takes \
               longer than that."
            .into(),
        ..Chart::of_all("startup", "Startup latency against population", "seconds", series)
    }
}

/// The share of the instances that were ready within a time.
pub(super) fn startup_share(report: &Report) -> Chart {
    let pen = Pen::of(report);
    let of_run = |(run, found): (usize, &RunResults)| {
        let startups = found.startups.as_ref().ok()?;
        let took: Vec<Duration> = startups.iter().map(|startup| startup.took).collect();
        let survival = Survival::of(&took)?;
        let place = |seconds: f64, left: f64| At {
            step: seconds,
            seconds,
            y: Some(100.0 * (1.0 - left)),
            stale: false,
        };
        // A staircase.
        let (mut points, mut before) = (vec![place(0.0, 1.0)], 1.0);
        for (seconds, left) in survival.curve() {
            points.extend([place(seconds, before), place(seconds, left)]);
            before = left;
        }
        points.extend(survival.known_until().map(|seconds| place(seconds, before)));
        (points.len() > 1).then(|| pen.line(run, (0, "ready"), thinned(&points, MOST_POINTS)))
    };
    let series: Vec<Series> = report.findings.runs.iter().enumerate().filter_map(of_run).collect();
    Chart {
        x: X::Own("seconds since creation"),
        note: "Share of the instances that held all memory within a time (Kaplan–Meier), at all load levels. A line that ends below 100 %: \
               the others were not ready when last seen."
            .into(),
        ..Chart::of_all("startup-share", "Instances ready within a time", "% of instances", series)
    }
}

fn place(startup: &Startup) -> At {
    let x = f64::from(startup.at_work);
    At { step: x, seconds: x, y: Some(startup.took.seconds), stale: false }
}

/// Goodput beside running instances.
pub(super) fn goodput(report: &Report) -> Chart {
    let pen = Pen::of(report);
    let mut series = Vec::new();
    for (run, (data, found)) in report.runs().enumerate() {
        let Ok(course) = &found.goodput else { continue };
        let good = along(data, &course.steps, |at| Some(at.instances.into()));
        let at_work =
            along(data, &course.steps, |at| data.steps.get(at.index).map(|step| step.running.into()));
        series.push(pen.line(run, (0, "goodput"), good));
        series.push(pen.line(run, (1, "running"), at_work));
    }
    let title = "Goodput: instances that hold their memory and make progress";
    Chart {
        note: "Instances that hold their memory, minus those whose reports are missing, too old or show no progress."
            .into(),
        ..Chart::of_all("goodput", title, "instances", series)
    }
}

/// Work per CPU second; of the study's files the work as they have it.
pub(super) fn work(report: &Report) -> Chart {
    let pen = Pen::of(report);
    let mut series = Vec::new();
    for (run, (data, found)) in report.runs().enumerate() {
        if let Ok(course) = &found.goodput {
            series.push(pen.line(run, (0, "work"), along(data, &course.steps, |at| at.units_per_cpu_second)));
        } else if data.steps.iter().any(|step| step.work_count.is_some()) {
            let points = super::series::by_step(data, |_, step| step.work_count, |_| false);
            series.push(pen.line(run, (0, "WorkCount as recorded"), points));
        }
    }
    let per_second = report.findings.runs.iter().any(|found| found.goodput.is_ok());
    Chart {
        note: if per_second {
            "A drop shows contention or shared cores, which CPU time does not show."
        } else {
            "WorkCount of the study's file, whose unit is not recorded."
        }
        .into(),
        ..Chart::of_all(
            "work",
            if per_second { "Work per CPU second" } else { "Work, as recorded" },
            "units",
            series,
        )
    }
}

fn along(data: &Dataset, course: &[Goodput], y: impl Fn(&Goodput) -> Option<f64>) -> Vec<At> {
    let clock = StepAxis::of(data);
    let place = |at: &Goodput| {
        let seconds = data.steps.get(at.index).and_then(|step| step.elapsed_seconds).unwrap_or(f64::NAN);
        At { step: clock.step(seconds), seconds, y: y(at), stale: false }
    };
    course.iter().map(place).collect()
}
