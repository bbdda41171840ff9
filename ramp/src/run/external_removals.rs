//! Removals of instances that the run still asks for: told live, by number and cause.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{NOT_LISTED, NOT_THERE_AGAIN, Notice, NoticeKind};
use ramp_format::state::{State, Transition};
use ramp_format::text::count;

/// Removals are collected for so long before they are told, so that a drained node is one message, and an event that tells the cause has
/// arrived.
const COLLECTED_FOR: Duration = Duration::from_secs(1);

/// Events tell the cause of removals for so long after them: pods of a cordoned node or a scaled Deployment end one after another.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);

/// The pods of a Deployment that was scaled down are deleted within so long.
const SCALED_WITHIN: Duration = Duration::from_secs(10);

/// Nodes that are named in a message.
const NODES_NAMED: usize = 3;

/// Removals since the last message, and events that tell causes.
#[derive(Debug, Default)]
pub(super) struct ExternalRemovals {
    removed: Vec<Removal>,
    since: Option<Instant>,
    causes: VecDeque<(Instant, String, String)>,
    /// When others asked for fewer, and how many of those that went by that have not been seen yet.
    scaled_down: Option<(Instant, u32)>,
}

#[derive(Debug)]
struct Removal {
    instance: String,
    node: Option<String>,
    reason: String,
}

/// Whether a transition is the removal of an instance that had not come to its end.
pub(super) fn is_removal(transition: &Transition) -> bool {
    let is_over = |state| {
        matches!(state, State::Terminating | State::Evicted | State::OomKilled | State::Failed | State::Gone)
    };
    matches!(transition.to, State::Terminating | State::Gone)
        && transition.from.is_some_and(|from| !is_over(from))
}

impl ExternalRemovals {
    /// Takes an event that may tell a cause.
    pub(super) fn event(&mut self, notice: &Notice, now: Instant) {
        let cause = match (notice.kind, notice.reason.as_str()) {
            (NoticeKind::Cluster, "Preempted") => {
                let by = notice.message.strip_prefix("Preempted by ").and_then(|rest| rest.split(' ').next());
                format!("preempted by {}", by.unwrap_or("another pod"))
            }
            (NoticeKind::Cluster, "TaintManagerEviction") => {
                "their node is tainted or not ready (TaintManagerEviction)".to_owned()
            }
            (NoticeKind::Note, "ChangedByOthers") if notice.message.starts_with("replicas changed") => {
                self.scaled_down = fewer(&notice.message).map(|fewer| (now, fewer));
                return;
            }
            (NoticeKind::Note, "ChangedByOthers") if notice.message.contains("spec.template") => {
                "the template of the Deployment was changed by others".to_owned()
            }
            _ => return,
        };
        self.causes.push_back((now, notice.object.clone(), cause));
        while self.causes.front().is_some_and(|(at, _, _)| now.duration_since(*at) > REMEMBERED_FOR) {
            self.causes.pop_front();
        }
    }

    /// Takes the removal of an instance.
    pub(super) fn add(&mut self, transition: &Transition, now: Instant) {
        self.since.get_or_insert(now);
        self.removed.push(Removal {
            instance: transition.name.clone(),
            node: transition.node.clone(),
            reason: transition.reason.clone(),
        });
    }

    /// What is to be told now: one reason and message per cause. `node` tells what has happened to a node.
    pub(super) fn due(
        &mut self,
        now: Instant,
        node: impl Fn(&str) -> Option<&'static str>,
    ) -> Vec<(&'static str, String)> {
        if self.since.is_none_or(|since| now.duration_since(since) < COLLECTED_FOR) {
            return Vec::new();
        }
        self.since = None;
        let mut causes: BTreeMap<String, (usize, BTreeSet<String>)> = BTreeMap::new();
        for removal in std::mem::take(&mut self.removed) {
            let cause = self.cause(&removal, now, &node);
            let (number, nodes) = causes.entry(cause).or_default();
            *number += 1;
            nodes.extend(removal.node);
        }
        causes.into_iter().map(|(cause, (number, nodes))| words(&cause, number, &nodes)).collect()
    }

    fn cause(
        &mut self,
        removal: &Removal,
        now: Instant,
        node: impl Fn(&str) -> Option<&'static str>,
    ) -> String {
        let recent =
            || self.causes.iter().rev().filter(|(at, _, _)| now.duration_since(*at) <= REMEMBERED_FOR);
        let pod = format!("pod/{}", removal.instance);
        if let Some((_, _, cause)) = recent().find(|(_, object, _)| *object == pod) {
            return cause.clone();
        }
        if !removal.reason.is_empty() {
            return removal.reason.clone();
        }
        if let Some(what) = removal.node.as_deref().and_then(node) {
            return what.to_owned();
        }
        if let Some((_, _, cause)) = recent().find(|(_, object, _)| object.starts_with("deployment/")) {
            return cause.clone();
        }
        match &mut self.scaled_down {
            Some((at, fewer)) if *fewer > 0 && now.duration_since(*at) <= SCALED_WITHIN => {
                *fewer -= 1;
                "the Deployment was scaled down by others".to_owned()
            }
            _ => "deleted".to_owned(),
        }
    }
}

/// By how many `replicas changed from A to B …` lowers the number.
fn fewer(message: &str) -> Option<u32> {
    let mut numbers = message.split(' ').filter_map(|word| word.parse::<u32>().ok());
    let (before, now) = (numbers.next()?, numbers.next()?);
    before.checked_sub(now).filter(|fewer| *fewer > 0)
}

fn words(cause: &str, number: usize, nodes: &BTreeSet<String>) -> (&'static str, String) {
    let named: Vec<&str> = nodes.iter().take(NODES_NAMED).map(String::as_str).collect();
    let place = match nodes.len() {
        0 => String::new(),
        all if all > NODES_NAMED => format!(" on {all} nodes"),
        _ => format!(" on {}", named.join(", ")),
    };
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let number = count(number, "instance");
    // Nobody knows who or what ended them: processes end with ramp, if it is killed.
    if [NOT_LISTED, NOT_THERE_AGAIN].contains(&cause) {
        return ("GoneUnobserved", format!("{number} ended or removed{place} while nothing was observed"));
    }
    ("RemovedByOthers", format!("{number} removed by others{place}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(name: &str, node: &str, reason: &str) -> Transition {
        Transition {
            uid: name.into(),
            name: name.into(),
            node: Some(node.into()),
            from: Some(State::Ready),
            to: State::Terminating,
            at: None,
            reason: reason.into(),
            restarts: 0,
            container: None,
            group: None,
        }
    }

    fn cluster(object: &str, reason: &str, message: &str) -> Notice {
        Notice::new(NoticeKind::Cluster, object, reason, message)
    }

    fn by_others(message: &str) -> (&'static str, String) {
        ("RemovedByOthers", message.to_owned())
    }

    #[test]
    fn removals_of_one_cause_are_one_message_a_second_after_the_first() {
        let (mut removals, start) = (ExternalRemovals::default(), Instant::now());
        for (name, node) in [("a", "node-1"), ("b", "node-1"), ("c", "node-2")] {
            removals.add(&removal(name, node, ""), start);
        }
        let node = |name: &str| (name == "node-1").then_some("their node is cordoned, as by kubectl drain");
        assert_eq!(removals.due(start + Duration::from_millis(900), node), []);
        let later = start + COLLECTED_FOR;
        assert_eq!(
            removals.due(later, node),
            [
                by_others("1 instance removed by others on node-2: deleted"),
                by_others(
                    "2 instances removed by others on node-1: their node is cordoned, as by kubectl drain"
                ),
            ]
        );
        assert_eq!(removals.due(later + COLLECTED_FOR, node), []);
    }

    #[test]
    fn events_of_the_cluster_tell_the_cause() {
        let (mut removals, start) = (ExternalRemovals::default(), Instant::now());
        removals.add(&removal("a", "n", ""), start);
        removals.add(&removal("b", "n", ""), start);
        removals.add(&removal("c", "n", "EvictionByEvictionAPI: Eviction API: evicting"), start);
        removals.event(&cluster("pod/a", "Preempted", "Preempted by prod/api on node n"), start);
        removals.event(&cluster("pod/b", "TaintManagerEviction", "Marking for deletion"), start);
        assert_eq!(
            removals.due(start + COLLECTED_FOR, |_| None),
            [
                by_others("1 instance removed by others on n: EvictionByEvictionAPI: Eviction API: evicting"),
                by_others("1 instance removed by others on n: preempted by prod/api"),
                by_others(
                    "1 instance removed by others on n: their node is tainted or not ready (TaintManagerEviction)"
                ),
            ]
        );
        let scaled =
            Notice::note("deployment/x", "ChangedByOthers", "replicas changed from 5 to 2 by kubectl");
        removals.event(&scaled, start);
        for name in ["d", "e", "f", "g"] {
            removals.add(&removal(name, "n", ""), start);
        }
        assert_eq!(
            removals.due(start + COLLECTED_FOR, |_| None),
            [
                by_others("1 instance removed by others on n: deleted"),
                by_others("3 instances removed by others on n: the Deployment was scaled down by others"),
            ]
        );
    }

    #[test]
    fn what_ended_while_nothing_was_observed_is_not_said_to_be_removed_by_others() {
        let (mut removals, start) = (ExternalRemovals::default(), Instant::now());
        for reason in [NOT_LISTED, NOT_LISTED, NOT_THERE_AGAIN] {
            removals.add(&removal("a", "n", reason), start);
        }
        let told = removals.due(start + COLLECTED_FOR, |_| None);
        let gone =
            |number| ("GoneUnobserved", format!("{number} ended or removed on n while nothing was observed"));
        assert_eq!(told, [gone("2 instances"), gone("1 instance")]);
    }

    #[test]
    fn what_has_come_to_its_end_before_is_not_removed_by_others() {
        assert!(is_removal(&removal("a", "n", "")));
        for from in [Some(State::Evicted), Some(State::Failed), Some(State::Terminating), None] {
            assert!(!is_removal(&Transition { from, ..removal("a", "n", "") }), "{from:?}");
        }
        assert!(!is_removal(&Transition { to: State::Evicted, ..removal("a", "n", "") }));
    }
}
