//! Names of a study's cells, and of its instances.

use crate::study::data::StudyData;
use ramp_format::plan::EngineKind;
use ramp_format::study::{Cell, Size};

/// What the instances of a study are.
#[must_use]
pub fn engine(data: &StudyData) -> EngineKind {
    let recorded = data.runs.iter().find_map(|run| Some(run.data.recorded()?.run.plan.engine));
    recorded.or(data.record.definition.engine).unwrap_or(EngineKind::Kubernetes)
}

/// What a cell is called among those of its scenario and size: its runtime, where that tells them apart.
#[must_use]
pub fn label(cells: &[Cell], cell: usize) -> String {
    let Some(of) = cells.get(cell) else { return String::new() };
    let is_alone = cells
        .iter()
        .filter(|other| {
            other.scenario == of.scenario && other.size == of.size && other.runtimes == of.runtimes
        })
        .count()
        == 1;
    if of.runtimes.is_empty() || !is_alone { of.name.clone() } else { of.runtimes.join(" + ") }
}

/// What a scenario in one size is called.
#[must_use]
pub fn group_title(cells: &[Cell], cell: &Cell) -> String {
    let mut parts = vec![cell.scenario.clone()];
    parts.extend(cell.size.as_ref().map(Size::label).filter(|label| !label.is_empty()));
    if cells.iter().all(|other| other.scenario == cell.scenario) && parts.len() > 1 {
        parts.remove(0);
    }
    parts.join(", ")
}
