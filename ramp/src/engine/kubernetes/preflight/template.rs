//! Template: what the manifest requires of the cluster, beyond what every engine needs.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Affinity;
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::scheduling::{PodConstraints, expression};
use super::quantity::amount;
use crate::engine::EngineSpec;
use ramp_format::preflight::{Finding, RuntimeClassFacts};
use ramp_format::scenario::resources::PodResources;

/// What the manifest requires of the cluster.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// The Deployment's name.
    pub(super) name: String,
    pub(super) runtime_class: Option<String>,
    pub(super) priority_class: Option<String>,
    /// What it requires of nodes.
    pub(super) wants: PodConstraints,
    pub(super) image: String,
    pub(super) pull_policy: Option<String>,
    /// The Deployment's selector.
    pub(super) selector: LabelSelector,
    /// What of it is invalid, or not taken into account.
    pub(super) findings: Vec<Finding>,
}

impl Template {
    /// From the manifest of the run.
    pub(super) fn of(order: &EngineSpec, manifest: &Value) -> Self {
        let spec = &manifest["spec"]["template"]["spec"];
        let container = &order.scenario.container;
        let best_effort = is_best_effort(&order.scenario.resources);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut template = Self {
            name: order.scenario.name.clone(),
            runtime_class: text(&spec["runtimeClassName"]),
            priority_class: text(&spec["priorityClassName"]),
            wants: PodConstraints { best_effort, ..PodConstraints::default() },
            image: container.image.clone(),
            pull_policy: text(&order.scenario.container_spec()["imagePullPolicy"]),
            ..Self::default()
        };
        template.selector = template.part("selector", &manifest["spec"]["selector"]);
        template.constrain(spec);
        template
    }

    /// Takes over what the spec of a pod requires of nodes.
    pub(super) fn constrain(&mut self, spec: &Value) {
        let affinity: Affinity = self.part("affinity", &spec["affinity"]);
        let spread = &spec["topologySpreadConstraints"];
        if affinity.pod_affinity.is_some() || affinity.pod_anti_affinity.is_some() || spread.is_array() {
            self.findings.push(Finding::warning(
                "the forecast ignores topology spread constraints and inter-pod affinity, except anti-affinity among the instances: \
                 fewer instances may fit",
            ));
        }
        self.wants.node_name = spec["nodeName"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
        self.wants.node_selector = self.part("nodeSelector", &spec["nodeSelector"]);
        self.wants.tolerations = self.part("tolerations", &spec["tolerations"]);
        let node_affinity = affinity.node_affinity;
        self.wants.affinity =
            node_affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution);
    }

    /// Adds what a RuntimeClass requires of nodes, as its admission plugin does.
    pub(super) fn add(&mut self, class: &RuntimeClass) {
        let scheduling = class.scheduling.clone().unwrap_or_default();
        self.wants.tolerations.extend(scheduling.tolerations.into_iter().flatten());
        self.wants.node_selector.extend(scheduling.node_selector.into_iter().flatten());
    }

    /// A part of the manifest; its default if it is missing or, which is a finding, invalid.
    fn part<T: DeserializeOwned + Default>(&mut self, name: &str, value: &Value) -> T {
        if value.is_null() {
            return T::default();
        }
        serde_json::from_value(value.clone()).unwrap_or_else(|error| {
            self.findings
                .push(Finding::refusal(format!("invalid {name} in the manifest: {error}; correct it")));
            T::default()
        })
    }

    /// Whether the Deployment selects a pod with these labels.
    pub(super) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        selects(&self.selector, labels)
    }
}

/// Whether a selector selects a pod with these labels; an empty one selects none.
pub(super) fn selects(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let wanted = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.iter().flatten();
    let mut all = wanted.map(|(key, value)| labels.get(key) == Some(value)).chain(expressions.map(|asked| {
        let values = asked.values.as_deref().unwrap_or_default();
        expression(&asked.key, &asked.operator, values, labels.get(&asked.key)).unwrap_or(false)
    }));
    // The API server refuses an empty selector.
    let first = all.next();
    first == Some(true) && all.all(|holds| holds)
}

/// Whether a pod has neither requests nor limits; those of 0 do not count.
pub(super) fn is_best_effort(resources: &PodResources) -> bool {
    let PodResources { memory_request, cpu_request, memory_limit, cpu_limit, .. } = resources;
    let has_memory = memory_request.iter().chain(memory_limit).any(|bytes| bytes.0 > 0);
    !has_memory && !cpu_request.iter().chain(cpu_limit).any(|cores| !cores.is_zero())
}

/// The facts of a RuntimeClass that are recorded.
///
/// # Errors
/// If its overhead is not a valid quantity.
pub(super) fn runtime_class(class: &RuntimeClass) -> Result<RuntimeClassFacts, String> {
    let overhead = class.overhead.as_ref().and_then(|overhead| overhead.pod_fixed.clone());
    let overhead = amount(&overhead)?;
    Ok(RuntimeClassFacts {
        name: class.metadata.name.clone().unwrap_or_default(),
        handler: class.handler.clone(),
        overhead_memory_bytes: overhead.memory,
        overhead_cpu_cores: overhead.cores(),
        scheduling: serde_json::to_value(class.scheduling.clone().unwrap_or_default()).ok(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::super::tests::template;
    use super::*;

    fn kata() -> RuntimeClass {
        from_value(json!({"metadata": {"name": "kata"}, "handler": "kata-qemu",
            "overhead": {"podFixed": {"memory": "160Mi", "cpu": "250m"}},
            "scheduling": {"nodeSelector": {"kata": "true"}, "tolerations": [{"key": "kata", "operator": "Exists"}]}}))
        .unwrap()
    }

    #[test]
    fn a_runtime_class_adds_what_it_asks_of_nodes() {
        let mut template = template(&json!({"nodeSelector": {"disk": "ssd"}}));
        template.add(&kata());
        assert_eq!(template.wants.node_selector.len(), 2);
        assert_eq!(template.wants.tolerations.len(), 1);
    }

    #[test]
    fn the_overhead_of_a_runtime_class_is_in_bytes_and_cores() {
        let facts = runtime_class(&kata()).unwrap();
        assert_eq!((facts.handler.as_str(), facts.overhead_memory_bytes), ("kata-qemu", 160 << 20));
        assert!((facts.overhead_cpu_cores - 0.25).abs() < 1e-9);
        assert_eq!(facts.scheduling.unwrap()["nodeSelector"]["kata"], "true");
        let plain: RuntimeClass =
            from_value(json!({"metadata": {"name": "runc"}, "handler": "runc"})).unwrap();
        assert_eq!(runtime_class(&plain).unwrap().scheduling, Some(json!({})), "none, and not unknown");
    }

    #[test]
    fn what_is_invalid_in_the_manifest_is_refused_and_not_ignored() {
        let invalid = template(&json!({"tolerations": "all"}));
        assert!(invalid.findings[0].refuses && invalid.findings[0].message.contains("tolerations"));
        let template = template(&json!({"affinity": {"podAntiAffinity": {}}}));
        assert!(!template.findings[0].refuses && template.findings[0].message.contains("inter-pod affinity"));
    }

    #[test]
    fn a_selector_takes_pods_with_all_its_labels() {
        let template = template(&json!({}));
        let labels = |of: &[&str]| -> BTreeMap<String, String> {
            of.iter().map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.into(), v.into())).collect()
        };
        let name = "app.kubernetes.io/name=workload";
        assert!(template.selects(&labels(&[name, "app.kubernetes.io/instance=memory-capacity", "x=y"])));
        assert!(!template.selects(&labels(&[name, "app.kubernetes.io/instance=node-probe"])));
        assert!(!template.selects(&labels(&[])));
        assert!(!Template::default().selects(&labels(&[name])), "no selector selects nothing");
    }
}
