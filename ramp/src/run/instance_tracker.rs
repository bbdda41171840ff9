//! Who is what: turns sightings into transitions, each counted once.
//!
//! # Guarantees
//! - The transitions of an instance form a path: each begins where the one before it ended, the first from nothing, and none
//!   follows [`State::Gone`].
//! - The end of a container is counted once, however often it is seen, by any source and across a resume.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::engine::InstanceStatus;
use ramp_format::state::{Counts, State, Totals, Transition};

/// Instances by their state, and what has happened to them.
#[derive(Clone, Debug, Default)]
pub struct InstanceTracker {
    instances: HashMap<String, TrackedInstance>,
    gone: HashSet<String>,
    counts: Counts,
    totals: Totals,
    places: PopulationCounts,
}

/// What the instances add up to, kept as they come, change and go: each event and each sample asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PopulationCounts {
    /// Not over and not told to end.
    in_place: u32,
    /// Those of them that are still on their way.
    on_the_way: u32,
    /// Not over, and told to end.
    leaving: u32,
    /// With a container at work, by node.
    at_work: HashMap<String, u32>,
}

/// What is known of an instance that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedInstance {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub node: Option<String>,
    /// What it is.
    pub state: State,
    /// Whether it is over, and its place another's.
    pub over: bool,
    restarts: u32,
    /// Those of its containers whose end has been counted. A kubelet may tell of an earlier one after a later one.
    ended: Vec<String>,
}

impl PopulationCounts {
    fn change(&mut self, entry: &TrackedInstance, by: i32) {
        let change = |count: &mut u32| *count = count.saturating_add_signed(by);
        if !entry.over && entry.state == State::Terminating {
            change(&mut self.leaving);
        } else if !entry.over {
            change(&mut self.in_place);
            if !entry.state.is_settled() {
                change(&mut self.on_the_way);
            }
        }
        if let Some(node) = &entry.node
            && entry.state.is_at_work()
        {
            match self.at_work.get_mut(node) {
                Some(count) => change(count),
                None => change(self.at_work.entry(node.clone()).or_default()),
            }
        }
    }
}

impl InstanceTracker {
    /// What a sighting changes: nothing, most of the time.
    pub fn see(&mut self, instance_status: &InstanceStatus) -> Vec<Transition> {
        let known = self.instances.get(&instance_status.uid);
        if self.gone.contains(&instance_status.uid)
            || (known.is_none() && instance_status.state == State::Gone)
        {
            return Vec::new();
        }
        let mut from = known.map(|entry| entry.state);
        let restarts_before = known.map_or(0, |entry| entry.restarts);
        let mut ended = known.map(|entry| entry.ended.clone()).unwrap_or_default();
        if is_late(instance_status, from, &ended) {
            return Vec::new();
        }
        let mut transitions = Vec::new();
        let transition = |from, to, at, reason, container| Transition {
            uid: instance_status.uid.clone(),
            name: instance_status.name.clone(),
            node: instance_status.node.clone(),
            from,
            to,
            at,
            reason,
            restarts: instance_status.restarts,
            container,
        };
        // What was told to end and does is neither a failure nor an OOM kill, whatever its exit status.
        let told_to_end = matches!(instance_status.state, State::Terminating | State::Gone);
        if let Some(end) = &instance_status.end
            && !ended.contains(&end.container)
            && !told_to_end
        {
            let reason = with_unseen(&end.reason, restarts_before, instance_status.restarts);
            transitions.push(transition(from, end.state, end.at, reason, Some(end.container.clone())));
            from = Some(end.state);
            ended.push(end.container.clone());
        }
        if from != Some(instance_status.state) {
            transitions.push(transition(
                from,
                instance_status.state,
                instance_status.since,
                instance_status.reason.clone(),
                None,
            ));
        }
        for transition in &transitions {
            self.count(transition);
        }
        self.keep(instance_status, ended);
        transitions
    }

    /// What changes when these are all instances there are: those not among them are gone. `now` is when that was seen.
    pub fn see_all(&mut self, statuses: &[InstanceStatus]) -> Vec<Transition> {
        let there: HashSet<&str> =
            statuses.iter().map(|instance_status| instance_status.uid.as_str()).collect();
        // In order of their names, so that the same run is written the same way.
        let missing: BTreeMap<String, (String, TrackedInstance)> = self
            .instances
            .iter()
            .filter(|(uid, _)| !there.contains(uid.as_str()))
            .map(|(uid, entry)| (format!("{}/{uid}", entry.name), (uid.clone(), entry.clone())))
            .collect();
        let mut transitions = Vec::new();
        for (uid, entry) in missing.into_values() {
            transitions.extend(self.see(&InstanceStatus {
                uid,
                name: entry.name,
                node: entry.node,
                state: State::Gone,
                since: None,
                reason: "no longer there when all were listed".into(),
                restarts: entry.restarts,
                end: None,
                over: true,
            }));
        }
        transitions.extend(statuses.iter().flat_map(|instance_status| self.see(instance_status)));
        transitions
    }

    /// Takes a transition from the file that an earlier process wrote.
    pub fn replay(&mut self, transition: &Transition) {
        self.count(transition);
        let mut ended =
            self.instances.get(&transition.uid).map(|entry| entry.ended.clone()).unwrap_or_default();
        ended.extend(transition.container.clone());
        let instance_status = InstanceStatus {
            uid: transition.uid.clone(),
            name: transition.name.clone(),
            node: transition.node.clone(),
            state: transition.to,
            since: None,
            reason: String::new(),
            restarts: transition.restarts,
            end: None,
            over: matches!(transition.to, State::Evicted | State::Gone),
        };
        self.keep(&instance_status, ended);
    }

    fn keep(&mut self, instance_status: &InstanceStatus, ended: Vec<String>) {
        if let Some(before) = self.instances.remove(&instance_status.uid) {
            self.places.change(&before, -1);
        }
        if instance_status.state == State::Gone {
            self.gone.insert(instance_status.uid.clone());
            return;
        }
        let entry = TrackedInstance {
            name: instance_status.name.clone(),
            node: instance_status.node.clone(),
            state: instance_status.state,
            over: instance_status.over,
            restarts: instance_status.restarts,
            ended,
        };
        self.places.change(&entry, 1);
        self.instances.insert(instance_status.uid.clone(), entry);
    }

    fn count(&mut self, transition: &Transition) {
        self.counts.change(transition.from, transition.to);
        let total = match transition.to {
            State::Evicted => &mut self.totals.evictions,
            State::OomKilled => &mut self.totals.oom_kills,
            State::Failed => &mut self.totals.failures,
            State::Gone => &mut self.totals.gone,
            _ => return,
        };
        *total += 1;
    }

    /// Instances that are there, by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What has happened since the run began.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// An instance that is there.
    #[must_use]
    pub fn instance(&self, uid: &str) -> Option<&TrackedInstance> {
        self.instances.get(uid)
    }

    /// Instances with a container at work on a node.
    #[must_use]
    pub fn at_work_on(&self, node: &str) -> u32 {
        self.places.at_work.get(node).copied().unwrap_or_default()
    }

    /// Whether there is nothing more to wait for when so many were asked for: that many have a place (or are known to
    /// have none), and none of them is still on its way.
    #[must_use]
    pub fn is_settled(&self, asked: u32) -> bool {
        self.places.in_place >= asked && self.places.on_the_way == 0
    }

    /// Instances that are there and not over, those told to end among them.
    #[must_use]
    pub fn in_place(&self) -> u32 {
        self.places.in_place + self.places.leaving
    }

    /// Instances that are there at all.
    #[must_use]
    pub fn there(&self) -> u32 {
        u32::try_from(self.instances.len()).unwrap_or(u32::MAX)
    }
}

/// Whether it tells of a container as dead whose end has been counted and in whose place another one is at work: an old
/// status, told late.
fn is_late(instance_status: &InstanceStatus, from: Option<State>, ended: &[String]) -> bool {
    let is_dead = matches!(instance_status.state, State::Failed | State::OomKilled) && !instance_status.over;
    let is_known = instance_status.end.as_ref().is_some_and(|end| ended.contains(&end.container));
    is_dead && is_known && from.is_some_and(State::is_at_work)
}

/// The reason, and how many ends of containers before this one nobody has seen.
fn with_unseen(reason: &str, before: u32, now: u32) -> String {
    // A container that has ended may have been started again already, or not yet.
    match now.saturating_sub(before).saturating_sub(1) {
        0 => reason.to_owned(),
        unseen => format!("{reason} ({unseen} ends before it not seen)"),
    }
}

#[cfg(test)]
mod tests;
