//! Sandboxes of pods: when a condition says that one is ready.

use std::collections::HashSet;
use std::time::SystemTime;

use super::object::{PodObject, time};
use crate::engine::{Event, Events, Notice, NoticeKind};

/// The condition from Kubernetes 1.29 on, and before that, where its feature gate is on.
const CONDITIONS: [&str; 2] = ["PodReadyToStartContainers", "PodHasNetwork"];

/// A condition that is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SandboxCondition {
    uid: String,
    name: String,
    kind: &'static str,
    /// Since when, in whole seconds.
    since: Option<SystemTime>,
}

impl SandboxCondition {
    /// That of a pod, if it has one that is true.
    pub(super) fn of(pod: &PodObject) -> Option<Self> {
        let all = pod.status.conditions.as_deref()?.iter().filter(|condition| condition.status == "True");
        let mut all = all.filter_map(|found| {
            let kind = CONDITIONS.into_iter().find(|kind| *kind == found.kind)?;
            Some((kind, found.last_transition_time.as_ref().map(time)))
        });
        let (kind, since) = all.next()?;
        Some(Self { uid: pod.metadata.uid.clone()?, name: pod.metadata.name.clone()?, kind, since })
    }
}

/// Pods whose sandbox was ready before: each is told once.
pub(super) struct Sandboxes {
    events: Events,
    told: HashSet<String>,
}

impl Sandboxes {
    pub(super) fn new(events: Events) -> Self {
        Self { events, told: HashSet::new() }
    }

    pub(super) async fn seen(&mut self, condition: Option<SandboxCondition>) {
        let Some(SandboxCondition { uid, name, kind, since }) = condition else { return };
        if self.told.insert(uid) {
            let notice =
                Notice::new(NoticeKind::Cluster, format!("pod/{name}"), kind, "condition of the pod is True");
            self.events.send(Event::Notice(Notice { at: since, ..notice })).await;
        }
    }

    pub(super) fn gone(&mut self, pod: &PodObject) {
        if let Some(uid) = &pod.metadata.uid {
            self.told.remove(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn the_condition_is_told_once_of_each_pod_when_it_turns_true() {
        let pod = |status: &str, kind: &str| -> PodObject {
            serde_json::from_value(json!({
                "metadata": {"name": "load-1", "uid": "1"},
                "status": {"conditions": [
                    {"type": "PodScheduled", "status": "True"},
                    {"type": kind, "status": status, "lastTransitionTime": "2026-11-25T04:00:09Z"}]}}))
            .unwrap()
        };
        let (events, mut told) = Events::channel(Clock::system());
        let mut sandboxes = Sandboxes::new(events);
        for (status, kind) in [
            ("False", "PodReadyToStartContainers"),
            ("True", "Ready"),
            ("True", "PodReadyToStartContainers"),
            ("True", "PodReadyToStartContainers"),
        ] {
            sandboxes.seen(SandboxCondition::of(&pod(status, kind))).await;
        }
        sandboxes.gone(&pod("True", "PodHasNetwork"));
        sandboxes.seen(SandboxCondition::of(&pod("True", "PodHasNetwork"))).await;
        drop(sandboxes);
        let mut found = Vec::new();
        while let Some((_, Event::Notice(notice))) = told.recv().await {
            assert_eq!(notice.at, humantime::parse_rfc3339("2026-11-25T04:00:09Z").ok());
            found.push((notice.object, notice.reason));
        }
        let expected =
            ["PodReadyToStartContainers", "PodHasNetwork"].map(|kind| ("pod/load-1".into(), kind.into()));
        assert_eq!(found, expected);
    }
}
