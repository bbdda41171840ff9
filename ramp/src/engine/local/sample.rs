//! What the machine has, and the budget: once a second, whatever else happens.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use workload::quantity::Bytes;

use super::keeper::Confinement;
use crate::engine::machine::Machine;
use crate::engine::{Budget, Event, Events, Sample};

/// As `workload node` does.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Reads the machine in process, as `workload node` would, and what all instances have together.
pub(super) struct Sampler {
    machine: Machine,
    budget: Bytes,
    confinement: Confinement,
}

impl Sampler {
    pub(super) fn new(node: String, budget: Bytes, confinement: Confinement) -> Self {
        Self { machine: Machine::open(node), budget, confinement }
    }

    /// Sends samples on an absolute schedule until nobody reads any more; one that is late is left out.
    pub(super) async fn sample(mut self, events: Events) {
        let mut beat = interval_at(Instant::now(), SAMPLE_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !events.is_closed() {
            beat.tick().await;
            let sample = self.take(events.clock().now());
            events.send(Event::Sample(sample)).await;
        }
    }

    fn take(&mut self, now: SystemTime) -> Sample {
        Sample { budget: self.budget(), ..self.machine.sample(now) }
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
        let sample = sampler.take(SystemTime::UNIX_EPOCH);
        assert_eq!(sample.budget, Some(Budget { limit: Bytes(9), used: Bytes(7) }));
        assert!(sample.node == "here" && sample.record["memory_available_bytes"].as_u64().unwrap() > 0);
    }
}
