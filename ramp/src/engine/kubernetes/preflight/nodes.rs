//! Nodes: allocatable resources, conditions, and whether the scheduler may place an instance there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, NodeCondition, NodeStatus};

use workload::quantity::Cores;

use super::super::scheduling::PodConstraints;
use super::quantity::number;
use super::requested::RequestedResources;
use super::wording::some_of;
use ramp_format::preflight::{Finding, NodeFacts};

/// Conditions of a node under pressure.
const PRESSURES: [&str; 3] = ["MemoryPressure", "DiskPressure", "PIDPressure"];

/// All nodes, and what is wrong with them. `load` is none if it is unknown what runs there.
pub(super) fn judge(
    nodes: &[Node],
    wants: &PodConstraints,
    load: Option<&BTreeMap<String, RequestedResources>>,
) -> (Vec<NodeFacts>, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut facts = Vec::new();
    for node in nodes {
        let mut fact = of(node, load, &mut findings);
        let labels = node.metadata.labels.clone().unwrap_or_default();
        let taints = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
        let unsuitable = wants.against(&fact.name, &labels, &taints);
        let unhealthy = unhealthy(node);
        if let Some(why) = &unhealthy {
            findings.push(finding(&fact.name, why, unsuitable.is_none()));
        }
        let cordoned = node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true));
        fact.not_eligible_because = unsuitable
            .or(unhealthy)
            .or_else(|| (cordoned && wants.node_name.is_none()).then(|| "cordoned".to_owned()))
            .or_else(|| wants.against_condition(&taints));
        fact.eligible = fact.not_eligible_because.is_none();
        facts.push(fact);
    }
    findings.extend(none_eligible(&facts));
    findings.extend(one_machine(nodes));
    findings.extend(PLATFORM.iter().filter_map(|label| mixed(label, nodes, &facts)));
    (facts, findings)
}

fn of(
    node: &Node,
    load: Option<&BTreeMap<String, RequestedResources>>,
    findings: &mut Vec<Finding>,
) -> NodeFacts {
    let name = node.metadata.name.clone().unwrap_or_default();
    let status = node.status.clone().unwrap_or_default();
    let info = status.node_info.as_ref();
    let mut allocatable = |resource: &str| {
        let found = status.allocatable.as_ref().and_then(|all| all.get(resource));
        let number = found.ok_or_else(|| "missing".to_owned()).and_then(|found| number(resource, &found.0));
        let warning = |error| format!("unknown: allocatable {resource} of node {name:?}: {error}");
        number.map_err(|error| findings.push(Finding::warning(warning(error)))).ok()
    };
    let (memory, cpu, pods) = (allocatable("memory"), allocatable("cpu"), allocatable("pods"));
    let capacity = status.capacity.as_ref().and_then(|all| number("memory", &all.get("memory")?.0).ok());
    let cores = status.capacity.as_ref().and_then(|all| number("cpu", &all.get("cpu")?.0).ok());
    // If all pods can be listed, a node without any runs nothing.
    let load = load.map(|load| load.get(&name).cloned().unwrap_or_else(RequestedResources::nothing));
    let requested = load.as_ref().and_then(|load| load.requested);
    NodeFacts {
        kernel: info.map(|info| info.kernel_version.clone()),
        container_runtime: info.map(|info| info.container_runtime_version.clone()),
        memory_bytes: capacity,
        allocatable_memory_bytes: memory,
        cpu_cores: cores.map(|cores| Cores::from_nano(cores).as_f64()),
        allocatable_cpu_cores: cpu.map(|cpu| Cores::from_nano(cpu).as_f64()),
        allocatable_pods: pods,
        requested_memory_bytes: requested.map(|requested| requested.memory),
        requested_cpu_cores: requested.map(|requested| requested.cores()),
        pods: load.map(|load| load.pods),
        name,
        ..NodeFacts::default()
    }
}

/// The conditions of a node, unless it is healthy.
fn unhealthy(node: &Node) -> Option<String> {
    let conditions = conditions(node.status.as_ref());
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    match ready {
        None => return Some("not ready: no condition Ready yet".to_owned()),
        Some(ready) if ready.status != "True" => {
            let why = [&ready.reason, &ready.message].map(|text| text.as_deref().unwrap_or_default());
            return Some(format!("not ready: {}", why.join(" ")).trim_end_matches([' ', ':']).to_owned());
        }
        Some(_) => {}
    }
    let pressed = conditions.iter().filter(|condition| condition.status == "True");
    let pressed: Vec<&str> =
        pressed.map(|condition| condition.type_.as_str()).filter(|name| PRESSURES.contains(name)).collect();
    (!pressed.is_empty()).then(|| format!("under {}", pressed.join(", ")))
}

fn conditions(status: Option<&NodeStatus>) -> &[NodeCondition] {
    status.and_then(|status| status.conditions.as_deref()).unwrap_or_default()
}

/// An unhealthy node spoils the run if instances may be placed there.
fn finding(name: &str, why: &str, suits: bool) -> Finding {
    if !suits {
        return Finding::warning(format!("node {name:?}, which this scenario does not use, is {why}"));
    }
    Finding::refusal(format!("node {name:?} is {why}; wait until it recovers, or taint it to exclude it"))
}

fn none_eligible(facts: &[NodeFacts]) -> Option<Finding> {
    if facts.iter().any(|fact| fact.eligible) {
        return None;
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for fact in facts {
        reasons.entry(fact.not_eligible_because.as_deref().unwrap_or_default()).or_default().push(&fact.name);
    }
    let told = reasons.iter().map(|(reason, names)| format!("{}: {reason}", some_of(names)));
    let told = if facts.is_empty() {
        "the cluster has none".to_owned()
    } else {
        told.collect::<Vec<_>>().join("; ")
    };
    Some(Finding::refusal(format!(
        "no node is eligible for an instance: {told}; change the manifest's nodeSelector, affinity or tolerations, or the \
         nodes"
    )))
}

/// Labels of what an image is built for.
const PLATFORM: [&str; 2] = ["kubernetes.io/os", "kubernetes.io/arch"];

/// Eligible nodes that differ in a label of the platform: an image runs on some of them only, unless it is built for all.
fn mixed(label: &str, nodes: &[Node], facts: &[NodeFacts]) -> Option<Finding> {
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, fact) in nodes.iter().zip(facts).filter(|(_, fact)| fact.eligible) {
        let value = node.metadata.labels.as_ref().and_then(|labels| labels.get(label));
        if let Some(value) = value {
            values.entry(value).or_default().push(&fact.name);
        }
    }
    let listed = values.iter().map(|(value, names)| format!("{value} on {}", some_of(names)));
    (values.len() > 1).then(|| {
        Finding::warning(format!(
            "eligible nodes differ in {label}: {}; set it in the manifest's nodeSelector, unless the image is built for all",
            listed.collect::<Vec<_>>().join(", ")
        ))
    })
}

/// Nodes with one boot id share a kernel, as those of kind and minikube do.
fn one_machine(nodes: &[Node]) -> Vec<Finding> {
    let mut machines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
        if let Some(info) = info.filter(|info| !info.boot_id.is_empty()) {
            let name = node.metadata.name.as_deref().unwrap_or_default();
            machines.entry(&info.boot_id).or_default().push(name);
        }
    }
    let shared = machines.into_values().filter(|names| names.len() > 1);
    shared
        .map(|names| {
            Finding::warning(format!(
                "nodes {} share one machine (same boot ID): its memory is counted once, and may be less than the sum of \
                 their allocatable memory",
                some_of(&names)
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn node(name: &str, change: &Value) -> Node {
        let mut node = json!({"metadata": {"name": name, "labels": {"disk": "ssd"}},
            "spec": {},
            "status": {"allocatable": {"memory": "2Gi", "cpu": "1500m", "pods": "110"},
                "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
                "nodeInfo": {"bootID": name, "kernelVersion": "6.1.0", "containerRuntimeVersion": "containerd://1.6.20",
                    "architecture": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                    "operatingSystem": "", "osImage": "", "systemUUID": ""}}});
        for (pointer, value) in change.as_object().unwrap() {
            *node.pointer_mut(pointer).unwrap() = value.clone();
        }
        from_value(node).unwrap()
    }

    fn judged(change: &Value) -> (NodeFacts, Vec<Finding>) {
        let (mut facts, findings) = judge(
            &[node("a", change)],
            &PodConstraints { best_effort: true, ..PodConstraints::default() },
            Some(&BTreeMap::new()),
        );
        (facts.remove(0), findings)
    }

    #[test]
    fn a_node_that_is_well_and_suits_is_eligible_and_nothing_to_speak_of() {
        let load = RequestedResources {
            pods: 3,
            requested: Some(ramp_format::scenario::resources::Amount {
                memory: 500,
                nano_cores: 250_000_000,
            }),
            ..RequestedResources::nothing()
        };
        let load = BTreeMap::from([("a".to_owned(), load)]);
        let (facts, findings) =
            judge(&[node("a", &json!({})), node("b", &json!({}))], &PodConstraints::default(), Some(&load));
        assert_eq!(findings, []);
        assert!(facts.iter().all(|fact| fact.eligible && fact.kernel.as_deref() == Some("6.1.0")));
        assert_eq!(facts[0].allocatable_memory_bytes, Some(2 << 30));
        assert_eq!(facts[0].allocatable_cpu_cores, Some(1.5));
        assert_eq!((facts[0].allocatable_pods, facts[0].pods), (Some(110), Some(3)));
        assert_eq!((facts[0].requested_memory_bytes, facts[0].requested_cpu_cores), (Some(500), Some(0.25)));
        assert_eq!(
            (facts[1].requested_memory_bytes, facts[1].pods),
            (Some(0), Some(0)),
            "seen to run nothing"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_unknown_and_not_zero() {
        let (facts, _) = judge(&[node("a", &json!({}))], &PodConstraints::default(), None);
        assert_eq!(
            (facts[0].requested_memory_bytes, facts[0].requested_cpu_cores, facts[0].pods),
            (None, None, None)
        );
        let (fact, findings) = judged(&json!({"/status/allocatable": {"memory": "2GB", "pods": "110"}}));
        assert_eq!((fact.allocatable_memory_bytes, fact.allocatable_cpu_cores), (None, None));
        assert!(findings[1].message.contains("allocatable cpu of node \"a\": missing"), "{findings:?}");
        assert!(findings[0].message.contains("did you mean 2G"), "{findings:?}");
    }

    #[test]
    fn a_node_that_is_not_ready_is_a_foul_start() {
        let unknown = json!([{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status."}]);
        let (fact, findings) = judged(&json!({"/status/conditions": unknown}));
        assert!(!fact.eligible);
        assert!(findings[0].refuses);
        assert!(
            findings[0].message.starts_with("node \"a\" is not ready: NodeStatusUnknown Kubelet stopped"),
            "{findings:?}"
        );
        let (fact, findings) = judged(&json!({"/status/conditions": []}));
        assert!(!fact.eligible && findings[0].refuses, "a node that says nothing is not ready either");
    }

    #[test]
    fn a_node_that_is_not_ready_and_not_used_is_a_warning() {
        let change = json!({"/status/conditions": [{"type": "Ready", "status": "False"}],
            "/spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]}});
        let (facts, findings) =
            judge(&[node("a", &change), node("b", &json!({}))], &PodConstraints::default(), None);
        assert_eq!(facts[0].not_eligible_because.as_deref(), Some("taint gpu:NoSchedule"));
        assert_eq!(
            findings.iter().map(|finding| finding.refuses).collect::<Vec<_>>(),
            [false],
            "{findings:?}"
        );
    }

    #[test]
    fn a_node_under_pressure_is_a_foul_start() {
        let change = json!({"/status/conditions": [
            {"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "True"}]});
        let (fact, findings) = judged(&change);
        assert_eq!(fact.not_eligible_because.as_deref(), Some("under MemoryPressure"));
        assert!(findings[0].refuses && findings[0].message.contains("node \"a\" is under MemoryPressure"));
    }

    #[test]
    fn a_cordoned_node_is_not_eligible_and_where_none_is_the_reasons_are_told() {
        let (fact, findings) = judged(&json!({"/spec": {"unschedulable": true}}));
        assert_eq!(fact.not_eligible_because.as_deref(), Some("cordoned"));
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert!(
            finding.refuses
                && finding.message.starts_with("no node is eligible for an instance: a: cordoned;")
        );
        assert!(judge(&[], &PodConstraints::default(), None).1[0].message.contains("the cluster has none"));
    }

    #[test]
    fn nodes_of_another_platform_are_not_eligible_and_without_a_selector_the_difference_is_told() {
        let of = |name: &str, os: &str, arch: &str| {
            node(name, &json!({"/metadata/labels": {"kubernetes.io/os": os, "kubernetes.io/arch": arch}}))
        };
        let nodes = [of("a", "linux", "amd64"), of("b", "linux", "arm64"), of("w", "windows", "amd64")];
        let (_, findings) = judge(&nodes, &PodConstraints::default(), None);
        let told: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
        assert!(
            told[0]
                .starts_with("eligible nodes differ in kubernetes.io/os: linux on a, b, windows on w; set"),
            "{told:?}"
        );
        assert!(
            told[1]
                .starts_with("eligible nodes differ in kubernetes.io/arch: amd64 on a, w, arm64 on b; set"),
            "{told:?}"
        );
        let selector = json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
        let wants =
            PodConstraints { node_selector: from_value(selector).unwrap(), ..PodConstraints::default() };
        let (facts, findings) = judge(&nodes, &wants, None);
        assert_eq!(facts.iter().map(|fact| fact.eligible).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(findings, []);
    }

    #[test]
    fn nodes_with_one_boot_id_share_a_machine() {
        let shared = json!({"/status/nodeInfo/bootID": "one"});
        let nodes = [node("a", &shared), node("b", &shared), node("c", &json!({}))];
        let (_, findings) = judge(&nodes, &PodConstraints::default(), None);
        assert!(!findings[0].refuses && findings[0].message.starts_with("nodes a, b share one machine"));
    }
}
