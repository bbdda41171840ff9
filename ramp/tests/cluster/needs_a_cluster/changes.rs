//! Changes by others while a run is under way, made with kubectl.

use std::time::{Duration, SystemTime};

use crate::process::{Namespace, kubectl, left_in, list, run, scenario, wait};
use crate::support::rows;

/// From when a change was requested until it was recorded.
const TOLD_WITHIN: f64 = 2.0;

#[test]
#[ignore = "needs a cluster that is set up"]
fn changes_by_others_are_told_within_two_seconds_and_a_deletion_ends_the_run() {
    let namespace = Namespace::create("ramp-test-changes");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let options = [
        "--namespace",
        namespace.0,
        "--memory",
        "5M",
        "--from",
        "3",
        "--to",
        "3",
        "--hold",
        "10m",
        "--settle",
        "1s",
    ];
    let running = run(&scenario("runc/memory-capacity.yaml"), &out, &options);
    let deployment = || list(namespace.0, "deployments", "ramp/run");
    let is_scaled = || deployment().first().is_some_and(|found| found["status"]["readyReplicas"] == 3);
    wait("three instances", Duration::from_secs(40), is_scaled);
    let name = deployment()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let mut requested = Vec::new();
    let mut change = |words: &[&str]| {
        requested.push(SystemTime::now());
        kubectl(&[&["--namespace", namespace.0], words].concat());
        std::thread::sleep(Duration::from_secs(3));
    };
    let object = format!("deployment/{name}");
    change(&["patch", &object, "--field-manager=someone", "--patch", r#"{"spec":{"replicas":2}}"#]);
    change(&["patch", &object, "--field-manager=gitops", "--patch", r#"{"spec":{"minReadySeconds":1}}"#]);
    change(&["delete", &object, "--wait=false"]);
    let (status, said) = running.wait_for(Duration::from_secs(240));
    assert!(!status.success(), "{said}");
    assert!(said.contains("was deleted by another client"), "{said}");
    let events = rows(&out, "events.csv");
    let changes: Vec<_> = events.iter().filter(|row| row["reason"] == "ChangedByOthers").collect();
    let messages: Vec<&str> = changes.iter().map(|row| row["message"].as_str()).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(messages[0].starts_with("replicas changed from 3 to 2 by someone at "), "{messages:?}");
    assert!(messages[1].starts_with("spec.minReadySeconds from none to 1 changed by gitops"), "{messages:?}");
    for (row, requested) in changes.iter().zip(requested) {
        let told = humantime::parse_rfc3339(&row["time"]).unwrap();
        let seconds = told.duration_since(requested).unwrap_or_default().as_secs_f64();
        assert!(seconds <= TOLD_WITHIN, "{seconds} s: {}", row["message"]);
    }
    assert!(events.iter().any(|row| row["reason"] == "RemovedByOthers"), "the instance that went");
    assert_eq!(left_in(namespace.0), Vec::<serde_json::Value>::new());
}

#[test]
#[ignore = "needs a cluster that is set up"]
fn a_run_that_others_scale_down_ends_and_names_them() {
    let namespace = Namespace::create("ramp-test-rescaled");
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let words = "--memory 5M --from 3 --to 3 --hold 10m --settle 1s --stop blocked:5s --namespace";
    let options: Vec<&str> = words.split(' ').chain([namespace.0]).collect();
    let running = run(&scenario("runc/memory-capacity.yaml"), &out, &options);
    let deployments = || list(namespace.0, "deployments", "ramp/run");
    let is_scaled = || deployments().first().is_some_and(|found| found["status"]["readyReplicas"] == 3);
    wait("three instances", Duration::from_secs(40), is_scaled);
    let object = format!("deployment/{}", deployments()[0]["metadata"]["name"].as_str().unwrap());
    let patch = r#"{"spec":{"replicas":1}}"#;
    kubectl(&["--namespace", namespace.0, "patch", &object, "--field-manager=someone", "--patch", patch]);
    let (_, said) = running.wait_for(Duration::from_secs(240));
    let why = ramp_format::run_file::read_run(&out).unwrap().why_ended.unwrap();
    let expected = "blocked:5s: 2 of 3 requested instances cannot start: ScaledByOthers: replicas changed from 3 to 1 by someone at ";
    assert!(why.starts_with(expected), "{why}\n{said}");
    assert_eq!(left_in(namespace.0), Vec::<serde_json::Value>::new());
}
