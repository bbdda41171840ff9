//! Simulated engine: a cluster whose truth is known, described by a [`World`] in YAML (docs/worlds.md). It runs in simulated time, an
//! hour in a second, and is deterministic.

mod cluster;
mod components;
mod ground_truth;
mod instance;
mod kernel_cpu;
mod kernel_memory;
mod kubelet_messages;
mod loader;
mod phase_draws;
mod quantities;
mod quantity_maps;
mod random;
mod records;
mod swap;
mod task_limits;
mod validation;
mod world;

pub use ground_truth::{TrueLoss, TrueSwap, Truth};
pub use quantities::{Share, SignedQuantity};
pub use world::{
    Beyond, CpuOthers, Incident, IncidentKind, LoadTruth, MachineTruth, NodeKind, OtherRuntime, Others,
    PhaseTime, PhaseTimes, Placement, RuntimeTruth, Shortage, TaskTruth, World,
};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::outage::Outage;
use super::{Applied, Call, Engine, EngineSpec, Event, Events, Failure, GroupId};
use cluster::{Cluster, ObservedEvent};
use instance::LoadFacts;
use ramp_format::preflight::{AdmittedResources, NodeFacts, Preflight};
use ramp_format::scenario::resources::PodResources;

/// Latency of requests that are answered.
const LATENCY: Duration = Duration::from_millis(5);
/// Time limit of requests that are not.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// The engine.
#[derive(Debug)]
pub struct SimulatedEngine {
    order: EngineSpec,
    cluster: Arc<Mutex<Cluster>>,
    /// Notified by each request.
    asked: Arc<Notify>,
    made: Instant,
    events: Option<Events>,
    tasks: JoinSet<()>,
}

impl SimulatedEngine {
    /// A cluster of the world in the options, or of the default world, which begins now.
    ///
    /// # Errors
    /// Where the scenario is not a load with a fixed size.
    pub fn new(order: EngineSpec) -> Result<Self, Failure> {
        let limit = order.scenario.resources.load_limit;
        let world = World::of(&order.options).and_then(|world| world.with_limit(limit));
        let world = world.map_err(Failure::permanent)?;
        let load = LoadFacts::of(&order.scenario, &world).map_err(Failure::permanent)?;
        world.check_mix(&order.options.mix).map_err(Failure::permanent)?;
        let groups = world.groups(&order.options.mix);
        Ok(Self::at(order, Arc::new(Mutex::new(Cluster::new(world, groups, load))), Instant::now()))
    }

    fn at(order: EngineSpec, cluster: Arc<Mutex<Cluster>>, made: Instant) -> Self {
        Self { order, cluster, asked: Arc::default(), made, events: None, tasks: JoinSet::new() }
    }

    /// Another engine for the same cluster, as of a process that resumes the run.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::at(self.order.clone(), Arc::clone(&self.cluster), self.made)
    }

    /// A reader of the truth, also after the run.
    #[must_use]
    pub fn truth(&self) -> TruthReader {
        TruthReader(Arc::clone(&self.cluster))
    }

    /// Time since the cluster was made.
    fn now(&self) -> Duration {
        self.made.elapsed() + self.cluster().recorder().1
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        lock(&self.cluster)
    }

    /// Makes a request, which is answered, refused or left unanswered.
    async fn request(&self) -> Result<(), Failure> {
        if self.tasks.is_empty() {
            // The cluster goes on without a watch.
            let now = self.now();
            drop(self.cluster().advance(now));
        }
        let (latency, result) = match self.cluster().api() {
            None => (LATENCY, Ok(())),
            Some(IncidentKind::ApiHangs) => (REQUEST_LIMIT, Err(Failure::transient("no answer within 10 s"))),
            Some(_) => (LATENCY, Err(Failure::transient("connection refused"))),
        };
        sleep(latency).await;
        if let Some(events) = &self.events {
            events.send(Event::Call(Call { latency, answered: result.is_ok() })).await;
        }
        result
    }
}

/// Reads the truth of a run.
#[derive(Clone, Debug)]
pub struct TruthReader(Arc<Mutex<Cluster>>);

impl TruthReader {
    /// The truth so far.
    #[must_use]
    pub fn read(&self) -> Truth {
        let mut truth = lock(&self.0).truth().clone();
        if !truth.removed {
            truth.count();
        }
        truth
    }
}

fn lock(cluster: &Mutex<Cluster>) -> MutexGuard<'_, Cluster> {
    // Each event changes it as a whole, so a panic leaves nothing half done that matters.
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine for SimulatedEngine {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn place(&self) -> String {
        "the simulated cluster".into()
    }

    async fn preflight(&mut self) -> Result<Preflight, Failure> {
        self.request().await?;
        let cluster = self.cluster();
        let on = cluster.on_nodes();
        let nodes = cluster.node_kinds().map(|(name, kind)| NodeFacts {
            name: name.clone(),
            eligible: kind.eligible,
            not_eligible_because: (!kind.eligible).then(|| "not eligible in its world".into()),
            allocatable_memory_bytes: Some(kind.memory.0.saturating_sub(kind.idle.0)),
            allocatable_cpu_cores: Some(kind.cores),
            allocatable_pods: Some(kind.pods.into()),
            requested_memory_bytes: Some(0),
            requested_cpu_cores: Some(0.0),
            pods: Some(on.get(name.as_str()).copied().unwrap_or_default()),
            ..NodeFacts::default()
        });
        let versions = BTreeMap::from([("world".to_owned(), format!("seed {}", cluster.world.seed))]);
        let is_set = self.order.scenario.resources != PodResources::default();
        let not_honoured = is_set.then(|| "resources: requests and limits are not simulated".to_owned());
        Ok(Preflight {
            nodes: nodes.collect(),
            versions,
            limits: cluster.limit_facts(),
            admitted: Some(AdmittedResources {
                memory_limit_bytes: self.order.scenario.resources.load_limit.map(|limit| limit.0),
                ..cluster.requests()
            }),
            not_honoured: Vec::from_iter(not_honoured),
            ..Preflight::default()
        })
    }

    async fn begin(&mut self, events: Events, _adopt: bool) -> Result<Applied, Failure> {
        self.events = Some(events.clone());
        self.request().await?;
        let (all, nodes, instances) = {
            let mut cluster = self.cluster();
            let (ahead, suspended) = cluster.recorder();
            if ahead.size.is_zero() {
                cluster.set_epoch(events.clock().now() - self.made.elapsed() - suspended);
            }
            (cluster.instance_statuses(), cluster.node_statuses(), cluster.wanted())
        };
        events.send(Event::Nodes(nodes)).await;
        events.send(Event::All(all)).await;
        let (cluster, asked) = (Arc::clone(&self.cluster), Arc::clone(&self.asked));
        self.tasks.spawn(simulate(cluster, events, asked, self.made));
        Ok(Applied { manifest: self.order.scenario.manifest.clone(), instances })
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        let group = group.index(self.cluster().group_count())?;
        self.request().await?;
        let now = self.now();
        self.cluster().ask(group, instances, now);
        self.asked.notify_one();
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        self.request().await?;
        let now = self.now();
        self.cluster().remove(now);
        self.asked.notify_one();
        Ok(())
    }

    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        self.request().await?;
        let statuses = self.cluster().instance_statuses();
        Ok(statuses.into_iter().map(|instance_status| format!("instance/{}", instance_status.name)).collect())
    }
}

/// Advances the cluster and sends what is observed of it: nothing during an outage of its API; after that all instances anew, and
/// the samples and reports made meanwhile.
async fn simulate(cluster: Arc<Mutex<Cluster>>, events: Events, asked: Arc<Notify>, made: Instant) {
    let mut outage = Outage::of("watch/pods", events.clone());
    // What has happened and has not been sent yet.
    let mut pending: Vec<ObservedEvent> = Vec::new();
    while !events.is_closed() {
        // There is always a next sample.
        let Some(next) = lock(&cluster).next() else { return };
        let due = pending.iter().map(|seen| seen.at).filter(|_| !outage.is_open()).min();
        let suspended = lock(&cluster).recorder().1;
        tokio::select! {
            () = sleep_until(made + due.map_or(next, |due| due.min(next)).saturating_sub(suspended)) => {}
            () = asked.notified() => {}
        }
        let now = made.elapsed() + suspended;
        let (seen, is_away) = {
            let mut cluster = lock(&cluster);
            (cluster.advance(now), cluster.api().is_some())
        };
        pending.extend(seen);
        if is_away || outage.is_open() {
            // The states of instances are listed anew; samples and reports are kept in logs.
            pending.retain(|seen| !matches!(seen.event, Event::Instance(_) | Event::Node(_)));
        }
        if is_away {
            outage.begins(Instant::now(), "Watch", "is not answered".into()).await;
            continue;
        }
        if outage.ends().await {
            let all = lock(&cluster).instance_statuses();
            events.send(Event::All(all)).await;
        }
        pending.sort_by_key(|seen| seen.at);
        let due = pending.partition_point(|seen| seen.at <= now);
        for seen in pending.drain(..due) {
            events.send(seen.event).await;
        }
        let (ahead, suspended) = lock(&cluster).recorder();
        events.clock().simulate(ahead.as_nanos(), suspended);
    }
}
