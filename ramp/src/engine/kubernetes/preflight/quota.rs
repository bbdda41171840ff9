//! What would decide how many fit in place of the nodes: quotas, and the defaults and bounds of LimitRanges.

use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, ResourceQuota, ScopedResourceSelectorRequirement,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use workload::quantity::Cores;

use super::quantity::{self, Amounts};
use super::scheduling::expression;
use ramp_format::preflight::{Finding, QuotaFacts, RuntimeClassFacts};
use ramp_format::scenario::Container;

/// What one instance takes of a quota.
pub(super) struct PodRequests<'a> {
    container: &'a Container,
    overhead: Option<&'a RuntimeClassFacts>,
    priority_class: Option<&'a String>,
}

impl<'a> PodRequests<'a> {
    /// One pod with this container.
    pub(super) fn new(
        container: &'a Container,
        overhead: Option<&'a RuntimeClassFacts>,
        priority_class: Option<&'a String>,
    ) -> Self {
        Self { container, overhead, priority_class }
    }

    /// What it says of a resource, overhead included: in bytes, or in billionths of a core. A request that is not there is
    /// the limit, as the API server has it.
    fn says(&self, resource: &str) -> Option<u64> {
        let container = self.container;
        let memory = self.overhead.map_or(0, |class| class.overhead_memory_bytes);
        // Overheads are a few cores: exact.
        let cpu = self.overhead.map_or(0, |class| (class.overhead_cpu_cores * 1e9).round() as u64);
        match resource {
            "requests.memory" | "memory" => container
                .memory_request
                .or(container.memory_limit)
                .map(|bytes| bytes.0.saturating_add(memory)),
            "limits.memory" => container.memory_limit.map(|bytes| bytes.0.saturating_add(memory)),
            "requests.cpu" | "cpu" => {
                container.cpu_request.or(container.cpu_limit).map(|cores| cores.as_nano().saturating_add(cpu))
            }
            "limits.cpu" => container.cpu_limit.map(|cores| cores.as_nano().saturating_add(cpu)),
            _ => None,
        }
    }

    fn is_best_effort(&self) -> bool {
        ["requests.memory", "requests.cpu"].iter().all(|resource| self.says(resource).is_none())
    }

    /// Whether a quota of these scopes counts it.
    fn is_within(&self, quota: &ResourceQuota) -> bool {
        let spec = quota.spec.as_ref();
        let scopes = spec.and_then(|spec| spec.scopes.as_deref()).unwrap_or_default();
        let selector = spec.and_then(|spec| spec.scope_selector.as_ref());
        let expressions =
            selector.and_then(|selector| selector.match_expressions.as_deref()).unwrap_or_default();
        scopes.iter().all(|scope| self.is_of(scope))
            && expressions.iter().all(|asked| match asked.scope_name.as_str() {
                "PriorityClass" => self.has_priority(asked),
                scope => self.is_of(scope) == (asked.operator != "DoesNotExist"),
            })
    }

    fn is_of(&self, scope: &str) -> bool {
        match scope {
            "BestEffort" => self.is_best_effort(),
            "NotBestEffort" => !self.is_best_effort(),
            // Those with a deadline, and those that look for pods of other namespaces.
            "Terminating" | "CrossNamespacePodAffinity" => false,
            "PriorityClass" => self.priority_class.is_some(),
            _ => true,
        }
    }

    fn has_priority(&self, asked: &ScopedResourceSelectorRequirement) -> bool {
        let values = asked.values.as_deref().unwrap_or_default();
        expression("priority", &asked.operator, values, self.priority_class).unwrap_or(true)
    }
}

/// What quotas leave, and what is wrong with that.
pub(super) fn quotas(
    quotas: &[ResourceQuota],
    instance: &PodRequests<'_>,
) -> (Vec<QuotaFacts>, Vec<Finding>) {
    let (mut facts, mut findings) = (Vec::new(), Vec::new());
    for quota in quotas.iter().filter(|quota| instance.is_within(quota)) {
        let name = quota.metadata.name.as_deref().unwrap_or_default();
        let status = quota.status.clone().unwrap_or_default();
        let hard = status.hard.or_else(|| quota.spec.as_ref().and_then(|spec| spec.hard.clone()));
        for (resource, hard) in hard.iter().flatten() {
            let used = status.used.as_ref().and_then(|used| used.get(resource));
            let shown = used.map_or("?", |used| &used.0);
            let what = format!("ResourceQuota {name}, {resource}: {}, of which {shown} is used", hard.0);
            match fits(resource, hard, used, instance) {
                Ok(Some(instances)) => facts.push(QuotaFacts { what, instances }),
                Ok(None) => {}
                Err(why) => findings.push(Finding::refusal(format!("{what}: {why}"))),
            }
        }
    }
    for fact in &facts {
        let what = &fact.what;
        findings.push(match fact.instances {
            0 => Finding::refusal(format!(
                "{what}: no instance fits. Raise it, or use a namespace without a quota"
            )),
            fit => {
                Finding::warning(format!("{what}: the ramp ends at {fit} instances, whatever the nodes have"))
            }
        });
    }
    (facts, findings)
}

/// How many instances fit; none where the resource is none of theirs.
fn fits(
    resource: &str,
    hard: &Quantity,
    used: Option<&Quantity>,
    instance: &PodRequests<'_>,
) -> Result<Option<u64>, String> {
    let nano_cores = resource.ends_with("cpu");
    let number = |quantity: &Quantity| match nano_cores {
        true => quantity::cores(&quantity.0).map(Cores::as_nano),
        false => quantity::bytes(&quantity.0),
    };
    let left = || Ok::<_, String>(number(hard)?.saturating_sub(used.map_or(Ok(0), number)?));
    match resource {
        "pods" | "count/pods" => left().map(Some),
        "count/deployments.apps" | "count/replicasets.apps" => match left()? {
            0 => Err("no Deployment can be made".to_owned()),
            _ => Ok(None),
        },
        "cpu" | "memory" | "requests.cpu" | "requests.memory" | "limits.cpu" | "limits.memory" => {
            let Some(each) = instance.says(resource) else {
                return Err(format!(
                    "pods that do not say their {resource} are not made. Say it in the manifest, or use a namespace \
                     without a quota"
                ));
            };
            Ok(left()?.checked_div(each))
        }
        _ => Ok(None),
    }
}

/// What LimitRanges would change or forbid.
pub(super) fn limits(ranges: &[LimitRange], container: &Container) -> Vec<Finding> {
    let mut findings = Vec::new();
    for range in ranges {
        let name = range.metadata.name.as_deref().unwrap_or_default();
        let items = range.spec.as_ref().map(|spec| spec.limits.as_slice()).unwrap_or_default();
        // A pod has one container here, so that bounds of pods are bounds of containers.
        for item in items.iter().filter(|item| matches!(item.type_.as_str(), "Container" | "Pod")) {
            for resource in ["memory", "cpu"] {
                let found = changed(item, resource, container);
                findings.extend(found.map(|what| {
                    Finding::refusal(format!(
                        "LimitRange {name} {what}. Say what you want in the manifest, or use a namespace without one"
                    ))
                }));
            }
        }
    }
    findings
}

/// What one of its items does to the container, for one resource.
fn changed(item: &LimitRangeItem, resource: &str, container: &Container) -> Option<String> {
    let (request, limit) = match resource {
        "memory" => {
            (container.memory_request.map(|bytes| bytes.0), container.memory_limit.map(|bytes| bytes.0))
        }
        _ => (container.cpu_request.map(Cores::as_nano), container.cpu_limit.map(Cores::as_nano)),
    };
    let text = |amounts: &Amounts| amounts.as_ref()?.get(resource).map(|quantity| quantity.0.clone());
    let number = |text: &str| match resource {
        "memory" => quantity::bytes(text).ok(),
        _ => quantity::cores(text).ok().map(Cores::as_nano),
    };
    if let (Some(default), None) = (text(&item.default), limit) {
        return Some(format!(
            "gives each container a {resource} limit of {default}, where the manifest has none"
        ));
    }
    if let (Some(default), None) = (text(&item.default_request), request.or(limit)) {
        return Some(format!(
            "gives each container a {resource} request of {default}, where the manifest has none"
        ));
    }
    if let Some(max) = text(&item.max)
        && limit.is_none_or(|limit| number(&max).is_none_or(|max| limit > max))
    {
        return Some(format!("allows no pod whose {resource} limit is above {max}, or that has none"));
    }
    if let Some(min) = text(&item.min)
        && request.or(limit).is_none_or(|request| number(&min).is_none_or(|min| request < min))
    {
        return Some(format!("allows no pod whose {resource} request is below {min}, or that has none"));
    }
    let ratio = text(&item.max_limit_request_ratio)?;
    let most = ratio.parse::<f64>().ok();
    let within = limit.zip(request.or(limit)).zip(most).is_some_and(|((limit, request), most)| {
        // Both far below 2^53 where they matter.
        limit as f64 <= request as f64 * most
    });
    (!within).then(|| format!("allows no pod whose {resource} limit is above {ratio} times its request"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value, reason = "values are made where they are given")]

    use serde_json::{Value, from_value, json};
    use workload::quantity::Bytes;

    use super::*;

    fn quota(spec: Value, hard: Value, used: Value) -> ResourceQuota {
        from_value(
            json!({"metadata": {"name": "team"}, "spec": spec, "status": {"hard": hard, "used": used}}),
        )
        .unwrap()
    }

    fn range(item: Value) -> Vec<LimitRange> {
        vec![from_value(json!({"metadata": {"name": "usual"}, "spec": {"limits": [item]}})).unwrap()]
    }

    fn with_memory() -> Container {
        Container { memory_request: Some(Bytes(100)), memory_limit: Some(Bytes(300)), ..Container::default() }
    }

    #[test]
    fn a_quota_ends_the_ramp_where_it_leaves_no_more_and_counts_the_overhead() {
        let kata = RuntimeClassFacts { overhead_memory_bytes: 50, ..RuntimeClassFacts::default() };
        let container = with_memory();
        let instance = PodRequests::new(&container, Some(&kata), None);
        let quota = quota(
            json!({}),
            json!({"pods": "50", "requests.memory": "1k", "services": "0"}),
            json!({"pods": "12"}),
        );
        let (facts, findings) = quotas(&[quota], &instance);
        assert_eq!(facts.iter().map(|fact| fact.instances).collect::<Vec<_>>(), [38, 6]);
        assert!(findings.iter().all(|finding| !finding.refuses));
        assert!(
            findings[0].message.contains("team, pods: 50, of which 12 is used: the ramp ends at 38"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_quota_that_leaves_nothing_or_asks_for_what_is_not_said_is_refused() {
        let container = Container::default();
        let judged = |hard: Value, used: Value| {
            let (_, findings) =
                quotas(&[quota(json!({}), hard, used)], &PodRequests::new(&container, None, None));
            findings
        };
        assert!(judged(json!({"pods": "5"}), json!({"pods": "5"}))[0].message.contains("no instance fits"));
        let findings = judged(json!({"limits.cpu": "5"}), json!({}));
        assert!(findings[0].refuses && findings[0].message.contains("do not say their limits.cpu"));
        let findings = judged(json!({"count/deployments.apps": "1"}), json!({"count/deployments.apps": "1"}));
        assert!(findings[0].refuses && findings[0].message.contains("no Deployment can be made"));
    }

    #[test]
    fn a_quota_of_other_pods_does_not_count() {
        let container = with_memory();
        let load = "workload-load".to_owned();
        let instance = PodRequests::new(&container, None, Some(&load));
        let judged = |spec: Value| quotas(&[quota(spec, json!({"pods": "5"}), json!({}))], &instance).0.len();
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

    #[test]
    fn a_limit_range_that_changes_the_experiment_in_silence_is_refused() {
        let nothing_said = Container::default();
        let item =
            json!({"type": "Container", "default": {"memory": "512Mi"}, "defaultRequest": {"cpu": "100m"}});
        let findings = limits(&range(item), &nothing_said);
        assert!(
            findings[0].refuses
                && findings[0].message.contains("usual gives each container a memory limit of 512Mi")
        );
        assert!(findings[1].refuses && findings[1].message.contains("a cpu request of 100m"));
    }

    #[test]
    fn a_limit_range_that_changes_nothing_is_nothing_to_speak_of() {
        let fits = json!({"type": "Container", "default": {"memory": "512Mi"}, "max": {"memory": "300"},
            "min": {"memory": "100"}, "maxLimitRequestRatio": {"memory": "3"}});
        assert_eq!(limits(&range(fits), &with_memory()), []);
        assert_eq!(
            limits(&range(json!({"type": "PersistentVolumeClaim", "max": {"storage": "1"}})), &with_memory()),
            []
        );
    }

    #[test]
    fn a_limit_range_that_allows_no_such_pod_is_refused() {
        for (item, with) in [
            (json!({"type": "Pod", "max": {"memory": "299"}}), "above 299"),
            (json!({"type": "Container", "min": {"memory": "101"}}), "below 101"),
            (json!({"type": "Container", "maxLimitRequestRatio": {"memory": "2"}}), "above 2 times"),
            (json!({"type": "Container", "max": {"cpu": "1"}}), "or that has none"),
        ] {
            let findings = limits(&range(item), &with_memory());
            assert!(findings[0].message.contains(with), "{findings:?}");
        }
    }
}
