//! Recovery of a study whose process was killed: the run that was under way counts if it had ended; else what is left of it is removed,
//! its directory is moved aside, and it is repeated.

use std::path::{Path, PathBuf};

use tokio::sync::watch;

use super::progress::tell;
use crate::command::CommandError;
use crate::command::clean::clean_directory;
use crate::engine::local;
use crate::ui::View;
use ramp_format::plan::EngineKind;
use ramp_format::run_file::{RunFile, read_run};
use ramp_format::study::{RunRecordState, StudyRecord};
use ramp_format::time::Time;

/// Why a run that was recorded as done is repeated.
const UNREADABLE: &str = "recorded as done, and cannot be read";

/// Why a run ended that was interrupted, in its `run.json`.
pub(super) const INTERRUPTED_RUN: &str = "interrupted";

/// The id of a run: its number in the study.
pub(super) fn run_id(study: &str, number: usize) -> String {
    format!("{study}-{number}")
}

/// Brings the last run of a study to an end: recorded, or cut off. `now` is the time where its own is not known.
///
/// # Errors
/// Where what is left of it cannot be removed, or its directory cannot be moved.
pub(super) async fn recover(
    directory: &Path,
    record: &mut StudyRecord,
    now: Time,
    json: bool,
    interrupts: &watch::Receiver<u32>,
) -> Result<(), CommandError> {
    remove_trials(record).await;
    set_unreadable_aside(directory, record, json).map_err(CommandError::Failed)?;
    let Some(run) = record.runs.last_mut() else { return Ok(()) };
    let path = directory.join(&run.directory);
    let file = read_run(&path).ok();
    let left = file.as_ref().and_then(|file| file.teardown.as_ref()).is_some_and(|end| !end.left.is_empty());
    if run.state != RunRecordState::Running && !left {
        return Ok(());
    }
    if let Some(file) = &file
        && (file.end.is_none() || left)
        && file.plan.engine != EngineKind::Simulated
    {
        let view = if json { View::Nothing } else { View::words() };
        clean_directory(&path, file, view, interrupts.clone()).await?;
    }
    if run.state != RunRecordState::Running {
        return Ok(());
    }
    match file.filter(|file| file.end.is_some()) {
        Some(file) if file.why_ended.as_deref() != Some(INTERRUPTED_RUN) => {
            run.end = file.end;
            (run.state, run.notes) = ended(&file, std::mem::take(&mut run.notes));
        }
        _ => {
            run.end = Some(now);
            cut_off(directory, record, "its process was killed").map_err(CommandError::Failed)?;
        }
    }
    Ok(())
}

/// Runs of blocks that are recorded as done, and whose directory was removed or damaged since, are repeated: no figure would have them.
///
/// # Errors
/// Where one cannot be moved aside.
fn set_unreadable_aside(directory: &Path, record: &mut StudyRecord, json: bool) -> Result<(), String> {
    for at in 0..record.runs.len() {
        let run = &record.runs[at];
        if run.block == 0 || run.state != RunRecordState::Done {
            continue;
        }
        let why = match read_run(&directory.join(&run.directory)) {
            Ok(file) if file.end.is_some() => continue,
            Ok(_) => "its run.json has no end".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("warning: {}: {UNREADABLE}: {why}; it is repeated", run.directory.display());
        tell(&View::of(json), &message);
        set_aside(directory, record, at, &format!("{UNREADABLE}: {why}"))?;
    }
    Ok(())
}

/// How a run that has ended counts, with the notes of its record.
fn ended(file: &RunFile, mut notes: Vec<String>) -> (RunRecordState, Vec<String>) {
    let left = file.teardown.as_ref().map_or(&[][..], |teardown| &teardown.left);
    if file.failed {
        notes.push(file.why_ended.clone().unwrap_or_default());
    } else if !left.is_empty() {
        notes.push(format!("left behind: {}", left.join(", ")));
    } else {
        return (RunRecordState::Done, notes);
    }
    (RunRecordState::Failed, notes)
}

/// Records that the last run was cut off, and moves its directory aside: the run is repeated in another one of its name.
///
/// # Errors
/// Where it cannot be moved.
pub(super) fn cut_off(directory: &Path, record: &mut StudyRecord, why: &str) -> Result<(), String> {
    match record.runs.len().checked_sub(1) {
        Some(last) => set_aside(directory, record, last, &format!("cut off: {why}")),
        None => Ok(()),
    }
}

/// Records that a run counts in no figure, and moves its directory aside.
fn set_aside(directory: &Path, record: &mut StudyRecord, at: usize, why: &str) -> Result<(), String> {
    let name = record.runs[at].directory.clone();
    let from = directory.join(&name);
    // A run that was killed before it had a directory has a name of its own all the same. One that is moved and not recorded was moved by
    // a process that was killed then.
    let is_free = |aside: &PathBuf| {
        (!from.exists() || !directory.join(aside).exists())
            && record.runs.iter().all(|run| run.directory != *aside)
    };
    let to = (1..).map(|number| aside(&name, number)).find(is_free).unwrap_or_else(|| aside(&name, 0));
    let path = directory.join(&to);
    if from.exists() {
        std::fs::rename(&from, &path).map_err(|error| {
            format!("{}: cannot be renamed to {}: {error}", from.display(), path.display())
        })?;
    }
    let run = &mut record.runs[at];
    run.directory = to;
    run.state = RunRecordState::CutOff;
    run.notes.push(why.to_owned());
    Ok(())
}

fn aside(name: &Path, number: u32) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(format!(".cut-{number}"));
    name.into()
}

/// Removes what the preflight of a process that was killed has tried: that of the study, and that of its last run.
async fn remove_trials(record: &StudyRecord) {
    if record.definition.engine != Some(EngineKind::Local) {
        return;
    }
    for run in [record.study.clone(), run_id(&record.study, record.runs.len())] {
        // What cannot be removed is found by the next preflight, which says what to do.
        let _ = local::clean(Some(&format!("{run}.trial"))).await;
    }
}
