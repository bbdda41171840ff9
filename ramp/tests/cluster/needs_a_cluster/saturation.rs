//! Saturation of a real cluster, under runc and kata.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::ended_pods::EndedPods;
use crate::observer::Observer;
use crate::process::{self, KataWithoutCpu, kubectl, left, scenario, tidy_cluster};
use crate::support::transitions::{Account, audit};
use crate::support::{column, numbers, rows};

#[test]
#[ignore = "needs a cluster"]
fn under_runc_what_gives_way_is_counted_as_kubectl_counts_it() {
    let account = saturate("runc", "");
    assert!(account.of("evicted") + account.of("oom_killed") > 0, "memory is what gives way");
}

#[test]
#[ignore = "needs a cluster with a RuntimeClass kata"]
fn under_kata_what_gives_way_is_counted_as_kubectl_counts_it() {
    saturate("kata", "kata");
}

#[test]
#[ignore = "needs a cluster with a RuntimeClass kata"]
fn under_kata_that_requests_no_cpu_memory_gives_way_and_is_counted_as_kubectl_counts_it() {
    const CLASS: &str = "ramp-test-kata";
    let _class = KataWithoutCpu::named(CLASS);
    let account = saturate("kata", CLASS);
    assert!(account.of("evicted") + account.of("oom_killed") > 0, "memory is what gives way");
}

/// A ramp until something gives way and a few steps beyond, under a RuntimeClass, or none where its name is empty.
fn saturate(scenarios_of: &str, class: &str) -> Account {
    tidy_cluster();
    let _ended_pods = EndedPods::removed();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("run");
    let manifest = scenario(&format!("{scenarios_of}/memory-capacity.yaml"));
    let observer = Observer::start();
    let events_before = evicted_by_events();
    // Four at a time, and a few steps beyond: the knee is what is looked for.
    let run = process::run(
        &manifest,
        &out,
        &[
            "--runtime",
            if class.is_empty() { "default" } else { class },
            "--memory",
            "200M",
            "--step",
            "4",
            "--step-timeout",
            "12s",
            "--beyond",
            "2",
            "--stop",
            "evictions:0/1m",
            "--stop",
            "oom-kills:0/1m",
            "--stop",
            "stalled:3",
            "--settle",
            "2s",
            "--hold",
            "10s",
        ],
    );
    let (status, said) = run.wait_for(Duration::from_secs(900));
    assert!(status.success(), "{status}: {said}");
    let seen = observer.end();
    let account = audit(&out);
    println!("{said}");
    let evicted = rows(&out, "pods.csv").into_iter().filter(|row| row["to"] == "evicted");
    let mut evicted: Vec<_> = evicted.map(|row| row["instance"].clone()).collect();
    evicted.sort();
    let by_status: Vec<_> = seen.evicted.iter().cloned().collect();
    assert_eq!(evicted, by_status, "evictions, by the pods' status, each once: {said}");
    let events: BTreeSet<_> = evicted_by_events().difference(&events_before).cloned().collect();
    let recorded: BTreeSet<_> = evicted_in(&out).difference(&events_before).cloned().collect();
    assert_eq!(recorded, events, "each event that kubectl shows, and no other");
    // A kubelet sends no more than a few events a second, so that some have none. It says so first, and then ends the pod: what
    // is told to end in between never has that status.
    for pod in events.difference(&seen.evicted) {
        let rows = rows(&out, "pods.csv").into_iter().filter(|row| row["instance"] == *pod);
        let states: Vec<String> = rows.map(|row| row["to"].clone()).collect();
        assert!(states.contains(&"terminating".to_owned()), "an event, and no end: {states:?}");
    }
    assert_eq!(account.of("oom_killed") as usize, seen.oom_killed.len(), "{:?}\n{said}", seen.oom_killed);
    assert!(account.there().is_empty(), "all are gone: {:?}", account.there());
    assert_eq!(account.last.len(), seen.pods.len(), "every pod has its rows");
    assert_eq!(seen.runtime_classes, BTreeSet::from([class.to_owned()]));
    assert_eq!(left(), Vec::<Value>::new(), "nothing is left");
    samples_and_reports(&out);
    println!(
        "{class}: {} pods, {} evicted ({} by events), {} OOM kills, as kubectl counts them",
        seen.pods.len(),
        seen.evicted.len(),
        events.len(),
        seen.oom_killed.len()
    );
    account
}

/// The nodes share a kernel here: two nodes, one memory.
fn samples_and_reports(out: &std::path::Path) {
    let kernels: BTreeSet<String> =
        column(out, "nodes.csv", "boot_id").into_iter().filter(|id| !id.is_empty()).collect();
    let totals: BTreeSet<u64> =
        numbers(out, "steps.csv", "memory_total_bytes").iter().map(|total| *total as u64).collect();
    let of_nodes: BTreeSet<u64> =
        numbers(out, "nodes.csv", "memory_total_bytes").iter().map(|total| *total as u64).collect();
    if kernels.len() == 1 {
        assert_eq!(totals, of_nodes, "memory of one kernel counts once");
    }
    let reported: BTreeSet<String> = column(out, "workloads.csv", "uid").into_iter().collect();
    let ready: BTreeSet<String> = rows(out, "pods.csv")
        .into_iter()
        .filter(|row| row["to"] == "ready")
        .map(|row| row["uid"].clone())
        .collect();
    let silent = ready.difference(&reported).count();
    assert!(silent * 10 <= ready.len(), "{silent} of {} were never read", ready.len());
    let run = ramp_format::run_file::read_run(out).unwrap();
    assert!(run.end.is_some() && run.teardown.unwrap().left.is_empty());
    assert!(run.versions.contains_key("kubernetes") && !run.nodes.is_empty());
}

/// Those that an event says were evicted, by a run's record.
fn evicted_in(out: &std::path::Path) -> BTreeSet<String> {
    let events = rows(out, "events.csv").into_iter();
    let evicted = events.filter(|row| row["kind"] == "cluster" && row["reason"] == "Evicted");
    evicted.filter_map(|row| row["object"].strip_prefix("pod/").map(str::to_owned)).collect()
}

/// Pods of the load that an event says were evicted.
fn evicted_by_events() -> BTreeSet<String> {
    let arguments =
        ["--namespace", "workload", "get", "events", "--field-selector", "reason=Evicted", "-o", "json"];
    let list: Value = serde_json::from_str(&kubectl(&arguments)).unwrap();
    let events = list["items"].as_array().unwrap().iter();
    events.filter_map(|event| event["involvedObject"]["name"].as_str().map(str::to_owned)).collect()
}
