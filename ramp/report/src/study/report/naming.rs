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

/// What a cell is called among all of the study: with its size, unless that is part of its name.
#[must_use]
pub fn label_with_size(cells: &[Cell], cell: usize) -> String {
    let label = label(cells, cell);
    let of = cells.get(cell).filter(|of| of.name != label);
    match of.and_then(|of| of.size.as_ref()).map(Size::label).filter(|size| !size.is_empty()) {
        Some(size) => format!("{label}, {size}"),
        None => label,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(name: &str, runtime: Option<&str>, size: &str) -> Cell {
        Cell {
            name: name.into(),
            scenario: "s".into(),
            manifest: None,
            runtimes: runtime.map(str::to_owned).into_iter().collect(),
            size: Some(Size { name: Some(size.into()), ..Size::default() }),
        }
    }

    #[test]
    fn a_size_is_told_once() {
        let sizes = [cell("small", None, "small"), cell("large", None, "large")];
        assert_eq!([0, 1].map(|at| label_with_size(&sizes, at)), ["small", "large"]);
        let runtimes = [cell("runc-small", Some("runc"), "small"), cell("kata-small", Some("kata"), "small")];
        assert_eq!([0, 1].map(|at| label(&runtimes, at)), ["runc", "kata"]);
        assert_eq!([0, 1].map(|at| label_with_size(&runtimes, at)), ["runc, small", "kata, small"]);
    }
}
