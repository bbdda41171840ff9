//! Instance tracker: turns observed statuses into state transitions, each counted once.
//!
//! # Guarantees
//! - The transitions of an instance form a path: each begins where the one before it ended, the first from nothing, and none
//!   follows [`State::Gone`].
//! - The end of a container is counted once, however often it is observed, by any source and across a resume.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::engine::{InstanceStatus, NOT_LISTED};
use ramp_format::state::{Counts, State, Totals, Transition};

/// Instances by state, and totals of their ends.
#[derive(Clone, Debug, Default)]
pub struct InstanceTracker {
    instances: HashMap<String, TrackedInstance>,
    gone: GoneInstances,
    counts: Counts,
    totals: Totals,
    places: PopulationCounts,
}

/// UIDs of instances that are gone: a source may report one late. The oldest are forgotten first.
#[derive(Clone, Debug, Default)]
struct GoneInstances {
    uids: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

/// UIDs of instances that are gone that are remembered. Each takes about 100 bytes.
const GONE_REMEMBERED: usize = 20_000;

/// Exits of an instance that are remembered.
const EXITS_REMEMBERED: usize = 16;

impl GoneInstances {
    fn add(&mut self, uid: &str) {
        let uid: Arc<str> = uid.into();
        if !self.uids.insert(uid.clone()) {
            return;
        }
        self.order.push_back(uid);
        if self.order.len() > GONE_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.uids.remove(&oldest);
        }
    }
}

/// Numbers of instances, updated with each change: each event and each sample reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PopulationCounts {
    /// Neither over nor terminating.
    in_place: u32,
    /// Those of them that have not settled.
    unsettled: u32,
    /// Terminating.
    terminating: u32,
    /// With a running container, by node.
    at_work: HashMap<String, u32>,
}

/// An existing instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedInstance {
    /// Its name.
    pub name: String,
    /// Its node.
    pub node: Option<String>,
    /// Its group, in a mixed run.
    pub group: Option<String>,
    /// Its state.
    pub state: State,
    /// Whether it is over: it does not run again, and may be replaced.
    pub over: bool,
    /// Whether its eviction was counted. What its container ended by may be reported later.
    is_evicted: bool,
    restarts: u32,
    /// Containers whose end was counted. A kubelet may report an earlier one after a later one.
    ended: Vec<String>,
}

impl PopulationCounts {
    fn change(&mut self, entry: &TrackedInstance, by: i32) {
        let change = |count: &mut u32| *count = count.saturating_add_signed(by);
        if !entry.over && entry.state == State::Terminating {
            change(&mut self.terminating);
        } else if !entry.over {
            change(&mut self.in_place);
            if !entry.state.is_settled() {
                change(&mut self.unsettled);
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
    /// Takes the status of an instance. Returns the transitions it caused, usually none.
    pub fn see(&mut self, status: &InstanceStatus) -> Vec<Transition> {
        let known = self.instances.get(&status.uid);
        if self.gone.uids.contains(status.uid.as_str()) || (known.is_none() && status.state == State::Gone) {
            return Vec::new();
        }
        let mut from = known.map(|entry| entry.state);
        let restarts_before = known.map_or(0, |entry| entry.restarts);
        let was_evicted = known.is_some_and(|entry| entry.is_evicted);
        let mut ended = known.map(|entry| entry.ended.clone()).unwrap_or_default();
        if is_late(status, from, &ended) {
            return Vec::new();
        }
        let mut transitions = Vec::new();
        let transition = |from, to, at, reason, container| Transition {
            uid: status.uid.clone(),
            name: status.name.clone(),
            node: status.node.clone(),
            from,
            to,
            at,
            reason,
            restarts: status.restarts,
            container,
            group: status.group.clone(),
        };
        // The end of a terminating instance is neither a failure nor an OOM kill, whatever its exit status.
        let terminating = matches!(status.state, State::Terminating | State::Gone);
        if let Some(end) = &status.end
            && !ended.contains(&end.container)
            && !terminating
        {
            let reason = with_unseen(&end.reason, restarts_before, status.restarts);
            transitions.push(transition(from, end.state, end.at, reason, Some(end.container.clone())));
            from = Some(end.state);
            ended.push(end.container.clone());
        }
        // An eviction is counted once: it stays the state that its container has ended in since.
        let state = from.filter(|_| was_evicted && status.state == State::Evicted).unwrap_or(status.state);
        if from != Some(state) {
            transitions.push(transition(from, state, status.since, status.reason.clone(), None));
        }
        for transition in &transitions {
            self.count(transition);
        }
        self.keep(&InstanceStatus { state, ..status.clone() }, ended);
        transitions
    }

    /// Takes the statuses of all existing instances: those not among them are gone.
    pub fn see_all(&mut self, statuses: &[InstanceStatus]) -> Vec<Transition> {
        let there: HashSet<&str> = statuses.iter().map(|status| status.uid.as_str()).collect();
        let missing = self.instances.iter().filter(|(uid, _)| !there.contains(uid.as_str()));
        let mut gone: Vec<InstanceStatus> = missing
            .map(|(uid, entry)| InstanceStatus {
                uid: uid.clone(),
                name: entry.name.clone(),
                node: entry.node.clone(),
                state: State::Gone,
                since: None,
                reason: NOT_LISTED.into(),
                restarts: entry.restarts,
                end: None,
                over: true,
                group: entry.group.clone(),
            })
            .collect();
        // Sorted by name, so that recordings are reproducible.
        gone.sort_by_cached_key(|status| format!("{}/{}", status.name, status.uid));
        gone.iter().chain(statuses).flat_map(|status| self.see(status)).collect()
    }

    /// Takes a transition that an earlier process recorded.
    pub fn replay(&mut self, transition: &Transition) {
        self.count(transition);
        let mut ended =
            self.instances.get(&transition.uid).map(|entry| entry.ended.clone()).unwrap_or_default();
        ended.extend(transition.container.clone());
        let status = InstanceStatus {
            uid: transition.uid.clone(),
            name: transition.name.clone(),
            node: transition.node.clone(),
            state: transition.to,
            since: None,
            reason: String::new(),
            restarts: transition.restarts,
            end: None,
            over: matches!(transition.to, State::Evicted | State::Gone),
            group: transition.group.clone(),
        };
        self.keep(&status, ended);
    }

    fn keep(&mut self, status: &InstanceStatus, mut ended: Vec<String>) {
        ended.drain(..ended.len().saturating_sub(EXITS_REMEMBERED));
        let before = self.instances.remove(&status.uid);
        if let Some(before) = &before {
            self.places.change(before, -1);
        }
        let is_end = matches!(status.state, State::OomKilled | State::Failed);
        let is_evicted =
            status.state == State::Evicted || (is_end && before.is_some_and(|before| before.is_evicted));
        if status.state == State::Gone {
            self.gone.add(&status.uid);
            return;
        }
        let entry = TrackedInstance {
            name: status.name.clone(),
            node: status.node.clone(),
            group: status.group.clone(),
            state: status.state,
            over: status.over || (is_end && is_evicted),
            is_evicted,
            restarts: status.restarts,
            ended,
        };
        self.places.change(&entry, 1);
        self.instances.insert(status.uid.clone(), entry);
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

    /// Existing instances by state.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Totals since the run began.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// An existing instance.
    #[must_use]
    pub fn instance(&self, uid: &str) -> Option<&TrackedInstance> {
        self.instances.get(uid)
    }

    /// Instances with a running container on a node.
    #[must_use]
    pub fn at_work_on(&self, node: &str) -> u32 {
        self.places.at_work.get(node).copied().unwrap_or_default()
    }

    /// Whether the requested number of instances exists, and each is ready, has ended or cannot be scheduled.
    #[must_use]
    pub fn is_settled(&self, asked: u32) -> bool {
        self.places.in_place >= asked && self.places.unsettled == 0
    }

    /// Instances that are not over, including terminating ones.
    #[must_use]
    pub fn in_place(&self) -> u32 {
        self.places.in_place + self.places.terminating
    }

    /// Instances that are neither over nor terminating.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        self.places.in_place
    }

    /// Numbers of existing instances by node.
    #[must_use]
    pub fn there_by_node(&self) -> BTreeMap<Option<&str>, u32> {
        let mut numbers = BTreeMap::new();
        for entry in self.instances.values() {
            *numbers.entry(entry.node.as_deref()).or_default() += 1;
        }
        numbers
    }

    /// Numbers of instances that hold their memory, by group.
    #[must_use]
    pub fn ready_by_group(&self) -> BTreeMap<&str, u32> {
        let mut numbers = BTreeMap::new();
        for entry in self.instances.values().filter(|entry| entry.state == State::Ready) {
            *numbers.entry(entry.group.as_deref().unwrap_or_default()).or_default() += 1;
        }
        numbers
    }

    /// All existing instances.
    #[must_use]
    pub fn there(&self) -> u32 {
        u32::try_from(self.instances.len()).unwrap_or(u32::MAX)
    }
}

/// Whether it is an outdated status: it reports the end of a container that was counted and has been replaced.
fn is_late(status: &InstanceStatus, from: Option<State>, ended: &[String]) -> bool {
    let is_dead = matches!(status.state, State::Failed | State::OomKilled) && !status.over;
    let is_known = status.end.as_ref().is_some_and(|end| ended.contains(&end.container));
    is_dead && is_known && from.is_some_and(State::is_at_work)
}

/// The reason, with the number of earlier ends that were not observed.
fn with_unseen(reason: &str, before: u32, now: u32) -> String {
    // The container may or may not have been restarted yet.
    match now.saturating_sub(before).saturating_sub(1) {
        0 => reason.to_owned(),
        unseen => format!("{reason} ({unseen} ends before it not seen)"),
    }
}

#[cfg(test)]
mod tests;
