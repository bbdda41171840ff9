//! Pods that cannot start on a real cluster, several kinds at once, each in a namespace of its own.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Running, kubectl, run};
use crate::support::rows;

/// A namespace with nothing in it. It goes with the value.
struct Empty(&'static str);

impl Empty {
    fn create(name: &'static str) -> Self {
        kubectl(&["delete", "namespace", "--ignore-not-found", "--timeout=60s", name]);
        kubectl(&["create", "namespace", name]);
        Self(name)
    }
}

impl Drop for Empty {
    fn drop(&mut self) {
        // A test that has failed is not to fail twice.
        let mut delete = std::process::Command::new("kubectl");
        let _ = delete.args(["delete", "namespace", "--wait=false", self.0]).output();
    }
}

/// A Deployment of a small load with other fields of its pod and its container.
fn manifest(pod: &Value, container: &Value) -> Value {
    let mut workload = json!({
        "name": "workload", "image": "localhost/workload:0.1.0", "imagePullPolicy": "IfNotPresent",
        "args": ["--memory", "5M", "--growth-rate", "instant", "--format", "json", "--report-every", "5s"],
    });
    let mut spec = json!({"terminationGracePeriodSeconds": 2});
    for (object, fields) in [(&mut workload, container), (&mut spec, pod)] {
        object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    spec["containers"] = json!([workload]);
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "blocked"}, "spec": {
        "selector": {"matchLabels": {"app": "blocked"}},
        "template": {"metadata": {"labels": {"app": "blocked"}}, "spec": spec}}})
}

fn start(namespace: &str, directory: &Path, manifest: &Value) -> Running {
    let (file, out) = (directory.join(format!("{namespace}.json")), directory.join(namespace));
    std::fs::write(&file, manifest.to_string()).unwrap();
    run(&file, &out, &["--namespace", namespace, "--force", "--to", "3", "--settle", "1s", "--hold", "1s"])
}

#[test]
#[ignore = "needs a cluster that is set up"]
fn what_cannot_start_on_a_cluster_ends_the_run_within_a_minute_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let none = || json!({});
    let as_root = json!({"securityContext": {"runAsNonRoot": true, "runAsUser": 0}});
    let mount = json!({"volumes": [{"name": "v", "configMap": {"name": "missing"}}]});
    let mounted = json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]});
    let missing = || json!({"image": "localhost/missing:9.9.9"});
    let wrong = json!({"env": [{"name": "WORKLOAD_LISTEN", "value": "nonsense"}]});
    let kinds = [
        ("ramp-test-blocked-image", none(), missing(), "localhost/missing"),
        ("ramp-test-blocked-config", none(), as_root, "CreateContainerConfigError"),
        ("ramp-test-blocked-crash", none(), wrong, "CrashLoopBackOff"),
        ("ramp-test-blocked-account", json!({"serviceAccountName": "missing"}), none(), "serviceaccount"),
        ("ramp-test-blocked-class", json!({"runtimeClassName": "missing"}), none(), "RuntimeClass"),
        ("ramp-test-blocked-mount", mount, mounted, "configmap \"missing\" not found"),
        ("ramp-test-blocked-selector", json!({"nodeSelector": {"missing": "true"}}), none(), "node affinity"),
        ("ramp-test-blocked-deleted", none(), missing(), "deployment/blocked was deleted"),
        ("ramp-test-blocked-quota", none(), none(), "exceeded quota: two"),
    ];
    let namespaces = kinds.each_ref().map(|(name, ..)| Empty::create(name));
    let [.., deleted, quota] = &namespaces;
    kubectl(&["--namespace", quota.0, "create", "quota", "two", "--hard", "pods=2"]);
    let runs = kinds
        .each_ref()
        .map(|(name, pod, container, _)| start(name, directory.path(), &manifest(pod, container)));
    std::thread::sleep(Duration::from_secs(15));
    kubectl(&["--namespace", deleted.0, "delete", "deployment", "blocked"]);
    for (running, (name, _, _, word)) in runs.into_iter().zip(&kinds) {
        // A busy kubelet may take a minute more to remove a pod.
        let (_, said) = running.wait_for(Duration::from_secs(240));
        let run = ramp_format::run_file::read_run(&directory.path().join(name)).unwrap();
        let why = run.why_ended.unwrap();
        assert!(why.contains(word), "{name}: {why}\n{said}");
        if *name == deleted.0 {
            continue;
        }
        assert!(why.starts_with("blocked:30s: "), "{name}: {why}\n{said}");
        assert!(said.contains("  ! blocked: "), "{name}: {said}");
        let events = rows(&directory.path().join(name), "events.csv");
        let at = |reason: &str| -> f64 {
            let event = events.iter().find(|row| row["reason"] == reason).unwrap();
            event["elapsed_seconds"].parse().unwrap()
        };
        let after = at("Fired") - at("Blocked");
        assert!((25.0..60.0).contains(&after), "{name}: {after}");
    }
}
