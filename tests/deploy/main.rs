//! The manifests in `deploy/`, as files: what they ask for, and that they fit together. What a cluster makes of them is in
//! tests/cluster.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod chart;
mod components;
mod dashboards;
#[path = "../support/manifest.rs"]
mod manifest;
mod play;
mod pod_security;
mod schema;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use manifest::{RUNTIMES, Scenario, deploy, files, objects};
use serde_json::{Value, json};
use support::IMAGE;
use workload::report::Format;

/// Every object that is set up once, by its kind.
fn setup(kind: &str) -> Vec<Value> {
    let mut all: Vec<Value> = files(&deploy().join("setup")).iter().flat_map(|file| objects(file)).collect();
    all.retain(|object| object["kind"] == kind);
    assert!(!all.is_empty(), "there is a {kind}");
    all
}

fn node_probe() -> Value {
    setup("DaemonSet").remove(0)
}

/// Everything that makes pods: all scenarios and the probe.
fn makers_of_pods() -> Vec<Value> {
    Scenario::every().map(|scenario| scenario.manifest).chain([node_probe()]).collect()
}

fn kustomization(directory: &str) -> Value {
    objects(&deploy().join(directory).join("kustomization.yaml")).remove(0)
}

/// The strings of a list.
fn names(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("{list} is a list"));
    list.iter().map(|name| name.as_str().expect("strings").to_owned()).collect()
}

#[test]
fn the_two_files_of_a_scenario_differ_in_the_runtime_class_alone() {
    let file_names = |runtime: &str| -> BTreeSet<_> {
        files(&deploy().join(runtime))
            .iter()
            .map(|path| path.file_name().expect("a file").to_owned())
            .collect()
    };
    assert_eq!(file_names("runc"), file_names("kata"));
    for runc in Scenario::all("runc") {
        let text = |runtime: &str| {
            let file = deploy().join(runtime).join(format!("{}.yaml", runc.name));
            fs::read_to_string(file).expect("it is there for both")
        };
        let kata = text("kata");
        let line = "      runtimeClassName: kata\n";
        assert_eq!(kata.matches(line).count(), 1, "{}", runc.name);
        assert_eq!(kata.replacen(line, "", 1), text("runc"), "{}", runc.name);
        let set =
            &Scenario::named(&runc.name, "kata").manifest["spec"]["template"]["spec"]["runtimeClassName"];
        assert_eq!(*set, "kata", "{}", runc.name);
    }
}

#[test]
fn the_scenarios_are_those_of_the_study() {
    // Name, memory, cores, bytes a growth step, request and limit in MiB.
    let expected = [
        ("cpu-10", "10M", "0.1", None, None, None),
        ("cpu-100", "10M", "1", None, None, None),
        ("cpu-20", "10M", "0.2", None, None, None),
        ("cpu-50", "10M", "0.5", None, None, None),
        ("cpu-80", "10M", "0.8", None, None, None),
        ("memory-capacity", "500M", "0.05", Some("256M"), None, None),
        ("memory-hungry", "max", "0.05", Some("25M"), None, None),
        ("memory-hungry-restricted", "max", "0.05", Some("25M"), Some(512), Some(1024)),
        ("memory-restricted", "500M", "0.05", Some("256M"), Some(384), Some(512)),
        ("memory-restricted-1g", "500M", "0.05", Some("256M"), Some(512), Some(1024)),
        ("memory-restricted-2g", "500M", "0.05", Some("256M"), Some(1024), Some(2048)),
    ];
    for runtime in RUNTIMES {
        let all = Scenario::all(runtime);
        let found: Vec<_> = all.iter().map(|scenario| scenario.name.as_str()).collect();
        assert_eq!(found, expected.map(|row| row.0), "{runtime}");
        for (scenario, (name, memory, cpu, step, request, limit)) in all.iter().zip(expected) {
            let args = scenario.args();
            assert_eq!(
                (args.memory.to_string(), args.cpu.to_string()),
                (memory.into(), cpu.into()),
                "{name}"
            );
            assert_eq!(args.growth_step.map(|step| step.to_string()).as_deref(), step, "{name}");
            let mib = |kind| scenario.resource_bytes(kind).map(|bytes| bytes >> 20);
            assert_eq!((mib("requests"), mib("limits")), (request, limit), "{name}");
        }
    }
}

#[test]
fn a_scenario_reports_in_json_and_is_ready_once_it_holds_its_memory() {
    for scenario in Scenario::every() {
        let title = scenario.title();
        let reports = &scenario.args().reports;
        assert_eq!(reports.format, Format::Json, "{title}");
        assert_eq!(reports.duration, None, "{title}");
        let container = scenario.container();
        let port = u64::from(reports.listen.expect("it can be probed").port());
        assert_eq!(container["ports"], json!([{"name": "http", "containerPort": port}]), "{title}");
        for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
            assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "http"}), "{title}");
        }
        // Time to ready is told in periods, of which one second is the shortest there is. Each failure is an event, so those that
        // are not ready before they are killed are asked less often.
        let readiness = &container["readinessProbe"];
        let period = if scenario.memory_bytes().is_some() { 1 } else { 10 };
        assert_eq!(readiness["periodSeconds"], period, "{title}");
        assert!(readiness["initialDelaySeconds"].is_null(), "{title}");
    }
}

#[test]
fn a_scenario_has_one_pod_at_first_and_leaves_as_soon_as_it_is_told() {
    for scenario in Scenario::every() {
        let spec = &scenario.manifest["spec"];
        // One, and applying it again does not undo a scaling.
        assert!(spec["replicas"].is_null(), "{}", scenario.title());
        assert_eq!(spec["strategy"], json!({"type": "Recreate"}), "{}", scenario.title());
        let grace = spec["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
        assert!(grace.is_some_and(|seconds| seconds <= 5), "{}", scenario.title());
    }
}

#[test]
fn every_image_is_the_one_of_this_version() {
    for maker in makers_of_pods() {
        for container in maker["spec"]["template"]["spec"]["containers"].as_array().expect("a list") {
            assert_eq!(container["image"], IMAGE, "{}", maker["metadata"]["name"]);
            // By its tag, which is not latest, a node takes the image that it has.
            assert!(container["imagePullPolicy"].is_null(), "{}", maker["metadata"]["name"]);
        }
    }
    let images = &kustomization("")["images"];
    assert_eq!(images[0]["name"], "localhost/workload");
    assert_eq!(images[0]["newTag"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_kustomizations_name_every_file() {
    assert_eq!(names(&kustomization("")["bases"]), ["kata", "runc", "setup"].map(String::from).into());
    for directory in ["runc", "kata", "setup", "setup/components"] {
        let found = files(&deploy().join(directory)).into_iter();
        let found: BTreeSet<_> =
            found.map(|path| path.file_name().expect("a file").to_string_lossy().into_owned()).collect();
        assert_eq!(names(&kustomization(directory)["resources"]), found, "{directory}");
    }
    for runtime in RUNTIMES {
        // All at once would be all eleven loads at once.
        let patches = kustomization(runtime)["patchesJson6902"].as_array().expect("a list").clone();
        let patched: Vec<_> = patches.iter().map(|patch| patch["target"]["name"].clone()).collect();
        let all: Vec<_> =
            Scenario::all(runtime).iter().map(|scenario| Value::from(scenario.name.clone())).collect();
        assert_eq!(patched, all, "{runtime}");
        let patch =
            fs::read_to_string(deploy().join(runtime).join("zero-replicas.json")).expect("it is there");
        let patch: Value = serde_json::from_str(&patch).expect("JSON");
        assert_eq!(patch, json!([{"op": "add", "path": "/spec/replicas", "value": 0}]), "{runtime}");
    }
}

#[test]
fn selectors_select_what_is_made_and_nothing_else() {
    let makers = makers_of_pods();
    for maker in &makers {
        let name = &maker["metadata"]["name"];
        let selector = maker["spec"]["selector"]["matchLabels"].as_object().expect("labels");
        assert_eq!(selector["app.kubernetes.io/instance"], *name);
        let selects = |maker: &&Value| {
            let labels = &maker["spec"]["template"]["metadata"]["labels"];
            selector.iter().all(|(key, value)| labels[key] == *value)
        };
        let selected: BTreeSet<_> =
            makers.iter().filter(selects).map(|maker| maker["metadata"]["name"].to_string()).collect();
        assert_eq!(selected, BTreeSet::from([name.to_string()]));
    }
    // What makes a load a load, whatever its scenario.
    for scenario in Scenario::every() {
        let labels = &scenario.manifest["spec"]["template"]["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/component"], "load", "{}", scenario.title());
    }
}

#[test]
fn everything_is_in_the_namespace_that_is_set_up() {
    let namespace = setup("Namespace").remove(0);
    for maker in makers_of_pods() {
        assert_eq!(
            maker["metadata"]["namespace"], namespace["metadata"]["name"],
            "{}",
            maker["metadata"]["name"]
        );
    }
}

#[test]
fn every_pod_keeps_to_pod_security_restricted() {
    let namespace = setup("Namespace").remove(0);
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    for maker in makers_of_pods() {
        let template = &maker["spec"]["template"];
        let broken = pod_security::violations(&template["spec"], &template["metadata"]["annotations"]);
        assert!(broken.is_empty(), "{}: {broken:?}", maker["metadata"]["name"]);
        // Beyond the standard: nothing of a load or probe has to write or to know the API.
        let container = &template["spec"]["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(template["spec"]["automountServiceAccountToken"], false);
        assert!(template["spec"]["volumes"].is_null(), "{}", maker["metadata"]["name"]);
    }
}

#[test]
fn the_load_has_to_go_before_anything_else_and_the_probe_last() {
    let classes = setup("PriorityClass");
    let class = |maker: &Value| {
        let name = &maker["spec"]["template"]["spec"]["priorityClassName"];
        let found = classes.iter().find(|class| class["metadata"]["name"] == *name);
        found.unwrap_or_else(|| panic!("{name} is set up")).clone()
    };
    for scenario in Scenario::every() {
        let class = class(&scenario.manifest);
        // Pods that say nothing have 0; below -10 the cluster autoscaler makes no node for them.
        assert!(class["value"].as_i64().is_some_and(|value| value < -10), "{}", scenario.title());
        assert_eq!(class["preemptionPolicy"], "Never", "{}", scenario.title());
    }
    assert!(class(&node_probe())["value"].as_i64().is_some_and(|value| value > 0));
}

#[test]
fn the_probe_is_guaranteed_what_it_takes_on_every_node_that_is_real() {
    let probe = node_probe();
    let pod = &probe["spec"]["template"]["spec"];
    let resources = &pod["containers"][0]["resources"];
    assert_eq!(resources["requests"], resources["limits"]);
    for resource in ["cpu", "memory"] {
        assert!(resources["limits"][resource].is_string(), "{resource}");
    }
    assert!(pod["runtimeClassName"].is_null(), "a guest would watch itself");
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]), "every taint");
    let terms = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let kept_off = terms["nodeSelectorTerms"][0]["matchExpressions"].as_array().expect("a list");
    assert!(kept_off.contains(&json!({"key": "hollow", "operator": "NotIn", "values": ["true"]})));
    // A meter must not be started again because the node is slow.
    assert!(pod["containers"][0]["livenessProbe"].is_null());
}

#[test]
fn the_examples_fit_the_rest() {
    let example = |name: &str| objects(&deploy().join("examples").join(name)).remove(0);
    let class = example("runtime-class-kata.yaml");
    assert_eq!((&class["metadata"]["name"], &class["handler"]), (&"kata".into(), &"kata".into()));
    assert!(class["overhead"]["podFixed"]["memory"].is_string(), "{class}");
    let monitor = example("pod-monitor.yaml");
    let (label, value) = ("app.kubernetes.io/name", "workload");
    assert_eq!(monitor["spec"]["selector"]["matchLabels"], json!({label: value}));
    for maker in makers_of_pods() {
        assert_eq!(maker["spec"]["template"]["metadata"]["labels"][label], value);
        let port = &maker["spec"]["template"]["spec"]["containers"][0]["ports"][0]["name"];
        assert_eq!(*port, monitor["spec"]["podMetricsEndpoints"][0]["port"]);
    }
}

#[test]
fn nothing_names_the_tag_latest() {
    fn look(directory: &Path) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("a directory").path();
            if path.is_dir() {
                look(&path);
            } else {
                let text = fs::read_to_string(&path).expect("text");
                assert!(!text.contains(":latest"), "{}", path.display());
            }
        }
    }
    look(&deploy());
}
