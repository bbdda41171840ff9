//! What the watches of pods and nodes see, told on.

use std::collections::HashMap;

use super::node;
use super::object::{NodeObject, PodObject};
use super::pod;
use super::probe::{ProbePod, Probes};
use super::report::SharedRota;
use super::watch::Sink;
use crate::engine::{Event, Events, NodeStatus, RUN_LABEL, InstanceStatus};

/// Says what a pod is for.
const COMPONENT_LABEL: &str = "app.kubernetes.io/component";

/// A pod that is of interest.
pub(super) enum Kept {
    /// One of the run's.
    Load(InstanceStatus),
    /// One of the node probe's.
    Probe(ProbePod),
}

/// Pods of the run and of the probe.
pub(super) struct Pods {
    pub(super) run: String,
    /// The name of the container that counts.
    pub(super) container: String,
    pub(super) events: Events,
    pub(super) probes: Probes,
    pub(super) rota: SharedRota,
}

impl Pods {
    fn is_of_the_run(&self, pod: &PodObject) -> bool {
        pod.label(RUN_LABEL) == Some(self.run.as_str())
    }
}

fn probe(pod: &PodObject) -> Option<ProbePod> {
    let is_probe = pod.label(RUN_LABEL).is_none() && pod.label(COMPONENT_LABEL) == Some("probe");
    let terminating = pod.metadata.deletion_timestamp.is_some();
    let node = pod.spec.node_name.clone().filter(|_| is_probe)?;
    Some(ProbePod { node, name: pod.metadata.name.clone()?, terminating })
}

impl Sink for Pods {
    type Object = PodObject;
    type Kept = Kept;

    fn keep(&self, object: &PodObject) -> Option<Kept> {
        if self.is_of_the_run(object) {
            return Some(Kept::Load(pod::sighting(object, &self.container)));
        }
        probe(object).map(Kept::Probe)
    }

    async fn all(&mut self, kept: Vec<Kept>) {
        let mut loads = Vec::new();
        let mut probes = Vec::new();
        for kept in kept {
            match kept {
                Kept::Load(sighting) => loads.push(sighting),
                Kept::Probe(pod) => probes.push(pod),
            }
        }
        self.probes.all(&probes);
        self.rota.lock().all(&loads);
        self.events.send(Event::All(loads)).await;
    }

    async fn changed(&mut self, kept: Kept) {
        match kept {
            Kept::Load(sighting) => {
                self.rota.lock().saw(&sighting);
                self.events.send(Event::Instance(sighting)).await;
            }
            Kept::Probe(pod) => self.probes.seen(&pod),
        }
    }

    async fn deleted(&mut self, object: &PodObject) {
        if self.is_of_the_run(object) {
            let sighting = pod::gone(object, &self.container);
            self.rota.lock().saw(&sighting);
            self.events.send(Event::Instance(sighting)).await;
        } else if let Some(pod) = probe(object) {
            self.probes.gone(&pod);
        }
    }
}

/// Nodes. A kubelet tells much more often than anything changes.
pub(super) struct NodeWatch {
    events: Events,
    told: HashMap<String, NodeStatus>,
}

impl NodeWatch {
    /// None yet.
    pub(super) fn new(events: Events) -> Self {
        Self { events, told: HashMap::new() }
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
        Some(node::status(node))
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
