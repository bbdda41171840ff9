//! Cleanup: what runs have left in a namespace, found by their labels, and its removal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::Path;
use std::time::SystemTime;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::{DeleteParams, ListParams};
use kube::core::{NamespaceResourceScope, ObjectMeta, PartialObjectMeta, PartialObjectMetaExt as _};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::deployment::Target;
use super::manifest::PROCESS;
use super::node;
use super::object::{NodeObject, PodObject, deleted_since};
use super::request::{REQUEST_LIMIT, measured, optional, pages, within};
use crate::engine::{Events, Failure, RUN_LABEL};
use crate::process_id::{Liveness, ProcessId};
use ramp_format::text::count;

/// Concurrent deletions.
const AT_ONCE: usize = 8;

/// Nodes that are looked at for what keeps pods.
const NODES_LOOKED_AT: usize = 10;

/// Pods that are named for each node.
const PODS_NAMED: usize = 3;

/// Namespaced objects of one kind.
trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}

impl Kind for Deployment {}
impl Kind for PodObject {}

/// What each run has left in a namespace, by the run's id: `deployment/NAME` and `pod/NAME`.
///
/// # Errors
/// If the API server does not answer.
pub async fn runs(client: &Client, namespace: &str) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let mut runs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (run, object) in labelled(client, namespace, RUN_LABEL).await? {
        runs.entry(run).or_default().push(object);
    }
    Ok(runs)
}

/// Whether the process of a run is under way, with words on it; none where the run tells of no process.
///
/// # Errors
/// If the API server does not answer.
pub async fn is_running(
    client: &Client,
    namespace: &str,
    run: &str,
) -> Result<Option<(bool, String)>, Failure> {
    let deployments = list::<Deployment>(client, namespace, &format!("{RUN_LABEL}={run}"), "").await?;
    let processes = deployments.iter().filter_map(|found| found.annotations().get(PROCESS)?.parse().ok());
    let words = |process: ProcessId| {
        let ProcessId { pid, host, .. } = &process;
        match process.liveness(Path::new("/proc")) {
            Liveness::Running => Some((true, format!("process {pid} on this machine"))),
            Liveness::Unknown => Some((false, format!("process {pid} on {host}"))),
            Liveness::Ended => None,
        }
    };
    Ok(processes.filter_map(words).max())
}

/// Pods of a run, or of all runs, that still exist, in words: how many on which node, for how long they have been terminating, and
/// what holds them.
///
/// # Errors
/// If the API server does not answer.
pub async fn remaining(client: &Client, namespace: &str, run: Option<&str>) -> Result<Vec<String>, Failure> {
    let api: Api<PodObject> = Api::namespaced(client.clone(), namespace);
    let selector = run.map_or_else(|| RUN_LABEL.to_owned(), |run| format!("{RUN_LABEL}={run}"));
    let found =
        pages(ListParams::default().labels(&selector), async |params| api.list(params).await, Some).await;
    let pods = found.map_err(|error| error.failure(&format!("listing pods of {namespace}")))?;
    let names: BTreeSet<&String> = pods.iter().filter_map(|pod| pod.spec.node_name.as_ref()).collect();
    let nodes: Api<NodeObject> = Api::all(client.clone());
    let mut trouble = BTreeMap::new();
    for name in names.into_iter().take(NODES_LOOKED_AT) {
        match optional(within(REQUEST_LIMIT, nodes.get(name)).await) {
            Ok(None) => trouble.insert(name.clone(), "which does not exist any more"),
            Ok(Some(found)) if !node::is_ready(&found) => trouble.insert(name.clone(), "which is not ready"),
            Ok(Some(_)) | Err(_) => None,
        };
    }
    Ok(waiting_words(&pods, &trouble, namespace, SystemTime::now()))
}

/// One line per node.
fn waiting_words(
    pods: &[PodObject],
    trouble: &BTreeMap<String, &'static str>,
    namespace: &str,
    now: SystemTime,
) -> Vec<String> {
    let mut by_node: BTreeMap<&str, Vec<&PodObject>> = BTreeMap::new();
    for pod in pods {
        by_node.entry(pod.spec.node_name.as_deref().unwrap_or_default()).or_default().push(pod);
    }
    let line = |(node, pods): (&str, Vec<&PodObject>)| {
        let named: Vec<String> = pods.iter().take(PODS_NAMED).map(|pod| pod.name_any()).collect();
        let more = if pods.len() > PODS_NAMED { ", …" } else { "" };
        let since = pods.iter().filter_map(|pod| deleted_since(&pod.metadata)).min();
        let seconds = since.and_then(|since| now.duration_since(since).ok()).map(|age| age.as_secs());
        let since = seconds
            .map_or_else(|| ", not terminating yet".to_owned(), |age| format!(", terminating for {age} s"));
        let held: BTreeSet<&String> =
            pods.iter().flat_map(|pod| pod.metadata.finalizers.iter().flatten()).collect();
        let (place, advice) = match (node, trouble.get(node)) {
            ("", _) => (" on no node".to_owned(), String::new()),
            (node, Some(what)) => (
                format!(" on {node}, {what}"),
                format!(
                    "; if it does not come back: `kubectl --namespace {namespace} delete pod --force --grace-period 0 --selector \
                     {RUN_LABEL} --field-selector spec.nodeName={node}`"
                ),
            ),
            (node, None) => (format!(" on {node}"), String::new()),
        };
        let held: Vec<&str> = held.into_iter().map(String::as_str).collect();
        let held =
            if held.is_empty() { String::new() } else { format!(", held by finalizers {}", held.join(", ")) };
        let number = count(u32::try_from(pods.len()).unwrap_or(u32::MAX), "pod");
        format!("{number}{place}: {}{more}{since}{held}{advice}", named.join(", "))
    };
    by_node.into_iter().map(line).collect()
}

/// What one run has left in a namespace: `deployment/NAME` and `pod/NAME`.
///
/// # Errors
/// If the API server does not answer.
pub async fn left(client: &Client, namespace: &str, run: &str) -> Result<Vec<String>, Failure> {
    let found = labelled(client, namespace, &format!("{RUN_LABEL}={run}")).await?;
    Ok(found.into_iter().map(|(_, object)| object).collect())
}

/// Deployments and pods of a label selector: the run of each, and its name.
async fn labelled(
    client: &Client,
    namespace: &str,
    selector: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let deployments = list::<Deployment>(client, namespace, selector, "").await?;
    let pods = list::<PodObject>(client, namespace, selector, "").await?;
    Ok(named("deployment", &deployments).chain(named("pod", &pods)).collect())
}

/// Requests the deletion of everything that a run has left in a namespace. Pods are deleted with their Deployments, some
/// time later; failed pods and pods without an owner are deleted individually.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn remove_run(client: &Client, namespace: &str, run: &str) -> Result<(), Failure> {
    let by =
        ProcessId::own().map_or_else(String::new, |own| format!(" (process {} on {})", own.pid, own.host));
    for deployment in list::<Deployment>(client, namespace, &format!("{RUN_LABEL}={run}"), "").await? {
        let target = Target { client, namespace, name: &deployment.name_any(), events: None };
        target.announce_removal(&format!("ramp clean{by}")).await;
    }
    remove(client, namespace, run, None).await
}

/// The same, and each request is measured.
pub(super) async fn remove(
    client: &Client,
    namespace: &str,
    run: &str,
    events: Option<&Events>,
) -> Result<(), Failure> {
    let selector = format!("{RUN_LABEL}={run}");
    let mut deployments = list::<Deployment>(client, namespace, &selector, "").await?;
    if deployments.is_empty() {
        deployments = unlabelled(client, namespace, run).await?;
    }
    delete::<Deployment>(client, namespace, deployments, events).await?;
    let ended = list::<PodObject>(client, namespace, &selector, "status.phase=Failed").await?;
    delete::<PodObject>(client, namespace, ended, events).await?;
    let mut pods = list::<PodObject>(client, namespace, &selector, "").await?;
    pods.retain(|pod| pod.owner_references().is_empty() && pod.metadata.deletion_timestamp.is_none());
    delete::<PodObject>(client, namespace, pods, events).await
}

/// Deployments whose own label others have removed: their pods have the label of the run, and would be created again.
async fn unlabelled(
    client: &Client,
    namespace: &str,
    run: &str,
) -> Result<Vec<PartialObjectMeta<Deployment>>, Failure> {
    let pods = list::<PodObject>(client, namespace, &format!("{RUN_LABEL}={run}"), "").await?;
    if pods.iter().all(|pod| pod.owner_references().is_empty() || pod.metadata.deletion_timestamp.is_some()) {
        return Ok(Vec::new());
    }
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let of_the_run = |found: Deployment| {
        let labels = found.spec.template.metadata.as_ref()?.labels.as_ref()?;
        let name =
            found.metadata.name.clone().filter(|_| labels.get(RUN_LABEL).is_some_and(|of| of == run))?;
        Some(ObjectMeta { name: Some(name), ..ObjectMeta::default() }.into_request_partial())
    };
    let found = pages(ListParams::default(), async |params| api.list(params).await, of_the_run).await;
    found.map_err(|error| error.failure(&format!("listing deployments of {namespace}")))
}

/// The metadata of all objects of a kind, page by page.
async fn list<K: Kind>(
    client: &Client,
    namespace: &str,
    labels: &str,
    fields: &str,
) -> Result<Vec<PartialObjectMeta<K>>, Failure> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let selection = ListParams::default().labels(labels).fields(fields);
    let without_managed_fields = |mut object: PartialObjectMeta<K>| {
        object.metadata.managed_fields = None;
        Some(object)
    };
    let found =
        pages(selection, async |params| api.list_metadata(params).await, without_managed_fields).await;
    found.map_err(|error| error.failure(&format!("listing {} of {namespace} with {labels}", K::plural(&()))))
}

/// The names of all RuntimeClasses.
///
/// # Errors
/// If the API server refuses or does not answer.
pub async fn runtime_classes(client: &Client) -> Result<Vec<String>, Failure> {
    let api: Api<RuntimeClass> = Api::all(client.clone());
    let name = |class: PartialObjectMeta<RuntimeClass>| class.metadata.name;
    let found = pages(ListParams::default(), async |params| api.list_metadata(params).await, name).await;
    found.map_err(|error| error.failure("listing RuntimeClasses"))
}

/// Deletes objects, a few at a time, with background propagation. One that fails does not keep others from being tried.
async fn delete<K: Kind>(
    client: &Client,
    namespace: &str,
    objects: Vec<PartialObjectMeta<K>>,
    events: Option<&Events>,
) -> Result<(), Failure> {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let one = async |object: PartialObjectMeta<K>| {
        let name = object.name_any();
        let answer = measured(events, REQUEST_LIMIT, api.delete(&name, &DeleteParams::background())).await;
        let asked = format!("deleting {}/{name} of {namespace}", K::plural(&()));
        optional(answer).map(|_| ()).map_err(|trouble| trouble.failure(&asked))
    };
    let answers: Vec<Result<(), Failure>> =
        stream::iter(objects).map(one).buffer_unordered(AT_ONCE).collect().await;
    answers.into_iter().collect()
}

/// Each object's run and name.
fn named<'a, K>(
    kind: &'a str,
    objects: &'a [PartialObjectMeta<K>],
) -> impl Iterator<Item = (String, String)> + 'a
where
    K: Resource<DynamicType = ()>,
{
    objects.iter().filter_map(move |object| {
        let run = object.labels().get(RUN_LABEL)?.clone();
        Some((run, format!("{kind}/{}", object.name_any())))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, node: Option<&str>, metadata: &Value) -> PodObject {
        let mut object = json!({"metadata": metadata, "spec": {"nodeName": node}});
        object["metadata"]["name"] = json!(name);
        serde_json::from_value(object).unwrap()
    }

    #[tokio::test]
    async fn a_deployment_that_has_lost_its_label_is_removed_by_the_label_of_its_template() {
        let (requests, mut made) = tokio::sync::mpsc::unbounded_channel();
        let answer = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let path = request.uri().path().to_owned();
            let query = request.uri().query().unwrap_or_default().to_owned();
            let owner = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a-1", "uid": "u1", "controller": true}]);
            let pod = json!({"metadata": {"name": "a-1-x", "ownerReferences": owner, "labels": {"ramp/run": "r1"}}});
            let deployment = |name: &str, run: &str| {
                json!({"metadata": {"name": name}, "spec": {"selector": {},
                    "template": {"metadata": {"labels": {"ramp/run": run}}}}})
            };
            let items = match (path.ends_with("/deployments"), query.contains("labelSelector")) {
                _ if query.contains("status.phase") => json!([]),
                (false, _) => json!([pod]),
                (true, true) => json!([]),
                (true, false) => json!([deployment("a", "r1"), deployment("b", "r2")]),
            };
            let mut body = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
            if request.method() == http::Method::DELETE {
                body = json!({"apiVersion": "v1", "kind": "Status", "status": "Success"});
                requests.send(path).unwrap();
            }
            let body = kube::client::Body::from(body.to_string().into_bytes());
            async { Ok::<_, std::convert::Infallible>(http::Response::new(body)) }
        });
        remove(&Client::new(answer, "workload"), "workload", "r1", None).await.unwrap();
        assert_eq!(made.try_recv().unwrap(), "/apis/apps/v1/namespaces/workload/deployments/a");
        assert!(made.try_recv().is_err(), "its pods are removed with it, and the other run's stays");
    }

    #[test]
    fn what_is_waited_for_is_told_by_node_with_its_age_and_what_to_do() {
        let deleted = json!({"deletionTimestamp": "2026-11-25T12:00:05Z", "deletionGracePeriodSeconds": 5});
        let held = json!({"deletionTimestamp": "2026-11-25T12:00:00Z", "finalizers": ["example.com/a"]});
        let mut pods: Vec<PodObject> =
            ["a", "b", "c", "d"].map(|name| pod(name, Some("node-2"), &deleted)).into();
        pods.push(pod("e", Some("node-1"), &held));
        pods.push(pod("f", None, &json!({})));
        let trouble = [("node-2".to_owned(), "which is not ready")].into();
        let now = humantime::parse_rfc3339("2026-11-25T12:00:45Z").unwrap();
        assert_eq!(
            waiting_words(&pods, &trouble, "workload", now),
            [
                "1 pod on no node: f, not terminating yet",
                "1 pod on node-1: e, terminating for 45 s, held by finalizers example.com/a",
                "4 pods on node-2, which is not ready: a, b, c, …, terminating for 45 s; if it does not come back: \
                 `kubectl --namespace workload delete pod --force --grace-period 0 --selector ramp/run --field-selector \
                 spec.nodeName=node-2`",
            ]
        );
    }
}
