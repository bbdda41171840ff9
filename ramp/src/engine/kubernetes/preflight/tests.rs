//! Rules on several facts at once.
#![allow(clippy::needless_pass_by_value, reason = "values are made where they are given")]

use k8s_openapi::api::core::v1::{Node, ResourceQuota};
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::client::Body;
use kube::core::DynamicObject;
use serde_json::{Value, from_value, json};

use super::admission::DryRun;
use super::*;
use ramp_format::plan::EngineOptions;
use ramp_format::scenario::Scenario;

/// The embedded scenario with parts of its pods' spec replaced.
fn order(changes: &Value) -> EngineSpec {
    let mut manifest = Scenario::embedded().unwrap().manifest;
    for (key, value) in changes.as_object().unwrap() {
        manifest["spec"]["template"]["spec"][key] = value.clone();
    }
    let scenario = Scenario::of(manifest).unwrap();
    EngineSpec { run: "this-run".into(), scenario, options: EngineOptions::default() }
}

/// The template of that scenario.
pub(super) fn template(changes: &Value) -> Template {
    let order = order(changes);
    Template::of(&order, &manifest::of(&order, "workload"))
}

/// A cluster that answers nothing.
fn dark(trouble: &RequestError) -> ClusterFacts {
    ClusterFacts {
        access: Vec::new(),
        groups: Err(trouble.clone()),
        namespace: Err(trouble.clone()),
        dry_run: DryRun { deployment: Err(trouble.clone()), pod: Err(trouble.clone()) },
        runtime_class: Err(trouble.clone()),
        runtime_classes: Err(trouble.clone()),
        nodes: Err(trouble.clone()),
        load: Err(trouble.clone()),
        pods: Err(trouble.clone()),
        deployments: Err(trouble.clone()),
        autoscalers: Err(trouble.clone()),
        probe: Err(trouble.clone()),
        probes: Err(trouble.clone()),
        quotas: Err(trouble.clone()),
    }
}

/// A cluster of one node without problems.
fn clean() -> ClusterFacts {
    let labels = json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
    let node: Node = from_value(json!({"metadata": {"name": "a", "labels": labels}, "status": {
        "allocatable": {"memory": "2Gi", "cpu": "2", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True"}],
        "images": [{"names": ["localhost/workload:0.1.0"]}]}}))
    .unwrap();
    ClusterFacts {
        access: Vec::new(),
        groups: Ok(vec!["apps".into()]),
        namespace: Ok(Some("Active".into())),
        dry_run: DryRun { deployment: Ok(object(Value::Null)), pod: Ok(object(Value::Null)) },
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
        autoscalers: Ok(Vec::new()),
        probe: Ok(true),
        probes: Ok(Vec::new()),
        quotas: Ok(Vec::new()),
    }
}

fn version(major: &str, minor: &str) -> Info {
    let git_version = format!("v{major}.{minor}.2");
    Info { major: major.into(), minor: minor.into(), git_version, ..Info::default() }
}

fn object(spec: Value) -> DynamicObject {
    from_value(json!({"metadata": {}, "spec": spec})).unwrap()
}

fn refused(status: u16, message: &str) -> RequestError {
    RequestError::Refused { status, reason: String::new(), message: message.into() }
}

fn silence() -> RequestError {
    RequestError::Silence(REQUEST_LIMIT)
}

fn server() -> ServerIdentity {
    ServerIdentity {
        place: "https://test:6443 (context \"c\")".into(),
        user: "user \"u\" of the kubeconfig".into(),
    }
}

/// The API server admits the pod as it is, unless the facts have another one.
fn judged(mut facts: ClusterFacts, spec: &Value) -> Preflight {
    let order = order(spec);
    let manifest = manifest::of(&order, "workload");
    if facts.dry_run.admitted().is_some_and(Value::is_null) {
        facts.dry_run.pod = Ok(object(manifest["spec"]["template"]["spec"].clone()));
    }
    judge(
        Some(&version("1", "20")),
        &facts,
        &mut Template::of(&order, &manifest),
        &manifest,
        (&server(), "workload"),
        &order,
    )
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
    let preflight = judged(clean(), &json!({}));
    assert_eq!(preflight.findings, []);
    assert_eq!(preflight.versions["kubernetes"], "v1.20.2");
    assert!(preflight.nodes[0].eligible);
}

#[test]
fn what_may_not_be_asked_is_unknown_and_told_once_by_the_access_reviews() {
    let denied = refused(403, "pods is forbidden: User \"x\" cannot create resource \"pods\"");
    let facts = ClusterFacts { access: access(|_, verb| Ok(verb != "create")), ..dark(&denied) };
    let preflight = judged(facts, &json!({"runtimeClassName": "kata"}));
    assert_eq!(preflight.findings.len(), 2, "{preflight:?}");
    assert!(
        preflight.findings[1].message.contains("unknown without it: what admission says"),
        "{preflight:?}"
    );
    assert!(preflight.nodes.is_empty() && preflight.runtime_class.is_none());
}

#[test]
fn where_access_reviews_fail_too_all_that_is_forbidden_is_unknown() {
    let denied = refused(403, "pods is forbidden: User \"x\" cannot create resource \"pods\"");
    let facts = ClusterFacts { access: access(|_, _| Err(silence())), ..dark(&denied) };
    let preflight = judged(facts, &json!({}));
    let unknown = |what: &str| preflight.findings.iter().any(|finding| finding.message.starts_with(what));
    assert!(
        unknown("unknown: quotas: HTTP 403") && unknown("unknown: what admission says of the Deployment")
    );
}

#[test]
fn what_was_asked_and_not_answered_is_told() {
    let preflight = judged(dark(&silence()), &json!({}));
    assert!(preflight.findings.len() > 8);
    assert!(preflight.findings.iter().all(|finding| finding.message.ends_with("no answer within 10 s")));
    assert_eq!(refusals(&preflight), ["unknown: the nodes: no answer within 10 s"]);
}

#[test]
fn what_admission_says_is_passed_on_and_what_it_could_not_say_is_unknown() {
    let judged = |deployment: Result<(), RequestError>, pod: Result<(), RequestError>| {
        let answer = |result: Result<(), RequestError>| result.map(|()| object(Value::Null));
        let dry_run = DryRun { deployment: answer(deployment), pod: answer(pod) };
        let preflight = judged(ClusterFacts { dry_run, ..clean() }, &json!({}));
        preflight.findings.into_iter().map(|finding| (finding.refuses, finding.message)).collect::<Vec<_>>()
    };
    let quota = refused(403, "pods \"a\" is forbidden: exceeded quota: team, requested: pods=1");
    let found = judged(Ok(()), Err(quota));
    assert!(found[0].0 && found[0].1.contains("exceeded quota: team, requested: pods=1; raise"), "{found:?}");
    let found =
        judged(Err(refused(422, "Deployment \"a\" is invalid")), Err(refused(422, "Pod \"a\" is invalid")));
    assert_eq!(found.len(), 1, "the pod repeats it: {found:?}");
    assert_eq!(judged(Err(refused(409, "already exists")), Ok(())), [], "found among the Deployments");
    let found = judged(Ok(()), Err(refused(500, "failed calling webhook \"a\": connection refused")));
    assert!(found[0].0, "so would every pod: {found:?}");
    for unsupported in
        [refused(400, "admission webhook \"a\" does not support dry run"), refused(503, "busy"), silence()]
    {
        let found = judged(Err(unsupported.clone()), Err(unsupported));
        assert!(
            !found[0].0 && found[0].1.starts_with("unknown: what admission says of the Deployment: "),
            "{found:?}"
        );
    }
}

#[test]
fn what_admission_changes_of_the_resources_is_refused_and_the_server_s_own_defaults_are_not() {
    let of = |container: Value| json!({"containers": [container]});
    let judged = |sent: &Value, admitted: Value| {
        let container = |resources: &Value| json!({"name": "load", "image": "w:1", "resources": resources});
        let dry_run =
            DryRun { deployment: Ok(object(Value::Null)), pod: Ok(object(of(container(&admitted)))) };
        let preflight = judged(ClusterFacts { dry_run, ..clean() }, &of(container(sent)));
        refusals(&preflight).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let sent = json!({"limits": {"memory": "1024Mi", "cpu": 0.5}});
    let same = json!({"memory": "1Gi", "cpu": "500m"});
    assert_eq!(judged(&sent, json!({"limits": same, "requests": same})), [""; 0]);
    let found = judged(&json!({}), json!({"limits": {"memory": "512Mi"}, "requests": {"memory": "512Mi"}}));
    assert!(
        found[0].contains("limits.memory from none to 512Mi, requests.memory from none to 512Mi;"),
        "{found:?}"
    );
}

#[test]
fn a_runtime_class_that_is_not_there_is_refused_with_those_that_are() {
    let preflight = judged(clean(), &json!({"runtimeClassName": "firecracker"}));
    assert!(refusals(&preflight)[0].starts_with("RuntimeClass \"firecracker\" does not exist;"));
    assert!(refusals(&preflight)[0].contains("available: kata, gvisor;"), "{preflight:?}");
}

#[test]
fn a_runtime_class_that_no_node_has_is_refused() {
    let class: RuntimeClass = from_value(json!({"metadata": {"name": "kata"}, "handler": "kata",
        "scheduling": {"nodeSelector": {"kata": "true"}}}))
    .unwrap();
    let preflight = judged(
        ClusterFacts { runtime_class: Ok(Some(class)), ..clean() },
        &json!({"runtimeClassName": "kata"}),
    );
    assert_eq!(preflight.runtime_class.as_ref().unwrap().handler, "kata");
    assert!(refusals(&preflight)[0].contains("no node is eligible for an instance: a: no label kata=true"));
}

#[test]
fn classes_and_namespaces_that_are_not_there_are_refused() {
    let dry_run = DryRun {
        deployment: Ok(object(Value::Null)),
        pod: Err(refused(403, "pods \"a\" is forbidden: no PriorityClass with name missing was found")),
    };
    let preflight = judged(ClusterFacts { dry_run, ..clean() }, &json!({}));
    assert!(refusals(&preflight)[0].contains("found; create it with: kubectl apply -k"), "{preflight:?}");
    let preflight = judged(ClusterFacts { namespace: Ok(None), ..clean() }, &json!({}));
    assert!(
        refusals(&preflight)[0]
            .starts_with("namespace \"workload\" does not exist; create it with: kubectl apply -k"),
        "{preflight:?}"
    );
    let preflight = judged(ClusterFacts { namespace: Ok(Some("Terminating".into())), ..clean() }, &json!({}));
    assert!(refusals(&preflight)[0].contains("is Terminating"), "{preflight:?}");
}

#[test]
fn openshift_is_told_by_its_api_groups() {
    let facts = ClusterFacts { groups: Ok(vec!["apps".into(), "config.openshift.io".into()]), ..clean() };
    assert!(judged(facts, &json!({})).versions["openshift"].contains("config.openshift.io"));
}

#[test]
fn what_a_quota_leaves_is_among_the_facts() {
    let quota: ResourceQuota = from_value(
        json!({"metadata": {"name": "team"}, "status": {"hard": {"pods": "7"}, "used": {"pods": "1"}}}),
    )
    .unwrap();
    let preflight = judged(ClusterFacts { quotas: Ok(vec![quota]), ..clean() }, &json!({}));
    assert_eq!(preflight.quotas[0].instances, 6);
}

#[test]
fn kubernetes_before_1_20_is_refused() {
    assert!(too_old(&version("1", "19+")).unwrap().message.contains("v1.19+.2 is too old: 1.20 or later"));
    assert_eq!(too_old(&version("1", "20+")), None);
    assert_eq!(too_old(&version("1", "37")), None);
    assert_eq!(too_old(&version("?", "")), None, "what it does not say is no reason to refuse");
}

#[test]
fn a_server_that_does_not_answer_is_worth_another_try_and_credentials_that_it_refuses_are_not() {
    assert!(unreachable(&RequestError::Unreachable("connection refused".into()), &server()).transient);
    assert!(!unreachable(&refused(401, "Unauthorized"), &server()).transient);
}

/// A client of a server that answers with its version and then with nothing, or with nothing at all.
fn silent_client(gives_version: bool) -> kube::Client {
    let answer = tower::service_fn(move |request: http::Request<Body>| async move {
        if !(gives_version && request.uri().path() == "/version") {
            std::future::pending::<()>().await;
        }
        let version = serde_json::to_vec(&version("1", "34")).unwrap();
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::from(version)))
    });
    kube::Client::new(answer, "workload")
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_answering_ends_preflight_at_the_limit_of_one_request() {
    let order = order(&json!({}));
    for (gives_version, seconds, expected) in
        [(false, 10, "cannot get the version of the API server: "), (true, 10, "cannot check permissions: ")]
    {
        let begin = tokio::time::Instant::now();
        let failure =
            check(&silent_client(gives_version), &server(), "workload", &order).await.err().unwrap();
        assert_eq!(begin.elapsed().as_secs(), seconds, "{failure}");
        let start = format!("{expected}https://test:6443 (context \"c\"): no answer within 10 s");
        assert!(failure.message.starts_with(&start), "{failure}");
    }
}

/// The findings, after the situation.
fn told(what: &str, facts: ClusterFacts, spec: &Value) -> String {
    let preflight = judged(facts, spec);
    let lines = preflight.findings.iter().map(|finding| {
        let heading = if finding.refuses { "error" } else { "warning" };
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
    let labels = json!({"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"});
    from_value(json!({"metadata": {"name": name, "labels": labels}, "spec": spec, "status": whole})).unwrap()
}

fn with_nodes(nodes: Vec<Node>) -> ClusterFacts {
    ClusterFacts { nodes: Ok(nodes), ..clean() }
}

fn there(name: &str, labels: &[(&str, &str)], terminating: bool) -> stale_runs::PodThere {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    stale_runs::PodThere { name: name.into(), labels, terminating, ..stale_runs::PodThere::default() }
}

fn access(granted: fn(&str, &str) -> Result<bool, RequestError>) -> Vec<permissions::PermissionReview> {
    let each =
        permissions::RIGHTS.iter().flat_map(|right| right.verbs.iter().map(move |verb| (right, *verb)));
    let answer = |(right, verb): (&'static permissions::Permission, _)| permissions::PermissionReview {
        right,
        verb,
        granted: granted(right.resource, verb),
    };
    each.map(answer).collect()
}

#[test]
fn what_is_said_of_rights_is_as_written_down() {
    let rights = |granted| ClusterFacts { access: access(granted), ..clean() };
    let none = json!({});
    let text = [
        told("all are granted", rights(|_, _| Ok(true)), &none),
        told("none is granted", rights(|_, _| Ok(false)), &none),
        told(
            "pods cannot be watched",
            rights(|resource, verb| Ok((resource, verb) != ("pods", "watch"))),
            &none,
        ),
        told(
            "it may not be asked",
            rights(|_, _| Err(refused(403, "selfsubjectaccessreviews is forbidden"))),
            &none,
        ),
        told("it was not answered", rights(|_, _| Err(silence())), &none),
    ];
    insta::assert_snapshot!("rights", text.concat());
}

#[test]
fn what_is_said_of_what_is_not_known_is_as_written_down() {
    let text = told("nothing was answered", dark(&silence()), &json!({"runtimeClassName": "kata"}));
    let old = too_old(&version("1", "19")).unwrap().message;
    let errors =
        [RequestError::Unreachable("connection refused".into()), silence(), refused(401, "Unauthorized")];
    let unreachable = errors.map(|error| unreachable(&error, &server()).message + "\n");
    let silent = silent(&silence(), &server()).message;
    let more = format!("too old\n  {old}\nunreachable\n  {}silent\n  {silent}\n", unreachable.join("  "));
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
        told("no namespace", ClusterFacts { namespace: Ok(None), ..clean() }, &none),
        told("it ends", ClusterFacts { namespace: Ok(Some("Terminating".into())), ..clean() }, &none),
        told("no RuntimeClass", clean(), &kata),
        told("no RuntimeClass at all", ClusterFacts { runtime_classes: Ok(Vec::new()), ..clean() }, &kata),
        told("a RuntimeClass of no node", class(json!({"kata": "true"}), "160Mi"), &kata),
        told("a RuntimeClass of other nodes", class(json!({"kata": "true"}), "160Mi"), &selected),
        told("an overhead that is none", class(json!({}), "160MB"), &kata),
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
        told("there is none", with_nodes(Vec::new()), &none),
        told("it is not ready", one(unready.clone()), &none),
        told("it says nothing of its condition", one(json!({"conditions": []})), &none),
        told("it is low on memory", one(low), &none),
        told(
            "it is cordoned",
            with_nodes(vec![node("a", &json!({}), &json!({"unschedulable": true}))]),
            &none,
        ),
        told(
            "one that is not used is not ready",
            with_nodes(vec![well(), node("b", &unready, &tainted)]),
            &none,
        ),
        told(
            "it does not say what it has",
            one(json!({"allocatable": {"memory": "2GB", "pods": "110"}})),
            &none,
        ),
        told(
            "two of one machine",
            with_nodes(vec![node("a", &info, &json!({})), node("b", &info, &json!({}))]),
            &none,
        ),
        told("a label that it has not", clean(), &json!({"nodeSelector": {"disk": "ssd"}})),
        told("a taint", with_nodes(vec![node("a", &json!({}), &tainted)]), &none),
        told(
            "an operator that is not known",
            clean(),
            &json!({"affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "Like"}]}]}}}}),
        ),
        told("an affinity between pods", clean(), &json!({"affinity": {"podAntiAffinity": {}}})),
        told("tolerations that are none", clean(), &json!({"tolerations": "all"})),
    ];
    insta::assert_snapshot!("nodes", text.concat());
}

#[test]
fn what_is_said_of_the_image_and_the_probe_is_as_written_down() {
    let image = |image: &str, policy: &str| json!({"containers": [{"name": "load", "image": image, "imagePullPolicy": policy}]});
    let many: Vec<_> = (0..50).map(|number| json!({"names": [format!("other:{number}")]})).collect();
    let text = [
        told("the latest", clean(), &json!({"containers": [{"name": "load", "image": "quay.io/workload"}]})),
        told("pulled each time", clean(), &image("quay.io/workload:1", "Always")),
        told("never pulled", clean(), &image("quay.io/workload:1", "Never")),
        told("pulled once", clean(), &image("quay.io/workload:1", "IfNotPresent")),
        told("one with many", with_nodes(vec![node("a", &json!({"images": many}), &json!({}))]), &json!({})),
        told("no probe", ClusterFacts { probe: Ok(false), pods: Ok(Vec::new()), ..clean() }, &json!({})),
        told("a probe that is not ready", ClusterFacts { pods: Ok(Vec::new()), ..clean() }, &json!({})),
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
        told("an earlier run", facts(vec![earlier], left), &none),
        told(
            "pods that end",
            facts(Vec::new(), vec![there("a", &[], true), there("b", &MATCHING, true)]),
            &none,
        ),
        told("a Deployment of that name", facts(vec![taken], vec![there("a", &MATCHING, false)]), &none),
        told(
            "pods that it would take for its own",
            facts(Vec::new(), vec![there("a", &MATCHING, false)]),
            &none,
        ),
    ];
    insta::assert_snapshot!("there_already", text.concat());
}

#[test]
fn what_is_said_of_quotas_is_as_written_down() {
    let quota = |hard: Value, used: Value| {
        let quota = json!({"metadata": {"name": "team"}, "spec": {}, "status": {"hard": hard, "used": used}});
        ClusterFacts { quotas: Ok(vec![from_value(quota).unwrap()]), ..clean() }
    };
    let none = json!({});
    let text = [
        told("room for some", quota(json!({"pods": "50"}), json!({"pods": "12"})), &none),
        told("room for none", quota(json!({"pods": "5"}), json!({"pods": "5"})), &none),
        told("of ReplicaSets", quota(json!({"count/replicasets.apps": "0"}), none.clone()), &none),
        told("not a number", quota(json!({"pods": "some"}), none.clone()), &none),
    ];
    insta::assert_snapshot!("quotas", text.concat());
}

#[test]
fn what_is_said_of_admission_is_as_written_down() {
    let pod = |error: RequestError| {
        let dry_run = DryRun { deployment: Ok(object(Value::Null)), pod: Err(error) };
        ClusterFacts { dry_run, ..clean() }
    };
    let deployment = |error: RequestError| {
        let dry_run = DryRun { deployment: Err(error), pod: Ok(object(Value::Null)) };
        ClusterFacts { dry_run, ..clean() }
    };
    let admitted = |mut containers: Value| {
        let mut spec = order(&json!({})).scenario.pod_spec().clone();
        for container in
            containers.as_array_mut().unwrap().iter_mut().filter(|found| found["name"] == "workload")
        {
            for (field, value) in spec["containers"][0].as_object().unwrap() {
                container.as_object_mut().unwrap().entry(field).or_insert_with(|| value.clone());
            }
        }
        spec["containers"] = containers;
        let dry_run = DryRun { deployment: Ok(object(Value::Null)), pod: Ok(object(spec)) };
        ClusterFacts { dry_run, ..clean() }
    };
    let forbidden =
        |why: &str| pod(refused(403, &format!("pods \"memory-capacity-x7k2f\" is forbidden: {why}")));
    let none = json!({});
    let defaults = json!({"limits": {"memory": "512Mi"}, "requests": {"memory": "512Mi", "cpu": "100m"}});
    let mut with_proxy = Scenario::embedded().unwrap().pod_spec()["containers"].clone();
    with_proxy.as_array_mut().unwrap().push(json!({"name": "proxy", "image": "proxy:1"}));
    let text = [
        told(
            "a quota",
            forbidden("exceeded quota: team, requested: pods=1, used: pods=5, limited: pods=5"),
            &none,
        ),
        told("a quota of what is not set", forbidden("failed quota: team: must specify limits.cpu"), &none),
        told(
            "a LimitRange",
            forbidden("maximum memory usage per Container is 200Mi, but limit is 300Mi"),
            &none,
        ),
        told("a PriorityClass", forbidden("no PriorityClass with name missing was found"), &none),
        told(
            "Pod Security",
            forbidden(
                "violates PodSecurity \"restricted:latest\": runAsNonRoot != true (pod or container \"load\")",
            ),
            &none,
        ),
        told(
            "a webhook",
            pod(refused(403, "admission webhook \"a.example.com\" denied the request: no")),
            &none,
        ),
        told("a long message", pod(refused(422, &"invalid ".repeat(200))), &none),
        told(
            "an invalid manifest",
            deployment(refused(422, "Deployment.apps \"a\" is invalid: spec: no")),
            &none,
        ),
        told(
            "a webhook without dry run",
            pod(refused(400, "admission webhook \"a\" does not support dry run")),
            &none,
        ),
        told("no answer", pod(silence()), &none),
        told("defaults", admitted(json!([{"name": "workload", "resources": &defaults}])), &none),
        told(
            "a sidecar",
            admitted(json!([{"name": "istio-proxy", "resources": defaults}, {"name": "workload"}])),
            &none,
        ),
        told(
            "a sidecar among the init containers",
            {
                let mut facts = admitted(json!([{"name": "workload"}]));
                if let Ok(pod) = &mut facts.dry_run.pod {
                    pod.data["spec"]["initContainers"] =
                        json!([{"name": "istio-init"}, {"name": "istio-proxy", "restartPolicy": "Always"}]);
                }
                facts
            },
            &none,
        ),
        told("a sidecar of the manifest", clean(), &json!({"containers": with_proxy})),
    ];
    insta::assert_snapshot!("admission", text.concat());
}

#[test]
fn what_is_said_of_other_owners_is_as_written_down() {
    let scaler = |owner: Value| ClusterFacts {
        autoscalers: Ok(vec![
            from_value(
                json!({"metadata": {"name": "scaler", "namespace": "workload", "ownerReferences": owner},
                "spec": {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment",
                    "name": "memory-capacity"}}}),
            )
            .unwrap(),
            from_value(json!({"metadata": {"name": "other"}, "spec": {"maxReplicas": 3,
                "scaleTargetRef": {"kind": "Deployment", "name": "another"}}}))
            .unwrap(),
        ]),
        ..clean()
    };
    let owned = |metadata: Value| {
        let mut deployment = json!({"metadata": {"name": "memory-capacity", "labels": {"ramp/run": "this-run"}},
            "spec": {"selector": {}, "template": {}}});
        for (key, value) in metadata.as_object().unwrap() {
            deployment["metadata"][key] = value.clone();
        }
        ClusterFacts { deployments: Ok(vec![from_value(deployment).unwrap()]), ..clean() }
    };
    let none = json!({});
    let keda =
        json!([{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "load", "uid": "u"}]);
    let application =
        json!([{"apiVersion": "example.com/v1", "kind": "Application", "name": "app", "uid": "u"}]);
    let argo = json!({"annotations": {"argocd.argoproj.io/tracking-id": "app:apps/Deployment:workload/a"}});
    let flux = json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps", "app.kubernetes.io/managed-by": "Helm"}});
    let helm = json!({"annotations": {"meta.helm.sh/release-name": "load"}});
    let text = [
        told("an autoscaler scales it", scaler(Value::Null), &none),
        told("KEDA scales it", scaler(keda), &none),
        told("Argo CD owns it", owned(argo), &none),
        told("Flux owns it", owned(flux), &none),
        told("Helm has made it", owned(helm), &none),
        told("another object owns it", owned(json!({"ownerReferences": application})), &none),
    ];
    insta::assert_snapshot!("owners", text.concat());
}
