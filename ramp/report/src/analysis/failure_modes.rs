//! Failure modes, in the order of their first occurrence.

use super::causes::Cause;
pub use super::causes::Resource;
use super::external_changes::Change;
use super::instance_losses::Loss;
use super::saturation::{FULL_BELOW_BYTES, blocked_reason};
use crate::dataset::{Dataset, Step};
use ramp_format::rows::StepOutcome;
use ramp_format::state::State;

/// The first time that something gave way.
#[derive(Clone, Debug, PartialEq)]
pub struct FailureMode {
    /// Of which resource there was no more.
    pub resource: Resource,
    /// What happened, in words.
    pub what: &'static str,
    /// The step then.
    pub step: u32,
    /// When, since the run began.
    pub elapsed_seconds: Option<f64>,
    /// What the source said of it; may be empty.
    pub evidence: String,
}

/// What gave way, each once, the first one first. What others did (`changes`), and what could not begin whatever there was, is none of it.
#[must_use]
pub fn breaks(data: &Dataset, losses: &[Loss<'_>], changes: &[Change]) -> Vec<FailureMode> {
    let mut found = of_steps(data);
    let is_in_vain = |loss: &Loss<'_>| matches!(loss.cause, Cause::Blocked | Cause::Others(_));
    let is_blocked = data.recorded().and_then(blocked_reason).is_some();
    if !changes.is_empty() || is_blocked || losses.iter().any(is_in_vain) {
        // Steps waited for what could not come.
        found.retain(|broke| broke.resource != Resource::Time);
    }
    found.extend(of_losses(losses));
    // What was seen at the end of a step comes after what was seen within it; what has no time goes by its step.
    found.sort_by(|a, b| {
        let at = |found: &FailureMode| found.elapsed_seconds.unwrap_or_else(|| f64::from(found.step));
        at(a).total_cmp(&at(b)).then(a.resource.cmp(&b.resource))
    });
    found
}

fn of_steps(data: &Dataset) -> Vec<FailureMode> {
    let Some((_, start)) = data.way_up().next() else { return Vec::new() };
    let is_foreign = data.is_foreign();
    let first = |resource, what, holds: &dyn Fn(&Step) -> bool| {
        let (_, step) = data.way_up().find(|(_, step)| holds(step))?;
        let (step, elapsed_seconds) = (step.step, step.elapsed_seconds);
        Some(FailureMode { resource, what, step, elapsed_seconds, evidence: String::new() })
    };
    let more = |now: Option<u32>, before: Option<u32>| is_foreign && now.unwrap_or(0) > before.unwrap_or(0);
    let not_ready = if is_foreign { start.nodes_not_ready.unwrap_or(0) } else { 0 };
    let found = [
        first(Resource::Memory, "free memory of all nodes fell below 10^6 KiB", &|step| {
            is_foreign && step.memory.free.is_some_and(|free| free < FULL_BELOW_BYTES)
        }),
        first(Resource::Memory, "an instance was evicted", &|step| more(step.evicted, start.evicted)),
        first(Resource::Unknown, "an instance failed", &|step| more(step.failed, start.failed)),
        first(Resource::Nodes, "a node was not ready", &|step| step.nodes_not_ready.unwrap_or(0) > not_ready),
        first(Resource::Api, "an API request was not answered before the next step", &|step| {
            step.outcome == Some(StepOutcome::Unanswered)
        }),
        first(Resource::Time, "a step did not settle within its time limit", &|step| {
            step.outcome == Some(StepOutcome::TimedOut)
        }),
    ];
    found.into_iter().flatten().collect()
}

/// The first loss of each kind to each resource.
fn of_losses(losses: &[Loss<'_>]) -> Vec<FailureMode> {
    let mut found: Vec<FailureMode> = Vec::new();
    for loss in losses {
        let resource = match loss.cause {
            Cause::Resource(resource) => resource,
            Cause::Killed | Cause::Unknown => Resource::Unknown,
            Cause::Others(_) | Cause::Blocked => continue,
        };
        let what = match (loss.row.to.parse::<State>(), loss.cause) {
            (_, Cause::Killed) => "an instance was killed by an unknown process",
            (Ok(State::Evicted), _) => "an instance was evicted",
            (Ok(State::OomKilled), _) => "an instance was OOM-killed",
            (Ok(State::Unschedulable), _) => "an instance was unschedulable",
            (Ok(State::Pending | State::Creating), _) => "an instance could not be created",
            _ => "an instance failed",
        };
        if found.iter().any(|broke| (broke.resource, broke.what) == (resource, what)) {
            continue;
        }
        found.push(FailureMode {
            resource,
            what,
            step: loss.step,
            elapsed_seconds: Some(loss.seconds),
            evidence: loss.evidence.trim().to_owned(),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    #[test]
    fn what_gave_way_comes_in_the_order_in_which_it_did() {
        let data = data(steps(9, |step, at| {
            step.evicted = Some(if at < 3 { 4 } else { 5 });
            step.memory.free = Some(if at < 6 { 2 * FULL_BELOW_BYTES } else { 0 });
        }));
        let found: Vec<_> =
            breaks(&data, &[], &[]).into_iter().map(|found| (found.step, found.what)).collect();
        let full = "free memory of all nodes fell below 10^6 KiB";
        assert_eq!(found, [(4, "an instance was evicted"), (7, full)]);
    }
}
