//! Handlers of the watches of pods and nodes: objects become events of the engine.

use std::collections::HashMap;

use super::load_reports::SharedLogQueue;
use super::node;
use super::object::{ContainerObject, NodeObject, PodObject};
use super::pod;
use super::probe::{ProbePod, Probes};
use super::relabelled::{PodChange, RelabelledPods};
use super::sandbox::{SandboxCondition, Sandboxes};
use super::scheduling::PodConstraints;
use super::sidecars::Sidecars;
use super::watch::Sink;
use crate::engine::{Event, Events, InstanceStatus, NodeStatus, RUN_LABEL};

/// Label with the role of a pod.
pub(super) const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// Its value of pods of the node probe.
pub(super) const NODE_PROBE: &str = "probe";

/// A pod of the run.
pub(super) struct LoadPod {
    status: InstanceStatus,
    /// The containers beside its own.
    beside: Vec<ContainerObject>,
    /// What others have changed of it.
    change: Option<PodChange>,
    /// That its sandbox is ready.
    sandbox: Option<SandboxCondition>,
}

/// A pod of interest.
pub(super) enum WatchedPod {
    /// A pod of the run.
    Load(Box<LoadPod>),
    /// A pod of the node probe, with the containers beside its own.
    Probe(ProbePod, Vec<ContainerObject>),
}

/// Pods of the run and of the probe.
pub(super) struct Pods {
    pub(super) relabelled: RelabelledPods,
    /// The name of the container that counts.
    pub(super) container: String,
    pub(super) events: Events,
    pub(super) probes: Probes,
    pub(super) queue: SharedLogQueue,
    pub(super) sidecars: Sidecars,
    pub(super) sandboxes: Sandboxes,
}

fn probe(pod: &PodObject) -> Option<ProbePod> {
    let is_probe = pod.label(RUN_LABEL).is_none() && pod.label(COMPONENT_LABEL) == Some(NODE_PROBE);
    ProbePod::of(pod).filter(|_| is_probe)
}

impl Sink for Pods {
    type Object = PodObject;
    type Kept = WatchedPod;

    fn keep(&self, object: &PodObject) -> Option<WatchedPod> {
        if self.relabelled.is_of_the_run(object) {
            let beside = object.spec.beside(&self.container).cloned().collect();
            let status = pod::instance_status(object, &self.container);
            let change = self.relabelled.change(object);
            let sandbox = SandboxCondition::of(object);
            return Some(WatchedPod::Load(Box::new(LoadPod { status, beside, change, sandbox })));
        }
        let probe = probe(object)?;
        let beside = object.spec.beside(&probe.container).cloned().collect();
        Some(WatchedPod::Probe(probe, beside))
    }

    async fn all(&mut self, kept: Vec<WatchedPod>) {
        let mut loads = Vec::new();
        let mut probes = Vec::new();
        let mut changes = Vec::new();
        for kept in kept {
            match kept {
                WatchedPod::Load(load) => {
                    let LoadPod { status, beside, change, sandbox } = *load;
                    self.sidecars.of_instances(&beside).await;
                    self.sandboxes.seen(sandbox).await;
                    changes.push(change);
                    loads.push(status);
                }
                WatchedPod::Probe(pod, beside) => {
                    self.sidecars.of_probes(&beside).await;
                    probes.push(pod);
                }
            }
        }
        self.probes.all(&probes);
        self.queue.lock().all(&loads);
        self.relabelled.all(loads.iter().map(|load| load.uid.as_str()));
        for (load, change) in loads.iter().zip(changes) {
            self.relabelled.seen(&load.uid, &load.name, change).await;
        }
        self.events.send(Event::All(loads)).await;
    }

    async fn changed(&mut self, kept: WatchedPod) {
        match kept {
            WatchedPod::Load(load) => {
                let LoadPod { status, beside, change, sandbox } = *load;
                self.sidecars.of_instances(&beside).await;
                self.sandboxes.seen(sandbox).await;
                self.relabelled.seen(&status.uid, &status.name, change).await;
                self.queue.lock().saw(&status);
                self.events.send(Event::Instance(status)).await;
            }
            WatchedPod::Probe(pod, beside) => {
                self.sidecars.of_probes(&beside).await;
                self.probes.seen(&pod);
            }
        }
    }

    async fn deleted(&mut self, object: &PodObject) {
        if self.relabelled.is_of_the_run(object) {
            self.sandboxes.gone(object);
            let mut instance_status = pod::gone(object, &self.container);
            if let Some(reason) = self.relabelled.gone(object).await {
                reason.clone_into(&mut instance_status.reason);
            }
            self.queue.lock().saw(&instance_status);
            self.events.send(Event::Instance(instance_status)).await;
        } else if let Some(pod) = probe(object) {
            self.probes.gone(&pod);
        }
    }
}

/// Nodes. A kubelet updates its node far more often than its status changes.
pub(super) struct NodeWatch {
    events: Events,
    /// What the pods of each group of the run require of nodes.
    constraints: Vec<PodConstraints>,
    told: HashMap<String, NodeStatus>,
}

impl NodeWatch {
    pub(super) fn new(events: Events, constraints: Vec<PodConstraints>) -> Self {
        Self { events, constraints, told: HashMap::new() }
    }

    async fn tell(&mut self, status: NodeStatus) {
        if self.told.get(&status.name) != Some(&status) {
            self.told.insert(status.name.clone(), status.clone());
            self.events.send(Event::Node(status)).await;
        }
    }
}

impl Sink for NodeWatch {
    type Object = NodeObject;
    type Kept = NodeStatus;

    fn keep(&self, node: &NodeObject) -> Option<NodeStatus> {
        // Eligible for one group: it may have instances.
        let statuses = self.constraints.iter().map(|constraints| node::status(node, constraints));
        statuses.reduce(|first, other| NodeStatus { eligible: first.eligible || other.eligible, ..first })
    }

    async fn all(&mut self, statuses: Vec<NodeStatus>) {
        self.told = statuses.iter().map(|status| (status.name.clone(), status.clone())).collect();
        self.events.send(Event::Nodes(statuses)).await;
    }

    async fn changed(&mut self, status: NodeStatus) {
        self.tell(status).await;
    }

    async fn deleted(&mut self, node: &NodeObject) {
        if let Some(name) = node.metadata.name.clone() {
            self.told.remove(&name);
            self.events.send(Event::NodeGone(name)).await;
        }
    }
}
