//! What the manifest asks of the cluster, beyond what every engine has to know.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::quantity::Amount;
use super::scheduling::{PodConstraints, expression};
use crate::engine::EngineSpec;
use ramp_format::preflight::{Finding, RuntimeClassFacts};

/// The word for no RuntimeClass at all.
const NO_CLASS: &str = "default";

/// What the manifest asks of the cluster.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// The Deployment's name.
    pub(super) name: String,
    /// The RuntimeClass, if any: the user's word goes before the manifest's.
    pub(super) runtime_class: Option<String>,
    /// The PriorityClass, if any.
    pub(super) priority_class: Option<String>,
    /// What it asks of nodes.
    pub(super) wants: PodConstraints,
    /// The image.
    pub(super) image: String,
    /// When the image is pulled, where that is said.
    pub(super) pull_policy: Option<String>,
    /// The Deployment's selector.
    pub(super) selector: LabelSelector,
    /// What of it is not understood.
    pub(super) findings: Vec<Finding>,
}

impl Template {
    /// From the manifest, and from what the user says in its place.
    pub(super) fn of(order: &EngineSpec) -> Self {
        let manifest = &order.scenario.manifest;
        let spec = &manifest["spec"]["template"]["spec"];
        let mut findings = Vec::new();
        let affinity: Affinity = part(&mut findings, "affinity", &spec["affinity"]);
        let spread = &spec["topologySpreadConstraints"];
        if affinity.pod_affinity.is_some() || affinity.pod_anti_affinity.is_some() || spread.is_array() {
            findings.push(Finding::warning(
                "the manifest has an affinity between pods or a topology spread, which the prediction does not count \
                 with: fewer may fit",
            ));
        }
        let container = &order.scenario.container;
        let runtime_class = order.options.runtime.clone().or_else(|| order.scenario.runtime_class.clone());
        let nothing_said = container.memory_request.is_none()
            && container.memory_limit.is_none()
            && container.cpu_request.is_none()
            && container.cpu_limit.is_none();
        let wants = PodConstraints {
            node_selector: part(&mut findings, "nodeSelector", &spec["nodeSelector"]),
            affinity: affinity
                .node_affinity
                .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution),
            tolerations: part::<Vec<Toleration>>(&mut findings, "tolerations", &spec["tolerations"]),
            best_effort: nothing_said,
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Self {
            name: order.scenario.name.clone(),
            runtime_class: runtime_class.filter(|name| name != NO_CLASS),
            priority_class: text(&spec["priorityClassName"]),
            wants,
            image: container.image.clone(),
            pull_policy: text(&spec["containers"][0]["imagePullPolicy"]),
            selector: part(&mut findings, "selector", &manifest["spec"]["selector"]),
            findings,
        }
    }

    /// Adds what a RuntimeClass asks of nodes, as its admission plugin does; tells what of it contradicts the manifest.
    pub(super) fn add(&mut self, class: &RuntimeClass) -> Option<Finding> {
        let scheduling = class.scheduling.clone()?;
        self.wants.tolerations.extend(scheduling.tolerations.into_iter().flatten());
        let mut contradiction = None;
        for (key, value) in scheduling.node_selector.into_iter().flatten() {
            let before = self.wants.node_selector.insert(key.clone(), value.clone());
            if let Some(before) = before.filter(|before| *before != value) {
                let name = class.metadata.name.as_deref().unwrap_or_default();
                contradiction = Some(Finding::refusal(format!(
                    "the manifest selects nodes with {key}={before}, RuntimeClass {name} those with {key}={value}: no \
                     pod will be made. Take it out of the manifest's nodeSelector"
                )));
            }
        }
        contradiction
    }

    /// Whether the Deployment would take a pod with these labels for its own.
    pub(super) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let wanted = self.selector.match_labels.iter().flatten();
        let expressions = self.selector.match_expressions.iter().flatten();
        let mut all =
            wanted.map(|(key, value)| labels.get(key) == Some(value)).chain(expressions.map(|asked| {
                let values = asked.values.as_deref().unwrap_or_default();
                expression(&asked.key, &asked.operator, values, labels.get(&asked.key)).unwrap_or(false)
            }));
        // A selector that asks for nothing is none: the API server refuses it.
        let first = all.next();
        first == Some(true) && all.all(|holds| holds)
    }
}

/// A part of the manifest; its default where there is none, and where it is not understood, which is then a finding.
fn part<T: DeserializeOwned + Default>(findings: &mut Vec<Finding>, name: &str, value: &Value) -> T {
    if value.is_null() {
        return T::default();
    }
    serde_json::from_value(value.clone()).unwrap_or_else(|error| {
        findings.push(Finding::refusal(format!("the manifest's {name} is not understood: {error}")));
        T::default()
    })
}

/// What of a RuntimeClass the run directory keeps.
///
/// # Errors
/// Where its overhead is not understood.
pub(super) fn runtime_class(class: &RuntimeClass) -> Result<RuntimeClassFacts, String> {
    let overhead = class.overhead.as_ref().and_then(|overhead| overhead.pod_fixed.clone());
    let overhead = Amount::of(&overhead)?;
    Ok(RuntimeClassFacts {
        name: class.metadata.name.clone().unwrap_or_default(),
        handler: class.handler.clone(),
        overhead_memory_bytes: overhead.memory,
        overhead_cpu_cores: overhead.cores(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{from_value, json};

    use super::*;
    use ramp_format::plan::EngineOptions;
    use ramp_format::scenario::Scenario;

    /// The embedded scenario with parts of its pods' spec replaced.
    pub(in super::super) fn order(changes: &Value) -> EngineSpec {
        let mut manifest = Scenario::embedded().unwrap().manifest;
        for (key, value) in changes.as_object().unwrap() {
            manifest["spec"]["template"]["spec"][key] = value.clone();
        }
        let scenario = Scenario::of(manifest).unwrap();
        EngineSpec { run: "this-run".into(), scenario, options: EngineOptions::default() }
    }

    fn kata() -> RuntimeClass {
        from_value(json!({"metadata": {"name": "kata"}, "handler": "kata-qemu",
            "overhead": {"podFixed": {"memory": "160Mi", "cpu": "250m"}},
            "scheduling": {"nodeSelector": {"kata": "true"}, "tolerations": [{"key": "kata", "operator": "Exists"}]}}))
        .unwrap()
    }

    #[test]
    fn the_users_runtime_goes_before_the_manifests_and_default_is_none() {
        let mut order = order(&json!({"runtimeClassName": "kata"}));
        assert_eq!(Template::of(&order).runtime_class.as_deref(), Some("kata"));
        order.options.runtime = Some("gvisor".into());
        assert_eq!(Template::of(&order).runtime_class.as_deref(), Some("gvisor"));
        order.options.runtime = Some("default".into());
        assert_eq!(Template::of(&order).runtime_class, None);
    }

    #[test]
    fn a_runtime_class_adds_what_it_asks_of_nodes() {
        let mut template = Template::of(&order(&json!({"nodeSelector": {"disk": "ssd"}})));
        assert_eq!(template.add(&kata()), None);
        assert_eq!(template.wants.node_selector.len(), 2);
        assert_eq!(template.wants.tolerations.len(), 1);
        let mut template = Template::of(&order(&json!({"nodeSelector": {"kata": "false"}})));
        assert!(template.add(&kata()).unwrap().refuses);
    }

    #[test]
    fn the_overhead_of_a_runtime_class_is_in_bytes_and_cores() {
        let facts = runtime_class(&kata()).unwrap();
        assert_eq!((facts.handler.as_str(), facts.overhead_memory_bytes), ("kata-qemu", 160 << 20));
        assert!((facts.overhead_cpu_cores - 0.25).abs() < 1e-9);
    }

    #[test]
    fn what_of_the_manifest_is_not_understood_is_refused_and_not_left_out() {
        let template = Template::of(&order(&json!({"tolerations": "all"})));
        assert!(template.findings[0].refuses && template.findings[0].message.contains("tolerations"));
        let template = Template::of(&order(&json!({"affinity": {"podAntiAffinity": {}}})));
        assert!(
            !template.findings[0].refuses && template.findings[0].message.contains("affinity between pods")
        );
    }

    #[test]
    fn a_selector_takes_pods_with_all_its_labels() {
        let template = Template::of(&order(&json!({})));
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
