//! What the machine has, and the budget: once a second, whatever else happens.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use workload::clock::monotonic_ns;
use workload::quantity::Bytes;
use workload::report::{Format, NodeReport, Record, Writer};
use workload::run::NodeSampler;

use super::keeper::Confinement;
use crate::engine::{Budget, Event, Events, Sample};

/// As `workload node` does.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Reads the machine in process, as `workload node` would, and what all instances have together.
pub(super) struct Sampler {
    node: String,
    machine: NodeSampler,
    writer: Writer,
    budget: Bytes,
    confinement: Confinement,
}

impl Sampler {
    pub(super) fn new(node: String, budget: Bytes, confinement: Confinement) -> Self {
        let machine = NodeSampler::open(Path::new("/"), Vec::new(), monotonic_ns());
        Self { node, machine, writer: Writer::new(Format::Json), budget, confinement }
    }

    /// Sends samples on an absolute schedule until nobody reads any more; one that is late is left out.
    pub(super) async fn sample(mut self, events: Events) {
        let mut beat = interval_at(Instant::now(), SAMPLE_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut record = Record::Start;
        while !events.is_closed() {
            beat.tick().await;
            if let Some(sample) = self.take(record) {
                events.send(Event::Sample(sample)).await;
            }
            record = Record::Report;
        }
    }

    fn take(&mut self, record: Record<'_>) -> Option<Sample> {
        let snapshot = self.machine.snapshot(record, 0);
        let record: Option<Map<String, Value>> = self
            .writer
            .render::<NodeReport>(&snapshot)
            .ok()
            .and_then(|line| serde_json::from_slice(line).ok());
        Some(Sample { node: self.node.clone(), record: record?, budget: self.budget() })
    }

    /// None once the cgroup is gone.
    fn budget(&self) -> Option<Budget> {
        let used = match &self.confinement {
            Confinement::Cgroup(group) => group.used()?,
            Confinement::Ramp { used, .. } => Bytes(used.load(Ordering::Relaxed)),
        };
        Some(Budget { limit: self.budget, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn a_sample_is_a_record_of_the_machine_with_the_budget_beside_it() {
        let used = Arc::new(AtomicU64::new(7));
        let confinement = Confinement::Ramp { budget: Bytes(9), used };
        let mut sampler = Sampler::new("here".into(), Bytes(9), confinement);
        let first = sampler.take(Record::Start).unwrap();
        assert_eq!(first.budget, Some(Budget { limit: Bytes(9), used: Bytes(7) }));
        assert_eq!(first.record["record"], "start");
        assert!(first.record["memory_available_bytes"].as_u64().unwrap() > 0);
        let next = sampler.take(Record::Report).unwrap();
        assert_eq!((next.node.as_str(), &next.record["record"]), ("here", &Value::from("report")));
        assert!(!next.record.contains_key("kernel"), "what does not change is told once");
    }
}
