//! Manifest support: the fields of a manifest that each engine honours, and why it does not honour the others.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use ramp_format::plan::EngineKind;
use ramp_format::scenario::Scenario;

/// Fields of a pod and of its container: why `local` does not honour it, and why `podman` does not. None where it does, where it
/// means nothing without a cluster, or where it is reported elsewhere.
const FIELDS: &[(&str, Option<&str>, Option<&str>)] = &[
    ("containers", None, None),
    // Restarts are always, which is all that a Deployment may ask for.
    ("restartPolicy", None, None),
    ("terminationGracePeriodSeconds", None, None),
    ("automountServiceAccountToken", None, None),
    ("enableServiceLinks", None, None),
    (
        "runtimeClassName",
        Some("instances are plain processes, without a runtime"),
        Some("no RuntimeClass without a cluster; the default runtime is used (--runtime selects another)"),
    ),
    ("priorityClassName", Some("no preemption; the newest instance is ended first"), Some(NO_PREEMPTION)),
    (
        "securityContext",
        Some("instances run as the user of ramp, with no isolation other than their cgroups"),
        None,
    ),
    ("nodeSelector", Some(ONE_NODE), Some(ONE_NODE)),
    ("name", None, None),
    ("image", None, None),
    ("imagePullPolicy", None, None),
    ("command", None, None),
    ("args", None, None),
    ("env", None, None),
    ("workingDir", Some(NO_SUCH_THING), None),
    ("resources", None, None),
    (
        "ports",
        Some("all instances share the machine's ports"),
        Some("not published; reports are read from the log of the container"),
    ),
    ("hostNetwork", None, None),
    (
        "readinessProbe",
        Some("not probed; an instance is ready when it reports that it holds its memory"),
        Some("not probed; an instance is ready when it reports that it holds its memory"),
    ),
    ("livenessProbe", Some(RESTARTS), Some(RESTARTS)),
    ("startupProbe", Some(RESTARTS), Some(RESTARTS)),
];

const NO_PREEMPTION: &str = "no preemption";
const ONE_NODE: &str = "this machine is the only node";
const RESTARTS: &str = "not probed; an instance is restarted only when it exits";
/// Of a field that is not listed.
const NO_SUCH_THING: &str = "not supported for processes";
const NO_COUNTERPART: &str = "not supported by the Docker API";

fn reason(engine: EngineKind, field: &str) -> Option<&'static str> {
    let row = FIELDS.iter().find(|(name, ..)| *name == field);
    match engine {
        EngineKind::Local => row.map_or(Some(NO_SUCH_THING), |(_, local, _)| *local),
        EngineKind::Podman => row.map_or(Some(NO_COUNTERPART), |(.., podman)| *podman),
        // A cluster gets the manifest itself; a simulated one reports what it does not honour.
        EngineKind::Kubernetes | EngineKind::Simulated => None,
    }
}

/// What of a scenario's manifest an engine does not honour: a sentence each, which begins with the field.
pub(crate) fn not_honoured(engine: EngineKind, scenario: &Scenario) -> Vec<String> {
    let nothing = Map::new();
    let pod = &scenario.manifest["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    // Once where both the pod and its container have it.
    let fields: BTreeMap<&str, &Value> = [pod, container]
        .into_iter()
        .flat_map(|object| object.as_object().unwrap_or(&nothing))
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let mut all = Vec::new();
    for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
        if field == "env" {
            all.extend(variables(value));
        } else if let Some(reason) = reason(engine, field) {
            let value = value.as_str().map(|value| format!(" {value}")).unwrap_or_default();
            all.push(format!("{field}{value}: {reason}"));
        }
    }
    for kind in ["limits", "requests"] {
        let resources = container["resources"][kind].as_object().unwrap_or(&nothing).keys();
        for resource in resources.filter(|resource| !["memory", "cpu"].contains(&resource.as_str())) {
            all.push(format!("resources.{kind}.{resource}: only memory and cpu are supported"));
        }
    }
    all
}

fn variables(env: &Value) -> impl Iterator<Item = String> {
    let unset = env.as_array().into_iter().flatten().filter(|variable| !variable["valueFrom"].is_null());
    unset.map(|variable| {
        let name = variable["name"].as_str().unwrap_or("a variable");
        format!("env {name}: not set, as valueFrom needs a cluster")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_engine_does_not_honour_is_said_with_its_reason_and_what_it_does_is_not() {
        let container = json!({
            "name": "a", "image": "nginx", "workingDir": "/tmp", "volumeMounts": [],
            "env": [{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {}}],
            "resources": {"limits": {"cpu": "1", "nvidia.com/gpu": 1}},
        });
        let pod = json!({"runtimeClassName": "kata", "nodeSelector": null, "containers": [container]});
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
                              "spec": {"template": {"spec": pod}}});
        let scenario = Scenario::of(manifest).unwrap();
        let fields = |engine| -> Vec<String> {
            let said = not_honoured(engine, &scenario);
            said.iter().map(|line| line.split(':').next().unwrap().to_owned()).collect()
        };
        let gpu = "resources.limits.nvidia.com/gpu";
        assert_eq!(
            fields(EngineKind::Local),
            ["env C", "runtimeClassName kata", "volumeMounts", "workingDir /tmp", gpu]
        );
        assert_eq!(fields(EngineKind::Podman), ["env C", "runtimeClassName kata", "volumeMounts", gpu]);
    }
}
