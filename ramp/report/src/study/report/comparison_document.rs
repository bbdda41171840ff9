//! Comparisons of cells in `ramp study report --json`, as types.

use schemars::JsonSchema;
use serde::Serialize;

use super::cell_document::MissingDocument;
use super::value_document::{IntervalDocument, ValueDocument};

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
