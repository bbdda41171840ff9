//! Expiry of a bearer token during a run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Namespace, kubeconfig, kubectl, left_in, ramp_as, scenario, wait};
use crate::support::rows;
use crate::support::transitions::audit;

const LIMIT: Duration = Duration::from_secs(240);

#[test]
#[ignore = "needs a cluster that is set up, and the right to make Secrets"]
fn a_run_outlives_its_token_once_another_one_stands_in_the_kubeconfig() {
    let namespace = Namespace::create("ramp-test-token");
    let directory = tempfile::tempdir().unwrap();
    let (config, out) =
        (kubeconfig_with(directory.path(), &token(&namespace, "ramp-test-1")), directory.path().join("run"));
    let manifest = scenario("runc/memory-capacity.yaml");
    let (manifest, directory_of_run) = (manifest.to_str().unwrap(), out.to_str().unwrap());
    let load = "--memory 20M --pace 2s --stop time:60s --settle 2s --hold 1s";
    let options: Vec<&str> = ["--namespace", namespace.0].into_iter().chain(load.split(' ')).collect();
    let arguments = ["run", manifest, "--engine", "kubernetes", "--out", directory_of_run];
    let run = ramp_as(&config, &[&arguments[..], &options].concat());
    let told = |kind: &str| {
        let events = if out.join("events.csv").is_file() { rows(&out, "events.csv") } else { Vec::new() };
        events.iter().any(|row| row["kind"] == kind && row["object"] == "api")
    };
    wait("a step", LIMIT, || out.join("steps.csv").is_file() && !rows(&out, "steps.csv").is_empty());
    revoke(&namespace, "ramp-test-1");
    wait("the token to be refused", LIMIT, || told("gap_begins"));
    kubeconfig_with(directory.path(), &token(&namespace, "ramp-test-2"));
    wait("the new one to be taken", LIMIT, || told("gap_ends"));
    // Steps that were answered: those that were not have another outcome.
    let answered = || {
        let steps = rows(&out, "steps.csv").into_iter();
        steps.filter(|row| row["part"] == "up" && row["outcome"] == "beat").count()
    };
    let before = answered();
    wait("steps to go on", LIMIT, || answered() > before + 5);
    let (status, said) = run.wait_for(2 * LIMIT);
    revoke(&namespace, "ramp-test-2");
    assert!(status.success(), "{status}: {said}");
    let steps = rows(&out, "steps.csv");
    let last = steps.iter().rfind(|row| row["part"] == "up" && row["outcome"] == "beat");
    assert!(last.is_some_and(|row| row["step"].parse::<u32>().unwrap() > 20), "steps went on: {said}");
    assert!(audit(&out).there().is_empty() && left_in(namespace.0) == Vec::<Value>::new(), "{said}");
}

fn kubeconfig_with(directory: &Path, token: &str) -> std::path::PathBuf {
    kubeconfig(directory, |user| *user = json!({"token": token}))
}

/// A new token of the ServiceAccount that runs have: good until its Secret is deleted.
fn token(namespace: &Namespace, name: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret.json");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": name, "namespace": namespace.0, "annotations": {"kubernetes.io/service-account.name": "ramp"}},
    });
    fs::write(&file, secret.to_string()).unwrap();
    kubectl(&["apply", "-f", file.to_str().unwrap()]);
    let read = || {
        kubectl(&[
            "--namespace",
            namespace.0,
            "get",
            "secret",
            name,
            "-o",
            "go-template={{.data.token | base64decode}}",
        ])
    };
    wait("the controller to fill it in", LIMIT, || read().starts_with("ey"));
    read()
}

fn revoke(namespace: &Namespace, name: &str) {
    kubectl(&["--namespace", namespace.0, "delete", "secret", name]);
}
