//! A study of the local engine, killed and resumed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use ramp_format::run_file::read_run;
use ramp_format::study::{RunRecordState, StudyRecord};
use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;
use rand::RngExt;
use tempfile::TempDir;

use crate::session::{Engine, MANIFEST};
use crate::support::transitions::audit;
use crate::{random, rounds};

const RAMP: &str = env!("CARGO_BIN_EXE_ramp");
/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

const STUDY: &str = "engine: local\nseed: 11\nscenarios: [{manifest: scenario.yaml}]\nsizes: [{memory: 24M}, {memory: 32M}]\n\
                     memory_budget: 200M\nblocks: 2\nramp: {to: 2, settle: 300ms, hold: 300ms, stop: [never]}\n\
                     cooldown: {least: 0s, most: 500ms}\n";

struct StudyPlace(TempDir);

impl StudyPlace {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("scenario.yaml"), MANIFEST).unwrap();
        fs::write(directory.path().join("study.yaml"), STUDY).unwrap();
        Self(directory)
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn spawn(&self, words: &[&str]) -> Child {
        let mut command = Command::new(RAMP);
        command.arg("study").args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(fs::File::create(self.0.path().join("said")).unwrap());
        command.spawn().unwrap()
    }

    /// Begins it, or goes on with it.
    fn begin(&self) -> Child {
        match self.record() {
            Some(_) => self.spawn(&["run", "--resume", "out"]),
            None => self.spawn(&["run", "study.yaml", "--out", "out"]),
        }
    }

    /// To its end: the exit status and what it said.
    fn end(&self, mut child: Child) -> (Option<i32>, String) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            sleep(Duration::from_millis(20));
        };
        (status.code(), fs::read_to_string(self.0.path().join("said")).unwrap())
    }

    fn record(&self) -> Option<StudyRecord> {
        StudyRecord::read(&self.out()).ok()
    }
}

/// The blocks and cells that count, in their order.
fn counted(record: &StudyRecord) -> Vec<(u32, usize)> {
    let done = record.runs.iter().filter(|run| run.state == RunRecordState::Done);
    done.map(|run| (run.block, run.cell)).collect()
}

/// Whether a run of somebody else on this machine was in the way of a study, as both would share the memory.
fn is_disturbed(record: &StudyRecord, said: &str) -> bool {
    let is_of_another = |line: &str| {
        let (_, id) = line.split_once("run ").unwrap_or_default();
        (line.contains(" is under way (process ") || line.contains(" is still running in "))
            && !id.starts_with(&record.study)
    };
    said.lines()
        .chain(record.runs.iter().flat_map(|run| run.notes.iter().map(String::as_str)))
        .any(is_of_another)
}

/// Each run that counts has an end and whole tables, and nothing is left of any.
fn is_whole(out: &Path, record: &StudyRecord, what: &str) {
    for (at, run) in record.runs.iter().enumerate() {
        let path = out.join(&run.directory);
        let left = Engine::Local.left(&format!("{}-{}", record.study, at + 1));
        assert_eq!(left, Vec::<String>::new(), "{what}");
        if run.state == RunRecordState::CutOff && !path.join("run.json").exists() {
            continue;
        }
        let file = read_run(&path).unwrap();
        let teardown = file.teardown.unwrap();
        assert!(file.end.is_some() && teardown.left.is_empty(), "{what}: {}", path.display());
        assert_eq!(audit(&path).there(), Vec::<&String>::new(), "{what}: {}", path.display());
        if run.state == RunRecordState::Done {
            assert!(file.resumes.is_empty(), "{what}: a run that counts was never cut off");
            assert_eq!(file.why_ended.as_deref(), Some("all planned steps completed"), "{what}");
        }
    }
    let data = StudyData::read(out, &Observer::default()).unwrap();
    assert_eq!(data.unreadable.len(), 0, "{what}: {:?}", data.unreadable);
    let directories = fs::read_dir(out.join("runs")).unwrap().count();
    let recorded = record.runs.iter().filter(|run| out.join(&run.directory).exists()).count();
    assert_eq!(directories, recorded, "{what}: each directory is that of one run");
}

#[test]
#[ignore = "needs root and cgroups"]
fn local_study_killed_at_any_moment() {
    let whole = StudyPlace::new();
    let (status, said) = whole.end(whole.begin());
    assert_eq!(status, Some(0), "{said}");
    let undisturbed = counted(&whole.record().unwrap());
    assert_eq!(undisturbed.len(), 1 + 2 * 2);
    let began = whole.record().unwrap();
    let took = began.end.unwrap().0.duration_since(began.begin.0).unwrap();
    let mut random = random();
    let mut states: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut kills, mut disturbed) = (0, 0);
    while kills < rounds() {
        let before = kills;
        let place = StudyPlace::new();
        let trials = Engine::Local.trials();
        // Several times each, so that what resumes is killed, too.
        for _ in 0..4.min(rounds() - kills) {
            let moment = Duration::from_millis(random.random_range(0..took.as_millis() as u64 / 2));
            let mut child = place.begin();
            sleep(moment);
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            let running = place.record().map(|record| match record.runs.last().map(|run| run.state) {
                _ if record.end.is_some() => "at its end",
                Some(RunRecordState::Running) => "in a run",
                _ => "between runs",
            });
            *states.entry(running.unwrap_or("before its directory")).or_default() += 1;
            if place.record().is_none() {
                Engine::Local.clean_trials(&trials);
            }
            if place.record().is_some_and(|record| record.end.is_some()) {
                break;
            }
        }
        let what = format!("after {kills} kills");
        if place.record().is_none_or(|record| record.end.is_none()) {
            let (status, said) = place.end(place.begin());
            let record = place.record();
            if record.is_some_and(|record| is_disturbed(&record, &said)) {
                (kills, disturbed) = (before, disturbed + 1);
                assert!(disturbed < 20, "{what}: {said}");
                continue;
            }
            assert_eq!(status, Some(0), "{what}: {said}");
        }
        let record = place.record().unwrap();
        assert_eq!(counted(&record), undisturbed, "{what}: {:#?}", record.runs);
        is_whole(&place.out(), &record, &what);
        assert_eq!(Engine::Local.trials(), trials, "{what}");
    }
    println!("{kills} kills: {states:?}, {disturbed} studies disturbed by others");
}

#[test]
#[ignore = "needs root and cgroups"]
fn local_study_is_interrupted_resumed_and_run_by_one_process_at_a_time() {
    let place = StudyPlace::new();
    let mut child = place.begin();
    let deadline = Instant::now() + LIMIT;
    let is_running = || {
        let record = place.record()?;
        let run = record.runs.iter().find(|run| run.block == 1 && run.state == RunRecordState::Running)?;
        read_run(&place.out().join(&run.directory)).ok()
    };
    while is_running().is_none() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it runs");
        sleep(Duration::from_millis(10));
    }
    let second = Command::new(RAMP)
        .args(["study", "run", "--resume", "out"])
        .current_dir(place.0.path())
        .output()
        .unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(second.status.code() == Some(1) && said.contains("the study is under way (process "), "{said}");
    let status =
        Command::new(RAMP).args(["study", "status", "out"]).current_dir(place.0.path()).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains(&format!("under way (process {})", child.id())), "{status}");
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let (code, said) = place.end(child);
    assert!(code == Some(130) && said.contains("go on with: ramp study run --resume out"), "{said}");
    let record = place.record().unwrap();
    assert!(record.end.is_none() && record.runs.iter().all(|run| run.state != RunRecordState::Running));
    let (code, said) = place.end(place.begin());
    assert_eq!(code, Some(0), "{said}");
    let record = place.record().unwrap();
    assert_eq!(counted(&record).len(), 5);
    is_whole(&place.out(), &record, "interrupted");
}
