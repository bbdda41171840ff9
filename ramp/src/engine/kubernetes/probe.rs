//! Samples of the nodes: one followed log per pod of the node probe.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures::{AsyncBufRead, AsyncBufReadExt};
use kube::Api;
use kube::api::LogParams;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::object::PodObject;
use super::request::{RequestError, within};
use crate::backoff::Backoff;
use crate::engine::outage::Outage;
use crate::engine::{Event, Events, NodeReading, NodeRecord};

/// A probe reports every second. After this time without a line the stream is considered dead: a followed log may fall
/// silent for good after rotation.
const SILENCE: Duration = Duration::from_secs(5);

/// Records remembered, so that a new stream does not report them twice.
const REMEMBERED: usize = 256;

/// Extra seconds requested of a log beyond the time since the last line: clocks and roundings differ.
const OVERLAP_SECONDS: u64 = 2;

/// A pod of the node probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProbePod {
    pub(super) node: String,
    pub(super) name: String,
    /// Its container that samples the node.
    pub(super) container: String,
    /// Another one follows.
    pub(super) terminating: bool,
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
    api: Api<PodObject>,
    events: Events,
    pods: HashMap<String, watch::Sender<Option<Log>>>,
    streams: JoinSet<()>,
}

impl Probes {
    pub(super) fn new(api: Api<PodObject>, events: Events) -> Self {
        Self { api, events, pods: HashMap::new(), streams: JoinSet::new() }
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
            let stream = Stream::of(&probe.node, self.api.clone(), self.events.clone());
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
    known_limits: RecentRecords,
}

/// The kind of a record about a limit of the node.
pub(super) const LIMIT: &str = "limit";

impl Stream {
    fn of(node: &str, api: Api<PodObject>, events: Events) -> Self {
        Self {
            node: node.to_owned(),
            api,
            gap: Outage::of(format!("probe/{node}"), events.clone()),
            events,
            pauses: Backoff::new(Duration::from_millis(500), Duration::from_secs(10)),
            line_at: Instant::now(),
            has_read: false,
            known: RecentRecords::default(),
            known_limits: RecentRecords::default(),
        }
    }

    async fn follow(mut self, mut pod: watch::Receiver<Option<Log>>) {
        let mut trouble = String::from("no pod of the probe");
        loop {
            let log = pod.borrow_and_update().clone();
            let silent_at = self.line_at + SILENCE;
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
            if self.line_at.elapsed() >= SILENCE {
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
        match within(SILENCE, self.api.log_stream(pod, &wanted)).await {
            Ok(log) => self.lines(log).await,
            Err(trouble @ RequestError::Silence(_)) => format!("log of {pod}: {}", trouble.message()),
            Err(trouble) => trouble.message(),
        }
    }

    /// The last line at first, later everything missed.
    fn wanted(&self, container: &str) -> LogParams {
        let missed = self.line_at.elapsed().as_secs().saturating_add(1 + OVERLAP_SECONDS);
        let since_seconds = self.has_read.then(|| i64::try_from(missed).unwrap_or(i64::MAX));
        let tail_lines = if self.has_read { None } else { Some(1) };
        let container = Some(container.to_owned());
        LogParams { follow: true, container, since_seconds, tail_lines, ..LogParams::default() }
    }

    async fn lines(&mut self, log: impl AsyncBufRead) -> String {
        let mut log = std::pin::pin!(log);
        let mut line = Vec::new();
        loop {
            line.clear();
            match timeout(SILENCE, log.read_until(b'\n', &mut line)).await {
                Err(_) => return format!("the log is silent for {} s", SILENCE.as_secs()),
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
        if record.get("record").and_then(Value::as_str) == Some(LIMIT) {
            if self.known_limits.is_news(&record) {
                let node = self.node.clone();
                self.events.send(Event::Limit(NodeRecord { node, record })).await;
            }
        } else if self.known.is_news(&record) {
            let node = self.node.clone();
            self.events.send(Event::Sample(NodeReading { node, record, budget: None })).await;
        }
    }
}

/// A line of a log as a record, if it is one.
pub(super) fn record(line: &[u8]) -> Option<Map<String, Value>> {
    serde_json::from_slice(line).ok()
}

/// The times of the last records; of a limit the time and what it is of.
///
/// Equal times are the same record. An earlier time is not an old record: a node's clock may be set back.
#[derive(Default)]
struct RecentRecords {
    times: VecDeque<String>,
}

impl RecentRecords {
    /// Whether a record is new; it is remembered.
    fn is_news(&mut self, record: &Map<String, Value>) -> bool {
        let text = |field: &str| record.get(field).and_then(Value::as_str);
        let Some(time) = text("time") else { return true };
        let of = ["resource", "scope", "source"].map(|field| text(field).unwrap_or_default());
        let time = format!("{time} {}", of.join(" "));
        if self.times.iter().rev().any(|known| *known == time) {
            return false;
        }
        if self.times.len() == REMEMBERED {
            self.times.pop_front();
        }
        self.times.push_back(time);
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
        let mut stream = Stream::of("node-0", api, events);
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
        let mut known = RecentRecords::default();
        assert!(known.is_news(&at("2026-11-25T04:00:01.000Z")));
        assert!(known.is_news(&at("2026-11-25T04:00:02.000Z")));
        assert!(!known.is_news(&at("2026-11-25T04:00:01.000Z")));
        assert!(known.is_news(&at("2026-11-25T03:59:59.000Z")), "the clock was set back");
        assert!(
            known.is_news(&Map::new()) && known.is_news(&Map::new()),
            "without a time nothing can be said"
        );
    }
}
