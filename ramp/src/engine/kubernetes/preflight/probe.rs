//! The node probe: without it the free memory of the nodes is unknown.

use super::facts::NODE_PROBE;
use super::stale_runs::PodThere;
use super::wording::some_of;
use ramp_format::preflight::{Finding, NodeFacts};

/// Nodes without samples. `there` is whether the DaemonSet exists, `pods` are those of the namespace.
pub(super) fn judge(there: bool, pods: &[PodThere], nodes: &[NodeFacts], namespace: &str) -> Option<Finding> {
    if !there {
        return Some(Finding::warning(format!(
            "DaemonSet {NODE_PROBE:?} does not exist in namespace {namespace:?}: the memory of the nodes is unknown, and \
             the stop rule available-memory never fires; create it with: kubectl apply -k deploy/setup"
        )));
    }
    let sampled = |node: &NodeFacts| {
        let mut probes = pods.iter().filter(|pod| pod.daemon_set.as_deref() == Some(NODE_PROBE));
        probes.any(|pod| pod.ready && !pod.terminating && pod.node.as_deref() == Some(&node.name))
    };
    let dark: Vec<&str> =
        nodes.iter().filter(|node| node.eligible && !sampled(node)).map(|node| node.name.as_str()).collect();
    (!dark.is_empty()).then(|| {
        Finding::warning(format!(
            "no samples from nodes {}: no ready pod of DaemonSet {NODE_PROBE:?}; see why with: kubectl --namespace \
             {namespace} get pods --output wide",
            some_of(&dark)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, eligible: bool) -> NodeFacts {
        NodeFacts { name: name.into(), eligible, ..NodeFacts::default() }
    }

    fn probe(node: &str, ready: bool) -> PodThere {
        let (node, daemon_set) = (Some(node.to_owned()), Some(NODE_PROBE.to_owned()));
        PodThere { node, ready, daemon_set, ..PodThere::default() }
    }

    #[test]
    fn every_eligible_node_has_to_have_a_probe_that_is_ready() {
        let nodes = [node("a", true), node("b", true), node("c", true), node("hollow", false)];
        let all = [probe("a", true), probe("b", true), probe("c", true)];
        assert_eq!(judge(true, &all, &nodes, "workload"), None);
        let finding = judge(true, &[probe("a", true), probe("b", false)], &nodes, "workload").unwrap();
        assert!(
            !finding.refuses && finding.message.starts_with("no samples from nodes b, c:"),
            "{finding:?}"
        );
    }

    #[test]
    fn without_the_daemon_set_no_node_is_sampled() {
        let finding = judge(false, &[], &[node("a", true)], "workload").unwrap();
        assert!(
            !finding.refuses
                && finding
                    .message
                    .contains("DaemonSet \"node-probe\" does not exist in namespace \"workload\"")
        );
    }
}
