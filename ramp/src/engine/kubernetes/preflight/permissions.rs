//! What whoever runs this may do: the rights of `deploy/setup/rbac.yaml`, asked for one by one.

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use super::ask::{AskError, FactResult};
use ramp_format::preflight::Finding;

/// Verbs on one kind of object.
pub(super) struct Permission {
    /// The API group; empty for the core.
    pub(super) group: &'static str,
    /// The resource, with its subresource behind a slash.
    pub(super) resource: &'static str,
    /// What is done with it.
    pub(super) verbs: &'static [&'static str],
    /// Where.
    pub(super) place: PermissionScope,
    /// What follows where it is missing.
    without: Consequence,
}

/// Where a right is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PermissionScope {
    /// In the run's namespace.
    Namespace,
    /// In the namespace `default`, where the events of nodes are.
    Default,
    /// In the whole cluster.
    Cluster,
    /// For the run's namespace as an object.
    OneNamespace,
}

/// What follows where a right is missing.
enum Consequence {
    /// Nothing can be run.
    NoRun,
    /// Something will be unknown.
    Unknown(&'static str),
}

use Consequence::{NoRun, Unknown};
use PermissionScope::{Cluster, Default, Namespace, OneNamespace};

const EVENTS: Consequence = Unknown("why pods are evicted, not scheduled or not made");
const LIMITS: Consequence = Unknown("whether a quota ends the ramp, or a LimitRange changes the scenario");
const RUNTIME: Consequence = Unknown("the RuntimeClass, its overhead and the nodes that have it");

/// All of them.
pub(super) static RIGHTS: [Permission; 17] = [
    right("apps", "deployments", &["get", "list", "create", "patch", "delete"], Namespace, NoRun),
    right("apps", "deployments", &["watch"], Namespace, Unknown("whether others change the Deployment")),
    right("apps", "deployments/scale", &["patch"], Namespace, NoRun),
    right("apps", "deployments/scale", &["get", "update"], Namespace, Unknown("the number asked for so far")),
    right("apps", "daemonsets", &["get", "list"], Namespace, Unknown("whether the node probe is there")),
    right("", "pods", &["list", "watch"], Namespace, NoRun),
    right("", "pods", &["get", "delete"], Namespace, Unknown("how evicted pods, which then stay, ended")),
    right("", "pods/log", &["get"], Namespace, Unknown("the memory of nodes and of instances")),
    right("", "events", &["list", "watch"], Namespace, EVENTS),
    right("", "events", &["list", "watch"], Default, Unknown("why nodes are short of memory or not ready")),
    right("", "resourcequotas", &["list"], Namespace, LIMITS),
    right("", "limitranges", &["list"], Namespace, LIMITS),
    right("", "nodes", &["get", "list", "watch"], Cluster, NoRun),
    right("", "pods", &["list"], Cluster, Unknown("what runs on the nodes, and so how many instances fit")),
    right("node.k8s.io", "runtimeclasses", &["get", "list"], Cluster, RUNTIME),
    right(
        "scheduling.k8s.io",
        "priorityclasses",
        &["get"],
        Cluster,
        Unknown("whether the PriorityClass is there"),
    ),
    right("", "namespaces", &["get"], OneNamespace, Unknown("whether the namespace is there")),
];

const fn right(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    place: PermissionScope,
    without: Consequence,
) -> Permission {
    Permission { group, resource, verbs, place, without }
}

impl Permission {
    /// What the API server is asked for one verb.
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
            Namespace => format!("in namespace {namespace}"),
            Default => "in namespace default".to_owned(),
            Cluster => "in the cluster".to_owned(),
            OneNamespace => format!("of {namespace}"),
        }
    }
}

/// A right, a verb of it, and whether it is granted.
pub(super) struct PermissionReview {
    /// Which.
    pub(super) right: &'static Permission,
    /// What.
    pub(super) verb: &'static str,
    /// Whether.
    pub(super) granted: FactResult<bool>,
}

/// What follows from the rights that are missing.
pub(super) fn judge(answers: &[PermissionReview], namespace: &str) -> Vec<Finding> {
    let mut needed = Vec::new();
    let mut unknown: Vec<(&str, Vec<String>)> = Vec::new();
    let mut not_asked = None;
    for right in &RIGHTS {
        let mut missing = Vec::new();
        for answer in answers.iter().filter(|answer| std::ptr::eq(answer.right, right)) {
            match &answer.granted {
                Ok(true) => {}
                Ok(false) => missing.push(answer.verb),
                Err(trouble) => not_asked = Some(trouble),
            }
        }
        if missing.is_empty() {
            continue;
        }
        let what = format!("{} {} {}", missing.join(", "), right.resource, right.place(namespace));
        match right.without {
            NoRun => needed.push(what),
            Unknown(consequence) => match unknown.iter_mut().find(|(known, _)| *known == consequence) {
                Some((_, whats)) => whats.push(what),
                None => unknown.push((consequence, vec![what])),
            },
        }
    }
    let mut findings = Vec::new();
    if !needed.is_empty() {
        let needed = needed.join("; ");
        let way = way_out(namespace);
        findings
            .push(Finding::refusal(format!("not allowed, and no run can do without it: {needed}. {way}")));
    }
    findings.extend(unknown.into_iter().map(|(consequence, whats)| {
        Finding::warning(format!("not allowed: {}. Unknown without it: {consequence}", whats.join("; ")))
    }));
    if let Some(trouble) = not_asked {
        findings.push(Finding::warning(format!("not all rights could be checked: {}", reason(trouble))));
    }
    findings
}

fn reason(trouble: &AskError) -> &str {
    match trouble {
        AskError::Forbidden => "self subject access reviews are not allowed",
        AskError::Other(why) => why,
    }
}

fn way_out(namespace: &str) -> String {
    let apply = "kubectl apply -k deploy/setup (as a cluster administrator) makes a ServiceAccount that is";
    match namespace {
        "workload" => format!("{apply}; or add yourself to the subjects in deploy/setup/rbac.yaml"),
        other => format!("{apply}, in namespace workload; for {other} change the namespace in deploy/setup"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

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
        assert_eq!(judge(&answers(|_, _| true), "workload"), []);
    }

    #[test]
    fn what_a_run_cannot_do_without_is_one_refusal_that_lists_it_all() {
        let findings =
            judge(&answers(|right, verb| right.resource != "pods" && verb != "create"), "workload");
        let refusals: Vec<&Finding> = findings.iter().filter(|finding| finding.refuses).collect();
        let [refusal] = refusals.as_slice() else { panic!("{findings:?}") };
        assert!(refusal.message.contains("create deployments in namespace workload"), "{refusal:?}");
        assert!(refusal.message.contains("list, watch pods in namespace workload"), "{refusal:?}");
        assert!(refusal.message.contains("kubectl apply -k deploy/setup"), "{refusal:?}");
    }

    #[test]
    fn what_will_be_unknown_is_a_warning_for_each_consequence() {
        let missing = ["resourcequotas", "limitranges", "priorityclasses"];
        let findings = judge(&answers(|right, _| !missing.contains(&right.resource)), "workload");
        assert!(findings.iter().all(|finding| !finding.refuses), "{findings:?}");
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].message.contains("list resourcequotas in namespace workload; list limitranges"));
        assert!(findings[1].message.contains("whether the PriorityClass is there"));
    }

    #[test]
    fn a_right_that_could_not_be_asked_for_is_not_taken_for_one_that_is_missing() {
        let mut answers = answers(|_, _| true);
        answers[0].granted = Err(AskError::Other("no answer within 10s".into()));
        let findings = judge(&answers, "workload");
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(!findings[0].refuses && findings[0].message.contains("no answer within 10s"));
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
