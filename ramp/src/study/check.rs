//! Check of a study before its first run: the preflight of each cell.

use std::path::Path;

use tokio::sync::watch;

use super::checked_cell::{CheckedCell, durations};
use super::definition::as_keys;
use super::durations::{forecast_seconds, rounded};
use super::dwells::planned_dwells;
use super::request::RunRequest;
use super::schedule::of_block;
use crate::clock::Clock;
use crate::command::CommandError;
use crate::command::single_run::{engine_of, unless_interrupted};
use ramp_format::preflight::Finding;
use ramp_format::study::StudyRecord;

/// Runs the preflight of each cell; none if it is interrupted. `directory` is that of the study.
///
/// # Errors
/// Where a cell cannot be planned, or its engine cannot be reached; the cell is named.
pub(crate) async fn check_cells(
    record: &StudyRecord,
    directory: &Path,
    clock: &Clock,
    interrupts: &watch::Receiver<u32>,
) -> Result<Option<Vec<CheckedCell>>, CommandError> {
    let mut checked = Vec::new();
    for (cell_index, cell) in record.cells.iter().enumerate() {
        let named = |error: CommandError| {
            let message = format!("cell {}: {}", cell.name, error.message());
            match error {
                CommandError::Input(_) => CommandError::Input(message),
                CommandError::Failed(_) => CommandError::Failed(message),
                CommandError::Interrupted => CommandError::Interrupted,
            }
        };
        let request = RunRequest {
            definition: &record.definition,
            seed: record.seed,
            block: 1,
            cell_index,
            cell,
            // What its preflight tries is found by this name if it is killed.
            run: record.study.clone(),
            out: directory.join("runs").join(format!("{}.check", cell.name)),
            warm_up: None,
        };
        let builder = request.builder(clock).map_err(|error| named(CommandError::Input(as_keys(&error))))?;
        let mut engine = engine_of(&builder).await.map_err(named)?;
        let found = unless_interrupted(interrupts, &mut engine, &builder).await.map_err(named)?;
        let Some(found) = found else { return Ok(None) };
        let (seconds, warm_up_seconds) = forecast_seconds(&builder.plan, &found.forecast);
        checked.push(CheckedCell {
            cell: cell.name.clone(),
            plan: builder.plan,
            preflight: found.preflight,
            forecast: found.forecast,
            seconds,
            warm_up_seconds,
        });
    }
    Ok(Some(checked))
}

/// Whether the budget is shorter than the first run, which is refused, or than two blocks, of which is warned.
fn budget_finding(record: &StudyRecord, checked: &[CheckedCell], refuses: bool) -> Option<String> {
    let budget = record.definition.budget.filter(|_| record.runs.is_empty())?;
    let (words, seconds) = (humantime::format_duration(budget), budget.as_secs_f64());
    let durations = durations(checked);
    let block = u32::from(!record.definition.warmup);
    let first = durations.expected(record, block, *of_block(record, block).first()?)?;
    if seconds < first {
        return refuses.then(|| {
            format!(
                "budget: {words} is shorter than the first run (about {}): set a longer budget",
                rounded(first)
            )
        });
    }
    let runs =
        (block..=2).flat_map(|block| of_block(record, block).into_iter().map(move |cell| (block, cell)));
    let two = runs.map(|(block, cell)| durations.expected(record, block, cell)).sum::<Option<f64>>()?;
    (!refuses && seconds < two && record.definition.blocks.bounds().1 >= 2).then(|| {
        format!("budget: two blocks take about {}, longer than {words}; a comparison needs two", rounded(two))
    })
}

/// Findings on the budget and on dwells, and those of the preflight, each with the cells that have it: `cells a, b: no node …`.
pub(crate) fn findings(record: &StudyRecord, checked: &[CheckedCell], refuses: bool) -> Vec<String> {
    let mut found: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for cell in checked {
        for finding in cell.preflight.findings.iter().filter(|finding| finding.refuses == refuses) {
            match found.iter_mut().find(|(other, _)| *other == finding) {
                Some((_, cells)) => cells.push(&cell.cell),
                None => found.push((finding, vec![&cell.cell])),
            }
        }
    }
    let words = |(finding, cells): (&Finding, Vec<&str>)| match cells.as_slice() {
        all if all.len() == checked.len() && all.len() > 1 => format!("all cells: {}", finding.message),
        [one] => format!("cell {one}: {}", finding.message),
        some => format!("cells {}: {}", some.join(", "), finding.message),
    };
    // Once runs have ended, decisions on blocks tell by the noise that these have had.
    let is_new = !refuses && record.runs.is_empty();
    let dwells = is_new.then(|| planned_dwells(record, checked)).into_iter().flatten();
    let short = dwells.filter(|dwell| !dwell.is_met).map(|dwell| dwell.text);
    found.into_iter().map(words).chain(budget_finding(record, checked, refuses)).chain(short).collect()
}
