//! What is true of a simulated cluster: a YAML file, see docs/worlds.md.

use std::time::Duration;

use ramp_format::plan::EngineOptions;
use ramp_format::scenario::Scenario;
use ramp_format::time::{Time, parse_time};
use serde::{Deserialize, Serialize};
use workload::config::Interval;
use workload::quantity::{Bytes, CpuTarget, MemoryTarget, Rate};

use super::quantities::{self, Signed};

/// A world: its machines, what instances take of them, how long things take, and what goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// Seed of everything that is drawn: two runs of one world with one plan and one seed are the same.
    pub seed: u64,
    /// The time of day at which it begins.
    pub begin: Time,
    /// Kinds of nodes.
    pub nodes: Vec<NodeKind>,
    /// The load: what an instance's own program takes.
    pub load: LoadTruth,
    /// The runtime: what an instance takes beyond its load.
    pub runtime: RuntimeTruth,
    /// How long each phase of an instance's life takes.
    pub phases: PhaseTimes,
    /// What the machines do beside the instances.
    pub machine: MachineTruth,
    /// What happens where a node has no more memory.
    pub shortage: Shortage,
    /// What goes wrong, or is done by others.
    pub events: Vec<Incident>,
}

/// Nodes of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeKind {
    /// Their name; where there is more than one a number follows: `node-0`.
    pub name: String,
    /// How many.
    pub count: u32,
    /// Memory of each.
    #[serde(with = "quantities")]
    pub memory: Bytes,
    /// CPUs of each.
    pub cores: f64,
    /// Instances that each takes.
    pub pods: u32,
    /// Memory that the idle machine cannot give to anybody.
    #[serde(with = "quantities")]
    pub idle: Bytes,
    /// Memory that its page cache holds, and gives up when it is needed.
    #[serde(with = "quantities")]
    pub page_cache: Bytes,
    /// Whether instances may be put there.
    pub eligible: bool,
    /// Nodes of one name here run on one kernel, and tell the same of its memory.
    pub kernel: Option<String>,
}

/// What an instance's own program takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadTruth {
    /// Its resident set, in place of the manifest's.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// How fast it grows to that, in place of the manifest's.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub growth_rate: Option<Rate>,
    /// Its CPU time per time, in place of the manifest's.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuTarget>,
    /// Time between its reports, in place of the manifest's.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub report_every: Option<Duration>,
    /// Of its resident set: files that all instances on a kernel map, which that kernel holds once.
    #[serde(with = "quantities")]
    pub shared: Bytes,
    /// Page tables, as a share of its other memory.
    pub page_tables: f64,
    /// The share of its CPU time that it does not get.
    pub starved: f64,
    /// CPU time that it uses to fill its memory, per GB: it is ahead of its schedule until that has passed.
    #[serde(with = "quantities")]
    pub fill_cpu_per_gb: Duration,
}

/// What an instance takes beyond its load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuntimeTruth {
    /// Its name.
    pub name: String,
    /// Memory of each instance.
    #[serde(with = "quantities")]
    pub memory: Bytes,
    /// By how much that differs between instances: its standard deviation as a share of it.
    pub spread: f64,
    /// Memory that the first instance on a node takes once.
    #[serde(with = "quantities")]
    pub first: Bytes,
    /// CPU that each requests of its node, in cores.
    pub cpu_request: f64,
}

/// How long each phase of an instance's life takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhaseTimes {
    /// From being made to having a node.
    pub schedule: PhaseTime,
    /// From there to the begin of its program.
    pub create: PhaseTime,
    /// From holding its memory to being seen to.
    pub ready: PhaseTime,
    /// From being told to end to being gone.
    pub stop: PhaseTime,
    /// From a container's end to its next begin.
    pub restart: PhaseTime,
}

/// A time that differs from case to case: lognormal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhaseTime {
    /// As many are shorter as are longer.
    pub median: Duration,
    /// Standard deviation of its logarithm.
    pub spread: f64,
}

/// What the machines do beside the instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MachineTruth {
    /// Standard deviation of what a sample is off by chance.
    #[serde(with = "quantities")]
    pub noise: Bytes,
    /// Standard deviation of how far its own memory wanders in a second.
    #[serde(with = "quantities")]
    pub wander: Bytes,
    /// By how much its own memory grows in a second; less than 0 where it shrinks.
    #[serde(with = "quantities")]
    pub drift: Signed<Bytes>,
    /// Programs of others that come and go.
    pub others: Vec<Others>,
    /// Memory that it keeps for ever, for each of the most instances that there were at once on a node.
    #[serde(with = "quantities")]
    pub keeps: Bytes,
    /// How long it takes to give back nearly all of what an instance had.
    #[serde(with = "quantities")]
    pub returns_within: Duration,
    /// Time between two samples of a node.
    #[serde(with = "quantities")]
    pub sample_every: Duration,
    /// When the first one comes; drawn for each node where it is not said.
    #[serde(with = "quantities", skip_serializing_if = "Option::is_none")]
    pub sample_phase: Option<Duration>,
    /// The share of samples that never arrive.
    pub lost: f64,
    /// How late a sample arrives at most.
    #[serde(with = "quantities")]
    pub late: Duration,
}

/// Programs of others: each takes memory evenly for half of its time, holds it for the other half, and ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Others {
    /// Memory of each, on average.
    #[serde(with = "quantities")]
    pub memory: Bytes,
    /// Time between two of them, on average.
    #[serde(with = "quantities")]
    pub every: Duration,
    /// How long each stays, on average.
    #[serde(with = "quantities")]
    pub lasts: Duration,
}

/// What happens where a node has no more memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortage {
    /// No more instances are put there: what each takes is requested.
    #[default]
    Refuse,
    /// The newest instance is evicted, and another made in its place.
    Evict,
    /// The newest instance is killed, and started again.
    OomKill,
}

/// Something that goes wrong, or is done by others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// What.
    pub what: IncidentKind,
    /// When, since the cluster was made: the first step comes after what the plan has for settling.
    #[serde(default, with = "quantities", skip_serializing_if = "Option::is_none")]
    pub at: Option<Duration>,
    /// Or: once so many instances hold their memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Which node, where it is of one; else the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// How many instances it hits, the newest first.
    #[serde(default = "one")]
    pub count: u32,
    /// For how long, where it has an end; else for ever.
    #[serde(default, with = "quantities", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
    /// What an eviction is for, in the kubelet's word: memory, ephemeral-storage, inodes, pids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Instances that others ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// By how much a clock is then ahead of the time; less than 0 where it is behind.
    #[serde(default, with = "quantities", skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Signed<Duration>>,
}

fn one() -> u32 {
    1
}

/// What goes wrong, or is done by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IncidentKind {
    /// Instances are evicted, for `resource`.
    Evict,
    /// Instances make room for others of a higher priority.
    Preempt,
    /// Instances are killed for memory, whatever there is of it.
    OomKill,
    /// Somebody kills instances' programs.
    Kill,
    /// Somebody removes a node's instances, and lets no more come.
    Drain,
    /// Somebody else asks for another number of instances.
    Scale,
    /// Somebody deletes instances; others are made in their place.
    Delete,
    /// The image of those made from now on is not found.
    ImageMissing,
    /// The API takes requests and answers none. Nothing is seen meanwhile.
    ApiHangs,
    /// The API refuses connections. Nothing is seen meanwhile.
    ApiRefuses,
    /// A node is not ready.
    NodeNotReady,
    /// A node's machine says nothing.
    ProbeSilent,
    /// A node's clock is set to another time: what its kubelet, its machine and its instances tell of bears that.
    ClockSet,
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
            phases: PhaseTimes::default(),
            machine: MachineTruth::default(),
            shortage: Shortage::default(),
            events: Vec::new(),
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
            spread: 0.0,
            first: Bytes(0),
            cpu_request: 0.0,
        }
    }
}

impl Default for PhaseTimes {
    fn default() -> Self {
        let phase = |milliseconds, spread| PhaseTime { median: Duration::from_millis(milliseconds), spread };
        Self {
            schedule: phase(10, 0.2),
            create: phase(600, 0.2),
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
            drift: Signed::default(),
            others: Vec::new(),
            keeps: Bytes(0),
            returns_within: Duration::ZERO,
            sample_every: Duration::from_secs(1),
            sample_phase: None,
            lost: 0.0,
            late: Duration::ZERO,
        }
    }
}

impl World {
    /// The world that a plan's options have, or the default one.
    ///
    /// # Errors
    /// Where it is no world.
    pub fn of(options: &EngineOptions) -> Result<Self, String> {
        let world = options.world.clone().map(serde_json::from_value).transpose();
        Ok(world.map_err(|error| format!("options.world: {error}"))?.unwrap_or_default())
    }

    /// The scenario with the load that this world says, where it says one.
    ///
    /// # Errors
    /// Where its container is no load whose arguments are understood.
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
    /// One that always takes as long.
    #[must_use]
    pub fn fixed(median: Duration) -> Self {
        Self { median, spread: 0.0 }
    }
}

/// A phase that has no spread of its own is a time.
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
