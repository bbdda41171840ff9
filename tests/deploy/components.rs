//! The component probe: it may see all processes of a node, and no more than that.

use serde_json::{Value, json};
use workload::cli::{Args, Command};
use workload::report::Format;

use crate::manifest::{deploy, files, objects};
use crate::support::IMAGE;
use crate::{node_probe, pod_security};

/// The object of a kind.
fn object(kind: &str) -> Value {
    let all = files(&deploy().join("setup/components"));
    let mut all: Vec<Value> = all.iter().flat_map(|file| objects(file)).collect();
    all.retain(|object| object["kind"] == kind);
    assert_eq!(all.len(), 1, "one {kind}");
    all.remove(0)
}

#[test]
fn the_component_probe_has_the_rights_to_read_processes_and_no_others() {
    let probe = object("DaemonSet");
    let template = &probe["spec"]["template"];
    let mut broken = pod_security::violations(&template["spec"], &template["metadata"]["annotations"]);
    broken.sort();
    let container = "containers \"workload\"";
    let expected = [
        "container.apparmor.security.beta.kubernetes.io/workload is \"unconfined\"".to_owned(),
        format!("{container}: it adds \"SYS_PTRACE\""),
        format!("{container}: nobody says runAsNonRoot"),
        format!("{container}: runAsUser is root"),
        format!("{container}: seLinuxOptions is {{\"type\":\"spc_t\"}}"),
        "hostPID shares a namespace of the host".to_owned(),
        "volume \"cgroup\" is a hostPath".to_owned(),
    ];
    assert_eq!(broken, expected);
    let container = &template["spec"]["containers"][0];
    let context = &container["securityContext"];
    assert!(context["privileged"].is_null());
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"], "add": ["SYS_PTRACE"]}));
    assert_eq!(
        container["volumeMounts"],
        json!([{"name": "cgroup", "mountPath": "/sys/fs/cgroup", "readOnly": true}])
    );
    assert_eq!(
        template["spec"]["volumes"][0]["hostPath"],
        json!({"path": "/sys/fs/cgroup", "type": "Directory"})
    );
    assert_eq!(template["spec"]["automountServiceAccountToken"], false);
}

#[test]
fn the_component_probe_is_placed_as_the_node_probe_in_a_namespace_of_its_own() {
    let (probe, node) = (object("DaemonSet"), node_probe());
    for field in
        ["priorityClassName", "nodeSelector", "tolerations", "affinity", "terminationGracePeriodSeconds"]
    {
        let of = |probe: &Value| probe["spec"]["template"]["spec"][field].clone();
        assert_eq!(of(&probe), of(&node), "{field}");
    }
    let resources = &probe["spec"]["template"]["spec"]["containers"][0]["resources"];
    assert_eq!(resources["requests"], resources["limits"], "QoS class Guaranteed");
    let namespace = object("Namespace");
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "privileged");
    assert_ne!(namespace["metadata"]["name"], node["metadata"]["namespace"]);
    for object in [&probe, &object("Role"), &object("RoleBinding")] {
        assert_eq!(object["metadata"]["namespace"], namespace["metadata"]["name"], "{}", object["kind"]);
    }
    let labels = &probe["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/component"], "component-probe", "by this ramp finds its pods");
    assert_eq!(*labels, {
        let mut more = probe["spec"]["selector"]["matchLabels"].clone();
        more["app.kubernetes.io/component"] = "component-probe".into();
        more
    });
    // Logs are all that ramp reads there.
    assert_eq!(
        object("Role")["rules"],
        json!([{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}])
    );
    assert_eq!(
        object("RoleBinding")["subjects"][0],
        json!({"kind": "ServiceAccount", "name": "ramp", "namespace": "workload"})
    );
}

#[test]
fn the_component_probe_reports_components_in_json() {
    let container = &object("DaemonSet")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], IMAGE);
    let args = container["args"].as_array().expect("a list");
    let args = args.iter().map(|word| word.as_str().expect("text").to_owned());
    let args = Args::from_arguments(args, |_| None).expect("as the command line takes them");
    assert_eq!(args.reports().format, Format::Json);
    assert!(matches!(args.command, Some(Command::Components { .. })));
}
