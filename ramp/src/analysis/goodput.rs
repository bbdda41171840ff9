//! How many of the instances at work do what they are there for: hold their memory, and make progress.

use std::collections::{HashMap, VecDeque};

use super::{Estimate, cannot_say};
use crate::dataset::{Dataset, Report, Source};
use crate::record::PodRow;
use crate::state::State;

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

/// After each step, the instances at work whose last report is new enough, holds the memory asked for and tells of progress since the one
/// before.
///
/// # Errors
/// Where instances did not report.
pub fn goodput(data: &Dataset) -> Estimate<Course> {
    let recorded = match &data.source {
        Source::Study => return cannot_say("the data has no reports of single instances"),
        Source::Run(recorded) if recorded.reports.reports.is_empty() => {
            return cannot_say("no instance reported");
        }
        Source::Run(recorded) => recorded,
    };
    let reports = &recorded.reports.reports;
    let Some(usual) = usual_seconds_between(reports) else {
        return cannot_say("no instance reported twice");
    };
    let mut known = Known { counts_seconds: REPORTS_MISSED * usual, ..Known::of(&recorded.reports.uids) };
    let mut reports = reports.iter().peekable();
    let mut pods = recorded.pods.iter().peekable();
    let mut steps = Vec::new();
    for (index, step) in data.steps.iter().enumerate() {
        let Some(end) = step.elapsed_seconds else { continue };
        loop {
            let until = reports.peek().map_or(end, |report| report.elapsed_seconds.min(end));
            if let Some(row) = pods.next_if(|row| row.elapsed_seconds <= until) {
                known.follow(row);
            } else if let Some(report) = reports.next_if(|report| report.elapsed_seconds <= end) {
                known.hear(report);
            } else {
                break;
            }
        }
        known.forget(end);
        let (units, seconds) = std::mem::take(&mut known.work);
        steps.push(Goodput {
            index,
            instances: known.good.min(step.running),
            units_per_cpu_second: (seconds > 0.0).then(|| units / seconds),
        });
    }
    let gap =
        |at: &Goodput| data.steps.get(at.index).map_or(0, |step| step.running.saturating_sub(at.instances));
    let largest_gap = steps.iter().map(|at| (gap(at), at.index)).rev().max_by_key(|(gap, _)| *gap);
    Ok(Course { steps, counts_seconds: known.counts_seconds, largest_gap })
}

/// What is known of the instances.
#[derive(Default)]
struct Known<'d> {
    counts_seconds: f64,
    by_uid: HashMap<&'d str, usize>,
    /// The last report of each, and whether it counts.
    last: Vec<(Option<Report>, bool)>,
    /// When reports came and whose they were, the oldest first: who is not heard of any more does not count.
    heard: VecDeque<(f64, usize)>,
    /// How many count.
    good: u32,
    /// Units of work, and CPU seconds, since they were last taken.
    work: (f64, f64),
}

impl<'d> Known<'d> {
    fn of(uids: &'d [String]) -> Self {
        let by_uid = uids.iter().enumerate().map(|(at, uid)| (uid.as_str(), at)).collect();
        Self { by_uid, last: vec![(None, false); uids.len()], ..Self::default() }
    }

    fn hear(&mut self, report: &Report) {
        let at = report.instance as usize;
        let last = self.last.get(at).and_then(|(last, _)| *last);
        let (units, seconds) = last.and_then(|last| work_between(&last, report)).unwrap_or_default();
        self.work.0 += units;
        self.work.1 += seconds;
        self.note(at, Some(*report), is_good(last.as_ref(), report));
        self.heard.push_back((report.elapsed_seconds, at));
    }

    /// An instance that is not at work does not count, however well it did a moment ago.
    fn follow(&mut self, row: &PodRow) {
        let is_at_work = row.to.parse::<State>().is_ok_and(State::is_at_work);
        if let Some(at) = self.by_uid.get(row.uid.as_str()).copied().filter(|_| !is_at_work) {
            let last = self.last.get(at).and_then(|(last, _)| *last);
            self.note(at, last, false);
        }
    }

    fn forget(&mut self, now: f64) {
        while let Some((when, at)) = self.heard.front().copied() {
            if now - when <= self.counts_seconds {
                return;
            }
            self.heard.pop_front();
            let last = self.last.get(at).and_then(|(last, _)| *last);
            if last.is_some_and(|last| last.elapsed_seconds <= when) {
                self.note(at, last, false);
            }
        }
    }

    fn note(&mut self, at: usize, report: Option<Report>, is_good: bool) {
        let Some((last, was_good)) = self.last.get_mut(at) else { return };
        match (*was_good, is_good) {
            (false, true) => self.good += 1,
            (true, false) => self.good = self.good.saturating_sub(1),
            _ => {}
        }
        (*last, *was_good) = (report, is_good);
    }
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
