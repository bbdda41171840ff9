//! Bounds by limits of nodes other than memory and CPU, by what an instance is assumed to use of them. Pure.
//!
//! What an instance uses is measured in a run. Before it there are assumptions, each with the least and the most that is plausible. A bound
//! by an assumption counts as the forecast only where it is the least of all bounds even if an instance takes as little as that: it
//! never stands in for memory where it only may be reached before it.

use std::collections::{BTreeMap, BTreeSet};

use ramp_format::plan::EngineKind;
use ramp_format::preflight::{Bound, LimitBound, LimitFacts, NodeFacts};

/// What an instance is assumed to use of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct AssumedUse {
    least: u64,
    usual: u64,
    most: u64,
    of: &'static str,
}

const fn assumed(least: u64, usual: u64, most: u64, of: &'static str) -> AssumedUse {
    AssumedUse { least, usual, most, of }
}

/// What an instance is assumed to use, by engine; none where nothing can be assumed.
fn assumption(engine: EngineKind, fact: &LimitFacts, is_v2: bool) -> Option<AssumedUse> {
    let is_pods = fact.scope == "pods" || fact.scope.starts_with('/');
    let is_machine = fact.scope.starts_with("machine");
    match (engine, fact.resource.as_str()) {
        (EngineKind::Local, "pids" | "threads") => Some(assumed(2, 5, 8, "the load's threads")),
        (EngineKind::Local, "open_files") => Some(assumed(5, 15, 60, "the load's and ramp's")),
        (EngineKind::Podman, "pids" | "threads") => Some(assumed(3, 8, 24, "2 of conmon, 6 of the load")),
        (EngineKind::Podman, "open_files") => Some(assumed(10, 40, 200, "of conmon and the load")),
        // Those of a VM runtime, if it puts them there, are the most.
        (EngineKind::Kubernetes | EngineKind::Simulated, "pids") if is_pods => {
            Some(assumed(3, 6, 64, "1 of pause, 5 of the load"))
        }
        (EngineKind::Kubernetes | EngineKind::Simulated, "pids" | "threads") if is_machine => {
            Some(assumed(8, 18, 96, "1 of pause, 5 of the load, 12 of the shim"))
        }
        // A shim watches the memory events of each of its containers by inotify: on cgroup v1 by an eventfd.
        (EngineKind::Kubernetes, "inotify_instances") if fact.scope == "user ID 0" && is_v2 => {
            Some(assumed(1, 2, 6, "of the shim, one for each container"))
        }
        (EngineKind::Kubernetes, "open_files") => Some(assumed(10, 60, 300, "of the shim and the load")),
        (EngineKind::Kubernetes, "keys") if fact.scope == "user ID 0" => {
            Some(assumed(1, 2, 4, "the session keyring of each container"))
        }
        _ => None,
    }
}

/// The bounds that count beside these others, and all of which an instance's use can be assumed.
pub(super) fn bounds(
    facts: &[LimitFacts],
    nodes: &[&NodeFacts],
    engine: EngineKind,
    others: &[Bound],
) -> (Vec<Bound>, Vec<LimitBound>) {
    let mut by_limit: BTreeMap<(&str, &str), Vec<&LimitFacts>> = BTreeMap::new();
    for fact in facts {
        by_limit.entry((&fact.resource, &fact.scope)).or_default().push(fact);
    }
    let is_v2 = facts.iter().any(|fact| fact.scope == "pods" && !fact.source.contains("/cgroup/pids/"));
    let all: Vec<LimitBound> =
        by_limit.values().filter_map(|facts| of_limit(facts, nodes, engine, is_v2)).collect();
    let least = others.iter().map(|bound| bound.instances).min().unwrap_or(u64::MAX);
    let counts = |bound: &&LimitBound| bound.most < least;
    let counted = all.iter().filter(counts).map(|bound| Bound {
        by: format!("{}{}", Bound::NODE_LIMIT, bound.by).into(),
        instances: bound.instances,
        inputs: bound.inputs.clone(),
    });
    (counted.collect(), all.clone())
}

/// The bound by one limit of all nodes; none where a node does not tell it.
fn of_limit(
    facts: &[&LimitFacts],
    nodes: &[&NodeFacts],
    engine: EngineKind,
    is_v2: bool,
) -> Option<LimitBound> {
    let first = facts.first()?;
    let each = assumption(engine, first, is_v2)?;
    let is_of_node = first.scope == "pods" || first.scope.starts_with('/');
    let (mut usual, mut fewest, mut most, mut left_in_all) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut seen = BTreeSet::new();
    for node in nodes {
        let fact = facts.iter().find(|fact| fact.node == node.name)?;
        let holder = fact.boot_id.as_deref().filter(|_| !is_of_node).unwrap_or(&fact.node);
        // Nodes that share a kernel share its limits.
        if !seen.insert(holder) {
            continue;
        }
        let left = fact.limit?.saturating_sub(fact.used?);
        left_in_all = left_in_all.saturating_add(left);
        usual = usual.saturating_add(left / each.usual);
        fewest = fewest.saturating_add(left / each.most);
        most = most.saturating_add(left / each.least);
    }
    (!seen.is_empty()).then(|| LimitBound {
        by: format!("{} ({})", first.resource, first.scope),
        instances: usual,
        fewest,
        most,
        inputs: format!(
            "{left_in_all} left ({}); {} for each instance assumed ({}; {} to {} are plausible: {fewest} to {most} instances)",
            first.source, each.usual, each.of, each.least, each.most
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(node: &str, scope: &str, limit: u64, used: u64) -> LimitFacts {
        LimitFacts {
            node: node.into(),
            boot_id: Some("boot".into()),
            resource: "pids".into(),
            scope: scope.into(),
            limit: Some(limit),
            used: Some(used),
            source: "/sys/fs/cgroup/pids/kubepods/pids.max".into(),
        }
    }

    fn found(facts: &[LimitFacts], memory: u64) -> (Vec<Bound>, Vec<LimitBound>) {
        let node = |name: &str| NodeFacts { name: name.into(), ..NodeFacts::default() };
        let nodes = [node("a"), node("b")];
        let others = [Bound { by: "memory in use".into(), instances: memory, inputs: String::new() }];
        bounds(facts, &nodes.iter().collect::<Vec<_>>(), EngineKind::Kubernetes, &others)
    }

    #[test]
    fn a_limit_that_is_reached_first_however_little_an_instance_takes_is_the_forecast() {
        let facts = [fact("a", "pods", 100, 40), fact("b", "pods", 100, 10)];
        let (counted, all) = found(&facts, 60);
        assert_eq!((counted.len(), counted[0].by.as_ref()), (1, "node limit pids (pods)"));
        assert_eq!(counted[0].instances, 10 + 15);
        assert_eq!((all[0].fewest, all[0].most), (1, 20 + 30));
        assert!(
            counted[0].inputs.contains("6 for each instance assumed (1 of pause, 5 of the load"),
            "{counted:?}"
        );
    }

    #[test]
    fn a_limit_that_only_may_be_reached_before_memory_is_no_forecast() {
        let facts = [fact("a", "pods", 100, 40), fact("b", "pods", 100, 10)];
        let (counted, all) = found(&facts, 50);
        assert_eq!((counted, all.len()), (Vec::new(), 1), "with 3 each it allows as many as memory");
    }

    #[test]
    fn nodes_that_share_a_kernel_share_the_limits_of_the_machine_and_what_one_does_not_tell_is_no_bound() {
        let facts = [fact("a", "machine", 1_000, 280), fact("b", "machine", 1_000, 280)];
        assert_eq!(found(&facts, 1_000).0[0].instances, 40);
        assert_eq!(found(&facts[..1], 1_000), (Vec::new(), Vec::new()));
        let unlimited = LimitFacts { limit: None, ..fact("b", "pods", 0, 1) };
        assert_eq!(found(&[fact("a", "pods", 100, 1), unlimited], 1_000), (Vec::new(), Vec::new()));
    }
}
