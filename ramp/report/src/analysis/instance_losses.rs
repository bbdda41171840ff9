//! Instances lost, removed or unschedulable while scaling up, and why.

use std::collections::HashSet;

use super::causes::{Cause, cause};
use super::exhaustion::named_on;
use crate::dataset::{Dataset, Recorded};
use ramp_format::rows::{EventRow, Part, PodRow};
use ramp_format::state::State;

/// A row that tells of an instance as lost, without a place, or taken away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss<'d> {
    /// The row.
    pub row: &'d PodRow,
    /// Why.
    pub cause: Cause,
    /// When it happened, in seconds since the run began.
    pub seconds: f64,
    /// The step at that time.
    pub step: u32,
    /// What its source said.
    pub evidence: &'d str,
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
            let cause = match cause {
                Cause::Blocked | Cause::Unknown => {
                    named_on(&row.reason, row.node.as_deref(), row.elapsed_seconds, &recorded.limits)
                        .map_or(cause, Cause::Resource)
                }
                cause => cause,
            };
            found.push(Loss { row, cause, seconds: *seconds, step: row.step, evidence: &row.reason });
        }
    }
    found.extend(not_created(recorded, until));
    found.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    found
}

/// Events of pods that tell that a container could not be made.
const NOT_CREATED: [&str; 3] = ["FailedCreatePodSandBox", "FailedCreatePodContainer", "Failed"];

/// Instances that could not be created for lack of a resource of their node, as events of the cluster tell: the status of such a pod says
/// only that it is being created. One that came to run later is none of them.
fn not_created(recorded: &Recorded, until: f64) -> Vec<Loss<'_>> {
    let is_told = |event: &&EventRow| {
        event.kind == "cluster"
            && event.elapsed_seconds <= until
            && NOT_CREATED.contains(&event.reason.as_str())
    };
    let mut told: HashSet<&str> = HashSet::new();
    let mut found = Vec::new();
    for event in recorded.events.iter().filter(is_told) {
        let Some(name) = event.object.strip_prefix("pod/").filter(|name| !told.contains(name)) else {
            continue;
        };
        let rows = || recorded.pods.iter().filter(|row| row.instance == name);
        let Some(row) = rows().rfind(|row| row.elapsed_seconds <= event.elapsed_seconds) else { continue };
        let ran_later = |row: &PodRow| {
            let is_at_work = row.to.parse::<State>().is_ok_and(State::is_at_work);
            is_at_work && (event.elapsed_seconds..=until).contains(&row.elapsed_seconds)
        };
        let node = row.node.as_deref();
        let resource = named_on(&event.message, node, event.elapsed_seconds, &recorded.limits);
        let Some(resource) = resource.filter(|resource| resource.is_limit_of_node()) else { continue };
        if !rows().any(ran_later) {
            told.insert(name);
            let (cause, seconds) = (Cause::Resource(resource), event.elapsed_seconds);
            found.push(Loss { row, cause, seconds, step: event.step, evidence: &event.message });
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
