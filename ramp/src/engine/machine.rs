//! This machine as a node: read in this process, each second, as `workload node` reads it elsewhere.

use std::path::Path;
use std::time::SystemTime;

use serde_json::{Map, Value};
use workload::clock::monotonic_ns;
use workload::report::{Format, NodeReport, Record, Writer};
use workload::run::NodeSampler;

use super::Sample;

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
    pub(crate) fn sample(&mut self, now: SystemTime) -> Sample {
        let record = if self.begun { Record::Report } else { Record::Start };
        self.begun = true;
        let snapshot = self.machine.snapshot(record, now, 0);
        let line = self.writer.render::<NodeReport>(&snapshot).unwrap_or_default();
        // Written by the same library, it is an object.
        let record: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
        Sample { node: self.node.clone(), record, budget: None }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

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
