//! Everything that the cluster is asked before the first step, in one place. It changes nothing.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1::{LimitRange, Namespace, Node, Pod, ResourceQuota};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};

use super::ask::{FactResult, ask, list};
use super::permissions::{PermissionReview, RIGHTS};
use super::probe::NODE_PROBE;
use super::requested::{self, RequestedResources};
use super::stale_runs::PodThere;
use super::template::Template;

/// Access reviews at a time.
const AT_A_TIME: usize = 6;

/// What the cluster said. What it did not say is an error each, and never empty.
pub(super) struct ClusterFacts {
    /// What may be done.
    pub(super) access: Vec<PermissionReview>,
    /// The API groups.
    pub(super) groups: FactResult<Vec<String>>,
    /// The namespace's phase; none where there is no such namespace.
    pub(super) namespace: FactResult<Option<String>>,
    /// Whether the PriorityClass is there; so where none is named.
    pub(super) priority_class: FactResult<bool>,
    /// The RuntimeClass; none where there is none, or none is named.
    pub(super) runtime_class: FactResult<Option<RuntimeClass>>,
    /// All RuntimeClasses by name.
    pub(super) runtime_classes: FactResult<Vec<String>>,
    /// The nodes.
    pub(super) nodes: FactResult<Vec<Node>>,
    /// What runs on each of them.
    pub(super) load: FactResult<BTreeMap<String, RequestedResources>>,
    /// The pods of the namespace.
    pub(super) pods: FactResult<Vec<PodThere>>,
    /// The Deployments of the namespace.
    pub(super) deployments: FactResult<Vec<Deployment>>,
    /// Whether the node probe's DaemonSet is there.
    pub(super) probe: FactResult<bool>,
    /// The quotas of the namespace.
    pub(super) quotas: FactResult<Vec<ResourceQuota>>,
    /// The limit ranges of the namespace.
    pub(super) limits: FactResult<Vec<LimitRange>>,
}

/// Asks for all of it, much of it at once.
pub(super) async fn gather(client: &Client, namespace: &str, template: &Template) -> ClusterFacts {
    let all = ListParams::default();
    let here = NamespaceQueries { client, namespace };
    let pods: Api<Pod> = here.api();
    let everywhere: Api<Pod> = Api::all(client.clone());
    let classes: Api<RuntimeClass> = Api::all(client.clone());
    let nodes: Api<Node> = Api::all(client.clone());
    let (deployments, quotas, limits) = (here.api(), here.api(), here.api());
    let access = access(client, namespace).await;
    let (groups, namespace, priority_class, runtime_class) = tokio::join!(
        groups(client),
        here.phase(),
        here.priority_class(template.priority_class.as_deref()),
        here.runtime_class(template.runtime_class.as_deref()),
    );
    let (runtime_classes, nodes, load, pods) = tokio::join!(
        list(&classes, &all, |class: RuntimeClass| class.metadata.name),
        list(&nodes, &all, Some),
        list(&everywhere, &all, |pod| requested::of(&pod)),
        list(&pods, &all, |pod| Some(PodThere::of(pod))),
    );
    let (deployments, probe, quotas, limits) = tokio::join!(
        list(&deployments, &all, Some),
        here.probe(),
        list(&quotas, &all, Some),
        list(&limits, &all, Some),
    );
    ClusterFacts {
        access,
        groups,
        namespace,
        priority_class,
        runtime_class,
        runtime_classes,
        nodes,
        load: load.map(requested::sum),
        pods,
        deployments,
        probe,
        quotas,
        limits,
    }
}

/// Every right, a few at a time.
async fn access(client: &Client, namespace: &str) -> Vec<PermissionReview> {
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
            let answer = ask(reviews.create(&PostParams::default(), &review)).await;
            let granted = answer.map(|review| review.status.is_some_and(|status| status.allowed));
            PermissionReview { right, verb, granted }
        }
    });
    stream::iter(answers).buffered(AT_A_TIME).collect().await
}

async fn groups(client: &Client) -> FactResult<Vec<String>> {
    let groups = ask(client.list_api_groups()).await?;
    Ok(groups.groups.into_iter().map(|group| group.name).collect())
}

/// The namespace of the run.
struct NamespaceQueries<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl NamespaceQueries<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    async fn phase(&self) -> FactResult<Option<String>> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let found = ask(namespaces.get_opt(self.namespace)).await?;
        let phase =
            |namespace: Namespace| namespace.status.and_then(|status| status.phase).unwrap_or_default();
        Ok(found.map(phase))
    }

    async fn priority_class(&self, name: Option<&str>) -> FactResult<bool> {
        let Some(name) = name else { return Ok(true) };
        let classes: Api<PriorityClass> = Api::all(self.client.clone());
        Ok(ask(classes.get_opt(name)).await?.is_some())
    }

    async fn runtime_class(&self, name: Option<&str>) -> FactResult<Option<RuntimeClass>> {
        let Some(name) = name else { return Ok(None) };
        let classes: Api<RuntimeClass> = Api::all(self.client.clone());
        ask(classes.get_opt(name)).await
    }

    async fn probe(&self) -> FactResult<bool> {
        let sets: Api<DaemonSet> = self.api();
        Ok(ask(sets.get_opt(NODE_PROBE)).await?.is_some())
    }
}
