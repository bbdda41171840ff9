//! `ramp serve` and `ramp fetch`, and `ramp study run --continue`, as a Job and its user have them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use ramp_format::study::{RunRecordState, StudyRecord};

const STUDY: &str = "name: two runtimes\nengine: simulated\nruntimes: [runc, kata]\nworlds: {kata: {}}\nwarmup: false\n\
                     ramp: {from: 1, step: 1, to: 3, settle: 2s, hold: 2s}\nblocks: 2\n";

fn ramp(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ramp")).args(arguments).current_dir(directory).output().unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// A study of a simulated cluster, which has ended.
fn study(directory: &Path) {
    fs::write(directory.join("study.yaml"), STUDY).unwrap();
    let ended =
        ramp(directory, &["study", "run", "study.yaml", "--out", "study", "--continue", "--no-report"]);
    assert!(ended.status.success(), "{}", said(&ended));
}

/// What is recorded, by path.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(path) = directories.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(directory).unwrap().display().to_string();
            if entry.file_type().unwrap().is_dir() {
                directories.extend((name != "report").then(|| entry.path()));
            } else if !name.starts_with('.') && name != "study.lock" {
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// `ramp serve`, until the value is dropped.
struct Served {
    child: Child,
    url: String,
}

impl Served {
    fn of(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ramp"));
        let command = command.args(["serve", "study", "--listen", "127.0.0.1:0"]).current_dir(directory);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("study: ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, url }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_study_is_fetched_as_it_is_and_only_what_is_new_the_next_time() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    study(directory);
    let served = Served::of(directory);
    let fetch = || {
        let output = ramp(directory, &["fetch", "--from", &served.url, "--out", "copy"]);
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let first = fetch();
    assert!(
        first.contains("fetched (complete)") && first.contains("page: copy/report/report.html"),
        "{first}"
    );
    assert_eq!(files(&directory.join("study")), files(&directory.join("copy")));
    assert!(fetch().starts_with("copy: 0 files, 0 B fetched (complete)"));
    let table = "runs/block-1-runc/steps.csv";
    fs::write(directory.join("copy").join(table), "step").unwrap();
    assert!(fetch().starts_with("copy: 1 file, "), "one that was damaged here");
    assert_eq!(files(&directory.join("study")), files(&directory.join("copy")));
}

#[test]
fn what_cannot_be_fetched_is_told() {
    let place = tempfile::tempdir().unwrap();
    let fetch = |from: &str| {
        let output = ramp(place.path(), &["fetch", "--from", from]);
        (output.status.code(), said(&output))
    };
    let (code, told) = fetch("127.0.0.1:1");
    assert!(code == Some(1) && told.contains("expected a URL, such as http://127.0.0.1:8080"), "{told}");
    let (code, told) = fetch("http://127.0.0.1:1");
    assert!(code == Some(1) && told.contains("reading /files: ") && told.contains("127.0.0.1:1"), "{told}");
    fs::write(place.path().join("mine"), "").unwrap();
    let taken = ramp(place.path(), &["fetch", "--from", "http://127.0.0.1:1", "--out", "."]);
    assert!(
        taken.status.code() == Some(2) && said(&taken).contains("no copy that was fetched"),
        "{}",
        said(&taken)
    );
}

#[test]
fn the_same_command_begins_a_study_goes_on_with_it_and_finds_that_it_has_ended() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path();
    study(directory);
    let path = directory.join("study");
    let again = || ramp(directory, &["study", "run", "study.yaml", "--out", "study", "--continue", "--json"]);
    let ended = again();
    assert!(ended.status.success() && said(&ended).contains("the study has ended: "), "{}", said(&ended));
    // As an attempt leaves it that was killed in its last run.
    let mut record = StudyRecord::read(&path).unwrap();
    record.end = None;
    record.why_ended = None;
    record.runs.last_mut().unwrap().state = RunRecordState::Running;
    let cut = record.runs.last().unwrap().directory.join("run.json");
    let mut run: serde_json::Value = serde_json::from_slice(&fs::read(path.join(&cut)).unwrap()).unwrap();
    run["end"] = serde_json::Value::Null;
    fs::write(path.join(&cut), run.to_string()).unwrap();
    record.save(&path).unwrap();
    let resumed = again();
    assert!(resumed.status.success(), "{}", said(&resumed));
    let record = StudyRecord::read(&path).unwrap();
    assert!(record.end.is_some() && record.resumes.len() == 1 && record.whole_blocks() == 2, "{record:?}");
    assert!(record.runs.iter().any(|run| run.state == RunRecordState::CutOff));
    // Another study is not gone on with.
    fs::write(directory.join("study.yaml"), STUDY.replace("blocks: 2", "blocks: 3")).unwrap();
    let other = again();
    assert!(
        other.status.code() == Some(2) && said(&other).contains("is not that of study.yaml"),
        "{}",
        said(&other)
    );
}
