//! Events of the cluster: why a pod was evicted, not scheduled or not created.

use std::collections::{HashMap, VecDeque};

use super::object::{EventObject, time};
use super::watch::Sink;
use crate::engine::{Event, Events, Notice, NoticeKind, Obstacle};

/// Events whose counts are remembered. Each takes about 100 bytes.
const REMEMBERED: usize = 20_000;

/// An event with its UID.
pub(super) struct ClusterEvent {
    uid: String,
    notice: Notice,
}

/// Reports each event once, and again when its count rises. Those of the first list precede the run: their times are by
/// the cluster's clock, which may differ from ours.
pub(super) struct ClusterEvents {
    events: Events,
    /// The names of the run's Deployments.
    deployments: Vec<String>,
    has_listed: bool,
    told: SentEvents,
}

impl ClusterEvents {
    /// From now on.
    pub(super) fn new(events: Events, deployments: &[String]) -> Self {
        Self { events, deployments: deployments.to_vec(), has_listed: false, told: SentEvents::default() }
    }

    async fn tell(&mut self, happening: ClusterEvent) {
        let count = happening.notice.count.unwrap_or(1);
        if self.told.is_news(&happening.uid, count) && self.has_listed {
            let obstacle = obstacle(&happening.notice, &self.deployments);
            self.events.send(Event::Notice(happening.notice)).await;
            if let Some(obstacle) = obstacle {
                self.events.send(Event::Obstacle(obstacle)).await;
            }
        }
    }
}

impl Sink for ClusterEvents {
    type Object = EventObject;
    type Kept = ClusterEvent;

    fn keep(&self, event: &EventObject) -> Option<ClusterEvent> {
        Some(ClusterEvent { uid: event.metadata.uid.clone().unwrap_or_default(), notice: notice(event) })
    }

    async fn all(&mut self, cluster_events: Vec<ClusterEvent>) {
        for happening in cluster_events {
            self.tell(happening).await;
        }
        self.has_listed = true;
    }

    async fn changed(&mut self, happening: ClusterEvent) {
        self.tell(happening).await;
    }

    async fn deleted(&mut self, _: &EventObject) {}
}

/// An event as recorded in the run directory.
fn notice(event: &EventObject) -> Notice {
    let series = event.series.as_ref();
    let metadata = &event.metadata;
    let at = (series.and_then(|series| series.last_observed_time.as_ref()).map(|at| at.0.into()))
        .or(event.last_timestamp.as_ref().map(time))
        .or(event.event_time.as_ref().map(|at| at.0.into()))
        .or(event.first_timestamp.as_ref().map(time))
        .or(metadata.creation_timestamp.as_ref().map(time));
    let kind = event.involved_object.kind.as_deref().unwrap_or_default().to_lowercase();
    let name = event.involved_object.name.as_deref().unwrap_or_default();
    Notice {
        kind: NoticeKind::Cluster,
        at,
        object: format!("{kind}/{name}"),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
        count: series.and_then(|series| series.count).or(event.count),
    }
}

/// What an event tells that the status of no pod does: a pod was not created, or waits without a reason.
fn obstacle(notice: &Notice, deployments: &[String]) -> Option<Obstacle> {
    let (kind, name) = notice.object.split_once('/')?;
    let is_of = |replica_set: &str| {
        let hash = |name: &String| replica_set.strip_prefix(name.as_str())?.strip_prefix('-');
        deployments.iter().filter_map(hash).any(|hash| !hash.contains('-'))
    };
    let instance = match (kind, notice.reason.as_str()) {
        ("replicaset", "FailedCreate") if is_of(name) => None,
        ("deployment", "ReplicaSetCreateError") if deployments.iter().any(|own| own == name) => None,
        ("pod", "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox") => Some(name.to_owned()),
        // Of a liveness probe the restarts tell.
        ("pod", "Unhealthy") if !notice.message.starts_with("Liveness") => Some(name.to_owned()),
        _ => return None,
    };
    let message = notice.message.trim_start_matches("(combined from similar events): ");
    Some(Obstacle { instance, reason: format!("{}: {message}", notice.reason) })
}

/// Events already reported; the oldest are forgotten first.
#[derive(Default)]
struct SentEvents {
    counts: HashMap<String, u32>,
    order: VecDeque<String>,
}

impl SentEvents {
    /// Whether an event with this count is new; it is recorded as reported.
    fn is_news(&mut self, uid: &str, count: u32) -> bool {
        if let Some(told) = self.counts.get_mut(uid) {
            return std::mem::replace(told, count.max(*told)) < count;
        }
        if self.order.len() == REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
        }
        self.counts.insert(uid.to_owned(), count);
        self.order.push_back(uid.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::clock::Clock;

    const EVICTED: &str = r#"{
        "metadata": {"name": "memory-capacity-a.17", "namespace": "workload", "uid": "e1", "resourceVersion": "9",
            "creationTimestamp": "2026-11-25T04:00:00Z", "managedFields": [{"manager": "kubelet"}]},
        "involvedObject": {"kind": "Pod", "name": "memory-capacity-a", "namespace": "workload"},
        "reason": "Evicted", "message": "The node was low on resource: memory.", "source": {"component": "kubelet"},
        "firstTimestamp": "2026-11-25T04:00:00Z", "lastTimestamp": "2026-11-25T04:00:07Z", "count": 2,
        "type": "Warning", "eventTime": null}"#;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn an_event_is_told_with_its_object_its_last_time_and_its_count() {
        let expected = Notice {
            kind: NoticeKind::Cluster,
            at: Some(at("2026-11-25T04:00:07Z")),
            object: "pod/memory-capacity-a".into(),
            reason: "Evicted".into(),
            message: "The node was low on resource: memory.".into(),
            count: Some(2),
        };
        assert_eq!(notice(&serde_json::from_str(EVICTED).unwrap()), expected);
    }

    #[test]
    fn an_event_of_the_newer_kind_has_its_time_and_count_in_a_series() {
        let event = r#"{"metadata": {"uid": "e2"}, "involvedObject": {"kind": "Pod", "name": "a"},
            "reason": "FailedScheduling", "eventTime": "2026-11-25T04:00:00.123456Z", "lastTimestamp": null,
            "series": {"count": 3, "lastObservedTime": "2026-11-25T04:00:09.500000Z"}}"#;
        let notice = notice(&serde_json::from_str(event).unwrap());
        assert_eq!(notice.at, Some(at("2026-11-25T04:00:09.5Z")));
        assert_eq!(notice.count, Some(3));
    }

    #[test]
    fn what_keeps_pods_from_being_created_or_started_is_an_obstacle() {
        let of = |object: &str, reason: &str| {
            obstacle(&Notice::new(NoticeKind::Cluster, object, reason, "why"), &["load".to_owned()])
                .map(|found| found.instance)
        };
        assert_eq!(of("replicaset/load-5d4f8c", "FailedCreate"), Some(None));
        assert_eq!(of("deployment/load", "ReplicaSetCreateError"), Some(None));
        assert_eq!(of("pod/load-5d4f8c-x", "FailedMount"), Some(Some("load-5d4f8c-x".into())));
        assert_eq!(of("pod/load-5d4f8c-x", "FailedCreatePodSandBox"), Some(Some("load-5d4f8c-x".into())));
        assert_eq!(of("pod/load-5d4f8c-x", "Unhealthy"), Some(Some("load-5d4f8c-x".into())));
        let liveness =
            Notice::new(NoticeKind::Cluster, "pod/load-5d4f8c-x", "Unhealthy", "Liveness probe failed");
        assert_eq!(obstacle(&liveness, &["load".to_owned()]), None);
        for (object, reason) in [
            ("replicaset/loader-5d4f8c", "FailedCreate"),
            ("replicaset/load-b-5d4f8c", "FailedCreate"),
            ("replicaset/load-5d4f8c", "SuccessfulCreate"),
            ("pod/load-5d4f8c-x", "FailedScheduling"),
        ] {
            assert_eq!(of(object, reason), None, "{object} {reason}");
        }
    }

    #[tokio::test]
    async fn what_was_before_the_run_is_not_told_and_the_rest_once_for_each_count() {
        let event: EventObject = serde_json::from_str(EVICTED).unwrap();
        let (events, mut told) = Events::channel(Clock::system());
        let mut cluster_events = ClusterEvents::new(events, &["load".to_owned()]);
        let before = cluster_events.keep(&EventObject { count: Some(1), ..event.clone() }).unwrap();
        cluster_events.all(vec![before]).await;
        for count in [1, 2, 2, 3, 3, 2] {
            let kept = cluster_events.keep(&EventObject { count: Some(count), ..event.clone() }).unwrap();
            cluster_events.changed(kept).await;
        }
        let again = cluster_events.keep(&EventObject { count: Some(4), ..event.clone() }).unwrap();
        cluster_events.all(vec![again]).await;
        drop(cluster_events);
        let mut counts = Vec::new();
        while let Some((_, Event::Notice(notice))) = told.recv().await {
            counts.extend(notice.count);
        }
        assert_eq!(counts, [2, 3, 4]);
    }

    #[test]
    fn the_oldest_events_are_forgotten_first_so_that_a_flood_takes_no_memory() {
        let mut told = SentEvents::default();
        for number in 0..=REMEMBERED {
            assert!(told.is_news(&number.to_string(), 1));
        }
        assert_eq!(told.counts.len(), REMEMBERED);
        assert!(!told.is_news(&REMEMBERED.to_string(), 1));
        assert!(told.is_news("0", 1));
    }
}
