//! `ramp report` as a command: output, files, exit status.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use nix::pty::openpty;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::{report, study, study_layout};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn two_files_come_out_as_json_with_every_figure_or_why_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    study(directory.path(), "runc.csv", 60, 500);
    study(directory.path(), "kata.csv", 60, 1000);
    let output = report(directory.path(), &["kata.csv", "runc.csv", "--json", "--memory", "500M"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run = &found["runs"][1];
    assert_eq!((&run["name"], &run["rows"]), (&"runc".into(), &60.into()));
    assert!((9.0..11.0).contains(&run["stale_cells_percent"].as_f64().unwrap()), "{run}");
    let estimates = &run["estimates"];
    assert_eq!(estimates["maximum_running"], serde_json::json!({"count": 40, "step": 40}));
    assert_eq!(estimates["saturation"]["step"], 40);
    assert!(estimates["saturation"]["rule"].as_str().unwrap().contains("10^6 KiB"));
    let cost = &estimates["marginal_cost"];
    let within = |low: f64, high: f64| {
        move |value: &Value| value.as_f64().is_some_and(|value| (low..=high).contains(&value))
    };
    assert!(within(0.99 * 524_288_000.0, 1.01 * 524_288_000.0)(&cost["bytes"]), "{cost}");
    assert!(
        cost["low"].as_f64() <= cost["bytes"].as_f64() && cost["bytes"].as_f64() <= cost["high"].as_f64()
    );
    assert!(
        estimates["predicted_capacity"].is_u64() && estimates["usage_per_container_mib"]["min"].is_number()
    );
    let behaviour = &run["behaviour"];
    assert!(behaviour["goodput"].is_null() && behaviour["reason"]["goodput"].is_string(), "{behaviour}");
    let comparison = &found["comparisons"][0];
    assert_eq!(
        (&comparison["base"], &comparison["other"]),
        (&"runc".into(), &"kata".into()),
        "whatever the order"
    );
    assert!(within(0.99, 1.01)(&comparison["overhead_by_maximum"]), "{comparison}");
    assert!(within(520e6, 530e6)(&comparison["overhead_per_pod"]["bytes"]), "{comparison}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "JSON alone writes no files");
}

#[test]
fn what_is_null_has_its_reason_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    study(directory.path(), "runc.csv", 4, 500);
    fs::write(directory.path().join("headless.csv"), "Iteration,Elapsed,Running\n1,9,1\n").unwrap();
    let output = report(directory.path(), &["runc.csv", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let estimates = &found["runs"][0]["estimates"];
    assert!(estimates["predicted_capacity"].is_null());
    assert!(estimates["reason"]["predicted_capacity"].as_str().unwrap().contains("--memory"));
    for object in ["saturation", "marginal_cost"] {
        assert!(estimates[object]["reason"].is_string(), "{estimates}");
    }
    assert!(estimates["saturation"]["step"].is_null() && estimates["marginal_cost"]["bytes"].is_null());
    assert_eq!(found["comparisons"], Value::Array(Vec::new()));
    let output = report(directory.path(), &["headless.csv", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["runs"][0]["stale_cells_percent"].is_null(), "{found}");
    assert!(found["runs"][0]["reason"]["stale_cells_percent"].is_string(), "{found}");
}

#[test]
fn a_page_markdown_and_pictures_are_written_and_it_says_where() {
    let directory = tempfile::tempdir().unwrap();
    study(directory.path(), "runc.csv", 1000, 20);
    study(directory.path(), "kata.csv", 1000, 40);
    let output = report(directory.path(), &["runc.csv", "kata.csv"]);
    assert!(text(&output.stdout).ends_with("page: ramp-report/report.html\n"), "{}", text(&output.stdout));
    let out = directory.path().join("ramp-report");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let summary = page.find("<p class=\"summary\">runc: up to ").expect("the summary");
    assert!(summary < page.find("<table").unwrap(), "it stands first");
    let markdown = fs::read_to_string(out.join("report.md")).unwrap();
    for line in markdown.lines().filter(|line| line.starts_with("![")) {
        let file = line.split_once("](").and_then(|(_, rest)| rest.strip_suffix(')')).unwrap();
        let picture = fs::read_to_string(out.join(file)).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("<polyline"), "{file}");
    }
    // Again, over what is there.
    assert!(report(directory.path(), &["runc.csv"]).status.success());
}

#[test]
fn runs_of_one_name_are_told_apart_by_their_directories_and_none_counts_twice() {
    let directory = tempfile::tempdir().unwrap();
    for (set, each_mib) in [("monday", 500), ("tuesday", 510)] {
        fs::create_dir(directory.path().join(set)).unwrap();
        study(&directory.path().join(set), "runc.csv", 60, each_mib);
        study(&directory.path().join(set), "kata.csv", 60, 2 * each_mib);
    }
    let files = ["monday/runc.csv", "monday/kata.csv", "tuesday/runc.csv", "--json"];
    let output = report(directory.path(), &files);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&Value> = found["runs"].as_array().unwrap().iter().map(|run| &run["name"]).collect();
    assert_eq!(names, ["monday/runc", "kata", "tuesday/runc"]);
    let repeats = serde_json::json!(["monday/runc", "tuesday/runc"]);
    assert_eq!(found["comparisons"][0]["base_runs"], repeats, "{found:#}");
    fs::copy(directory.path().join("monday/runc.csv"), directory.path().join("monday/runc.txt")).unwrap();
    let output = report(directory.path(), &["monday/runc.csv", "monday/runc.txt", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names = [0, 1].map(|run| found["runs"][run]["name"].as_str().unwrap().to_owned());
    assert!(names[0].ends_with("monday/runc.csv") && names[1].ends_with("monday/runc.txt"), "{names:?}");
    let output = report(directory.path(), &["monday/runc.csv", "monday/../monday/runc.csv", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is given twice"), "{}", text(&output.stderr));
}

#[test]
fn what_is_malformed_is_told_by_its_place_and_ends_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = study(directory.path(), "runc.csv", 10, 500);
    let broken = fs::read_to_string(&file).unwrap().replacen("\n5,45,5,", "\n5,45,five,", 1);
    fs::write(&file, broken).unwrap();
    let output = report(directory.path(), &["runc.csv", "not-there", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "", "nothing is said of what is half read");
    let said = text(&output.stderr);
    assert!(said.contains("runc.csv:6: column \"Running\": found \"five\", expected"), "{said}");
    assert!(said.contains("not-there: "), "all that is wrong is told at once: {said}");
}

#[test]
fn an_assertion_that_does_not_hold_ends_with_4_and_says_what_is() {
    let directory = tempfile::tempdir().unwrap();
    study(directory.path(), "runc.csv", 60, 500);
    let status = |assertion: &str| report(directory.path(), &["runc.csv", "--json", "--assert", assertion]);
    assert!(status("max_running>=40").status.success());
    let failed = status("max_running>=100");
    assert_eq!(failed.status.code(), Some(4));
    assert_eq!(text(&failed.stderr), "error: max_running>=100: it is 40 in runc\n");
    assert_eq!(status("walking>=100").status.code(), Some(2), "no such figure");
}

/// `ramp report` of a file that has no contents until it is given some.
fn report_of_pipe(directory: &std::path::Path, stderr: impl Into<Stdio>) -> Child {
    mkfifo(&directory.join("runc.csv"), Mode::S_IRWXU).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ramp"));
    command.args(["report", "runc.csv", "--json"]).current_dir(directory).env("TERM", "xterm");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

#[test]
fn a_report_that_takes_long_says_what_it_waits_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = report_of_pipe(directory.path(), Stdio::piped());
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "  ! waiting for the report: 0 B read (3 s)\n");
    fs::write(directory.path().join("runc.csv"), study_layout::rows(60, 500)).unwrap();
    line.clear();
    stderr.read_to_string(&mut line).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(line.lines().all(|line| line.starts_with("  ! waiting for the report: ")), "{line}");
}

#[test]
fn on_a_terminal_a_report_that_takes_long_shows_a_bar_and_removes_it() {
    let directory = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let mut child = report_of_pipe(directory.path(), terminal.slave);
    let (mut shown, mut buffer) = (String::new(), [0; 1024]);
    let mut master = File::from(terminal.master);
    while !shown.contains("the report: 0 B read") {
        let count = master.read(&mut buffer).unwrap();
        shown += &String::from_utf8_lossy(&buffer[..count]);
    }
    fs::write(directory.path().join("runc.csv"), study_layout::rows(60, 500)).unwrap();
    // Until the terminal is closed.
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        shown += &String::from_utf8_lossy(&buffer[..count]);
    }
    assert!(child.wait().unwrap().success());
    assert!(shown.ends_with("\r\x1b[2K") && !shown.contains("waiting for"), "{shown:?}");
}
