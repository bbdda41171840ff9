//! Relabelled pods: pods of the run whose labels or owner others have changed, which still run.

use std::collections::HashSet;
use std::time::Duration;

use kube::Api;

use super::object::PodObject;
use super::request::{optional, within};
use crate::engine::{Event, Events, Notice, RUN_LABEL};

/// Time limit of the request whether a pod still exists: changes are to be told within two seconds.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// Why a pod whose labels no longer match is gone for the run.
pub(super) const NOT_OBSERVED: &str =
    "its labels were changed by others: it still runs, but is not observed any more";

/// A change of a pod of the run by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PodChange {
    /// The label of the run was removed or changed.
    RunLabel,
    /// No controller owns it any more.
    Orphaned,
}

/// The pods of the run that are there, by uid: one that has lost the label of the run is still one of them.
pub(super) struct RelabelledPods {
    api: Api<PodObject>,
    events: Events,
    run: String,
    own: HashSet<String>,
    told: HashSet<(String, bool)>,
}

impl RelabelledPods {
    pub(super) fn new(api: Api<PodObject>, events: Events, run: &str) -> Self {
        Self { api, events, run: run.to_owned(), own: HashSet::new(), told: HashSet::new() }
    }

    /// Whether a pod is of the run: by its label, or because it was.
    pub(super) fn is_of_the_run(&self, pod: &PodObject) -> bool {
        self.has_label(pod) || pod.metadata.uid.as_ref().is_some_and(|uid| self.own.contains(uid))
    }

    fn has_label(&self, pod: &PodObject) -> bool {
        pod.label(RUN_LABEL) == Some(self.run.as_str())
    }

    /// What others have changed of a pod of the run.
    pub(super) fn change(&self, pod: &PodObject) -> Option<PodChange> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let mut owners = pod.metadata.owner_references.iter().flatten();
        match (self.has_label(pod), owners.any(|owner| owner.controller == Some(true))) {
            (false, _) => Some(PodChange::RunLabel),
            (true, false) => Some(PodChange::Orphaned),
            (true, true) => None,
        }
    }

    /// All that are there.
    pub(super) fn all<'a>(&mut self, uids: impl Iterator<Item = &'a str>) {
        self.own = uids.map(str::to_owned).collect();
        self.told.retain(|(uid, _)| self.own.contains(uid));
    }

    /// One was seen; a change of it is told once.
    pub(super) async fn seen(&mut self, uid: &str, name: &str, change: Option<PodChange>) {
        if !self.own.contains(uid) {
            self.own.insert(uid.to_owned());
        }
        let message = match change {
            None => return,
            Some(PodChange::RunLabel) => format!(
                "label {RUN_LABEL} removed or changed by others: this run still counts the pod, ramp clean does not find it"
            ),
            Some(PodChange::Orphaned) => {
                "no longer controlled by its ReplicaSet, as its labels or owner were changed by others: it still runs and \
                 counts, and another pod is created in its place"
                    .to_owned()
            }
        };
        if self.told.insert((uid.to_owned(), change == Some(PodChange::RunLabel))) {
            self.tell(name, message).await;
        }
    }

    /// One is gone from the watch. Why, if it still exists: a watch by a label also reports an object that has lost it as deleted.
    pub(super) async fn gone(&mut self, pod: &PodObject) -> Option<&'static str> {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        self.own.remove(&uid);
        self.told.retain(|(known, _)| *known != uid);
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let name = pod.metadata.name.as_deref()?;
        let found = optional(within(LOOK_LIMIT, self.api.get(name)).await).ok()??;
        if found.metadata.uid != pod.metadata.uid || found.metadata.deletion_timestamp.is_some() {
            return None;
        }
        self.tell(name, NOT_OBSERVED.to_owned()).await;
        Some(NOT_OBSERVED)
    }

    async fn tell(&self, name: &str, message: String) {
        let notice = Notice::note(format!("pod/{name}"), "ChangedByOthers", message);
        self.events.send(Event::Notice(notice)).await;
    }
}

#[cfg(test)]
mod tests {
    use kube::Client;
    use serde_json::{Value, from_value, json};
    use tokio::sync::mpsc;

    use super::*;
    use crate::clock::{Clock, Moment};

    fn pod(metadata: &Value) -> PodObject {
        let mut whole = json!({"name": "a-1", "uid": "u1", "labels": {"ramp/run": "r1"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "u0", "controller": true}]});
        for (key, value) in metadata.as_object().unwrap() {
            whole[key] = value.clone();
        }
        from_value(json!({"metadata": whole})).unwrap()
    }

    /// Pods of a cluster that has this one, or none.
    fn pods(there: Option<Value>) -> (RelabelledPods, mpsc::Receiver<(Moment, Event)>) {
        let answer = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            let (status, body) = match &there {
                Some(metadata) => (200, json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})),
                None => (
                    404,
                    json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": "not found"}),
                ),
            };
            let body = kube::client::Body::from(body.to_string().into_bytes());
            let response = http::Response::builder().status(status).body(body).unwrap();
            async { Ok::<_, std::convert::Infallible>(response) }
        });
        let (events, told) = Events::channel(Clock::system());
        let api = Api::namespaced(Client::new(answer, "workload"), "workload");
        (RelabelledPods::new(api, events, "r1"), told)
    }

    fn messages(told: &mut mpsc::Receiver<(Moment, Event)>) -> Vec<String> {
        let mut messages = Vec::new();
        while let Ok((_, Event::Notice(notice))) = told.try_recv() {
            messages.push(format!("{}: {}", notice.object, notice.message));
        }
        messages
    }

    async fn seen(pods: &mut RelabelledPods, pod: &PodObject) {
        let change = pods.change(pod);
        pods.seen("u1", "a-1", change).await;
    }

    #[tokio::test]
    async fn a_pod_that_loses_the_label_of_the_run_is_still_counted_and_told_once() {
        let (mut pods, mut told) = pods(None);
        seen(&mut pods, &pod(&json!({}))).await;
        assert_eq!(messages(&mut told), [""; 0]);
        let without = pod(&json!({"labels": {}}));
        assert!(pods.is_of_the_run(&without), "it was one of them");
        seen(&mut pods, &without).await;
        seen(&mut pods, &without).await;
        let found = messages(&mut told);
        assert!(
            found.len() == 1 && found[0].starts_with("pod/a-1: label ramp/run removed or changed by others"),
            "{found:?}"
        );
        assert_eq!(pods.gone(&pod(&json!({"labels": {}}))).await, None, "it does not exist any more");
        assert!(!pods.is_of_the_run(&without));
    }

    #[tokio::test]
    async fn a_pod_without_its_controller_is_told_unless_it_is_being_deleted() {
        let (mut pods, mut told) = pods(None);
        let orphan = json!({"ownerReferences": []});
        seen(&mut pods, &pod(&orphan)).await;
        let found = messages(&mut told);
        assert!(found[0].contains("no longer controlled by its ReplicaSet"), "{found:?}");
        let deleted =
            json!({"ownerReferences": [], "uid": "u2", "deletionTimestamp": "2026-11-25T12:00:03Z"});
        assert_eq!(pods.change(&pod(&deleted)), None);
    }

    #[tokio::test]
    async fn a_pod_that_no_longer_matches_the_watch_is_not_said_to_be_deleted() {
        let (mut pods, mut told) = pods(Some(json!({"name": "a-1", "uid": "u1"})));
        assert_eq!(pods.gone(&pod(&json!({}))).await, Some(NOT_OBSERVED));
        assert_eq!(messages(&mut told), [format!("pod/a-1: {NOT_OBSERVED}")]);
        let replaced = pod(&json!({"uid": "u7"}));
        assert_eq!(pods.gone(&replaced).await, None, "another pod of that name");
        let ended = pod(&json!({"deletionTimestamp": "2026-11-25T12:00:03Z"}));
        assert_eq!(pods.gone(&ended).await, None);
    }
}
