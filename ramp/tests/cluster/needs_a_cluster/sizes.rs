//! Overhead as a function of size where it is known: a runtime of 64 MiB and 5 % of the container's memory limit.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;
use ramp_report::study::overhead_by_size::{FitCheck, OverheadBySize, ValueWithInterval};
use ramp_report::study::pod_fixed::{PodFixed, PodFixedVerdict};
use ramp_report::study::report::{StudyReport, text as study_text};
use serde_json::Value;

use crate::ended_pods::EndedPods;
use crate::process::{KataWithoutCpu, left, one_node, ramp, scenario, tidy_cluster};

const MIB: f64 = (1 << 20) as f64;
/// Of the stand-in.
const FIXED: f64 = 64.0 * MIB;
const SHARE: f64 = 0.05;
const CLASS: &str = "ramp-test-sized";

#[test]
#[ignore = "needs a cluster on this machine with RuntimeClass kata-sized, which is runc and 64 MiB + 5 % of the limit in each pod"]
fn a_study_of_sizes_holds_what_a_runtime_takes_for_each_pod_and_for_its_limit() {
    tidy_cluster();
    let _ended_pods = EndedPods::removed();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let _class = KataWithoutCpu::of_handler(CLASS, "kata-sized");
    let file = directory.path().join("study.yaml");
    let out = directory.path().join("study");
    // Requests of their own: without, the API server makes the limit the request, and few pods of 1 GiB fit.
    let manifest = directory.path().join("load.yaml");
    let original = fs::read_to_string(scenario("runc/memory-capacity.yaml")).unwrap();
    let requests = "          resources: {requests: {memory: 100M}}\n          ports:\n";
    fs::write(&manifest, original.replacen("          ports:\n", requests, 1)).unwrap();
    fs::write(&file, definition(&manifest)).unwrap();
    let study = ramp(&["study", "run", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let (status, said) = study.wait_for(Duration::from_secs(900));
    assert!(status.success(), "{status}: {said}");
    assert_eq!(left(), Vec::<Value>::new());
    let data = StudyData::read(&out, &Observer::default()).unwrap();
    println!("{}", study_text(&StudyReport::of(&data)));
    check(&data);
}

/// What a report on such a study must say.
fn check(data: &StudyData) {
    let all = OverheadBySize::all(data);
    let [found] = all.as_slice() else { panic!("{} runtimes are compared", all.len()) };
    let model = found.model.as_ref().unwrap();
    assert!((model.fixed.value - FIXED).abs() <= 4.0 * MIB && holds(model.fixed, FIXED), "{:?}", model.fixed);
    let per_limit = model.per_limit;
    assert!((per_limit.value - SHARE).abs() <= 0.01 && holds(per_limit, SHARE), "{per_limit:?}");
    // A line is told to be none in 5 of 100 studies, by less than this.
    let (FitCheck::Fits(off) | FitCheck::NotLinear(off)) = model.check else { panic!("{:?}", model.check) };
    assert!(off.above.value.abs() <= 8.0 * MIB, "{off:?}");
    // 115.2 MiB at 1 GiB, where the class has 160.
    let pod_fixed = PodFixed::of(data, found).unwrap().unwrap();
    let largest = pod_fixed.largest().unwrap();
    assert!(
        matches!(largest.verdict, PodFixedVerdict::More(bytes) if (bytes / MIB - 44.8).abs() <= 8.0),
        "{largest:?}"
    );
    let pods = largest.pods.as_ref().unwrap();
    assert!(pods.in_place < pods.measured, "{pods:?}");
}

fn holds(found: ValueWithInterval, truth: f64) -> bool {
    found.interval.contains(truth)
}

/// The load is the same in each size: it is the limit that the runtime follows.
fn definition(manifest: &Path) -> String {
    let mut text = String::from("name: overhead by size\nengine: kubernetes\n");
    writeln!(text, "scenarios: [{{manifest: {}}}]", manifest.display()).unwrap();
    writeln!(text, "runtimes: [default, {CLASS}]").unwrap();
    text += "sizes:\n";
    for limit in ["128Mi", "512Mi", "1Gi"] {
        writeln!(text, "  - {{name: {limit}, memory: 100M, limits: {{memory: {limit}}}}}").unwrap();
    }
    text += "ramp: {from: 3, step: 3, to: 6, settle: 4s, hold: 4s}\nwarmup: false\ncooldown: {most: 8s}\nblocks: 2\norder: balanced\n";
    text
}
