//! Podman engine: containers of Podman or Docker, through the Docker-compatible API on a socket of this machine.
//!
//! One task is the `controller`: it watches the engine's events, lists all containers after each gap, and creates, starts, restarts
//! and removes them. What is due is decided by the `population`, which is pure. A second task samples the machine each second.

mod api;
mod container;
mod container_spec;
mod controller;
mod inspect;
mod operations;
mod population;
mod preflight;
mod socket;

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::kernel_log::KernelLog;
use super::log_poller::LogQueue;
use super::machine::{Machine, MachineFacts, limit_facts};
use super::readiness::Readiness;
use super::replicas::Demand;
use super::{Applied, Engine, EngineSpec, Event, Events, Failure, GroupId, NodeStatus};
use api::{Api, Refusal};
use controller::{Controller, ControllerDeps};
use population::ContainerPopulation;
use preflight::EngineAnswers;
use ramp_format::plan::EngineOptions;
use ramp_format::preflight::Preflight;

/// Concurrent removals.
const REMOVED_AT_ONCE: usize = 8;

/// Containers of Podman or Docker.
///
/// # Caveats
/// - A Podman service has one OCI runtime: its API cannot set that of a single container, so the preflight refuses a
///   `--runtime` other than the service's.
/// - Podman before 4.4 does not tell OOM kills. They are taken from the kernel log where that can be read; elsewhere the
///   reason says that it is not known.
pub struct PodmanEngine {
    order: EngineSpec,
    api: Api,
    readiness: Readiness,
    demand: Demand,
    tasks: JoinSet<()>,
    /// Whether the removal of all containers was requested.
    is_removed: bool,
}

impl PodmanEngine {
    /// Finds the socket; sends no request yet.
    ///
    /// # Errors
    /// Where there is none.
    pub fn new(order: EngineSpec) -> Result<Self, Failure> {
        let api = open(&order.options)?;
        let readiness = Readiness::of(&order.scenario);
        Ok(Self {
            order,
            api,
            readiness,
            demand: Demand::default(),
            tasks: JoinSet::new(),
            is_removed: false,
        })
    }
}

impl Engine for PodmanEngine {
    fn name(&self) -> &'static str {
        "podman"
    }

    fn place(&self) -> String {
        self.api.place()
    }

    async fn preflight(&mut self) -> Result<Preflight, Failure> {
        self.api.negotiate().await?;
        let answers = EngineAnswers {
            version: self.api.version().await?,
            info: self.api.info().await?,
            image: self.api.image(&self.order.scenario.container.image).await,
            containers: self.api.list(None).await?,
            kernel_log: KernelLog::open().is_open(),
            machine: MachineFacts::read(),
        };
        let limits = match preflight::elsewhere(&answers.info, &answers.machine) {
            None => limit_facts(&preflight::node_name(&answers.info)),
            Some(_) => Vec::new(),
        };
        Ok(Preflight { limits, ..preflight::check(&self.order, &self.readiness, &answers) })
    }

    async fn begin(&mut self, events: Events, adopt: bool) -> Result<Applied, Failure> {
        // Ends the tasks of an earlier attempt.
        self.tasks = JoinSet::new();
        self.api.negotiate().await?;
        let info = self.api.info().await?;
        let node = preflight::node_name(&info);
        // The kernel log and the memory of this machine tell nothing of another one.
        let is_here = preflight::elsewhere(&info, &MachineFacts::read()).is_none();
        let (begun, known) = oneshot::channel();
        let EngineSpec { run, scenario, options } = &self.order;
        let deps = ControllerDeps {
            api: self.api.clone(),
            events: events.clone(),
            run: run.clone(),
            body: Arc::new(container_spec::create_body(scenario, run, options.runtime.as_deref())),
            stop_timeout_seconds: container_spec::stop_timeout_seconds(scenario),
            adopt,
            logs: LogQueue::of(&self.readiness),
            wanted: self.demand.begin(),
            log: if is_here { KernelLog::open() } else { KernelLog::closed() },
            begun: Some(begun),
        };
        events.send(Event::Nodes(vec![NodeStatus::ready(&node)])).await;
        let population = ContainerPopulation::new(
            &scenario.name,
            run,
            events.clock().now(),
            node.clone(),
            self.readiness.clone(),
        );
        self.tasks.spawn(Controller::new(deps, population).run());
        let instances = known.await.map_err(|_| Failure::transient("the controller has ended"))??;
        if is_here {
            self.tasks.spawn(Machine::open(node).tell(events, || None));
        }
        Ok(Applied { manifest: scenario.manifest.clone(), instances })
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        group.only()?;
        self.demand.scale(instances)
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        self.is_removed = true;
        if self.demand.remove() {
            return Ok(());
        }
        self.api.negotiate().await?;
        remove_all(&self.api, Some(&self.order.run)).await.map(drop)
    }

    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        let containers = self.api.list(Some(&self.order.run)).await?;
        // Created after all were listed, by a request of an earlier process: the controller does not know of it.
        for listed in containers.iter().filter(|listed| self.is_removed && !listed.is_running) {
            // It is listed again where that fails.
            let _ = self.api.remove(&listed.name).await;
        }
        Ok(containers.into_iter().map(|listed| format!("container {}", listed.name)).collect())
    }
}

/// A container that a run has made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// The run's id.
    pub run: String,
    /// The container's name.
    pub name: String,
}

/// The engine and its socket, for messages.
///
/// # Errors
/// Where there is no socket.
pub fn place(options: &EngineOptions) -> Result<String, Failure> {
    open(options).map(|api| api.place())
}

/// All containers that any run has made, by run and name.
///
/// # Errors
/// Where there is no socket, or no answer.
pub async fn leftovers(options: &EngineOptions) -> Result<Vec<Leftover>, Failure> {
    let api = open(options)?;
    api.negotiate().await?;
    let containers = api.list(None).await?.into_iter();
    let mut left: Vec<_> = containers.map(|listed| Leftover { run: listed.run, name: listed.name }).collect();
    left.sort();
    Ok(left)
}

/// Removes the containers of one run, or of all, by force. Returns their number once they are gone.
///
/// # Errors
/// Where there is no socket, no answer, or one of them could not be removed; the others are removed.
pub async fn remove_leftovers(options: &EngineOptions, run: Option<&str>) -> Result<usize, Failure> {
    let api = open(options)?;
    api.negotiate().await?;
    remove_all(&api, run).await
}

async fn remove_all(api: &Api, run: Option<&str>) -> Result<usize, Failure> {
    let containers = api.list(run).await?;
    let count = containers.len();
    let removed = stream::iter(containers).map(|listed| async move { api.remove(&listed.name).await });
    let refusals: Vec<Refusal> =
        removed.buffer_unordered(REMOVED_AT_ONCE).filter_map(async |result| result.err()).collect().await;
    match refusals.as_slice() {
        [] => Ok(count),
        [first, ..] => Err(Failure::transient(format!(
            "{} of {count} containers could not be removed: {first}",
            refusals.len()
        ))),
    }
}

fn open(options: &EngineOptions) -> Result<Api, Failure> {
    let wishes = socket::SocketChoice::of_environment(options.socket.clone());
    Api::of(&wishes.socket(|path| path.exists())?)
}

#[cfg(test)]
mod tests;
