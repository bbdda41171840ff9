//! A sandbox whose kernel tells of no cgroup: gVisor.

use serde_json::{Value, json};

use crate::applied::PROMPT;
use crate::kubectl::{apply, command, create, kubectl};
use crate::support::{number, wait_for};

/// A namespace of this test's own, for as long as the value lives.
struct Namespace(String);

impl Namespace {
    fn new() -> Self {
        let name = format!("workload-test-sandbox-{}", std::process::id());
        apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        Self(name)
    }

    fn kubectl(&self, args: &[&str]) -> String {
        kubectl(&[&["--namespace", &self.0], args].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Where the test fails anyway there is nothing to say.
        let _ = command(&["delete", "namespace", "--wait=false", &self.0]).output();
    }
}

fn container(name: &str, args: &[&str]) -> Value {
    let args = [args, &["--report-every", "60s", "--format", "json"]].concat();
    json!({
        "name": name,
        "image": crate::support::IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": args,
        "resources": {"limits": {"memory": "300M"}},
    })
}

/// Lines of a log that are records, and the others.
fn records_and_words(log: &str) -> (Vec<Value>, Vec<&str>) {
    let (records, words): (Vec<&str>, Vec<&str>) = log.lines().partition(|line| line.starts_with('{'));
    (records.into_iter().map(|line| serde_json::from_str(line).expect("JSON")).collect(), words)
}

#[test]
#[ignore = "needs a cluster with a RuntimeClass gvisor"]
fn where_no_cgroup_can_be_seen_each_percent_is_reported_and_limits_are_unknown() {
    let namespace = Namespace::new();
    let load = ["--memory", "200M", "--growth-rate", "20M/s", "--cpu", "10%", "--duration", "13s"];
    let share = ["--memory", "1%", "--growth-rate", "1M/s", "--duration", "1s"];
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "load", "namespace": namespace.0},
        "spec": {
            "runtimeClassName": "gvisor",
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "containers": [container("load", &load), container("share", &share)],
        },
    });
    // The service account of a new namespace comes a moment later.
    wait_for("a service account", PROMPT, || {
        let output = command(&["--namespace", &namespace.0, "get", "serviceaccount", "default"]).output();
        output.expect("kubectl is installed").status.success().then_some(())
    });
    create(&pod, &[]);
    wait_for("the pod to succeed", PROMPT, || {
        let phase = namespace.kubectl(&["get", "pod", "load", "--output", "jsonpath={.status.phase}"]);
        assert_ne!(phase, "Failed");
        (phase == "Succeeded").then_some(())
    });

    let log = namespace.kubectl(&["logs", "load", "--container", "load"]);
    let (records, words) = records_and_words(&log);
    let growing = records.iter().filter(|record| record["phase"] == "growing").count();
    // (One that is due while the process waits for a CPU is told with the next.)
    assert!((90..=101).contains(&growing), "{growing} reports while it grew");
    let last = records.last().expect("a record");
    assert_eq!(last["reason"], "--duration elapsed");
    assert!((number(last, "memory_resident_bytes") - 200e6).abs() < 1e6, "{last}");
    for unknown in ["memory_limit_bytes", "memory_headroom_bytes", "cgroup_memory_bytes", "cpu_limit_cores"] {
        assert_eq!(last[unknown], Value::Null, "{unknown}: {last}");
    }
    assert!(words.iter().any(|line| line.contains("--cpu 10% is") && line.contains("CPUs")), "{words:?}");

    let log = namespace.kubectl(&["logs", "load", "--container", "share"]);
    let (_, words) = records_and_words(&log);
    let is_told =
        |line: &&str| line.contains("no memory limit can be seen") && line.contains("--memory 1% is");
    assert!(words.iter().any(is_told), "{words:?}");
}
