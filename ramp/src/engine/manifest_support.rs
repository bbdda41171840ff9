//! Manifest support: the fields of a manifest that each engine honours, and why it does not honour the others.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use ramp_format::plan::EngineKind;
use ramp_format::preflight::Finding;
use ramp_format::scenario::{InstanceNeeds, Scenario};

/// Fields of a pod and of its container: why `local` does not honour it, and why `podman` does not. None where it does, where it
/// means nothing without a cluster, or where it is reported elsewhere.
const FIELDS: &[(&str, Option<&str>, Option<&str>)] = &[
    ("containers", None, None),
    ("initContainers", None, None),
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
    let (pod, container) = (scenario.pod_spec(), scenario.container_spec());
    // Once where both the pod and its container have it.
    let fields: BTreeMap<&str, &Value> = [pod, container]
        .into_iter()
        .flat_map(|object| object.as_object().unwrap_or(&nothing))
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let has_others = !matches!(engine, EngineKind::Kubernetes | EngineKind::Simulated);
    let mut all: Vec<String> = other_containers(scenario).filter(|_| has_others).into_iter().collect();
    for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
        if field == "env" {
            all.extend(variables(scenario));
        } else if field == "nodeSelector" && is_of_platform(value) {
            // This machine is what it is.
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

fn variables(scenario: &Scenario) -> impl Iterator<Item = String> {
    let unknown = scenario.container.env.unknown.iter();
    unknown.map(|(name, source)| {
        format!("env {name}: not set, as it comes from {source}, which needs a cluster")
    })
}

/// Whether a selector names an operating system and an architecture alone.
fn is_of_platform(selector: &Value) -> bool {
    const PLATFORM: [&str; 2] = ["kubernetes.io/os", "kubernetes.io/arch"];
    selector.as_object().is_some_and(|labels| labels.keys().all(|label| PLATFORM.contains(&label.as_str())))
}

/// Containers beside the load, of which these engines start none.
fn other_containers(scenario: &Scenario) -> Option<String> {
    let others = scenario.other_containers(false);
    (!others.is_empty()).then(|| {
        let load = &scenario.container.name;
        format!("containers {}: not started; an instance is the container {load} alone", others.join(", "))
    })
}

/// A page table holds 512 entries: one page of it per 512 pages of memory, charged to the container as well.
const PAGE_TABLE_PART: u64 = 512;

/// The warning that the load allocates more than its own memory limit, where limits are enforced.
pub(crate) fn above_limit(needs: &InstanceNeeds) -> Option<Finding> {
    let limit = needs.resources.load_limit?;
    let wanted = needs.memory_on(Some(limit))?;
    let with_tables = wanted.0.saturating_add(wanted.0 / PAGE_TABLE_PART);
    let (will, more) = match (wanted > limit, with_tables > limit.0) {
        (true, _) => ("will", "more than"),
        (false, true) => ("may", "with page tables more than"),
        (false, false) => return None,
    };
    Some(Finding::warning(format!(
        "each instance {will} be OOM-killed: its load allocates {}, {more} its memory limit, {} (raise \
         resources.limits.memory, or set less with --memory)",
        wanted.rounded(),
        limit.rounded()
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use workload::quantity::Bytes;

    use ramp_format::scenario::MemoryNeed;
    use ramp_format::scenario::resources::PodResources;

    #[test]
    fn a_load_above_its_own_limit_will_be_killed_and_one_with_just_as_much_may_be() {
        let found = |memory: MemoryNeed| {
            let resources = PodResources { load_limit: Some(Bytes(100_000_000)), ..PodResources::default() };
            above_limit(&InstanceNeeds { memory, resources, others: Vec::new() })
                .map(|finding| finding.message)
        };
        let bytes = |bytes| MemoryNeed::Bytes(Bytes(bytes));
        assert!(found(bytes(500_000_000)).unwrap().starts_with(
            "each instance will be OOM-killed: its load allocates 500.00 MB, more than its memory limit, 100.00 MB"
        ));
        assert!(found(bytes(100_000_000)).unwrap().starts_with("each instance may be OOM-killed"));
        assert!(found(MemoryNeed::Share("120%".parse().unwrap())).unwrap().contains("will be OOM-killed"));
        let fits = [bytes(90_000_000), MemoryNeed::Share("80%".parse().unwrap()), MemoryNeed::Max];
        assert_eq!(fits.map(found), [None, None, None]);
    }

    use super::*;

    #[test]
    fn what_an_engine_does_not_honour_is_said_with_its_reason_and_what_it_does_is_not() {
        let container = json!({
            "name": "a", "image": "nginx", "workingDir": "/tmp", "volumeMounts": [],
            "env": [{"name": "A", "value": "b"}, {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
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
