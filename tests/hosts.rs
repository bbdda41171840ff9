//! Recorded hosts: files of `/proc` and `/sys` of each, and what is read from them (tests/hosts/README.md).
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};
use workload::host::{Correction, Host};
use workload::memory::Phase;
use workload::quantity::{Bytes, Cores};
use workload::report::{Format, Record, Snapshot, Start, Wanted, WorkloadReport, Writer};
use workload::sample::{Rates, Sample};

/// The report of a process on that host, as JSON.
fn report(root: &Path) -> Value {
    let host = Host::discover(root);
    let start = Start { hostname: String::new(), kernel: String::new(), settings: Vec::new() };
    let snapshot = Snapshot {
        record: Record::Start,
        elapsed: Duration::ZERO,
        wanted: Wanted {
            memory_target: Some(Bytes(0)),
            memory: None,
            cpu: Cores::from_nano(0),
            cpu_time: Duration::ZERO,
        },
        cpus: 1,
        cpu_threads: 0,
        observed: Sample::take(&host, None, (Phase::Holding, Correction::default()), None),
        rates: Rates::default(),
        work_rate_of_best: None,
        reports_lost: 0,
        start: &start,
    };
    let mut writer = Writer::new(Format::Json);
    let line = writer.render::<WorkloadReport>(&snapshot).expect("memory takes it");
    serde_json::from_slice(line).expect("JSON")
}

/// Numbers that are not whole went through different divisions.
fn same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-6,
        _ => one == other,
    }
}

#[test]
fn every_host_is_understood() {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(hosts).expect("they are there") {
        let root = entry.expect("it is readable").path();
        if !root.is_dir() {
            continue;
        }
        let name = root.file_name().expect("it has one").to_string_lossy().into_owned();
        let text = fs::read_to_string(root.join("expected.json")).expect("every host has one");
        let expected: Map<String, Value> = serde_json::from_str(&text).expect("an object");
        assert!(expected.len() > 30, "{name} expects too little");
        let found = report(&root);
        if let (Some(headroom), Some(limit)) =
            (found["memory_headroom_bytes"].as_u64(), found["memory_limit_bytes"].as_u64())
        {
            assert!(headroom <= limit, "{name}: more is left than the limit allows");
        }
        for (field, expected) in expected {
            let found = found.get(&field).unwrap_or_else(|| panic!("{name}: no field {field}"));
            if !same(found, &expected) {
                wrong.push(format!("{name}: {field} is {found}, not {expected}"));
            }
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 8, "only {seen} hosts");
}
