//! Capacities of the cells of a study: how many instances fit by requests and by memory in use, and what of a difference is which.

use super::data::StudyData;
use crate::analysis::capacity::CapacityComparison;
use crate::analysis::requests::{RequestDifference, group_capacities};
use crate::analysis::{Estimate, Estimates};
use crate::dataset::Dataset;

/// Both capacities of two cells (their indices).
#[must_use]
pub fn compared_capacities(data: &StudyData, base: usize, other: usize) -> CapacityComparison {
    CapacityComparison {
        base: group_capacities(&runs(data, base)),
        other: group_capacities(&runs(data, other)),
    }
}

/// What the pods of two cells (their indices) request.
///
/// # Errors
/// Where that of one is unknown, or differs among its runs.
pub fn compared_requests(data: &StudyData, base: usize, other: usize) -> Estimate<RequestDifference> {
    RequestDifference::of(&runs(data, base), &runs(data, other))
}

/// What is to be said of requests and capacities of two cells (their indices), in sentences: whether the difference in instances held is
/// one of requests, and which capacity limits.
#[must_use]
pub fn capacity_sentences(data: &StudyData, base: usize, other: usize) -> Vec<String> {
    let name = |cell: usize| data.record.cells.get(cell).map_or("", |cell| cell.name.as_str());
    let names = [name(base), name(other)];
    let finding = compared_requests(data, base, other).ok().and_then(|requests| requests.finding(names));
    let capacities = compared_capacities(data, base, other).sentence(names);
    [finding, capacities].into_iter().flatten().map(|sentence| sentence + ".").collect()
}

fn runs(data: &StudyData, cell: usize) -> Vec<(&Dataset, &Estimates)> {
    data.runs_of(cell).into_iter().map(|run| (&run.data, &run.results.estimates)).collect()
}
