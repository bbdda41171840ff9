//! Capacities of the cells of a study: how many instances fit by requests and by memory in use, and what of a difference is which.

use super::data::StudyData;
use crate::analysis::capacity::{CapacityComparison, GroupCapacities};
use crate::analysis::requests::{RequestDifference, group_capacities};
use crate::analysis::{Estimate, Estimates, unavailable};
use crate::dataset::Dataset;

/// Why a runtime of a mixed run has none.
const OF_ALL_RUNTIMES: &str = "of all runtimes of a mixed run together";

/// Both capacities of two cells (their indices).
#[must_use]
pub fn compared_capacities(data: &StudyData, base: usize, other: usize) -> CapacityComparison {
    CapacityComparison { base: cell_capacities(data, base), other: cell_capacities(data, other) }
}

/// What the pods of two cells (their indices) request.
///
/// # Errors
/// Where that of one is unknown, or differs among its runs.
pub fn compared_requests(data: &StudyData, base: usize, other: usize) -> Estimate<RequestDifference> {
    if data.record.definition.mix {
        return unavailable(OF_ALL_RUNTIMES);
    }
    RequestDifference::of(&runs(data, base), &runs(data, other))
}

/// What is to be said of requests and capacities of two cells (their indices) of these names, in sentences: whether the difference in
/// instances held is one of requests, and which capacity limits.
#[must_use]
pub fn capacity_sentences(data: &StudyData, [base, other]: [usize; 2], names: &[String; 2]) -> Vec<String> {
    if data.record.definition.mix {
        return Vec::new();
    }
    let names = names.each_ref().map(String::as_str);
    let finding = compared_requests(data, base, other).ok().and_then(|requests| requests.finding(names));
    let capacities = compared_capacities(data, base, other).sentence(names);
    [finding, capacities].into_iter().flatten().map(|sentence| sentence + ".").collect()
}

/// The capacities of a cell (its index), by its runs together.
#[must_use]
pub fn cell_capacities(data: &StudyData, cell: usize) -> GroupCapacities {
    if data.record.definition.mix {
        return GroupCapacities {
            by_requests: unavailable(OF_ALL_RUNTIMES),
            by_memory: unavailable(OF_ALL_RUNTIMES),
            exhausted: None,
        };
    }
    group_capacities(&runs(data, cell))
}

fn runs(data: &StudyData, cell: usize) -> Vec<(&Dataset, &Estimates)> {
    data.runs_of(cell).into_iter().map(|run| (&*run.data, &run.results.estimates)).collect()
}
