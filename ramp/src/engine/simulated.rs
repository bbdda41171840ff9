//! A cluster whose truth is known: a [`World`], which a YAML file describes (docs/worlds.md), in simulated time. An hour passes
//! in a second, and takes the same course each time.

mod cluster;
mod ground_truth;
mod instance;
mod kernel_memory;
mod loader;
mod phase_draws;
mod quantities;
mod random;
mod validation;
mod world;

pub use ground_truth::{TrueLoss, Truth};
pub use quantities::SignedBytes;
pub use world::{
    Incident, IncidentKind, LoadTruth, MachineTruth, NodeKind, Others, PhaseTime, PhaseTimes, RuntimeTruth,
    Shortage, World,
};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Applied, Call, Engine, EngineSpec, Event, Events, Failure, GroupId, Notice, NoticeKind};
use cluster::{Cluster, ObservedEvent};
use instance::LoadFacts;
use ramp_format::preflight::{NodeFacts, Preflight};

/// How long a request takes that is answered.
const LATENCY: Duration = Duration::from_millis(5);
/// How long a request waits that is not.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// The engine.
#[derive(Debug)]
pub struct SimulatedEngine {
    order: EngineSpec,
    cluster: Arc<Mutex<Cluster>>,
    /// Told when something has been asked for.
    asked: Arc<Notify>,
    made: Instant,
    events: Option<Events>,
    tasks: JoinSet<()>,
}

impl SimulatedEngine {
    /// The cluster of the world that the order's options name, or of the usual one, from now on.
    ///
    /// # Errors
    /// Where the scenario is no load of a set size.
    pub fn new(order: EngineSpec) -> Result<Self, Failure> {
        let world = World::of(&order.options).map_err(Failure::permanent)?;
        let load = LoadFacts::of(&order.scenario, &world).map_err(Failure::permanent)?;
        Ok(Self {
            order,
            cluster: Arc::new(Mutex::new(Cluster::new(world, load))),
            asked: Arc::default(),
            made: Instant::now(),
            events: None,
            tasks: JoinSet::new(),
        })
    }

    /// The same cluster for another process, as after the first one was killed.
    #[must_use]
    pub fn another(&self) -> Self {
        Self {
            order: self.order.clone(),
            cluster: Arc::clone(&self.cluster),
            asked: Arc::default(),
            made: self.made,
            events: None,
            tasks: JoinSet::new(),
        }
    }

    /// Reads what was true, also after the run.
    #[must_use]
    pub fn truth(&self) -> TruthReader {
        TruthReader(Arc::clone(&self.cluster))
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        lock(&self.cluster)
    }

    /// A request: answered, refused or left unanswered, as the world has it now.
    async fn request(&self) -> Result<(), Failure> {
        if self.tasks.is_empty() {
            // Nobody watches it, and it goes on all the same.
            let now = self.made.elapsed();
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

/// Reads what was true of a run.
#[derive(Clone, Debug)]
pub struct TruthReader(Arc<Mutex<Cluster>>);

impl TruthReader {
    /// What has been true so far.
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
    // It is changed by whole happenings alone: one that panicked has changed nothing that matters.
    cluster.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine for SimulatedEngine {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn preflight(&mut self) -> Result<Preflight, Failure> {
        self.request().await?;
        let cluster = self.cluster();
        let on = cluster.on_nodes();
        let nodes = cluster.node_kinds().map(|(name, kind)| NodeFacts {
            name: name.clone(),
            eligible: kind.eligible,
            not_eligible_because: (!kind.eligible).then(|| "its world says so".into()),
            allocatable_memory_bytes: Some(kind.memory.0.saturating_sub(kind.idle.0)),
            allocatable_cpu_cores: Some(kind.cores),
            allocatable_pods: Some(kind.pods.into()),
            requested_memory_bytes: Some(0),
            requested_cpu_cores: Some(0.0),
            pods: Some(on.get(name.as_str()).copied().unwrap_or_default()),
            ..NodeFacts::default()
        });
        let versions = BTreeMap::from([("world".to_owned(), format!("seed {}", cluster.world.seed))]);
        Ok(Preflight { nodes: nodes.collect(), versions, ..Preflight::default() })
    }

    async fn begin(&mut self, events: Events, _adopt: bool) -> Result<Applied, Failure> {
        self.events = Some(events.clone());
        self.request().await?;
        let (all, nodes, instances) = {
            let mut cluster = self.cluster();
            cluster.set_epoch(events.clock().now() - self.made.elapsed());
            (cluster.instance_statuses(), cluster.node_statuses(), cluster.wanted())
        };
        events.send(Event::Nodes(nodes)).await;
        events.send(Event::All(all)).await;
        let (cluster, asked) = (Arc::clone(&self.cluster), Arc::clone(&self.asked));
        self.tasks.spawn(go_on(cluster, events, asked, self.made));
        Ok(Applied { manifest: self.order.scenario.manifest.clone(), instances })
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        group.only()?;
        self.request().await?;
        self.cluster().ask(instances, self.made.elapsed());
        self.asked.notify_one();
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        self.request().await?;
        self.cluster().remove(self.made.elapsed());
        self.asked.notify_one();
        Ok(())
    }

    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        self.request().await?;
        let statuses = self.cluster().instance_statuses();
        Ok(statuses.into_iter().map(|instance_status| format!("instance/{}", instance_status.name)).collect())
    }
}

/// Lets the cluster go on, and tells what is seen of it: nothing while its API is away, all of it anew once it is back, and what
/// machines and instances said meanwhile.
async fn go_on(cluster: Arc<Mutex<Cluster>>, events: Events, asked: Arc<Notify>, made: Instant) {
    let mut away = false;
    // What has happened and is not told yet.
    let mut untold: Vec<ObservedEvent> = Vec::new();
    while !events.is_closed() {
        // Machines are sampled for ever.
        let Some(next) = lock(&cluster).next() else { return };
        let due = untold.iter().map(|seen| seen.at).filter(|_| !away).min();
        tokio::select! {
            () = sleep_until(made + due.map_or(next, |due| due.min(next))) => {}
            () = asked.notified() => {}
        }
        let now = made.elapsed();
        let (seen, is_away, all) = {
            let mut cluster = lock(&cluster);
            let (seen, is_away) = (cluster.advance(now), cluster.api().is_some());
            let back = away && !is_away;
            (seen, is_away, if back { cluster.instance_statuses() } else { Vec::new() })
        };
        untold.extend(seen);
        match (away, is_away) {
            (false, true) => events.send(gap(NoticeKind::GapBegins, "is not answered")).await,
            (true, false) => {
                events.send(gap(NoticeKind::GapEnds, "is answered again")).await;
                events.send(Event::All(all)).await;
            }
            _ => {}
        }
        if away || is_away {
            // How instances are is asked for anew; what they and the machines say is kept in logs.
            untold.retain(|seen| !matches!(seen.event, Event::Instance(_) | Event::Node(_)));
        }
        away = is_away;
        if !away {
            untold.sort_by_key(|seen| seen.at);
            let due = untold.partition_point(|seen| seen.at <= now);
            for seen in untold.drain(..due) {
                events.send(seen.event).await;
            }
        }
    }
}

fn gap(kind: NoticeKind, message: &str) -> Event {
    Event::Notice(Notice::new(kind, "watch/pods", "Watch", message))
}
