//! Figures of a study: the phases of the start.

use crate::analysis::results::RunResults;
use crate::analysis::startup_phases::StartupPhase;
use crate::analysis::{Estimate, unavailable};

/// The standard deviation of a time that may be late by up to a second is more than that of what is compared.
const COARSE_SECONDS: f64 = 0.5;

/// The mean of a phase in a run, or under one runtime of a mixed run.
pub(super) fn mean(run: &RunResults, group: Option<usize>, phase: StartupPhase) -> Estimate<f64> {
    let runtime = group.and_then(|index| run.mixed.get(index)).map(|group| group.runtime.as_str());
    if group.is_some() && runtime.is_none() {
        return unavailable("the run is not mixed, or has fewer runtimes");
    }
    let phases = run.phases.as_ref().map_err(Clone::clone)?;
    let resolution = phases.facts(phase)?.resolution_seconds;
    // Of a clock that is apart the error is common to all runs, which a difference does not have.
    let is_by_one_clock = !matches!(phase, StartupPhase::Program | StartupPhase::Ready);
    if is_by_one_clock && resolution > COARSE_SECONDS {
        return unavailable(format!("times of this phase are known to {resolution:.1} s only"));
    }
    phases.mean(phase, runtime)
}

/// By how much the difference of two cells may be off although all of their runs agree, as a standard deviation of the figure with
/// this name: what both tell is late by something between nothing and the resolution, evenly.
pub(super) fn systematic_deviation(figure: &str) -> f64 {
    let resolution = match figure {
        "startup_schedule" => 0.02,
        "startup_memory" => 0.001,
        "startup_sandbox" | "startup_container" | "startup_program" | "startup_ready" => 0.05,
        _ => return 0.0,
    };
    (2.0_f64 / 12.0).sqrt() * resolution
}

/// Whether a difference is so small that no number of runs tells it.
pub(super) fn is_below_resolution(figure: &str, difference: f64) -> bool {
    difference.abs() < DEVIATIONS * systematic_deviation(figure)
}

/// About what is told at a risk of 5 %, with the usual number of figures and blocks.
const DEVIATIONS: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_below_the_resolution_is_told_by_no_number_of_blocks() {
        assert!(
            is_below_resolution("startup_sandbox", -0.03) && !is_below_resolution("startup_sandbox", 0.07)
        );
        assert!(
            is_below_resolution("startup_memory", 0.001) && !is_below_resolution("startup_memory", 0.002)
        );
        assert!(!is_below_resolution("startup_mean", 0.0001));
    }
}
