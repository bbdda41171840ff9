//! The chart in `deploy/chart`, rendered by Helm beside the manifests that it stands for. `HELM_PYTHON` names a Python that has
//! helm-python-sdk from PyPI.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::manifest::{deploy, files, objects};

fn helm(values: &Value) -> Output {
    let python = std::env::var("HELM_PYTHON").expect("HELM_PYTHON names a Python that has helm-python-sdk");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deploy/chart.py");
    let mut command = Command::new(&python);
    command.arg(script).arg(deploy().join("chart")).arg(values.to_string());
    command.output().unwrap_or_else(|error| panic!("{python}: {error}"))
}

/// What `helm template` prints with these values.
fn template(values: &Value) -> String {
    let output = helm(values);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn rendered(values: &Value) -> Vec<Value> {
    serde_saphyr::from_multiple(&template(values)).expect("YAML")
}

/// Objects by what tells them apart.
fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let named = objects.into_iter().map(|object| {
        let metadata = &object["metadata"];
        (format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]), object)
    });
    named.collect()
}

fn assert_same(rendered: Vec<Value>, expected: Vec<Value>) {
    assert_eq!(rendered.len(), expected.len());
    let [rendered, expected] = [rendered, expected].map(by_name);
    assert_eq!(rendered.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, object) in expected {
        assert_eq!(rendered[&name], object, "{name}");
    }
}

fn all_of(directory: &str) -> Vec<Value> {
    files(&deploy().join(directory)).iter().flat_map(|file| objects(file)).collect()
}

fn find<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("{kind} {name}"))
}

#[test]
#[ignore = "needs Helm"]
fn the_chart_makes_what_deploy_setup_has() {
    assert_same(rendered(&json!({})), all_of("setup"));
}

#[test]
#[ignore = "needs Helm"]
fn the_chart_with_the_component_probe_makes_what_deploy_setup_components_has_too() {
    let expected = [all_of("setup"), all_of("setup/components")].concat();
    assert_same(rendered(&json!({"componentProbe": {"enabled": true}})), expected);
}

#[test]
#[ignore = "needs Helm"]
fn values_of_the_chart_are_in_what_it_makes() {
    let objects = rendered(&json!({
        "namespace": {"create": false, "name": "bench"},
        "image": {"repository": "registry.example.com/workload", "tag": "1.2.3"},
        "imagePullSecrets": [{"name": "registry"}],
        "priorityClasses": {"create": false},
        "rbac": {"subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"}]},
        "nodeProbe": {"tolerations": [], "nodeSelector": {"kubernetes.io/arch": null, "pool": "bench"}},
    }));
    let kinds = ["Namespace", "PriorityClass"];
    assert!(!objects.iter().any(|object| kinds.iter().any(|kind| object["kind"] == *kind)), "made by others");
    let pod = &find(&objects, "DaemonSet", "node-probe")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "registry.example.com/workload:1.2.3");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "registry"}]));
    assert_eq!(pod["tolerations"], Value::Null);
    assert_eq!(pod["nodeSelector"], json!({"kubernetes.io/os": "linux", "pool": "bench"}));
    for (kind, name) in
        [("RoleBinding", "ramp"), ("RoleBinding", "workload-ramp"), ("ClusterRoleBinding", "workload-ramp")]
    {
        let subjects = &find(&objects, kind, name)["subjects"];
        assert_eq!(subjects[0]["namespace"], "bench");
        assert_eq!(subjects[1]["name"], "jane", "{kind} {name}");
    }
    let text = template(&json!({"namespace": {"name": "bench"}}));
    assert!(!text.contains("namespace: workload"), "{text}");
}

#[test]
#[ignore = "needs Helm"]
fn a_study_in_the_cluster_is_a_job_with_its_file_and_its_results() {
    let study = "name: two\nengine: kubernetes\nruntimes: [default, kata]\n";
    let objects = rendered(&json!({"job": {"enabled": true, "study": study, "storage": "5Gi"}}));
    let text = find(&objects, "ConfigMap", "study")["data"]["study.yaml"].as_str().expect("a text");
    assert_eq!(text.trim_end(), study.trim_end());
    let claim = &find(&objects, "PersistentVolumeClaim", "ramp-results")["spec"];
    assert_eq!(claim["resources"]["requests"]["storage"], "5Gi");
    let pod = &find(&objects, "Job", "study")["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "ramp");
    let directories = pod["containers"][0]["volumeMounts"].as_array().expect("a list");
    assert_eq!(
        directories.iter().map(|mount| &mount["mountPath"]).collect::<Vec<_>>(),
        ["/study", "/results"]
    );
    let as_it_is = rendered(&json!({"job": {"enabled": true}}));
    let expected = all_of("job");
    for (kind, name) in [("Job", "study"), ("PersistentVolumeClaim", "ramp-results")] {
        assert_eq!(find(&as_it_is, kind, name), find(&expected, kind, name), "as deploy/job has it");
    }
    let by_default = rendered(&json!({}));
    assert!(!by_default.iter().any(|object| object["kind"] == "Job"), "only where it is asked for");
}

#[test]
#[ignore = "needs Helm and kubernetes-validate"]
fn all_that_the_chart_can_make_is_of_a_current_kubernetes() {
    let text = template(&json!({"job": {"enabled": true}, "componentProbe": {"enabled": true}}));
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    std::fs::write(&file, text).expect("a file");
    crate::schema::validate("KUBERNETES_VALIDATE", None, &[file.path().to_owned()]);
}

#[test]
#[ignore = "needs Helm"]
fn values_that_the_chart_does_not_have_are_refused() {
    for (values, named) in [
        (json!({"nodeprobe": {"enabled": false}}), "nodeprobe"),
        (json!({"nodeProbe": {"enabled": "no"}}), "enabled"),
        (json!({"namespace": {"name": ""}}), "name"),
    ] {
        let output = helm(&values);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(named), "{values}: {errors}");
    }
}
