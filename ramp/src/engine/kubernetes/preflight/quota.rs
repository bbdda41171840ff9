//! Quotas: how many instances fit. Whether the first one does is decided by admission.

use k8s_openapi::api::core::v1::{ResourceQuota, ScopedResourceSelectorRequirement};
use workload::quantity::{Bytes, Cores};

use super::super::scheduling::expression;
use super::quantity::number;
use super::template::is_best_effort;
use ramp_format::preflight::{Finding, QuotaFacts, RuntimeClassFacts};
use ramp_format::scenario::resources::PodResources;

/// A quota of what the Deployment controller creates, which a dry run of the Deployment does not.
const REPLICA_SETS: &str = "count/replicasets.apps";

/// What one instance takes of a quota.
pub(super) struct PodRequests<'a> {
    pub(super) resources: &'a PodResources,
    pub(super) overhead: Option<&'a RuntimeClassFacts>,
    pub(super) priority_class: Option<&'a String>,
}

impl PodRequests<'_> {
    /// What it takes of a resource, overhead included: in bytes, billionths of a core, or a count.
    fn takes(&self, resource: &str) -> Option<u64> {
        let PodResources { memory_request, memory_limit, cpu_request, cpu_limit, .. } = self.resources;
        let overhead = self.overhead.map(|class| (class.overhead_memory_bytes, class.overhead_cpu_cores));
        let (overhead_bytes, overhead_cores) = overhead.unwrap_or_default();
        let memory = |bytes: &Bytes| bytes.0.saturating_add(overhead_bytes);
        // Overheads are a few cores: exact.
        let cpu = |cores: &Cores| cores.as_nano().saturating_add((overhead_cores * 1e9).round() as u64);
        match resource {
            "requests.memory" | "memory" => memory_request.as_ref().map(memory),
            "limits.memory" => memory_limit.as_ref().map(memory),
            "requests.cpu" | "cpu" => cpu_request.as_ref().map(cpu),
            "limits.cpu" => cpu_limit.as_ref().map(cpu),
            "pods" | "count/pods" | REPLICA_SETS => Some(1),
            _ => None,
        }
    }

    /// Whether the scopes of a quota include it.
    fn is_within(&self, quota: &ResourceQuota) -> bool {
        let spec = quota.spec.as_ref();
        let scopes = spec.and_then(|spec| spec.scopes.as_deref()).unwrap_or_default();
        let selector = spec.and_then(|spec| spec.scope_selector.as_ref());
        let mut expressions =
            selector.and_then(|selector| selector.match_expressions.as_ref()).into_iter().flatten();
        scopes.iter().all(|scope| self.is_of(scope))
            && expressions.all(|ScopedResourceSelectorRequirement { scope_name, operator, values }| {
                if scope_name != "PriorityClass" {
                    return self.is_of(scope_name) == (operator != "DoesNotExist");
                }
                let values = values.as_deref().unwrap_or_default();
                expression("priority", operator, values, self.priority_class).unwrap_or(true)
            })
    }

    fn is_of(&self, scope: &str) -> bool {
        let best_effort = is_best_effort(self.resources);
        match scope {
            "BestEffort" => best_effort,
            "NotBestEffort" => !best_effort,
            // Pods with a deadline, and pods with an affinity to those of other namespaces.
            "Terminating" | "CrossNamespacePodAffinity" => false,
            "PriorityClass" => self.priority_class.is_some(),
            _ => true,
        }
    }
}

/// The instances that quotas have room for, and what else is wrong with them.
pub(super) fn judge(quotas: &[ResourceQuota], instance: &PodRequests<'_>) -> (Vec<QuotaFacts>, Vec<Finding>) {
    let (mut facts, mut findings) = (Vec::new(), Vec::new());
    for quota in quotas.iter().filter(|quota| instance.is_within(quota)) {
        let name = quota.metadata.name.as_deref().unwrap_or_default();
        let status = quota.status.clone().unwrap_or_default();
        let hard = status.hard.or_else(|| quota.spec.as_ref().and_then(|spec| spec.hard.clone()));
        for (resource, hard) in hard.iter().flatten() {
            let used = status.used.as_ref().and_then(|used| used.get(resource)).map(|used| used.0.as_str());
            let what =
                format!("ResourceQuota {name:?}, {resource}: {} of {} used", used.unwrap_or("?"), hard.0);
            let Some(each) = instance.takes(resource) else { continue };
            let left = number(resource, &hard.0).and_then(|hard| {
                let used = used.map_or(Ok(0), |used| number(resource, used))?;
                Ok(hard.saturating_sub(used))
            });
            match left {
                Err(error) => findings.push(Finding::warning(format!("unknown: {what}: {error}"))),
                Ok(0) if resource == REPLICA_SETS => findings.push(Finding::refusal(format!(
                    "{what}: the Deployment controller cannot create its ReplicaSet; raise it, or use another namespace"
                ))),
                Ok(_) if resource == REPLICA_SETS => {}
                Ok(left) => facts.extend(left.checked_div(each).map(|instances| QuotaFacts { what, instances })),
            }
        }
    }
    (facts, findings)
}

/// The finding for a quota that bounds the number of instances.
pub(super) fn bound(QuotaFacts { what, instances }: &QuotaFacts) -> Finding {
    match instances {
        0 => Finding::refusal(format!("{what}: no instance fits; raise it, or use another namespace")),
        _ => Finding::warning(format!("{what}: at most {instances} instances fit, whatever the nodes have")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value, reason = "values are made where they are given")]

    use serde_json::{Value, from_value, json};

    use super::*;

    fn quota(spec: Value, hard: Value, used: Value) -> ResourceQuota {
        from_value(
            json!({"metadata": {"name": "team"}, "spec": spec, "status": {"hard": hard, "used": used}}),
        )
        .unwrap()
    }

    fn with_memory() -> PodResources {
        PodResources {
            memory_request: Some(Bytes(100)),
            memory_limit: Some(Bytes(300)),
            ..PodResources::default()
        }
    }

    #[test]
    fn a_quota_ends_the_ramp_where_it_leaves_no_more_and_counts_the_overhead() {
        let kata = RuntimeClassFacts { overhead_memory_bytes: 50, ..RuntimeClassFacts::default() };
        let resources = with_memory();
        let instance = PodRequests { resources: &resources, overhead: Some(&kata), priority_class: None };
        let quota = quota(
            json!({}),
            json!({"pods": "50", "requests.memory": "1k", "services": "0"}),
            json!({"pods": "12"}),
        );
        let (facts, findings) = judge(&[quota], &instance);
        assert_eq!(facts.iter().map(|fact| fact.instances).collect::<Vec<_>>(), [38, 6]);
        assert_eq!(findings, []);
        let first = bound(&facts[0]);
        assert!(
            !first.refuses && first.message.contains("\"team\", pods: 12 of 50 used: at most 38 instances"),
            "{first:?}"
        );
    }

    #[test]
    fn a_quota_that_leaves_nothing_is_refused_and_one_of_what_is_not_set_is_left_to_admission() {
        let resources = PodResources::default();
        let judged = |hard: Value, used: Value| {
            judge(
                &[quota(json!({}), hard, used)],
                &PodRequests { resources: &resources, overhead: None, priority_class: None },
            )
        };
        let (facts, _) = judged(json!({"pods": "5"}), json!({"pods": "5"}));
        assert!(bound(&facts[0]).refuses && bound(&facts[0]).message.contains("no instance fits"));
        let not_set = judged(json!({"limits.cpu": "5", "count/deployments.apps": "0"}), json!({}));
        assert_eq!(not_set, (Vec::new(), Vec::new()));
        let (_, findings) =
            judged(json!({"count/replicasets.apps": "1"}), json!({"count/replicasets.apps": "1"}));
        assert!(findings[0].refuses && findings[0].message.contains("cannot create its ReplicaSet"));
    }

    #[test]
    fn a_quota_of_other_pods_does_not_count() {
        let resources = with_memory();
        let load = "workload-load".to_owned();
        let instance = PodRequests { resources: &resources, overhead: None, priority_class: Some(&load) };
        let judged = |spec: Value| judge(&[quota(spec, json!({"pods": "5"}), json!({}))], &instance).0.len();
        let priority = |operator: &str, values: &[&str]| {
            json!({"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": operator, "values": values}]}})
        };
        assert_eq!(judged(json!({"scopes": ["BestEffort"]})), 0);
        assert_eq!(judged(json!({"scopes": ["NotBestEffort", "NotTerminating"]})), 1);
        assert_eq!(judged(priority("In", &["high"])), 0);
        assert_eq!(judged(priority("In", &["workload-load"])), 1);
        assert_eq!(judged(priority("Exists", &[])), 1);
    }
}
