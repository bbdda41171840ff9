//! This machine as a node: what it has before a run, and its samples each second, as `workload node` makes them elsewhere.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::unistd::geteuid;
use serde_json::{Map, Value};
use tokio::time::{MissedTickBehavior, interval};
use workload::app::NodeSampler;
use workload::clock::monotonic_ns;
use workload::host::Host;
use workload::host::limits::{self, LimitReading, LimitReports, Rights};
use workload::host::parse::kilobytes;
use workload::quantity::Bytes;
use workload::report::{Format, NodeReport, NodeStart, Record, Writer};

use super::{Budget, Event, Events, NodeReading, NodeRecord};
use ramp_format::preflight::{Finding, LimitFacts};

/// What this machine has before a run.
#[derive(Clone, Debug)]
pub(crate) struct MachineFacts {
    /// Hostname, kernel release, CPUs and page size.
    pub(crate) start: NodeStart,
    /// Memory that can be had without swapping, within the limits of the cgroups of this process.
    pub(crate) available: Option<Bytes>,
    pub(crate) swap: Option<Bytes>,
    /// All of its memory, or the limit of the cgroups of this process where that is lower: what a load takes a share of.
    pub(crate) memory: Option<Bytes>,
    /// All memory that the kernel manages (`MemTotal`).
    pub(crate) total: Option<Bytes>,
    /// `MemAvailable`, whatever the limits of this process are.
    pub(crate) total_available: Option<Bytes>,
}

impl MachineFacts {
    pub(crate) fn read() -> Self {
        let root = Path::new("/");
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let bytes = |key| kilobytes(&meminfo, key).map(Bytes);
        let host = Host::discover(root);
        let memory = host.read().memory;
        let limit = memory.limit.limit.value();
        Self {
            start: NodeSampler::open(root, Vec::new(), monotonic_ns()).start().clone(),
            available: bytes("MemAvailable").into_iter().chain(memory.headroom).min(),
            swap: bytes("SwapTotal"),
            memory: bytes("MemTotal").into_iter().chain(limit).min(),
            total: bytes("MemTotal"),
            total_available: bytes("MemAvailable"),
        }
    }

    /// The budget of all instances where none is given: a quarter of the available memory.
    pub(crate) fn default_budget(&self) -> Option<Bytes> {
        self.available.map(|available| Bytes(available.0 / 4))
    }

    /// Findings about its memory.
    pub(crate) fn findings(&self, budget: Bytes) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(available) = self.available.filter(|available| *available < budget) {
            findings.push(Finding::refusal(format!(
                "{} of memory are available, less than the budget of all instances, {} (free memory, or pass a smaller \
                 --budget)",
                available.rounded(),
                budget.rounded()
            )));
        }
        if let Some(swap) = self.swap.filter(|swap| swap.0 > 0) {
            findings.push(Finding::warning(format!(
                "{} of swap are on: the kernel may swap memory out to make room, so that more instances fit than in memory \
                 alone (swapoff -a)",
                swap.rounded()
            )));
        }
        findings
    }
}

/// The rights of this process to read limits.
fn rights() -> Rights {
    Rights { all_processes: geteuid().is_root() }
}

/// A reading as a record by the columns of `limits.csv`; none of the cgroup of pods, which are of another engine.
fn limit_record(
    reading: &LimitReading,
    now: SystemTime,
    boot_id: Option<&str>,
) -> Option<Map<String, Value>> {
    // The line was written by the same library: it is an object.
    (reading.scope != "pods").then(|| serde_json::from_str(&reading.line(now, boot_id)).unwrap_or_default())
}

/// The limits of this machine before a run, under the name of a node.
pub(crate) fn limit_facts(node: &str) -> Vec<LimitFacts> {
    let is_own = |reading: &LimitReading| reading.scope != "pods" && !reading.scope.starts_with('/');
    let fact = |reading: LimitReading| LimitFacts {
        node: node.to_owned(),
        boot_id: None,
        resource: reading.resource.to_owned(),
        scope: reading.scope,
        limit: reading.limit,
        used: reading.used,
        source: reading.source,
    };
    limits::records(Path::new("/"), rights()).into_iter().filter(is_own).map(fact).collect()
}

/// As `workload node` does.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// The sampler of this machine, under the name of a node.
pub(crate) struct Machine {
    node: String,
    machine: NodeSampler,
    writer: Writer,
    limits: LimitReports,
    begun: bool,
}

impl Machine {
    /// Opens the files of /proc.
    pub(crate) fn open(node: String) -> Self {
        let machine = NodeSampler::open(Path::new("/"), Vec::new(), monotonic_ns());
        let limits = LimitReports::new(Path::new("/"), rights());
        Self { node, machine, writer: Writer::new(Format::Json), limits, begun: false }
    }

    /// Takes a sample. The first record also has what does not change.
    pub(crate) fn sample(&mut self, now: SystemTime) -> NodeReading {
        let record = if self.begun { Record::Report } else { Record::Start };
        self.begun = true;
        let snapshot = self.machine.snapshot(record, now, 0);
        let line = self.writer.render::<NodeReport>(&snapshot).unwrap_or_default();
        // The line was written by the same library: it is an object.
        let record: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
        NodeReading { node: self.node.clone(), record, budget: None }
    }

    /// Sends a sample each second, on an absolute schedule, until the receiver is gone; a late one is skipped. `budget` is that of
    /// all instances, where they have one.
    pub(crate) async fn tell(mut self, events: Events, budget: impl Fn() -> Option<Budget>) {
        let mut beat = interval(SAMPLE_EVERY);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !events.is_closed() {
            beat.tick().await;
            let sample = NodeReading { budget: budget(), ..self.sample(events.clock().now()) };
            events.send(Event::Sample(sample)).await;
            for record in self.due_limits(events.clock().now()) {
                events.send(Event::Limit(NodeRecord { node: self.node.clone(), record })).await;
            }
        }
    }

    fn due_limits(&mut self, now: SystemTime) -> Vec<Map<String, Value>> {
        let boot_id = self.machine.boot_id();
        let due = self.limits.due(monotonic_ns());
        due.iter().filter_map(|reading| limit_record(reading, now, boot_id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::clock::Clock;

    #[tokio::test(start_paused = true)]
    async fn samples_come_each_second_with_the_budget_beside_them() {
        let (events, mut told) = Events::channel(Clock::simulated(UNIX_EPOCH));
        let budget = Budget { limit: Bytes(9), used: Bytes(7) };
        let tell = tokio::spawn(Machine::open("here".into()).tell(events, move || Some(budget)));
        for second in 0..3 {
            let (at, sample) = loop {
                match told.recv().await.unwrap() {
                    (at, Event::Sample(sample)) => break (at, sample),
                    (_, Event::Limit(limit)) => assert_eq!(limit.record["record"], "limit"),
                    (_, other) => panic!("{other:?}"),
                }
            };
            assert_eq!(at.wall, UNIX_EPOCH + Duration::from_secs(second));
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

    #[test]
    fn less_memory_than_the_budget_is_refused_and_swap_is_told() {
        let facts =
            MachineFacts { available: Some(Bytes(1_000)), swap: Some(Bytes(0)), ..MachineFacts::read() };
        assert_eq!(facts.findings(Bytes(1_000)), []);
        let found = MachineFacts { swap: Some(Bytes(5)), ..facts.clone() }.findings(Bytes(1_001));
        assert_eq!(found.iter().map(|finding| finding.refuses).collect::<Vec<_>>(), [true, false]);
        let nothing_known = MachineFacts { available: None, swap: None, ..facts };
        assert_eq!(nothing_known.findings(Bytes(u64::MAX)), []);
        assert_eq!(nothing_known.default_budget(), None);
    }
}
