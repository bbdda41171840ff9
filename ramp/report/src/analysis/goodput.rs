//! Goodput: instances that hold their memory and make progress.

use std::collections::HashMap;

use super::{Estimate, timed, unavailable};
use crate::dataset::{Dataset, ObservationGaps, ReportRow};
use ramp_format::rows::PodRow;
use ramp_format::state::State;

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
pub struct GoodputCourse {
    /// After each step that has an end, but those that ended while nothing was seen.
    pub steps: Vec<Goodput>,
    /// The longest that a report counts, in seconds.
    pub counts_seconds: f64,
    /// Largest difference of running instances − goodput, with the index of the step.
    pub largest_gap: Option<(u32, usize)>,
}

/// It makes progress where it got so much of the CPU time that it was to get between two reports; where it is to get none, by reporting.
pub const PROGRESS: f64 = 0.5;
/// Report intervals without a report after which an instance no longer counts.
const REPORTS_MISSED: f64 = 2.5;
/// What a report may take to arrive.
const ARRIVES_WITHIN_SECONDS: f64 = 1.0;

/// After each step, the instances that hold all of their memory, less those whose last report is too old, tells of less memory, or tells of
/// no progress since the one before.
///
/// # Errors
/// Where instances did not report.
pub fn goodput(data: &Dataset) -> Estimate<GoodputCourse> {
    let Some(recorded) = data.recorded() else {
        return unavailable("the data has no reports of individual instances");
    };
    let reports = &recorded.reports.reports;
    if reports.is_empty() {
        return unavailable("no instance reported");
    }
    timed(recorded)?;
    let asked_for = recorded.settings().report_every_seconds;
    let Some(every) = asked_for.or_else(|| usual_seconds_between(reports)) else {
        return unavailable(
            "the report interval is unknown: not in the manifest, and no instance reported twice",
        );
    };
    let counts_seconds = REPORTS_MISSED * every + ARRIVES_WITHIN_SECONDS;
    let mut known = InstanceProgress::of(&recorded.reports.uids);
    let (blind, unseen) =
        (ObservationGaps::of(&recorded.events), ObservationGaps::of_the_api(&recorded.events));
    let mut reports = reports.iter().peekable();
    let mut pods = recorded.pods.iter().peekable();
    let (mut steps, mut held_unseen) = (Vec::new(), 0);
    for (index, step) in data.steps.iter().enumerate() {
        let Some(end) = step.elapsed_seconds else { continue };
        while let Some(row) = pods.next_if(|row| row.elapsed_seconds <= end) {
            known.follow(row);
        }
        while let Some(report) = reports.next_if(|report| report.elapsed_seconds <= end) {
            known.hear(report);
        }
        let (units, seconds) = std::mem::take(&mut known.work);
        let held = step.ready.unwrap_or(step.running);
        // Who is there, and what they tell, is not known then.
        if unseen.is_at(end) {
            held_unseen = held_unseen.max(held);
            continue;
        }
        // In a level of a search that does not hold instances were still starting, or are lost.
        if step.level_held == Some(false) {
            continue;
        }
        let bad = known.bad(|since| end - since - blind.between(since, end) > counts_seconds);
        steps.push(Goodput {
            index,
            instances: held.saturating_sub(bad),
            units_per_cpu_second: (seconds > 0.0).then(|| units / seconds),
        });
    }
    let most = steps.iter().map(|at: &Goodput| at.instances).max().unwrap_or_default();
    if held_unseen > most {
        return unavailable(format!("instances were not observed while the most were held ({held_unseen})"));
    }
    let gap =
        |at: &Goodput| data.steps.get(at.index).map_or(0, |step| step.running.saturating_sub(at.instances));
    let largest_gap = steps.iter().map(|at| (gap(at), at.index)).rev().max_by_key(|(gap, _)| *gap);
    Ok(GoodputCourse { steps, counts_seconds, largest_gap })
}

/// What is known of the instances.
#[derive(Default)]
struct InstanceProgress<'d> {
    by_uid: HashMap<&'d str, usize>,
    /// The last report of each, and whether it tells of memory and progress.
    last: Vec<(Option<ReportRow>, bool)>,
    /// Since when instances hold their memory, of those that do.
    held: HashMap<&'d str, f64>,
    /// Units of work, and CPU seconds, since they were last taken.
    work: (f64, f64),
}

impl<'d> InstanceProgress<'d> {
    fn of(uids: &'d [String]) -> Self {
        let by_uid = uids.iter().enumerate().map(|(at, uid)| (uid.as_str(), at)).collect();
        Self { by_uid, last: vec![(None, true); uids.len()], ..Self::default() }
    }

    fn hear(&mut self, report: &ReportRow) {
        let Some(last) = self.last.get_mut(report.instance as usize) else { return };
        let before = last.0;
        let (units, seconds) = before.and_then(|before| work_between(&before, report)).unwrap_or_default();
        *last = (Some(*report), report.is_full() && gets_on(before.as_ref(), report));
        self.work.0 += units;
        self.work.1 += seconds;
    }

    fn follow(&mut self, row: &'d PodRow) {
        match row.to.parse::<State>() {
            Ok(State::Ready) => {
                self.held.insert(&row.uid, row.elapsed_seconds);
            }
            _ => {
                self.held.remove(row.uid.as_str());
            }
        }
    }

    /// Those that are said to hold their memory, and whose reports do not tell of that and of progress, or are too old.
    fn bad(&self, is_old: impl Fn(f64) -> bool) -> u32 {
        let is_bad = |(uid, since): &(&&str, &f64)| {
            let told = self.by_uid.get(**uid).and_then(|at| self.last.get(*at));
            match told {
                Some((Some(report), is_good)) => {
                    is_old(report.elapsed_seconds.max(**since))
                        || !is_good && report.elapsed_seconds >= **since
                }
                _ => is_old(**since),
            }
        };
        self.held.iter().filter(is_bad).count() as u32
    }
}

/// Whether it got on since the report before: what it was ahead of its schedule then it need not have done since. The first report after a
/// start tells nothing of progress yet.
fn gets_on(last: Option<&ReportRow>, report: &ReportRow) -> bool {
    let Some(last) = last else { return true };
    let between = |of: fn(&ReportRow) -> Option<f64>| Some(of(report)? - of(last)?);
    let wanted = between(|report| report.cpu_wanted_seconds).unwrap_or(0.0);
    let owed = wanted - last.cpu_overdrawn_seconds.unwrap_or(0.0);
    let used = between(|report| report.cpu_used_seconds).unwrap_or(0.0);
    // A counter that falls is that of a container started again.
    owed <= 0.0 || used < 0.0 || used >= PROGRESS * owed
}

/// Units of work and CPU seconds between two reports of one container.
fn work_between(last: &ReportRow, report: &ReportRow) -> Option<(f64, f64)> {
    let units = report.work_units?.checked_sub(last.work_units?)? as f64;
    let seconds = report.cpu_used_seconds? - last.cpu_used_seconds?;
    (units > 0.0 && seconds > 0.0).then_some((units, seconds))
}

/// The median time between two reports of an instance.
fn usual_seconds_between(reports: &[ReportRow]) -> Option<f64> {
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
    crate::stats::quantile(&between, 0.5).filter(|seconds| *seconds > 0.0)
}
