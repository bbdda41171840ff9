//! Progress of a study: where its runs stand, as the heading of each run's own view, and as JSON.

use std::time::SystemTime;

use serde::Serialize;

use super::durations::{RunDurations, rounded};
use super::schedule::{BlocksExpected, has_failed, label, of_block};
use crate::ui::View;
use ramp_format::study::StudyRecord;

/// A line on the study.
#[derive(Serialize)]
struct StudyNote<'a> {
    message: &'a str,
}

/// Shows a line on the study.
pub(super) fn tell(view: &View, message: &str) {
    view.record("study_note", &StudyNote { message }, || message.to_owned());
}

/// Where the run that begins stands in its study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct StudyProgress {
    study: String,
    /// 0 for the warm-up.
    block: u32,
    /// Expected blocks in all.
    blocks: u32,
    #[serde(skip)]
    blocks_words: String,
    /// Its place in the block, from 1.
    run: usize,
    /// Runs of the block.
    runs: usize,
    cell: String,
    #[serde(skip)]
    label: String,
    /// Whether an earlier attempt has failed.
    repeated: bool,
    directory: String,
    seconds_left: Option<f64>,
}

impl StudyProgress {
    /// Of the last run of the record, which begins.
    pub(super) fn of(record: &StudyRecord, durations: &RunDurations, now: SystemTime) -> Option<Self> {
        let run = record.runs.last()?;
        let order = of_block(record, run.block);
        let blocks = BlocksExpected::of(record);
        Some(Self {
            study: record.study.clone(),
            block: run.block,
            blocks: blocks.number(),
            blocks_words: blocks.words(),
            run: order.iter().position(|cell| *cell == run.cell).map_or(0, |at| at + 1),
            runs: order.len(),
            cell: record.cells[run.cell].name.clone(),
            label: label(&record.cells, run.cell),
            repeated: has_failed(record, run.block, run.cell),
            directory: run.directory.display().to_string(),
            seconds_left: durations.left(record, now).map(f64::round),
        })
    }

    pub(super) fn heading(&self) -> String {
        let place = match self.block {
            0 => format!("warm-up, run {} of {}", self.run, self.runs),
            block => format!("block {block} of {}, run {} of {}", self.blocks_words, self.run, self.runs),
        };
        let repeated = if self.repeated { " (repeated)" } else { "" };
        let left = self.seconds_left.map_or_else(String::new, |left| format!("; {} left", rounded(left)));
        format!("\n{place}: {}{repeated}{left}", self.label)
    }
}
