//! CPU overhead per pod where it is known: a cluster whose kata-busy is runc plus a process that uses 0.5 s of CPU time at its start and
//! 0.02 cores ever after.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use ramp_report::progress::Observer;
use ramp_report::study::data::StudyData;
use ramp_report::study::figure::STUDY_FIGURES;
use serde_json::Value;

use crate::ended_pods::EndedPods;
use crate::process::{KataWithoutCpu, left, one_node, ramp, scenario, tidy_cluster};

const CLASS: &str = "ramp-test-cpu";
const MIB: f64 = (1 << 20) as f64;

#[test]
#[ignore = "needs a quiet cluster on this machine with a RuntimeClass handler kata-busy, which is runc and 0.02 cores in each pod"]
fn a_study_holds_the_cpu_time_of_a_runtime_at_rest_and_per_start() {
    tidy_cluster();
    let _ended_pods = EndedPods::removed();
    let _others_are_cordoned = one_node();
    // So many fit: the more there are, the less of the machine's own noise is in the figure of each.
    let _class = KataWithoutCpu::with_memory(CLASS, "kata-busy", "40Mi");
    let directory = tempfile::tempdir().unwrap();
    let (file, out) = (directory.path().join("study.yaml"), directory.path().join("study"));
    fs::write(&file, definition()).unwrap();
    let study = ramp(&["study", "run", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let (status, said) = study.wait_for(Duration::from_secs(900));
    assert!(status.success(), "{status}: {said}");
    assert_eq!(left(), Vec::<Value>::new());

    let data = StudyData::read(&out, &Observer::default()).unwrap();
    let compared = data.comparisons();
    let mut wrong = Vec::new();
    for (name, truth, within) in [
        ("cpu_at_rest", 0.02, 0.002),
        ("cpu_per_start", 0.5, 0.05),
        ("memory_per_instance", 32.0 * MIB, 3.0 * MIB),
    ] {
        let at = STUDY_FIGURES.iter().position(|figure| figure.name == name).unwrap();
        let found = compared[0].comparison.figures[at].as_ref().unwrap();
        let (mean, interval) = (found.difference.difference.mean, found.interval);
        println!("{name}: {mean:.4} ({:.4} to {:.4}) where {truth:.4} is true", interval.low, interval.high);
        if (mean - truth).abs() > within || !interval.contains(truth) {
            wrong.push(format!("{name}: {mean:.4} ({:.4} to {:.4})", interval.low, interval.high));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A study of the base and what is known, with instances that take next to no CPU time themselves.
fn definition() -> String {
    let manifest = scenario("runc/memory-capacity.yaml");
    let mut text = String::from("name: CPU time of runtimes\nengine: kubernetes\n");
    writeln!(text, "scenarios: [{{manifest: {}}}]", manifest.display()).unwrap();
    writeln!(text, "runtimes: [default, {CLASS}]").unwrap();
    text += "sizes: [{name: idle, memory: 10M, cpu: \"0\"}]\n";
    text += "ramp: {from: 15, step: 15, to: 30, settle: 20s, hold: 30s}\ncooldown: {most: 5s}\nwarmup: false\nblocks: 3\norder: balanced\n";
    text
}
