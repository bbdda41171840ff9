//! The cluster itself: pure, moved by one function of the time.

use std::time::{Duration, SystemTime};

use serde_json::json;
use workload::quantity::Bytes;

use super::super::{End, Event, NodeStatus, Sample, Sighting};
use crate::clock::Clock;
use crate::state::State;

/// How a cluster behaves.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its nodes.
    pub nodes: Vec<ScriptedNode>,
    /// What each instance takes.
    pub instance: Bytes,
    /// How long an instance needs to be at work.
    pub create: Duration,
    /// How long it needs from there to hold its memory.
    pub fill: Duration,
    /// How long it needs to end.
    pub stop: Duration,
    /// What happens where there is no more memory.
    pub shortage: Shortage,
    /// What goes wrong, and when.
    pub faults: Vec<Fault>,
}

/// A node: its own machine.
#[derive(Clone, Debug)]
pub struct ScriptedNode {
    /// Its name.
    pub name: String,
    /// Its memory.
    pub memory: Bytes,
}

/// What happens where there is no more memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// The newest instance is evicted, and another made in its place.
    Evict,
    /// The newest instance is killed, and started again after ten seconds.
    OomKill,
    /// No more instances are put there.
    Refuse,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From when on, since the engine was made.
    pub from: Duration,
    /// Until when.
    pub to: Duration,
    /// What.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The API refuses connections.
    ApiDown,
    /// The API takes connections, and answers none.
    ApiHung,
    /// A node is not ready.
    NotReady(String),
    /// A node's machine says nothing.
    Silent(String),
}

const STARTED_AGAIN_AFTER: Duration = Duration::from_secs(10);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct World {
    pub(super) script: Script,
    clock: Option<Clock>,
    wanted: u32,
    made: u32,
    instances: Vec<Instance>,
    sampled: Option<Duration>,
    not_ready: Vec<String>,
}

#[derive(Clone, Debug)]
struct Instance {
    number: u32,
    state: State,
    node: Option<String>,
    since: Duration,
    restarts: u32,
    end: Option<End>,
    /// Since the last tick.
    changed: bool,
}

impl World {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script,
            clock: None,
            wanted: 0,
            made: 0,
            instances: Vec::new(),
            sampled: None,
            not_ready: Vec::new(),
        }
    }

    pub(super) fn start(&mut self, clock: Clock) {
        self.clock = Some(clock);
    }

    pub(super) fn wanted(&self) -> u32 {
        self.wanted
    }

    pub(super) fn ask(&mut self, instances: u32) {
        self.wanted = instances;
    }

    /// Ends all, those evicted included.
    pub(super) fn remove(&mut self) {
        self.wanted = 0;
        for instance in self.instances.iter_mut().filter(|instance| instance.state == State::Evicted) {
            instance.state = State::Terminating;
            instance.changed = true;
        }
    }

    pub(super) fn sightings(&self) -> Vec<Sighting> {
        self.instances.iter().map(Instance::sighting).collect()
    }

    pub(super) fn nodes(&self, now: Duration) -> Vec<NodeStatus> {
        let status = |node: &ScriptedNode| NodeStatus {
            name: node.name.clone(),
            ready: !self.is_at_fault(now, &FaultKind::NotReady(node.name.clone())),
            conditions: String::new(),
        };
        self.script.nodes.iter().map(status).collect()
    }

    pub(super) fn api_fault(&self, now: Duration) -> Option<FaultKind> {
        let of_the_api = |kind: &FaultKind| matches!(kind, FaultKind::ApiDown | FaultKind::ApiHung);
        self.faults(now).find(|kind| of_the_api(kind)).cloned()
    }

    fn faults(&self, now: Duration) -> impl Iterator<Item = &FaultKind> {
        self.script
            .faults
            .iter()
            .filter(move |fault| (fault.from..fault.to).contains(&now))
            .map(|fault| &fault.kind)
    }

    fn is_at_fault(&self, now: Duration, kind: &FaultKind) -> bool {
        self.faults(now).any(|fault| fault == kind)
    }

    /// Goes on until `now`: what of it is seen.
    pub(super) fn tick(&mut self, now: Duration) -> Vec<Event> {
        self.reconcile(now);
        for index in 0..self.instances.len() {
            self.progress(index, now);
        }
        self.run_short(now);
        let mut events = Vec::new();
        for instance in &mut self.instances {
            if std::mem::take(&mut instance.changed) {
                events.push(Event::Instance(instance.sighting()));
            }
        }
        self.instances.retain(|instance| instance.state != State::Gone);
        events.extend(self.nodes_seen(now));
        events.extend(self.samples(now));
        events
    }

    /// As many as are wanted: those evicted do not count.
    fn reconcile(&mut self, now: Duration) {
        let counts =
            |instance: &&mut Instance| !matches!(instance.state, State::Evicted | State::Terminating);
        let there = self.instances.iter_mut().filter(counts).count();
        let wanted = self.wanted as usize;
        let surplus = there.saturating_sub(wanted);
        for instance in self.instances.iter_mut().rev().filter(counts).take(surplus) {
            instance.turn(State::Terminating, now);
        }
        for _ in there..wanted {
            self.made += 1;
            self.instances.push(Instance {
                number: self.made,
                state: State::Pending,
                node: None,
                since: now,
                restarts: 0,
                end: None,
                changed: true,
            });
        }
    }

    fn progress(&mut self, index: usize, now: Duration) {
        let place = self.place();
        let script = &self.script;
        let Some(instance) = self.instances.get_mut(index) else { return };
        let for_long = |time: Duration| now.saturating_sub(instance.since) >= time;
        match instance.state {
            State::Pending | State::Unschedulable => match place {
                Some(node) => {
                    instance.node = Some(node);
                    instance.turn(State::Creating, now);
                }
                None if instance.state == State::Pending => instance.turn(State::Unschedulable, now),
                None => {}
            },
            State::Creating if for_long(script.create) => instance.turn(State::Running, now),
            State::Running if for_long(script.fill) => instance.turn(State::Ready, now),
            State::OomKilled if for_long(STARTED_AGAIN_AFTER) => {
                instance.restarts += 1;
                instance.turn(State::Running, now);
            }
            State::Terminating if for_long(script.stop) => instance.turn(State::Gone, now),
            _ => {}
        }
    }

    /// The node with the most room; none where none has enough and more must not be put there.
    fn place(&self) -> Option<String> {
        let room = |node: &ScriptedNode| node.memory.0.saturating_sub(self.claimed(&node.name));
        let best = self.script.nodes.iter().max_by_key(|node| room(node))?;
        let fits = self.script.shortage != Shortage::Refuse || room(best) >= self.script.instance.0;
        fits.then(|| best.name.clone())
    }

    /// What instances on a node have, or will.
    fn claimed(&self, node: &str) -> u64 {
        let on = |instance: &&Instance| {
            instance.node.as_deref() == Some(node) && !matches!(instance.state, State::Evicted | State::Gone)
        };
        self.instances.iter().filter(on).count() as u64 * self.script.instance.0
    }

    /// What instances on a node have now.
    fn used(&self, node: &str, now: Duration) -> u64 {
        let of = |instance: &Instance| match instance.state {
            State::Ready => self.script.instance.0,
            State::Running => {
                let part = now.saturating_sub(instance.since).as_secs_f64()
                    / self.script.fill.as_secs_f64().max(1e-9);
                (self.script.instance.0 as f64 * part.min(1.0)) as u64
            }
            _ => 0,
        };
        self.instances.iter().filter(|instance| instance.node.as_deref() == Some(node)).map(of).sum()
    }

    fn run_short(&mut self, now: Duration) {
        for node in self.script.nodes.clone() {
            if self.used(&node.name, now) <= node.memory.0 {
                continue;
            }
            let shortage = self.script.shortage;
            let on_node = |instance: &&mut Instance| {
                instance.node.as_deref() == Some(&node.name) && instance.state.is_at_work()
            };
            let Some(newest) = self.instances.iter_mut().rev().find(on_node) else { continue };
            match shortage {
                Shortage::Evict => newest.turn(State::Evicted, now),
                Shortage::OomKill | Shortage::Refuse => {
                    newest.end = Some(End {
                        container: format!("{}/{}", newest.number, newest.restarts),
                        state: State::OomKilled,
                        at: None,
                        reason: "OOMKilled, exit 137".into(),
                    });
                    newest.turn(State::OomKilled, now);
                }
            }
        }
    }

    fn nodes_seen(&mut self, now: Duration) -> Vec<Event> {
        let not_ready =
            self.nodes(now).into_iter().filter(|node| !node.ready).map(|node| node.name).collect();
        if self.not_ready == not_ready {
            return Vec::new();
        }
        self.not_ready = not_ready;
        self.nodes(now).into_iter().map(Event::Node).collect()
    }

    fn samples(&mut self, now: Duration) -> Vec<Event> {
        let due = self.sampled.is_none_or(|last| now >= last + SAMPLE_EVERY);
        let (Some(clock), true) = (self.clock, due) else { return Vec::new() };
        self.sampled = Some(now);
        let tells = |node: &&ScriptedNode| !self.is_at_fault(now, &FaultKind::Silent(node.name.clone()));
        let nodes = self.script.nodes.iter().filter(tells);
        nodes.map(|node| Event::Sample(self.sample(node, now, clock.now()))).collect()
    }

    fn sample(&self, node: &ScriptedNode, now: Duration, time: SystemTime) -> Sample {
        let used = self.used(&node.name, now);
        let free = node.memory.0.saturating_sub(used);
        let record = json!({
            "record": "report",
            "time": humantime::format_rfc3339_millis(time).to_string(),
            "boot_id": node.name,
            "memory_total_bytes": node.memory.0,
            "memory_free_bytes": free,
            "memory_available_bytes": free,
            "memory_active_bytes": used,
        });
        let record = record.as_object().cloned().unwrap_or_default();
        Sample { node: node.name.clone(), record, budget: None }
    }
}

impl Instance {
    fn turn(&mut self, state: State, now: Duration) {
        self.state = state;
        self.since = now;
        self.changed = true;
    }

    fn sighting(&self) -> Sighting {
        Sighting {
            uid: format!("uid-{:04}", self.number),
            name: format!("instance-{:04}", self.number),
            node: self.node.clone(),
            state: self.state,
            since: None,
            reason: match self.state {
                State::Evicted => "the node was low on memory".into(),
                State::Unschedulable => "no node has enough memory".into(),
                _ => String::new(),
            },
            restarts: self.restarts,
            end: self.end.clone().filter(|_| self.state != State::Terminating),
            over: matches!(self.state, State::Evicted | State::Gone),
        }
    }
}
