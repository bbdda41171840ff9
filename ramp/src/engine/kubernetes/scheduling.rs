//! Scheduling: selectors, affinity and taints, as in Kubernetes' `pkg/scheduler/framework/plugins`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration,
};

/// Labels, or fields, by name.
type Labels = BTreeMap<String, String>;

/// Prefix of the taints of a node's conditions, which come and go.
const OF_CONDITION: &str = "node.kubernetes.io/";
/// The taint of a node under memory pressure.
pub(super) const MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";

/// What a pod requires of its node.
#[derive(Clone, Debug, Default)]
pub(super) struct PodConstraints {
    /// `nodeName`: the only node, which the pod gets without the scheduler.
    pub(super) node_name: Option<String>,
    /// Required labels: those of the pod and of its RuntimeClass.
    pub(super) node_selector: Labels,
    /// `requiredDuringSchedulingIgnoredDuringExecution` of its node affinity.
    pub(super) affinity: Option<NodeSelector>,
    /// Tolerations of the pod and of its RuntimeClass.
    pub(super) tolerations: Vec<Toleration>,
    /// Whether its QoS class is `BestEffort`; all others tolerate memory pressure.
    pub(super) best_effort: bool,
}

impl PodConstraints {
    /// Why a node is excluded, whatever its conditions.
    pub(super) fn against(&self, name: &str, labels: &Labels, taints: &[Taint]) -> Option<String> {
        if let Some(only) = self.node_name.as_deref().filter(|only| *only != name) {
            return Some(format!("nodeName is {only}"));
        }
        for (key, value) in &self.node_selector {
            match labels.get(key) {
                Some(found) if found == value => {}
                Some(found) => return Some(format!("label {key}={found}, required {key}={value}")),
                None => return Some(format!("no label {key}={value}")),
            }
        }
        if let Some(affinity) = &self.affinity {
            let terms = affinity.node_selector_terms.iter().map(|term| matches(term, name, labels));
            let verdicts: Vec<_> = terms.collect();
            if !verdicts.contains(&Ok(true)) {
                let unknown = verdicts.into_iter().find_map(Result::err);
                return Some(unknown.unwrap_or_else(|| "its labels do not match the node affinity".into()));
            }
        }
        let lasting = |taint: &&Taint| !taint.key.starts_with(OF_CONDITION);
        self.repelled(taints.iter().filter(lasting)).map(|taint| format!("taint {}", shown(taint)))
    }

    /// The first taint of a condition that the pod does not tolerate.
    pub(super) fn against_condition(&self, taints: &[Taint]) -> Option<String> {
        let of_condition = |taint: &&Taint| {
            taint.key.starts_with(OF_CONDITION) && (self.best_effort || taint.key != MEMORY_PRESSURE)
        };
        self.repelled(taints.iter().filter(of_condition)).map(|taint| format!("taint {}", shown(taint)))
    }

    fn repelled<'a>(&self, mut taints: impl Iterator<Item = &'a Taint>) -> Option<&'a Taint> {
        taints.find(|taint| {
            // What is not scheduled is kept off by no NoSchedule.
            let repels = match taint.effect.as_str() {
                "NoSchedule" => self.node_name.is_none(),
                effect => effect == "NoExecute",
            };
            repels && !self.tolerations.iter().any(|toleration| tolerates(toleration, taint))
        })
    }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let same = |asked: &Option<String>, found: &str| {
        asked.as_deref().is_none_or(|asked| asked.is_empty() || asked == found)
    };
    let value = toleration.value.as_deref().unwrap_or_default();
    same(&toleration.effect, &taint.effect)
        && same(&toleration.key, &taint.key)
        && match toleration.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => value == taint.value.as_deref().unwrap_or_default(),
            "Exists" => true,
            // Newer operators compare numbers; assume that the pod is repelled.
            _ => false,
        }
}

fn shown(taint: &Taint) -> String {
    let value = taint.value.as_deref().map(|value| format!("={value}")).unwrap_or_default();
    format!("{}{value}:{}", taint.key, taint.effect)
}

/// Whether a term of an affinity matches. A term without requirements matches nothing.
fn matches(term: &NodeSelectorTerm, name: &str, labels: &Labels) -> Result<bool, String> {
    let fields = Labels::from([("metadata.name".to_owned(), name.to_owned())]);
    let expressions = term.match_expressions.iter().flatten().map(|expression| (expression, labels));
    let fields = term.match_fields.iter().flatten().map(|expression| (expression, &fields));
    let mut any = false;
    for (requirement, found) in expressions.chain(fields) {
        any = true;
        if !holds(requirement, found)? {
            return Ok(false);
        }
    }
    Ok(any)
}

fn holds(requirement: &NodeSelectorRequirement, labels: &Labels) -> Result<bool, String> {
    let NodeSelectorRequirement { key, operator, values } = requirement;
    let found = labels.get(key);
    expression(key, operator, values.as_deref().unwrap_or_default(), found)
}

/// One requirement of labels, of a node affinity or of a label selector.
pub(super) fn expression(
    key: &str,
    operator: &str,
    values: &[String],
    found: Option<&String>,
) -> Result<bool, String> {
    let number = |text: &String| text.parse::<i64>().ok();
    let compare = |holds: fn(&i64, &i64) -> bool| {
        found.and_then(number).zip(values.first().and_then(number)).is_some_and(|(a, b)| holds(&a, &b))
    };
    match operator {
        "In" => Ok(found.is_some_and(|found| values.contains(found))),
        "NotIn" => Ok(found.is_none_or(|found| !values.contains(found))),
        "Exists" => Ok(found.is_some()),
        "DoesNotExist" => Ok(found.is_none()),
        "Gt" => Ok(compare(i64::gt)),
        "Lt" => Ok(compare(i64::lt)),
        _ => Err(format!("unknown operator in the node affinity: {key} {operator}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn labels(of: &[(&str, &str)]) -> Labels {
        of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn against(wants: &PodConstraints, of: &[(&str, &str)], taints: Value) -> Option<String> {
        wants.against("worker-1", &labels(of), &from_value::<Vec<Taint>>(taints).unwrap())
    }

    #[test]
    fn a_node_needs_every_label_of_the_selector() {
        let wants = PodConstraints { node_selector: labels(&[("disk", "ssd")]), ..PodConstraints::default() };
        assert_eq!(against(&wants, &[("disk", "ssd"), ("zone", "a")], json!([])), None);
        assert_eq!(against(&wants, &[], json!([])).unwrap(), "no label disk=ssd");
        let found = against(&wants, &[("disk", "hdd")], json!([])).unwrap();
        assert_eq!(found, "label disk=hdd, required disk=ssd");
    }

    #[test]
    fn a_pod_with_a_node_name_has_that_node_only_whether_others_may_be_scheduled_there_or_not() {
        let wants = |name: &str| PodConstraints { node_name: Some(name.into()), ..PodConstraints::default() };
        assert_eq!(against(&wants("worker-2"), &[], json!([])).unwrap(), "nodeName is worker-2");
        assert_eq!(against(&wants("worker-1"), &[], json!([{"key": "a", "effect": "NoSchedule"}])), None);
        assert!(against(&wants("worker-1"), &[], json!([{"key": "a", "effect": "NoExecute"}])).is_some());
    }

    #[test]
    fn one_term_of_an_affinity_has_to_hold_with_all_of_its_requirements() {
        let affinity = json!({"nodeSelectorTerms": [
            {"matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a", "b"]},
                {"key": "hollow", "operator": "NotIn", "values": ["true"]},
                {"key": "gpu", "operator": "DoesNotExist"}]},
            {"matchExpressions": [{"key": "forced", "operator": "Exists"}]},
            {"matchExpressions": [{"key": "cores", "operator": "Gt", "values": ["8"]}]},
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["worker-9"]}]},
            {}]});
        let wants =
            PodConstraints { affinity: Some(from_value(affinity).unwrap()), ..PodConstraints::default() };
        assert_eq!(against(&wants, &[("zone", "b")], json!([])), None);
        assert_eq!(against(&wants, &[("forced", "")], json!([])), None);
        assert_eq!(against(&wants, &[("cores", "16")], json!([])), None);
        assert_eq!(wants.against("worker-9", &Labels::new(), &[]), None);
        for labels in
            [&[][..], &[("zone", "a"), ("hollow", "true")], &[("zone", "a"), ("gpu", "1")], &[("cores", "8")]]
        {
            assert!(against(&wants, labels, json!([])).unwrap().contains("affinity"), "{labels:?}");
        }
    }

    #[test]
    fn an_operator_that_is_not_understood_is_said_to_be_unknown() {
        let affinity =
            json!({"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Like"}]}]});
        let wants =
            PodConstraints { affinity: Some(from_value(affinity).unwrap()), ..PodConstraints::default() };
        assert!(
            against(&wants, &[("zone", "b")], json!([]))
                .unwrap()
                .starts_with("unknown operator in the node affinity: zone Like")
        );
    }

    #[test]
    fn a_taint_has_to_be_tolerated_by_key_value_and_effect() {
        let taint = json!([{"key": "hollow", "value": "true", "effect": "NoSchedule"}]);
        let with = |toleration: Value| {
            let wants = PodConstraints {
                tolerations: vec![from_value(toleration).unwrap()],
                ..PodConstraints::default()
            };
            against(&wants, &[], taint.clone())
        };
        assert_eq!(
            against(&PodConstraints::default(), &[], taint.clone()).unwrap(),
            "taint hollow=true:NoSchedule"
        );
        assert_eq!(with(json!({"operator": "Exists"})), None);
        assert_eq!(with(json!({"key": "hollow", "value": "true"})), None, "Equal is what holds");
        assert_eq!(with(json!({"key": "hollow", "operator": "Exists", "effect": "NoSchedule"})), None);
        assert!(with(json!({"key": "hollow", "value": "false"})).is_some());
        assert!(with(json!({"key": "hollow", "operator": "Exists", "effect": "NoExecute"})).is_some());
        assert!(with(json!({"key": "hollow"})).is_some());
        let soft = json!([{"key": "a", "effect": "PreferNoSchedule"}]);
        assert_eq!(against(&PodConstraints::default(), &[], soft), None);
    }

    #[test]
    fn a_taint_of_the_nodes_condition_is_a_matter_of_the_moment() {
        let taints: Vec<Taint> =
            from_value(json!([{"key": MEMORY_PRESSURE, "effect": "NoSchedule"}])).unwrap();
        let besteffort = PodConstraints { best_effort: true, ..PodConstraints::default() };
        assert_eq!(besteffort.against("worker-1", &Labels::new(), &taints), None);
        assert!(besteffort.against_condition(&taints).unwrap().contains("memory-pressure"));
        assert_eq!(
            PodConstraints::default().against_condition(&taints),
            None,
            "who requests anything tolerates it"
        );
    }
}
