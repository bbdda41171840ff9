//! Component probe of a simulated cluster: what each component of an instance and of a node holds.

use std::time::Duration;

use serde_json::{Map, Value, json};
use workload::quantity::Bytes;

use super::super::super::{Event, NodeRecord};
use super::super::random::Random;
use super::super::world::MachineTruth;
use super::{Cluster, ObservedEvent, PlannedEvent};
use ramp_format::time::Time;

/// Memory that a component of an idle node holds.
const IDLE: f64 = 60e6;
/// Standard deviation of what such a component holds by chance.
const NOISE: f64 = 100e3;
/// Files that a component of an instance maps, and that each of its kind shares.
const FILES: f64 = 10e6;

/// The random numbers of the probe of a node, which nothing else draws from.
#[derive(Clone, Debug)]
pub(super) struct NodeComponents(Random);

impl NodeComponents {
    pub(super) fn new(seed: u64, node: usize) -> Self {
        Self(Random::new(seed, 4000 + node as u64))
    }
}

impl MachineTruth {
    /// What components of a node hold for each instance.
    pub(super) fn each(&self) -> f64 {
        self.parts.values().map(|part| part.0 as f64).sum()
    }
}

impl Cluster {
    pub(super) fn plan_components(&mut self) {
        let Some(every) = self.world.machine.components_every else { return };
        for node in 0..self.nodes.len() {
            let phase = every.mul_f64(self.nodes[node].components.0.part());
            self.plan(phase, PlannedEvent::Components { node });
        }
    }

    /// A record of each component on a node.
    pub(super) fn sample_components(&mut self, node: usize, now: Duration) {
        let Some(every) = self.world.machine.components_every else { return };
        self.plan(now + every, PlannedEvent::Components { node });
        let on_node: Vec<usize> =
            self.there.iter().copied().filter(|at| self.instances[*at].node == Some(node)).collect();
        let made: Vec<usize> =
            on_node.into_iter().filter(|at| self.instances[*at].sandbox.is_some()).collect();
        let mut records: Vec<Map<String, Value>> = Vec::new();
        for at in &made {
            records.extend(self.components_of(*at, made.len(), now));
        }
        for (name, each) in self.world.machine.parts.clone() {
            let noise = NOISE * self.nodes[node].components.0.normal();
            let held = IDLE + each.0 as f64 * made.len() as f64 + noise;
            records.push(process(&name, held, FILES));
        }
        let time = Time(self.time_on(Some(node), now)).to_string();
        let boot_id = self.kernels[self.nodes[node].kernel].boot_id.clone();
        for mut record in records {
            record.insert("record".into(), "component".into());
            record.insert("time".into(), time.clone().into());
            record.insert("boot_id".into(), boot_id.clone().into());
            let event = Event::Component(NodeRecord { node: self.names[node].clone(), record });
            self.seen.push(ObservedEvent { at: now, event });
        }
    }

    /// Those of an instance: of its runtime, of its load, and of its cgroup.
    fn components_of(&self, at: usize, on_node: usize, now: Duration) -> Vec<Map<String, Value>> {
        let instance = &self.instances[at];
        let runtime = &self.groups[instance.group].runtime;
        let share = instance.overhead / (runtime.memory.0 as f64).max(1.0);
        let anon = match instance.began {
            Some(_) => (instance.resident(&self.load, now) - self.load.shared).max(0.0),
            None => 0.0,
        };
        let part = |(name, bytes): (&String, &Bytes)| {
            // What a guest holds is in the memory of what runs it.
            let is_guest = runtime.guest && ["vmm", "sentry"].contains(&name.as_str());
            let load = if is_guest { anon } else { 0.0 };
            process(name, bytes.0 as f64 * share + load, FILES / on_node as f64)
        };
        let mut records: Vec<Map<String, Value>> = runtime.parts.iter().map(part).collect();
        if instance.began.is_some() && !runtime.guest {
            records.push(process("load", anon, self.load.shared / on_node as f64));
        }
        let bytes = |value: f64| value.round() as u64;
        let file = if instance.began.is_some() { self.load.shared } else { 0.0 };
        let pod = json!({
            "component": "pod",
            "cgroup_memory_bytes": bytes(instance.charged(&self.load, now) + file),
            "cgroup_memory_peak_bytes": bytes(instance.most_charged(&self.load, now) + file),
            "cgroup_file_bytes": bytes(file),
        });
        records.extend(pod.as_object().cloned());
        for record in &mut records {
            record.insert("pod_uid".into(), instance.uid().into());
        }
        records
    }
}

/// The record of a component of one process.
fn process(component: &str, anon: f64, files: f64) -> Map<String, Value> {
    const PAGE: f64 = 4096.0;
    let bytes = |value: f64| ((value.max(0.0) / PAGE).round() * PAGE) as u64;
    let record = json!({
        "component": component,
        "process": component,
        "processes": 1,
        "pss_bytes": bytes(anon) + bytes(files),
        "pss_anon_bytes": bytes(anon),
        "pss_shmem_bytes": 0,
        "pss_file_bytes": bytes(files),
        "swap_bytes": 0,
    });
    record.as_object().cloned().unwrap_or_default()
}
