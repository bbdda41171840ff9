//! Rules that look at several facts at once.

use k8s_openapi::api::core::v1::{Node, ResourceQuota};
use k8s_openapi::api::node::v1::RuntimeClass;
use serde_json::{Value, from_value, json};

use super::template::tests::order;
use super::*;

/// A cluster of which nothing could be learned.
fn dark(trouble: &AskError) -> ClusterFacts {
    ClusterFacts {
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
fn clean() -> ClusterFacts {
    let node: Node = from_value(json!({"metadata": {"name": "a"}, "status": {
        "allocatable": {"memory": "2Gi", "cpu": "2", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "images": [{"names": ["localhost/workload:0.1.0"]}]}}))
    .unwrap();
    ClusterFacts {
        access: Vec::new(),
        groups: Ok(vec!["apps".into()]),
        namespace: Ok(Some("Active".into())),
        priority_class: Ok(true),
        runtime_class: Ok(None),
        runtime_classes: Ok(vec!["kata".into(), "gvisor".into()]),
        nodes: Ok(vec![node]),
        load: Ok([].into()),
        pods: Ok(vec![stale_runs::PodThere {
            node: Some("a".into()),
            ready: true,
            daemon_set: Some("node-probe".into()),
            ..stale_runs::PodThere::default()
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

fn judged(facts: &ClusterFacts, spec: &Value) -> Preflight {
    let order = order(spec);
    judge(Some(&version("1", "20")), facts, Template::of(&order), "workload", &order)
}

fn refusals(preflight: &Preflight) -> Vec<&str> {
    preflight
        .findings
        .iter()
        .filter(|finding| finding.refuses)
        .map(|finding| finding.message.as_str())
        .collect()
}

#[test]
fn a_clean_cluster_is_nothing_to_speak_of() {
    let preflight = judged(&clean(), &json!({}));
    assert_eq!(preflight.findings, []);
    assert_eq!(preflight.versions["kubernetes"], "v1.20.2");
    assert!(preflight.nodes[0].eligible);
}

#[test]
fn what_may_not_be_asked_is_unknown_and_told_once_by_the_access_reviews() {
    let preflight = judged(&dark(&AskError::Forbidden), &json!({"runtimeClassName": "kata"}));
    assert_eq!(preflight.findings, []);
    assert!(preflight.nodes.is_empty() && preflight.runtime_class.is_none());
}

#[test]
fn what_was_asked_and_not_answered_is_told() {
    let preflight = judged(&dark(&AskError::Other("no answer within 10s".into())), &json!({}));
    assert!(preflight.findings.len() > 8);
    assert!(preflight.findings.iter().all(|finding| finding.message.ends_with("no answer within 10s")));
    assert_eq!(refusals(&preflight), ["unknown: the nodes: no answer within 10s"]);
}

#[test]
fn a_runtime_class_that_is_not_there_is_refused_with_those_that_are() {
    let preflight = judged(&clean(), &json!({"runtimeClassName": "firecracker"}));
    assert!(refusals(&preflight)[0].starts_with("there is no RuntimeClass firecracker"));
    assert!(refusals(&preflight)[0].contains("there are: kata, gvisor"), "{preflight:?}");
}

#[test]
fn a_runtime_class_that_no_node_has_is_refused() {
    let class: RuntimeClass = from_value(json!({"metadata": {"name": "kata"}, "handler": "kata",
        "scheduling": {"nodeSelector": {"kata": "true"}}}))
    .unwrap();
    let preflight = judged(
        &ClusterFacts { runtime_class: Ok(Some(class)), ..clean() },
        &json!({"runtimeClassName": "kata"}),
    );
    assert_eq!(preflight.runtime_class.as_ref().unwrap().handler, "kata");
    assert_eq!(refusals(&preflight), ["no node can take an instance: a: no label kata=true"]);
}

#[test]
fn classes_and_namespaces_that_are_not_there_are_refused() {
    let preflight = judged(&ClusterFacts { priority_class: Ok(false), ..clean() }, &json!({}));
    assert!(refusals(&preflight)[0].starts_with("there is no PriorityClass workload-load"), "{preflight:?}");
    let preflight = judged(&ClusterFacts { namespace: Ok(None), ..clean() }, &json!({}));
    assert!(
        refusals(&preflight)[0].starts_with("there is no namespace workload: kubectl apply -k"),
        "{preflight:?}"
    );
    let preflight =
        judged(&ClusterFacts { namespace: Ok(Some("Terminating".into())), ..clean() }, &json!({}));
    assert!(refusals(&preflight)[0].contains("is Terminating"), "{preflight:?}");
}

#[test]
fn openshift_is_told_by_its_api_groups() {
    let facts = ClusterFacts { groups: Ok(vec!["apps".into(), "config.openshift.io".into()]), ..clean() };
    assert!(judged(&facts, &json!({})).versions["openshift"].contains("config.openshift.io"));
}

#[test]
fn what_a_quota_leaves_is_among_the_facts() {
    let quota: ResourceQuota = from_value(
        json!({"metadata": {"name": "team"}, "status": {"hard": {"pods": "7"}, "used": {"pods": "1"}}}),
    )
    .unwrap();
    let preflight = judged(&ClusterFacts { quotas: Ok(vec![quota]), ..clean() }, &json!({}));
    assert_eq!(preflight.quotas[0].instances, 6);
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

/// What is found, as the briefing says it, after what there was.
fn told(what: &str, facts: &ClusterFacts, spec: &Value) -> String {
    let preflight = judged(facts, spec);
    let lines = preflight.findings.iter().map(|finding| {
        let heading = if finding.refuses { "WRONG" } else { "warning" };
        format!("  {heading}: {}\n", finding.message)
    });
    // A release changes no wording.
    let lines = lines.collect::<String>().replace(env!("CARGO_PKG_VERSION"), "VERSION");
    format!("{what}\n{}", if lines.is_empty() { "  nothing\n" } else { &lines })
}

fn node(name: &str, status: &Value, spec: &Value) -> Node {
    let mut whole = json!({"allocatable": {"memory": "2Gi", "cpu": "2", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "images": [{"names": [format!("localhost/workload:{}", env!("CARGO_PKG_VERSION"))]}]});
    for (key, value) in status.as_object().unwrap() {
        whole[key] = value.clone();
    }
    from_value(json!({"metadata": {"name": name}, "spec": spec, "status": whole})).unwrap()
}

fn with_nodes(nodes: Vec<Node>) -> ClusterFacts {
    ClusterFacts { nodes: Ok(nodes), ..clean() }
}

fn there(name: &str, labels: &[(&str, &str)], terminating: bool) -> stale_runs::PodThere {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    stale_runs::PodThere { name: name.into(), labels, terminating, ..stale_runs::PodThere::default() }
}

#[test]
fn what_is_said_of_rights_is_as_written_down() {
    let rights = |granted: fn(&str, &str) -> Result<bool, AskError>| {
        let each =
            permissions::RIGHTS.iter().flat_map(|right| right.verbs.iter().map(move |verb| (right, *verb)));
        let answer = |(right, verb): (&'static permissions::Permission, _)| permissions::PermissionReview {
            right,
            verb,
            granted: granted(right.resource, verb),
        };
        ClusterFacts { access: each.map(answer).collect(), ..clean() }
    };
    let none = json!({});
    let text = [
        told("all are granted", &rights(|_, _| Ok(true)), &none),
        told("none is granted", &rights(|_, _| Ok(false)), &none),
        told(
            "pods cannot be watched",
            &rights(|resource, verb| Ok((resource, verb) != ("pods", "watch"))),
            &none,
        ),
        told("it may not be asked", &rights(|_, _| Err(AskError::Forbidden)), &none),
        told(
            "it was not answered",
            &rights(|_, _| Err(AskError::Other("no answer within 10s".into()))),
            &none,
        ),
    ];
    insta::assert_snapshot!("rights", text.concat());
}

#[test]
fn what_is_said_of_what_is_not_known_is_as_written_down() {
    let trouble = AskError::Other("no answer within 10s".into());
    let text = told("nothing was answered", &dark(&trouble), &json!({"runtimeClassName": "kata"}));
    let old = too_old(&version("1", "19")).unwrap().message;
    let unreachable = ["connection refused", "Unauthorized (401)"].map(|why| unreachable(why).message + "\n");
    let more = format!("too old\n  {old}\nunreachable\n  {}", unreachable.join("  "));
    insta::assert_snapshot!("not_known", text + &more);
}

#[test]
fn what_is_said_of_namespaces_and_classes_is_as_written_down() {
    let class = |selector: Value, memory: &str| {
        let class = json!({"metadata": {"name": "kata"}, "handler": "kata",
            "overhead": {"podFixed": {"memory": memory}}, "scheduling": {"nodeSelector": selector}});
        ClusterFacts { runtime_class: Ok(Some(from_value(class).unwrap())), ..clean() }
    };
    let (none, kata) = (json!({}), json!({"runtimeClassName": "kata"}));
    let selected = json!({"runtimeClassName": "kata", "nodeSelector": {"kata": "false"}});
    let text = [
        told("no namespace", &ClusterFacts { namespace: Ok(None), ..clean() }, &none),
        told("it ends", &ClusterFacts { namespace: Ok(Some("Terminating".into())), ..clean() }, &none),
        told("no PriorityClass", &ClusterFacts { priority_class: Ok(false), ..clean() }, &none),
        told("no RuntimeClass", &clean(), &kata),
        told("no RuntimeClass at all", &ClusterFacts { runtime_classes: Ok(Vec::new()), ..clean() }, &kata),
        told("a RuntimeClass of no node", &class(json!({"kata": "true"}), "160Mi"), &kata),
        told("a RuntimeClass of other nodes", &class(json!({"kata": "true"}), "160Mi"), &selected),
        told("an overhead that is none", &class(json!({}), "160MB"), &kata),
    ];
    insta::assert_snapshot!("namespaces_and_classes", text.concat());
}

#[test]
fn what_is_said_of_nodes_is_as_written_down() {
    let none = json!({});
    let one = |status: Value| with_nodes(vec![node("a", &status, &json!({}))]);
    let unready = json!({"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown",
        "message": "Kubelet stopped posting node status."}]});
    let low = json!({"conditions": [{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "True"}]});
    let info = json!({"nodeInfo": {"bootID": "one", "kernelVersion": "", "containerRuntimeVersion": "",
        "architecture": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "",
        "osImage": "", "systemUUID": ""}});
    let tainted = json!({"taints": [{"key": "gpu", "effect": "NoSchedule"}]});
    let well = || node("a", &json!({}), &json!({}));
    let text = [
        told("there is none", &with_nodes(Vec::new()), &none),
        told("it is not ready", &one(unready.clone()), &none),
        told("it says nothing of its condition", &one(json!({"conditions": []})), &none),
        told("it is low on memory", &one(low), &none),
        told(
            "it is cordoned",
            &with_nodes(vec![node("a", &json!({}), &json!({"unschedulable": true}))]),
            &none,
        ),
        told(
            "one that is not used is not ready",
            &with_nodes(vec![well(), node("b", &unready, &tainted)]),
            &none,
        ),
        told(
            "it does not say what it has",
            &one(json!({"allocatable": {"memory": "2GB", "pods": "110"}})),
            &none,
        ),
        told(
            "two of one machine",
            &with_nodes(vec![node("a", &info, &json!({})), node("b", &info, &json!({}))]),
            &none,
        ),
        told("a label that it has not", &clean(), &json!({"nodeSelector": {"disk": "ssd"}})),
        told("a taint", &with_nodes(vec![node("a", &json!({}), &tainted)]), &none),
        told(
            "an operator that is not known",
            &clean(),
            &json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "Like"}]}]}}}}),
        ),
        told("an affinity between pods", &clean(), &json!({"affinity": {"podAntiAffinity": {}}})),
        told("tolerations that are none", &clean(), &json!({"tolerations": "all"})),
    ];
    insta::assert_snapshot!("nodes", text.concat());
}

#[test]
fn what_is_said_of_the_image_and_the_probe_is_as_written_down() {
    let image = |image: &str, policy: &str| json!({"containers": [{"name": "load", "image": image, "imagePullPolicy": policy}]});
    let many: Vec<_> = (0..50).map(|number| json!({"names": [format!("other:{number}")]})).collect();
    let text = [
        told("the latest", &clean(), &json!({"containers": [{"name": "load", "image": "quay.io/workload"}]})),
        told("pulled each time", &clean(), &image("quay.io/workload:1", "Always")),
        told("never pulled", &clean(), &image("quay.io/workload:1", "Never")),
        told("pulled once", &clean(), &image("quay.io/workload:1", "IfNotPresent")),
        told("one with many", &with_nodes(vec![node("a", &json!({"images": many}), &json!({}))]), &json!({})),
        told("no probe", &ClusterFacts { probe: Ok(false), pods: Ok(Vec::new()), ..clean() }, &json!({})),
        told("a probe that is not ready", &ClusterFacts { pods: Ok(Vec::new()), ..clean() }, &json!({})),
    ];
    insta::assert_snapshot!("image_and_probe", text.concat());
}

#[test]
fn what_is_said_of_what_is_there_already_is_as_written_down() {
    const MATCHING: [(&str, &str); 2] =
        [("app.kubernetes.io/name", "workload"), ("app.kubernetes.io/instance", "memory-capacity")];
    let run = crate::engine::RUN_LABEL;
    let deployment = |metadata: Value| {
        from_value(json!({"metadata": metadata, "spec": {"replicas": 3, "selector": {}, "template": {}}}))
            .unwrap()
    };
    let facts = |deployments, mut pods: Vec<stale_runs::PodThere>| {
        pods.extend(clean().pods.unwrap());
        ClusterFacts { deployments: Ok(deployments), pods: Ok(pods), ..clean() }
    };
    let earlier = deployment(json!({"name": "cpu-10", "labels": {run: "run-1"}}));
    let taken = deployment(json!({"name": "memory-capacity",
        "managedFields": [{"manager": "kubectl-client-side-apply"}, {"manager": "kube-controller-manager"}]}));
    let none = json!({});
    let left = vec![there("a", &[(run, "run-1")], false), there("b", &[(run, "run-1")], true)];
    let text = [
        told("an earlier run", &facts(vec![earlier], left), &none),
        told(
            "pods that end",
            &facts(Vec::new(), vec![there("a", &[], true), there("b", &MATCHING, true)]),
            &none,
        ),
        told("a Deployment of that name", &facts(vec![taken], vec![there("a", &MATCHING, false)]), &none),
        told(
            "pods that it would take for its own",
            &facts(Vec::new(), vec![there("a", &MATCHING, false)]),
            &none,
        ),
    ];
    insta::assert_snapshot!("there_already", text.concat());
}

#[test]
fn what_is_said_of_quotas_and_limit_ranges_is_as_written_down() {
    let quota = |hard: Value, used: Value| {
        let quota = json!({"metadata": {"name": "team"}, "spec": {}, "status": {"hard": hard, "used": used}});
        ClusterFacts { quotas: Ok(vec![from_value(quota).unwrap()]), ..clean() }
    };
    let range = |item: Value| {
        let range = json!({"metadata": {"name": "usual"}, "spec": {"limits": [item]}});
        ClusterFacts { limits: Ok(vec![from_value(range).unwrap()]), ..clean() }
    };
    let none = json!({});
    let said = json!({"containers": [{"name": "load", "image": "localhost/workload:0.1.0",
        "resources": {"requests": {"memory": "100"}, "limits": {"memory": "300"}}}]});
    let said = &said;
    let text = [
        told("room for some", &quota(json!({"pods": "50"}), json!({"pods": "12"})), &none),
        told("room for none", &quota(json!({"pods": "5"}), json!({"pods": "5"})), &none),
        told("of what is not said", &quota(json!({"limits.cpu": "5"}), none.clone()), &none),
        told(
            "of Deployments",
            &quota(json!({"count/deployments.apps": "1"}), json!({"count/deployments.apps": "1"})),
            &none,
        ),
        told("one that is no number", &quota(json!({"pods": "some"}), none.clone()), &none),
        told(
            "usual limits",
            &range(json!({"type": "Container", "default": {"memory": "512Mi"},
            "defaultRequest": {"cpu": "100m"}})),
            &none,
        ),
        told("at most", &range(json!({"type": "Pod", "max": {"memory": "299"}})), said),
        told("at least", &range(json!({"type": "Container", "min": {"memory": "101"}})), said),
        told("a ratio", &range(json!({"type": "Container", "maxLimitRequestRatio": {"memory": "2"}})), said),
        told("of what is not said", &range(json!({"type": "Container", "max": {"cpu": "1"}})), said),
    ];
    insta::assert_snapshot!("quotas_and_limit_ranges", text.concat());
}
