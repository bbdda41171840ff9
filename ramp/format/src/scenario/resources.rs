//! Resources of a pod: requests and limits of its containers, and their sum as the scheduler forms it.

use serde_json::Value;
use workload::quantity::{Bytes, Cores, QuantityError};

use crate::text::scalar as text;

/// Requests and limits of a container. A limit of 0 is none, as in Kubernetes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ContainerResources {
    /// Memory request.
    pub memory_request: Option<Bytes>,
    /// Memory limit.
    pub memory_limit: Option<Bytes>,
    /// CPU request.
    pub cpu_request: Option<Cores>,
    /// CPU limit.
    pub cpu_limit: Option<Cores>,
}

/// CPU and memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes.
    pub memory: u64,
    /// Billionths of a core.
    pub nano_cores: u64,
}

/// What a pod requests and is limited to, all of its containers together; none where nothing is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PodResources {
    /// Memory that the scheduler reserves, without overhead of a RuntimeClass.
    pub memory_request: Option<Bytes>,
    /// CPU that it reserves.
    pub cpu_request: Option<Cores>,
    /// Sum of the memory limits.
    pub memory_limit: Option<Bytes>,
    /// Sum of the CPU limits.
    pub cpu_limit: Option<Cores>,
    /// The tightest memory limit that applies to the load's container: its own, or that of the pod.
    pub load_limit: Option<Bytes>,
}

impl Amount {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            nano_cores: self.nano_cores.saturating_add(other.nano_cores),
        }
    }

    /// The larger of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), nano_cores: self.nano_cores.max(other.nano_cores) }
    }

    /// The CPU in cores.
    #[must_use]
    pub fn cores(self) -> f64 {
        Cores::from_nano(self.nano_cores).as_f64()
    }
}

/// What the scheduler counts for a pod, as `PodRequests` of `k8s.io/component-helpers/resource`, without what is set for the pod
/// as a whole and without overhead: the sum of all containers and sidecars, or an init container and the sidecars started before
/// it, if that is more. Init containers come with whether they are sidecars (`restartPolicy: Always`).
pub fn effective_requests(
    containers: impl IntoIterator<Item = Amount>,
    init_containers: impl IntoIterator<Item = (Amount, bool)>,
) -> Amount {
    let sum = containers.into_iter().fold(Amount::default(), Amount::plus);
    let (mut sidecars, mut largest) = (Amount::default(), Amount::default());
    for (own, is_sidecar) in init_containers {
        if is_sidecar {
            sidecars = sidecars.plus(own);
            largest = largest.max(sidecars);
        } else {
            largest = largest.max(sidecars.plus(own));
        }
    }
    sum.plus(sidecars).max(largest)
}

impl ContainerResources {
    /// Those of a container, or of a pod as a whole.
    ///
    /// # Errors
    /// If a quantity is malformed.
    pub fn of(holder: &Value) -> Result<Self, String> {
        let resources = &holder["resources"];
        let memory = |kind: &str| quantity(resources, kind, "memory", Bytes::from_manifest);
        let cpu = |kind: &str| quantity(resources, kind, "cpu", Cores::from_manifest);
        Ok(Self {
            memory_request: memory("requests")?,
            memory_limit: memory("limits")?.filter(|limit| limit.0 > 0),
            cpu_request: cpu("requests")?,
            cpu_limit: cpu("limits")?.filter(|limit| !limit.is_zero()),
        })
    }

    /// Requests of memory and CPU. A missing one is the limit, as the API server sets it.
    #[must_use]
    pub fn requests(&self) -> (Option<Bytes>, Option<Cores>) {
        (self.memory_request.or(self.memory_limit), self.cpu_request.or(self.cpu_limit))
    }

    fn requested(&self) -> Amount {
        let (memory, cpu) = self.requests();
        Amount { memory: memory.unwrap_or_default().0, nano_cores: cpu.unwrap_or_default().as_nano() }
    }

    fn limited(&self) -> Amount {
        Amount {
            memory: self.memory_limit.unwrap_or_default().0,
            nano_cores: self.cpu_limit.unwrap_or_default().as_nano(),
        }
    }
}

impl PodResources {
    /// Those of the spec of a pod, of which the container of this name is the load.
    ///
    /// # Errors
    /// If a quantity is malformed.
    pub fn of(pod: &Value, load: &str) -> Result<Self, String> {
        let read = |list: &str| -> Result<Vec<(ContainerResources, bool, bool)>, String> {
            let containers = pod[list].as_array().into_iter().flatten();
            containers
                .map(|container| {
                    let is_sidecar = container["restartPolicy"] == "Always";
                    let is_load = container["name"].as_str().unwrap_or_default() == load;
                    Ok((ContainerResources::of(container)?, is_sidecar, is_load))
                })
                .collect()
        };
        let (containers, init) = (read("containers")?, read("initContainers")?);
        let whole = ContainerResources::of(pod)?;
        let sum = |of: fn(&ContainerResources) -> Amount| {
            effective_requests(
                containers.iter().map(|(found, ..)| of(found)),
                init.iter().map(|(found, is_sidecar, _)| (of(found), *is_sidecar)),
            )
        };
        let (requests, limits) = (sum(ContainerResources::requested), sum(ContainerResources::limited));
        let all = || containers.iter().chain(&init).map(|(found, ..)| found);
        let memory = all().any(|found| found.requests().0.is_some()).then_some(Bytes(requests.memory));
        let cpu = all().any(|found| found.requests().1.is_some());
        let cpu = cpu.then(|| Cores::from_nano(requests.nano_cores));
        let load = containers.iter().find(|(.., is_load)| *is_load).or(containers.first());
        let own = load.and_then(|(found, ..)| found.memory_limit);
        Ok(Self {
            // What is set for the pod wins; its limit stands in where no container requests anything.
            memory_request: whole.memory_request.or(memory).or(whole.memory_limit),
            cpu_request: whole.cpu_request.or(cpu).or(whole.cpu_limit),
            memory_limit: whole.memory_limit.or((limits.memory > 0).then_some(Bytes(limits.memory))),
            cpu_limit: whole
                .cpu_limit
                .or((limits.nano_cores > 0).then(|| Cores::from_nano(limits.nano_cores))),
            load_limit: own.into_iter().chain(whole.memory_limit).min(),
        })
    }
}

fn quantity<T>(
    resources: &Value,
    kind: &str,
    resource: &str,
    parse: impl FnOnce(&str) -> Result<T, QuantityError>,
) -> Result<Option<T>, String> {
    let found = text(&resources[kind][resource]);
    found
        .map(|found| parse(&found).map_err(|error| format!("resources.{kind}.{resource}: {error}")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requests(memory: &str, cpu: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"memory": memory, "cpu": cpu}}})
    }

    fn of(pod: &Value) -> (u64, f64) {
        let found = PodResources::of(pod, "load").unwrap();
        (found.memory_request.unwrap_or_default().0, found.cpu_request.unwrap_or_default().as_f64())
    }

    #[test]
    fn init_containers_count_where_they_take_more_and_sidecars_always() {
        let init = json!({"initContainers": [requests("1Gi", "500m")], "containers": [requests("0", "0")]});
        assert_eq!(of(&init), (1 << 30, 0.5));
        let mut sidecar = requests("10", "10m");
        sidecar["restartPolicy"] = json!("Always");
        let late = json!({"initContainers": [requests("300", "100m"), sidecar], "containers": [requests("100", "1")]});
        assert_eq!(of(&late), (300, 1.01), "the sidecar starts after the init container");
        let early = json!({"initContainers": [late["initContainers"][1], late["initContainers"][0]],
            "containers": late["containers"]});
        assert_eq!(of(&early), (310, 1.01));
    }

    #[test]
    fn limits_stand_in_for_requests_and_zero_is_no_limit() {
        let found = |resources: Value| {
            let pod = json!({"containers": [{"name": "load", "resources": resources}]});
            PodResources::of(&pod, "load").unwrap()
        };
        let limited = found(json!({"limits": {"memory": "300Mi", "cpu": 1}}));
        assert_eq!(
            (limited.memory_request, limited.load_limit),
            (Some(Bytes(300 << 20)), Some(Bytes(300 << 20)))
        );
        let zero = found(json!({"limits": {"memory": 0, "cpu": "0"}}));
        assert_eq!(zero, PodResources::default());
        let none = found(json!({"limits": {"memory": "5M"}, "requests": {"memory": "0"}}));
        assert_eq!(none.memory_request, Some(Bytes(0)), "a request of 0 is one");
        assert_eq!(found(Value::Null), PodResources::default());
    }

    #[test]
    fn resources_of_the_pod_win_over_those_of_its_containers() {
        let pod = json!({"resources": {"limits": {"memory": "200Mi"}}, "containers": [{"name": "load"}]});
        let whole = PodResources::of(&pod, "load").unwrap();
        assert_eq!(whole.memory_request, Some(Bytes(200 << 20)), "no container requests anything");
        assert_eq!(whole.load_limit, Some(Bytes(200 << 20)));
        let pod = json!({"resources": {"limits": {"memory": "200Mi"}, "requests": {"cpu": "2"}},
            "containers": [{"name": "load", "resources": {"requests": {"memory": "50Mi", "cpu": "1"}}}]});
        let both = PodResources::of(&pod, "load").unwrap();
        assert_eq!(
            (both.memory_request, both.cpu_request),
            (Some(Bytes(50 << 20)), Some(Cores::from_whole(2)))
        );
    }

    #[test]
    fn a_malformed_quantity_is_refused_by_its_field() {
        let pod = json!({"containers": [{"resources": {"limits": {"memory": "1GB"}}}]});
        let refusal = PodResources::of(&pod, "").unwrap_err();
        assert!(
            refusal.starts_with("resources.limits.memory: unknown unit") && refusal.contains("1G"),
            "{refusal}"
        );
    }
}
