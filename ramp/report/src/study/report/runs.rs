//! Runs of a study: the table of them.

use super::naming::label_with_size;
use super::words::{duration, number};
use crate::stats::Interval;
use crate::study::data::{MeasuredRun, StudyData};
use crate::study::figure::StudyUnit;
use ramp_format::study::RunRecordState;

/// A run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// Block; 0 for the warm-up.
    pub block: u32,
    /// Index in [`StudyRecord::cells`](ramp_format::study::StudyRecord::cells).
    pub cell: usize,
    /// Runtime and size.
    pub label: String,
    /// Its directory, relative to that of the study.
    pub directory: String,
    /// When it began.
    pub begin: String,
    /// How long it took, in seconds; none where it has not ended.
    pub seconds: Option<f64>,
    /// Most instances that held their memory at once; none where it does not count, or that is not known.
    pub held: Option<u32>,
    /// Memory of each additional instance, in bytes, with its interval within the run; of each runtime of a mixed run.
    pub memory: Vec<RunMemory>,
    /// `running`, `done`, `failed` or `cut off`.
    pub state: &'static str,
    /// What is to be known of it.
    pub notes: Vec<String>,
}

/// Memory of each additional instance in a run.
#[derive(Clone, Debug)]
pub struct RunMemory {
    /// The runtime, of a mixed run.
    pub runtime: Option<String>,
    /// Bytes.
    pub bytes: f64,
    /// Its interval within the run.
    pub interval: Interval,
}

/// All runs, in the order in which they were begun.
#[must_use]
pub fn runs(data: &StudyData) -> Vec<RunReport> {
    let cells = &data.record.cells;
    let memory = |run: &MeasuredRun| {
        let cost = run.memory().ok()?;
        let cell = data.cells.get(run.cell).filter(|_| run.group.is_some());
        let runtime = cell.map(|cell| cell.runtimes.join(" + "));
        Some(RunMemory { runtime, bytes: cost.bytes, interval: cost.interval })
    };
    let run = |record: &ramp_format::study::RunRecord| {
        let measured = data.runs.iter().find(|run| run.directory == record.directory);
        let estimates = measured.map(|run| &run.results.estimates);
        let mut notes = record.notes.clone();
        let unreadable = data.unreadable.iter().find(|(directory, _)| *directory == record.directory);
        notes.extend(unreadable.map(|(_, why)| format!("cannot be read: {why}")));
        notes.extend(measured.map(|run| run.data.notes.clone()).unwrap_or_default());
        let since = |end: ramp_format::time::Time| end.0.duration_since(record.begin.0).ok();
        RunReport {
            block: record.block,
            cell: record.cell,
            label: label_with_size(cells, record.cell),
            directory: record.directory.display().to_string(),
            begin: humantime::format_rfc3339_seconds(record.begin.0).to_string(),
            seconds: record.end.and_then(since).map(|time| time.as_secs_f64()),
            held: estimates.and_then(|found| Some(found.held.as_ref().ok()?.count)),
            memory: data
                .runs
                .iter()
                .filter(|run| run.directory == record.directory)
                .filter_map(memory)
                .collect(),
            state: match (record.state, unreadable) {
                (RunRecordState::Done, Some(_)) => "unreadable",
                (RunRecordState::Done, None) => "done",
                (RunRecordState::Running, _) => "running or killed",
                (RunRecordState::Failed, _) => "failed",
                (RunRecordState::CutOff, _) => "cut off",
            },
            notes,
        }
    };
    data.record.runs.iter().map(run).collect()
}

impl RunReport {
    /// Its block, or that it is the warm-up.
    #[must_use]
    pub fn block_text(&self) -> String {
        if self.block == 0 { "warm-up".into() } else { self.block.to_string() }
    }

    /// How long it took.
    #[must_use]
    pub fn duration_text(&self) -> String {
        self.seconds.map_or_else(String::new, duration)
    }

    /// Memory of each additional instance in MiB, with its interval within the run.
    #[must_use]
    pub fn memory_text(&self) -> String {
        let text = |memory: &RunMemory| {
            let Interval { low, high } = memory.interval;
            let [bytes, low, high] = [memory.bytes, low, high].map(|bytes| number(StudyUnit::Bytes, bytes));
            let runtime = memory.runtime.as_ref().map_or_else(String::new, |runtime| format!("{runtime} "));
            format!("{runtime}{bytes} ({low} to {high})")
        };
        self.memory.iter().map(text).collect::<Vec<_>>().join("; ")
    }
}
