//! API objects, reduced to the fields that are needed.
//!
//! The types of `k8s-openapi` would keep all of a pod: several kilobytes, most of them managed fields, with every change
//! of every pod.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Taint;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference, Time};
use kube::Resource;
use kube::core::{ClusterResourceScope, NamespaceResourceScope, ObjectMeta};
use serde::{Deserialize, Deserializer};

/// A pod: `v1.Pod`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodObject {
    #[serde(deserialize_with = "needed_metadata")]
    pub(super) metadata: ObjectMeta,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_name: Option<String>,
    pub(super) containers: Vec<ContainerObject>,
    pub(super) init_containers: Option<Vec<ContainerObject>>,
    pub(super) ephemeral_containers: Option<Vec<ContainerObject>>,
}

/// A container of a pod, whichever of its lists it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerObject {
    pub(super) name: String,
    pub(super) image: Option<String>,
    pub(super) restart_policy: Option<String>,
}

impl ContainerObject {
    /// Whether it is an init container that runs as long as the pod (Kubernetes 1.28).
    pub(super) fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }
}

impl PodSpec {
    /// Containers that run beside the one of this name: sidecars, also native ones (init containers that are restarted always,
    /// Kubernetes 1.28), and those of `kubectl debug`.
    pub(super) fn beside<'a>(&'a self, own: &'a str) -> impl Iterator<Item = &'a ContainerObject> {
        let native = self.init_containers.iter().flatten().filter(|container| container.is_sidecar());
        let all = self.containers.iter().chain(native).chain(self.ephemeral_containers.iter().flatten());
        all.filter(move |container| container.name != own)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) conditions: Option<Vec<Condition>>,
    pub(super) container_statuses: Option<Vec<ContainerStatus>>,
    pub(super) init_container_statuses: Option<Vec<ContainerStatus>>,
}

/// Of a pod or of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) last_transition_time: Option<Time>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) restart_count: u32,
    pub(super) ready: bool,
    pub(super) state: Option<ContainerState>,
    pub(super) last_state: Option<ContainerState>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    pub(super) waiting: Option<Waiting>,
    pub(super) running: Option<Running>,
    pub(super) terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Running {
    pub(super) started_at: Option<Time>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Terminated {
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) exit_code: i32,
    pub(super) finished_at: Option<Time>,
    #[serde(rename = "containerID")]
    pub(super) container_id: Option<String>,
}

/// A node: `v1.Node`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeObject {
    #[serde(deserialize_with = "needed_metadata")]
    pub(super) metadata: ObjectMeta,
    pub(super) spec: NodeSpec,
    pub(super) status: NodeConditions,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeSpec {
    pub(super) unschedulable: bool,
    pub(super) taints: Option<Vec<Taint>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeConditions {
    pub(super) conditions: Option<Vec<Condition>>,
}

/// An event: `v1.Event`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EventObject {
    #[serde(deserialize_with = "needed_metadata")]
    pub(super) metadata: ObjectMeta,
    pub(super) involved_object: Involved,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) count: Option<u32>,
    pub(super) first_timestamp: Option<Time>,
    pub(super) last_timestamp: Option<Time>,
    pub(super) event_time: Option<MicroTime>,
    pub(super) series: Option<EventSeries>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Involved {
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct EventSeries {
    pub(super) count: Option<u32>,
    pub(super) last_observed_time: Option<MicroTime>,
}

impl PodObject {
    /// The value of a label.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }
}

/// A time as a `SystemTime`.
pub(super) fn time(time: &Time) -> SystemTime {
    SystemTime::from(time.0)
}

/// When the deletion of an object began: `deletionTimestamp` is the end of its grace period.
pub(super) fn deleted_since(metadata: &ObjectMeta) -> Option<SystemTime> {
    let end = time(metadata.deletion_timestamp.as_ref()?);
    let grace = metadata.deletion_grace_period_seconds.and_then(|seconds| u64::try_from(seconds).ok());
    end.checked_sub(Duration::from_secs(grace.unwrap_or_default()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NeededMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    finalizers: Option<Vec<String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

fn needed_metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let needed = NeededMetadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: needed.name,
        namespace: needed.namespace,
        uid: needed.uid,
        resource_version: needed.resource_version,
        creation_timestamp: needed.creation_timestamp,
        deletion_timestamp: needed.deletion_timestamp,
        deletion_grace_period_seconds: needed.deletion_grace_period_seconds,
        labels: needed.labels,
        finalizers: needed.finalizers,
        owner_references: needed.owner_references,
        ..ObjectMeta::default()
    })
}

macro_rules! core_resource {
    ($type:ty, $kind:literal, $plural:literal, $scope:ty) => {
        impl Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                "".into()
            }

            fn version((): &()) -> Cow<'_, str> {
                "v1".into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

core_resource!(PodObject, "Pod", "pods", NamespaceResourceScope);
core_resource!(NodeObject, "Node", "nodes", ClusterResourceScope);
core_resource!(EventObject, "Event", "events", NamespaceResourceScope);

impl kube::api::Log for PodObject {}
