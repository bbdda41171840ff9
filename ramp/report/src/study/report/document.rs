//! What `ramp study report --json` writes, as types: the JSON and its schema are made from them.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::overhead_document::SizesDocument;
use crate::stats::Interval;
use ramp_format::study::{Decision, Order, StudyFile};
use ramp_format::time::Time;

/// The report of a study. What is unavailable is `null`; why stands beside it as `reason`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "ramp study report --json")]
pub struct StudyDocument<'r> {
    /// Version of ramp that made the report.
    pub ramp_version: &'static str,
    /// What was studied.
    pub study: StudyFacts<'r>,
    /// Each answer in a sentence.
    pub summary: Vec<&'r str>,
    /// What limits the study as a whole, in sentences.
    pub findings: &'r [String],
    /// What helps to read its figures, in sentences.
    pub notes: &'r [String],
    /// Each scenario under one runtime in one size.
    pub cells: Vec<CellDocument<'r>>,
    /// Each figure of each cell, compared with the base of its scenario and size.
    pub comparisons: Vec<ComparisonDocument<'r>>,
    /// Differences between the numbers that hold with a probability of 95 %, where both cells were searched.
    pub searches: Vec<SearchDocument<'r>>,
    /// Requests and capacities of each comparison.
    pub capacities: Vec<CapacitiesDocument<'r>>,
    /// Each runtime over the sizes of a scenario.
    pub overhead_by_size: Vec<SizesDocument<'r>>,
    /// Startups of each comparison as a whole.
    pub startups: Vec<StartupsDocument<'r>>,
    /// Decisions on the number of blocks.
    pub decisions: &'r [Decision],
    /// All runs, in the order in which they were begun.
    pub runs: Vec<RunDocument<'r>>,
}

/// What was studied, and how far it got.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StudyFacts<'r> {
    /// ID of the study.
    pub id: &'r str,
    /// Its name.
    pub name: &'r str,
    /// What was studied and how much of it is done, in a sentence.
    pub headline: String,
    /// Version of ramp that ran it.
    pub ramp_version: &'r str,
    /// What ran the instances.
    pub engine: &'static str,
    /// When it began.
    pub begin: Time,
    /// When it ended.
    pub end: Option<Time>,
    /// Why it ended.
    pub why_ended: Option<&'r str>,
    /// When other processes went on with it.
    pub resumes: &'r [Time],
    /// Seed of the order of the runs.
    pub seed: u64,
    /// How the runs of a block are ordered.
    pub order: Order,
    /// How many blocks there are.
    pub blocks: BlocksDocument,
    /// The study file.
    pub definition: &'r StudyFile,
}

/// Numbers of blocks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BlocksDocument {
    /// Blocks of which each cell has a run that counts.
    pub whole: u32,
    /// The least that was asked for.
    pub least: u32,
    /// The most.
    pub most: u32,
}

/// A 95 % interval. An end that is not bounded is `null`.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct IntervalDocument {
    /// Lower end.
    #[schemars(with = "Option<f64>")]
    pub low: f64,
    /// Upper end.
    #[schemars(with = "Option<f64>")]
    pub high: f64,
}

impl From<Interval> for IntervalDocument {
    fn from(Interval { low, high }: Interval) -> Self {
        Self { low, high }
    }
}

/// A figure with its interval.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValueDocument {
    /// The figure, in its unit.
    pub value: Option<f64>,
    /// Its interval.
    pub interval: Option<IntervalDocument>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A cell, and the means of its figures.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CellDocument<'r> {
    /// Its name.
    pub name: Option<&'r str>,
    /// What it is called among those of its scenario and size.
    pub label: &'r str,
    /// Its scenario.
    pub scenario: Option<&'r str>,
    /// The manifest; `null` for the built-in one.
    pub manifest: Option<&'r Path>,
    /// Its runtimes; empty for that of the scenario.
    pub runtimes: Option<&'r [String]>,
    /// Its size.
    pub size: Option<String>,
    /// Runs that count.
    pub runs: usize,
    /// Mean of each figure over the runs, by its name (docs/report.md).
    pub figures: BTreeMap<&'static str, FigureDocument<'r>>,
    /// How many instances fit.
    pub capacities: CellCapacitiesDocument<'r>,
    /// First limit of the nodes other than memory and CPU; `null` where none were recorded.
    pub first_limit: Option<FirstLimitDocument>,
    /// How many hold with a probability of 95 %, where the runs are searches.
    pub held_with_95_percent: Option<CellSearchDocument>,
}

/// Mean of a figure over the runs of a cell.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FigureDocument<'r> {
    /// The mean, in the unit of the figure.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<IntervalDocument>,
    /// Standard deviation between runs.
    pub deviation: Option<f64>,
    /// Runs that have the figure.
    pub runs: usize,
    /// Runs that lack it.
    pub missing: Vec<MissingDocument<'r>>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A run that lacks a figure.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MissingDocument<'r> {
    /// Its block.
    pub block: u32,
    /// Why.
    pub reason: &'r str,
}

/// How many instances of a cell fit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CellCapacitiesDocument<'r> {
    /// By what a scheduler counts.
    pub by_requests: RequestsDocument<'r>,
    /// By the memory that they use.
    pub by_memory: MemoryDocument,
}

/// Capacity by requests.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct RequestsDocument<'r> {
    /// Instances.
    pub value: Option<u64>,
    /// What bounds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<&'r str>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'r str>,
}

/// Capacity by memory.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct MemoryDocument {
    /// Instances.
    pub value: Option<f64>,
    /// Its 95 % interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<IntervalDocument>,
    /// Whether it is extrapolated, as memory did not give way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extrapolated: Option<bool>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// First limit of the nodes other than memory and CPU.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FirstLimitDocument {
    /// The limit that is extrapolated to be reached first.
    pub forecast: LimitForecastDocument,
    /// The limit that ended runs.
    pub reached: Option<ReachedLimitDocument>,
    /// Runs that recorded limits.
    pub runs: usize,
}

/// Limit that is extrapolated to be reached first.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct LimitForecastDocument {
    /// Name of the limit.
    pub limit: Option<String>,
    /// Its parts.
    #[serde(flatten)]
    pub at: Option<LimitInstancesDocument>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Instances that a limit allows.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LimitInstancesDocument {
    /// Instances.
    pub instances: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end; `null` where it is not bounded.
    pub high: Option<f64>,
    /// Instances from which it is extrapolated.
    pub extrapolated_from: u32,
    /// Runs that name this limit first.
    pub runs: usize,
}

/// Limit that ended runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReachedLimitDocument {
    /// The resource.
    pub resource: String,
    /// Instances requested then.
    pub instances: f64,
    /// Runs that it ended.
    pub runs: usize,
}

/// What searches of a cell found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CellSearchDocument {
    /// Climbs of all runs.
    pub climbs: usize,
    /// Runs.
    pub runs: usize,
    /// Instances that hold with a probability of 95 %.
    #[serde(flatten)]
    pub held: ValueDocument,
}

/// A figure of two cells.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct ComparisonDocument<'r> {
    /// Name of the figure.
    pub figure: &'static str,
    /// Scenario of both cells.
    pub scenario: Option<&'r str>,
    /// Size of both cells.
    pub size: Option<String>,
    /// Name of the base.
    pub base: Option<&'r str>,
    /// Name of the other cell.
    pub other: Option<&'r str>,
    /// The answer in a sentence.
    pub sentence: &'r str,
    /// What limits the answer, in sentences.
    pub notes: &'r [String],
    /// What no interval allows for, in sentences.
    pub caveats: &'r [String],
    /// How the drift of the cluster was dealt with, in sentences.
    pub drift_notes: &'r [String],
    /// Other cell − base, in the unit of the figure.
    pub difference: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<IntervalDocument>,
    /// Other cell ÷ base.
    pub ratio: Option<ValueDocument>,
    /// p-value of no difference.
    pub p: Option<f64>,
    /// The same, adjusted for all comparisons of its topic.
    pub adjusted_p: Option<f64>,
    /// The exact test.
    pub permutation: Option<PermutationDocument>,
    /// The largest difference of no consequence.
    pub margin: Option<f64>,
    /// What can be said.
    pub verdict: Option<VerdictDocument>,
    /// Blocks that have both.
    pub blocks: usize,
    /// Further parts, where it can be compared.
    #[serde(flatten)]
    pub means: Option<MeansDocument<'r>>,
    /// Why it cannot be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Option<&'r str>>,
    /// The difference within the only run, of a mixed study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_run: Option<DifferenceDocument>,
}

/// Means behind a difference.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MeansDocument<'r> {
    /// Mean of the base.
    pub base_mean: f64,
    /// Mean of the other cell.
    pub other_mean: f64,
    /// Standard deviation of the differences between blocks.
    pub deviation: f64,
    /// Comparisons that the p-value is adjusted for.
    pub adjusted_for: usize,
    /// Drift of the cluster.
    pub drift: Option<DriftDocument>,
    /// Runs that lack the figure.
    pub missing: Vec<MissingDocument<'r>>,
}

/// A difference with its interval.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DifferenceDocument {
    /// In bytes.
    pub difference: f64,
    /// Its 95 % interval.
    pub interval: IntervalDocument,
}

/// Drift of the cluster.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DriftDocument {
    /// In units of the figure a second.
    pub per_second: f64,
    /// Its 95 % interval.
    pub interval: IntervalDocument,
    /// Whether it is removed from the difference.
    pub removed: bool,
}

/// A permutation test.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PermutationDocument {
    /// Two-sided p-value.
    pub p: f64,
    /// The least that it can be.
    pub least: f64,
    /// Whether all relabellings were counted.
    pub exact: bool,
    /// The one-sided test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_sided: Option<OneSidedDocument>,
}

/// A one-sided permutation test.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OneSidedDocument {
    /// p-value.
    pub p: f64,
    /// The least that it can be.
    pub least: f64,
}

/// What can be said of a difference.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum VerdictDocument {
    /// They differ.
    Differs,
    /// They differ by no more than a margin.
    NoLargerThan {
        /// The margin.
        margin: f64,
    },
    /// The blocks do not tell.
    CannotTell {
        /// Further blocks that should tell; `null` where that is not known.
        more_blocks: Option<u32>,
    },
}

/// Difference between the numbers that hold with a probability of 95 %.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SearchDocument<'r> {
    /// Name of the base.
    pub base: Option<&'r str>,
    /// Name of the other cell.
    pub other: Option<&'r str>,
    /// Instances.
    pub difference: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<IntervalDocument>,
    /// In a sentence.
    pub sentence: Option<&'r str>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'r str>,
}

/// Requests and capacities of two cells.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CapacitiesDocument<'r> {
    /// Name of the base.
    pub base: Option<&'r str>,
    /// Name of the other cell.
    pub other: Option<&'r str>,
    /// In sentences.
    pub sentences: &'r [String],
}

/// Startups of two cells.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct StartupsDocument<'r> {
    /// Name of the base.
    pub base: Option<&'r str>,
    /// Name of the other cell.
    pub other: Option<&'r str>,
    /// Statistic of the stratified log-rank test.
    pub z: Option<f64>,
    /// What was found.
    #[serde(flatten)]
    pub found: Option<StartupTestDocument<'r>>,
    /// Why they are not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'r str>,
}

/// Test of the startups of two cells.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StartupTestDocument<'r> {
    /// In a sentence.
    pub sentence: &'r str,
    /// Instances that startups know little of, in a sentence.
    pub note: Option<&'r str>,
    /// The exact test.
    pub permutation: PermutationDocument,
}

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunDocument<'r> {
    /// Its block; 0 for the warm-up.
    pub block: u32,
    /// Name of its cell.
    pub cell: Option<&'r str>,
    /// Its directory, relative to that of the study.
    pub directory: &'r str,
    /// When it began.
    pub begin: &'r str,
    /// How long it took.
    pub seconds: Option<f64>,
    /// Most instances that held their memory at once.
    pub held: Option<u32>,
    /// Where it stands.
    pub state: &'static str,
    /// What is to be known of it.
    pub notes: &'r [String],
    /// Memory of each additional instance, in bytes.
    pub memory_per_instance: Option<RunMemoryDocument>,
    /// The same of each runtime of a mixed run.
    pub by_runtime: BTreeMap<&'r str, RunMemoryDocument>,
}

/// Memory of each additional instance of a run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RunMemoryDocument {
    /// Bytes.
    pub value: f64,
    /// Its interval within the run.
    pub interval: IntervalDocument,
}
