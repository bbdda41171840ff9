//! Preflight of a mixed run: what was found for each group, merged.

use std::borrow::Cow;

use ramp_format::preflight::{Bound, Finding, NodeFacts, Preflight, QuotaFacts, RuntimeClassFacts};
use ramp_format::text::first_names;

/// Nodes that are named.
const NAMED: usize = 3;

/// What was found for each of these runtimes, in this order; of a run of one runtime what was found.
pub(super) fn merged(mix: &[String], mut all: Vec<Preflight>) -> Preflight {
    if all.len() < 2 {
        return all.pop().unwrap_or_default();
    }
    let classes = mix.iter().zip(&all).map(|(runtime, found)| {
        let none = RuntimeClassFacts { name: runtime.clone(), ..RuntimeClassFacts::default() };
        found.runtime_class.clone().unwrap_or(none)
    });
    let first = all.first().cloned().unwrap_or_default();
    Preflight {
        runtime_classes: classes.collect(),
        runtime_class: None,
        nodes: nodes(&all),
        quotas: quotas(&all),
        bounds: bounds(&all),
        findings: findings(mix, &all),
        ..first
    }
}

/// Nodes that may have an instance of any group.
fn nodes(all: &[Preflight]) -> Vec<NodeFacts> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let node = |node: &NodeFacts| {
        let same =
            |found: &&Preflight| found.nodes.iter().any(|other| other.name == node.name && other.eligible);
        let eligible = node.eligible || others.iter().any(|found| same(&found));
        let not_eligible_because = node.not_eligible_because.clone().filter(|_| !eligible);
        NodeFacts { eligible, not_eligible_because, ..node.clone() }
    };
    first.nodes.iter().map(node).collect()
}

/// Instances in alternation, where so many of each group alone fit: each takes its part of what there is.
fn in_alternation(alone: &[u64]) -> u64 {
    if alone.contains(&0) {
        return 0;
    }
    let each: f64 = alone.iter().map(|instances| 1.0 / *instances as f64).sum();
    // Numbers of instances are far below 2^53.
    (alone.len() as f64 / each + 1e-9).floor() as u64
}

/// Quotas that bound every group.
fn quotas(all: &[Preflight]) -> Vec<QuotaFacts> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let quota = |quota: &QuotaFacts| {
        let same = |found: &Preflight| found.quotas.iter().find(|other| other.what == quota.what).cloned();
        let others: Option<Vec<QuotaFacts>> = others.iter().map(same).collect();
        let alone: Vec<u64> =
            [quota.instances].into_iter().chain(others?.iter().map(|quota| quota.instances)).collect();
        Some(QuotaFacts { what: quota.what.clone(), instances: in_alternation(&alone) })
    };
    first.quotas.iter().filter_map(quota).collect()
}

/// Bounds of every group by the same.
fn bounds(all: &[Preflight]) -> Vec<Bound> {
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let bound = |bound: &Bound| {
        let same = |found: &Preflight| found.bounds.iter().find(|other| other.by == bound.by).cloned();
        let others: Option<Vec<Bound>> = others.iter().map(same).collect();
        let alone: Vec<u64> =
            [bound.instances].into_iter().chain(others?.iter().map(|bound| bound.instances)).collect();
        Some(Bound {
            by: Cow::clone(&bound.by),
            instances: in_alternation(&alone),
            inputs: format!("{}, groups in alternation", bound.inputs),
        })
    };
    first.bounds.iter().filter_map(bound).collect()
}

/// What is found for all groups, once; what is not, with the runtime.
fn findings(mix: &[String], all: &[Preflight]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (runtime, found) in mix.iter().zip(all) {
        for finding in &found.findings {
            let of_all = all.iter().all(|other| other.findings.contains(finding));
            let message = match of_all {
                true => finding.message.clone(),
                false => format!("group {runtime}: {}", finding.message),
            };
            let finding = Finding { message, refuses: finding.refuses };
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
    }
    let differs = |node: &&NodeFacts| {
        let eligible =
            |found: &Preflight| found.nodes.iter().any(|other| other.name == node.name && other.eligible);
        all.iter().any(eligible) && !all.iter().all(eligible)
    };
    let apart = all.first().map_or(&[][..], |first| &first.nodes).iter().filter(differs);
    let apart: Vec<&str> = apart.map(|node| node.name.as_str()).collect();
    if !apart.is_empty() {
        findings.push(Finding::warning(format!(
            "nodes that take instances of some groups only: {}; a difference between the groups is then also one between nodes; use nodes \
             that all groups may be placed on",
            first_names(&apart, NAMED)
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(findings: &[&str], eligible: [bool; 2], quota: u64) -> Preflight {
        let node = |(name, eligible): (&str, bool)| NodeFacts {
            name: name.into(),
            eligible,
            ..NodeFacts::default()
        };
        Preflight {
            nodes: ["a", "b"].into_iter().zip(eligible).map(node).collect(),
            quotas: vec![QuotaFacts { what: "team".into(), instances: quota }],
            findings: findings.iter().map(|text| Finding::warning(*text)).collect(),
            ..Preflight::default()
        }
    }

    #[test]
    fn what_all_groups_have_in_common_is_told_once_and_what_they_have_not_with_the_runtime() {
        let mut kata = of(&["both", "one"], [true, false], 4);
        kata.runtime_class = Some(RuntimeClassFacts {
            name: "kata".into(),
            overhead_memory_bytes: 160 << 20,
            ..RuntimeClassFacts::default()
        });
        let mix = ["default".to_owned(), "kata".to_owned()];
        let merged = merged(&mix, vec![of(&["both"], [true, true], 12), kata]);
        let messages: Vec<&str> = merged.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages[..2], ["both", "group kata: one"]);
        insta::assert_snapshot!("mixed", format!("nodes of one group\n  warning: {}", messages[2]));
        assert!(merged.nodes.iter().all(|node| node.eligible));
        assert_eq!(merged.quotas[0].instances, 6, "three of each: 3/12 and 3/4");
        let overheads = merged.runtime_classes.iter().map(|class| class.overhead_memory_bytes);
        assert_eq!(overheads.collect::<Vec<_>>(), [0, 160 << 20]);
    }
}
