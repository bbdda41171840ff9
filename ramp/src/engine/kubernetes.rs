//! Kubernetes engine: instances are pods of a Deployment.
//!
//! One LIST+WATCH each for pods, nodes and events; one followed log per node for the probe; the workloads' reports read in
//! turn; one small request per second, which distinguishes a server that hangs from a quiet cluster.

mod cleanup;
mod cluster_events;
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
use self::deployment_watch::DeploymentWatch;
use self::health_check::{Health, HealthCheck};
use self::load_reports::{LogReader, SharedLogQueue};
use self::object::{EventObject, NodeObject, PodObject};
use self::own_requests::OwnRequests;
use self::probe::Probes;
use self::relabelled::RelabelledPods;
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
    manifest: Value,
    /// What its pods require of nodes, once that is known.
    constraints: Option<PodConstraints>,
    events: Option<Events>,
    tasks: JoinSet<()>,
    /// What it has requested itself.
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
        Ok(Self {
            replace: false,
            client,
            server,
            order,
            namespace,
            manifest,
            constraints: None,
            events: None,
            tasks: JoinSet::new(),
            own: OwnRequests::default(),
            has_applied: false,
        })
    }

    /// The namespace of its Deployment.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn target(&self) -> Target<'_> {
        Target {
            client: &self.client,
            namespace: &self.namespace,
            name: &self.order.scenario.name,
            events: self.events.as_ref(),
        }
    }

    /// Starts all watches and waits for their first lists.
    async fn observe(&mut self, events: &Events) -> Result<(), Failure> {
        // Ends the tasks of an earlier attempt.
        self.tasks = JoinSet::new();
        let (health, healthy) = tokio::sync::watch::channel(Health::GOOD);
        let api: Api<DynamicObject> = deployment::api(&self.client, &self.namespace);
        let (name, own) = (self.order.scenario.name.clone(), self.own.clone());
        let health_check = HealthCheck { api, name, events: events.clone(), own };
        self.tasks.spawn(health_check.run(health));
        let pods: Api<PodObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let queue = SharedLogQueue::default();
        let container = self.order.scenario.container.name.clone();
        let reader = LogReader::new(pods.clone(), events.clone(), queue.clone(), container.clone());
        self.tasks.spawn(reader.run());
        let sink = Pods {
            relabelled: RelabelledPods::new(pods.clone(), events.clone(), &self.order.run),
            container,
            events: events.clone(),
            probes: Probes::new(pods.clone(), events.clone()),
            queue,
            sidecars: Sidecars::new(events.clone()),
        };
        let constraints = match self.constraints.clone() {
            Some(constraints) => constraints,
            None => preflight::constraints(&self.client, &self.order, &self.manifest).await,
        };
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
        let (deployments, name) =
            (Api::namespaced(self.client.clone(), &self.namespace), &self.order.scenario.name);
        let place = (self.namespace.as_str(), name.as_str());
        let (client, run, own) = (self.client.clone(), &self.order.run, self.own.clone());
        let changes = DeploymentWatch::new(client, place, run, events.clone(), own);
        watches.start(
            "watch/deployments",
            deployments,
            watcher::Config::default().labels(RUN_LABEL),
            changes,
        );
        let here: Api<EventObject> = Api::namespaced(self.client.clone(), &self.namespace);
        let all = watcher::Config::default();
        let told = || ClusterEvents::new(events.clone(), &self.order.scenario.name);
        watches.start("watch/events", here, all.clone(), told());
        if self.namespace != NAMESPACE_OF_NODE_EVENTS {
            let of_nodes: Api<EventObject> = Api::namespaced(self.client.clone(), NAMESPACE_OF_NODE_EVENTS);
            let selection = all.fields("involvedObject.kind=Node");
            watches.start("watch/node-events", of_nodes, selection, told());
        }
        watches.all_listed().await
    }

    /// Adopts what an earlier process has created for this run.
    fn adopted(&self, found: Option<&DynamicObject>) -> Result<Applied, Failure> {
        let target = self.target();
        match found {
            Some(found) if self.is_ours(found) => {
                let instances = deployment::replicas(found);
                Ok(Applied { manifest: manifest::as_recorded(found), instances })
            }
            Some(found) => Err(target.in_the_way(found)),
            None => Err(Failure::permanent(format!(
                "deployment {} of run {} does not exist in namespace {}: nothing to resume",
                target.name, self.order.run, self.namespace
            ))),
        }
    }

    fn is_ours(&self, found: &DynamicObject) -> bool {
        deployment::run_of(found) == Some(self.order.run.as_str())
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
        let (preflight, constraints) =
            preflight::check(&self.client, &self.server, &self.namespace, &self.order).await?;
        self.constraints = Some(constraints);
        Ok(preflight)
    }

    async fn begin(&mut self, events: Events, adopt: bool) -> Result<Applied, Failure> {
        self.events = Some(events.clone());
        // First: on another cluster every pod of the run would be reported as gone.
        let found = self.target().find().await?;
        let taken_over = if adopt { Some(self.adopted(found.as_ref())?) } else { None };
        self.observe(&events).await?;
        if let Some(applied) = taken_over {
            self.target().take_over().await;
            return Ok(applied);
        }
        if let Some(found) = found {
            match (self.has_applied && self.is_ours(&found), self.replace) {
                (true, _) => {}
                (false, true) => self.target().replace(&found).await?,
                (false, false) => return Err(self.target().in_the_way(&found)),
            }
        }
        self.has_applied = true;
        manifest::set_process(&mut self.manifest);
        let made = self.target().apply(&self.manifest).await?;
        self.own.answered(deployment::replicas(&made), made.metadata.resource_version.as_deref());
        Ok(Applied { manifest: manifest::as_recorded(&made), instances: deployment::replicas(&made) })
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        group.only()?;
        self.own.asks(instances);
        let version = self.target().scale(instances).await?;
        self.own.answered(instances, version.as_deref());
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        self.own.removes();
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
