//! The live view. Each run is a process, because the view writes to standard output or standard error.

use std::path::Path;
use std::process::Command;

use ramp::ui::View;
use ramp_format::plan::{Pace, Plan};

use super::recorded::{WHOLE, record};
use super::session::{hold, text};
use super::support::{Fault, FaultKind, SECOND, Script, Shortage, plan, rules, script};

/// Names the run, and how it is shown.
const SHOWN: &str = "RAMP_TEST_SHOWN";

fn the_run(name: &str) -> (Plan, Script) {
    let faults = |from, to, kind| Script {
        faults: vec![Fault { from: from * SECOND, to: to * SECOND, kind }],
        ..script()
    };
    match name {
        "evicted" => (
            Plan { to: 1000, stop: rules(&["evictions:0/1m"]), beyond: 3, hold: 5 * SECOND, ..plan() },
            script(),
        ),
        "oom" => {
            (Plan { to: 9, hold: 30 * SECOND, ..plan() }, Script { shortage: Shortage::OomKill, ..script() })
        }
        "down" => (Plan { to: 6, step: 2, down: true, note: rules(&["steps:2"]), ..plan() }, script()),
        "stalled" => (
            Plan { to: 100, stop: rules(&["stalled:2"]), ..plan() },
            Script { shortage: Shortage::Refuse, ..script() },
        ),
        "kept" => (Plan { to: 2, keep: true, ..plan() }, script()),
        "time" => {
            (Plan { pace: Pace::Every(5 * SECOND), to: 1000, stop: rules(&["time:12s"]), ..plan() }, script())
        }
        "silent" => (
            Plan { pace: Pace::Every(5 * SECOND), to: 8, ..plan() },
            faults(10, 30, FaultKind::Silent("b".into())),
        ),
        "not_ready" => (
            Plan { stop: rules(&["node-not-ready"]), ..plan() },
            faults(5, 500, FaultKind::NotReady("b".into())),
        ),
        "away" => (Plan { to: 4, ..plan() }, faults(4, 14, FaultKind::ApiDown)),
        other => panic!("no run {other}"),
    }
}

#[test]
#[ignore = "is run by the other tests, to be looked at"]
fn shown() {
    let what = std::env::var(SHOWN).expect("another test runs this one");
    let (name, view) = what.split_once(' ').unwrap();
    let view = if view == "json" { View::json() } else { View::words() };
    let (plan, script) = the_run(name);
    // The directory is told as it was named; this process has no other test.
    let directory = tempfile::tempdir().unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    record(Path::new("run"), &plan, &script, WHOLE, view);
}

/// Standard output and standard error of a run.
fn seen(name: &str, view: &str) -> (String, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "view::shown", "--ignored", "--nocapture", "--test-threads=1"])
        .env(SHOWN, format!("{name} {view}"))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{error}");
    (out, error)
}

fn words(name: &str) {
    hold(&format!("view_{name}"), &seen(name, "words").1);
}

#[test]
fn a_run_past_saturation_is_a_line_a_step_and_how_it_ended() {
    words("evicted");
    words("oom");
    words("stalled");
}

#[test]
fn a_run_that_goes_down_again_says_so_and_what_was_noted() {
    words("down");
}

#[test]
fn what_ends_a_run_and_what_it_leaves_is_told() {
    words("kept");
    words("time");
    words("not_ready");
}

#[test]
fn what_is_not_heard_of_is_told() {
    words("silent");
    words("away");
}

#[test]
fn a_run_as_json_is_an_object_a_line() {
    let (out, error) = seen("evicted", "json");
    // Between lines of the test program itself.
    let lines: Vec<&str> = out.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(error, "", "words are for people");
    let spread = |line: &str| format!("{:#}\n", serde_json::from_str::<serde_json::Value>(line).unwrap());
    let kind = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["record"].clone();
    let first = |record: &str| spread(lines.iter().find(|line| kind(line) == record).unwrap());
    hold("view_json", &["step", "note", "end"].map(first).concat());
    let kinds: Vec<String> = lines.iter().map(|line| kind(line).as_str().unwrap().to_owned()).collect();
    hold("view_json_kinds", &kinds.join("\n"));
}
