//! Log polling: the queue of instances whose logs are read, and the records in them. Pure: the time is an argument.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::time::Instant;

use super::InstanceStatus;
use super::readiness::Readiness;
use crate::backoff::Backoff;
use ramp_format::state::State;

/// Time between two reads of logs: twenty a second, however many instances there are.
pub(crate) const BEAT: Duration = Duration::from_millis(50);
/// Concurrent reads, as an overloaded node answers late.
pub(crate) const AT_ONCE: usize = 8;
/// Longest line; a longer one is read in parts.
const LINE_BYTES: u64 = 64 << 10;

/// First and longest pause before a node whose kubelet serves no logs is asked again.
const REST: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(300));

/// A log to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRead {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) node: String,
    /// That of the previous container.
    pub(crate) previous: bool,
}

/// Outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    /// The log was read, with a report in it or without.
    Read,
    /// There is no such container; the node is not at fault.
    NoContainer,
    /// The node does not serve logs.
    NotServed,
}

#[derive(Debug)]
struct Pod {
    name: String,
    node: String,
    state: State,
    /// When it was read last; none for a new one, which comes first.
    read: Option<Instant>,
    being_read: bool,
    /// The container that ended last.
    ended: Option<String>,
    /// The last report of a container that has exited has to be read.
    last_words: bool,
    /// The `time` of the latest report.
    told: Option<String>,
}

/// A node that is not asked for a while.
struct NodeBackoff {
    pauses: Backoff,
    until: Instant,
}

/// Intervals between two reads of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogIntervals {
    /// While the instance runs and is not ready.
    pub(crate) running: Duration,
    /// While it is ready.
    pub(crate) ready: Duration,
}

impl Default for LogIntervals {
    /// A load reports every few seconds; more frequent reads would find the same report.
    fn default() -> Self {
        Self { running: Duration::from_secs(2), ready: Duration::from_secs(2) }
    }
}

impl LogIntervals {
    fn of(&self, state: State) -> Duration {
        if state == State::Ready { self.ready } else { self.running }
    }
}

/// The queue of instances whose logs are read.
#[derive(Default)]
pub(crate) struct LogQueue {
    intervals: LogIntervals,
    pods: HashMap<String, Pod>,
    rests: HashMap<String, NodeBackoff>,
}

impl LogQueue {
    /// A queue that observes readiness to a second; none where instances do not report.
    pub(crate) fn of(readiness: &Readiness) -> Option<Self> {
        const RUNNING: Duration = Duration::from_secs(1);
        let Readiness::Reported(every) = readiness else { return None };
        let intervals = LogIntervals { running: RUNNING, ready: RUNNING.max(*every) };
        Some(Self { intervals, ..Self::default() })
    }

    /// Takes the status of an instance.
    pub(crate) fn saw(&mut self, status: &InstanceStatus) {
        let Some(node) = status.node.as_ref().filter(|_| status.state != State::Gone) else {
            self.pods.remove(&status.uid);
            return;
        };
        let pod = self.pods.entry(status.uid.clone()).or_insert_with(|| Pod {
            name: status.name.clone(),
            node: node.clone(),
            state: State::Creating,
            read: None,
            being_read: false,
            ended: None,
            last_words: false,
            told: None,
        });
        if status.state != pod.state {
            pod.state = status.state;
            if pod.state.is_at_work() {
                pod.read = None;
            }
        }
        if let Some(end) = &status.end
            && pod.ended.as_ref() != Some(&end.container)
        {
            pod.ended = Some(end.container.clone());
            pod.last_words = true;
        }
        // A pod that its node has refused has no log.
        if status.over && pod.ended.is_none() && !pod.being_read {
            self.pods.remove(&status.uid);
        }
    }

    /// Takes the statuses of all instances.
    pub(crate) fn all(&mut self, statuses: &[InstanceStatus]) {
        let there: HashSet<&str> = statuses.iter().map(|status| status.uid.as_str()).collect();
        self.pods.retain(|uid, _| there.contains(uid.as_str()));
        for status in statuses {
            self.saw(status);
        }
    }

    /// The next log to read: first the last reports of containers that have exited, then by interval, then new ones, then the one read
    /// longest ago. It is being read until [`done`](Self::done).
    pub(crate) fn next(&mut self, now: Instant) -> Option<LogRead> {
        let (rests, intervals) = (&self.rests, &self.intervals);
        let is_due = |pod: &Pod| {
            let rested = |read| now >= read + intervals.of(pod.state);
            let works = pod.state.is_at_work() && pod.read.is_none_or(rested);
            !pod.being_read
                && (pod.last_words || works)
                && rests.get(&pod.node).is_none_or(|rest| now >= rest.until)
        };
        let due = self.pods.iter_mut().filter(|(_, pod)| is_due(pod));
        let (uid, pod) = due.min_by_key(|(_, pod)| (!pod.last_words, intervals.of(pod.state), pod.read))?;
        // A container that has exited and was not restarted is the current one.
        let previous = pod.last_words && pod.state.is_at_work();
        pod.being_read = true;
        if !pod.last_words {
            pod.read = Some(now);
        }
        pod.last_words = false;
        Some(LogRead { uid: uid.clone(), name: pod.name.clone(), node: pod.node.clone(), previous })
    }

    /// A read is over. Returns whether its node has just stopped serving logs, or serves them again.
    pub(crate) fn done(&mut self, turn: &LogRead, outcome: ReadOutcome, now: Instant) -> Option<NodeNews> {
        let pod = self.pods.get_mut(&turn.uid);
        let is_there = pod.is_some();
        if let Some(pod) = pod {
            pod.being_read = false;
        }
        match outcome {
            ReadOutcome::Read => self.rests.remove(&turn.node).map(|_| NodeNews::Serves),
            ReadOutcome::NoContainer => None,
            // An instance that is gone has no log on any node.
            ReadOutcome::NotServed if !is_there => None,
            ReadOutcome::NotServed => self.rest(&turn.node, now),
        }
    }

    /// Whether a report with this `time` is new. It is not the next time.
    pub(crate) fn is_news(&mut self, uid: &str, time: Option<&str>) -> bool {
        let Some(pod) = self.pods.get_mut(uid) else { return true };
        let is_news = time.is_none() || pod.told.as_deref() != time;
        pod.told = time.map(str::to_owned);
        is_news
    }

    fn rest(&mut self, node: &str, now: Instant) -> Option<NodeNews> {
        let is_new = !self.rests.contains_key(node);
        let rest = self
            .rests
            .entry(node.to_owned())
            .or_insert_with(|| NodeBackoff { pauses: Backoff::new(REST.0, REST.1), until: now });
        // Concurrent reads that fail together count once.
        if now >= rest.until {
            rest.until = now + rest.pauses.failed();
        }
        is_new.then_some(NodeNews::Rests)
    }
}

/// News of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeNews {
    /// It does not serve logs, and is not asked for a while.
    Rests,
    /// It serves logs again.
    Serves,
}

/// The record of the load in the last line of a log; none where that line is something else.
pub(crate) fn last_record(log: &[u8]) -> Option<Map<String, Value>> {
    let line = log.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty())?;
    let record: Map<String, Value> = serde_json::from_slice(line).ok()?;
    record.contains_key("record").then_some(record)
}

/// The time of a record.
pub(crate) fn record_time(record: &Map<String, Value>) -> Option<SystemTime> {
    humantime::parse_rfc3339(record.get("time")?.as_str()?).ok()
}

/// Lines of bounded length.
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn of(reader: R) -> Self {
        Self { reader: BufReader::new(reader), line: Vec::new() }
    }

    /// The next line; none at the end, or where it cannot be read.
    pub(crate) async fn next(&mut self) -> Option<&[u8]> {
        self.line.clear();
        let read = (&mut self.reader).take(LINE_BYTES).read_until(b'\n', &mut self.line).await.ok()?;
        (read > 0).then_some(&self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ContainerExit;

    fn pod(uid: &str, state: State) -> InstanceStatus {
        InstanceStatus {
            uid: uid.into(),
            name: format!("pod-{uid}"),
            node: Some(format!("node-of-{uid}")),
            state,
            since: None,
            reason: String::new(),
            restarts: 0,
            end: None,
            over: false,
            group: None,
        }
    }

    fn ended(instance_status: InstanceStatus, container: &str) -> InstanceStatus {
        let reason = String::new();
        let end = ContainerExit { container: container.into(), state: State::OomKilled, at: None, reason };
        InstanceStatus { end: Some(end), ..instance_status }
    }

    fn next(queue: &mut LogQueue, now: Instant) -> Option<String> {
        let turn = queue.next(now)?;
        queue.done(&turn, ReadOutcome::Read, now);
        Some(format!("{}{}", turn.uid, if turn.previous { " previous" } else { "" }))
    }

    #[test]
    fn the_new_come_first_then_whoever_was_read_longest_ago_and_nobody_more_often_than_it_reports() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut queue = LogQueue::default();
        queue.saw(&pod("a", State::Running));
        assert_eq!(next(&mut queue, start).as_deref(), Some("a"));
        assert_eq!(next(&mut queue, after(1)), None);
        queue.saw(&pod("b", State::Ready));
        assert_eq!(next(&mut queue, after(2)).as_deref(), Some("b"));
        assert_eq!(next(&mut queue, after(2)).as_deref(), Some("a"));
        assert_eq!(next(&mut queue, after(2)), None);
        queue.saw(&pod("a", State::Ready));
        assert_eq!(next(&mut queue, after(3)).as_deref(), Some("a"), "it has become ready");
        assert_eq!(next(&mut queue, after(9)).as_deref(), Some("b"));
        queue.saw(&pod("b", State::Terminating));
        queue.saw(&pod("a", State::Gone));
        assert_eq!(next(&mut queue, after(20)), None);
    }

    #[test]
    fn the_last_report_of_a_container_that_has_ended_is_read_once() {
        let start = Instant::now();
        let mut queue = LogQueue::default();
        queue.saw(&ended(pod("a", State::OomKilled), "1"));
        assert_eq!(next(&mut queue, start).as_deref(), Some("a"), "not started again: its present log");
        assert_eq!(next(&mut queue, start), None);
        queue.saw(&ended(pod("a", State::Running), "2"));
        assert_eq!(next(&mut queue, start).as_deref(), Some("a previous"));
        assert_eq!(next(&mut queue, start).as_deref(), Some("a"));
        queue.saw(&ended(pod("a", State::Running), "2"));
        assert_eq!(next(&mut queue, start), None);
    }

    #[test]
    fn whoever_is_being_read_is_not_read_twice() {
        let start = Instant::now();
        let mut queue = LogQueue::default();
        queue.saw(&pod("a", State::Ready));
        let turn = queue.next(start).unwrap();
        assert!(queue.next(start + Duration::from_secs(60)).is_none());
        queue.done(&turn, ReadOutcome::NoContainer, start);
        assert!(queue.next(start + Duration::from_secs(60)).is_some());
    }

    #[test]
    fn a_node_that_serves_no_logs_is_left_alone_for_a_growing_time() {
        let mut now = Instant::now();
        let mut queue = LogQueue::default();
        queue.saw(&pod("a", State::Ready));
        let mut pauses = Vec::new();
        let mut news = Vec::new();
        for _ in 0..7 {
            let asked = now;
            let turn = loop {
                if let Some(turn) = queue.next(now) {
                    break turn;
                }
                now += Duration::from_secs(1);
            };
            pauses.push((now - asked).as_secs());
            news.push(queue.done(&turn, ReadOutcome::NotServed, now));
        }
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300]);
        assert_eq!(news[..2], [Some(NodeNews::Rests), None]);
        now += Duration::from_secs(300);
        let turn = queue.next(now).unwrap();
        assert_eq!(queue.done(&turn, ReadOutcome::Read, now), Some(NodeNews::Serves));
    }

    #[test]
    fn a_pod_that_went_meanwhile_says_nothing_of_its_node() {
        let now = Instant::now();
        let mut queue = LogQueue::default();
        queue.saw(&pod("a", State::Ready));
        let turn = queue.next(now).unwrap();
        queue.all(&[pod("b", State::Ready)]);
        assert_eq!(queue.done(&turn, ReadOutcome::NotServed, now), None);
        assert_eq!(next(&mut queue, now).as_deref(), Some("b"));
    }

    #[test]
    fn pods_that_nodes_have_refused_are_not_kept_though_they_still_exist() {
        let mut queue = LogQueue::default();
        for number in 0..1000 {
            queue.saw(&pod(&number.to_string(), State::Creating));
            queue.saw(&InstanceStatus { over: true, ..pod(&number.to_string(), State::Failed) });
        }
        assert_eq!(queue.pods.len(), 0);
    }

    #[test]
    fn the_same_report_is_told_once() {
        let mut queue = LogQueue::default();
        queue.saw(&pod("a", State::Ready));
        assert!(queue.is_news("a", Some("12:00:00")));
        assert!(!queue.is_news("a", Some("12:00:00")));
        assert!(queue.is_news("a", Some("12:00:05")));
    }

    #[test]
    fn those_with_the_shorter_interval_go_first_and_nobody_too_often() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut queue = LogQueue::of(&Readiness::Reported(Duration::from_secs(5))).unwrap();
        queue.saw(&pod("a", State::Ready));
        queue.saw(&pod("b", State::Running));
        queue.saw(&pod("c", State::Creating));
        assert_eq!(next(&mut queue, start).as_deref(), Some("b"), "it is not ready");
        assert_eq!(next(&mut queue, start).as_deref(), Some("a"));
        assert_eq!(next(&mut queue, after(1)).as_deref(), Some("b"));
        assert_eq!(next(&mut queue, after(1)), None);
        assert_eq!(next(&mut queue, after(5)).as_deref(), Some("b"));
        assert_eq!(next(&mut queue, after(5)).as_deref(), Some("a"));
    }

    #[test]
    fn the_last_whole_line_of_a_log_is_a_record_or_nothing_is() {
        assert!(
            last_record(b"").is_none()
                && last_record(b"started\n").is_none()
                && last_record(b"{\"a\":1}\n").is_none()
        );
        let last = last_record(
            b"{\"record\":\"start\"}\n{\"record\":\"end\",\"time\":\"2026-11-25T05:17:37.272Z\"}\n",
        )
        .unwrap();
        assert_eq!(last["record"], "end");
        assert!(record_time(&last).is_some() && record_time(&Map::new()).is_none());
    }

    #[tokio::test]
    async fn lines_are_cut_and_never_grow_without_bound() {
        let text = [&[b'a'; 100_000][..], b"\nb\nc"].concat();
        let mut lines = Lines::of(&text[..]);
        let mut lengths = Vec::new();
        while let Some(line) = lines.next().await {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [65_536, 100_001 - 65_536, 2, 1]);
    }
}
