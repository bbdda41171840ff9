//! deploy/setup: permissions, node probe, and everything applied at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::applied::{Applied, EVERY, Loads, PROMPT, nodes, set_up};
use crate::kubectl::{NAMESPACE, create, in_namespace, kubectl, list, names};
use crate::manifest::{RUNTIMES, Scenario, deploy};
use crate::watch::Sighting;

/// Each verb that somebody may use in a namespace, as `VERB RESOURCE.GROUP`, by the cluster's own word.
fn rights(who: &[&str], namespace: &str) -> BTreeSet<String> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    });
    let answer = create(&review, who);
    let list = |value: &Value| -> Vec<String> {
        let items = value.as_array().map_or(&[][..], Vec::as_slice).iter();
        items.map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in answer["status"]["resourceRules"].as_array().expect("a list") {
        for group in list(&rule["apiGroups"]) {
            for resource in list(&rule["resources"]) {
                let what = if group.is_empty() { resource } else { format!("{resource}.{group}") };
                let names = list(&rule["resourceNames"]).join(",");
                let of = if names.is_empty() { String::new() } else { format!(" {names}") };
                rights.extend(list(&rule["verbs"]).iter().map(|verb| format!("{verb} {what}{of}")));
            }
        }
    }
    rights
}

#[test]
#[ignore = "needs a cluster"]
fn whoever_runs_the_ramp_may_do_what_it_needs_and_nothing_else() {
    let everywhere = ["get list watch nodes", "list pods", "get list runtimeclasses.node.k8s.io"];
    let of_events = "list watch events";
    let here = [
        "get list watch create patch delete deployments.apps",
        "get update patch deployments/scale.apps",
        "get list daemonsets.apps",
        "get list watch create delete pods",
        "get pods/log",
        of_events,
        "list resourcequotas",
        "list horizontalpodautoscalers.autoscaling",
    ];
    set_up();
    let ramp = ["--as", "system:serviceaccount:workload:ramp"];
    let nobody = ["--as", "nobody", "--as-group", "system:authenticated"];
    for (namespace, more) in [(NAMESPACE, &here[..]), ("default", &[of_events]), ("kube-system", &[])] {
        let own: BTreeSet<_> =
            rights(&ramp, namespace).difference(&rights(&nobody, namespace)).cloned().collect();
        let mut expected: BTreeSet<String> = ["get namespaces workload".to_owned()].into();
        for line in everywhere.iter().chain(more) {
            let (verbs, resource) = line.rsplit_once(' ').expect("verbs and a resource");
            expected.extend(verbs.split(' ').map(|verb| format!("{verb} {resource}")));
        }
        assert_eq!(own, expected, "{namespace}");
    }
}

#[test]
#[ignore = "needs a cluster"]
fn the_probe_runs_on_every_node_that_is_real() {
    set_up();
    let probes = list(&["pods", "--selector", "app.kubernetes.io/component=probe"]);
    for pod in &probes {
        assert_eq!(pod["status"]["qosClass"], "Guaranteed", "{pod}");
    }
    let sorted = |names: Vec<&Value>| {
        let mut names: Vec<String> = names.into_iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let watched = sorted(probes.iter().map(|pod| &pod["spec"]["nodeName"]).collect());
    let nodes = nodes();
    let real = sorted(nodes.iter().map(|node| &node["metadata"]["name"]).collect());
    assert_eq!(watched, real);
}

/// Every scenario under every runtime, as the kustomization names it.
fn all_at_once() -> Vec<String> {
    let all = Scenario::every();
    let mut all: Vec<_> = all.map(|scenario| format!("{}-{}", scenario.name, scenario.runtime)).collect();
    all.sort();
    all
}

#[test]
#[ignore = "needs a cluster"]
fn everything_at_once_is_there_and_at_rest() {
    set_up();
    let _loads = Loads { selector: EVERY.into() };
    kubectl(&["apply", "--kustomize", deploy().to_str().expect("UTF-8")]);
    assert_eq!(names(&["deployments"]), all_at_once());
    for deployment in list(&["deployments"]) {
        assert_eq!(deployment["spec"]["replicas"], 0, "{}", deployment["metadata"]["name"]);
    }
    // Of one scenario both runtimes can be there, each with pods of its own.
    for runtime in RUNTIMES {
        let name = format!("deployment/cpu-10-{runtime}");
        in_namespace(&["scale", &name, "--replicas", "1"]);
        in_namespace(&["rollout", "status", &name, "--timeout", "60s"]);
    }
    let pods = list(&["pods", "--selector", "app.kubernetes.io/instance=cpu-10"]).into_iter();
    let mut classes: Vec<_> = pods.map(|pod| pod["spec"]["runtimeClassName"].clone()).collect();
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
    set_up();
    let mut first = Applied::as_it_is(&Scenario::named("cpu-10", "runc"));
    first.watch.wait_for("it to be ready", PROMPT, Sighting::is_ready);
    let _second = Applied::as_it_is(&Scenario::named("cpu-10", "kata"));
    let runtime = |sighting: &Sighting| sighting.pod["spec"]["runtimeClassName"].clone();
    first.watch.wait_for("the other to be ready", PROMPT, |s| s.is_ready() && runtime(s) == "kata");
    // Never both at once: what they cost is compared.
    let order: Vec<_> = first.watch.seen().iter().map(|s| (runtime(s) == "kata", s.is_running())).collect();
    let started = order.iter().position(|(kata, running)| *kata && *running).expect("as waited for");
    assert!(order[started..].iter().all(|(kata, running)| *kata || !*running), "{order:?}");
}
