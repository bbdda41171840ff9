//! Rules that look at several facts at once.

use k8s_openapi::api::core::v1::{Node, ResourceQuota};
use k8s_openapi::api::node::v1::RuntimeClass;
use serde_json::{Value, from_value, json};

use super::template::tests::order;
use super::*;

/// A cluster of which nothing could be learned.
fn dark(trouble: &Trouble) -> Facts {
    Facts {
        access: Vec::new(),
        groups: Err(trouble.clone()),
        namespace: Err(trouble.clone()),
        priority_class: Err(trouble.clone()),
        runtime_class: Err(trouble.clone()),
        runtime_classes: Err(trouble.clone()),
        nodes: Err(trouble.clone()),
        load: Err(trouble.clone()),
        pods: Err(trouble.clone()),
        deployments: Err(trouble.clone()),
        probe: Err(trouble.clone()),
        quotas: Err(trouble.clone()),
        limits: Err(trouble.clone()),
    }
}

/// A cluster of one node, of which all is as it should be.
fn clean() -> Facts {
    let node: Node = from_value(json!({"metadata": {"name": "a"}, "status": {
        "allocatable": {"memory": "2Gi", "cpu": "2", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "images": [{"names": ["localhost/workload:0.1.0"]}]}}))
    .unwrap();
    Facts {
        access: Vec::new(),
        groups: Ok(vec!["apps".into()]),
        namespace: Ok(Some("Active".into())),
        priority_class: Ok(true),
        runtime_class: Ok(None),
        runtime_classes: Ok(vec!["kata".into(), "gvisor".into()]),
        nodes: Ok(vec![node]),
        load: Ok([].into()),
        pods: Ok(vec![leftovers::PodThere {
            node: Some("a".into()),
            ready: true,
            daemon_set: Some("node-probe".into()),
            ..leftovers::PodThere::default()
        }]),
        deployments: Ok(Vec::new()),
        probe: Ok(true),
        quotas: Ok(Vec::new()),
        limits: Ok(Vec::new()),
    }
}

fn version(major: &str, minor: &str) -> Info {
    let git_version = format!("v{major}.{minor}.2");
    Info { major: major.into(), minor: minor.into(), git_version, ..Info::default() }
}

fn judged(facts: &Facts, spec: &Value) -> Survey {
    let order = order(spec);
    judge(Some(&version("1", "20")), facts, Template::of(&order), "workload", &order)
}

fn refusals(survey: &Survey) -> Vec<&str> {
    survey.findings.iter().filter(|finding| finding.refuses).map(|finding| finding.message.as_str()).collect()
}

#[test]
fn a_clean_cluster_is_nothing_to_speak_of() {
    let survey = judged(&clean(), &json!({}));
    assert_eq!(survey.findings, []);
    assert_eq!(survey.versions["kubernetes"], "v1.20.2");
    assert!(survey.nodes[0].eligible);
}

#[test]
fn what_may_not_be_asked_is_unknown_and_told_once_by_the_access_reviews() {
    let survey = judged(&dark(&Trouble::Forbidden), &json!({"runtimeClassName": "kata"}));
    assert_eq!(survey.findings, []);
    assert!(survey.nodes.is_empty() && survey.runtime_class.is_none());
}

#[test]
fn what_was_asked_and_not_answered_is_told() {
    let survey = judged(&dark(&Trouble::Other("no answer within 10s".into())), &json!({}));
    assert!(survey.findings.len() > 8);
    assert!(survey.findings.iter().all(|finding| finding.message.ends_with("no answer within 10s")));
    assert_eq!(refusals(&survey), ["unknown: the nodes: no answer within 10s"]);
}

#[test]
fn a_runtime_class_that_is_not_there_is_refused_with_those_that_are() {
    let survey = judged(&clean(), &json!({"runtimeClassName": "firecracker"}));
    assert!(refusals(&survey)[0].starts_with("there is no RuntimeClass firecracker"));
    assert!(refusals(&survey)[0].contains("there are: kata, gvisor"), "{survey:?}");
}

#[test]
fn a_runtime_class_that_no_node_has_is_refused() {
    let class: RuntimeClass = from_value(json!({"metadata": {"name": "kata"}, "handler": "kata",
        "scheduling": {"nodeSelector": {"kata": "true"}}}))
    .unwrap();
    let survey =
        judged(&Facts { runtime_class: Ok(Some(class)), ..clean() }, &json!({"runtimeClassName": "kata"}));
    assert_eq!(survey.runtime_class.as_ref().unwrap().handler, "kata");
    assert_eq!(refusals(&survey), ["no node can take an instance: a: no label kata=true"]);
}

#[test]
fn classes_and_namespaces_that_are_not_there_are_refused() {
    let survey = judged(&Facts { priority_class: Ok(false), ..clean() }, &json!({}));
    assert!(refusals(&survey)[0].starts_with("there is no PriorityClass workload-load"), "{survey:?}");
    let survey = judged(&Facts { namespace: Ok(None), ..clean() }, &json!({}));
    assert!(
        refusals(&survey)[0].starts_with("there is no namespace workload: kubectl apply -k"),
        "{survey:?}"
    );
    let survey = judged(&Facts { namespace: Ok(Some("Terminating".into())), ..clean() }, &json!({}));
    assert!(refusals(&survey)[0].contains("is Terminating"), "{survey:?}");
}

#[test]
fn openshift_is_told_by_its_api_groups() {
    let facts = Facts { groups: Ok(vec!["apps".into(), "config.openshift.io".into()]), ..clean() };
    assert!(judged(&facts, &json!({})).versions["openshift"].contains("config.openshift.io"));
}

#[test]
fn what_a_quota_leaves_is_among_the_facts() {
    let quota: ResourceQuota = from_value(
        json!({"metadata": {"name": "team"}, "status": {"hard": {"pods": "7"}, "used": {"pods": "1"}}}),
    )
    .unwrap();
    let survey = judged(&Facts { quotas: Ok(vec![quota]), ..clean() }, &json!({}));
    assert_eq!(survey.quotas[0].instances, 6);
}

#[test]
fn kubernetes_before_1_20_is_refused() {
    assert!(too_old(&version("1", "19+")).unwrap().message.contains("v1.19+.2, where 1.20"));
    assert_eq!(too_old(&version("1", "20+")), None);
    assert_eq!(too_old(&version("1", "37")), None);
    assert_eq!(too_old(&version("?", "")), None, "what it does not say is no reason to refuse");
}

#[test]
fn a_server_that_does_not_answer_is_worth_another_try_and_credentials_that_it_refuses_are_not() {
    assert!(unreachable("connection refused").transient);
    assert!(!unreachable("Unauthorized (401)").transient);
}

#[test]
fn many_names_are_a_few_and_a_number() {
    assert_eq!(some_of(&["a", "b"]), "a, b");
    assert_eq!(some_of(&["a", "b", "c", "d", "e", "f", "g"]), "a, b, c, d, e and 2 more");
}
