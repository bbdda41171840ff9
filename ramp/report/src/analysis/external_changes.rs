//! Changes of the population by others while it was ramped: not a property of the cluster.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;

use super::causes::{Cause, ExternalAction, named_in};
use super::instance_losses::until;
use crate::dataset::{Dataset, ObservationGaps, Recorded, Step};
use ramp_format::rows::{EventRow, Part, PodRow};
use ramp_format::state::State;

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

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.who.as_ref().map_or(Ok(()), |who| write!(f, " by {who}"))
    }
}

/// An event that tells of a change is looked for so long before it.
const ABOUT_SECONDS: f64 = 5.0;
/// And for so long after it, since events are told a moment late.
const LATE_SECONDS: f64 = 1.0;
/// A kubelet takes longer to tell that its node was cordoned.
const CORDON_LATE_SECONDS: f64 = 3.0;

/// Reason of a row of `events.csv` by which a run tells of a change by others that it has noticed.
const CHANGED_BY_OTHERS: &str = "ChangedByOthers";
/// How its message begins where the number of replicas was changed.
const REPLICAS: &str = "replicas changed from ";

/// How the reason begins of an instance that the run cannot observe any more, though it still runs.
const RELABELLED: &str = "its labels were changed by others";
/// How it begins where the pod template was changed.
const TEMPLATE: &str = "spec.template";

/// What is seen so close together may be of one moment.
const TOGETHER_SECONDS: f64 = 0.005;

/// What others changed, in the order of the steps.
#[must_use]
pub fn changes(data: &Dataset) -> Vec<Change> {
    let Some(recorded) = data.recorded() else { return Vec::new() };
    let mut removed: BTreeMap<(u32, String, Option<String>), u32> = BTreeMap::new();
    let until = until(data);
    let mut surplus = ExternalSurplus::of(data, recorded);
    for (row, seconds) in recorded.pods.iter().zip(&recorded.happened_seconds) {
        // The first to be removed by ramp may be seen in the millisecond in which the last step ended.
        if row.elapsed_seconds >= until - TOGETHER_SECONDS {
            break;
        }
        if is_removed(row) && !ramp_was_away(recorded, row) && !surplus.has(row) {
            let (what, who) = act(recorded, row, *seconds, surplus.asked);
            *removed.entry((row.step, what, who)).or_default() += 1;
        }
        surplus.follow(row);
    }
    let of_removed = |((step, what, who), count): ((u32, String, Option<String>), u32)| Change {
        what: format!("{count} instance{} {what}", if count == 1 { "" } else { "s" }),
        who,
        step,
    };
    let mut found: Vec<Change> = removed.into_iter().map(of_removed).collect();
    found.extend(data.steps.iter().filter_map(|step| raised(recorded, step)));
    found.extend(surplus.raised);
    let without_effect: Vec<Change> = rescaled(data, recorded, until)
        .filter(|change| found.iter().all(|known| known.step.abs_diff(change.step) > 1))
        .collect();
    found.extend(without_effect);
    found.sort_by_key(|change| change.step);
    found.dedup();
    found
}

/// Changes by others that the run has noticed, in the order of their time.
pub fn noticed_changes(recorded: &Recorded) -> impl Iterator<Item = &EventRow> {
    recorded.events.iter().filter(|event| event.reason == CHANGED_BY_OTHERS)
}

/// Instances beyond those that ramp asks for, which others have made: ramp itself ends as many when its next step begins.
struct ExternalSurplus<'d> {
    steps: &'d [Step],
    /// Steps that had ended when the last row was seen.
    ended: usize,
    /// Those that ramp has ended since.
    taken: u32,
    /// Asked for when the last row was seen.
    asked: u32,
    /// Those that are there by the rows so far, for steps that ended while nothing was seen.
    there: HashSet<&'d str>,
    unseen: ObservationGaps,
    /// What nobody saw come: more than were asked for, in such steps.
    raised: Vec<Change>,
    /// When instances came back that had been given up, of which each is one too many for their controller.
    back: VecDeque<f64>,
}

/// Within so long a controller ends one of those that are too many.
const ENDED_WITHIN_SECONDS: f64 = 15.0;

impl<'d> ExternalSurplus<'d> {
    fn of(data: &'d Dataset, recorded: &Recorded) -> Self {
        Self {
            steps: &data.steps,
            ended: 0,
            taken: 0,
            asked: 0,
            there: HashSet::new(),
            unseen: ObservationGaps::of_the_api(&recorded.events),
            raised: Vec::new(),
            back: VecDeque::new(),
        }
    }

    /// Takes a row in.
    fn follow(&mut self, row: &'d PodRow) {
        let was_evicted = row.from.as_deref().and_then(|from| from.parse().ok()) == Some(State::Evicted);
        if was_evicted && !is_over(&row.to) {
            self.back.push_back(row.elapsed_seconds);
        }
        if is_over(&row.to) {
            self.there.remove(row.uid.as_str());
        } else {
            self.there.insert(&row.uid);
        }
    }

    /// Whether a row of a removal, that is not taken in yet, is of one of them.
    fn has(&mut self, row: &PodRow) -> bool {
        let has_ended = |step: &Step| step.elapsed_seconds.is_some_and(|end| end <= row.elapsed_seconds);
        let ended = self.steps.partition_point(has_ended);
        if ended != self.ended {
            (self.ended, self.taken) = (ended, 0);
        }
        let asked = self.steps.iter().find(|step| step.step == row.step).and_then(|step| step.asked);
        let Some(asked) = asked else { return false };
        self.asked = asked;
        let before = ended.checked_sub(1).and_then(|before| self.steps.get(before));
        let is_one = before.is_some_and(|before| {
            let was_unseen = before.elapsed_seconds.is_some_and(|end| self.unseen.is_at(end));
            match was_unseen && row.source_time.is_some() {
                true => {
                    let there = self.there.len();
                    if there > asked as usize && self.raised.iter().all(|known| known.step != row.step) {
                        let what = format!("{there} instances where {asked} were requested");
                        self.raised.push(Change { what, who: None, step: row.step });
                    }
                    there > asked as usize
                }
                false => in_place(before) > asked + self.taken,
            }
        });
        self.taken += u32::from(is_one);
        self.back.retain(|since| row.elapsed_seconds - since <= ENDED_WITHIN_SECONDS);
        is_one || self.back.pop_front().is_some()
    }
}

/// Instances that are there or are being made when a step ends.
fn in_place(step: &Step) -> u32 {
    step.running + [step.pending, step.unschedulable, step.creating].into_iter().flatten().sum::<u32>()
}

/// Whether an instance that had not come to its end was told to end, or is no longer there, or failed because of others (a kubelet that
/// makes room, a node that is shut down): while more are asked for ramp ends none but those of a surplus.
fn is_removed(row: &PodRow) -> bool {
    let was_alive = row.from.as_deref().is_some_and(|from| !from.is_empty() && !is_over(from));
    was_alive
        && match row.to.parse() {
            Ok(State::Terminating | State::Gone) => true,
            Ok(State::Failed) => matches!(named_in(&row.reason), Some(Cause::Others(_))),
            _ => false,
        }
}

/// Whether an instance in this state has come to its end.
fn is_over(state: &str) -> bool {
    matches!(
        state.parse(),
        Ok(State::Terminating | State::Evicted | State::OomKilled | State::Failed | State::Gone)
    )
}

/// Whether it was seen when another process had gone on with the run: not every engine's instances outlive the one before.
fn ramp_was_away(recorded: &Recorded, row: &PodRow) -> bool {
    recorded.run.resumes.iter().any(|resumed| {
        let apart = row.time.0.duration_since(resumed.0).unwrap_or_else(|error| error.duration());
        apart.as_secs_f64() < ABOUT_SECONDS
    })
}

/// What was done to an instance, and by whom, by its reason and the cluster's events about then.
fn act(recorded: &Recorded, row: &PodRow, seconds: f64, asked: u32) -> (String, Option<String>) {
    let before = |late: f64| recorded.events.partition_point(|event| event.elapsed_seconds <= seconds + late);
    let near = recorded.events.get(before(-ABOUT_SECONDS - TOGETHER_SECONDS)..before(ABOUT_SECONDS));
    let about = |late: f64| {
        near.unwrap_or_default().iter().filter(move |event| {
            event.kind == "cluster" && (-ABOUT_SECONDS..=late).contains(&(event.elapsed_seconds - seconds))
        })
    };
    let of_instance = |event: &&EventRow| event.object.ends_with(&format!("/{}", row.instance));
    let mut of_this = about(ABOUT_SECONDS).filter(of_instance);
    if let Some(event) = of_this.clone().find(|event| event.reason == "Preempted") {
        let by = event.message.strip_prefix("Preempted by ").and_then(|rest| rest.split(' ').next());
        return (ExternalAction::Preempted.name().into(), by.map(str::to_owned));
    }
    if row.reason.starts_with(RELABELLED) {
        return ("lost from sight as their labels were changed".into(), None);
    }
    if let Some(Cause::Others(act)) = named_in(&row.reason) {
        return (act.name().into(), None);
    }
    if let Some(event) = of_this.find(|event| event.reason == "TaintManagerEviction") {
        return (ExternalAction::Tainted.name().into(), Some(event.reason.clone()));
    }
    let of_node = |event: &&EventRow| {
        event.reason == "NodeNotSchedulable"
            && row.node.as_deref().is_some_and(|node| event.object.ends_with(&format!("/{node}")))
    };
    if about(CORDON_LATE_SECONDS).any(|event| of_node(&event)) {
        return (ExternalAction::Drained.name().into(), None);
    }
    // Somebody who asks for as many or more removes none.
    let fewer = |event: &&EventRow| new_size(event).is_some_and(|size| size < asked);
    let events = || about(LATE_SECONDS).filter(fewer);
    if let Some(event) = events().find(|event| event.reason == "SuccessfulRescale") {
        return ("removed by scaling".into(), Some(event.object.clone()));
    }
    // What the run itself has noticed, with the field manager.
    let noticed = near.unwrap_or_default().iter().filter(|event| event.reason == CHANGED_BY_OTHERS);
    let mut noticed = noticed.filter(|event| event.elapsed_seconds <= seconds + LATE_SECONDS);
    if let Some(event) = noticed.clone().find(|event| event.message.starts_with(REPLICAS) && fewer(event)) {
        return ("removed by scaling".into(), author(&event.message));
    }
    if let Some(event) = noticed.find(|event| has_removed_all(&event.message)) {
        return ("removed with their Deployment".into(), author(&event.message));
    }
    let scaled =
        |event: &EventRow| event.reason == "ScalingReplicaSet" && event.message.contains("Scaled down");
    if events().any(scaled) {
        // A rollout scales the ReplicaSet of the template before down, step by step.
        let seen = recorded.events.get(..before(LATE_SECONDS)).unwrap_or_default();
        let is_template =
            |event: &&EventRow| event.reason == CHANGED_BY_OTHERS && event.message.starts_with(TEMPLATE);
        return match seen.iter().rfind(is_template) {
            Some(event) => ("replaced by a rollout of a changed template".into(), author(&event.message)),
            None => ("removed by scaling".into(), None),
        };
    }
    (ExternalAction::Deleted.name().into(), None)
}

/// Whether the run has noticed that its Deployment was removed.
fn has_removed_all(message: &str) -> bool {
    message.starts_with("removed by ") || message.starts_with("deleted ")
}

/// Who has made a change that the run has noticed: `… by kubectl (scale) at 12:00:03`. Another client is nobody known.
fn author(message: &str) -> Option<String> {
    let (_, by) = message.rsplit_once(" by ")?;
    let by = by.split_once(" at ").map_or(by, |(by, _)| by).trim();
    (!by.starts_with("another client")).then(|| by.to_owned())
}

/// The number of instances that an event says is asked for now: `New size: 3; reason: …`, `Scaled down replica set x to 3`,
/// `… to 3 from 5`.
fn new_size(event: &EventRow) -> Option<u32> {
    let after = match event.message.split_once("New size: ") {
        Some((_, after)) => after,
        None => event.message.rsplit_once(" to ")?.1,
    };
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A step that ended with more instances in place than ramp had asked for.
fn raised(recorded: &Recorded, step: &Step) -> Option<Change> {
    let asked = step.asked.filter(|_| matches!(step.part, Part::Up | Part::Hold))?;
    let there = in_place(step);
    if there <= asked {
        return None;
    }
    // Since the step before: ramp has asked for its own number then.
    let of_now = |event: &&EventRow| event.step == step.step || event.step + 1 == step.step;
    let more = |event: &&EventRow| new_size(event).is_some_and(|size| size > asked);
    let by = recorded
        .events
        .iter()
        .rfind(|event| event.reason == "SuccessfulRescale" && of_now(event) && more(event));
    let is_noticed =
        |event: &&EventRow| event.reason == CHANGED_BY_OTHERS && event.message.starts_with(REPLICAS);
    let noticed = || recorded.events.iter().rfind(|event| is_noticed(event) && of_now(event) && more(event));
    Some(Change {
        what: format!("{there} instances where {asked} were requested"),
        who: by.map(|event| event.object.clone()).or_else(|| author(&noticed()?.message)),
        step: step.step,
    })
}

/// Other numbers of instances that others have asked for while ramp was asking for its own: the next step may have come before any
/// instance was made or removed.
fn rescaled<'d>(data: &'d Dataset, recorded: &'d Recorded, until: f64) -> impl Iterator<Item = Change> {
    let asked_in = |number: u32| data.steps.iter().find(|step| step.step == number)?.asked;
    let before = recorded.events.iter().take_while(move |event| event.elapsed_seconds < until);
    // In a mixed run a size is of one group, and steps have the instances of all: what was noticed of it is told all the same.
    let is_mixed = !data.mix().is_empty();
    before.filter(move |event| !is_mixed && event.reason == "SuccessfulRescale").filter_map(move |event| {
        let (size, asked) = (new_size(event)?, asked_in(event.step)?);
        let own = [Some(asked), asked_in(event.step + 1), event.step.checked_sub(1).and_then(asked_in)];
        (!own.contains(&Some(size))).then(|| Change {
            what: format!("{size} instances requested instead of {asked}"),
            who: Some(event.object.clone()),
            step: event.step,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ramp_format::time::Time;

    fn row(from: State, to: State, reason: &str) -> PodRow {
        PodRow {
            time: Time(std::time::UNIX_EPOCH),
            elapsed_seconds: 1.0,
            source_time: None,
            step: 1,
            instance: "instance-1".into(),
            uid: "uid-1".into(),
            node: Some("node-1".into()),
            from: Some(from.to_string()),
            to: to.to_string(),
            reason: reason.into(),
            restarts: 0,
            container: None,
            group: None,
        }
    }

    #[test]
    fn who_has_made_a_change_is_read_from_what_the_run_has_noticed() {
        let by = |message: &str| author(message);
        let scaled = "replicas changed from 5 to 2 by kubectl (scale) at 12:00:03";
        assert_eq!(by(scaled).as_deref(), Some("kubectl (scale)"));
        assert_eq!(
            by("removed by ramp clean (process 7 on build-1)").as_deref(),
            Some("ramp clean (process 7 on build-1)")
        );
        for untold in [
            "replicas changed from 3 to 5 by another client (no field manager is recorded)",
            "deleted by another client (Kubernetes does not record which)",
            "deleted with namespace others, which is being deleted",
        ] {
            assert_eq!(by(untold), None, "{untold}");
        }
        assert!(has_removed_all("deleted by another client") && !has_removed_all(scaled));
        let row = |message: &str| EventRow {
            time: Time(std::time::UNIX_EPOCH),
            elapsed_seconds: 1.0,
            source_time: None,
            step: 1,
            kind: "note".into(),
            object: "deployment/a".into(),
            reason: CHANGED_BY_OTHERS.into(),
            message: message.into(),
            count: None,
        };
        assert_eq!(new_size(&row(scaled)), Some(2));
    }

    #[test]
    fn an_instance_that_a_kubelet_fails_to_make_room_is_removed_by_others_and_one_that_fails_is_not() {
        let preempted = "Preempting: Preempted in order to admit critical pod";
        assert!(is_removed(&row(State::Ready, State::Failed, preempted)));
        assert!(!is_removed(&row(State::Ready, State::Failed, "Error, exit 1")));
        assert!(is_removed(&row(State::Ready, State::Terminating, "")));
        assert!(!is_removed(&row(State::Failed, State::Gone, "")), "it has come to its end before");
    }
}
