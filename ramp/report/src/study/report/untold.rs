//! Figures of parts of memory that a study has nothing of: no report states them.

use crate::analysis::components::NEEDS_PROBE;
use crate::analysis::memory_parts::is_worth_telling;
use crate::dataset::SwapCourse;
use crate::study::data::{MeasuredRun, StudyData};
use crate::study::figure::{STUDY_FIGURES, StudyFigure, Topic};

/// Whether nothing has the component or no component probe ran, or nothing worth a word was swapped out, in any run.
#[must_use]
pub fn is_untold(data: &StudyData, figure: &StudyFigure) -> bool {
    let Some(at) = STUDY_FIGURES.iter().position(|other| other.name == figure.name) else { return false };
    let is_untold = |run: &MeasuredRun| match (figure.topic, run.figures.figures.get(at)) {
        (Topic::Swap, Some(Ok(bytes))) => !is_worth_telling(*bytes, run.memory().ok()),
        (Topic::Swap, Some(Err(_))) => !swapped_unmeasured(run),
        (_, Some(Ok(bytes))) => *bytes == 0.0,
        (_, Some(Err(why))) => why.0 == NEEDS_PROBE,
        (_, None) => true,
    };
    figure.topic.is_of_parts() && data.runs.iter().all(is_untold)
}

/// Whether something was swapped out, and how much is unknown.
fn swapped_unmeasured(run: &MeasuredRun) -> bool {
    match (&run.results.estimates.swapped, &run.results.estimates.costs.swap) {
        (Ok(found), _) => is_worth_telling(found.on_disk.bytes + found.compressed.bytes, run.memory().ok()),
        (Err(_), SwapCourse::Reported(bytes)) => *bytes > 0.0,
        (Err(_), SwapCourse::OfKernels(_)) => false,
    }
}
