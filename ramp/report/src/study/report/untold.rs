//! Figures of components that a study has nothing of: no report states them.

use crate::analysis::components::NEEDS_PROBE;
use crate::study::data::{MeasuredRun, StudyData};
use crate::study::figure::{STUDY_FIGURES, StudyFigure, Topic};

/// Whether no component probe ran in any run, or nothing has the component.
#[must_use]
pub fn is_untold(data: &StudyData, figure: &StudyFigure) -> bool {
    let Some(at) = STUDY_FIGURES.iter().position(|other| other.name == figure.name) else { return false };
    let is_untold = |run: &MeasuredRun| match run.figures.figures.get(at) {
        Some(Ok(bytes)) => *bytes == 0.0,
        Some(Err(why)) => why.0 == NEEDS_PROBE,
        None => true,
    };
    figure.topic == Topic::Components && data.runs.iter().all(is_untold)
}
