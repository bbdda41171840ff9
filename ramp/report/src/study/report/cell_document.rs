//! Cells in `ramp study report --json`, as types.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::value_document::{IntervalDocument, ValueDocument};

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
    /// What the load is told to take: its arguments; `null` where no run counts.
    pub load: Option<String>,
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
