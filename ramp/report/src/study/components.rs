//! Memory by component in a run of a study.

use crate::analysis::Estimate;
use crate::analysis::components::PeakPerPod;
use crate::analysis::results::RunResults;

/// The peak beyond the load.
pub(super) const PEAK_PER_INSTANCE: &str = "peak_per_instance";
/// How the names of figures of components begin.
pub(super) const MEMORY_OF: &str = "memory_of_";
/// Why a component is not compared of two runtimes that lack it.
pub(super) const ABSENT: &str = "neither has any of it";

/// What a component, `node`, `kernel` or `rest` costs for one instance more.
pub(super) fn component(run: &RunResults, group: Option<usize>, name: &str) -> Estimate<f64> {
    run.components.of(group).components.as_ref().map_err(Clone::clone)?.cost(name)
}

/// The most that the cgroup of an instance was charged beyond its load, in a run or of one runtime of a mixed run.
///
/// # Errors
/// Where the run does not tell.
pub fn peak_per_pod(run: &RunResults, group: Option<usize>) -> Estimate<PeakPerPod> {
    run.components.of(group).peak.clone()
}
