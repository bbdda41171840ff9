//! What a report is made from: one run, whatever recorded it.
//!
//! | source | read from |
//! |---|---|
//! | [`Source::Run`] | a run directory of ramp, whole or cut short anywhere |
//! | [`Source::Study`] | a CSV file in one of the layouts that the study of 2021 and its successors left |
//!
//! Reading decides nothing but what is fresh: a sample that only repeats an older one is [`Freshness::Stale`], one that is not there
//! is [`Freshness::Missing`]. Neither may enter a sum or a fit; both are kept, to be counted and shown.

mod clocks;
mod legacy_csv;
mod observation_gaps;
mod row_deserializer;
mod run_directory;
mod steady_state;
mod table_reader;
mod workload_reports;

pub use observation_gaps::{ObservationGaps, Undated};
pub use run_directory::Recorded;
pub use steady_state::RetainedMemory;
pub use table_reader::{Malformed, Unreadable};
pub use workload_reports::{ReportRow, Reports};

use std::collections::HashSet;
use std::path::{Ancestors, Path, PathBuf};

use crate::analysis::Capacity;
use crate::stats::{Observation, Point};
use ramp_format::rows::{Part, StepOutcome};
use ramp_format::running_count::Most;

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
    Study,
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
    /// Instances at work, whether or not they hold all of their memory.
    pub running: u32,
    /// Of these: instances that hold all of their memory.
    pub ready: Option<u32>,
    /// Instances on no node yet.
    pub pending: Option<u32>,
    /// Instances that the scheduler finds no node for.
    pub unschedulable: Option<u32>,
    /// Instances on a node, not yet at work.
    pub creating: Option<u32>,
    /// Instances told to end.
    pub terminating: Option<u32>,
    /// Instances evicted and still listed.
    pub evicted: Option<u32>,
    /// Instances that have failed, killed for memory or otherwise, and are not at work again.
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
    /// Instances at work on this node then.
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

/// Memory against instances.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Which memory.
    pub measure: &'static str,
    /// Of what, and when it was looked at.
    pub of: String,
    /// Points with instances as x and bytes as y, for each thing that has an intercept of its own.
    pub series: Vec<Vec<Point>>,
    /// Where the source tells what instances hold themselves: the memory beyond that.
    pub beyond: Option<BeyondReported>,
}

/// What kernels hold beyond what their instances report to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct BeyondReported {
    /// For each kernel: bytes by time, with the instances there and the nodes that have had one as the first two regressors.
    pub observations: Vec<Vec<Observation>>,
    /// The same after the last instance was gone, where memory had stopped changing by then; empty where it had not, or nobody watched.
    pub after: Vec<Vec<Observation>>,
    /// What an instance that holds its memory reports on average, with page tables, in bytes; 0 where none reports.
    pub load_bytes: f64,
    /// Of that: anonymous memory on average, which nobody shares, in bytes; 0 where none reports it.
    pub anon_bytes: f64,
    /// Whether instances report.
    pub reported: bool,
    /// Whether it is memory that the kernel charges to the instances alone: nothing else is in it.
    pub charged: bool,
    /// The most instances of the observations, of all kernels together.
    pub instances: u32,
    /// Nodes that they were on.
    pub nodes: u32,
}

impl Cells {
    /// Stale ones in percent of all; none where there are no cells.
    #[must_use]
    pub fn stale_percent(&self) -> Option<f64> {
        (self.all > 0).then(|| 100.0 * self.stale as f64 / self.all as f64)
    }
}

impl Dataset {
    /// Reads a run directory or a CSV file of the study.
    ///
    /// # Errors
    /// Where there is none, and where something in it is not what it should be: file, line, column, what was found and what was
    /// expected. A torn last row is no error: it is among the [notes](Self::notes).
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        if path.is_dir() { run_directory::read(path) } else { legacy_csv::read(path) }
    }

    /// Steps that asked for more, with their indices.
    pub fn way_up(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate().filter(|(_, step)| step.part == Part::Up)
    }

    /// When the last that is known of the run was seen, in seconds since it began.
    pub(crate) fn end_seconds(&self) -> f64 {
        let step = self.steps.last().and_then(|step| step.elapsed_seconds);
        let pod = match &self.source {
            Source::Study => None,
            Source::Run(recorded) => recorded.pods.last().map(|row| row.elapsed_seconds),
        };
        step.into_iter().chain(pod).fold(0.0, f64::max)
    }

    /// Memory against instances at work, from fresh samples before a step (its index), or of all steps on the way up.
    #[must_use]
    pub fn costs(&self, before: Option<usize>) -> Costs {
        match &self.source {
            Source::Study => self.costs_by_steps(before),
            Source::Run(recorded) => self.costs_by_samples(recorded, before),
        }
    }

    fn costs_by_steps(&self, before: Option<usize>) -> Costs {
        let steps =
            self.way_up().filter(|(index, step)| step.fresh && before.is_none_or(|before| *index < before));
        let points = steps
            .filter_map(|(_, step)| Some(Point { x: step.running.into(), y: step.memory.active? as f64 }))
            .collect();
        Costs {
            measure: "active memory",
            of: "of all nodes together".into(),
            series: vec![points],
            beyond: None,
        }
    }

    /// How many instances were expected to fit, where the source tells.
    #[must_use]
    pub fn capacity(&self) -> Option<Capacity> {
        match &self.source {
            Source::Study => None,
            Source::Run(recorded) => {
                let bound = recorded.run.forecast.as_ref()?.capacity()?;
                let (by, inputs) = (bound.by.to_string(), bound.inputs.clone());
                Some(Capacity { instances: bound.instances, by, inputs })
            }
        }
    }

    /// The largest number of instances at work at once, and of those that held all of their memory, where the source tells of each
    /// transition.
    #[must_use]
    pub fn most(&self) -> Option<(Most, Most)> {
        match &self.source {
            Source::Study => None,
            Source::Run(recorded) => Some((recorded.population.running(), recorded.population.held())),
        }
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

/// What a dataset is called: its file's name without the ending.
fn name_of(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Runs of one and the same name get as many of the directories that they are in before it as tell them apart. Paths are absolute.
pub fn tell_apart(data: &mut [Dataset], paths: &[PathBuf]) {
    let mut above: Vec<Ancestors> = paths.iter().map(|path| path.ancestors()).collect();
    for itself in &mut above {
        itself.next();
    }
    let deepest = paths.iter().map(|path| path.components().count()).max().unwrap_or(0);
    for _ in 0..deepest {
        let repeated = repeated_names(data);
        for (one, above) in data.iter_mut().zip(&mut above) {
            let directory = above.next().and_then(Path::file_name);
            if let Some(directory) = directory
                && repeated.contains(&one.name)
            {
                one.name = format!("{}/{}", directory.to_string_lossy(), one.name);
            }
        }
    }
    // A file beside a directory of its name, say.
    let repeated = repeated_names(data);
    for (one, path) in data.iter_mut().zip(paths) {
        if repeated.contains(&one.name) {
            one.name = path.display().to_string();
        }
    }
}

/// Names that more than one of them has.
fn repeated_names(data: &[Dataset]) -> HashSet<String> {
    let mut seen = HashSet::new();
    data.iter().map(|one| &one.name).filter(|name| !seen.insert(*name)).cloned().collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// So many steps up, one instance each, made as they are told to with their index.
    pub(crate) fn steps(count: u32, mut make: impl FnMut(&mut Step, usize)) -> Vec<Step> {
        let step =
            |number: u32| Step { step: number, asked: Some(number), running: number, ..Step::default() };
        let mut steps: Vec<Step> = (1..=count).map(step).collect();
        steps.iter_mut().enumerate().for_each(|(at, step)| make(step, at));
        steps
    }

    /// A dataset of these steps, without nodes.
    pub(crate) fn data(steps: Vec<Step>) -> Dataset {
        Dataset {
            name: "made".into(),
            source: Source::Study,
            rows: steps.len(),
            notes: Vec::new(),
            steps,
            nodes: Vec::new(),
        }
    }
}
