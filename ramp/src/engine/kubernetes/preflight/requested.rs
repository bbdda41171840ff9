//! Requested resources: what the pods of the cluster request, by node.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::quantity::{Amounts, amount, number};
use ramp_format::scenario::resources::{Amount, effective_requests};

/// What runs on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RequestedResources {
    /// Pods that have not ended.
    pub(super) pods: u64,
    /// Their requests; none if one of them is not valid.
    pub(super) requested: Option<Amount>,
    /// What else is taken.
    pub(super) others: OtherRequests,
}

/// What a pod requests beside memory and CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OtherRequests {
    /// By the name of the resource, such as `ephemeral-storage`, `hugepages-2Mi` or `example.com/gpu`.
    pub(super) resources: BTreeMap<String, u64>,
    /// Ports of the node, such as `TCP 8080`.
    pub(super) host_ports: BTreeSet<String>,
}

impl RequestedResources {
    /// Those of a node without pods.
    pub(super) fn nothing() -> Self {
        Self { requested: Some(Amount::default()), ..Self::default() }
    }
}

impl OtherRequests {
    /// Those of a pod. A quantity that is not valid is left out: the API server stores none.
    pub(super) fn of(spec: &PodSpec) -> Self {
        let init = || spec.init_containers.iter().flatten();
        let mut resources = BTreeMap::new();
        for container in spec.containers.iter().chain(init()) {
            for name in lists(container).flat_map(BTreeMap::keys) {
                if name == "memory" || name == "cpu" || resources.contains_key(name) {
                    continue;
                }
                let of = |container: &Container| {
                    let found = lists(container).find_map(|list| number(name, &list.get(name)?.0).ok());
                    Amount { memory: found.unwrap_or_default(), nano_cores: 0 }
                };
                let containers = spec.containers.iter().map(of);
                let init = init().map(|container| (of(container), is_sidecar(container)));
                resources.insert(name.clone(), effective_requests(containers, init).memory);
            }
        }
        let on_host = spec.host_network == Some(true);
        let running = spec.containers.iter().chain(init().filter(|container| is_sidecar(container)));
        let ports = running.flat_map(|container| container.ports.iter().flatten());
        let host_ports = ports.filter_map(|port| {
            let found = port.host_port.filter(|port| *port > 0);
            let found = found.or(on_host.then_some(port.container_port))?;
            Some(format!("{} {found}", port.protocol.as_deref().unwrap_or("TCP")))
        });
        Self { host_ports: host_ports.collect(), resources }
    }

    fn add(&mut self, other: Self) {
        for (name, amount) in other.resources {
            let sum = self.resources.entry(name).or_default();
            *sum = sum.saturating_add(amount);
        }
        self.host_ports.extend(other.host_ports);
    }
}

/// Requests and limits of a container: a missing request is the limit.
fn lists(container: &Container) -> impl Iterator<Item = &BTreeMap<String, Quantity>> {
    let resources = container.resources.as_ref();
    let requests = resources.and_then(|resources| resources.requests.as_ref());
    requests.into_iter().chain(resources.and_then(|resources| resources.limits.as_ref()))
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The node of a pod and its requests; none if it is on no node, or has ended.
pub(super) fn of(pod: &Pod) -> Option<(String, Option<Amount>, OtherRequests)> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    let spec = pod.spec.as_ref()?;
    let node = spec.node_name.clone().filter(|name| !name.is_empty())?;
    Some((node, requested(spec).ok(), OtherRequests::of(spec)))
}

/// The sum by node.
pub(super) fn sum(
    pods: impl IntoIterator<Item = (String, Option<Amount>, OtherRequests)>,
) -> BTreeMap<String, RequestedResources> {
    let mut nodes = BTreeMap::new();
    for (node, requested, others) in pods {
        let load = nodes.entry(node).or_insert_with(RequestedResources::nothing);
        load.pods += 1;
        load.others.add(others);
        load.requested = load.requested.zip(requested).map(|(sum, more)| sum.plus(more));
    }
    nodes
}

/// What the scheduler counts for a pod: what is requested for it as a whole, else the sum of its containers, plus the overhead.
fn requested(spec: &PodSpec) -> Result<Amount, String> {
    let containers: Vec<Amount> = spec.containers.iter().map(of_container).collect::<Result<_, _>>()?;
    let init = spec
        .init_containers
        .iter()
        .flatten()
        .map(|container| Ok((of_container(container)?, is_sidecar(container))));
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
        let found = of(&pod(spec, "Running")).unwrap();
        assert_eq!((found.0.as_str(), found.1), ("a", Some(sum_of(157, 1350))));
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
        assert_eq!(
            nodes["a"],
            RequestedResources { pods: 2, requested: None, ..RequestedResources::default() }
        );
    }

    #[test]
    fn what_is_requested_beside_memory_and_cpu_is_summed_by_its_name_with_the_ports_of_the_node() {
        let gpu = json!({"limits": {"example.com/gpu": "1", "memory": "5"}, "requests": {"ephemeral-storage": "1k"}});
        let port = json!([{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]);
        let spec = json!({"nodeName": "a", "containers": [{"name": "c", "resources": gpu, "ports": port}],
            "initContainers": [{"name": "i", "resources": {"requests": {"ephemeral-storage": "3k"}}}]});
        let nodes = sum([spec.clone(), spec].map(|spec| of(&pod(spec, "Running")).unwrap()));
        let others = &nodes["a"].others;
        let expected = [("ephemeral-storage".to_owned(), 6000), ("example.com/gpu".to_owned(), 2)];
        assert_eq!(others.resources, BTreeMap::from(expected));
        assert_eq!(others.host_ports, BTreeSet::from(["TCP 8080".to_owned()]));
        let on_host =
            json!({"hostNetwork": true, "containers": [{"name": "c", "ports": [{"containerPort": 81}]}]});
        assert_eq!(
            OtherRequests::of(&from_value(on_host).unwrap()).host_ports,
            BTreeSet::from(["TCP 81".to_owned()])
        );
    }
}
