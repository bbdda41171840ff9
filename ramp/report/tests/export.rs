//! Exports of stored runs: the same numbers in the formats of other tools.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ramp_format::study::{Cell, RunRecord, RunRecordState, STUDY_FORMAT_VERSION, StudyFile, StudyRecord};
use ramp_format::time::Time;
use ramp_report::export::arrow::write_tables;
use ramp_report::export::context::ExportedRuns;
use ramp_report::export::openmetrics::write_run;
use ramp_report::progress::Observer;
use tempfile::TempDir;

const STORED: [&str; 4] = ["1-current", "1-with-forecast", "1-with-settle", "1-without-forecast"];

fn stored(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions").join(name)
}

/// The metrics of each run of a directory.
fn metrics(directory: &Path) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("metrics.txt");
    let of_run = |run| {
        write_run(run, &file, &Observer::default()).unwrap();
        std::fs::read_to_string(&file).unwrap()
    };
    ExportedRuns::read(directory).unwrap().runs.iter().map(of_run).collect()
}

fn arrow(directory: &Path) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let runs = ExportedRuns::read(directory).unwrap();
    write_tables(&runs, place.path(), &Observer::default()).unwrap();
    place
}

/// A study of two of the stored runs, one of which was cut off.
fn study() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let begin = Time(humantime::parse_rfc3339("2026-01-01T12:00:00Z").unwrap());
    let cell = |name: &str| Cell {
        name: name.into(),
        scenario: "s".into(),
        manifest: None,
        runtimes: vec![name.into()],
        size: None,
    };
    let run = |(cell, name, state): (usize, &str, RunRecordState)| RunRecord {
        block: 1,
        cell,
        directory: stored(name),
        state,
        begin,
        end: None,
        notes: Vec::new(),
    };
    let runs = [
        (0, "1-current", RunRecordState::Done),
        (1, "1-with-settle", RunRecordState::Done),
        (0, "1-with-forecast", RunRecordState::CutOff),
    ];
    let record = StudyRecord {
        format_version: STUDY_FORMAT_VERSION,
        study: "id".into(),
        name: "n".into(),
        ramp_version: "0".into(),
        begin,
        end: Some(begin),
        why_ended: None,
        resumes: Vec::new(),
        definition: StudyFile::default(),
        seed: 7,
        cells: vec![cell("runc"), cell("kata")],
        runs: runs.into_iter().map(run).collect(),
        decisions: Vec::new(),
    };
    record.save(place.path()).unwrap();
    place
}

fn rows(directory: &Path, table: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(directory.join(table)).unwrap();
    let rows: Result<_, _> = reader.deserialize().collect();
    rows.unwrap()
}

#[test]
fn metrics_have_each_number_of_the_tables_at_its_time() {
    let directory = stored("1-current");
    let text = metrics(&directory).remove(0);
    let lines: HashSet<&str> = text.lines().collect();
    let has = |line: &str| assert!(lines.contains(line), "{line}:\n{}", &text[..2000]);
    has("# TYPE workload_node_memory_available_bytes gauge");
    has("# UNIT workload_node_memory_available_bytes bytes");
    has("# TYPE ramp_oom_kills counter");
    has("# TYPE workload_cpu_used_seconds counter");
    let run = "run=\"20261129-030657-3bf2\",runtime=\"simulated\"";
    let mut checked = 0;
    for row in rows(&directory, "nodes.csv").iter().filter(|row| !row["memory_available_bytes"].is_empty()) {
        // It began at 12:00:00.006, which is 1767268800.006.
        let time = 1_767_268_800.006 + row["elapsed_seconds"].parse::<f64>().unwrap();
        let value = &row["memory_available_bytes"];
        has(&format!(
            "workload_node_memory_available_bytes{{{run},node=\"{}\"}} {value} {time:.3}",
            row["node"]
        ));
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
    let steps = rows(&directory, "steps.csv");
    let last = steps.last().unwrap();
    let time = 1_767_268_800.006 + last["elapsed_seconds"].parse::<f64>().unwrap();
    has(&format!("ramp_oom_kills_total{{{run}}} {} {time:.3}", last["oom_kills_total"]));
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
}

#[test]
fn an_instance_is_in_the_state_that_its_last_transition_says() {
    let directory = stored("1-current");
    let text = metrics(&directory).remove(0);
    let mut states: BTreeMap<(String, String), String> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("ramp_pod_state{")) {
        let label = |name: &str| {
            line.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned()
        };
        let value = line.split("} ").nth(1).unwrap().split(' ').next().unwrap();
        states.insert((label("uid"), label("state")), value.to_owned());
    }
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for row in rows(&directory, "pods.csv") {
        last.insert(row["uid"].clone(), row["to"].clone());
    }
    let expected: HashSet<(String, String)> = last.into_iter().filter(|(_, state)| state != "gone").collect();
    let now = states.into_iter().filter(|(_, value)| value == "1").map(|(key, _)| key);
    assert_eq!(now.collect::<HashSet<_>>(), expected);
}

#[test]
fn metrics_of_a_study_are_labelled_and_a_run_that_was_cut_off_is_left_out() {
    let study = study();
    let runs = ExportedRuns::read(study.path()).unwrap();
    assert_eq!((runs.runs.len(), runs.left_out.len()), (2, 1));
    assert!(runs.left_out[0].ends_with("is left out: it did not end as a run does"), "{:?}", runs.left_out);
    let all = metrics(study.path());
    assert!(
        all[1].contains("ramp_ready_instances{run=") && all[1].contains(",block=\"1\",cell=\"kata\"}"),
        "{}",
        &all[1][..500]
    );
}

#[test]
#[ignore = "needs Python's prometheus_client"]
fn a_strict_parser_takes_the_metrics() {
    // Its version 0.16 compares seconds and nanoseconds of times apart.
    const SCRIPT: &str = "from prometheus_client.samples import Timestamp as t; \
                          t.__gt__ = lambda a, b: (a.sec, a.nsec) > (b.sec, b.nsec); import sys; \
                          from prometheus_client.openmetrics.parser import \
                          text_string_to_metric_families as p; f = list(p(sys.stdin.read())); \
                          print(len(f), sum(len(x.samples) for x in f))";
    for name in STORED {
        let text = metrics(&stored(name)).remove(0);
        let mut python = Command::new(std::env::var("PYTHON").unwrap_or_else(|_| "python3".into()))
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python is installed");
        python.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}");
        let said = String::from_utf8(output.stdout).unwrap();
        let counts: Vec<usize> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        assert!(counts[0] > 40 && counts[1] == samples, "{name}: {said}, {samples} lines");
    }
}

#[test]
fn arrow_files_begin_and_end_as_such_and_have_their_columns() {
    let place = arrow(&stored("1-current"));
    for (table, column) in [("steps", "ready_instances"), ("nodes", "boot_id"), ("events", "message")] {
        let bytes = std::fs::read(place.path().join(format!("{table}.arrow"))).unwrap();
        assert!(bytes.starts_with(b"ARROW1\0\0") && bytes.ends_with(b"ARROW1"), "{table}");
        let footer = &bytes[bytes.len() - 10..bytes.len() - 6];
        let length = u32::from_le_bytes(footer.try_into().unwrap()) as usize;
        assert!(length < bytes.len() && length > 100, "{table}: {length}");
        let footer = &bytes[bytes.len() - 10 - length..];
        assert!(footer.windows(column.len()).any(|window| window == column.as_bytes()), "{table}: {column}");
    }
}

#[test]
#[ignore = "needs Python's pyarrow: DATA_PYTHON"]
fn another_reader_of_arrow_finds_every_cell() {
    let python = std::env::var_os("DATA_PYTHON").expect("DATA_PYTHON names an interpreter that has pyarrow");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/arrow.py");
    let read = |tables: &Path, runs: &[PathBuf]| {
        let output = Command::new(&python).arg(&script).arg(tables).args(runs).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said.trim().parse::<usize>().expect("a number of cells")
    };
    for name in STORED {
        let cells = read(arrow(&stored(name)).path(), &[stored(name)]);
        assert!(cells > 2000, "{name}: {cells}");
    }
    let study = study();
    read(arrow(study.path()).path(), &["1-current", "1-with-settle"].map(stored));
}
