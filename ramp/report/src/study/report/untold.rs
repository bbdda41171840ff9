//! Figures that a study has nothing of: no report states them.

use crate::analysis::components::NEEDS_PROBE;
use crate::analysis::memory_parts::is_worth_telling;
use crate::analysis::startup_burst::{NO_BURST, SEARCH_HAS_NO_BURST};
use crate::dataset::SwapCourse;
use crate::study::data::{MeasuredRun, StudyData};
use crate::study::figure::{STARTS_PER_SECOND, STUDY_FIGURES, StudyFigure, Topic};

/// Why a run that was not made to tell a figure does not.
const NOT_MADE_FOR: [&str; 3] = [NEEDS_PROBE, NO_BURST, SEARCH_HAS_NO_BURST];

/// Whether nothing has the component or no component probe ran, nothing worth a word was swapped out, or no run has a burst, in any run.
#[must_use]
pub fn is_untold(data: &StudyData, figure: &StudyFigure) -> bool {
    let Some(at) = STUDY_FIGURES.iter().position(|other| other.name == figure.name) else { return false };
    let is_part = figure.topic.is_of_parts();
    let is_untold = |run: &MeasuredRun| match (figure.topic, run.figures.figures.get(at)) {
        (Topic::Swap, Some(Ok(bytes))) => !is_worth_telling(*bytes, run.memory().ok()),
        (Topic::Swap, Some(Err(_))) => !swapped_unmeasured(run),
        (_, Some(Ok(value))) => is_part && *value == 0.0,
        (_, Some(Err(why))) => NOT_MADE_FOR.contains(&why.0.as_str()),
        (_, None) => true,
    };
    (is_part || figure.name == STARTS_PER_SECOND) && data.runs.iter().all(is_untold)
}

/// Whether something was swapped out, and how much is unknown.
fn swapped_unmeasured(run: &MeasuredRun) -> bool {
    match (&run.results.estimates.swapped, &run.results.estimates.costs.swap) {
        (Ok(found), _) => is_worth_telling(found.on_disk.bytes + found.compressed.bytes, run.memory().ok()),
        (Err(_), SwapCourse::Reported(bytes)) => *bytes > 0.0,
        (Err(_), SwapCourse::OfKernels(_)) => false,
    }
}
