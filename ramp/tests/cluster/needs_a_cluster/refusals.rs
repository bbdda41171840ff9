//! Preflight on a real cluster: permissions, RuntimeClasses, admission, leftovers.

use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use ramp_format::preflight::Finding;
use serde_json::{Value, json};

use crate::process::{self, Namespace, Running, kubeconfig, kubectl, left_in, list, ramp, ramp_as, scenario};

const REFUSED: Option<i32> = Some(3);

fn ended(run: Running) -> (ExitStatus, String) {
    let (status, said) = run.wait_for(Duration::from_secs(300));
    // Long lines are broken.
    (status, said.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn arguments<'a>(namespace: &'a Namespace, manifest: &'a Path, out: &'a Path) -> Vec<&'a str> {
    let (manifest, out) = (manifest.to_str().unwrap(), out.to_str().unwrap());
    let load = [
        "--namespace",
        namespace.0,
        "--engine",
        "kubernetes",
        "--memory",
        "20M",
        "--to",
        "2",
        "--settle",
        "2s",
        "--hold",
        "1s",
        "--down",
    ];
    [&["run", manifest, "--out", out], &load[..]].concat()
}

#[test]
#[ignore = "needs a cluster that is set up, and the right to act for its ServiceAccounts"]
fn the_service_account_of_the_setup_may_do_everything_that_a_run_does() {
    let namespace = Namespace::create("ramp-test-account");
    let directory = tempfile::tempdir().unwrap();
    let who = kubeconfig(directory.path(), |user| {
        user["as"] = format!("system:serviceaccount:{}:ramp", namespace.0).into();
    });
    let (manifest, out) = (scenario("kata/memory-capacity.yaml"), directory.path().join("run"));
    let (status, said) = ended(ramp_as(&who, &arguments(&namespace, &manifest, &out)));
    assert!(status.success(), "{status}: {said}");
    let run = ramp_format::run_file::read_run(&out).unwrap();
    let of_rights =
        |finding: &&Finding| finding.message.contains("permission") || finding.message.contains("unknown");
    assert_eq!(run.findings.iter().filter(of_rights).collect::<Vec<_>>(), Vec::<&Finding>::new());
    assert!(run.runtime_class.is_some_and(|class| class.overhead_memory_bytes > 0));
    assert_eq!(run.teardown.unwrap().left, Vec::<String>::new());
    for file in ["steps.csv", "pods.csv", "nodes.csv", "workloads.csv", "events.csv"] {
        assert!(crate::support::rows(&out, file).len() > 1, "{file} has rows");
    }
    let denied = crate::support::rows(&out, "events.csv");
    let denied: Vec<_> = denied.iter().filter(|row| row["message"].contains("orbidden")).collect();
    assert!(denied.is_empty(), "{denied:?}");
}

#[test]
#[ignore = "needs a cluster that is set up, and the right to act for others"]
fn whoever_has_no_rights_is_told_each_that_is_missing_and_nothing_is_made() {
    let namespace = Namespace::create("ramp-test-nobody");
    let directory = tempfile::tempdir().unwrap();
    let who = kubeconfig(directory.path(), |user| {
        user["as"] = "nobody".into();
        user["as-groups"] = json!(["system:authenticated"]);
    });
    let (manifest, out) = (scenario("runc/memory-capacity.yaml"), directory.path().join("run"));
    let (status, said) = ended(ramp_as(&who, &arguments(&namespace, &manifest, &out)));
    assert_eq!(status.code(), REFUSED, "{said}");
    for missing in [
        "get, list, create, patch, delete deployments in namespace \"ramp-test-nobody\"",
        "patch deployments/scale in namespace \"ramp-test-nobody\"",
        "list, watch pods in namespace \"ramp-test-nobody\"",
        "get, list, watch nodes in the cluster",
        "get pods/log in namespace \"ramp-test-nobody\"",
    ] {
        assert!(said.contains(missing), "{missing}: {said}");
    }
    assert!(!out.exists(), "a run that is refused leaves no directory");
    assert_eq!(left_in(namespace.0), Vec::<Value>::new());
}

#[test]
#[ignore = "needs a cluster that is set up"]
fn a_runtime_class_that_is_not_there_is_refused_with_those_that_are() {
    let namespace = Namespace::create("ramp-test-class");
    let directory = tempfile::tempdir().unwrap();
    let (manifest, out) = (scenario("runc/memory-capacity.yaml"), directory.path().join("run"));
    let (status, said) =
        ended(ramp(&[&arguments(&namespace, &manifest, &out)[..], &["--runtime", "nowhere"]].concat()));
    assert_eq!(status.code(), REFUSED, "{said}");
    assert!(said.contains("RuntimeClass \"nowhere\" does not exist; available: "), "{said}");
}

#[test]
#[ignore = "needs a cluster that is set up"]
fn what_admission_refuses_or_changes_is_told_by_the_api_server_before_anything_is_created() {
    let namespace = Namespace::create("ramp-test-admission");
    let directory = tempfile::tempdir().unwrap();
    let (manifest, out) = (scenario("runc/memory-capacity.yaml"), directory.path().join("run"));
    let arguments = arguments(&namespace, &manifest, &out);
    // Until the API server knows of what is applied, a directory that is not empty keeps the run from starting.
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("file"), "").unwrap();
    let found = |message: &str| ended(ramp(&arguments)).1.contains(message);
    let apply = |object: Value| {
        let file = directory.path().join("object.json");
        std::fs::write(&file, object.to_string()).unwrap();
        kubectl(&["--namespace", namespace.0, "apply", "-f", file.to_str().unwrap()]);
    };
    apply(json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "usual"},
        "spec": {"limits": [{"type": "Container", "default": {"memory": "512Mi"}}]}}));
    process::wait("the LimitRange to be known", Duration::from_secs(30), || {
        found("limits.memory from none to 512Mi")
    });
    kubectl(&["--namespace", namespace.0, "delete", "limitrange", "usual"]);
    apply(json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"},
        "spec": {"hard": {"pods": "0"}}}));
    process::wait("the quota to be counted", Duration::from_secs(30), || {
        found("is forbidden: exceeded quota: team")
    });
    std::fs::remove_dir_all(&out).unwrap();
    let (status, said) = ended(ramp(&arguments));
    assert_eq!(status.code(), REFUSED, "{said}");
    assert!(said.contains("limited: pods=0; raise the ResourceQuota"), "{said}");
    assert_eq!(left_in(namespace.0), Vec::<Value>::new());
}

#[test]
#[ignore = "needs a cluster that is set up"]
fn what_an_earlier_run_has_left_is_in_the_way_until_it_is_cleaned() {
    let namespace = Namespace::create("ramp-test-leftovers");
    let directory = tempfile::tempdir().unwrap();
    let manifest = scenario("runc/memory-capacity.yaml");
    let kept = directory.path().join("kept");
    let (status, said) = ended(process::run(
        &manifest,
        &kept,
        &[
            "--namespace",
            namespace.0,
            "--memory",
            "20M",
            "--to",
            "2",
            "--settle",
            "2s",
            "--hold",
            "1s",
            "--keep",
        ],
    ));
    assert!(status.success(), "{said}");
    let run = ramp_format::run_file::read_run(&kept).unwrap().run;
    assert_eq!(list(namespace.0, "deployments", "ramp/run").len(), 1, "--keep leaves it in place");
    let out = directory.path().join("run");
    let (status, said) = ended(ramp(&arguments(&namespace, &manifest, &out)));
    assert_eq!(status.code(), REFUSED, "{said}");
    assert!(said.contains(&run) && said.contains(&format!("ramp clean {run}")), "{said}");
    let (status, said) = ended(ramp(&["clean", kept.to_str().unwrap()]));
    assert!(status.success(), "{said}");
    assert_eq!(left_in(namespace.0), Vec::<Value>::new());
}
