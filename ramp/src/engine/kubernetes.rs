//! Kubernetes engine: instances are pods of a Deployment.
//!
//! One LIST+WATCH each for pods, nodes and events; one followed log per node for the probe; the workloads' reports read in
//! turn; one small request per second, which distinguishes a server that hangs from a quiet cluster.

mod cleanup;
mod cluster_events;
mod component_probe;
mod connect;
mod deployment;
mod deployment_watch;
mod health_check;
mod kubeconfig;
mod load_reports;
mod managed_fields;
mod manifest;
mod node;
mod object;
mod own_requests;
mod pod;
mod preflight;
mod probe;
mod relabelled;
mod request;
pub(crate) mod results;
mod sandbox;
mod scheduling;
mod sidecars;
mod watch;
mod watch_handlers;

use std::time::Duration;

use kube::core::DynamicObject;
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

pub use self::cleanup::{is_running, left, remaining, remove_run, runs, runtime_classes};
pub use self::kubeconfig::ServerIdentity;

use self::cluster_events::ClusterEvents;
use self::deployment::Target;
use self::deployment_watch::{DeploymentWatch, DeploymentWatches};
use self::health_check::{Health, HealthCheck};
use self::load_reports::{LogReader, SharedLogQueue};
use self::object::{EventObject, NodeObject, PodObject};
use self::own_requests::OwnRequests;
use self::probe::{ProbeKind, Probes};
use self::relabelled::RelabelledPods;
use self::sandbox::Sandboxes;
use self::scheduling::PodConstraints;
use self::sidecars::Sidecars;
use self::watch::{Progress, RunningWatch, Sink};
use self::watch_handlers::{NodeWatch, Pods};
use super::{Applied, Engine, EngineSpec, Event, Events, Failure, GroupId, RUN_LABEL};
use ramp_format::plan::EngineOptions;
use ramp_format::preflight::Preflight;

/// Time limit of the first lists.
const FIRST_LIST_LIMIT: Duration = Duration::from_secs(30);

/// The namespace of node events.
const NAMESPACE_OF_NODE_EVENTS: &str = "default";

/// Pods of a Deployment on Kubernetes 1.20 or later, or OpenShift.
pub struct KubernetesEngine {
    /// Whether another run's Deployment of the same name is replaced instead of refused.
    pub replace: bool,
    client: Client,
    server: ServerIdentity,
    order: EngineSpec,
    namespace: String,
    /// The manifest of the scenario, which those of the groups differ from in a mixed run.
    manifest: Value,
    groups: Vec<Group>,
    events: Option<Events>,
    tasks: JoinSet<()>,
}

/// A group of instances: the pods of one Deployment.
struct Group {
    order: EngineSpec,
    manifest: Value,
    /// What its pods require of nodes, once that is known.
    constraints: Option<PodConstraints>,
    /// What ramp has requested itself.
    own: OwnRequests,
    /// Whether an earlier attempt in this process may have created the Deployment.
    has_applied: bool,
}

/// A client, configured as for a run, for cleaning up after runs.
///
/// # Errors
/// If no configuration is found, or it is invalid. The server is not contacted.
pub async fn connect(options: &EngineOptions) -> Result<(Client, ServerIdentity), Failure> {
    connect::connect(options).await
}

impl KubernetesEngine {
    /// Configured by `KUBECONFIG`, `~/.kube/config` or the service account of the pod.
    ///
    /// # Errors
    /// If no configuration is found, or it is invalid. The server is not contacted.
    pub async fn new(order: EngineSpec) -> Result<Self, Failure> {
        let (client, server) = connect::connect(&order.options).await?;
        let named = order.options.namespace.clone().or_else(|| order.scenario.namespace.clone());
        let namespace = named.unwrap_or_else(|| client.default_namespace().to_owned());
        let manifest = manifest::of(&order, &namespace);
        let group = |order: EngineSpec| Group {
            manifest: manifest::of(&order, &namespace),
            order,
            constraints: None,
            own: OwnRequests::default(),
            has_applied: false,
        };
        let groups = manifest::orders(&order).into_iter().map(group).collect();
        Ok(Self {
            replace: false,
            client,
            server,
            order,
            namespace,
            manifest,
            groups,
            events: None,
            tasks: JoinSet::new(),
        })
    }

    /// The namespace of its Deployment.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn target<'a>(&'a self, group: &'a Group) -> Target<'a> {
        Target {
            client: &self.client,
            namespace: &self.namespace,
            name: &group.order.scenario.name,
            events: self.events.as_ref(),
        }
    }

    /// Starts all watches and waits for their first lists.
    async fn observe(&mut self, events: &Events) -> Result<(), Failure> {
        // Ends the tasks of an earlier attempt.
        self.tasks = JoinSet::new();
        let (health, healthy) = tokio::sync::watch::channel(Health::GOOD);
        let api: Api<DynamicObject> = deployment::api(&self.client, &self.namespace);
        // Of one Deployment: the others' watches tell where they are deleted.
        if let Some(Group { order, own, .. }) = self.groups.first() {
            let name = order.scenario.name.clone();
            let health_check = HealthCheck { api, name, events: events.clone(), own: own.clone() };
            self.tasks.spawn(health_check.run(health));
        }
        let pods: Api<PodObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let queue = SharedLogQueue::default();
        let container = self.order.scenario.container.name.clone();
        let reader = LogReader::new(pods.clone(), events.clone(), queue.clone(), container.clone());
        self.tasks.spawn(reader.run());
        self.tasks.spawn(component_probe::follow(self.client.clone(), events.clone()));
        let sink = Pods {
            relabelled: RelabelledPods::new(pods.clone(), events.clone(), &self.order.run),
            container,
            events: events.clone(),
            probes: Probes::new(ProbeKind::Node, pods.clone(), events.clone()),
            queue,
            sandboxes: Sandboxes::new(events.clone()),
            sidecars: Sidecars::new(events.clone()),
        };
        let mut constraints = Vec::new();
        for group in &self.groups {
            constraints.push(match group.constraints.clone() {
                Some(constraints) => constraints,
                None => preflight::constraints(&self.client, &group.order, &group.manifest).await,
            });
        }
        let selection = watcher::Config::default().labels(&manifest::selector(&self.manifest));
        let mut watches = Watches { events, healthy, tasks: &mut self.tasks, needed: Vec::new() };
        let nodes: Api<NodeObject> = Api::all(self.client.clone());
        watches.need(
            "watch/nodes",
            nodes,
            watcher::Config::default(),
            NodeWatch::new(events.clone(), constraints),
        );
        // First, so that the node of a sample is known.
        watches.all_listed().await?;
        watches.need("watch/pods", pods, selection, sink);
        let mut changes = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let place = (self.namespace.as_str(), group.order.scenario.name.as_str());
            let (client, run, own) = (self.client.clone(), &self.order.run, group.own.clone());
            let siblings = self.groups.iter().enumerate().filter(|(other, _)| *other != index);
            let siblings = siblings.map(|(_, other)| other.own.clone()).collect();
            let watch = DeploymentWatch::new(client, place, run, events.clone(), own);
            changes.push(watch.beside(siblings));
        }
        let deployments = Api::namespaced(self.client.clone(), &self.namespace);
        let of_runs = watcher::Config::default().labels(RUN_LABEL);
        watches.start("watch/deployments", deployments, of_runs, DeploymentWatches(changes));
        let here: Api<EventObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = watcher::Config::default();
        let names: Vec<String> = self.groups.iter().map(|group| group.order.scenario.name.clone()).collect();
        let told = || ClusterEvents::new(events.clone(), &names);
        watches.start("watch/events", here, all.clone(), told());
        if self.namespace != NAMESPACE_OF_NODE_EVENTS {
            let of_nodes: Api<EventObject> = Api::namespaced(self.client.clone(), NAMESPACE_OF_NODE_EVENTS);
            let selection = all.fields("involvedObject.kind=Node");
            watches.start("watch/node-events", of_nodes, selection, told());
        }
        watches.all_listed().await
    }

    /// Adopts what an earlier process has created for a group of this run.
    fn adopted<'a>(
        &self,
        group: &Group,
        found: Option<&'a DynamicObject>,
    ) -> Result<&'a DynamicObject, Failure> {
        let target = self.target(group);
        match found {
            Some(found) if self.is_ours(found) => Ok(found),
            Some(found) => Err(target.in_the_way(found)),
            None => Err(Failure::permanent(format!(
                "deployment {} of run {} does not exist in namespace {}: nothing to resume",
                target.name, self.order.run, self.namespace
            ))),
        }
    }

    /// What was created or adopted, of each group. A mixed run records the manifest that those of its groups are made from.
    fn applied(&self, made: &[DynamicObject]) -> Applied {
        let manifest = match made {
            [only] => manifest::as_recorded(only),
            _ => self.manifest.clone(),
        };
        Applied { manifest, instances: made.iter().map(deployment::replicas).sum() }
    }

    fn is_ours(&self, found: &DynamicObject) -> bool {
        deployment::run_of(found) == Some(self.order.run.as_str())
    }
}

impl KubernetesEngine {
    /// Creates the Deployment of a group, of whose name there is this one.
    async fn create(&mut self, index: usize, found: Option<DynamicObject>) -> Result<DynamicObject, Failure> {
        let group = &self.groups[index];
        if let Some(found) = found {
            match (group.has_applied && self.is_ours(&found), self.replace) {
                (true, _) => {}
                (false, true) => self.target(group).replace(&found).await?,
                (false, false) => return Err(self.target(group).in_the_way(&found)),
            }
        }
        let group = &mut self.groups[index];
        group.has_applied = true;
        manifest::set_process(&mut group.manifest);
        let group = &self.groups[index];
        let made = self.target(group).apply(&group.manifest).await?;
        group.own.answered(deployment::replicas(&made), made.metadata.resource_version.as_deref());
        Ok(made)
    }
}

impl Engine for KubernetesEngine {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn place(&self) -> String {
        format!("the API server {}", self.server.place)
    }

    async fn preflight(&mut self) -> Result<Preflight, Failure> {
        let mut all = Vec::new();
        for group in &mut self.groups {
            let (preflight, constraints) =
                preflight::check(&self.client, &self.server, &self.namespace, &group.order).await?;
            group.constraints = Some(constraints);
            all.push(preflight);
        }
        Ok(preflight::merged(&self.order.options.mix, all))
    }

    async fn begin(&mut self, events: Events, adopt: bool) -> Result<Applied, Failure> {
        self.events = Some(events.clone());
        // First: on another cluster every pod of the run would be reported as gone.
        let mut there = Vec::new();
        for group in &self.groups {
            let found = self.target(group).find().await?;
            if adopt {
                self.adopted(group, found.as_ref())?;
            }
            there.push(found);
        }
        self.observe(&events).await?;
        if adopt {
            for group in &self.groups {
                self.target(group).take_over().await;
            }
            return Ok(self.applied(&there.into_iter().flatten().collect::<Vec<_>>()));
        }
        let mut made = Vec::new();
        for (index, found) in there.into_iter().enumerate() {
            made.push(self.create(index, found).await?);
        }
        Ok(self.applied(&made))
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        let group = &self.groups[group.index(self.groups.len())?];
        group.own.asks(instances);
        let version = self.target(group).scale(instances).await?;
        group.own.answered(instances, version.as_deref());
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        self.groups.iter().for_each(|group| group.own.removes());
        cleanup::remove(&self.client, &self.namespace, &self.order.run, self.events.as_ref()).await
    }

    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        cleanup::left(&self.client, &self.namespace, &self.order.run).await
    }
}

/// The watches of a run while they are started.
struct Watches<'a> {
    events: &'a Events,
    healthy: tokio::sync::watch::Receiver<Health>,
    tasks: &'a mut JoinSet<()>,
    /// The required ones. Events are optional: a user without permission to read them can still run.
    needed: Vec<(&'static str, tokio::sync::watch::Receiver<Progress>)>,
}

impl Watches<'_> {
    fn start<S: Sink + 'static>(
        &mut self,
        object: &'static str,
        api: Api<S::Object>,
        selection: watcher::Config,
        sink: S,
    ) -> tokio::sync::watch::Receiver<Progress> {
        let (follow, progress) = RunningWatch::of(object, self.events.clone(), self.healthy.clone());
        self.tasks.spawn(follow.run(api, selection, sink));
        progress
    }

    fn need<S: Sink + 'static>(
        &mut self,
        object: &'static str,
        api: Api<S::Object>,
        selection: watcher::Config,
        sink: S,
    ) {
        let progress = self.start(object, api, selection, sink);
        self.needed.push((object, progress));
    }

    async fn all_listed(&mut self) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + FIRST_LIST_LIMIT;
        for (object, progress) in &mut self.needed {
            self.events.send(Event::WaitsFor(Some(format!("the first list of {object}")))).await;
            let listed = progress.wait_for(|progress| matches!(progress, Progress::Listed));
            // The task lives as long as the engine, so that only the timeout can end this.
            let is_listed = timeout_at(deadline, listed).await.is_ok_and(|listed| listed.is_ok());
            if !is_listed {
                let why = match &*progress.borrow() {
                    Progress::Failing(why) => why.clone(),
                    Progress::Asked | Progress::Listed => "no answer".into(),
                };
                let seconds = FIRST_LIST_LIMIT.as_secs();
                return Err(Failure::transient(format!("{object}: no list within {seconds} s: {why}")));
            }
        }
        self.events.send(Event::WaitsFor(None)).await;
        Ok(())
    }
}
