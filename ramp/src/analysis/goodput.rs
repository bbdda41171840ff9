//! How many of the instances at work do what they are there for: hold their memory, and make progress.

use super::{Estimate, cannot_say};
use crate::dataset::{Dataset, Report, Source};

/// What instances told of themselves until a step ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goodput {
    /// Index of the step in [`Dataset::steps`].
    pub index: usize,
    /// Instances that hold their memory and make progress.
    pub instances: u32,
    /// Work per CPU second, of those that told of it in this step.
    pub units_per_cpu_second: Option<f64>,
}

/// The goodput of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// After each step that has an end.
    pub steps: Vec<Goodput>,
    /// The longest that a report counts, in seconds.
    pub counts_seconds: f64,
    /// Instances at work − goodput where that is largest, with the index of the step.
    pub largest_gap: Option<(u32, usize)>,
}

/// It makes progress where it got so much of the CPU time that it was to get between two reports; where it is to get none, by reporting.
const PROGRESS: f64 = 0.5;
/// Where a time between two reports is so many times the usual one, the older of them no longer counts.
const REPORTS_MISSED: f64 = 2.5;

/// What is known of an instance.
#[derive(Clone, Copy, Default)]
struct Known {
    last: Option<Report>,
    good: bool,
}

/// After each step, the instances whose last report is new enough, holds the memory asked for and tells of progress since the one
/// before.
///
/// # Errors
/// Where instances did not report.
pub fn goodput(data: &Dataset) -> Estimate<Course> {
    let reports = match &data.source {
        Source::Study => return cannot_say("the data has no reports of single instances"),
        Source::Run(recorded) if recorded.reports.reports.is_empty() => {
            return cannot_say("no instance reported");
        }
        Source::Run(recorded) => &recorded.reports.reports,
    };
    let Some(usual) = usual_seconds_between(reports) else {
        return cannot_say("no instance reported twice");
    };
    let counts_seconds = REPORTS_MISSED * usual;
    let mut known: Vec<Known> = Vec::new();
    let mut rest = reports.iter().peekable();
    let mut steps = Vec::new();
    for (index, step) in data.steps.iter().enumerate() {
        let Some(end) = step.elapsed_seconds else { continue };
        let (mut units, mut seconds) = (0.0, 0.0);
        while let Some(report) = rest.next_if(|report| report.elapsed_seconds <= end) {
            let at = report.instance as usize;
            if known.len() <= at {
                known.resize(at + 1, Known::default());
            }
            let Some(instance) = known.get_mut(at) else { continue };
            let (did, used) = instance.last.and_then(|last| work_between(&last, report)).unwrap_or_default();
            units += did;
            seconds += used;
            instance.good = is_good(instance.last.as_ref(), report);
            instance.last = Some(*report);
        }
        let is_new =
            |known: &&Known| known.last.is_some_and(|last| end - last.elapsed_seconds <= counts_seconds);
        // An instance that is gone reported a moment ago: no more do well than are at work.
        let instances = known.iter().filter(is_new).filter(|known| known.good).count() as u32;
        steps.push(Goodput {
            index,
            instances: instances.min(step.running),
            units_per_cpu_second: (seconds > 0.0).then(|| units / seconds),
        });
    }
    let gap =
        |at: &Goodput| data.steps.get(at.index).map_or(0, |step| step.running.saturating_sub(at.instances));
    let largest_gap = steps.iter().map(|at| (gap(at), at.index)).rev().max_by_key(|(gap, _)| *gap);
    Ok(Course { steps, counts_seconds, largest_gap })
}

/// Holds its memory, and got on since the report before. The first report after a start tells nothing of progress yet.
fn is_good(last: Option<&Report>, report: &Report) -> bool {
    let gets_on = last.is_none_or(|last| {
        let between = |of: fn(&Report) -> Option<f64>| Some(of(report)? - of(last)?);
        let wanted = between(|report| report.cpu_wanted_seconds).unwrap_or(0.0);
        let used = between(|report| report.cpu_used_seconds).unwrap_or(0.0);
        // A counter that falls is that of a container started again.
        wanted <= 0.0 || used < 0.0 || used >= PROGRESS * wanted
    });
    report.is_full() && gets_on
}

/// Units of work and CPU seconds between two reports of one container.
fn work_between(last: &Report, report: &Report) -> Option<(f64, f64)> {
    let units = report.work_units?.checked_sub(last.work_units?)? as f64;
    let seconds = report.cpu_used_seconds? - last.cpu_used_seconds?;
    (units > 0.0 && seconds > 0.0).then_some((units, seconds))
}

/// The median time between two reports of an instance.
fn usual_seconds_between(reports: &[Report]) -> Option<f64> {
    let mut last: Vec<Option<f64>> = Vec::new();
    let mut between = Vec::new();
    for report in reports {
        let at = report.instance as usize;
        if last.len() <= at {
            last.resize(at + 1, None);
        }
        let Some(last) = last.get_mut(at) else { continue };
        if let Some(before) = last.replace(report.elapsed_seconds) {
            between.push(report.elapsed_seconds - before);
        }
    }
    between.sort_by(f64::total_cmp);
    crate::statistics::quantile(&between, 0.5).filter(|seconds| *seconds > 0.0)
}
