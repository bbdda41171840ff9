//! What `ramp study report --json` writes, as types: the JSON and its schema are made from them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::cell_document::CellDocument;
use super::comparison_document::{CapacitiesDocument, ComparisonDocument, SearchDocument, StartupsDocument};
use super::overhead_document::SizesDocument;
use super::value_document::IntervalDocument;
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
