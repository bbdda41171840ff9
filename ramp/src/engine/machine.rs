//! This machine as a node: read in this process, each second, as `workload node` reads it elsewhere.

use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::time::{MissedTickBehavior, interval};
use workload::app::NodeSampler;
use workload::clock::monotonic_ns;
use workload::report::{Format, NodeReport, Record, Writer};

use super::{Budget, Event, Events, NodeReading};

/// As `workload node` does.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// This machine under the name of a node.
pub(crate) struct Machine {
    node: String,
    machine: NodeSampler,
    writer: Writer,
    begun: bool,
}

impl Machine {
    /// Opens the machine's files.
    pub(crate) fn open(node: String) -> Self {
        let machine = NodeSampler::open(Path::new("/"), Vec::new(), monotonic_ns());
        Self { node, machine, writer: Writer::new(Format::Json), begun: false }
    }

    /// Reads the machine as it is now. The first record has what does not change as well.
    pub(crate) fn sample(&mut self, now: SystemTime) -> NodeReading {
        let record = if self.begun { Record::Report } else { Record::Start };
        self.begun = true;
        let snapshot = self.machine.snapshot(record, now, 0);
        let line = self.writer.render::<NodeReport>(&snapshot).unwrap_or_default();
        // Written by the same library, it is an object.
        let record: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
        NodeReading { node: self.node.clone(), record, budget: None }
    }

    /// Sends samples on an absolute schedule until nobody reads any more; one that is late is left out. `budget` is what all
    /// instances have together, where they are confined together.
    pub(crate) async fn tell(mut self, events: Events, budget: impl Fn() -> Option<Budget>) {
        let mut beat = interval(SAMPLE_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !events.is_closed() {
            beat.tick().await;
            let sample = NodeReading { budget: budget(), ..self.sample(events.clock().now()) };
            events.send(Event::Sample(sample)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::clock::Clock;
    use workload::quantity::Bytes;

    #[tokio::test(start_paused = true)]
    async fn samples_come_each_second_with_the_budget_beside_them() {
        let (events, mut told) = Events::channel(Clock::simulated(UNIX_EPOCH));
        let budget = Budget { limit: Bytes(9), used: Bytes(7) };
        let tell = tokio::spawn(Machine::open("here".into()).tell(events, move || Some(budget)));
        for second in 0..3 {
            let (at, Event::Sample(sample)) = told.recv().await.unwrap() else {
                panic!("a sample is all it tells")
            };
            assert_eq!(at, UNIX_EPOCH + Duration::from_secs(second));
            assert_eq!((sample.node.as_str(), sample.budget), ("here", Some(budget)));
            assert!(sample.record["memory_available_bytes"].as_u64().unwrap() > 0);
        }
        tell.abort();
    }

    #[test]
    fn the_first_record_introduces_the_machine_and_all_have_its_memory_and_the_time_given() {
        let mut machine = Machine::open("here".into());
        let now = UNIX_EPOCH + Duration::from_secs(1_795_583_854);
        let (first, second) = (machine.sample(now), machine.sample(now));
        assert_eq!(
            (first.record["record"].as_str(), second.record["record"].as_str()),
            (Some("start"), Some("report"))
        );
        assert!(first.record.contains_key("kernel") && !second.record.contains_key("kernel"));
        for sample in [first, second] {
            assert_eq!(sample.node, "here");
            assert!(sample.record["memory_total_bytes"].as_u64().unwrap() > 0);
            assert_eq!(sample.record["time"].as_str(), Some("2026-11-25T05:17:34.000Z"));
            assert!(sample.budget.is_none());
        }
    }
}
