//! Permissions: those of `deploy/setup/rbac.yaml`, checked one by one with access reviews.

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use super::super::kubeconfig::ServerIdentity;
use super::super::request::Answer;
use ramp_format::preflight::Finding;

/// Verbs on one resource.
pub(super) struct Permission {
    /// The API group; empty for the core group.
    pub(super) group: &'static str,
    /// The resource, with its subresource after a slash.
    pub(super) resource: &'static str,
    pub(super) verbs: &'static [&'static str],
    pub(super) place: PermissionScope,
    without: Unknown,
}

/// Where a permission is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PermissionScope {
    /// In the run's namespace.
    Namespace,
    /// In the namespace `default`, which has the events of nodes.
    Default,
    /// In the whole cluster.
    Cluster,
    /// On the run's namespace as an object.
    OneNamespace,
}

use PermissionScope::{Cluster, Default, Namespace, OneNamespace};

/// What stays unknown without a permission; nothing if a run is impossible without it.
type Unknown = Option<&'static str>;

const ADMISSION: Unknown = Some("what admission says of the pods (server-side dry run)");
const AUTOSCALERS: Unknown = Some("whether a HorizontalPodAutoscaler scales the Deployment");
const CHANGES: Unknown = Some("whether others change the Deployment");
const ENDS: Unknown = Some("how evicted pods ended, which then remain");
const EVENTS: Unknown = Some("why pods are evicted, not scheduled or not created");
const NODE_EVENTS: Unknown = Some("why nodes are under memory pressure or not ready");
const LOAD: Unknown = Some("what runs on the nodes, so how many instances fit");
const MEMORY: Unknown = Some("the memory of nodes and of instances");
const NAMESPACE: Unknown = Some("whether the namespace exists");
const PROBE: Unknown = Some("whether the node probe exists");
const QUOTAS: Unknown = Some("whether a quota limits the number of instances");
const REPLICAS: Unknown = Some("the current number of replicas");
const RUNTIME: Unknown = Some("the RuntimeClass, its overhead and its nodes");

/// All of them.
pub(super) static RIGHTS: [Permission; 17] = [
    right("apps", "deployments", &["get", "list", "create", "patch", "delete"], Namespace, None),
    right("apps", "deployments", &["watch"], Namespace, CHANGES),
    right("apps", "deployments/scale", &["patch"], Namespace, None),
    right("apps", "deployments/scale", &["get", "update"], Namespace, REPLICAS),
    right("apps", "daemonsets", &["get", "list"], Namespace, PROBE),
    right("autoscaling", "horizontalpodautoscalers", &["list"], Namespace, AUTOSCALERS),
    right("", "pods", &["list", "watch"], Namespace, None),
    right("", "pods", &["create"], Namespace, ADMISSION),
    right("", "pods", &["get", "delete"], Namespace, ENDS),
    right("", "pods/log", &["get"], Namespace, MEMORY),
    right("", "events", &["list", "watch"], Namespace, EVENTS),
    right("", "events", &["list", "watch"], Default, NODE_EVENTS),
    right("", "resourcequotas", &["list"], Namespace, QUOTAS),
    right("", "nodes", &["get", "list", "watch"], Cluster, None),
    right("", "pods", &["list"], Cluster, LOAD),
    right("node.k8s.io", "runtimeclasses", &["get", "list"], Cluster, RUNTIME),
    right("", "namespaces", &["get"], OneNamespace, NAMESPACE),
];

const fn right(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    place: PermissionScope,
    without: Unknown,
) -> Permission {
    Permission { group, resource, verbs, place, without }
}

impl Permission {
    /// The attributes of an access review for one verb.
    pub(super) fn question(&self, verb: &str, namespace: &str) -> ResourceAttributes {
        let (resource, subresource) = match self.resource.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
            None => (self.resource, None),
        };
        ResourceAttributes {
            group: Some(self.group.to_owned()),
            resource: Some(resource.to_owned()),
            subresource,
            verb: Some(verb.to_owned()),
            namespace: match self.place {
                Namespace | OneNamespace => Some(namespace.to_owned()),
                Default => Some("default".to_owned()),
                Cluster => None,
            },
            name: (self.place == OneNamespace).then(|| namespace.to_owned()),
            ..ResourceAttributes::default()
        }
    }

    fn place(&self, namespace: &str) -> String {
        match self.place {
            Namespace => format!("in namespace {namespace:?}"),
            Default => "in namespace \"default\"".to_owned(),
            Cluster => "in the cluster".to_owned(),
            OneNamespace => format!("named {namespace:?}"),
        }
    }
}

/// The answer to one access review.
pub(super) struct PermissionReview {
    pub(super) right: &'static Permission,
    pub(super) verb: &'static str,
    pub(super) granted: Answer<bool>,
}

/// What follows from missing permissions: one error for those that a run needs, a warning for each consequence.
pub(super) fn judge(answers: &[PermissionReview], namespace: &str, server: &ServerIdentity) -> Vec<Finding> {
    let ServerIdentity { place, user } = server;
    let (mut needed, mut findings) = (Vec::new(), Vec::new());
    for right in &RIGHTS {
        let denied =
            answers.iter().filter(|answer| std::ptr::eq(answer.right, right) && answer.granted == Ok(false));
        let verbs: Vec<&str> = denied.map(|answer| answer.verb).collect();
        if verbs.is_empty() {
            continue;
        }
        let what = format!("{} {} {}", verbs.join(", "), right.resource, right.place(namespace));
        match right.without {
            None => needed.push(what),
            Some(unknown) => {
                findings.push(Finding::warning(format!(
                    "no permission to {what}; unknown without it: {unknown}"
                )));
            }
        }
    }
    if !needed.is_empty() {
        let what = needed.join("; ");
        let advice = advice(namespace);
        let message = format!(
            "no permission to {what}, for {user} at {place}; {advice}, or choose another context (--context)"
        );
        findings.insert(0, Finding::refusal(message));
    }
    if let Some(error) = answers.iter().find_map(|answer| answer.granted.as_ref().err()) {
        let advice = match error.status() {
            Some(401) => {
                "; log in again, renew the credentials in the kubeconfig, or choose another context (--context)"
            }
            Some(403) => {
                "; allow create on selfsubjectaccessreviews (ClusterRole system:basic-user), or choose another context (--context)"
            }
            _ => "",
        };
        findings.push(Finding::warning(format!(
            "permissions could not be checked: {place}, {user}: {}{advice}",
            error.message()
        )));
    }
    findings
}

/// Whether a denied `create` is among them, so that a dry run is denied too.
pub(super) fn may_not_create(answers: &[PermissionReview]) -> bool {
    answers.iter().any(|answer| answer.verb == "create" && answer.granted == Ok(false))
}

fn advice(namespace: &str) -> String {
    let apply = "apply deploy/setup as a cluster administrator (kubectl apply -k deploy/setup)";
    match namespace {
        "workload" => {
            format!("{apply} and use its ServiceAccount, or add yourself to the subjects in rbac.yaml")
        }
        other => format!("{apply} with its namespace changed to {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::super::request::{REQUEST_LIMIT, RequestError};
    use super::*;

    fn server() -> ServerIdentity {
        ServerIdentity {
            place: "https://test (context \"c\")".into(),
            user: "user \"u\" of the kubeconfig".into(),
        }
    }

    fn answers(granted: impl Fn(&Permission, &str) -> bool) -> Vec<PermissionReview> {
        let each = RIGHTS.iter().flat_map(|right| right.verbs.iter().map(move |verb| (right, *verb)));
        each.map(|(right, verb)| PermissionReview { right, verb, granted: Ok(granted(right, verb)) })
            .collect()
    }

    #[test]
    fn what_is_asked_for_is_what_the_setup_grants() {
        let text = include_str!("../../../../../deploy/setup/rbac.yaml");
        let objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
        let mut granted = BTreeSet::new();
        for role in objects.iter().filter(|object| object["rules"].is_array()) {
            let place = match role["metadata"]["namespace"].as_str() {
                Some("default") => Default,
                Some(_) => Namespace,
                None => Cluster,
            };
            for rule in role["rules"].as_array().unwrap() {
                let place = if rule["resourceNames"].is_array() { OneNamespace } else { place };
                for (resource, verb) in
                    all(&rule["resources"]).flat_map(|r| all(&rule["verbs"]).map(move |v| (r, v)))
                {
                    granted.insert(format!(
                        "{} {resource} {verb} {place:?}",
                        rule["apiGroups"][0].as_str().unwrap()
                    ));
                }
            }
        }
        let asked: BTreeSet<String> = RIGHTS
            .iter()
            .flat_map(|right| right.verbs.iter().map(move |verb| (right, verb)))
            .map(|(right, verb)| format!("{} {} {verb} {:?}", right.group, right.resource, right.place))
            .collect();
        assert_eq!(asked, granted);
    }

    fn all(list: &Value) -> impl Iterator<Item = &str> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    #[test]
    fn all_rights_granted_is_nothing_to_speak_of() {
        assert_eq!(judge(&answers(|_, _| true), "workload", &server()), []);
    }

    #[test]
    fn what_a_run_cannot_do_without_is_one_refusal_that_lists_it_all() {
        let findings = judge(
            &answers(|right, verb| right.resource != "pods" && verb != "create"),
            "workload",
            &server(),
        );
        let refusals: Vec<&Finding> = findings.iter().filter(|finding| finding.refuses).collect();
        let [refusal] = refusals.as_slice() else { panic!("{findings:?}") };
        assert!(refusal.message.contains("create deployments in namespace \"workload\""), "{refusal:?}");
        assert!(refusal.message.contains("list, watch pods in namespace \"workload\""), "{refusal:?}");
        assert!(refusal.message.contains("kubectl apply -k deploy/setup"), "{refusal:?}");
    }

    #[test]
    fn what_will_be_unknown_is_a_warning_for_each_consequence() {
        let missing = ["resourcequotas", "runtimeclasses"];
        let findings = judge(&answers(|right, _| !missing.contains(&right.resource)), "workload", &server());
        assert!(findings.iter().all(|finding| !finding.refuses), "{findings:?}");
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].message.contains("list resourcequotas in namespace \"workload\"; unknown"));
        assert!(findings[1].message.contains("get, list runtimeclasses in the cluster"));
    }

    #[test]
    fn a_right_that_could_not_be_asked_for_is_not_taken_for_one_that_is_missing() {
        let mut answers = answers(|_, _| true);
        answers[0].granted = Err(RequestError::Silence(REQUEST_LIMIT));
        let findings = judge(&answers, "workload", &server());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(!findings[0].refuses && findings[0].message.contains("no answer within 10 s"));
    }

    #[test]
    fn a_subresource_and_a_name_are_asked_for_as_such() {
        let scale = RIGHTS.iter().find(|right| right.resource == "deployments/scale").unwrap();
        let question = scale.question("patch", "here");
        assert_eq!(
            (question.resource.as_deref(), question.subresource.as_deref()),
            (Some("deployments"), Some("scale"))
        );
        let namespaces = RIGHTS.iter().find(|right| right.resource == "namespaces").unwrap();
        assert_eq!(namespaces.question("get", "here").name.as_deref(), Some("here"));
    }
}
