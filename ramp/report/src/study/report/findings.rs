//! Findings on a study: what limits it as a whole, in sentences.

use super::naming::label_with_size;
use super::words::list;
use crate::study::capacity::compared_requests;
use crate::study::data::{StudyData, compared_pairs};
use ramp_format::study::{RunRecord, RunRecordState};
use ramp_format::text::count;

/// What finds something.
type Rule = fn(&StudyData) -> Vec<String>;

/// All rules, in the order of their findings.
const RULES: &[Rule] =
    &[not_ended, incomplete_blocks, failed, unreadable, without_runs, requests, sidecars, versions];

/// What is to be known of a study before its answers are used.
#[must_use]
pub fn findings(data: &StudyData) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(data)).collect()
}

fn not_ended(data: &StudyData) -> Vec<String> {
    match data.record.end {
        Some(_) => Vec::new(),
        None => vec!["the study has not ended: it is still running, or was cut off".into()],
    }
}

fn incomplete_blocks(data: &StudyData) -> Vec<String> {
    let record = &data.record;
    let last = record.runs.iter().map(|run| run.block).max().unwrap_or(0);
    let finding = |block: u32| {
        let lacks = |cell: &usize| !record.done(block).any(|run| run.cell == *cell);
        let missing: Vec<String> = (0..record.cells.len())
            .filter(lacks)
            .filter_map(|cell| Some(record.cells.get(cell)?.name.clone()))
            .collect();
        let has = if missing.len() == 1 { "has" } else { "have" };
        (!missing.is_empty())
            .then(|| format!("block {block} is not whole: {} {has} no run in it that counts", list(&missing)))
    };
    (1..=last).filter_map(finding).collect()
}

fn failed(data: &StudyData) -> Vec<String> {
    let of = |state: RunRecordState| data.record.runs.iter().filter(move |run| run.state == state);
    let mut findings: Vec<String> = of(RunRecordState::Failed)
        .map(|run| {
            let why =
                if run.notes.is_empty() { String::new() } else { format!(": {}", run.notes.join("; ")) };
            format!("{} failed and counts in no figure{why}", name(run))
        })
        .collect();
    let cut_off = of(RunRecordState::CutOff).count() as u32;
    if cut_off > 0 {
        let was = if cut_off == 1 { "was cut off and counts" } else { "were cut off and count" };
        findings.push(format!("{} {was} in no figure", count(cut_off, "run")));
    }
    findings
}

fn unreadable(data: &StudyData) -> Vec<String> {
    let finding = |(directory, why): &(std::path::PathBuf, String)| {
        format!("{} is recorded as done, and cannot be read: {why}", directory.display())
    };
    data.unreadable.iter().map(finding).collect()
}

fn without_runs(data: &StudyData) -> Vec<String> {
    let cells = &data.cells;
    if data.runs.is_empty() {
        return vec!["no run counts yet".into()];
    }
    let without = (0..cells.len()).filter(|cell| data.runs_of(*cell).is_empty());
    let names: Vec<String> = without.filter_map(|cell| Some(cells.get(cell)?.name.clone())).collect();
    match names.len() {
        0 => Vec::new(),
        1 => vec![format!("{} has no run that counts", list(&names))],
        _ => vec![format!("{} have no run that counts", list(&names))],
    }
}

/// Runtimes whose pods request different amounts.
fn requests(data: &StudyData) -> Vec<String> {
    let cells = &data.cells;
    let finding = |(base, other): (usize, usize)| {
        let words = compared_requests(data, base, other).ok()?.words()?;
        let [base, other] = [base, other].map(|cell| label_with_size(cells, cell));
        Some(format!("pods of {other} request {words} than those of {base}"))
    };
    compared_pairs(cells).filter_map(finding).collect()
}

/// Containers beside the load's own, whose memory is in the figures.
fn sidecars(data: &StudyData) -> Vec<String> {
    let all = data.runs.iter().flat_map(|run| run.data.sidecars());
    let names: std::collections::BTreeSet<String> = all.map(|sidecar| sidecar.to_string()).collect();
    match names.is_empty() {
        true => Vec::new(),
        false => {
            let names: Vec<String> = names.into_iter().collect();
            vec![format!("figures include the memory of sidecars: {}", list(&names))]
        }
    }
}

/// Versions of ramp whose runs are compared with each other.
fn versions(data: &StudyData) -> Vec<String> {
    let recorded = data.runs.iter().filter_map(|run| Some(run.data.recorded()?.run.ramp_version.clone()));
    let mut versions: Vec<String> = recorded.collect();
    versions.sort();
    versions.dedup();
    match versions.len() {
        0 | 1 => Vec::new(),
        _ => vec![format!("runs are of different versions of ramp: {}", list(&versions))],
    }
}

fn name(run: &RunRecord) -> String {
    run.directory.display().to_string()
}
