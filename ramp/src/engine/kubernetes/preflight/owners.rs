//! Owners of the Deployment other than ramp: autoscalers and GitOps tools, which would change it while it is ramped.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::ClusterFacts;
use ramp_format::preflight::Finding;

/// Labels and annotations by which tools know what they own, and what stops them.
const TOOLS: [(&str, &str, &str); 6] = [
    ("argocd.argoproj.io/tracking-id", "Argo CD", "disable auto-sync of the application"),
    ("argocd.argoproj.io/instance", "Argo CD", "disable auto-sync of the application"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux (Kustomization)", "suspend it: flux suspend kustomization"),
    ("helm.toolkit.fluxcd.io/name", "Flux (HelmRelease)", "suspend it: flux suspend helmrelease"),
    ("meta.helm.sh/release-name", "Helm", "do not upgrade the release meanwhile"),
    ("fleet.cattle.io/bundle-id", "Fleet", "pause the bundle"),
];

/// Who else would change the Deployment.
pub(super) fn judge(facts: &ClusterFacts, manifest: &Value) -> Vec<Finding> {
    let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
    let existing =
        facts.deployments.iter().flatten().find(|found| found.metadata.name.as_deref() == Some(name));
    let mut marks: BTreeMap<String, String> = BTreeMap::new();
    for part in ["labels", "annotations"] {
        let pairs = manifest["metadata"][part].as_object().into_iter().flatten();
        marks.extend(pairs.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())));
    }
    if let Some(existing) = existing {
        marks.extend(existing.metadata.labels.clone().unwrap_or_default());
        marks.extend(existing.metadata.annotations.clone().unwrap_or_default());
    }
    let mut findings = autoscalers(facts, name);
    let mut told = "";
    for (key, tool, advice) in TOOLS {
        if let Some(value) = marks.get(key).filter(|_| told != tool) {
            told = tool;
            findings.push(Finding::warning(format!(
                "Deployment {name:?} belongs to {tool} ({key}: {value}), which may set its replicas and its template back during \
                 the run; {advice}, or rename the scenario"
            )));
        }
    }
    for owner in existing.iter().flat_map(|found| found.metadata.owner_references.iter().flatten()) {
        findings.push(Finding::warning(format!(
            "Deployment {name:?} is owned by {}/{}, which may change it during the run; stop its controller, or rename the \
             scenario",
            owner.kind, owner.name
        )));
    }
    findings
}

fn autoscalers(facts: &ClusterFacts, name: &str) -> Vec<Finding> {
    let scales = facts.autoscalers.iter().flatten().filter(|scaler| {
        let target = &scaler.spec.scale_target_ref;
        target.kind == "Deployment" && target.name == name
    });
    let told = scales.map(|scaler| {
        let own = scaler.metadata.name.as_deref().unwrap_or_default();
        let namespace = scaler.metadata.namespace.as_deref().unwrap_or("NAMESPACE");
        let (least, most) = (scaler.spec.min_replicas.unwrap_or(1), scaler.spec.max_replicas);
        let owner = scaler.metadata.owner_references.iter().flatten().next();
        let (of, remove) = match owner {
            Some(owner) => {
                let kind = owner.kind.to_lowercase();
                (format!(" of {kind}/{}", owner.name), format!("{kind} {}", owner.name))
            }
            None => (String::new(), format!("hpa {own}")),
        };
        Finding::refusal(format!(
            "HorizontalPodAutoscaler {own:?}{of} scales Deployment {name:?} to {least} to {most} replicas, against the ramp; remove \
             it with: kubectl --namespace {namespace} delete {remove}, or rename the scenario"
        ))
    });
    told.collect()
}
