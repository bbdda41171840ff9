//! Cleanup: what runs have left in a namespace, found by their labels, and its removal.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures::{StreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, ListParams};
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::object::PodObject;
use super::request::{REQUEST_LIMIT, measured, optional, pages};
use crate::engine::{Events, Failure, RUN_LABEL};

/// Concurrent deletions.
const AT_ONCE: usize = 8;

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
    let deployments = list::<Deployment>(client, namespace, &selector, "").await?;
    delete::<Deployment>(client, namespace, deployments, events).await?;
    let ended = list::<PodObject>(client, namespace, &selector, "status.phase=Failed").await?;
    delete::<PodObject>(client, namespace, ended, events).await?;
    let mut pods = list::<PodObject>(client, namespace, &selector, "").await?;
    pods.retain(|pod| pod.owner_references().is_empty() && pod.metadata.deletion_timestamp.is_none());
    delete::<PodObject>(client, namespace, pods, events).await
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
