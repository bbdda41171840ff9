//! Local engine: instances as child processes of ramp on this machine, without cluster, image or network.
//!
//! ```text
//! LocalEngine ── how many ─► Supervisor ── starts, stops ─► ProcessTask, one for each process ─► events
//!                             ▲                                │
//!                             └───────── ready, ended ─────────┘
//! ```
//!
//! All instances are in one cgroup whose limit is the budget, each in a cgroup of its own inside of that, with the limits
//! of the manifest. Without permission to create cgroups ramp watches the budget itself.

mod budget_watch;
mod cgroup;
mod cgroup_removal;
mod cgroup_root;
mod cleanup;
mod confinement;
mod preflight;
mod process;
mod process_spec;
pub mod subcommands;
mod supervisor;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use workload::quantity::Bytes;

use super::kernel_log::KernelLog;
use super::machine::{Machine, MachineFacts, limit_facts};
use super::manifest_support;
use super::replicas::{Demand, ReplicaSettings, Replicas};
use super::{Applied, Budget, Engine, EngineSpec, Event, Events, Failure, GroupId, NodeStatus, Notice};
use crate::live_runs::process_of;
use cgroup_removal::{processes, remove};
use cgroup_root::{CgroupRoot, OwnCgroups, find_root};
use cleanup::{StaleCgroup, cgroup_name, stale_cgroups};
use confinement::Confinement;
use process::{Launch, THIS_PROGRAM};
use process_spec::{Limits, ProcessSpec};
use ramp_format::preflight::Preflight;
use ramp_format::state::State;
use supervisor::{LivingProcesses, NEWS_WAITING, Supervisor};

/// Runs instances as child processes.
///
/// # Guarantees
/// - No instance outlives the process of the engine, however that one ends.
/// - Outside of the run's own cgroups no process is killed and nothing is changed.
///
/// # Caveats
/// - Instances end with the *thread* that has polled the engine, so that must be one that lives on: the runtime's only one.
/// - The program must have the subcommands of [`subcommands`].
#[derive(Debug)]
pub struct LocalEngine {
    order: EngineSpec,
    process: Arc<ProcessSpec>,
    /// The program with the subcommands `instance` and `workload`.
    ramp: PathBuf,
    machine: MachineFacts,
    budget: Bytes,
    homes: OwnCgroups,
    /// Where cgroups can be created, or why not, once that has been tried.
    site: Option<Result<CgroupRoot, String>>,
    living: LivingProcesses,
    demand: Demand,
    tasks: JoinSet<()>,
}

impl LocalEngine {
    /// An engine whose instances run this program.
    ///
    /// # Errors
    /// Where the scenario's image is not `workload` and it has no command, the run's id is no name for a cgroup, or
    /// neither a budget is given nor the available memory known.
    pub fn new(order: EngineSpec) -> Result<Self, Failure> {
        Self::with_program(order, Path::new(THIS_PROGRAM))
    }

    /// An engine whose instances run another program with the subcommands of ramp, as in tests.
    ///
    /// # Errors
    /// As of [`Self::new`].
    pub fn with_program(order: EngineSpec, ramp: &Path) -> Result<Self, Failure> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if order.run.is_empty() || !order.run.chars().all(is_plain) {
            return Err(Failure::permanent(format!(
                "the run id {:?} cannot be the name of a cgroup (allowed: letters, digits, - _ .)",
                order.run
            )));
        }
        let process = Arc::new(ProcessSpec::of(&order.scenario)?);
        let machine = MachineFacts::read();
        let budget = order.options.budget_bytes.map(Bytes).or_else(|| machine.default_budget());
        let budget = budget.ok_or_else(|| {
            Failure::permanent(
                "/proc/meminfo has no MemAvailable, so there is no default budget (pass --budget)",
            )
        })?;
        Ok(Self {
            order,
            process,
            ramp: ramp.to_owned(),
            machine,
            budget,
            homes: OwnCgroups::find(Path::new("/")),
            site: None,
            living: LivingProcesses::default(),
            demand: Demand::default(),
            tasks: JoinSet::new(),
        })
    }

    /// The same engine, with the budget watched by ramp itself even where cgroups can be created.
    #[must_use]
    pub fn without_cgroups(mut self) -> Self {
        self.site = Some(Err("none was asked for".into()));
        self
    }

    /// Where cgroups can be created, or why not; tried once.
    async fn site(&mut self) -> Result<CgroupRoot, String> {
        if let Some(site) = &self.site {
            return site.clone();
        }
        let name = cgroup_name(&preflight::trial_run(&self.order.run));
        let site = find_root(&self.homes, &name, &self.ramp).await;
        self.site.insert(site).clone()
    }

    /// Creates the budget's cgroup, after removing what an earlier process has left of it.
    async fn confine(&mut self) -> Result<Confinement, Failure> {
        self.remove_stale_cgroups().await?;
        let Ok(site) = self.site().await else {
            return Ok(Confinement::Ramp { budget: self.budget, used: Arc::new(AtomicU64::new(0)) });
        };
        let group = site.cgroup().inside(&cgroup_name(&self.order.run));
        let limits = Limits { memory: Some(self.budget), ..Limits::default() };
        let made = site.enable().and_then(|()| group.make()).and_then(|()| group.delegate());
        made.and_then(|()| group.limit(&limits))
            .map_err(|error| Failure::transient(format!("cannot create the budget's cgroup: {error}")))?;
        Ok(Confinement::Cgroup(group))
    }

    async fn remove_stale_cgroups(&self) -> Result<(), Failure> {
        for stale in stale_cgroups(&self.homes, Some(&self.order.run)) {
            remove(&stale.directory).await.map_err(|error| Failure::transient(error.to_string()))?;
        }
        Ok(())
    }

    /// Starts the tasks that keep the instances and sample the machine.
    fn spawn_tasks(&mut self, events: &Events, confinement: Confinement) {
        let hostname = &self.machine.start.hostname;
        let (newsroom, news) = mpsc::channel(NEWS_WAITING);
        let settings = ReplicaSettings {
            prefix: self.order.scenario.name.clone(),
            run: self.order.run.clone(),
            begun: events.clock().now(),
            node: hostname.clone(),
            first: State::Creating,
            at_once: usize::MAX,
        };
        let supervisor = Supervisor {
            launch: Launch { ramp: self.ramp.clone(), demand: self.process.clone() },
            events: events.clone(),
            confinement: confinement.clone(),
            replicas: Replicas::new(settings),
            wanted: self.demand.begin(),
            living: self.living.clone(),
            tasks: JoinSet::new(),
            news,
            newsroom,
            lines: Arc::new(AtomicU32::new(0)),
            log: KernelLog::open(),
            is_removed: false,
        };
        let (machine, limit) = (Machine::open(hostname.clone()), self.budget);
        let budget = move || Some(Budget { limit, used: confinement.used()? });
        self.tasks.spawn(supervisor.run());
        self.tasks.spawn(machine.tell(events.clone(), budget));
    }
}

impl Engine for LocalEngine {
    fn name(&self) -> &'static str {
        "local"
    }

    fn place(&self) -> String {
        "this machine".into()
    }

    /// Creates a cgroup and moves a process into it, and removes both.
    async fn preflight(&mut self) -> Result<Preflight, Failure> {
        self.machine = MachineFacts::read();
        let site = self.site().await;
        let mut findings = Vec::from_iter(preflight::about_the_site(&site));
        findings.extend(preflight::about_leftovers(&self.homes, &self.order.run));
        findings.extend(self.machine.findings(self.budget));
        let node = preflight::node(&self.machine, self.budget, site.is_ok());
        let needs = self.order.scenario.needs();
        let memory = needs.memory_on(node.memory_bytes.map(Bytes));
        findings.extend(preflight::about_ulimits(preflight::instances_allowed(), self.budget, memory));
        findings.extend(manifest_support::above_limit(&needs).filter(|_| site.is_ok()));
        let mut not_honoured = self.process.not_honoured.clone();
        not_honoured.extend(limits_not_honoured(&site, &self.process.limits));
        let versions = [("linux", self.machine.start.kernel.as_str()), ("ramp", env!("CARGO_PKG_VERSION"))];
        Ok(Preflight {
            versions: BTreeMap::from(versions.map(|(name, version)| (name.into(), version.into()))),
            limits: limit_facts(&node.name),
            nodes: vec![node],
            admitted: Some(self.order.scenario.container.alone(site.is_ok())),
            findings,
            not_honoured,
            ..Preflight::default()
        })
    }

    /// With `adopt` there are no instances at first either: none outlives the process that has started it.
    async fn begin(&mut self, events: Events, _adopt: bool) -> Result<Applied, Failure> {
        self.tasks = JoinSet::new();
        self.demand = Demand::default();
        self.living.all().clear();
        preflight::raise_limit_on_files();
        let confinement = self.confine().await?;
        events.send(Event::Nodes(vec![NodeStatus::ready(&self.machine.start.hostname)])).await;
        events.send(Event::All(Vec::new())).await;
        if let Some(Err(why)) = &self.site {
            let notice = Notice::note("budget", "watched_by_ramp", preflight::watched_by_ramp(why));
            events.send(Event::Notice(notice)).await;
        }
        self.spawn_tasks(&events, confinement);
        Ok(Applied { manifest: self.order.scenario.manifest.clone(), instances: 0 })
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        group.only()?;
        self.demand.scale(instances)
    }

    /// Ends all instances and then removes the cgroups, including those that an earlier process has left.
    async fn remove(&mut self) -> Result<(), Failure> {
        if self.demand.remove() { Ok(()) } else { self.remove_stale_cgroups().await }
    }

    /// Processes and cgroups.
    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        let stale = stale_cgroups(&self.homes, Some(&self.order.run));
        let mut living = self.living.all().clone();
        for pid in stale.iter().flat_map(|stale| processes(&stale.directory)) {
            living.entry(pid.as_raw().unsigned_abs()).or_insert_with(|| "of an earlier ramp".into());
        }
        if let (true, Some(Ok(site))) = (stale.is_empty(), &self.site) {
            site.restore();
        }
        let living = living.iter().map(|(pid, name)| format!("process {pid} ({name})"));
        let cgroups = stale.iter().map(|stale| format!("cgroup {}", stale.directory.display()));
        Ok(living.chain(cgroups).collect())
    }
}

/// Limits in the manifest that nothing enforces.
fn limits_not_honoured(site: &Result<CgroupRoot, String>, limits: &Limits) -> Vec<String> {
    let (no_memory, no_cpu) = (site.is_err(), site.as_ref().map_or(true, |site| site.without_cpu.is_some()));
    let memory = limits
        .memory
        .filter(|_| no_memory)
        .map(|memory| format!("resources.limits.memory {}: not enforced without cgroups", memory.rounded()));
    let cpu = limits.cpu.filter(|_| no_cpu).map(|cpu| {
        format!("resources.limits.cpu {cpu}: not enforced without a cgroup of the CPU controller")
    });
    memory.into_iter().chain(cpu).collect()
}

/// What [`clean`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Directories of cgroups that were removed.
    pub removed: Vec<PathBuf>,
    /// What was kept, and why.
    pub kept: Vec<String>,
}

/// Removes the cgroups of a run with the processes in them; where no run is named, the empty cgroups of all runs. Looks in
/// all hierarchies that this process sees.
pub async fn clean(run: Option<&str>) -> Cleaned {
    let mut cleaned = Cleaned::default();
    for StaleCgroup { run: of, directory } in stale_cgroups(&OwnCgroups::find(Path::new("/")), run) {
        let count = processes(&directory).len();
        if let Some(process) = process_of(&of) {
            cleaned.kept.push(format!(
                "{}: run {of} is under way (process {process} on this machine); interrupt it (kill -INT), and it removes its \
                 instances itself",
                directory.display()
            ));
            continue;
        }
        if run.is_none() && count > 0 {
            let at = directory.display();
            cleaned.kept.push(format!(
                "{at}: run {of} is still running (processes: {count}; pass its id to end them)"
            ));
            continue;
        }
        match remove(&directory).await {
            Ok(()) => cleaned.removed.push(directory),
            Err(error) => cleaned.kept.push(error.to_string()),
        }
    }
    cleaned
}
