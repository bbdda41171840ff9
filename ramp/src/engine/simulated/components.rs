//! Component probe of a simulated cluster: what each component of an instance and of a node holds.

use std::time::Duration;

use serde_json::{Map, Value, json};
use workload::quantity::Bytes;

use super::instance::{LoadFacts, SimulatedInstance};
use super::random::Random;
use super::records::object;
use super::world::{MachineTruth, RuntimeTruth};

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

impl RuntimeTruth {
    /// What an instance with so much memory of the runtime has of each part of it, as a share of the mean.
    pub(super) fn share_of(&self, overhead: f64) -> f64 {
        overhead / (self.memory.0 as f64).max(1.0)
    }
}

impl NodeComponents {
    /// When the first sample is taken.
    pub(super) fn phase(&mut self, every: Duration) -> Duration {
        every.mul_f64(self.0.part())
    }

    /// Records of the components of a node with so many instances.
    pub(super) fn of_node(&mut self, machine: &MachineTruth, made: usize) -> Vec<Map<String, Value>> {
        let part = |(name, each): (&String, &Bytes)| {
            process(name, IDLE + each.0 as f64 * made as f64 + NOISE * self.0.normal(), FILES, 0.0)
        };
        machine.parts.iter().map(part).collect()
    }
}

/// Those of an instance: of its runtime, of its load, and of its cgroup. `swapped`: the share of its anonymous memory that is swapped out.
pub(super) fn components_of(
    instance: &SimulatedInstance,
    runtime: &RuntimeTruth,
    load: &LoadFacts,
    on_node: usize,
    swapped: f64,
    now: Duration,
) -> Vec<Map<String, Value>> {
    let share = runtime.share_of(instance.overhead);
    let anon = match instance.began {
        Some(_) => (instance.resident(load, now) - load.shared).max(0.0),
        None => 0.0,
    };
    let part = |(name, bytes): (&String, &Bytes)| {
        // What a guest holds is in the memory of what runs it.
        let is_guest = runtime.guest && ["vmm", "sentry"].contains(&name.as_str());
        let within = if is_guest { anon } else { 0.0 };
        process(name, bytes.0 as f64 * share + within, FILES / on_node as f64, swapped)
    };
    let mut records: Vec<Map<String, Value>> = runtime.parts.iter().map(part).collect();
    if instance.began.is_some() && !runtime.guest {
        records.push(process("load", anon, load.shared / on_node as f64, swapped));
    }
    let bytes = |value: f64| value.round() as u64;
    let file = if instance.began.is_some() { load.shared } else { 0.0 };
    let pod = json!({
        "component": "pod",
        "cgroup_memory_bytes": bytes(instance.charged(load, now) * (1.0 - swapped) + file),
        "cgroup_memory_peak_bytes": bytes(instance.most_charged(load, now) + file),
        "cgroup_file_bytes": bytes(file),
    });
    records.push(object(pod));
    for record in &mut records {
        record.insert("pod_uid".into(), instance.uid().into());
    }
    records
}

/// The record of a component of one process, a share of whose anonymous memory is swapped out.
fn process(component: &str, anon: f64, files: f64, swapped: f64) -> Map<String, Value> {
    const PAGE: f64 = 4096.0;
    let bytes = |value: f64| ((value.max(0.0) / PAGE).round() * PAGE) as u64;
    let (anon, out) = (anon * (1.0 - swapped), anon * swapped);
    let record = json!({
        "component": component,
        "process": component,
        "processes": 1,
        "pss_bytes": bytes(anon) + bytes(files),
        "pss_anon_bytes": bytes(anon),
        "pss_shmem_bytes": 0,
        "pss_file_bytes": bytes(files),
        "swap_bytes": bytes(out),
    });
    object(record)
}
