//! Runner of a study: run after run, each recorded before it begins and once it has ended.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::sync::watch;
use tokio::time::sleep;

use super::check::{check_cells, findings};
use super::checked_cell::{CheckedCell, durations};
use super::cooldown::before_next;
use super::definition::{StudyPlan, clock};
use super::durations::{RunDurations, fits_budget};
use super::lock::{LockState, StudyLock};
use super::progress::{StudyProgress, tell};
use super::recovery::{INTERRUPTED_RUN, cut_off, recover, run_id};
use super::request::RunRequest;
use super::schedule::{StudyStep, blocks, has_failed, is_enough, label, next};
use crate::clock::Clock;
use crate::command::error::{INTERRUPTED, REFUSED};
use crate::command::single_run::{begin, engine_of, is_refused, mark_as_live, unless_interrupted};
use crate::command::{CommandError, interrupts, output_directory};
use crate::live_runs::{LiveRun, other_process_of};
use crate::run::Surroundings;
use crate::serve::{BoundServer, PageOf, ResultsServer};
use crate::ui::{ProgressView, View};
use ramp_format::plan::EngineKind;
use ramp_format::run_file::read_run;
use ramp_format::study::{Decision, RunRecord, RunRecordState, StudyRecord};
use ramp_format::text::count;
use ramp_format::time::Time;
use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;
use ramp_report::study::planning::plan_blocks;

/// A study that is being run.
#[derive(Debug)]
struct StudyRunner {
    directory: PathBuf,
    record: StudyRecord,
    clock: Clock,
    interrupts: watch::Receiver<u32>,
    json: bool,
    durations: RunDurations,
    /// Instances of the warm-up, by cell.
    nodes: Vec<u32>,
    _marks: StudyMarks,
}

/// Other processes neither run the study nor take it for ended, for as long as the value exists.
#[derive(Debug)]
struct StudyMarks {
    _live: Option<LiveRun>,
    _lock: StudyLock,
}

/// What a study shows while it runs.
#[derive(Debug, Default)]
pub(crate) struct StudyOutput {
    /// JSON lines on standard output instead of text on standard error.
    pub(crate) json: bool,
    /// What serves its page and files, and what makes the page.
    pub(crate) server: Option<(BoundServer, PageOf)>,
}

impl StudyOutput {
    /// Serves a directory, and says where.
    fn serve(self, directory: &Path) -> Option<ResultsServer> {
        let (server, page_of) = self.server?;
        let server = server.serve(directory, page_of);
        tell(&View::of(self.json), &format!("page: {}", server.url));
        Some(server)
    }
}

/// How a run of a study has ended.
enum RunEnd {
    Done,
    Failed(String),
    Interrupted(Vec<String>),
}

/// How `study run` ends.
pub(crate) struct StudyEnd {
    /// Exit status.
    pub(crate) code: ExitCode,
    /// Directory of the study, where all that was planned was run.
    pub(crate) complete: Option<PathBuf>,
}

impl From<ExitCode> for StudyEnd {
    fn from(code: ExitCode) -> Self {
        Self { code, complete: None }
    }
}

/// Begins a study in a new directory, and runs it.
///
/// # Errors
/// Where the file is wrong, a cell cannot run, or the directory cannot be written. Nothing was created then.
pub(crate) async fn run_study(
    file: &Path,
    out: Option<&Path>,
    output: StudyOutput,
) -> Result<StudyEnd, CommandError> {
    let json = output.json;
    let (plan, clock) = StudyPlan::read(file).await?;
    let directory = out.map_or_else(|| PathBuf::from(format!("study-{}", plan.id)), Path::to_owned);
    check_directory(&plan, file, &directory)?;
    let refusals: Vec<String> = output_directory::findings(&directory)
        .into_iter()
        .filter(|finding| finding.refuses)
        .map(|finding| finding.message)
        .collect();
    let _server = output.serve(&directory);
    let interrupts = interrupts::count();
    let record = plan.record(Time(clock.now()));
    let view = View::of(json);
    if !refusals.is_empty() {
        return Ok(refused(&view, &refusals).into());
    }
    let Some(checked) = check_cells(&record, &directory, &clock, &interrupts).await? else {
        tell(&view, "interrupted: nothing was created");
        return Ok(ExitCode::from(INTERRUPTED).into());
    };
    if let Some(code) = told_findings(&view, &record, &checked) {
        return Ok(code.into());
    }
    drop(view);
    std::fs::create_dir_all(directory.join("runs"))
        .map_err(|error| CommandError::Failed(format!("{}: {error}", directory.display())))?;
    let LockState::Held(lock) = StudyLock::take(&directory) else {
        let at = directory.display();
        return Err(CommandError::Failed(format!(
            "{at}: another process begins a study there at the same time"
        )));
    };
    save(&record, &directory).inspect_err(|_| remove_if_empty(&directory))?;
    let marks = StudyMarks { _live: mark_as_live(&record.study), _lock: lock };
    StudyRunner::new(directory, record, clock, interrupts, json, &checked, marks).go().await
}

/// Goes on with the study of a file where its directory has one, also one that another process is about to leave; else begins it. So the
/// same command serves each attempt of a Job.
///
/// # Errors
/// Those of [`run_study`] and [`resume_study`], and where the directory has another study.
pub(crate) async fn continue_study(
    file: &Path,
    out: &Path,
    output: StudyOutput,
) -> Result<StudyEnd, CommandError> {
    let Ok(record) = StudyRecord::read(out) else { return run_study(file, Some(out), output).await };
    let at = out.display();
    if !StudyPlan::is_file_of(file, &record)? {
        let file = file.display();
        return Err(CommandError::Input(format!(
            "{at}: the study there, {}, is not that of {file}: choose another directory with --out, or remove that one",
            record.name
        )));
    }
    if record.end.is_none() {
        return resume_study(out, output, IfUnderWay::Wait).await;
    }
    tell(
        &View::of(output.json),
        &format!("{at}: the study has ended: {}", record.why_ended.unwrap_or_default()),
    );
    Ok(StudyEnd { code: ExitCode::SUCCESS, complete: Some(out.to_owned()) })
}

/// What is done where another process runs the study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfUnderWay {
    /// It is an error.
    Refuse,
    /// Its end is waited for.
    Wait,
}

/// Goes on with the study of a directory.
///
/// # Errors
/// Where it is none, has ended, is run by another process, or what is left of the run that was cut off cannot be removed.
pub(crate) async fn resume_study(
    directory: &Path,
    output: StudyOutput,
    if_under_way: IfUnderWay,
) -> Result<StudyEnd, CommandError> {
    let json = output.json;
    let _server = output.serve(directory);
    let read = || StudyRecord::read(directory).map_err(|error| CommandError::reading(&error));
    let at = directory.display();
    let study = read()?.study;
    let interrupts = interrupts::count();
    // Of two that are begun at the same time each sees the other one, also where the file system has no locks.
    let live = mark_as_live(&study);
    let under_way = |process: Option<u32>| {
        let process = process.map(|process| format!("process {process} on this machine"));
        let process =
            process.unwrap_or_else(|| "a process in another container or on another machine".into());
        CommandError::Failed(format!("{at}: the study is under way ({process}); see: ramp study status {at}"))
    };
    let lock = match (StudyLock::take(directory), if_under_way) {
        (LockState::Held(lock), _) => lock,
        (LockState::Taken, IfUnderWay::Refuse) => return Err(under_way(other_process_of(&study))),
        (LockState::Taken, IfUnderWay::Wait) => {
            let told = || {
                tell(&View::of(json), &format!("{at}: waiting for the process that runs the study to end"));
            };
            match StudyLock::wait(directory, &interrupts, told).await {
                Some(lock) => lock,
                None => return Ok(ExitCode::from(INTERRUPTED).into()),
            }
        }
    };
    if let Some(process) = other_process_of(&study) {
        return Err(under_way(Some(process)));
    }
    let marks = StudyMarks { _live: live, _lock: lock };
    // As the other one has left it.
    let mut record = read()?;
    if let Some(end) = record.end {
        return Err(CommandError::Input(format!("{at}: nothing to resume: the study ended at {end}")));
    }
    let clock = clock(&record.definition, Some(last_time(&record)))?;
    recover(directory, &mut record, Time(clock.now()), json, &interrupts).await?;
    record.resumes.push(Time(clock.now()));
    save(&record, directory)?;
    let view = View::of(json);
    let Some(checked) = check_cells(&record, directory, &clock, &interrupts).await? else {
        tell(&view, "interrupted: no run was begun");
        return Ok(ExitCode::from(INTERRUPTED).into());
    };
    if let Some(code) = told_findings(&view, &record, &checked) {
        return Ok(code.into());
    }
    drop(view);
    StudyRunner::new(directory.to_owned(), record, clock, interrupts, json, &checked, marks).go().await
}

/// A directory that has a study already is told from one that has anything else.
fn check_directory(plan: &StudyPlan, file: &Path, directory: &Path) -> Result<(), CommandError> {
    let Ok(record) = StudyRecord::read(directory) else { return Ok(()) };
    let (at, file) = (directory.display(), file.display());
    let why = match (plan.is_of(&record), record.end) {
        (true, None) => {
            format!("the study of {file} was begun there; go on with: ramp study run --resume {at}")
        }
        (true, Some(end)) => format!(
            "the study of {file} ended there at {end}; report on it with: ramp study report {at}, or run it again with another --out"
        ),
        (false, _) => {
            format!("another study, {}, was begun there; choose another directory with --out", record.name)
        }
    };
    Err(CommandError::Input(format!("{at}: {why}")))
}

/// Tells what is against the study.
fn refused(view: &View, refusals: &[String]) -> ExitCode {
    refusals.iter().for_each(|refusal| tell(view, &format!("error: {refusal}")));
    tell(view, "preflight failed: nothing was created; fix the errors");
    ExitCode::from(REFUSED)
}

/// Tells what preflight has found; the exit status where a cell cannot run.
fn told_findings(view: &View, record: &StudyRecord, checked: &[CheckedCell]) -> Option<ExitCode> {
    for warning in findings(record, checked, false) {
        tell(view, &format!("warning: {warning}"));
    }
    let refusals = findings(record, checked, true);
    (!refusals.is_empty()).then(|| refused(view, &refusals))
}

fn save(record: &StudyRecord, directory: &Path) -> Result<(), CommandError> {
    record.save(directory).map_err(|error| {
        let at = directory.display();
        CommandError::Failed(match StudyRecord::read(directory) {
            Ok(_) => format!("{error}; once it can be written, go on with: ramp study run --resume {at}"),
            Err(_) => error.to_string(),
        })
    })
}

/// A directory whose study could not even be begun is not in the way of the next attempt.
fn remove_if_empty(directory: &Path) {
    // As best it can: the error that is told is that of the study.
    let _ = std::fs::remove_file(directory.join("study.json.new"));
    let _ = std::fs::remove_file(directory.join("study.lock"));
    let _ = std::fs::remove_dir(directory.join("runs"));
    let _ = std::fs::remove_dir(directory);
}

/// The last time that is recorded: a simulated cluster goes on from there.
fn last_time(record: &StudyRecord) -> Time {
    let runs = record.runs.iter().flat_map(|run| [Some(run.begin), run.end]).flatten();
    let all = runs.chain(record.resumes.iter().copied()).map(|time| time.0);
    Time(all.max().map_or(record.begin.0, |last| last.max(record.begin.0)))
}

impl StudyRunner {
    fn new(
        directory: PathBuf,
        record: StudyRecord,
        clock: Clock,
        interrupts: watch::Receiver<u32>,
        json: bool,
        checked: &[CheckedCell],
        marks: StudyMarks,
    ) -> Self {
        let nodes = checked.iter().map(CheckedCell::eligible_nodes).collect();
        let durations = durations(checked);
        Self { directory, record, clock, interrupts, json, durations, nodes, _marks: marks }
    }

    async fn go(mut self) -> Result<StudyEnd, CommandError> {
        self.save()?;
        loop {
            if self.is_interrupted() {
                return Ok(self.interrupted().into());
            }
            match next(&self.record) {
                StudyStep::Run { block, cell } => {
                    let expected = self.durations.expected(&self.record, block, cell);
                    if !fits_budget(&self.record, self.clock.now(), expected) {
                        let why = self.budget_ends();
                        return self.end(why);
                    }
                    if let Some(notes) = self.cool_down().await {
                        self.run(block, cell, notes).await?;
                    }
                }
                StudyStep::Decide { block } => self.decide(block)?,
                StudyStep::Stop { why } => return Ok(self.stopped(&why).into()),
                StudyStep::End { why } => return self.end(why),
            }
        }
    }

    fn save(&self) -> Result<(), CommandError> {
        save(&self.record, &self.directory)
    }

    fn now(&self) -> Time {
        Time(self.clock.now())
    }

    fn is_interrupted(&self) -> bool {
        *self.interrupts.borrow() > 0
    }

    fn tell(&self, message: &str) {
        tell(&View::of(self.json), message);
    }

    fn interrupted(&self) -> ExitCode {
        self.tell(&format!(
            "interrupted: {} of the study completed; go on with: ramp study run --resume {}",
            blocks(self.record.whole_blocks()),
            self.directory.display()
        ));
        ExitCode::from(INTERRUPTED)
    }

    fn budget_ends(&self) -> String {
        let budget = self.record.definition.budget.unwrap_or_default();
        let precision = self.record.decisions.last().map_or_else(String::new, |decision| {
            let reached = if is_enough(decision) { "reached" } else { "not reached" };
            format!(", precision {reached} ({})", decision.reason)
        });
        format!(
            "budget of {}: the next run would probably end later; {} completed{precision}",
            humantime::format_duration(budget),
            blocks(self.record.whole_blocks())
        )
    }

    fn end(mut self, why: String) -> Result<StudyEnd, CommandError> {
        let failed = self.record.runs.iter().filter(|run| run.state == RunRecordState::Failed).count();
        let at = self.directory.display();
        let failed = match failed {
            0 => String::new(),
            failed => format!("; {} failed, see: ramp study status {at}", count(failed as u64, "run")),
        };
        let message = format!("\nstudy ended: {why}{failed}");
        self.record.end = Some(self.now());
        self.record.why_ended = Some(why);
        self.save()?;
        self.tell(&message);
        Ok(StudyEnd { code: ExitCode::SUCCESS, complete: Some(self.directory) })
    }

    fn stopped(&self, why: &str) -> ExitCode {
        let at = self.directory.display();
        self.tell(&format!("\nstudy stopped: {why}\nfix the cause, then: ramp study run --resume {at}"));
        ExitCode::FAILURE
    }

    /// Waits until the next run may begin. What is to be known of it; none if it is interrupted.
    async fn cool_down(&mut self) -> Option<Vec<String>> {
        let last =
            self.record.runs.last().and_then(|run| read_run(&self.directory.join(&run.directory)).ok());
        let (wait, notes) = before_next(last.as_ref(), self.record.definition.cooldown, self.clock.now());
        interrupts::unless_interrupted(&self.interrupts, sleep(wait)).await.map(|()| notes)
    }

    /// The directory of the next attempt at a run.
    fn directory_of(&self, block: u32, cell: usize) -> PathBuf {
        let name = &self.record.cells[cell].name;
        let name = if block == 0 { format!("warm-up-{name}") } else { format!("block-{block}-{name}") };
        let attempt = |attempt: u32| match attempt {
            1 => Path::new("runs").join(&name),
            attempt => Path::new("runs").join(format!("{name}.repeat-{}", attempt - 1)),
        };
        // One that has failed before it had a directory has a name of its own all the same.
        let is_free = |path: &PathBuf| {
            !self.directory.join(path).exists() && self.record.runs.iter().all(|run| run.directory != *path)
        };
        (1..).map(attempt).find(is_free).unwrap_or_else(|| attempt(1))
    }

    async fn run(&mut self, block: u32, cell: usize, notes: Vec<String>) -> Result<(), CommandError> {
        let directory = self.directory_of(block, cell);
        let (state, begin) = (RunRecordState::Running, self.now());
        self.record.runs.push(RunRecord { block, cell, directory, state, begin, end: None, notes });
        self.save()?;
        let view = View::of(self.json);
        if let Some(progress) = StudyProgress::of(&self.record, &self.durations, self.clock.now()) {
            view.record("study_run", &progress, || progress.heading());
        }
        let end = self.one_run(block, cell, view).await;
        let now = self.now();
        let is_repeated = has_failed(&self.record, block, cell);
        let name = label(&self.record.cells, cell);
        let Some(run) = self.record.runs.last_mut() else { return Ok(()) };
        run.end = Some(now);
        let message = match end {
            RunEnd::Done => {
                run.state = RunRecordState::Done;
                None
            }
            RunEnd::Failed(why) => {
                run.state = RunRecordState::Failed;
                let then = match (block, is_repeated) {
                    (_, false) => "it is repeated at the end of the block",
                    (0, true) => "the study goes on without it",
                    (_, true) => "it has failed twice: the block goes on without it",
                };
                let message = format!("run failed: {name}: {why}; {then}");
                run.notes.push(why);
                Some(message)
            }
            RunEnd::Interrupted(notes) => {
                run.notes.extend(notes);
                cut_off(&self.directory, &mut self.record, "interrupted").map_err(CommandError::Failed)?;
                None
            }
        };
        self.save()?;
        if let Some(message) = message {
            self.tell(&message);
        }
        Ok(())
    }

    /// An ordinary run. What keeps it from being one is a failure of the run, not of the study.
    async fn one_run(&self, block: u32, cell_index: usize, view: View) -> RunEnd {
        let result = self.try_run(block, cell_index, view).await;
        result.unwrap_or_else(|error| RunEnd::Failed(error.message().to_owned()))
    }

    async fn try_run(&self, block: u32, cell_index: usize, view: View) -> Result<RunEnd, CommandError> {
        let clock = match self.record.definition.engine {
            // What happens to the clocks of one simulated cluster does not happen to those of the next one.
            Some(EngineKind::Simulated) => Clock::simulated(self.clock.now()),
            _ => self.clock.clone(),
        };
        let directory = self.record.runs.last().map(|run| run.directory.clone()).unwrap_or_default();
        let request = RunRequest {
            definition: &self.record.definition,
            seed: self.record.seed,
            block,
            cell_index,
            cell: &self.record.cells[cell_index],
            run: run_id(&self.record.study, self.record.runs.len()),
            out: self.directory.join(directory),
            warm_up: (block == 0).then(|| self.nodes.get(cell_index).copied().unwrap_or(1)),
        };
        let builder = request.builder(&clock).map_err(CommandError::Input)?;
        let mut engine = engine_of(&builder).await?;
        let Some(found) = unless_interrupted(&self.interrupts, &mut engine, &builder).await? else {
            return Ok(RunEnd::Interrupted(Vec::new()));
        };
        if is_refused(&found.preflight) {
            let refusals: Vec<&str> = found
                .preflight
                .findings
                .iter()
                .filter(|finding| finding.refuses)
                .map(|finding| finding.message.as_str())
                .collect();
            return Ok(RunEnd::Failed(format!("preflight failed: {}", refusals.join("; "))));
        }
        let surroundings = Surroundings { clock, view, interrupts: self.interrupts.clone() };
        let (run, _live) = begin(builder, found, engine, surroundings)?;
        let summary = run.watching_memory_for(self.record.definition.cooldown.most).go().await?;
        let left = (!summary.left.is_empty()).then(|| format!("left behind: {}", summary.left.join(", ")));
        Ok(match left {
            left if summary.why_ended == INTERRUPTED_RUN => RunEnd::Interrupted(left.into_iter().collect()),
            _ if summary.failed => RunEnd::Failed(summary.why_ended),
            Some(left) => RunEnd::Failed(left),
            None => RunEnd::Done,
        })
    }

    /// Decides by the runs so far how many blocks are needed.
    fn decide(&mut self, block: u32) -> Result<(), CommandError> {
        let reading = ProgressView::busy(format!("the runs of {} to be read", blocks(block)));
        let data = StudyData::read(&self.directory, &Observer::default());
        drop(reading);
        let plan = plan_blocks(&data.map_err(|error| CommandError::reading(&error))?);
        // That the blocks are enough is that no more are needed than there are.
        let blocks_needed = match plan.blocks_needed {
            _ if plan.is_reached => Some(block),
            Some(needed) => Some(needed.max(block + 1)),
            None => None,
        };
        let decision = Decision { time: self.now(), after_blocks: block, blocks_needed, reason: plan.reason };
        let expected = match decision.blocks_needed {
            Some(needed) if needed <= block => "precision reached".to_owned(),
            Some(needed) => format!("{} in all would reach the precision", blocks(needed)),
            None => "how many blocks reach the precision is not known".to_owned(),
        };
        let message = format!("after {}: {expected} ({})", blocks(block), decision.reason);
        View::of(self.json).record("study_decision", &decision, || message);
        self.record.decisions.push(decision);
        self.save()
    }
}
