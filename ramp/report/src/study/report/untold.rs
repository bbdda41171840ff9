//! Figures that a study has nothing of, as none of its runs was made to tell them: no report states them.

use crate::analysis::components::NEEDS_PROBE;
use crate::analysis::startup_burst::{NO_BURST, SEARCH_HAS_NO_BURST};
use crate::study::data::{MeasuredRun, StudyData};
use crate::study::figure::{STARTS_PER_SECOND, STUDY_FIGURES, StudyFigure, Topic};

/// Why a run that was not made to tell a figure does not.
const NOT_MADE_FOR: [&str; 3] = [NEEDS_PROBE, NO_BURST, SEARCH_HAS_NO_BURST];

/// Whether no component probe ran in any run, or nothing has the component; of the startup rate whether no run has a burst.
#[must_use]
pub fn is_untold(data: &StudyData, figure: &StudyFigure) -> bool {
    let Some(at) = STUDY_FIGURES.iter().position(|other| other.name == figure.name) else { return false };
    let is_component = figure.topic == Topic::Components;
    let is_untold = |run: &MeasuredRun| match run.figures.figures.get(at) {
        Some(Ok(value)) => is_component && *value == 0.0,
        Some(Err(why)) => NOT_MADE_FOR.contains(&why.0.as_str()),
        None => true,
    };
    (is_component || figure.name == STARTS_PER_SECOND) && data.runs.iter().all(is_untold)
}
