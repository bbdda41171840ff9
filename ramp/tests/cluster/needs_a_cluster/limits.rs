//! A limit on PIDs of a node's pods: forecast, end of the run, report. Needs the cgroups of the nodes: they are containers of this machine.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use ramp_format::run_file::read_run;
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, terminal};
use serde_json::json;

use crate::ended_pods::EndedPods;
use crate::parts::node_cgroups;
use crate::process::{Namespace, kubectl, run, scenario, wait};
use crate::support::rows;

/// Tasks that pods may have beyond those that there are.
const LEFT: u64 = 60;

/// The `pids.max` of the cgroup of all pods of each node of the test cluster, and what is restored with the value.
struct PodsLimit(Vec<(PathBuf, String)>);

impl PodsLimit {
    /// The files of all nodes.
    fn files() -> Vec<PathBuf> {
        let nodes = ["pids", ""].into_iter().flat_map(node_cgroups);
        let pods = nodes.flat_map(|node| ["kubepods", "kubepods.slice"].map(|name| node.join(name)));
        pods.map(|pods| pods.join("pids.max")).filter(|file| file.exists()).collect()
    }

    fn set() -> Self {
        let limits = Self::files();
        assert!(!limits.is_empty(), "the cgroup of all pods of a node of the test cluster");
        let before = limits.iter().map(|file| (file.clone(), fs::read_to_string(file).unwrap()));
        let limit = Self(before.collect());
        for file in &limits {
            let current = fs::read_to_string(file.with_file_name("pids.current")).unwrap();
            let current: u64 = current.trim().parse().unwrap();
            fs::write(file, (current + LEFT).to_string()).unwrap();
        }
        limit
    }
}

impl Drop for PodsLimit {
    fn drop(&mut self) {
        for (file, before) in &self.0 {
            let _ = fs::write(file, before.trim());
        }
    }
}

#[test]
#[ignore = "needs a cluster whose nodes are containers of this machine"]
fn a_node_whose_pids_are_limited_is_forecast_ends_the_run_and_is_named() {
    const NAME: &str = "ramp-test-limits";
    let _namespace = Namespace::create(NAME);
    let _ended_pods = EndedPods::removed();
    // The rights of the component probe: the cgroups of the node.
    let mounted = json!({"spec": {"template": {"spec": {
        "volumes": [{"name": "cgroup", "hostPath": {"path": "/sys/fs/cgroup"}}],
        "containers": [{"name": "workload", "volumeMounts": [{"name": "cgroup", "mountPath": "/sys/fs/cgroup", "readOnly": true}]}],
    }}}});
    let probe = ["--namespace", NAME, "patch", "daemonset/node-probe", "--patch", &mounted.to_string()];
    kubectl(&probe);
    let probe = ["--namespace", NAME, "rollout", "status", "daemonset/node-probe", "--timeout", "120s"];
    kubectl(&probe);
    wait("the old probe to be gone", Duration::from_secs(60), || {
        let pods = kubectl(&["--namespace", NAME, "get", "pods", "-o", "name"]);
        pods.lines().count() == PodsLimit::files().len()
    });
    let _limit = PodsLimit::set();
    // The probe tells a limit that has changed within 5 s.
    sleep(Duration::from_secs(7));
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let manifest = scenario("runc/memory-capacity.yaml");
    let options = [
        "--namespace",
        NAME,
        "--memory",
        "20M",
        "--settle",
        "12s",
        "--pace",
        "8s",
        "--step",
        "4",
        "--to",
        "60",
        "--hold",
        "8s",
    ];
    let (status, said) = run(&manifest, &out, &options).wait_for(Duration::from_secs(300));
    println!("{said}");
    assert!(status.success(), "{status}: {said}");
    let file = read_run(&out).unwrap();
    let forecast = file.forecast.unwrap();
    let capacity = forecast.capacity().unwrap();
    assert_eq!(capacity.by.as_ref(), "node limit pids (pods)", "{forecast:?}");
    let why = file.why_ended.unwrap();
    assert!(why.starts_with("blocked:30s: ") && why.contains("processes (PIDs) exhausted"), "{why}");
    let limits = rows(&out, "limits.csv");
    assert!(limits.iter().any(|row| row["scope"] == "pods" && !row["limit"].is_empty()), "{limits:?}");
    let report = Report::of(vec![Dataset::read(&out).unwrap()], None);
    let text = terminal::text(&report);
    println!("{text}");
    for part in ["First limit reached: processes (PIDs)", "capacity by limits", "PIDs per instance"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
