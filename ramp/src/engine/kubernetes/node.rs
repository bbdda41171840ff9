//! Node status from a node object.

use super::object::NodeObject;
use crate::engine::NodeStatus;

/// Prefix of taints that repeat a condition, or `unschedulable`.
const TAINTS_OF_CONDITIONS: &str = "node.kubernetes.io/";

/// The status of a node.
pub(super) fn status(node: &NodeObject) -> NodeStatus {
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
    NodeStatus {
        name: node.metadata.name.clone().unwrap_or_default(),
        ready: ready.is_some_and(|ready| ready.status == "True"),
        conditions: words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> NodeObject {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_node_that_is_well_says_nothing_else() {
        let well = node(
            r#"{"metadata": {"name": "a"}, "spec": {}, "status": {"conditions": [
                {"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}]}}"#,
        );
        let expected = NodeStatus { name: "a".into(), ready: true, conditions: String::new() };
        assert_eq!(status(&well), expected);
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
        let seen = status(&full);
        assert!(seen.ready);
        assert_eq!(seen.conditions, "MemoryPressure unschedulable hollow:NoSchedule");
    }

    #[test]
    fn a_node_whose_kubelet_is_silent_is_not_ready_and_says_so() {
        let lost = node(
            r#"{"metadata": {"name": "a"}, "status": {"conditions": [
                {"type": "MemoryPressure", "status": "Unknown"},
                {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}"#,
        );
        let expected = NodeStatus { name: "a".into(), ready: false, conditions: "NodeStatusUnknown".into() };
        assert_eq!(status(&lost), expected);
        assert!(!status(&node(r#"{"metadata": {"name": "new"}}"#)).ready, "one that has said nothing yet");
    }
}
