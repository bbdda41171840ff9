//! Notes on the figures of a study, in sentences: what helps to read them, and is no fault.

use super::limits;
use super::naming::{engine, label_with_size};
use super::words::{list, value};
use crate::study::capacity::cell_capacities;
use crate::study::data::{StudyData, compared_pairs};
use crate::study::figure::StudyUnit;
use ramp_format::plan::EngineKind;

/// What makes a note.
type NoteRule = fn(&StudyData) -> Vec<String>;

/// All rules, in the order of their notes.
const RULES: &[NoteRule] = &[mixed, nothing_to_compare, limits::sentences, shared_pages, extrapolated];

/// What an instance takes less than it reports before that is told, as a share.
const SHARED_SHARE: f64 = 0.05;

/// What helps to read the figures of a study.
#[must_use]
pub fn notes(data: &StudyData) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(data)).collect()
}

fn mixed(data: &StudyData) -> Vec<String> {
    match data.record.definition.mix {
        true => vec![
            "mixed runs: the runtimes share each run; memory of each is from one regression on the instances of all, and \
             differences are within runs"
                .into(),
        ],
        false => Vec::new(),
    }
}

fn nothing_to_compare(data: &StudyData) -> Vec<String> {
    let cells = &data.cells;
    if cells.is_empty() || compared_pairs(cells).next().is_some() {
        return Vec::new();
    }
    let mut runtimes: Vec<String> = cells.iter().flat_map(|cell| cell.runtimes.clone()).collect();
    runtimes.sort();
    runtimes.dedup();
    let is_of_sizes = cells.iter().all(|cell| cell.scenario == cells[0].scenario);
    vec![match runtimes.as_slice() {
        _ if cells.len() == 1 => "nothing to compare: the study has one cell".into(),
        [] | [_] if is_of_sizes => "runtimes are compared, sizes are not compared with each other".into(),
        [] | [_] => "runtimes are compared, scenarios and sizes are not compared with each other".into(),
        several => format!("each scenario and size has one runtime, {}: nothing is compared", list(several)),
    }]
}

/// Processes of one program: the resident set of each counts pages that the kernel holds once.
fn shared_pages(data: &StudyData) -> Vec<String> {
    if !matches!(engine(data), EngineKind::Local | EngineKind::Podman) {
        return Vec::new();
    }
    let of = |cell: usize| {
        let runs = data.runs_of(cell);
        let costs: Vec<_> = runs.iter().filter_map(|run| run.memory().ok()).collect();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let takes = mean(costs.iter().map(|cost| cost.bytes).collect());
        let reports = mean(costs.iter().filter_map(|cost| cost.reported).collect());
        (takes < reports * (1.0 - SHARED_SHARE)).then(|| {
            let amount = |bytes: f64| value(StudyUnit::Bytes, engine(data), bytes);
            format!("{} of {} of {}", amount(takes), amount(reports), label_with_size(&data.cells, cell))
        })
    };
    let cells: Vec<String> = (0..data.cells.len()).filter_map(of).collect();
    match cells.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "{} take less than the resident set that each reports ({}): they share the pages of their program, which the kernel \
             holds once",
            engine(data).instances(),
            list(&cells)
        )],
    }
}

/// That capacities by memory are no measurements.
fn extrapolated(data: &StudyData) -> Vec<String> {
    let is_extrapolated =
        |cell: usize| cell_capacities(data, cell).by_memory.is_ok_and(|capacity| capacity.is_extrapolated);
    match (0..data.cells.len()).any(is_extrapolated) {
        true => vec![
            "fit by memory: extrapolated where memory did not give way; the error is common to all runs, so that it is not compared"
                .into(),
        ],
        false => Vec::new(),
    }
}
