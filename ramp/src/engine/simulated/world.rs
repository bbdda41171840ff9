//! World: the description of a simulated cluster, a YAML file (docs/worlds.md).

use std::collections::BTreeMap;
use std::time::Duration;

use ramp_format::plan::EngineOptions;
use ramp_format::scenario::Scenario;
use ramp_format::time::{Time, parse_time};
use serde::{Deserialize, Serialize};
use workload::config::Interval;
use workload::quantity::{Bytes, CpuTarget, MemoryTarget, Rate};

use super::quantities::{self, Share, SignedQuantity};
use super::quantity_maps;

/// The runtime of a mixed run that is the world's own.
const DEFAULT_RUNTIME: &str = "default";

/// A world: its nodes, the memory and CPU of instances, the durations of phases, and incidents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// Seed of all random numbers: runs of one world with one plan and one seed are identical.
    pub seed: u64,
    /// The time of day at which it begins.
    pub begin: Time,
    /// Kinds of nodes.
    pub nodes: Vec<NodeKind>,
    /// The load: memory and CPU of an instance's own program.
    pub load: LoadTruth,
    /// The runtime: memory and CPU of an instance beyond its load.
    pub runtime: RuntimeTruth,
    /// Other runtimes by name, for mixed runs: where they differ from `runtime` and `phases`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub runtimes: BTreeMap<String, OtherRuntime>,
    /// Durations of the phases of an instance.
    pub phases: PhaseTimes,
    /// Memory of the nodes beside the instances.
    pub machine: MachineTruth,
    /// What happens when a node runs out of memory.
    pub shortage: Shortage,
    /// Tasks of the nodes, and the limit on those of all instances; not simulated by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks: Option<TaskTruth>,
    /// A random number of instances that fit, beside all other limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Incidents.
    pub events: Vec<Incident>,
}

/// Nodes of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeKind {
    /// Their name; if there is more than one, a number follows: `node-0`.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Memory of each.
    #[serde(with = "quantities")]
    pub memory: Bytes,
    /// CPUs of each.
    pub cores: f64,
    /// Maximum number of instances on each.
    pub pods: u32,
    /// Unreclaimable memory of the idle machine.
    #[serde(with = "quantities")]
    pub idle: Bytes,
    /// Memory of its page cache, which is reclaimable.
    #[serde(with = "quantities")]
    pub page_cache: Bytes,
    /// Its swap space: what it has no memory for is swapped out; none by default.
    #[serde(with = "quantities", skip_serializing_if = "is_nothing")]
    pub swap: Bytes,
    /// The share of the instances' anonymous memory that is swapped out whether or not memory is short, for being cold.
    #[serde(skip_serializing_if = "is_no_share")]
    pub swapped: f64,
    /// By zswap swapped-out memory is compressed to this share of its size and stays in memory, up to a fifth of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zswap: Option<f64>,
    /// Whether instances may be scheduled there.
    pub eligible: bool,
    /// Nodes with the same name here share a kernel, and report the same memory.
    pub kernel: Option<String>,
}

/// Memory and CPU of an instance's own program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadTruth {
    /// Its resident set; overrides the manifest.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Its growth rate; overrides the manifest.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub growth_rate: Option<Rate>,
    /// Its CPU usage; overrides the manifest.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuTarget>,
    /// Time between its reports; overrides the manifest.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub report_every: Option<Duration>,
    /// The part of its resident set that is files mapped by all instances on a kernel, which exist once.
    #[serde(with = "quantities")]
    pub shared: Bytes,
    /// Page tables, as a share of its other memory.
    pub page_tables: f64,
    /// The share of its CPU time that it does not get.
    pub starved: f64,
    /// CPU time to fill its memory, per GB; until it has passed the load is ahead of its schedule.
    #[serde(with = "quantities")]
    pub fill_cpu_per_gb: Duration,
}

/// Memory and CPU of an instance beyond its load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuntimeTruth {
    /// Its name.
    pub name: String,
    /// Memory of each instance.
    #[serde(with = "quantities")]
    pub memory: Bytes,
    /// Memory of each instance for each byte of its container's memory limit.
    pub per_limit: Share,
    /// Standard deviation of that between instances, as a share of it.
    pub spread: f64,
    /// Memory that the first instance on a node takes once.
    #[serde(with = "quantities")]
    pub first: Bytes,
    /// CPU request of each, in cores.
    pub cpu_request: f64,
    /// Of its memory: what each component holds, by its name in `components.csv`. What is left over, nobody tells of.
    #[serde(with = "quantity_maps", skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Bytes>,
    /// Whether the memory of its load is in that of its `vmm` or `sentry`.
    #[serde(skip_serializing_if = "is_false")]
    pub guest: bool,
    /// What its loads see as memory of the machine (MemTotal) beside their memory limit, where it has guests; by default they see that
    /// of their node.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub guest_memory: Option<Bytes>,
    /// Of its memory: what is in use in the guest beyond the load and its page tables; `spread` is of this too.
    #[serde(with = "quantities", skip_serializing_if = "is_zero")]
    pub guest_used: Bytes,
    /// Memory that it takes beyond that for a while after its creation has begun.
    #[serde(with = "quantities", skip_serializing_if = "is_zero")]
    pub peak: Bytes,
    /// For how long.
    #[serde(with = "quantities", skip_serializing_if = "Duration::is_zero")]
    pub peak_for: Duration,
    /// CPU usage of each while its program runs, beyond that of the load, in cores; `spread` is of this too.
    pub cpu: f64,
    /// CPU time of each start; `spread` is of this too.
    #[serde(with = "quantities")]
    pub start_cpu: Duration,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(bytes: &Bytes) -> bool {
    bytes.0 == 0
}

/// Another runtime of a mixed run; what it does not say is as of the world's runtime.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtherRuntime {
    /// Memory of each instance.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Memory of each instance for each byte of its container's memory limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_limit: Option<Share>,
    /// Standard deviation of that between instances, as a share of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// Memory that the first instance on a node takes once.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub first: Option<Bytes>,
    /// CPU request of each, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_request: Option<f64>,
    /// From being scheduled to a sandbox that is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<PhaseTime>,
    /// CPU usage of each while its program runs, beyond that of the load, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// CPU time of each start.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub start_cpu: Option<Duration>,
    /// From there to the start of its program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<PhaseTime>,
    /// What each component holds; none of them where its memory differs and this is not said.
    #[serde(with = "quantity_maps", skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Bytes>,
}

/// A group of instances: those of a mixed run under one runtime, or all.
#[derive(Clone, Debug)]
pub(super) struct GroupTruth {
    /// The runtime's name in a mixed run.
    pub(super) name: Option<String>,
    pub(super) runtime: RuntimeTruth,
    pub(super) sandbox: PhaseTime,
    pub(super) create: PhaseTime,
}

/// Durations of the phases of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhaseTimes {
    /// From creation to being scheduled.
    pub schedule: PhaseTime,
    /// From there to a sandbox that is ready.
    pub sandbox: PhaseTime,
    /// From there to the start of its program.
    pub create: PhaseTime,
    /// Delay of the kubelet's events; by default there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<PhaseTime>,
    /// From holding its memory to observed readiness.
    pub ready: PhaseTime,
    /// From termination to removal.
    pub stop: PhaseTime,
    /// From a container's exit to its restart.
    pub restart: PhaseTime,
}

/// A lognormal duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhaseTime {
    /// Median.
    pub median: Duration,
    /// Standard deviation of its logarithm.
    pub spread: f64,
}

/// Memory of the nodes beside the instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineTruth {
    /// Standard deviation of the noise of a sample.
    #[serde(with = "quantities")]
    pub noise: Bytes,
    /// Standard deviation of the random walk of its own memory in a second.
    #[serde(with = "quantities")]
    pub wander: Bytes,
    /// Growth of its own memory in a second; negative if it shrinks.
    #[serde(with = "quantities")]
    pub drift: SignedQuantity<Bytes>,
    /// Programs of others, which start and end.
    pub others: Vec<Others>,
    /// Its own CPU usage, in cores.
    pub cpu: f64,
    /// Standard deviation of the CPU time that it uses more or less by chance in a second, in seconds.
    pub cpu_noise: f64,
    /// Standard deviation of the random walk of its own CPU usage in a second, in cores.
    pub cpu_wander: f64,
    /// Growth of its own CPU usage in an hour, in cores; negative if it falls.
    pub cpu_drift: f64,
    /// Programs of others that use CPU time, which start and end.
    pub cpu_others: Vec<CpuOthers>,
    /// Memory that it keeps for ever, per instance of the maximum on a node.
    #[serde(with = "quantities")]
    pub keeps: Bytes,
    /// Time in which 95 % of the memory of an ended instance is freed.
    #[serde(with = "quantities")]
    pub returns_within: Duration,
    /// Time between two samples of a node.
    #[serde(with = "quantities")]
    pub sample_every: Duration,
    /// Time of the first sample; random for each node by default.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub sample_phase: Option<Duration>,
    /// The share of samples that are lost.
    pub lost: f64,
    /// Maximum delay of a sample.
    #[serde(with = "quantities")]
    pub late: Duration,
    /// Time between two samples of the component probe; there is none by default.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub components_every: Option<Duration>,
    /// What components of a node, such as `kubelet`, hold for each instance there.
    #[serde(with = "quantity_maps", skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Bytes>,
}

/// Programs of others: each grows linearly for half of its time, and holds its memory for the other half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Others {
    /// Mean memory.
    #[serde(with = "quantities")]
    pub memory: Bytes,
    /// Mean time between two starts.
    #[serde(with = "quantities")]
    pub every: Duration,
    /// Mean duration.
    #[serde(with = "quantities")]
    pub lasts: Duration,
}

/// Programs of others that use CPU time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuOthers {
    /// Mean CPU usage, in cores.
    pub cpu: f64,
    /// Mean time between two starts.
    #[serde(with = "quantities")]
    pub every: Duration,
    /// Mean duration.
    #[serde(with = "quantities")]
    pub lasts: Duration,
}

/// What happens when a node runs out of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortage {
    /// No more instances are scheduled there: the memory of each is requested.
    #[default]
    Refuse,
    /// The newest instance is evicted and replaced.
    Evict,
    /// The newest instance is OOM-killed and restarted.
    OomKill,
}

/// Tasks (PIDs) of the nodes. Each node tells them as limits: those in the cgroup of all pods, and those of the machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskTruth {
    /// The limit on tasks of all pods of a node (`pids.max` of kubepods); none by default. Beyond it no instance can be created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Tasks of the idle machine.
    pub idle: u64,
    /// Tasks of each instance in the cgroup of all pods, on average.
    pub each: f64,
    /// Standard deviation of that between instances.
    pub spread: f64,
    /// Tasks of each instance outside of that cgroup, as of a shim.
    pub beside: u64,
    /// Standard deviation of the machine's own tasks between two readings.
    pub noise: f64,
    /// Time between two readings of the limits.
    #[serde(with = "quantities")]
    pub read_every: Duration,
}

/// How many instances fit, drawn anew from a normal distribution whenever fewer are requested than before, as by fragmentation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    #[serde(default)]
    pub deviation: f64,
    /// What happens to the first that does not fit.
    #[serde(default)]
    pub beyond: Beyond,
}

/// What happens to an instance that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// No node has room for it.
    #[default]
    Unschedulable,
    /// It is evicted and replaced once it holds its memory.
    Evict,
    /// It is OOM-killed and restarted once it holds its memory.
    OomKill,
}

/// An incident: a fault, or an action of others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Its kind.
    pub what: IncidentKind,
    /// When it begins, since the cluster was created: the first step comes after the plan's time to settle.
    #[serde(default, with = "quantities", skip_serializing_if = "Option::is_none")]
    pub at: Option<Duration>,
    /// Or: once this many instances hold their memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// The node, for kinds that affect one; the first by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Number of instances affected, the newest first.
    #[serde(default = "one")]
    pub count: u32,
    /// Duration; for ever by default.
    #[serde(default, with = "quantities", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// Resource of an eviction, as of the kubelet: memory, ephemeral-storage, inodes, pids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Who does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Replicas that others set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// Offset of the clock; negative if it is behind.
    #[serde(default, with = "quantities", skip_serializing_if = "Option::is_none")]
    pub ahead: Option<SignedQuantity<Duration>>,
}

fn one() -> u32 {
    1
}

fn is_nothing(bytes: &Bytes) -> bool {
    bytes.0 == 0
}

fn is_no_share(share: &f64) -> bool {
    *share <= 0.0
}

/// Kinds of incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// Instances are evicted, for `resource`.
    Evict,
    /// Instances are preempted.
    Preempt,
    /// Instances are OOM-killed, although there is memory.
    OomKill,
    /// Programs of instances are killed.
    Kill,
    /// A node is drained.
    Drain,
    /// Others set the number of replicas.
    Scale,
    /// Instances are deleted, and replaced.
    Delete,
    /// The image of new instances is not found.
    ImageMissing,
    /// The API does not answer requests. Nothing is observed meanwhile.
    ApiHangs,
    /// The API refuses connections. Nothing is observed meanwhile.
    ApiRefuses,
    /// A node is not ready.
    NodeNotReady,
    /// A node sends no samples.
    ProbeSilent,
    /// Containers of new instances cannot be created: their configuration is wrong.
    ConfigError,
    /// Programs of new instances exit shortly after their start, and are started again.
    CrashLoop,
    /// A quota: no more than `to` instances are created.
    Quota,
    /// Nodes refuse new instances, which fail for good and are replaced.
    RefuseInstances,
    /// Others delete the workload: its instances end, and none is created again.
    DeleteWorkload,
    /// A node's clock is set: times of its kubelet, its samples and its instances follow it.
    ClockSet,
    /// The wall clock of the machine that records is set.
    RecorderClockSet,
    /// The machine that records is suspended, and the cluster is not.
    RecorderSuspended,
}

impl Default for World {
    fn default() -> Self {
        Self {
            seed: 1,
            // 2026-01-01, noon.
            begin: Time(std::time::UNIX_EPOCH + Duration::from_secs(1_767_268_800)),
            nodes: vec![NodeKind::default()],
            load: LoadTruth::default(),
            runtime: RuntimeTruth::default(),
            runtimes: BTreeMap::new(),
            phases: PhaseTimes::default(),
            machine: MachineTruth::default(),
            shortage: Shortage::default(),
            tasks: None,
            placement: None,
            events: Vec::new(),
        }
    }
}

impl Default for TaskTruth {
    fn default() -> Self {
        Self {
            limit: None,
            idle: 200,
            each: 3.0,
            spread: 0.0,
            beside: 12,
            noise: 1.0,
            read_every: Duration::from_secs(5),
        }
    }
}

impl Default for NodeKind {
    fn default() -> Self {
        Self {
            name: "node".into(),
            count: 2,
            memory: Bytes(16 << 30),
            cores: 8.0,
            pods: 110,
            idle: Bytes(1 << 30),
            page_cache: Bytes(1 << 30),
            swap: Bytes(0),
            swapped: 0.0,
            zswap: None,
            eligible: true,
            kernel: None,
        }
    }
}

impl Default for LoadTruth {
    fn default() -> Self {
        Self {
            memory: None,
            growth_rate: None,
            cpu: None,
            report_every: None,
            shared: Bytes(1_500_000),
            page_tables: 1.0 / 512.0,
            starved: 0.0,
            fill_cpu_per_gb: Duration::from_millis(700),
        }
    }
}

impl Default for RuntimeTruth {
    fn default() -> Self {
        Self {
            name: "simulated".into(),
            memory: Bytes(2_000_000),
            per_limit: Share::default(),
            spread: 0.0,
            first: Bytes(0),
            cpu_request: 0.0,
            parts: BTreeMap::new(),
            guest: false,
            guest_memory: None,
            guest_used: Bytes(0),
            peak: Bytes(0),
            peak_for: Duration::ZERO,
            cpu: 0.0,
            start_cpu: Duration::ZERO,
        }
    }
}

impl Default for PhaseTimes {
    fn default() -> Self {
        let phase = |milliseconds, spread| PhaseTime { median: Duration::from_millis(milliseconds), spread };
        Self {
            schedule: phase(10, 0.2),
            sandbox: phase(0, 0.0),
            create: phase(600, 0.2),
            events: None,
            ready: phase(200, 0.2),
            stop: phase(300, 0.2),
            restart: phase(10_000, 0.0),
        }
    }
}

impl Default for MachineTruth {
    fn default() -> Self {
        Self {
            noise: Bytes(300_000),
            wander: Bytes(100_000),
            drift: SignedQuantity::default(),
            others: Vec::new(),
            cpu: 0.05,
            cpu_noise: 0.01,
            cpu_wander: 0.0,
            cpu_drift: 0.0,
            cpu_others: Vec::new(),
            keeps: Bytes(0),
            returns_within: Duration::ZERO,
            sample_every: Duration::from_secs(1),
            sample_phase: None,
            lost: 0.0,
            late: Duration::ZERO,
            components_every: None,
            parts: BTreeMap::new(),
        }
    }
}

impl World {
    /// The world in a plan's options, or the default one.
    ///
    /// # Errors
    /// Where it is not a world.
    pub fn of(options: &EngineOptions) -> Result<Self, String> {
        let world = options.world.clone().map(serde_json::from_value).transpose();
        Ok(world.map_err(|error| format!("options.world: {error}"))?.unwrap_or_default())
    }

    /// That the world has these runtimes: its own, also called `default`, and those of `runtimes`.
    ///
    /// # Errors
    /// Where it lacks one.
    pub fn check_mix(&self, mix: &[String]) -> Result<(), String> {
        let own = |name: &String| *name == self.runtime.name || name == DEFAULT_RUNTIME;
        let Some(missing) = mix.iter().find(|name| !own(name) && !self.runtimes.contains_key(*name)) else {
            return Ok(());
        };
        let known: Vec<&str> =
            [DEFAULT_RUNTIME].into_iter().chain(self.runtimes.keys().map(String::as_str)).collect();
        Err(format!(
            "--mix: no runtime {missing} in the world (it has {}); name it under runtimes",
            known.join(", ")
        ))
    }

    /// The world with what its runtimes take for a memory limit of the container in the memory that they take, and the limit in that of
    /// its guests.
    ///
    /// # Errors
    /// Where a runtime takes memory for it, and there is none.
    pub(super) fn with_limit(mut self, limit: Option<Bytes>) -> Result<Self, String> {
        if let (Some(memory), Some(limit)) = (&mut self.runtime.guest_memory, limit) {
            memory.0 = memory.0.saturating_add(limit.0);
        }
        let own = self.runtime.clone();
        let shares = self.runtimes.values().map(|other| other.per_limit.unwrap_or(own.per_limit));
        if shares.chain([own.per_limit]).all(|share| share == Share::default()) {
            return Ok(self);
        }
        let Some(limit) = limit else {
            return Err("runtime.per_limit: the container has no memory limit; expected resources.limits.memory in the manifest, or \
                        limits: {memory: 512Mi} of a size of the study"
                .into());
        };
        let whole = |memory: Bytes, share: Share| Bytes(memory.0 + share.of(limit.0));
        for other in self.runtimes.values_mut() {
            let share = other.per_limit.take().unwrap_or(own.per_limit);
            other.memory = Some(whole(other.memory.unwrap_or(own.memory), share));
        }
        self.runtime.memory = whole(own.memory, own.per_limit);
        self.runtime.per_limit = Share::default();
        Ok(self)
    }

    /// The groups of a run with this mix.
    pub(super) fn groups(&self, mix: &[String]) -> Vec<GroupTruth> {
        let PhaseTimes { sandbox, create, .. } = self.phases;
        let own = GroupTruth { name: None, runtime: self.runtime.clone(), sandbox, create };
        if mix.is_empty() {
            return vec![own];
        }
        let group = |name: &String| {
            let other = self.runtimes.get(name).cloned().unwrap_or_default();
            GroupTruth {
                name: Some(name.clone()),
                runtime: RuntimeTruth {
                    name: name.clone(),
                    memory: other.memory.unwrap_or(self.runtime.memory),
                    per_limit: other.per_limit.unwrap_or(self.runtime.per_limit),
                    spread: other.spread.unwrap_or(self.runtime.spread),
                    first: other.first.unwrap_or(self.runtime.first),
                    cpu_request: other.cpu_request.unwrap_or(self.runtime.cpu_request),
                    parts: match other.memory {
                        None if other.parts.is_empty() => self.runtime.parts.clone(),
                        _ => other.parts,
                    },
                    cpu: other.cpu.unwrap_or(self.runtime.cpu),
                    start_cpu: other.start_cpu.unwrap_or(self.runtime.start_cpu),
                    ..self.runtime.clone()
                },
                sandbox: other.sandbox.unwrap_or(sandbox),
                create: other.create.unwrap_or(create),
            }
        };
        mix.iter().map(group).collect()
    }

    /// The scenario with the load of this world, if it has one.
    ///
    /// # Errors
    /// Where its container is not a load.
    pub fn applied_to(&self, scenario: &Scenario) -> Result<Scenario, String> {
        let LoadTruth { memory, growth_rate, cpu, report_every, .. } = &self.load;
        scenario.with_load(|load| {
            if let Some(memory) = memory {
                load.memory = MemoryTarget::Bytes(*memory);
            }
            if let Some(rate) = growth_rate {
                load.growth_rate = *rate;
                load.growth_step = None;
            }
            load.cpu = cpu.unwrap_or(load.cpu);
            load.reports.report_every = report_every.map_or(load.reports.report_every, Interval);
        })
    }

    /// All nodes, each with its kind.
    pub(super) fn node_names(&self) -> impl Iterator<Item = (String, &NodeKind)> {
        self.nodes.iter().flat_map(|kind| {
            (0..kind.count).map(move |number| match kind.count {
                1 => (kind.name.clone(), kind),
                _ => (format!("{}-{number}", kind.name), kind),
            })
        })
    }
}

impl PhaseTime {
    /// A constant duration.
    #[must_use]
    pub fn fixed(median: Duration) -> Self {
        Self { median, spread: 0.0 }
    }
}

/// A phase without a spread is written as a time.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a time, such as 1s, or {median: 1s, spread: 0.3}")]
enum PhaseText {
    Time(String),
    Spread {
        #[serde(with = "quantities")]
        median: Duration,
        spread: f64,
    },
}

impl Serialize for PhaseTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PhaseText::Spread { median: self.median, spread: self.spread }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PhaseTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match PhaseText::deserialize(deserializer)? {
            PhaseText::Time(text) => Self::fixed(parse_time(&text).map_err(serde::de::Error::custom)?),
            PhaseText::Spread { median, spread } => Self { median, spread },
        })
    }
}
