//! A run as data, whatever recorded it: its steps, the samples of its nodes, and what a run directory has beside them.

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use super::observation_gaps::Undated;
use super::swapped::SwappedMemory;
use super::workload_reports::Reports;
use ramp_format::preflight::RuntimeClassFacts;
use ramp_format::rows::{ComponentRow, EventRow, LimitRow, Part, PodRow, StepOutcome};
use ramp_format::run_file::RunFile;
use ramp_format::running_count::{Most, PeakCounts};
use ramp_format::scenario::Scenario;
use ramp_format::sidecar::Sidecar;

/// One run.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What it is called: the name of its file or directory.
    pub name: String,
    /// What recorded it.
    pub source: Source,
    /// Rows that were read.
    pub rows: usize,
    /// What a reader has to know of the data, in sentences.
    pub notes: Vec<String>,
    /// Its steps, in the order in which they were recorded.
    pub steps: Vec<Step>,
    /// The nodes' samples.
    pub nodes: Vec<NodeSeries>,
}

/// What recorded a run.
#[derive(Clone, Debug)]
pub enum Source {
    /// A run directory of ramp.
    Run(Box<Recorded>),
    /// A CSV file of the study.
    LegacyCsv,
    /// Pod latencies of kube-burner.
    KubeBurner(Vec<PodLatency>),
}

/// The start of a pod, as kube-burner saw it. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct PodLatency {
    /// When it was created, in whole seconds.
    pub created_seconds: f64,
    /// From then until it had a node.
    pub scheduled_after: f64,
    /// Until its sandbox was ready; none where that was not seen.
    pub sandbox_after: Option<f64>,
    /// Until its containers were started; none where that was not seen.
    pub started_after: Option<f64>,
    /// Until it was ready.
    pub ready_after: f64,
    /// Its name; empty where the document has none.
    pub name: String,
    /// Its node, likewise.
    pub node: String,
}

/// How new a sample is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// It says something that was not said before.
    Fresh,
    /// It repeats an older one.
    Stale,
    /// There is none.
    #[default]
    Missing,
}

/// A step, as it was when it ended. What the source does not say is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Its number, as its source counts.
    pub step: u32,
    /// Which part of the run it is of.
    pub part: Part,
    /// How it ended.
    pub outcome: Option<StepOutcome>,
    /// When it ended, since the run began.
    pub elapsed_seconds: Option<f64>,
    /// How long it took.
    pub step_seconds: Option<f64>,
    /// Instances asked for.
    pub asked: Option<u32>,
    /// Running instances, whether or not they hold all of their memory.
    pub running: u32,
    /// Of these: instances that hold all of their memory.
    pub ready: Option<u32>,
    /// Instances on no node yet.
    pub pending: Option<u32>,
    /// Instances that the scheduler finds no node for.
    pub unschedulable: Option<u32>,
    /// Instances on a node, not yet running.
    pub creating: Option<u32>,
    /// Instances told to end.
    pub terminating: Option<u32>,
    /// Instances evicted and still listed.
    pub evicted: Option<u32>,
    /// Instances that have failed, OOM-killed or otherwise, and are not running again.
    pub failed: Option<u32>,
    /// Evictions since the run began.
    pub evictions_total: Option<u32>,
    /// OOM kills since the run began.
    pub oom_kills_total: Option<u32>,
    /// Work that all instances together did.
    pub work_units: Option<f64>,
    /// How often they told of it.
    pub work_count: Option<f64>,
    /// The longest that any request to the API took.
    pub api_latency_seconds: Option<f64>,
    /// Nodes that are not ready.
    pub nodes_not_ready: Option<u32>,
    /// Memory of all nodes together, as the source has it.
    pub memory: NodeMemory,
    /// Whether each node had a fresh sample: only then is the memory of all nodes that of this step.
    pub fresh: bool,
    /// Stop rules that were true after it, separated by blanks.
    pub rules: String,
    /// Climb of a search that it belongs to.
    pub climb: Option<u32>,
    /// Whether it held, as a level of a search.
    pub level_held: Option<bool>,
    /// Why it did not, or why that is not known.
    pub not_held_because: Option<String>,
}

/// Memory in bytes, as `/proc/meminfo` tells of it. What the source does not say is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// MemTotal.
    pub total: Option<u64>,
    /// MemFree.
    pub free: Option<u64>,
    /// MemAvailable.
    pub available: Option<u64>,
    /// Active.
    pub active: Option<u64>,
    /// AnonPages and Shmem: what programs have for themselves.
    pub anon_and_shared: Option<u64>,
    /// Memory that the kernel cannot take back but by swapping or killing.
    pub unreclaimable: Option<u64>,
    /// Of that: what the kernel takes for itself.
    pub kernel: KernelMemory,
    /// What is swapped out.
    pub swapped: Option<SwappedMemory>,
}

/// What a kernel takes for itself and cannot take back, in bytes. What the source does not say is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelMemory {
    /// PageTables, with SecPageTables.
    pub page_tables: Option<u64>,
    /// SUnreclaim.
    pub slab: Option<u64>,
    /// KernelStack.
    pub stacks: Option<u64>,
    /// Percpu.
    pub per_cpu: Option<u64>,
}

impl KernelMemory {
    /// All of it; none where the source tells nothing.
    #[must_use]
    pub fn all(&self) -> Option<u64> {
        let parts = [self.page_tables?, self.slab?, self.stacks?, self.per_cpu.unwrap_or(0)];
        Some(parts.iter().fold(0, |sum, part| sum.saturating_add(*part)))
    }
}

impl NodeMemory {
    /// Memory that could not be given to others: MemTotal − MemAvailable.
    #[must_use]
    pub fn not_available(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.available?))
    }

    /// Memory that is neither active nor free.
    #[must_use]
    pub fn unaccounted(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.active?).saturating_sub(self.free?))
    }
}

/// A node, and its samples.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSeries {
    /// Its name.
    pub name: String,
    /// Its samples, in the order in which they were recorded.
    pub samples: Vec<NodeSample>,
}

/// What a node's machine said of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeSample {
    /// Number of the step that it was recorded in.
    pub step: u32,
    /// When it was recorded, since the run began.
    pub elapsed_seconds: Option<f64>,
    /// When its node took it, by that node's clock as it was at the first sample, in seconds since 1970.
    pub taken_seconds: Option<f64>,
    /// How long before it was recorded that was, at least.
    pub age_seconds: Option<f64>,
    /// Index of the kernel that it is of, where the source tells of kernels: after a boot it is another one.
    pub kernel: Option<usize>,
    /// How new it is.
    pub freshness: Freshness,
    /// Instances running on this node then.
    pub instances: Option<u32>,
    /// Its memory.
    pub memory: NodeMemory,
    /// What all instances have together, where they are confined together.
    pub budget_used: Option<u64>,
    /// Processes that the kernel has killed for memory since the machine was booted.
    pub oom_kills: Option<u64>,
    /// Time that some task waited for memory, since the machine was booted (`/proc/pressure/memory`).
    pub memory_pressure_seconds: Option<f64>,
    /// The same for CPU.
    pub cpu_pressure_seconds: Option<f64>,
    /// The same for input and output.
    pub io_pressure_seconds: Option<f64>,
    /// CPU time, where the sample has all of it.
    pub cpu: Option<KernelCpu>,
}

/// CPU time of a kernel since it was booted, of all of its CPUs, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KernelCpu {
    /// In which they did not run any program: idle, waiting for input and output, or taken by the hypervisor.
    pub free: f64,
    /// In which they did, by ticks.
    pub busy: f64,
}

/// Cells of a dataset: a cell is what one node says at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    /// All of them.
    pub all: usize,
    /// Those that only repeat an older one.
    pub stale: usize,
    /// Those that are not there.
    pub missing: usize,
}

/// What a run directory has beside steps and nodes.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `run.json`.
    pub run: RunFile,
    /// `pods.csv`.
    pub pods: Vec<PodRow>,
    /// `events.csv`.
    pub events: Vec<EventRow>,
    /// `components.csv`; empty where no component probe ran.
    pub components: Vec<ComponentRow>,
    /// `limits.csv`.
    pub limits: Vec<LimitRow>,
    /// `workloads.csv`, of it what tells whether instances do what they are there for.
    pub reports: Reports,
    /// When each row of [`Self::pods`] happened, in seconds since the run began: when it was seen, or, where it was seen late, when its
    /// source says that it was.
    pub happened_seconds: Vec<f64>,
    /// Why times and durations are not known, if they are not.
    pub untimed: Option<String>,
    /// Instances of which it is not known when they went.
    pub undated: Vec<Undated>,
    /// Rows that were seen late.
    pub seen_late: usize,
    /// Who was there at once.
    pub population: PeakCounts,
    /// Kernels by the boot ids that nodes told, and the index of the node in [`Dataset::nodes`] for each of its nodes.
    pub kernels: Vec<Vec<usize>>,
    /// [`Self::settings`], once they were asked for.
    pub(crate) settings: OnceLock<Settings>,
}

impl Cells {
    /// Stale ones in percent of all; none where there are no cells.
    #[must_use]
    pub fn stale_percent(&self) -> Option<f64> {
        (self.all > 0).then(|| 100.0 * self.stale as f64 / self.all as f64)
    }
}

impl Dataset {
    /// [`Recorded::sidecars`], of what recorded them.
    #[must_use]
    pub fn sidecars(&self) -> Vec<Sidecar> {
        self.recorded().map(Recorded::sidecars).unwrap_or_default()
    }

    /// Steps that asked for more, with their indices.
    pub fn way_up(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate().filter(|(_, step)| step.part == Part::Up)
    }

    /// What a run directory has beside steps and nodes; none of what other tools recorded.
    #[must_use]
    pub fn recorded(&self) -> Option<&Recorded> {
        match &self.source {
            Source::LegacyCsv | Source::KubeBurner(_) => None,
            Source::Run(recorded) => Some(recorded),
        }
    }

    /// The startup of each pod, where kube-burner recorded it.
    #[must_use]
    pub fn pod_latencies(&self) -> Option<&[PodLatency]> {
        match &self.source {
            Source::KubeBurner(pods) => Some(pods),
            Source::LegacyCsv | Source::Run(_) => None,
        }
    }

    /// Whether another tool recorded it: it is no run directory.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.recorded().is_none()
    }

    /// Time of the last row, in seconds since the run began.
    pub(crate) fn end_seconds(&self) -> f64 {
        let step = self.steps.last().and_then(|step| step.elapsed_seconds);
        let pod = self.recorded().and_then(|recorded| recorded.pods.last()).map(|row| row.elapsed_seconds);
        step.into_iter().chain(pod).fold(0.0, f64::max)
    }

    /// How many cells there are, and how many of them say nothing new.
    #[must_use]
    pub fn cells(&self) -> Cells {
        let mut cells = Cells::default();
        for sample in self.nodes.iter().flat_map(|node| &node.samples) {
            cells.all += 1;
            match sample.freshness {
                Freshness::Fresh => {}
                Freshness::Stale => cells.stale += 1,
                Freshness::Missing => cells.missing += 1,
            }
        }
        cells
    }
}

/// What the container of a run was told to do, as its manifest has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Settings {
    /// Bytes a second by which its memory grows; none where it has all of it at once, or that is not known.
    pub growth_bytes_per_second: Option<f64>,
    /// Seconds between two reports.
    pub report_every_seconds: Option<f64>,
}

impl Recorded {
    /// Containers beside the load's own in the pods of the run, by name. What they use is in each figure per instance.
    #[must_use]
    pub fn sidecars(&self) -> Vec<Sidecar> {
        let found = self.events.iter().filter_map(|row| Sidecar::of(&row.object, &row.reason, &row.message));
        found.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The most instances that held all of their memory at once: as the run itself has counted until it removed them, or by its rows
    /// where it has not come to that.
    #[must_use]
    pub fn held(&self) -> Most {
        self.run.held.unwrap_or_else(|| self.population.held())
    }

    /// The most that ran at once.
    #[must_use]
    pub fn running(&self) -> Most {
        self.run.running.unwrap_or_else(|| self.population.running())
    }

    /// The RuntimeClass of the pods of the run, or of the group with an index of a mixed run; none where they have none.
    #[must_use]
    pub fn runtime_class(&self, group: Option<usize>) -> Option<&RuntimeClassFacts> {
        let class = match group {
            None => self.run.runtime_class.as_ref(),
            Some(group) => self.run.runtime_classes.get(group),
        };
        class.filter(|class| !class.handler.is_empty())
    }

    /// What the container was told to do.
    #[must_use]
    pub fn settings(&self) -> Settings {
        *self.settings.get_or_init(|| self.read_settings())
    }

    fn read_settings(&self) -> Settings {
        let scenario = Scenario::of(self.run.manifest.clone());
        let Ok((load, unknown)) =
            scenario.and_then(|scenario| Ok((scenario.load()?, scenario.unknown_settings())))
        else {
            return Settings::default();
        };
        let is_known = |option: &str| !unknown.contains_key(option);
        Settings {
            growth_bytes_per_second: match load.growth_rate {
                workload::quantity::Rate::PerSecond(rate) if is_known("growth-rate") => Some(rate.0 as f64),
                _ => None,
            },
            report_every_seconds: is_known("report-every")
                .then_some(load.reports.report_every.0.as_secs_f64()),
        }
    }

    /// Rows of instances on nodes of these names, with the seconds at which they happened, in that order.
    #[must_use]
    pub fn happened(&self, nodes: &HashSet<&str>) -> Vec<(f64, &PodRow)> {
        let on_these = |row: &PodRow| row.node.as_deref().is_some_and(|node| nodes.contains(node));
        let all = self.happened_seconds.iter().copied().zip(&self.pods);
        let mut rows: Vec<(f64, &PodRow)> = all.filter(|(_, row)| on_these(row)).collect();
        rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        rows
    }
}
