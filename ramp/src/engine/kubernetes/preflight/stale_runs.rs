//! Stale runs: what earlier runs and others have left in the namespace.

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;

use super::template::Template;
use super::wording::some_of;
use crate::engine::RUN_LABEL;
use crate::engine::kubernetes::manifest::PROCESS;
use crate::engine::kubernetes::results::RESULTS_COMPONENT;
use crate::process_id::{Liveness, ProcessId};
use ramp_format::preflight::Finding;

/// A pod of the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PodThere {
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) terminating: bool,
    pub(super) node: Option<String>,
    pub(super) ready: bool,
    /// The DaemonSet that owns it.
    pub(super) daemon_set: Option<String>,
}

impl PodThere {
    /// From the whole object.
    pub(super) fn of(pod: Pod) -> Self {
        let conditions = pod.status.and_then(|status| status.conditions).unwrap_or_default();
        let owners = pod.metadata.owner_references.unwrap_or_default();
        Self {
            name: pod.metadata.name.unwrap_or_default(),
            labels: pod.metadata.labels.unwrap_or_default(),
            terminating: pod.metadata.deletion_timestamp.is_some(),
            node: pod.spec.and_then(|spec| spec.node_name),
            ready: conditions.iter().any(|found| found.type_ == "Ready" && found.status == "True"),
            daemon_set: owners.into_iter().find(|owner| owner.kind == "DaemonSet").map(|owner| owner.name),
        }
    }

    /// Whether it runs a study, or serves its results (deploy/job).
    fn is_of_study_job(&self) -> bool {
        let component = self.labels.get("app.kubernetes.io/component").map(String::as_str);
        matches!(component, Some("study" | RESULTS_COMPONENT))
    }
}

/// What has to be removed before the run. Objects of the run itself were created by an earlier process of it.
pub(super) fn judge(
    deployments: &[Deployment],
    pods: &[PodThere],
    template: &Template,
    run: &str,
    namespace: &str,
) -> Vec<Finding> {
    let mut findings = earlier_runs(deployments, pods, run, namespace);
    let foreign = |wanted: &dyn Fn(&PodThere) -> bool| -> Vec<&str> {
        let found = pods.iter().filter(|pod| !pod.labels.contains_key(RUN_LABEL) && wanted(pod));
        found.map(|pod| pod.name.as_str()).collect()
    };
    // The last attempt at a Job of a study holds nothing once its process has ended, which the next one waits for.
    let terminating = foreign(&|pod| pod.terminating && !pod.is_of_study_job());
    if !terminating.is_empty() {
        findings.push(Finding::refusal(format!(
            "pods in namespace {namespace:?} are Terminating and still hold their resources: {}; wait until they are gone: \
             kubectl --namespace {namespace} get pods --watch",
            some_of(&terminating)
        )));
    }
    let same =
        deployments.iter().find(|deployment| deployment.metadata.name.as_deref() == Some(&template.name));
    if let Some(same) = same {
        if !same.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(RUN_LABEL)) {
            findings.push(taken(same, namespace));
        }
        // Its pods match the selector by intention.
        return findings;
    }
    let selected = foreign(&|pod| !pod.terminating && template.selects(&pod.labels));
    if !selected.is_empty() {
        findings.push(Finding::refusal(format!(
            "pods in namespace {namespace:?} match the selector of the Deployment and would be counted with it: {}; remove \
             what created them: kubectl --namespace {namespace} get pods,replicasets,deployments --show-labels",
            some_of(&selected)
        )));
    }
    findings
}

/// Each earlier run that has left something.
fn earlier_runs(deployments: &[Deployment], pods: &[PodThere], run: &str, namespace: &str) -> Vec<Finding> {
    let mut runs: BTreeMap<&str, (Vec<&str>, usize, usize)> = BTreeMap::new();
    for deployment in deployments {
        let labels = deployment.metadata.labels.as_ref();
        if let Some(run) = labels.and_then(|labels| labels.get(RUN_LABEL)) {
            let name = deployment.metadata.name.as_deref().unwrap_or_default();
            runs.entry(run).or_default().0.push(name);
        }
    }
    for pod in pods {
        if let Some(run) = pod.labels.get(RUN_LABEL) {
            let (_, all, terminating) = runs.entry(run).or_default();
            *all += 1;
            *terminating += usize::from(pod.terminating);
        }
    }
    runs.remove(run);
    let process = |run: &str| -> Option<ProcessId> {
        let of_run = |found: &&Deployment| {
            found
                .metadata
                .labels
                .as_ref()
                .and_then(|labels| labels.get(RUN_LABEL))
                .is_some_and(|of| of == run)
        };
        let found = deployments.iter().find(of_run)?;
        found.metadata.annotations.as_ref()?.get(PROCESS)?.parse().ok()
    };
    let told = runs.into_iter().map(|(run, (names, pods, terminating))| {
        let deployments = names.iter().map(|name| format!("deployment/{name}"));
        let pods = (pods > 0).then(|| format!("pods: {pods} ({terminating} Terminating)"));
        let what = deployments.chain(pods).collect::<Vec<_>>().join(", ");
        let process = process(run);
        let liveness = process.as_ref().map(|process| process.liveness(Path::new("/proc")));
        if let (Some(process), Some(Liveness::Running)) = (&process, liveness) {
            return Finding::refusal(format!(
                "run {run} is under way in namespace {namespace:?} (process {} on this machine): {what}; wait until it has ended, or \
                 use another namespace",
                process.pid
            ));
        }
        if let (Some(process), Some(Liveness::Unknown)) = (&process, liveness) {
            return Finding::refusal(format!(
                "run {run} has left in namespace {namespace:?}: {what}; if process {} on {} has ended, remove it with: ramp clean \
                 {run} --namespace {namespace}",
                process.pid, process.host
            ));
        }
        Finding::refusal(format!(
            "run {run} has left in namespace {namespace:?}: {what}; remove it with: ramp clean {run} --namespace {namespace}"
        ))
    });
    told.collect()
}

/// A Deployment of the scenario's name that no run has created.
fn taken(deployment: &Deployment, namespace: &str) -> Finding {
    let name = deployment.metadata.name.as_deref().unwrap_or_default();
    let managers = deployment.metadata.managed_fields.iter().flatten();
    // The controller only writes the status.
    let mut managers = managers
        .filter_map(|field| field.manager.as_deref())
        .filter(|name| *name != "kube-controller-manager");
    let by = managers.next().unwrap_or("another user");
    let replicas = deployment.spec.replicas.unwrap_or(1);
    Finding::refusal(format!(
        "Deployment {name:?} already exists in namespace {namespace:?} (created by {by}, {replicas} replicas); remove it with: kubectl \
         --namespace {namespace} delete deployment {name}, or let --force replace it"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value, reason = "values are made where they are given")]

    use serde_json::{Value, from_value, json};

    use super::super::tests::template;
    use super::*;

    fn pod(name: &str, labels: &[(&str, &str)], terminating: bool) -> PodThere {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        PodThere { name: name.into(), labels, terminating, ..PodThere::default() }
    }

    fn deployment(metadata: Value) -> Deployment {
        from_value(json!({"metadata": metadata, "spec": {"replicas": 3, "selector": {}, "template": {}}}))
            .unwrap()
    }

    fn judged(deployments: &[Deployment], pods: &[PodThere]) -> Vec<Finding> {
        let findings = judge(deployments, pods, &template(&json!({})), "this-run", "workload");
        assert!(findings.iter().all(|finding| finding.refuses));
        findings
    }

    const MATCHING: [(&str, &str); 2] =
        [("app.kubernetes.io/name", "workload"), ("app.kubernetes.io/instance", "memory-capacity")];

    #[test]
    fn a_namespace_with_the_probe_alone_is_clean() {
        assert_eq!(judged(&[], &[pod("node-probe-1", &[("app.kubernetes.io/name", "workload")], false)]), []);
    }

    #[test]
    fn what_is_left_of_earlier_runs_is_told_by_run() {
        let left = deployment(json!({"name": "cpu-10", "labels": {RUN_LABEL: "run-1"}}));
        let pods = [pod("a", &[(RUN_LABEL, "run-1")], false), pod("b", &[(RUN_LABEL, "run-1")], true)];
        let findings = judged(&[left], &pods);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let message = &findings[0].message;
        assert!(message.contains("deployment/cpu-10, pods: 2 (1 Terminating)"), "{message}");
        assert!(message.contains("ramp clean run-1"), "{message}");
    }

    #[test]
    fn a_run_whose_process_is_under_way_is_not_to_be_cleaned() {
        let of = |process: &str| {
            let annotations = json!({PROCESS: process});
            let left =
                deployment(json!({"name": "a", "labels": {RUN_LABEL: "r1"}, "annotations": annotations}));
            judged(&[left], &[])[0].message.clone()
        };
        let own = of(&ProcessId::own().unwrap().to_string());
        assert!(own.contains("run r1 is under way") && !own.contains("ramp clean"), "{own}");
        let elsewhere = of("pid=7 start=1 host=nowhere boot=b namespace=n");
        assert!(
            elsewhere.contains("if process 7 on nowhere has ended, remove it with: ramp clean r1"),
            "{elsewhere}"
        );
    }

    #[test]
    fn what_is_of_this_run_is_no_leftover() {
        let own = deployment(json!({"name": "memory-capacity", "labels": {RUN_LABEL: "this-run"}}));
        let labels = [MATCHING[0], MATCHING[1], (RUN_LABEL, "this-run")];
        assert_eq!(judged(&[own], &[pod("a", &labels, false), pod("b", &labels, true)]), []);
    }

    #[test]
    fn the_last_attempt_at_a_study_in_the_cluster_is_not_waited_for() {
        let attempt = [("app.kubernetes.io/name", "workload"), ("app.kubernetes.io/component", "study")];
        assert_eq!(judged(&[], &[pod("study-1", &attempt, true), pod("study-2", &attempt, false)]), []);
    }

    #[test]
    fn pods_that_are_terminating_are_named() {
        let findings = judged(&[], &[pod("a", &[], true), pod("b", &MATCHING, true)]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].message.starts_with("pods in namespace \"workload\" are Terminating"),
            "{findings:?}"
        );
        assert!(findings[0].message.contains("a, b"));
    }

    #[test]
    fn a_deployment_of_the_same_name_is_told_with_who_manages_it_and_its_pods_are_not_told_again() {
        let managers =
            json!([{"manager": "kubectl-client-side-apply"}, {"manager": "kube-controller-manager"}]);
        let taken = deployment(json!({"name": "memory-capacity", "managedFields": managers}));
        let findings = judged(&[taken], &[pod("a", &MATCHING, false)]);
        assert_eq!(findings.len(), 1, "{findings:?}");
        let message = &findings[0].message;
        assert!(message.contains("created by kubectl-client-side-apply, 3 replicas)"), "{message}");
        assert!(
            message.contains("kubectl --namespace workload delete deployment memory-capacity"),
            "{message}"
        );
    }

    #[test]
    fn pods_that_the_deployment_would_select_are_told() {
        let other = deployment(json!({"name": "memory-capacity-runc"}));
        let findings = judged(&[other], &[pod("a", &MATCHING, false)]);
        assert!(
            findings[0].message.starts_with("pods in namespace \"workload\" match the selector"),
            "{findings:?}"
        );
    }
}
