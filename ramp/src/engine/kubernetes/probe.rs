//! Samples of the nodes and of components: one followed log per pod of the node probe and of the component probe.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use kube::Api;
use kube::api::LogParams;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::manifest::own_container;
use super::object::PodObject;
use super::request::{RequestError, within};
use crate::backoff::Backoff;
use crate::engine::outage::Outage;
use crate::engine::{Event, Events, NodeReading, NodeRecord};

/// Time limit for the beginning of an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Extra seconds requested of a log beyond the time since the last line: clocks and roundings differ.
const OVERLAP_SECONDS: u64 = 2;

/// Which probe it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeKind {
    /// `workload node`.
    Node,
    /// `workload components`.
    Components,
}

impl ProbeKind {
    /// After this time without a line the stream is considered dead: a followed log may fall silent for good after rotation.
    fn silence(self) -> Duration {
        match self {
            // It reports every second.
            Self::Node => Duration::from_secs(5),
            // The more there is to read, the rarer it reports: 0.9 s of CPU time is the size of some 35 GiB.
            Self::Components => Duration::from_secs(180),
        }
    }

    /// Records remembered, so that a new stream does not report them twice.
    fn remembered(self) -> usize {
        match self {
            Self::Node => 1 << 10,
            Self::Components => 1 << 14,
        }
    }

    /// Lines requested of a log that has not been read before. Of the component probe the last one would be part of a sample.
    fn first_lines(self) -> i64 {
        match self {
            Self::Node => 1,
            Self::Components => 0,
        }
    }

    /// The name of a stream in notices of gaps.
    fn object(self, node: &str) -> String {
        match self {
            Self::Node => format!("probe/{node}"),
            Self::Components => format!("probe/components/{node}"),
        }
    }

    /// What a record tells.
    fn event(self, node: String, record: Map<String, Value>) -> Option<Event> {
        match (record.get("record").and_then(Value::as_str), self) {
            (Some(LIMIT), _) => Some(Event::Limit(NodeRecord { node, record })),
            (Some("component"), _) => Some(Event::Component(NodeRecord { node, record })),
            (_, Self::Node) => Some(Event::Sample(NodeReading { node, record, budget: None })),
            // The first and the last record.
            (_, Self::Components) => None,
        }
    }
}

/// A pod of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProbePod {
    pub(super) node: String,
    pub(super) name: String,
    /// Its container that samples the node.
    pub(super) container: String,
    /// Another one follows.
    pub(super) terminating: bool,
}

impl ProbePod {
    /// None where it is on no node yet.
    pub(super) fn of(pod: &PodObject) -> Option<Self> {
        let containers = pod.spec.containers.iter().map(|container| container.name.as_str());
        Some(Self {
            node: pod.spec.node_name.clone()?,
            name: pod.metadata.name.clone()?,
            container: own_container(containers).unwrap_or_default().to_owned(),
            terminating: pod.metadata.deletion_timestamp.is_some(),
        })
    }
}

/// The log of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Log {
    pod: String,
    container: String,
}

/// One stream per node.
///
/// # Guarantees
/// A stream continues, and is resumed, whether or not the watch of pods works.
pub(super) struct Probes {
    kind: ProbeKind,
    api: Api<PodObject>,
    events: Events,
    pods: HashMap<String, watch::Sender<Option<Log>>>,
    streams: JoinSet<()>,
}

impl Probes {
    pub(super) fn new(kind: ProbeKind, api: Api<PodObject>, events: Events) -> Self {
        Self { kind, api, events, pods: HashMap::new(), streams: JoinSet::new() }
    }

    /// All that exist.
    pub(super) fn all(&mut self, probes: &[ProbePod]) {
        for (node, pod) in &self.pods {
            let is_there =
                |log: &Log| probes.iter().any(|probe| &probe.node == node && probe.name == log.pod);
            pod.send_if_modified(|pod| pod.take_if(|log| !is_there(log)).is_some());
        }
        for probe in probes {
            self.seen(probe);
        }
    }

    /// One exists.
    pub(super) fn seen(&mut self, probe: &ProbePod) {
        if probe.terminating {
            return;
        }
        let pod = self.pods.entry(probe.node.clone()).or_insert_with(|| {
            let (sender, receiver) = watch::channel(None);
            let stream = Stream::of(self.kind, &probe.node, self.api.clone(), self.events.clone());
            self.streams.spawn(stream.follow(receiver));
            sender
        });
        let log = Log { pod: probe.name.clone(), container: probe.container.clone() };
        pod.send_if_modified(|pod| pod.replace(log.clone()).as_ref() != Some(&log));
    }

    /// One was deleted.
    pub(super) fn gone(&mut self, probe: &ProbePod) {
        if let Some(pod) = self.pods.get(&probe.node) {
            pod.send_if_modified(|pod| pod.take_if(|log| log.pod == probe.name).is_some());
        }
    }
}

/// The records of one node.
struct Stream {
    kind: ProbeKind,
    node: String,
    api: Api<PodObject>,
    events: Events,
    gap: Outage,
    pauses: Backoff,
    /// Time of the last line; at first, of the start.
    line_at: Instant,
    /// Whether this pod has sent a line.
    has_read: bool,
    known: RecentRecords,
}

/// The kind of a record about a limit of the node.
pub(super) const LIMIT: &str = "limit";

impl Stream {
    fn of(kind: ProbeKind, node: &str, api: Api<PodObject>, events: Events) -> Self {
        Self {
            kind,
            node: node.to_owned(),
            api,
            gap: Outage::of(kind.object(node), events.clone()),
            events,
            pauses: Backoff::new(Duration::from_millis(500), Duration::from_secs(10)),
            line_at: Instant::now(),
            has_read: false,
            known: RecentRecords::of(kind.remembered()),
        }
    }

    async fn follow(mut self, mut pod: watch::Receiver<Option<Log>>) {
        let mut trouble = String::from("no pod of the probe");
        loop {
            let log = pod.borrow_and_update().clone();
            let silent_at = self.line_at + self.kind.silence();
            let changed = tokio::select! {
                changed = pod.changed() => Some(changed),
                found = self.read(log.as_ref()) => { trouble = found; None }
                // A stream that is open detects silence itself.
                () = sleep_until(silent_at), if log.is_none() && !self.gap.is_open() => None,
            };
            match changed {
                Some(Ok(())) => {
                    self.has_read = false;
                    self.pauses.succeeded();
                    continue;
                }
                Some(Err(_)) => return,
                None => {}
            }
            if self.line_at.elapsed() >= self.kind.silence() {
                self.gap.begins(self.line_at, "NoData", trouble.clone()).await;
            }
            if log.is_some() {
                tokio::select! {
                    _ = pod.changed() => self.has_read = false,
                    () = sleep(self.pauses.failed()) => {}
                }
            }
        }
    }

    /// Reads a log until it ends, and returns why; waits forever without one.
    async fn read(&mut self, log: Option<&Log>) -> String {
        let Some(Log { pod, container }) = log else { return std::future::pending().await };
        let wanted = self.wanted(container);
        match within(ANSWER_LIMIT, self.api.log_stream(pod, &wanted)).await {
            Ok(log) => self.lines(log).await,
            Err(trouble @ RequestError::Silence(_)) => format!("log of {pod}: {}", trouble.message()),
            Err(trouble) => trouble.message(),
        }
    }

    /// The last line at first, or what is new; later everything missed.
    fn wanted(&self, container: &str) -> LogParams {
        let missed = self.line_at.elapsed().as_secs().saturating_add(1 + OVERLAP_SECONDS);
        let since_seconds = self.has_read.then(|| i64::try_from(missed).unwrap_or(i64::MAX));
        let tail_lines = (!self.has_read).then(|| self.kind.first_lines());
        let container = Some(container.to_owned());
        LogParams { follow: true, container, since_seconds, tail_lines, ..LogParams::default() }
    }

    async fn lines(&mut self, log: impl AsyncBufRead) -> String {
        let mut log = std::pin::pin!(log);
        let mut line = Vec::new();
        loop {
            line.clear();
            match timeout(self.kind.silence(), log.read_until(b'\n', &mut line)).await {
                Err(_) => return format!("the log is silent for {} s", self.kind.silence().as_secs()),
                Ok(Err(error)) => return format!("the log was cut off: {error}"),
                Ok(Ok(0)) => return "the log has ended".into(),
                Ok(Ok(_)) => self.line(&line).await,
            }
        }
    }

    async fn line(&mut self, line: &[u8]) {
        // The kubelet writes lines of its own into a log.
        let Some(record) = record(line) else { return };
        self.line_at = Instant::now();
        self.has_read = true;
        self.pauses.succeeded();
        self.gap.ends().await;
        if self.known.is_news(&record)
            && let Some(event) = self.kind.event(self.node.clone(), record)
        {
            self.events.send(event).await;
        }
    }
}

/// A line of a log as a record, if it is one.
pub(super) fn record(line: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(line).ok()
}

/// What identifies the last records: their times, and what they are about.
///
/// Equal times are the same record. An earlier time is not an old record: a node's clock may be set back.
struct RecentRecords {
    order: VecDeque<u64>,
    known: HashSet<u64>,
    capacity: usize,
}

impl RecentRecords {
    fn of(capacity: usize) -> Self {
        Self { order: VecDeque::new(), known: HashSet::new(), capacity }
    }

    /// Whether a record is new; it is remembered.
    fn is_news(&mut self, record: &Map<String, Value>) -> bool {
        /// All records of a sample have one time.
        const IDENTITY: [&str; 7] = ["time", "record", "pod_uid", "component", "resource", "scope", "source"];
        if record.get("time").and_then(Value::as_str).is_none() {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        for field in IDENTITY {
            record.get(field).and_then(Value::as_str).hash(&mut hasher);
        }
        let key = hasher.finish();
        if !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_passed_over() {
        assert!(record(b"rpc error: code = NotFound desc = an error occurred").is_none());
        assert!(record(b"failed to watch file \"/var/log/pods/a\": no space left on device\n").is_none());
        assert!(record(b"[1]").is_none() && record(b"").is_none() && record(b"{\"time\":").is_none());
        assert_eq!(record(b"{\"time\":\"t\"}\n").unwrap()["time"], "t");
    }

    #[tokio::test]
    async fn a_limit_is_told_apart_from_samples_and_once() {
        let (events, mut told) = Events::channel(crate::clock::Clock::system());
        let api = Api::namespaced(
            kube::Client::try_from(kube::Config::new("http://[::1]:1".parse().unwrap())).unwrap(),
            "a",
        );
        let mut stream = Stream::of(ProbeKind::Node, "node-0", api, events);
        let limit =
            |resource: &str| format!("{{\"record\":\"limit\",\"time\":\"t\",\"resource\":\"{resource}\"}}\n");
        for line in
            ["{\"record\":\"report\",\"time\":\"t\"}\n", &limit("pids"), &limit("keys"), &limit("pids")]
        {
            stream.line(line.as_bytes()).await;
        }
        drop(stream);
        let mut found = Vec::new();
        while let Some((_, event)) = told.recv().await {
            found.push(match event {
                Event::Sample(_) => "sample".to_owned(),
                Event::Limit(NodeRecord { record, .. }) => record["resource"].as_str().unwrap().to_owned(),
                event => panic!("{event:?}"),
            });
        }
        assert_eq!(found, ["sample", "pids", "keys"]);
    }

    #[test]
    fn a_record_that_a_new_stream_repeats_is_known_and_an_earlier_one_is_not() {
        let at = |time: &str| record(format!("{{\"time\":\"{time}\"}}").as_bytes()).unwrap();
        let mut known = RecentRecords::of(3);
        assert!(known.is_news(&at("2026-11-25T04:00:01.000Z")));
        assert!(known.is_news(&at("2026-11-25T04:00:02.000Z")));
        assert!(!known.is_news(&at("2026-11-25T04:00:01.000Z")));
        assert!(known.is_news(&at("2026-11-25T03:59:59.000Z")), "the clock was set back");
        assert!(known.is_news(&at("2026-11-25T04:00:03.000Z")));
        assert_eq!((known.order.len(), known.known.len()), (3, 3), "no more than that many");
        assert!(
            known.is_news(&Map::new()) && known.is_news(&Map::new()),
            "without a time nothing can be said"
        );
    }

    #[test]
    fn records_of_one_sample_have_one_time_and_are_all_new() {
        let of = |rest: &str| record(format!("{{\"time\":\"t\",{rest}}}").as_bytes()).unwrap();
        let mut known = RecentRecords::of(100);
        for rest in [
            r#""record":"component","pod_uid":"a","component":"pod""#,
            r#""record":"component","pod_uid":"a","component":"vmm""#,
            r#""record":"component","pod_uid":"b","component":"vmm""#,
            r#""record":"component","component":"kubelet""#,
            r#""record":"limit","resource":"pids","scope":"machine""#,
            r#""record":"limit","resource":"pids","scope":"pods""#,
            r#""record":"report""#,
        ] {
            assert!(known.is_news(&of(rest)) && !known.is_news(&of(rest)), "{rest}");
        }
    }

    #[test]
    fn each_record_is_the_event_that_it_says() {
        let event = |kind: ProbeKind, name: &str| {
            let event =
                kind.event("a".into(), record(format!("{{\"record\":\"{name}\"}}").as_bytes()).unwrap());
            match event {
                Some(Event::Sample(_)) => "sample",
                Some(Event::Component(_)) => "component",
                Some(Event::Limit(_)) => "limit",
                _ => "nothing",
            }
        };
        for (name, of_node, of_components) in [
            ("start", "sample", "nothing"),
            ("report", "sample", "nothing"),
            ("component", "component", "component"),
            ("limit", "limit", "limit"),
            ("end", "sample", "nothing"),
        ] {
            assert_eq!(event(ProbeKind::Node, name), of_node, "{name}");
            assert_eq!(event(ProbeKind::Components, name), of_components, "{name}");
        }
    }
}
