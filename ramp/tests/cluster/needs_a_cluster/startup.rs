//! Startup by phase where it is known: a RuntimeClass that is runc whose sandboxes take two seconds longer.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use ramp_report::progress::Observer;
use ramp_report::study::comparison::FigureComparison;
use ramp_report::study::data::StudyData;
use ramp_report::study::verdict::Verdict;
use serde_json::Value;

use crate::ended_pods::EndedPods;
use crate::process::{left, one_node, ramp, scenario, tidy_cluster};

/// The RuntimeClass, and what its sandboxes take longer, in seconds.
const SLOW: &str = "kata-slow";
const LONGER: f64 = 2.0;
const WITHIN: f64 = 0.15;

#[test]
#[ignore = "needs a cluster on this machine with a RuntimeClass kata-slow, which is runc and two seconds more for each sandbox"]
fn the_sandbox_phase_of_a_runtime_is_longer_by_what_is_true_and_no_other_phase_differs() {
    tidy_cluster();
    let _ended_pods = EndedPods::removed();
    let _others_are_cordoned = one_node();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("study.yaml");
    let out = directory.path().join("study");
    let mut text = String::from("name: startup by phase\nengine: kubernetes\n");
    writeln!(text, "scenarios: [{{manifest: {}}}]", scenario("runc/memory-capacity.yaml").display()).unwrap();
    writeln!(text, "runtimes: [default, {SLOW}]").unwrap();
    text += "sizes: [{name: 30M, memory: 30M}]\nramp: {to: 5, settle: 1s, hold: 1s}\n";
    text += "warmup: false\ncooldown: {most: 1s}\nblocks: 3\n";
    fs::write(&file, text).unwrap();
    let study = ramp(&["study", "run", file.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    let (status, said) = study.wait_for(Duration::from_secs(600));
    assert!(status.success(), "{status}: {said}");
    assert_eq!(left(), Vec::<Value>::new());
    slow_sandboxes_are_told(&StudyData::read(&out, &Observer::default()).unwrap());
}

/// That a study says of the runtime with slow sandboxes what is true, against its base; it may have other runtimes.
fn slow_sandboxes_are_told(data: &StudyData) {
    let compared = data.comparisons();
    let is_slow = |cell: usize| data.cells[cell].runtimes == [SLOW];
    let compared = compared.iter().find(|compared| is_slow(compared.other)).unwrap();
    let is_phase = |found: &&FigureComparison| {
        let name = found.figure.name;
        name.starts_with("startup_") && !["startup_median", "startup_mean"].contains(&name)
    };
    let phases: Vec<&FigureComparison> =
        compared.comparison.figures.iter().flatten().filter(is_phase).collect();
    for found in &phases {
        let (name, at) = (found.figure.name, found.difference.difference.mean);
        println!("{name}: {at:.3} s ({:.3} to {:.3})", found.interval.low, found.interval.high);
    }
    assert_eq!(phases.len(), 6, "each phase is told");
    for found in phases {
        let (name, at) = (found.figure.name, found.difference.difference.mean);
        if name == "startup_sandbox" {
            assert!((at - LONGER).abs() <= WITHIN, "{name}: {at}");
            assert!(found.interval.contains(LONGER), "{name}: {:?}", found.interval);
            assert_eq!(found.verdict, Verdict::Differs, "{name}");
        } else {
            assert_ne!(found.verdict, Verdict::Differs, "{name}: {at}, {:?}", found.interval);
        }
    }
}
