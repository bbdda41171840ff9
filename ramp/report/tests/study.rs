//! What the recorded files of the study of 2021 say. They are no part of this project: `STUDY_DATA` names their directory.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use ramp_report::analysis::comparison::{Comparison, Pooled};
use ramp_report::analysis::{Estimates, SaturationRule};
use ramp_report::dataset::Dataset;

fn read(name: &str) -> Dataset {
    let directory =
        std::env::var_os("STUDY_DATA").expect("STUDY_DATA names the directory of the study's CSV files");
    Dataset::read(&PathBuf::from(directory).join(name)).unwrap()
}

fn estimates(name: &str) -> Estimates {
    Estimates::of(&read(name), None)
}

#[test]
#[ignore = "needs STUDY_DATA: the study's CSV files"]
fn the_study_s_files_say_what_the_study_should_have_published() {
    // Maximum running, its step; saturation where the nodes were full, usage there; the least usage.
    let table = [
        ("runc.csv", 377, 691, Some((167, 516.0)), 159.0),
        ("kata.csv", 134, 479, Some((69, 1278.0)), 508.0),
        ("unlimited-runc.csv", 125, 383, None, 451.0),
        ("unlimited-kata.csv", 103, 392, None, 259.0),
        ("limited-runc.csv", 110, 902, None, 518.0),
        ("limited-kata.csv", 102, 556, None, 237.0),
    ];
    for (name, count, step, full, min) in table {
        let found = estimates(name);
        let maximum = found.running.unwrap();
        assert_eq!((maximum.count, maximum.step), (count, step), "{name}");
        assert_eq!(found.usage.min.unwrap().mib.round(), min, "{name}");
        let saturation = found.saturation.saturation.unwrap();
        match full {
            Some((step, usage)) => {
                assert_eq!((saturation.step, saturation.rule), (step, SaturationRule::NodesFull), "{name}");
                assert_eq!(found.usage.at_saturation.unwrap().mib.round(), usage, "{name}");
            }
            None => {
                assert_ne!(saturation.rule, SaturationRule::NodesFull, "{name}");
                let why = found.usage.at_saturation.unwrap_err();
                assert!(why.0.starts_with("the nodes were never full; at step "), "{name}: {why}");
            }
        }
    }
}

#[test]
#[ignore = "needs STUDY_DATA: the study's CSV files"]
fn stale_cells_are_counted_and_what_an_instance_costs_is_estimated_without_them() {
    let share = |name: &str| (read(name).cells().stale_percent().unwrap() * 10.0).round() / 10.0;
    assert_eq!((share("runc.csv"), share("kata.csv")), (49.7, 68.7));
    let data = [read("runc.csv"), read("kata.csv")];
    let [runc, kata] = data.each_ref().map(|data| Estimates::of(data, None));
    let (cost, other) = (runc.marginal_cost.clone().unwrap(), kata.rough_cost.clone().unwrap());
    assert!((490e6..550e6).contains(&cost.bytes), "{} bytes, of a workload of 500 MB", cost.bytes);
    let width = |cost: &ramp_report::analysis::MarginalCost| cost.interval.high - cost.interval.low;
    assert!(width(&other) > 4.0 * width(&cost), "{other:?}");
    let why = kata.marginal_cost.clone().unwrap_err();
    assert!(why.0.contains("too wide to be of use"), "{why}");
    let comparison = Comparison::of(&Pooled::of(&[(&data[0], &runc)]), &Pooled::of(&[(&data[1], &kata)]));
    let percent = |ratio: f64| (ratio * 100.0).round();
    assert_eq!(percent(comparison.overhead_by_maximum.unwrap()), 181.0);
    assert_eq!(percent(comparison.overhead_by_saturation.unwrap()), 142.0);
    assert_eq!(percent(comparison.overhead_by_usage.unwrap()), 148.0);
    let why = comparison.overhead_per_pod.unwrap_err();
    assert!(why.0.contains("too wide to be of use"), "{why}");
}
