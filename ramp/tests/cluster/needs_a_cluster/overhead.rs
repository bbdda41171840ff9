//! What a runtime costs more per pod, where that is known: on a cluster whose kata is runc and a process of 128 MiB in each pod. On one
//! node, since nodes that share a kernel tell the same memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ramp::dataset::Dataset;
use ramp::report::Report;
use serde_json::Value;

use crate::process::{self, KataWithoutCpu, left, one_node, scenario, tidy_cluster};

const MIB: f64 = (1 << 20) as f64;
/// Resident in each pod, as is said of the stand-in.
const TRUE_OVERHEAD: f64 = 128.0 * MIB;
const CLASS: &str = "ramp-test-overhead";

#[test]
#[ignore = "needs a cluster with a RuntimeClass kata that is runc and 128 MiB in each pod"]
fn the_overhead_per_pod_is_estimated_within_15_percent_and_its_interval_holds_it() {
    tidy_cluster();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let _class = KataWithoutCpu::named(CLASS);
    // A B B A, with as many as the node has room for without losing any.
    let runc = |name| ramp_to(&directory.path().join(name), "runc", "default", "16");
    let kata = |name| ramp_to(&directory.path().join(name), "kata", CLASS, "7");
    let runs = [runc("1"), kata("2"), kata("3"), runc("4")];
    assert_eq!(left(), Vec::<Value>::new());
    let report = Report::of(runs.map(|run| Dataset::read(&run).unwrap()).into(), None);
    println!("{}", report.text());
    let found = report.findings.comparisons[0].comparison.overhead_per_pod.clone().unwrap();
    let (low, high) = (found.interval.low, found.interval.high);
    assert!(low <= TRUE_OVERHEAD && TRUE_OVERHEAD <= high, "{:.1} to {:.1} MiB", low / MIB, high / MIB);
    assert!(
        high - low <= 0.3 * TRUE_OVERHEAD,
        "no wider than ±15 %: {:.1} to {:.1} MiB",
        low / MIB,
        high / MIB
    );
}

/// A ramp of 100 MB each, so slow that each step has samples of full instances.
fn ramp_to(out: &Path, scenarios_of: &str, class: &str, to: &str) -> PathBuf {
    let manifest = scenario(&format!("{scenarios_of}/memory-capacity.yaml"));
    let options = ["--runtime", class, "--memory", "100M", "--to", to, "--hold", "2s", "--pace", "2s"];
    let (status, said) = process::run(&manifest, out, &options).wait_for(Duration::from_secs(400));
    assert!(status.success(), "{status}: {said}");
    out.to_owned()
}
