//! `deploy/ramp.sh`, as users run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ramp_format::run_file::read_run;
use ramp_format::study::StudyRecord;
use serde_json::Value;

use crate::process::{Namespace, left_in, script, wait};

const LIMIT: Duration = Duration::from_secs(300);

/// The run directories of a study, in the order in which they were begun.
fn directories(out: &Path) -> Vec<PathBuf> {
    let record = StudyRecord::read(out);
    record.map(|record| record.runs.iter().map(|run| out.join(&run.directory)).collect()).unwrap_or_default()
}

#[test]
#[ignore = "needs a cluster that is set up, with a RuntimeClass kata"]
fn it_runs_a_scenario_under_each_runtime_in_turn_and_back() {
    let namespace = Namespace::create("ramp-test-script-in-turn");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("study");
    let options = [
        "--",
        "--namespace",
        namespace.0,
        "--memory",
        "20M",
        "--to",
        "2",
        "--settle",
        "6s",
        "--hold",
        "1s",
        "--label",
        "rack=7",
    ];
    let arguments = ["--interleave", "--out", out.to_str().unwrap(), "memory-capacity"];
    let (status, said) = script(&[&arguments[..], &options].concat()).wait_for(LIMIT);
    assert!(status.success(), "{status}: {said}");
    let runs: Vec<_> = directories(&out).iter().map(|path| read_run(path).unwrap()).collect();
    let classes = runs.iter().map(|run| run.runtime_class.as_ref().map(|class| class.name.as_str()));
    assert_eq!(classes.collect::<Vec<_>>(), [None, Some("kata"), Some("kata"), None], "A B B A");
    for run in &runs {
        assert!(
            run.end.is_some() && run.why_ended.as_deref().unwrap().contains("all planned steps"),
            "{run:?}"
        );
        assert_eq!(run.plan.labels, [("rack".to_owned(), "7".to_owned())]);
    }
    assert_eq!(left_in(namespace.0), Vec::<Value>::new());
    let report = directory.path().join("study-report");
    assert!(report.join("report.html").exists(), "{said}");
    let words = fs::read_to_string(report.join("report.md")).unwrap();
    assert!(words.contains("A B B A"), "it is told whether drift explains the difference: {words}");
}

#[test]
#[ignore = "needs a cluster that is set up"]
fn it_removes_what_a_ramp_that_was_killed_has_left() {
    let namespace = Namespace::create("ramp-test-script-killed");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("study");
    let options = ["--", "--namespace", namespace.0, "--memory", "20M", "--pace", "2s", "--settle", "6s"];
    let arguments = ["--out", out.to_str().unwrap(), "memory-capacity", "runc"];
    let script = script(&[&arguments[..], &options].concat());
    let steps = || {
        let files = directories(&out).into_iter().map(|path| path.join("steps.csv"));
        files.flat_map(fs::read_to_string).map(|text| text.lines().count()).max().unwrap_or_default()
    };
    wait("three steps", LIMIT, || steps() > 3);
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", script.id())).unwrap();
    let ramp = children.split_whitespace().next().unwrap();
    assert!(Command::new("kill").args(["-KILL", ramp]).status().unwrap().success());
    let (status, said) = script.wait_for(LIMIT);
    assert!(!status.success(), "{said}");
    assert_eq!(left_in(namespace.0), Vec::<Value>::new(), "{said}");
    let run = read_run(&directories(&out)[0]).unwrap();
    assert!(run.teardown.is_some_and(|teardown| teardown.left.is_empty()), "{said}");
}
