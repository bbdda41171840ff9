//! Stored run directories of every version that can be read, and their figures.
//!
//! | directory | recorded by | has not |
//! |---|---|---|
//! | `1-without-forecast` | the first engine, `local` | `forecast`, `plan.settle`, `held`, `running`; its rule is `free-memory` |
//! | `1-with-forecast` | `local` | `plan.settle`, `held`, `running` |
//! | `1-with-settle` | `simulated` | `held` and `running`; the column `ready` of `workloads.csv` |
//! | `1-current` | `simulated` | |
//!
//! Some columns of `nodes.csv` and `workloads.csv` that no figure depends on are emptied, and some reports are left out, to save space.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use ramp_format::rows::{EventRow, NodeRow, PodRow, StepRow, Table, WorkloadRow};
use ramp_report::analysis::SaturationRule;
use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use ramp_report::report::figure::Scope;
use ramp_report::report::json::json;
use ramp_report::report::registry::FIGURES;
use ramp_report::report::terminal::text;

/// Figures of a stored directory.
struct Stored {
    directory: &'static str,
    held: u32,
    running: u32,
    saturation: (u32, SaturationRule),
    marginal_megabytes: f64,
    capacity: Option<u64>,
}

const STORED: [Stored; 4] = [
    Stored {
        directory: "1-without-forecast",
        held: 8,
        running: 9,
        saturation: (9, SaturationRule::OomKilled),
        marginal_megabytes: 47.5,
        capacity: None,
    },
    Stored {
        directory: "1-with-forecast",
        held: 8,
        running: 9,
        saturation: (9, SaturationRule::OomKilled),
        marginal_megabytes: 48.2,
        capacity: Some(6),
    },
    Stored {
        directory: "1-with-settle",
        held: 7,
        running: 8,
        saturation: (8, SaturationRule::Evicted),
        marginal_megabytes: 200.7,
        capacity: Some(7),
    },
    Stored {
        directory: "1-current",
        held: 7,
        running: 8,
        saturation: (8, SaturationRule::OomKilled),
        marginal_megabytes: 200.7,
        capacity: Some(7),
    },
];

fn path(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions").join(directory)
}

fn report(directory: &str) -> Report {
    Report::of(vec![Dataset::read(&path(directory)).unwrap()], None)
}

#[test]
fn every_version_is_read_with_its_figures() {
    for stored in STORED {
        let name = stored.directory;
        let report = report(name);
        let (data, found) = report.runs().next().unwrap();
        assert!(data.notes.is_empty(), "{name}: {:?}", data.notes);
        let found = &found.estimates;
        assert_eq!(found.held.as_ref().unwrap().count, stored.held, "{name}");
        assert_eq!(found.running.as_ref().unwrap().count, stored.running, "{name}");
        let saturation = found.saturation.saturation.as_ref().unwrap();
        assert_eq!((saturation.step, saturation.rule), stored.saturation, "{name}");
        let megabytes = found.marginal_cost.as_ref().unwrap().bytes / 1e6;
        assert_eq!((megabytes * 10.0).round() / 10.0, stored.marginal_megabytes, "{name}");
        let capacity = found.predicted_capacity.as_ref().ok().map(|capacity| capacity.instances);
        assert_eq!(capacity, stored.capacity, "{name}");
    }
}

#[test]
fn memory_per_container_is_that_of_the_instances_cgroup_although_samples_follow_its_removal() {
    for directory in ["1-without-forecast", "1-with-forecast"] {
        let nodes = fs::read_to_string(path(directory).join(NodeRow::FILE)).unwrap();
        assert!(nodes.lines().last().unwrap().contains(",0,true,,,"), "the last sample has no budget");
        let report = report(directory);
        let (data, found) = report.runs().next().unwrap();
        assert_eq!(data.usage_measure(), "memory charged to the instances' cgroup", "{directory}");
        let max = found.estimates.usage.max.as_ref().unwrap().mib;
        assert!((40.0..60.0).contains(&max), "{directory}: {max} MiB for a load of 50 MB");
    }
}

#[test]
fn a_time_that_is_no_time_of_a_run_is_no_panic() {
    let place = tempfile::tempdir().unwrap();
    for file in fs::read_dir(path("1-with-forecast")).unwrap() {
        let file = file.unwrap();
        let mut text = fs::read_to_string(file.path()).unwrap();
        match file.file_name().to_str().unwrap() {
            // Two nodes, whose missing samples are added up.
            NodeRow::FILE => {
                let other = text.replace(",node,sample,", ",other,sample,");
                text += other.split_once('\n').unwrap().1;
            }
            StepRow::FILE => {
                let (rest, last) = text.trim_end().rsplit_once('\n').unwrap();
                let cells: Vec<&str> = last.split(',').collect();
                text = format!("{rest}\n{},1e308,{}\n", cells[0], cells[2..].join(","));
            }
            _ => {}
        }
        fs::write(place.path().join(file.file_name()), text).unwrap();
    }
    let data = Dataset::read(place.path()).unwrap();
    assert!(data.notes.iter().any(|note| note.contains("samples are missing")), "{:?}", data.notes);
    let report = Report::of(vec![data], None);
    assert!(json(&report).is_object());
}

#[test]
fn the_number_of_a_figure_is_at_its_documented_key() {
    for stored in STORED {
        let report = report(stored.directory);
        let (data, found) = report.runs().next().unwrap();
        let object = &json(&report)["runs"][0];
        let mut numbers = 0;
        for figure in FIGURES.iter().filter(|figure| figure.is_number()) {
            let Scope::Run(of) = figure.scope else { continue };
            let Some(number) = of(data, found).ok().and_then(|reading| reading.number) else { continue };
            let pointer = format!("/{}", figure.json.path().replace('.', "/"));
            let value = object.pointer(&pointer).and_then(serde_json::Value::as_f64);
            assert_eq!(value, Some(number), "{}: {}", stored.directory, figure.name);
            numbers += 1;
        }
        assert!(numbers >= 10, "{}: {numbers}", stored.directory);
    }
}

#[test]
fn a_plain_run_has_no_rows_of_what_it_was_not_made_to_tell() {
    let plain = report("1-current");
    let all = Report { verbose: true, ..plain.clone() };
    for name in ["CPU at rest", "CPU per start", "PIDs per instance", "capacity by limits"] {
        let row = format!("\n  {name} ");
        assert!(!text(&plain).contains(&row), "{name}: {}", text(&plain));
        let told = text(&all);
        let at = told.find(&row).unwrap_or_else(|| panic!("{name}: {told}"));
        assert!(told[at..].trim_start().lines().next().unwrap().contains("n/a: "), "{told}");
    }
}

#[test]
fn every_stored_version_is_checked_and_small_and_each_of_its_columns_is_still_one() {
    let directories = fs::read_dir(path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = directories.map(|name| name.into_string().unwrap()).collect();
    names.sort_unstable();
    let mut stored = STORED.map(|stored| stored.directory);
    stored.sort_unstable();
    assert_eq!(names, stored);
    for name in &names {
        let files = fs::read_dir(path(name)).unwrap();
        let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes < 30 << 10, "{name}: {bytes} bytes");
    }
    for name in &names {
        let has = |file: &str, columns: Vec<&str>| {
            let text = fs::read_to_string(path(name).join(file)).unwrap();
            let mut header = text.lines().next().unwrap().split(',');
            assert_eq!(header.find(|column| !columns.contains(column)), None, "{name}/{file}");
        };
        has(StepRow::FILE, StepRow::header());
        has(NodeRow::FILE, NodeRow::header());
        has(PodRow::FILE, PodRow::header());
        has(WorkloadRow::FILE, WorkloadRow::header());
        has(EventRow::FILE, EventRow::header());
    }
}

#[test]
fn a_device_in_place_of_a_file_is_refused_and_not_waited_for() {
    for name in ["run.json", "nodes.csv"] {
        let directory = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(path("1-current")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != name {
                fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
            }
        }
        std::os::unix::fs::symlink("/dev/zero", directory.path().join(name)).unwrap();
        let refusal = Dataset::read(directory.path()).unwrap_err().to_string();
        assert!(refusal.contains(name) && refusal.contains("not a regular file"), "{refusal}");
    }
}
