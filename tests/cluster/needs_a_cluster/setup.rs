//! What is set up once: the rights of whoever runs the ramp, the probe, and everything at once.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::applied::{Applied, cluster, nodes};
use crate::kubectl::{NAMESPACE, command, get, in_namespace, kubectl, names};
use crate::manifest::{RUNTIMES, Scenario, deploy};

/// Whether the ramp's account may, by the cluster's own word; `resource` may be followed by `/` and a part of it.
fn may(verb: &str, resource: &str, namespace: &[&str]) -> bool {
    let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
    let who = ["--as", "system:serviceaccount:workload:ramp", "--subresource", part];
    let args = [&["auth", "can-i", verb, resource], &who[..], namespace].concat();
    let output = command(&args).output().expect("kubectl is installed");
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => true,
        "no" => false,
        _ => panic!("kubectl {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
#[ignore = "needs a cluster"]
fn whoever_runs_the_ramp_may_do_what_it_needs_and_nothing_else() {
    let _turn = cluster();
    let here: &[&str] = &["--namespace", NAMESPACE];
    let everywhere: &[&str] = &["--all-namespaces"];
    let verbs = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
    let cases = [
        ("deployments.apps", here, vec!["get", "list", "watch", "create", "patch", "delete"]),
        ("deployments.apps/scale", here, vec!["get", "update", "patch"]),
        ("daemonsets.apps", here, vec!["get", "list"]),
        ("replicasets.apps", here, vec![]),
        ("pods", here, vec!["get", "list", "watch", "delete"]),
        ("pods/log", here, vec!["get"]),
        ("pods/exec", here, vec![]),
        ("events", here, vec!["list", "watch"]),
        ("events", &["--namespace", "default"], vec!["list", "watch"]),
        ("resourcequotas", here, vec!["list"]),
        ("limitranges", here, vec!["list"]),
        ("secrets", here, vec![]),
        ("rolebindings.rbac.authorization.k8s.io", here, vec![]),
        ("nodes", everywhere, vec!["get", "list", "watch"]),
        ("pods", everywhere, vec!["list"]),
        ("pods/log", everywhere, vec![]),
        ("deployments.apps", everywhere, vec![]),
        ("runtimeclasses.node.k8s.io", everywhere, vec!["get", "list"]),
        ("priorityclasses.scheduling.k8s.io", everywhere, vec!["get"]),
        ("secrets", everywhere, vec![]),
    ];
    for (resource, namespace, allowed) in cases {
        let found: Vec<_> = verbs.into_iter().filter(|verb| may(verb, resource, namespace)).collect();
        assert_eq!(found, allowed, "{resource} {namespace:?}");
    }
}

#[test]
#[ignore = "needs a cluster"]
fn the_probe_runs_on_every_node_that_is_real() {
    let _turn = cluster();
    let mut watched: Vec<_> = get(&["pods", "--selector", "app.kubernetes.io/component=probe"])["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pod| {
            assert_eq!(pod["status"]["qosClass"], "Guaranteed", "{pod}");
            pod["spec"]["nodeName"].clone()
        })
        .collect();
    let mut real: Vec<Value> = nodes().into_iter().map(|node| node["metadata"]["name"].clone()).collect();
    for list in [&mut watched, &mut real] {
        list.sort_by_key(ToString::to_string);
    }
    assert_eq!(watched, real);
}

/// Every scenario under every runtime, as the kustomization names it.
fn all_at_once() -> Vec<String> {
    let all = RUNTIMES.into_iter().flat_map(Scenario::all);
    let mut all: Vec<_> = all.map(|scenario| format!("{}-{}", scenario.name, scenario.runtime)).collect();
    all.sort();
    all
}

#[test]
#[ignore = "needs a cluster"]
fn everything_at_once_is_there_and_at_rest() {
    let _turn = cluster();
    kubectl(&["apply", "--kustomize", deploy().to_str().expect("UTF-8")]);
    assert_eq!(names(&["deployments"]), all_at_once());
    for deployment in get(&["deployments"])["items"].as_array().expect("a list") {
        assert_eq!(deployment["spec"]["replicas"], 0, "{}", deployment["metadata"]["name"]);
    }
    // Of one scenario both runtimes can be there, each with pods of its own.
    for runtime in RUNTIMES {
        let name = format!("deployment/cpu-10-{runtime}");
        in_namespace(&["scale", &name, "--replicas", "1"]);
        in_namespace(&["rollout", "status", &name, "--timeout", "60s"]);
    }
    let pods = get(&["pods", "--selector", "app.kubernetes.io/instance=cpu-10"])["items"].clone();
    let mut classes: Vec<_> =
        pods.as_array().expect("a list").iter().map(|pod| pod["spec"]["runtimeClassName"].clone()).collect();
    classes.sort_by_key(ToString::to_string);
    assert_eq!(classes, [Value::from("kata"), Value::Null]);
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").args([from, to]).status().expect("cp is there");
    assert!(status.success(), "{} to {}", from.display(), to.display());
}

#[test]
#[ignore = "needs a cluster"]
fn one_place_sets_the_image_of_everything() {
    let scratch = tempfile::tempdir().expect("a place for a copy");
    let copied = scratch.path().join("deploy");
    copy(&deploy(), &copied);
    let file = copied.join("kustomization.yaml");
    let text = fs::read_to_string(&file).expect("it is there");
    let changed = text.replace("newName: localhost/workload", "newName: registry.example/load");
    fs::write(&file, changed.replace(concat!("newTag: ", env!("CARGO_PKG_VERSION")), "newTag: 9.9.9"))
        .expect("a copy of our own");
    let all = kubectl(&["kustomize", copied.to_str().expect("UTF-8")]);
    let images = |image: &str| all.matches(&format!("image: {image}\n")).count();
    assert_eq!(images("registry.example/load:9.9.9"), all_at_once().len() + 1);
    assert_eq!(all.matches("image: ").count(), all_at_once().len() + 1);
}

#[test]
#[ignore = "needs a cluster"]
fn a_scenario_under_the_other_runtime_takes_the_place_of_the_first() {
    let _turn = cluster();
    let mut first = Applied::as_it_is(&Scenario::named("cpu-10", "runc"));
    let prompt = crate::applied::PROMPT;
    first.watch.wait_for("it to be ready", prompt, crate::watch::Sighting::is_ready);
    let _second = Applied::as_it_is(&Scenario::named("cpu-10", "kata"));
    let runtime = |sighting: &crate::watch::Sighting| sighting.pod["spec"]["runtimeClassName"].clone();
    first.watch.wait_for("the other to be ready", prompt, |s| s.is_ready() && runtime(s) == "kata");
    // Never both at once: what they cost is compared.
    let order: Vec<_> = first.watch.seen().iter().map(|s| (runtime(s) == "kata", s.is_running())).collect();
    let started = order.iter().position(|(kata, running)| *kata && *running).expect("as waited for");
    assert!(order[started..].iter().all(|(kata, running)| *kata || !*running), "{order:?}");
}
