//! `ramp export`, `ramp schema`, and kube-burner's files, as commands.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::report;

fn ramp(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ramp")).args(arguments).current_dir(directory).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A stored run.
fn run() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("report/tests/versions/1-current")
}

#[test]
fn a_run_is_exported_in_each_format_and_what_was_written_is_said() {
    let place = tempfile::tempdir().unwrap();
    let run = run();
    let output =
        ramp(place.path(), &["export", run.to_str().unwrap(), "--openmetrics", "--arrow", "--out", "out"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let files: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    let expected = [
        "metrics.txt",
        "steps.arrow",
        "pods.arrow",
        "nodes.arrow",
        "workloads.arrow",
        "components.arrow",
        "limits.arrow",
        "events.arrow",
    ];
    assert_eq!(files, expected.map(|file| format!("out/{file}")));
    assert!(files.iter().all(|file| place.path().join(file).metadata().unwrap().len() > 500));
    assert!(std::fs::read_to_string(place.path().join("out/metrics.txt")).unwrap().ends_with("# EOF\n"));
}

#[test]
fn what_cannot_be_exported_is_said_with_its_status() {
    let place = tempfile::tempdir().unwrap();
    let run = run();
    let run = run.to_str().unwrap();
    let none = ramp(place.path(), &["export", ".", "--arrow"]);
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
    assert!(text(&none.stderr).contains("is it a run directory?"), "{}", text(&none.stderr));
    assert_eq!(ramp(place.path(), &["export", run]).status.code(), Some(2), "a format is needed");
    std::fs::write(place.path().join("file"), "").unwrap();
    let blocked = ramp(place.path(), &["export", run, "--arrow", "--out", "file/out"]);
    assert_eq!(blocked.status.code(), Some(1), "{}", text(&blocked.stderr));
    assert!(text(&blocked.stderr).contains("file/out: "), "{}", text(&blocked.stderr));
    let copy = place.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(Path::new(run).join("run.json"), copy.join("run.json")).unwrap();
    std::fs::write(copy.join("steps.csv"), "time,step\nyesterday,1\n").unwrap();
    let wrong = ramp(place.path(), &["export", "copy", "--openmetrics"]);
    assert_eq!(wrong.status.code(), Some(2));
    let said = text(&wrong.stderr);
    assert!(
        said.contains("steps.csv:2: column \"time\": found \"yesterday\", expected a time as in"),
        "{said}"
    );
}

#[test]
fn each_schema_is_printed_by_its_name() {
    let place = tempfile::tempdir().unwrap();
    for name in ["run", "study", "study-file", "report", "study-report"] {
        let output = ramp(place.path(), &["schema", name]);
        let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(schema["type"], "object", "{name}");
    }
    let of_study = ramp(place.path(), &["study", "schema"]).stdout;
    assert_eq!(of_study, ramp(place.path(), &["schema", "study-file"]).stdout);
    assert!(text(&ramp(place.path(), &["schema", "pods"]).stderr).contains("study-report"));
}

#[test]
fn pod_latencies_of_kube_burner_are_reported_on_and_their_quantiles_refused() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, metric: &str| {
        let document = format!(
            r#"{{"timestamp": "2026-07-01T10:00:00Z", "schedulingLatency": 4, "podReadyLatency": 2997, "metricName": "{metric}"}}"#
        );
        std::fs::write(place.path().join(name), format!("[{document}]")).unwrap();
    };
    write("pods.json", "podLatencyMeasurement");
    write("quantiles.json", "podLatencyQuantilesMeasurement");
    let output = report(place.path(), &["pods.json", "--out", "page"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("1 pod became ready"), "{}", text(&output.stdout));
    assert!(place.path().join("page/report.html").exists());
    let refused = report(place.path(), &["quantiles.json"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("Give the file podLatencyMeasurement-JOB.json"),
        "{}",
        text(&refused.stderr)
    );
}
