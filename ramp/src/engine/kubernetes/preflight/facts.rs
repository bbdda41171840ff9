//! Facts: everything that preflight asks the API server. Nothing is changed.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::autoscaling::v1::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, ResourceQuota};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::request::{Answer, REQUEST_LIMIT, RequestError, pages, within};
use super::admission::DryRun;
use super::limits::{self, ProbeThere};
use super::permissions::{PermissionReview, RIGHTS};
use super::requested::{self, RequestedResources};
use super::stale_runs::PodThere;

/// Concurrent access reviews.
const AT_A_TIME: usize = 6;

/// The DaemonSet of `deploy/setup`.
pub(super) const NODE_PROBE: &str = "node-probe";

/// The answers of the API server. What it did not answer is an error, never empty.
pub(super) struct ClusterFacts {
    pub(super) access: Vec<PermissionReview>,
    /// The API groups.
    pub(super) groups: Answer<Vec<String>>,
    /// The namespace's phase; none if it does not exist.
    pub(super) namespace: Answer<Option<String>>,
    /// Server-side dry runs.
    pub(super) dry_run: DryRun,
    /// The RuntimeClass; none if it does not exist, or none is named.
    pub(super) runtime_class: Answer<Option<RuntimeClass>>,
    /// The names of all RuntimeClasses.
    pub(super) runtime_classes: Answer<Vec<String>>,
    pub(super) nodes: Answer<Vec<Node>>,
    /// What runs on each node.
    pub(super) load: Answer<BTreeMap<String, RequestedResources>>,
    /// The pods of the namespace.
    pub(super) pods: Answer<Vec<PodThere>>,
    /// The Deployments of the namespace.
    pub(super) deployments: Answer<Vec<Deployment>>,
    /// The HorizontalPodAutoscalers of the namespace.
    pub(super) autoscalers: Answer<Vec<HorizontalPodAutoscaler>>,
    /// Whether the node probe's DaemonSet exists.
    pub(super) probe: Answer<bool>,
    /// The pods of both probes, in all namespaces.
    pub(super) probes: Answer<Vec<ProbeThere>>,
    /// The quotas of the namespace.
    pub(super) quotas: Answer<Vec<ResourceQuota>>,
}

/// Asks for all of it, much of it at once.
pub(super) async fn gather(
    client: &Client,
    access: Vec<PermissionReview>,
    namespace: &str,
    manifest: &Value,
    runtime_class: Option<&str>,
) -> ClusterFacts {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let quotas: Api<ResourceQuota> = Api::namespaced(client.clone(), namespace);
    let probes: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let classes: Api<RuntimeClass> = Api::all(client.clone());
    let (nodes, everywhere): (Api<Node>, Api<Pod>) = (Api::all(client.clone()), Api::all(client.clone()));
    let (groups, phase, runtime_class, probe) = tokio::join!(
        within(REQUEST_LIMIT, client.list_api_groups()),
        within(REQUEST_LIMIT, namespaces.get_opt(namespace)),
        async {
            match runtime_class {
                Some(name) => within(REQUEST_LIMIT, classes.get_opt(name)).await,
                None => Ok(None),
            }
        },
        within(REQUEST_LIMIT, probes.get_opt(NODE_PROBE)),
    );
    let (runtime_classes, nodes, load, pods, all_probes) = tokio::join!(
        list(&classes, |class| class.metadata.name),
        list(&nodes, Some),
        list(&everywhere, |pod| requested::of(&pod)),
        list(&pods, |pod| Some(PodThere::of(pod))),
        limits::probes(client),
    );
    let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
    let (deployments, quotas, autoscalers, dry_run) = tokio::join!(
        list(&deployments, Some),
        list(&quotas, Some),
        list(&autoscalers, Some),
        DryRun::of(client, namespace, manifest),
    );
    let phase_of =
        |namespace: Namespace| namespace.status.and_then(|status| status.phase).unwrap_or_default();
    ClusterFacts {
        access,
        groups: groups.map(|groups| groups.groups.into_iter().map(|group| group.name).collect()),
        namespace: phase.map(|found| found.map(phase_of)),
        dry_run,
        runtime_class,
        runtime_classes,
        nodes,
        load: load.map(requested::sum),
        pods,
        deployments,
        autoscalers,
        probe: probe.map(|found| found.is_some()),
        probes: all_probes,
        quotas,
    }
}

async fn list<K, T>(api: &Api<K>, keep: impl FnMut(K) -> Option<T>) -> Answer<Vec<T>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    pages(ListParams::default(), async |params| api.list(params).await, keep).await
}

/// All access reviews, a few at a time. They need no more of the server than its storage: a server that leaves one unanswered would
/// leave the others unanswered too, each until its time limit.
///
/// # Errors
/// If one is not answered.
pub(super) async fn access(client: &Client, namespace: &str) -> Answer<Vec<PermissionReview>> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let questions = RIGHTS.iter().flat_map(|right| right.verbs.iter().map(move |verb| (right, *verb)));
    let answers = questions.map(|(right, verb)| {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.question(verb, namespace)),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews = reviews.clone();
        async move {
            let answer = within(REQUEST_LIMIT, reviews.create(&PostParams::default(), &review)).await;
            let granted = answer.map(|review| review.status.is_some_and(|status| status.allowed));
            match granted {
                Err(error @ RequestError::Silence(_)) => Err(error),
                granted => Ok(PermissionReview { right, verb, granted }),
            }
        }
    });
    stream::iter(answers).buffered(AT_A_TIME).try_collect().await
}
