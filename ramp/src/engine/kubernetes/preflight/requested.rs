//! Requested resources: what the pods of the cluster request, by node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};

use super::quantity::{Amounts, amount};
use ramp_format::scenario::resources::{Amount, effective_requests};

/// What runs on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestedResources {
    /// Pods that have not ended.
    pub(super) pods: u64,
    /// Their requests; none if one of them is not valid.
    pub(super) requested: Option<Amount>,
}

/// The node of a pod and its requests; none if it is on no node, or has ended.
pub(super) fn of(pod: &Pod) -> Option<(String, Option<Amount>)> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    Some((spec.node_name.clone().filter(|name| !name.is_empty())?, requested(spec).ok()))
}

/// The sum by node.
pub(super) fn sum(
    pods: impl IntoIterator<Item = (String, Option<Amount>)>,
) -> BTreeMap<String, RequestedResources> {
    let mut nodes = BTreeMap::new();
    for (node, requested) in pods {
        let load =
            nodes.entry(node).or_insert(RequestedResources { pods: 0, requested: Some(Amount::default()) });
        load.pods += 1;
        load.requested = load.requested.zip(requested).map(|(sum, more)| sum.plus(more));
    }
    nodes
}

/// What the scheduler counts for a pod: what is requested for it as a whole, else the sum of its containers, plus the overhead.
fn requested(spec: &PodSpec) -> Result<Amount, String> {
    let containers: Vec<Amount> = spec.containers.iter().map(of_container).collect::<Result<_, _>>()?;
    let init = spec.init_containers.iter().flatten().map(|container| {
        Ok((of_container(container)?, container.restart_policy.as_deref() == Some("Always")))
    });
    let init: Vec<(Amount, bool)> = init.collect::<Result<_, String>>()?;
    let mut total = effective_requests(containers, init);
    let whole: &Amounts = &spec.resources.as_ref().and_then(|resources| resources.requests.clone());
    let of_pod = amount(whole)?;
    let says = |name| whole.as_ref().is_some_and(|whole| whole.contains_key(name));
    if says("memory") {
        total.memory = of_pod.memory;
    }
    if says("cpu") {
        total.nano_cores = of_pod.nano_cores;
    }
    Ok(total.plus(amount(&spec.overhead)?))
}

fn of_container(container: &Container) -> Result<Amount, String> {
    container.resources.as_ref().map_or(Ok(Amount::default()), |resources| amount(&resources.requests))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value, reason = "values are made where they are given")]

    use serde_json::{Value, from_value, json};

    use super::*;

    fn pod(spec: Value, phase: &str) -> Pod {
        from_value(json!({"metadata": {}, "spec": spec, "status": {"phase": phase}})).unwrap()
    }

    fn container(memory: &str, cpu: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"memory": memory, "cpu": cpu}}})
    }

    fn sum_of(memory: u64, millicores: u64) -> Amount {
        Amount { memory, nano_cores: millicores * 1_000_000 }
    }

    #[test]
    fn a_pod_takes_its_containers_and_its_overhead() {
        let spec = json!({"nodeName": "a", "containers": [container("100", "1"), container("50", "100m")],
            "overhead": {"memory": "7", "cpu": "250m"}});
        assert_eq!(of(&pod(spec, "Running")), Some(("a".into(), Some(sum_of(157, 1350)))));
    }

    #[test]
    fn init_containers_count_where_they_take_more() {
        let mut sidecar = container("10", "10m");
        sidecar["restartPolicy"] = json!("Always");
        let spec = json!({"nodeName": "a", "containers": [container("100", "1")],
            "initContainers": [sidecar, container("300", "100m")]});
        assert_eq!(of(&pod(spec, "Pending")).unwrap().1, Some(sum_of(310, 1010)));
    }

    #[test]
    fn what_is_said_for_the_pod_goes_before_what_its_containers_say() {
        let spec = json!({"nodeName": "a", "containers": [container("100", "1")],
            "resources": {"requests": {"memory": "1k"}}});
        assert_eq!(of(&pod(spec, "Running")).unwrap().1, Some(sum_of(1000, 1000)));
    }

    #[test]
    fn what_has_ended_or_is_nowhere_takes_nothing() {
        let spec = json!({"nodeName": "a", "containers": [container("100", "1")]});
        assert_eq!(of(&pod(spec.clone(), "Succeeded")), None);
        assert_eq!(of(&pod(spec, "Failed")), None);
        assert_eq!(of(&pod(json!({"containers": []}), "Pending")), None);
    }

    #[test]
    fn a_request_that_is_not_understood_makes_the_sum_unknown_and_not_smaller() {
        let good = json!({"nodeName": "a", "containers": [container("100", "1")]});
        let bad = json!({"nodeName": "a", "containers": [container("100X", "1")]});
        let nodes = sum([good, bad].map(|spec| of(&pod(spec, "Running")).unwrap()));
        assert_eq!(nodes["a"], RequestedResources { pods: 2, requested: None });
    }
}
