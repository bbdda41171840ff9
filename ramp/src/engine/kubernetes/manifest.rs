//! Manifest of a run: the Deployment of the scenario, with the labels and options of the run.

use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::engine::{EngineSpec, GROUP_LABEL, RUN_LABEL};
use crate::process_id::ProcessId;

/// Label of all pods of the program, whatever the scenario.
const NAME_LABEL: &str = "app.kubernetes.io/name";

/// Value of that label for the scenarios in `deploy/` and for the node probe.
const NAME: &str = "workload";

/// Annotation with the process of the run.
pub(super) const PROCESS: &str = "ramp/process";

/// The `--runtime` for no RuntimeClass.
const DEFAULT_RUNTIME: &str = "default";

/// Metadata set by the server.
const OF_THE_SERVER: [&str; 7] = [
    "managedFields",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "selfLink",
    "ownerReferences",
];

/// The manifest to apply: no replicas, the run's label on the Deployment and its pods, the RuntimeClass of `--runtime`.
pub(super) fn of(order: &EngineSpec, namespace: &str) -> Value {
    let mut manifest = order.scenario.manifest.clone();
    remove(&mut manifest, "", "status");
    for field in OF_THE_SERVER {
        remove(&mut manifest, "/metadata", field);
    }
    set(&mut manifest, &["metadata", "namespace"], json!(namespace));
    set(&mut manifest, &["metadata", "labels", RUN_LABEL], json!(order.run));
    set(&mut manifest, &["spec", "replicas"], json!(0));
    // Not in the selector, which is immutable.
    set(&mut manifest, &["spec", "template", "metadata", "labels", RUN_LABEL], json!(order.run));
    match order.options.runtime.as_deref() {
        None => {}
        Some(DEFAULT_RUNTIME) => remove(&mut manifest, "/spec/template/spec", "runtimeClassName"),
        Some(runtime) => {
            set(&mut manifest, &["spec", "template", "spec", "runtimeClassName"], json!(runtime));
        }
    }
    if name_label(&manifest).is_none() {
        set(&mut manifest, &["spec", "template", "metadata", "labels", NAME_LABEL], json!(NAME));
    }
    manifest
}

/// What each group of a run is made from: the order itself, or of a mixed run one for each runtime, with a Deployment, labels and a
/// selector of its own.
pub(super) fn orders(order: &EngineSpec) -> Vec<EngineSpec> {
    if order.options.mix.is_empty() {
        return vec![order.clone()];
    }
    let of_group = |runtime: &String| {
        let mut order = order.clone();
        order.options.mix.clear();
        order.options.runtime = Some(runtime.clone());
        let name = format!("{}-{runtime}", order.scenario.name);
        let manifest = &mut order.scenario.manifest;
        set(manifest, &["metadata", "name"], json!(name));
        for path in [
            &["metadata", "labels"][..],
            &["spec", "selector", "matchLabels"],
            &["spec", "template", "metadata", "labels"],
        ] {
            set(manifest, &[path, &[GROUP_LABEL]].concat(), json!(runtime));
        }
        order.scenario.name = name;
        order
    };
    order.options.mix.iter().map(of_group).collect()
}

/// Writes this process into the manifest, so that others see whether the run is under way.
pub(super) fn set_process(manifest: &mut Value) {
    if let Some(process) = ProcessId::own() {
        set(manifest, &["metadata", "annotations", PROCESS], json!(process.to_string()));
    }
}

/// Selects the pods of the run's scenario and of the node probe, with one watch for both.
pub(super) fn selector(manifest: &Value) -> String {
    match name_label(manifest) {
        Some(name) if name != NAME => format!("{NAME_LABEL} in ({NAME},{name})"),
        _ => format!("{NAME_LABEL}={NAME}"),
    }
}

/// Which of these containers is the program's own: the one named `workload`, wherever a webhook has put its own, else the first.
pub(super) fn own_container<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = names.next()?;
    if first == NAME { Some(first) } else { Some(names.find(|name| *name == NAME).unwrap_or(first)) }
}

/// An object as stored by the server, without managed fields.
pub(super) fn as_recorded(found: &DynamicObject) -> Value {
    let mut value = serde_json::to_value(found).unwrap_or_default();
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    value
}

fn name_label(manifest: &Value) -> Option<&str> {
    manifest["spec"]["template"]["metadata"]["labels"][NAME_LABEL].as_str()
}

/// Sets a field, and creates the objects on its path.
fn set(value: &mut Value, path: &[&str], field: Value) {
    let [key, rest @ ..] = path else {
        *value = field;
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    if let Some(object) = value.as_object_mut() {
        set(object.entry(*key).or_insert(Value::Null), rest, field);
    }
}

/// Removes a field of the object that a JSON pointer leads to.
fn remove(value: &mut Value, pointer: &str, field: &str) {
    if let Some(object) = value.pointer_mut(pointer).and_then(Value::as_object_mut) {
        object.remove(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ramp_format::plan::EngineOptions;
    use ramp_format::scenario::Scenario;

    fn order(runtime: Option<&str>) -> EngineSpec {
        let options = EngineOptions { runtime: runtime.map(str::to_owned), ..EngineOptions::default() };
        EngineSpec { run: "r1".into(), scenario: Scenario::embedded().unwrap(), options }
    }

    #[test]
    fn the_run_is_on_the_deployment_and_its_pods_and_not_in_the_selector() {
        let manifest = of(&order(None), "elsewhere");
        assert_eq!(manifest["metadata"]["namespace"], "elsewhere");
        assert_eq!(manifest["metadata"]["labels"][RUN_LABEL], "r1");
        assert_eq!(manifest["spec"]["template"]["metadata"]["labels"][RUN_LABEL], "r1");
        assert!(manifest["spec"]["selector"]["matchLabels"][RUN_LABEL].is_null());
        assert_eq!(manifest["spec"]["replicas"], 0);
    }

    #[test]
    fn the_container_that_counts_is_the_one_named_workload_wherever_it_stands() {
        let own = |names: &[&str]| own_container(names.iter().copied()).map(str::to_owned);
        assert_eq!(own(&["a-proxy", "workload", "z-proxy"]).as_deref(), Some("workload"));
        assert_eq!(own(&["workload", "sidecar"]).as_deref(), Some("workload"));
        assert_eq!(own(&["mine", "sidecar"]).as_deref(), Some("mine"), "none of that name");
        assert_eq!(own(&[]), None);
    }

    #[test]
    fn the_runtime_asked_for_takes_the_place_of_the_manifests() {
        let class = |order: &EngineSpec| {
            of(order, "workload")["spec"]["template"]["spec"]["runtimeClassName"].clone()
        };
        assert_eq!(class(&order(None)), Value::Null);
        assert_eq!(class(&order(Some("kata"))), "kata");
        let mut kata = order(Some("default"));
        kata.scenario.manifest["spec"]["template"]["spec"]["runtimeClassName"] = json!("kata");
        assert_eq!(class(&kata), Value::Null);
        kata.options.runtime = None;
        assert_eq!(class(&kata), "kata");
    }

    #[test]
    fn each_group_of_a_mixed_run_has_a_deployment_that_selects_its_own_pods() {
        let mut mixed = order(None);
        mixed.options.mix = vec!["default".into(), "kata".into()];
        let manifests: Vec<Value> = orders(&mixed).iter().map(|order| of(order, "workload")).collect();
        let [default, kata] = manifests.as_slice() else { panic!("{manifests:?}") };
        let name = mixed.scenario.name.as_str();
        assert_eq!(default["metadata"]["name"], format!("{name}-default"));
        assert_eq!(kata["metadata"]["name"], format!("{name}-kata"));
        assert_eq!(default["spec"]["template"]["spec"]["runtimeClassName"], Value::Null);
        assert_eq!(kata["spec"]["template"]["spec"]["runtimeClassName"], "kata");
        for place in ["/metadata/labels", "/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
            assert_eq!(kata.pointer(place).unwrap()[GROUP_LABEL], "kata", "{place}");
        }
        assert_eq!(kata["spec"]["template"]["metadata"]["labels"][RUN_LABEL], "r1");
        assert_eq!(orders(&order(None)).len(), 1);
    }

    #[test]
    fn what_the_server_had_written_into_an_exported_manifest_is_not_applied() {
        let mut exported = order(None);
        exported.scenario.manifest["metadata"]["resourceVersion"] = json!("12");
        exported.scenario.manifest["metadata"]["managedFields"] = json!([{"manager": "kubectl"}]);
        exported.scenario.manifest["status"] = json!({"replicas": 3});
        let manifest = of(&exported, "workload");
        assert!(manifest["metadata"]["resourceVersion"].is_null());
        assert!(manifest["metadata"]["managedFields"].is_null());
        assert!(manifest["status"].is_null());
    }

    #[test]
    fn pods_of_another_name_are_watched_as_well_and_those_of_none_get_the_programs() {
        let mut other = order(None);
        let labels = "/spec/template/metadata/labels";
        other.scenario.manifest.pointer_mut(labels).unwrap()[NAME_LABEL] = json!("mine");
        let manifest = of(&other, "workload");
        assert_eq!(manifest["spec"]["template"]["metadata"]["labels"][NAME_LABEL], "mine");
        assert_eq!(selector(&manifest), "app.kubernetes.io/name in (workload,mine)");
        *other.scenario.manifest.pointer_mut(labels).unwrap() = json!({"app": "mine"});
        let manifest = of(&other, "workload");
        assert_eq!(manifest["spec"]["template"]["metadata"]["labels"][NAME_LABEL], "workload");
        assert_eq!(selector(&manifest), "app.kubernetes.io/name=workload");
    }
}
