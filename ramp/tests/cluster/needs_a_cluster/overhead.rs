//! Overhead per pod where it is known: a cluster whose kata is runc plus a process of 128 MiB per pod. On one node, since nodes
//! that share a kernel report the same memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ramp_report::analysis::Estimate;
use ramp_report::analysis::comparison::PerPod;
use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use ramp_report::report::terminal::text;
use serde_json::Value;

use crate::charged::charged;
use crate::process::{self, KataWithoutCpu, kubectl, left, one_node, scenario, tidy_cluster, wait};

const MIB: f64 = (1 << 20) as f64;
/// Resident in each pod, as is said of the stand-in.
const TRUE_OVERHEAD: f64 = 128.0 * MIB;
const CLASS: &str = "ramp-test-overhead";

#[test]
#[ignore = "needs a cluster with a RuntimeClass kata that is runc and 128 MiB in each pod"]
fn the_overhead_per_pod_of_one_pair_is_estimated_within_3_percent_and_its_interval_holds_it() {
    tidy_cluster();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let _class = KataWithoutCpu::named(CLASS);
    // A B, with as many as the node has room for without losing any.
    let runs = [
        ramp_to(&directory.path().join("1"), "default", "14", "ready"),
        ramp_to(&directory.path().join("2"), CLASS, "7", "ready"),
    ];
    assert_eq!(left(), Vec::<Value>::new());
    let found = overhead(runs).unwrap();
    let (low, high) = (found.interval.low, found.interval.high);
    println!("{:.1} ({:.1} to {:.1}) MiB", found.bytes / MIB, low / MIB, high / MIB);
    assert!(low <= TRUE_OVERHEAD && TRUE_OVERHEAD <= high, "{:.1} to {:.1} MiB", low / MIB, high / MIB);
    assert!(
        (found.bytes / TRUE_OVERHEAD - 1.0).abs() <= 0.03,
        "no farther than 3 %: {:.1} MiB",
        found.bytes / MIB
    );
}

#[test]
#[ignore = "needs a cluster with a RuntimeClass kata that is runc and 128 MiB in each pod"]
fn at_any_other_pace_the_interval_holds_the_overhead_or_there_is_none() {
    tidy_cluster();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let _class = KataWithoutCpu::named(CLASS);
    for pace in ["5s", "none"] {
        let out = |name: &str| directory.path().join(format!("{name}-{pace}"));
        let runs = [ramp_to(&out("runc"), "default", "6", pace), ramp_to(&out("kata"), CLASS, "6", pace)];
        match overhead(runs) {
            Ok(found) => {
                let (low, high) = (found.interval.low, found.interval.high);
                println!("{pace}: {:.1} ({:.1} to {:.1}) MiB", found.bytes / MIB, low / MIB, high / MIB);
                assert!(low <= TRUE_OVERHEAD && TRUE_OVERHEAD <= high, "{pace}: {low} to {high}");
            }
            Err(why) => assert!(why.0.contains("too wide to be of use"), "{pace}: {why}"),
        }
    }
    assert_eq!(left(), Vec::<Value>::new());
}

#[test]
#[ignore = "needs a cluster with a RuntimeClass kata that is runc and 128 MiB in each pod"]
fn the_interval_of_a_mixed_run_holds_the_overhead_per_pod() {
    tidy_cluster();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let _class = KataWithoutCpu::named(CLASS);
    let (manifest, out) = (scenario("runc/memory-capacity.yaml"), directory.path().join("mixed"));
    let mix = format!("default,{CLASS}");
    let options = ["--mix", &mix, "--memory", "20M", "--to", "16", "--hold", "10s"];
    let (status, said) = process::run(&manifest, &out, &options).wait_for(Duration::from_secs(400));
    assert!(status.success(), "{status}: {said}");
    assert_eq!(left(), Vec::<Value>::new());
    let report = Report::of(vec![Dataset::read(&out).unwrap()], None);
    println!("{}", text(&report));
    let found = report.findings.runs[0].mixed[1].overhead.clone().unwrap().unwrap();
    let (low, high) = (found.interval.low, found.interval.high);
    println!("{:.1} ({:.1} to {:.1}) MiB", found.bytes / MIB, low / MIB, high / MIB);
    assert!(low <= TRUE_OVERHEAD && TRUE_OVERHEAD <= high, "{:.1} to {:.1} MiB", low / MIB, high / MIB);
}

#[test]
#[ignore = "needs a cluster with a RuntimeClass gvisor, whose pods' memory cgroups are on this machine"]
fn the_overhead_per_pod_of_gvisor_is_what_the_kernel_charges_to_its_pods() {
    tidy_cluster();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let mut charged = Vec::new();
    let runs = ["default", "gvisor"].map(|class| {
        let out = directory.path().join(class);
        let manifest = scenario("runc/memory-capacity.yaml");
        let options = ["--runtime", class, "--memory", "100M", "--to", "8", "--hold", "20s"];
        let run = process::run(&manifest, &out, &options);
        wait("all of them at rest", Duration::from_secs(300), || {
            let steps = std::fs::read_to_string(out.join("steps.csv")).unwrap_or_default();
            steps.lines().count() > 8
        });
        // Into the hold.
        std::thread::sleep(Duration::from_secs(10));
        charged.push(charged_to_each_pod());
        let (status, said) = run.wait_for(Duration::from_secs(300));
        assert!(status.success(), "{status}: {said}");
        out
    });
    let truth = charged[1] - charged[0];
    let found = overhead(runs).unwrap();
    println!("{:.1} MiB where {:.1} are charged", found.bytes / MIB, truth / MIB);
    assert!(
        (found.bytes - truth).abs() <= 3.0 * MIB,
        "{:.1} where {:.1} are true",
        found.bytes / MIB,
        truth / MIB
    );
}

/// What the kernel charges to the memory cgroup of each pod of the load on average, without page cache, in bytes. (What gVisor has for its
/// containers is shared memory, which counts as cache and is none.)
fn charged_to_each_pod() -> f64 {
    let pods: Value =
        serde_json::from_str(&kubectl(&["get", "pods", "-n", "workload", "-o", "json"])).unwrap();
    let of_load = |pod: &&Value| pod["metadata"]["name"].as_str().unwrap().starts_with("memory-capacity");
    let uids: Vec<String> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(of_load)
        .map(|pod| pod["metadata"]["uid"].as_str().unwrap().to_owned())
        .collect();
    let charged: Vec<f64> = uids
        .iter()
        .map(|uid| {
            let group = cgroup_of(Path::new("/sys/fs/cgroup/memory"), uid);
            charged(&group.expect("the pod's cgroup is here"))
        })
        .collect();
    charged.iter().sum::<f64>() / charged.len() as f64
}

/// The directory below this one whose name has the uid of a pod in it.
fn cgroup_of(directory: &Path, uid: &str) -> Option<PathBuf> {
    let is_directory = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let below: Vec<PathBuf> =
        std::fs::read_dir(directory).ok()?.flatten().filter(is_directory).map(|entry| entry.path()).collect();
    let is_it = |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().contains(uid));
    below.iter().find(is_it).cloned().or_else(|| below.iter().find_map(|path| cgroup_of(path, uid)))
}

/// What a report on both says that each pod costs more under the second.
fn overhead(runs: [PathBuf; 2]) -> Estimate<PerPod> {
    let report = Report::of(runs.map(|run| Dataset::read(&run).unwrap()).into(), None);
    println!("{}", text(&report));
    report.findings.comparisons[0].comparison.overhead_per_pod.clone()
}

/// A ramp of 100 MB each.
fn ramp_to(out: &Path, class: &str, to: &str, pace: &str) -> PathBuf {
    let manifest = scenario("runc/memory-capacity.yaml");
    let options = ["--runtime", class, "--memory", "100M", "--to", to, "--pace", pace, "--hold", "10s"];
    let (status, said) = process::run(&manifest, out, &options).wait_for(Duration::from_secs(400));
    assert!(status.success(), "{status}: {said}");
    out.to_owned()
}
