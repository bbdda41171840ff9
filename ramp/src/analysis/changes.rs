//! What others changed of the population while it was ramped: no property of the cluster.

use std::collections::BTreeMap;

use super::causes::{Act, Cause, named_in};
use super::losses::until;
use crate::dataset::{Dataset, Recorded, Source, Step};
use crate::record::{EventRow, Part, PodRow};
use crate::state::State;

/// A change that others made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What, in words.
    pub what: String,
    /// Who, where that is told.
    pub who: Option<String>,
    /// In which step.
    pub step: u32,
}

/// An event that tells of a change is looked for so long before and after it.
const ABOUT_SECONDS: f64 = 5.0;

/// What is seen so close together may be of one moment.
const TOGETHER_SECONDS: f64 = 0.005;

/// What others changed, in the order of the steps.
#[must_use]
pub fn changes(data: &Dataset) -> Vec<Change> {
    let Source::Run(recorded) = &data.source else { return Vec::new() };
    let mut removed: BTreeMap<(u32, String, Option<String>), u32> = BTreeMap::new();
    let until = until(data);
    for (at, row) in recorded.pods.iter().enumerate() {
        // The first to be removed by ramp may be seen in the millisecond in which the last step ended.
        if row.elapsed_seconds >= until - TOGETHER_SECONDS {
            break;
        }
        let seconds = recorded.happened_seconds.get(at).copied().unwrap_or(row.elapsed_seconds);
        if is_removed(row) && !ramp_was_away(recorded, row) {
            let (what, who) = act(recorded, row, seconds);
            *removed.entry((row.step, what, who)).or_default() += 1;
        }
    }
    let of_removed = |((step, what, who), count): ((u32, String, Option<String>), u32)| Change {
        what: format!("{count} instance{} {what}", if count == 1 { "" } else { "s" }),
        who,
        step,
    };
    let mut found: Vec<Change> = removed.into_iter().map(of_removed).collect();
    found.extend(data.steps.iter().filter_map(|step| raised(recorded, step)));
    found.sort_by_key(|change| change.step);
    found.dedup();
    found
}

/// Whether an instance that had not come to its end was told to end, or is no longer there: while more are asked for ramp ends none.
fn is_removed(row: &PodRow) -> bool {
    let state = |text: &str| text.parse::<State>().ok();
    let is_over = |state: State| {
        matches!(state, State::Terminating | State::Evicted | State::OomKilled | State::Failed | State::Gone)
    };
    let was_alive = row.from.as_deref().and_then(state).is_some_and(|from| !is_over(from));
    was_alive && matches!(state(&row.to), Some(State::Terminating | State::Gone))
}

/// Whether it was seen when another process had gone on with the run: not every engine's instances outlive the one before.
fn ramp_was_away(recorded: &Recorded, row: &PodRow) -> bool {
    recorded.run.resumes.iter().any(|resumed| {
        let apart = row.time.0.duration_since(resumed.0).unwrap_or_else(|error| error.duration());
        apart.as_secs_f64() < ABOUT_SECONDS
    })
}

/// What was done to an instance, and by whom, by its reason and the cluster's events about then.
fn act(recorded: &Recorded, row: &PodRow, seconds: f64) -> (String, Option<String>) {
    let about = |event: &&EventRow| {
        event.kind == "cluster" && (event.elapsed_seconds - seconds).abs() <= ABOUT_SECONDS
    };
    let events = || recorded.events.iter().filter(about);
    let of_instance = |event: &&EventRow| event.object.ends_with(&format!("/{}", row.instance));
    if let Some(event) = events().filter(of_instance).find(|event| event.reason == "Preempted") {
        let by = event.message.strip_prefix("Preempted by ").and_then(|rest| rest.split(' ').next());
        return (Act::Preempted.words().into(), by.map(str::to_owned));
    }
    if let Some(Cause::Others(act)) = named_in(&row.reason) {
        return (act.words().into(), None);
    }
    if let Some(event) = events().filter(of_instance).find(|event| event.reason == "TaintManagerEviction") {
        return (Act::Tainted.words().into(), Some(event.reason.clone()));
    }
    let of_node = |event: &&EventRow| {
        event.reason == "NodeNotSchedulable"
            && row.node.as_deref().is_some_and(|node| event.object.ends_with(&format!("/{node}")))
    };
    if events().any(|event| of_node(&event)) {
        return (Act::Drained.words().into(), None);
    }
    if let Some(event) = events().find(|event| event.reason == "SuccessfulRescale") {
        return ("removed by scaling".into(), Some(event.object.clone()));
    }
    let scaled =
        |event: &&EventRow| event.reason == "ScalingReplicaSet" && event.message.contains("Scaled down");
    if events().any(|event| scaled(&event)) {
        return ("removed by scaling".into(), None);
    }
    (Act::Deleted.words().into(), None)
}

/// A step that ended with more instances in place than ramp had asked for.
fn raised(recorded: &Recorded, step: &Step) -> Option<Change> {
    let asked = step.asked.filter(|_| matches!(step.part, Part::Up | Part::Hold))?;
    let waiting = [step.pending, step.unschedulable, step.creating].into_iter().flatten().sum::<u32>();
    let there = waiting + step.running;
    if there <= asked {
        return None;
    }
    let by =
        recorded.events.iter().rfind(|event| event.step <= step.step && event.reason == "SuccessfulRescale");
    Some(Change {
        what: format!("{there} instances where {asked} were asked for"),
        who: by.map(|event| event.object.clone()),
        step: step.step,
    })
}
