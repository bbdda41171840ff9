//! Placement: how many instances fit by what is counted apart from memory, CPU and pods.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, PodAffinityTerm, PodSpec};
use serde_json::Value;
use workload::quantity::Bytes;

use super::quantity::number;
use super::requested::{OtherRequests, RequestedResources};
use super::template::selects;
use ramp_format::preflight::{Bound, NodeFacts};
use ramp_format::text::count;

/// Bounds of the instances with this pod spec and these labels. `load` is none if it is unknown what runs on the nodes.
pub(super) fn bounds(
    spec: &Value,
    labels: &Value,
    nodes: &[Node],
    facts: &[NodeFacts],
    load: Option<&BTreeMap<String, RequestedResources>>,
) -> Vec<Bound> {
    let eligible: Vec<&Node> =
        nodes.iter().zip(facts).filter(|(_, fact)| fact.eligible).map(|(node, _)| node).collect();
    // An invalid spec is told by the dry run.
    let Ok(spec) = serde_json::from_value::<PodSpec>(spec.clone()) else { return Vec::new() };
    if eligible.is_empty() {
        return Vec::new();
    }
    let wanted = OtherRequests::of(&spec);
    let mut bounds = Vec::new();
    if let Some(load) = load {
        let resources = wanted.resources.iter().filter(|(_, each)| **each > 0);
        bounds.extend(resources.map(|(name, each)| of_resource(name, *each, &eligible, load)));
    }
    bounds.extend(of_host_ports(&wanted.host_ports, &eligible, load));
    let labels = serde_json::from_value(labels.clone()).unwrap_or_default();
    bounds.extend(of_anti_affinity(&spec, &labels, &eligible));
    bounds
}

fn on(nodes: usize) -> String {
    format!("on {}", count(nodes as u64, "node"))
}

fn of_resource(name: &str, each: u64, nodes: &[&Node], load: &BTreeMap<String, RequestedResources>) -> Bound {
    let fitting = nodes.iter().map(|node| {
        let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref()?.get(name));
        let allocatable = allocatable.and_then(|found| number(name, &found.0).ok()).unwrap_or_default();
        let there = node.metadata.name.as_ref().and_then(|node| load.get(node));
        let taken = there.and_then(|there| there.others.resources.get(name)).copied().unwrap_or_default();
        allocatable.saturating_sub(taken) / each
    });
    let is_bytes = name == "ephemeral-storage" || name.starts_with("hugepages-");
    let each = if is_bytes { Bytes(each).rounded().to_string() } else { each.to_string() };
    Bound {
        by: format!("{name} requests").into(),
        instances: fitting.sum(),
        inputs: format!("{each} requested, {}", on(nodes.len())),
    }
}

/// A port of the node: one instance on each.
fn of_host_ports(
    ports: &BTreeSet<String>,
    nodes: &[&Node],
    load: Option<&BTreeMap<String, RequestedResources>>,
) -> Option<Bound> {
    let is_free = |node: &&&Node| {
        let there = node.metadata.name.as_ref().and_then(|name| load?.get(name));
        there.is_none_or(|there| there.others.host_ports.is_disjoint(ports))
    };
    let listed = ports.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    (!ports.is_empty()).then(|| Bound {
        by: "host ports".into(),
        instances: nodes.iter().filter(is_free).count() as u64,
        inputs: format!("{listed}, one instance per node that has them free, {}", on(nodes.len())),
    })
}

/// Required anti-affinity of the instances to each other: one per domain, such as a node or a zone.
fn of_anti_affinity(spec: &PodSpec, labels: &BTreeMap<String, String>, nodes: &[&Node]) -> Option<Bound> {
    let anti_affinity = spec.affinity.as_ref()?.pod_anti_affinity.as_ref()?;
    let terms = anti_affinity.required_during_scheduling_ignored_during_execution.iter().flatten();
    let is_among = |term: &&PodAffinityTerm| {
        term.namespaces.as_ref().is_none_or(Vec::is_empty)
            && term.label_selector.as_ref().is_some_and(|selector| selects(selector, labels))
    };
    let domains = terms.filter(is_among).filter_map(|term| {
        let domain = |node: &&Node| node.metadata.labels.as_ref()?.get(&term.topology_key).cloned();
        // Nodes without the label are no domain, and take any number.
        let found: Option<BTreeSet<String>> = nodes.iter().map(domain).collect();
        Some((found?.len(), &term.topology_key))
    });
    let (instances, key) = domains.min()?;
    Some(Bound {
        by: "pod anti-affinity".into(),
        instances: instances as u64,
        inputs: format!("one instance per {key}, {}", on(nodes.len())),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    fn node(name: &str, zone: &str) -> Node {
        let labels = json!({"kubernetes.io/hostname": name, "zone": zone});
        from_value(json!({"metadata": {"name": name, "labels": labels},
            "status": {"allocatable": {"ephemeral-storage": "10k", "hugepages-2Mi": "0", "example.com/gpu": "2"}}}))
        .unwrap()
    }

    /// Bounds on three nodes, of which one is not eligible.
    fn bounds_of(spec: &Value, load: Option<&BTreeMap<String, RequestedResources>>) -> Vec<(String, u64)> {
        let nodes = [node("a", "east"), node("b", "east"), node("c", "west")];
        let facts = ["a", "b", "c"].map(|name| NodeFacts {
            name: name.into(),
            eligible: name != "c",
            ..NodeFacts::default()
        });
        let found = bounds(spec, &json!({"app": "x"}), &nodes, &facts, load);
        found.into_iter().map(|bound| (bound.by.into_owned(), bound.instances)).collect()
    }

    #[test]
    fn resources_that_are_requested_beside_memory_and_cpu_are_bounds() {
        let limits = json!({"example.com/gpu": "1", "hugepages-2Mi": "4Mi", "memory": "1Gi"});
        let resources = json!({"limits": limits, "requests": {"ephemeral-storage": "3k"}});
        let spec = json!({"containers": [{"name": "c", "resources": resources}]});
        let mut there = RequestedResources::nothing();
        there.others.resources.insert("example.com/gpu".into(), 1);
        let load = BTreeMap::from([("a".to_owned(), there)]);
        let expected = [
            ("ephemeral-storage requests", 6),
            ("example.com/gpu requests", 3),
            ("hugepages-2Mi requests", 0),
        ];
        assert_eq!(bounds_of(&spec, Some(&load)), expected.map(|(by, instances)| (by.to_owned(), instances)));
        assert_eq!(bounds_of(&spec, None), [], "what is taken already is not known");
        assert_eq!(bounds_of(&json!({"containers": [{"name": "c"}]}), Some(&load)), []);
    }

    #[test]
    fn a_port_of_the_node_is_one_instance_on_each_node_that_has_it_free() {
        let spec = json!({"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": 8080}]}]});
        let mut there = RequestedResources::nothing();
        there.others.host_ports.insert("TCP 8080".into());
        let load = BTreeMap::from([("a".to_owned(), there)]);
        assert_eq!(bounds_of(&spec, Some(&load)), [("host ports".to_owned(), 1)]);
        assert_eq!(bounds_of(&spec, None), [("host ports".to_owned(), 2)]);
    }

    #[test]
    fn anti_affinity_of_the_instances_to_each_other_is_one_per_domain() {
        let spec = |key: &str, app: &str| {
            let term = json!({"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}});
            json!({"containers": [], "affinity": {"podAntiAffinity":
                {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}})
        };
        let bound = |instances| [("pod anti-affinity".to_owned(), instances)];
        assert_eq!(bounds_of(&spec("kubernetes.io/hostname", "x"), None), bound(2));
        assert_eq!(bounds_of(&spec("zone", "x"), None), bound(1));
        assert_eq!(bounds_of(&spec("zone", "other"), None), [], "against other pods");
        assert_eq!(bounds_of(&spec("rack", "x"), None), [], "no node is in a domain");
    }
}
