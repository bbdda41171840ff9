//! Reports on pod latencies of kube-burner, whose truth is in the file.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use ramp_report::report::charts::{charts, marks};
use ramp_report::report::html::page;
use ramp_report::report::json::json;
use ramp_report::report::terminal::text;
use serde_json::{Value, json};

/// 100 pods: half of them ready after 2 s, 40 after 3 s, 10 after 5 s; by the events scheduled after 10 ms, sandbox after 1 s, started
/// half a second before ready.
fn report(name: &str, slower_by: u64) -> Report {
    let place = tempfile::tempdir().unwrap();
    let pod = |number: u64| {
        let ready = slower_by + [2000, 3000, 5000][usize::from(number >= 50) + usize::from(number >= 90)];
        json!({
            "timestamp": format!("2026-07-01T10:00:{:02}Z", number / 2), "schedulingLatency": 10, "initializedLatency": 0,
            "readyToStartContainersLatency": 1000, "containersStartedLatency": ready - 500, "containersReadyLatency": ready,
            "podReadyLatency": ready, "metricName": "podLatencyMeasurement", "uuid": "u", "jobName": "density",
            "namespace": "n", "podName": format!("pod-{number}"), "nodeName": "w1",
        })
    };
    let file: PathBuf = place.path().join(format!("{name}.json"));
    std::fs::write(&file, Value::from((0..100).map(pod).collect::<Vec<_>>()).to_string()).unwrap();
    Report::of(vec![Dataset::read(&file).unwrap()], None)
}

#[test]
fn startup_is_what_the_file_says_and_all_else_is_unavailable_with_the_reason() {
    let report = report("podLatencyMeasurement-density", 0);
    let found = json(&report);
    let run = &found["runs"][0];
    assert_eq!(run["rows"], 0, "there are no steps");
    let latency = &run["behaviour"]["startup_latency"][0];
    let quantile = |name: &str| latency[name]["seconds"].as_f64();
    assert_eq!((latency["count"].as_u64(), latency["censored"].as_u64()), (Some(100), Some(0)), "{latency}");
    assert_eq!([quantile("p50"), quantile("p90"), quantile("p99")], [Some(2.0), Some(3.0), Some(5.0)]);
    let phases = &run["behaviour"]["startup_phases"]["phases"];
    let mean = |at: usize| (phases[at]["mean_seconds"].as_f64().unwrap() * 1e4).round() / 1e4;
    // (50 × 2 + 40 × 3 + 10 × 5) / 100 = 2.7 s until ready.
    assert_eq!([mean(0), mean(1), mean(2), mean(5)], [0.01, 0.99, 1.2, 0.5]);
    assert_eq!((&phases[5]["from"], &phases[5]["to"]), (&json!("container started"), &json!("ready")));
    assert_eq!(phases[3]["reason"], "kube-burner's file has no reports of programs");
    assert_eq!(
        found["summary"],
        "podLatencyMeasurement-density: 100 pods became ready, half of them within 2.00 s of their \
                                  creation, 99% within 5.00 s."
    );
    for figure in ["held", "marginal_cost", "capacity_by_memory", "capacity_by_requests", "saturation"] {
        let figure = &run["estimates"][figure];
        assert!(figure["reason"].as_str().is_some_and(|why| !why.is_empty()), "{figure}");
    }
    let (charts, marks) = (charts(&report), marks(&report));
    let html = page(&report, &charts, &marks, &[]).unwrap();
    assert!(html.contains("latencies of 100 pods, by kube-burner"));
    let text = text(&report);
    assert!(text.contains("half of them within 2.00 s"), "{text}");
}
