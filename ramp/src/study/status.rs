//! Status of a study, by its directory: also while another process runs it.

use std::fmt::Write;
use std::io::BufRead;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::durations::{DurationBasis, RunDurations, rounded};
use super::schedule::{BlocksExpected, label, remaining};
use crate::clock::Clock;
use crate::live_runs::process_of;
use ramp_format::plan::EngineKind;
use ramp_format::run_file::read_run;
use ramp_format::study::{RunRecord, RunRecordState, StudyRecord};
use ramp_format::text::count;
use ramp_format::time::Time;

/// Runs to come that are listed.
const LISTED: usize = 3;

/// Where a study stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StudyStatus {
    study: String,
    name: String,
    directory: String,
    /// On this machine; none where none runs it.
    process: Option<u32>,
    begin: Time,
    end: Option<Time>,
    why_ended: Option<String>,
    whole_blocks: u32,
    blocks_expected: u32,
    #[serde(skip)]
    blocks_words: String,
    runs: Counted,
    /// The last run that failed.
    last_failure: Option<FailedRun>,
    under_way: Option<UnderWay>,
    next: Vec<ComingRun>,
    runs_left: usize,
    seconds_left: Option<f64>,
    #[serde(skip)]
    basis: Option<DurationBasis>,
    last_decision: Option<ramp_format::study::Decision>,
}

/// Runs by how they ended, without the warm-up.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Counted {
    done: usize,
    failed: usize,
    cut_off: usize,
}

/// A run that failed.
#[derive(Clone, Debug, Serialize)]
struct FailedRun {
    block: u32,
    cell: String,
    #[serde(skip)]
    label: String,
    why: String,
}

/// The run that is under way.
#[derive(Clone, Debug, Serialize)]
struct UnderWay {
    block: u32,
    cell: String,
    #[serde(skip)]
    label: String,
    directory: String,
    seconds: f64,
    step: Option<u32>,
    /// Instances of the last step.
    instances: Option<u32>,
    /// Steps of the plan.
    steps: Option<u32>,
}

/// A run that comes.
#[derive(Clone, Debug, Serialize)]
struct ComingRun {
    block: u32,
    cell: String,
    #[serde(skip)]
    label: String,
}

impl StudyStatus {
    /// Reads a study directory.
    ///
    /// # Errors
    /// Where it is none.
    pub(crate) fn read(directory: &Path) -> std::io::Result<Self> {
        let record = StudyRecord::read(directory)?;
        Ok(Self::of(directory, &record, process_of(&record.study), Clock::system().now()))
    }

    fn of(directory: &Path, record: &StudyRecord, process: Option<u32>, now: SystemTime) -> Self {
        let last = record.runs.last().filter(|run| run.state == RunRecordState::Running);
        // Of a simulated cluster the time is not known from outside.
        let is_simulated = record.definition.engine == Some(EngineKind::Simulated);
        let now = if is_simulated { last.map_or(record.begin.0, |run| run.begin.0) } else { now };
        let durations = RunDurations { forecast: forecasts(directory, record), ..RunDurations::default() };
        let mut coming = remaining(record);
        coming.retain(|run| last.is_none_or(|last| (last.block, last.cell) != *run));
        let of = |state| record.runs.iter().filter(|run| run.block > 0 && run.state == state).count();
        let blocks = BlocksExpected::of(record);
        let is_over = record.end.is_some();
        Self {
            study: record.study.clone(),
            name: record.name.clone(),
            directory: directory.display().to_string(),
            process,
            begin: record.begin,
            end: record.end,
            why_ended: record.why_ended.clone(),
            whole_blocks: record.whole_blocks(),
            blocks_expected: blocks.number(),
            blocks_words: blocks.words(),
            runs: Counted {
                done: of(RunRecordState::Done),
                failed: of(RunRecordState::Failed),
                cut_off: of(RunRecordState::CutOff),
            },
            last_failure: record.runs.iter().rfind(|run| run.state == RunRecordState::Failed).map(|run| {
                FailedRun {
                    block: run.block,
                    cell: record.cells[run.cell].name.clone(),
                    label: label(&record.cells, run.cell),
                    why: run.notes.last().cloned().unwrap_or_default(),
                }
            }),
            under_way: last.map(|run| UnderWay::of(directory, record, run, now)),
            next: coming
                .iter()
                .take(if is_over { 0 } else { LISTED })
                .map(|(block, cell)| ComingRun {
                    block: *block,
                    cell: record.cells[*cell].name.clone(),
                    label: label(&record.cells, *cell),
                })
                .collect(),
            runs_left: if is_over { 0 } else { coming.len() },
            seconds_left: durations.left(record, now).filter(|_| !is_over).map(f64::round),
            basis: Some(RunDurations::basis(record)),
            last_decision: record.decisions.last().cloned(),
        }
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let state = match (self.end, self.process) {
            (Some(end), _) => format!("ended at {end}: {}", self.why_ended.as_deref().unwrap_or("")),
            (None, Some(process)) => format!("under way (process {process})"),
            (None, None) => format!(
                "not under way on this machine; go on with: ramp study run --resume {}",
                self.directory
            ),
        };
        writeln!(text, "study      {} ({}), begun at {}", self.name, self.study, self.begin)?;
        writeln!(text, "state      {state}")?;
        writeln!(text, "blocks     {} of {} complete", self.whole_blocks, self.blocks_words)?;
        let mut runs = vec![format!("{} done", self.runs.done)];
        runs.extend((self.runs.failed > 0).then(|| format!("{} failed", self.runs.failed)));
        runs.extend((self.runs.cut_off > 0).then(|| format!("{} cut off", self.runs.cut_off)));
        writeln!(text, "runs       {}", runs.join(", "))?;
        if let Some(run) = &self.last_failure {
            let which = if self.runs.failed > 1 { "the last: " } else { "" };
            writeln!(text, "failed     {which}{}: {}", place(run.block, &run.label), run.why)?;
        }
        if let Some(run) = &self.under_way {
            let what = if self.process.is_some() { "under way" } else { "cut off  " };
            writeln!(text, "{what}  {}: {}", place(run.block, &run.label), run.words())?;
        }
        if let Some((first, others)) = self.next.split_first() {
            writeln!(text, "next       {}", place(first.block, &first.label))?;
            for run in others {
                writeln!(text, "           {}", place(run.block, &run.label))?;
            }
            let more = self.runs_left - self.next.len();
            if more > 0 {
                writeln!(text, "           and {} more", count(more as u64, "run"))?;
            }
        }
        if self.end.is_none() {
            let left = match (self.seconds_left, self.basis) {
                (Some(left), Some(DurationBasis::Runs(runs))) => {
                    format!("{} left, by the durations of {}", rounded(left), count(runs as u64, "run"))
                }
                (Some(left), _) => format!("{} left, by the forecast of the runs", rounded(left)),
                (None, _) => "left is not known before the first runs have begun".into(),
            };
            writeln!(text, "time       {left}")?;
        }
        if let Some(decision) = &self.last_decision {
            let needed = match decision.blocks_needed {
                Some(needed) if needed <= decision.after_blocks => "precision reached".to_owned(),
                Some(needed) => format!("{} in all are needed", count(needed, "block")),
                None => "how many are needed is not known".to_owned(),
            };
            let after = count(decision.after_blocks, "block");
            writeln!(text, "decision   after {after}: {needed} ({})", decision.reason)?;
        }
        Ok(())
    }
}

fn place(block: u32, label: &str) -> String {
    match block {
        0 => format!("warm-up, {label}"),
        block => format!("block {block}, {label}"),
    }
}

impl UnderWay {
    fn of(directory: &Path, record: &StudyRecord, run: &RunRecord, now: SystemTime) -> Self {
        let path = directory.join(&run.directory);
        let (step, instances) =
            last_step(&path).map_or((None, None), |(step, asked)| (Some(step), Some(asked)));
        Self {
            block: run.block,
            cell: record.cells[run.cell].name.clone(),
            label: label(&record.cells, run.cell),
            directory: path.display().to_string(),
            seconds: now.duration_since(run.begin.0).unwrap_or_default().as_secs_f64().round(),
            step,
            instances,
            steps: read_run(&path).ok().map(|file| file.plan.steps()),
        }
    }

    fn words(&self) -> String {
        let since = format!("begun {} ago", rounded(self.seconds));
        match (self.step, self.instances) {
            (Some(step), Some(instances)) => {
                let of = self.steps.map_or_else(String::new, |steps| format!(" of at most {steps}"));
                format!("step {step}{of}, {}, {since}", count(instances, "instance"))
            }
            _ => format!("before its first step, {since}"),
        }
    }
}

/// Step and instances of the last whole row of `steps.csv`; a row that is being written is none yet.
fn last_step(run: &Path) -> Option<(u32, u32)> {
    let file = std::io::BufReader::new(std::fs::File::open(run.join("steps.csv")).ok()?);
    let mut lines = file.lines().map_while(Result::ok);
    let header: Vec<String> = lines.next()?.split(',').map(str::to_owned).collect();
    let column = |name: &str| header.iter().position(|column| column == name);
    let (step, asked) = (column("step")?, column("asked_instances")?);
    let row = |line: String| -> Option<(u32, u32)> {
        let cells: Vec<&str> = line.split(',').collect();
        // The first columns are numbers and times, without quotes.
        (cells.len() >= header.len()).then_some(())?;
        Some((cells[step].parse().ok()?, cells[asked].parse().ok()?))
    };
    lines.filter_map(row).last()
}

/// What the forecasts in the run directories say of each cell.
fn forecasts(directory: &Path, record: &StudyRecord) -> Vec<Option<f64>> {
    let of = |cell: usize| {
        let runs = record.runs.iter().filter(|run| run.block > 0 && run.cell == cell);
        let file = runs.rev().find_map(|run| read_run(&directory.join(&run.directory)).ok())?;
        Some(super::durations::forecast_seconds(&file.plan, file.forecast.as_ref()?).0)
    };
    (0..record.cells.len()).map(of).collect()
}
