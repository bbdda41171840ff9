//! Instances lost, removed or unschedulable while scaling up, and why.

use super::causes::{Cause, cause};
use crate::dataset::{Dataset, Recorded};
use ramp_format::rows::{Part, PodRow};

/// A row that tells of an instance as lost, without a place, or taken away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss<'d> {
    /// The row.
    pub row: &'d PodRow,
    /// Why.
    pub cause: Cause,
    /// When it happened, in seconds since the run began.
    pub seconds: f64,
}

/// Until when more were asked for, or as many, in seconds since the run began; for ever where the run has not got beyond that.
pub(super) fn until(data: &Dataset) -> f64 {
    let later = data.steps.iter().any(|step| matches!(step.part, Part::Search | Part::Down | Part::Clean));
    let last = data.steps.iter().rfind(|step| matches!(step.part, Part::Up | Part::Hold));
    let ended = |recorded: &Recorded| recorded.run.teardown.is_some() || recorded.run.end.is_some();
    let is_over = data.recorded().is_some_and(|recorded| later || ended(recorded));
    last.and_then(|step| step.elapsed_seconds).filter(|_| is_over).unwrap_or(f64::INFINITY)
}

/// All losses while more were asked for, in the order in which they were seen.
#[must_use]
pub fn losses(data: &Dataset) -> Vec<Loss<'_>> {
    let Some(recorded) = data.recorded() else { return Vec::new() };
    let until = until(data);
    let mut found = Vec::new();
    for (row, seconds) in recorded.pods.iter().zip(&recorded.happened_seconds) {
        if row.elapsed_seconds > until {
            break;
        }
        if let Some(cause) = cause(row, || killed_for_memory(data, row, *seconds)) {
            found.push(Loss { row, cause, seconds: *seconds });
        }
    }
    found
}

/// Whether the kernel of a row's node has killed something for memory about then: between the samples before and after it.
fn killed_for_memory(data: &Dataset, row: &PodRow, seconds: f64) -> bool {
    let node = data.nodes.iter().find(|node| Some(&node.name) == row.node.as_ref());
    let samples = node.map_or(&[][..], |node| &node.samples);
    let mut told = samples.iter().filter_map(|sample| Some((sample.elapsed_seconds?, sample.oom_kills?)));
    // A kubelet takes a moment to tell.
    const EARLIER_SECONDS: f64 = 2.0;
    let earlier = told.clone().rfind(|(at, _)| *at <= seconds - EARLIER_SECONDS);
    let before = earlier.or_else(|| told.clone().next());
    let after = told.clone().find(|(at, _)| *at >= seconds).or_else(|| told.next_back());
    before.zip(after).is_some_and(|((_, before), (_, after))| after > before)
}
