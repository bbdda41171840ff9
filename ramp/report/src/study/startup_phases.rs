//! Figures of a study: the phases of the start.

use super::figure::{StudyFigure, StudyUnit, Topic};
use crate::analysis::results::RunResults;
use crate::analysis::startup_phases::StartupPhase;
use crate::analysis::{Estimate, unavailable};

const fn phase(
    name: &'static str,
    title: &'static str,
    definition: &'static str,
    value: fn(&RunResults, Option<usize>) -> Estimate<f64>,
) -> StudyFigure {
    StudyFigure { name, title, unit: StudyUnit::Seconds, topic: Topic::Startup, definition, value }
}

/// The mean of each phase.
pub(super) const SCHEDULE: StudyFigure = phase(
    "startup_schedule",
    "schedule phase of startup",
    "mean time from the creation of an instance until it has a node, by ramp's watch (to 0.02 s)",
    |run, group| mean(run, group, StartupPhase::Schedule),
);
pub(super) const SANDBOX: StudyFigure = phase(
    SANDBOX_NAME,
    "sandbox phase of startup",
    "mean time from then until the sandbox is ready: until the first event of the kubelet after it (`Pulling`, `Pulled`, `Created`) \
     arrives (to 0.05 s)",
    |run, group| mean(run, group, StartupPhase::Sandbox),
);
pub(super) const CONTAINER: StudyFigure = phase(
    "startup_container",
    "container phase of startup",
    "mean time from then until the container is started, pulling its image included, by the kubelet's event `Started` or by what the \
     engine sees (to 0.05 s)",
    |run, group| mean(run, group, StartupPhase::Container),
);
pub(super) const PROGRAM: StudyFigure = phase(
    "startup_program",
    "program phase of startup",
    "mean time from then until the first instruction of the program, by its own report and its node's clock (to 0.05 s; one that is \
     apart from ramp's is corrected by what its samples tell); below 0 where the \
     start is told later than the program began",
    |run, group| mean(run, group, StartupPhase::Program),
);
pub(super) const MEMORY: StudyFigure = phase(
    "startup_memory",
    "memory phase of startup",
    "mean time from then until the program holds all of its memory, by its own clock (to 0.001 s)",
    |run, group| mean(run, group, StartupPhase::Memory),
);
pub(super) const READY: StudyFigure = phase(
    "startup_ready",
    "ready phase of startup",
    "mean time from then until the instance is seen to be ready (to 0.05 s): on Kubernetes mostly the period of its readiness probe",
    |run, group| mean(run, group, StartupPhase::Ready),
);

const SANDBOX_NAME: &str = "startup_sandbox";

/// The standard deviation of a time that may be late by up to a second is more than that of what is compared.
const COARSE_SECONDS: f64 = 0.5;

fn mean(run: &RunResults, group: Option<usize>, phase: StartupPhase) -> Estimate<f64> {
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

/// By how much the difference of two cells may be off although all of their runs agree, as a standard deviation: what both tell is late
/// by something between nothing and the resolution.
pub(super) fn systematic_deviation(figure: &StudyFigure) -> f64 {
    if figure.topic != Topic::Startup || figure.unit != StudyUnit::Seconds {
        return 0.0;
    }
    let resolution = match figure.name {
        "startup_schedule" => 0.02,
        "startup_memory" => 0.001,
        _ => 0.05,
    };
    super::comparison::ROUNDING_DEVIATION * resolution
}

/// Whether a difference is so small that no number of runs tells it.
pub(super) fn is_below_resolution(figure: &StudyFigure, difference: f64) -> bool {
    difference.abs() < DEVIATIONS * systematic_deviation(figure)
}

/// About what is told at a risk of 5 %, with the usual number of figures and blocks.
const DEVIATIONS: f64 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_below_the_resolution_is_told_by_no_number_of_blocks() {
        assert!(is_below_resolution(&SANDBOX, -0.03) && !is_below_resolution(&SANDBOX, 0.07));
        assert!(is_below_resolution(&MEMORY, 0.001) && !is_below_resolution(&MEMORY, 0.002));
        let other = StudyFigure { topic: Topic::Capacity, ..SANDBOX };
        assert!(!is_below_resolution(&other, 0.0001));
    }
}
