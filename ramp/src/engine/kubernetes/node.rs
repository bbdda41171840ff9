//! Node status from a node object.

use super::object::NodeObject;
use super::scheduling::PodConstraints;
use crate::engine::NodeStatus;

/// Prefix of taints that repeat a condition, or `unschedulable`.
const TAINTS_OF_CONDITIONS: &str = "node.kubernetes.io/";

/// The status of a node, and whether pods with these constraints may be placed on it.
pub(super) fn status(node: &NodeObject, constraints: &PodConstraints) -> NodeStatus {
    let conditions = node.status.conditions.as_deref().unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.kind == "Ready");
    let mut words = Vec::new();
    if let Some(ready) = ready.filter(|ready| ready.status != "True") {
        words.push(ready.reason.clone().unwrap_or_else(|| "NotReady".into()));
    }
    // All conditions but Ready are problems if true.
    let troubles = conditions.iter().filter(|found| found.kind != "Ready" && found.status == "True");
    words.extend(troubles.map(|found| found.kind.clone()));
    if node.spec.unschedulable {
        words.push("unschedulable".into());
    }
    let taints = node.spec.taints.iter().flatten();
    let others = taints.filter(|taint| !taint.key.starts_with(TAINTS_OF_CONDITIONS));
    words.extend(others.map(|taint| format!("{}:{}", taint.key, taint.effect)));
    let name = node.metadata.name.clone().unwrap_or_default();
    let labels = node.metadata.labels.clone().unwrap_or_default();
    let excluded = constraints.against(&name, &labels, node.spec.taints.as_deref().unwrap_or_default());
    NodeStatus {
        name,
        ready: is_ready(node),
        eligible: excluded.is_none() && !node.spec.unschedulable,
        conditions: words.join(" "),
    }
}

/// Whether a node is ready, by its condition `Ready`.
pub(super) fn is_ready(node: &NodeObject) -> bool {
    let conditions = node.status.conditions.iter().flatten();
    conditions.into_iter().any(|condition| condition.kind == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> NodeObject {
        serde_json::from_str(text).unwrap()
    }

    fn seen(node: &NodeObject) -> NodeStatus {
        status(node, &PodConstraints::default())
    }

    #[test]
    fn a_node_that_the_load_may_not_use_is_not_eligible_whatever_its_condition() {
        let labels = [("kubernetes.io/os", "linux"), ("kubernetes.io/arch", "amd64")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let constraints = PodConstraints { node_selector: labels.into(), ..PodConstraints::default() };
        let on = |os: &str, arch: &str, spec: &str| {
            let text = format!(
                r#"{{"metadata": {{"name": "a", "labels": {{"kubernetes.io/os": "{os}", "kubernetes.io/arch": "{arch}"}}}},
                    "spec": {spec}}}"#
            );
            status(&node(&text), &constraints).eligible
        };
        assert!(on("linux", "amd64", "{}"));
        assert!(!on("windows", "amd64", "{}") && !on("linux", "arm64", "{}"));
        assert!(!on("linux", "amd64", r#"{"unschedulable": true}"#));
        assert!(!on("linux", "amd64", r#"{"taints": [{"key": "gpu", "effect": "NoSchedule"}]}"#));
        let not_ready = r#"{"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]}"#;
        assert!(on("linux", "amd64", not_ready), "it is still one of the run's nodes");
    }

    #[test]
    fn a_node_that_is_well_says_nothing_else() {
        let well = node(
            r#"{"metadata": {"name": "a"}, "spec": {}, "status": {"conditions": [
                {"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}]}}"#,
        );
        let expected =
            NodeStatus { name: "a".into(), ready: true, eligible: true, conditions: String::new() };
        assert_eq!(seen(&well), expected);
    }

    #[test]
    fn pressure_cordons_and_taints_are_words_and_none_is_said_twice() {
        let full = node(
            r#"{"metadata": {"name": "a"},
                "spec": {"unschedulable": true, "taints": [
                    {"key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"},
                    {"key": "hollow", "value": "true", "effect": "NoSchedule"}]},
                "status": {"conditions": [
                    {"type": "MemoryPressure", "status": "True"}, {"type": "Ready", "status": "True"}]}}"#,
        );
        let full = seen(&full);
        assert!(full.ready && !full.eligible, "cordoned");
        assert_eq!(full.conditions, "MemoryPressure unschedulable hollow:NoSchedule");
    }

    #[test]
    fn a_node_whose_kubelet_is_silent_is_not_ready_and_says_so() {
        let lost = node(
            r#"{"metadata": {"name": "a"}, "status": {"conditions": [
                {"type": "MemoryPressure", "status": "Unknown"},
                {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}"#,
        );
        let expected = NodeStatus {
            name: "a".into(),
            ready: false,
            eligible: true,
            conditions: "NodeStatusUnknown".into(),
        };
        assert_eq!(seen(&lost), expected);
        assert!(!seen(&node(r#"{"metadata": {"name": "new"}}"#)).ready, "one that has said nothing yet");
    }
}
