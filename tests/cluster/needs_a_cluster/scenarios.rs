//! Every scenario as its file is, under every runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use humantime::parse_rfc3339;
use serde_json::Value;

use super::table::{self, Row};
use crate::applied::{Applied, PROMPT, cluster, nodes};
use crate::kubectl::{follow_log, last_record};
use crate::manifest::{RUNTIMES, Scenario};
use crate::probe::Probes;
use crate::support::{Records, number};
use crate::watch::Sighting;

/// The clocks of the nodes and of this machine are no farther apart.
const SKEW_SECONDS: f64 = 0.1;
/// A probe a second, and what the kubelet and the API server take to tell it.
const LONGEST_TO_TELL_SECONDS: f64 = 3.0;
/// Of a scenario that takes all it can get, 25 MB more each second.
const LONGEST_TO_FILL_A_NODE: Duration = Duration::from_secs(600);
const LONGEST_TO_END_SECONDS: f64 = 2.0;

/// From one time to another, also where that is before.
fn seconds(from: SystemTime, to: SystemTime) -> f64 {
    match to.duration_since(from) {
        Ok(later) => later.as_secs_f64(),
        Err(earlier) => -earlier.duration().as_secs_f64(),
    }
}

fn time(record: &Value) -> SystemTime {
    parse_rfc3339(record["time"].as_str().expect("a text")).expect("RFC 3339")
}

/// Applies a scenario, looks at what becomes of it, and deletes it.
fn observe(scenario: &Scenario) -> Row {
    let mut applied = Applied::as_it_is(scenario);
    let there = applied.watch.wait_for("a pod", PROMPT, |_| true);
    let running = applied.watch.wait_for("its container to run", PROMPT, Sighting::is_running);
    let (_log, mut records) = follow_log(running.name(), &[]);
    let start = records.next().expect("it says something");
    let mut row = Row {
        scenario: scenario.name.clone(),
        runtime: scenario.runtime,
        limit: scenario.resource_bytes("limits"),
        reported_limit: start["memory_limit_bytes"].clone(),
        ..Row::default()
    };
    if scenario.memory_bytes().is_some() {
        observe_holding(&mut applied, &mut records, there.at, &mut row);
    } else {
        observe_growing(&mut applied, &mut records, &mut row);
    }
    let begin = applied.delete();
    let since = |sighting: Sighting| seconds(begin, sighting.at);
    // One that has been killed may not be running when it is told to end.
    if row.end.is_none() {
        let ended = applied.watch.wait_for("its container to end", PROMPT, |s| s.ended().is_some());
        assert_eq!(ended.ended().expect("as waited for")["exitCode"], 0, "it ends when it is told to");
        row.ended_seconds = Some(since(ended));
    }
    row.gone_seconds = since(applied.watch.wait_for("its pod to be gone", PROMPT, |s| s.is_gone));
    row
}

/// Of a scenario that holds what it asks for.
fn observe_holding(applied: &mut Applied, records: &mut Records, there: SystemTime, row: &mut Row) {
    let ready = applied.watch.wait_for("it to be ready", PROMPT, Sighting::is_ready);
    let holding = records.wait_for("report of holding", PROMPT, |record| record["phase"] == "holding");
    // Long enough that what growing cost has been paid for.
    let later = records.wait_for("later report", PROMPT, |record| number(record, "elapsed_seconds") >= 9.0);
    row.ready_seconds = Some(seconds(there, ready.at));
    row.ready_after_holding_seconds = Some(seconds(time(&holding), ready.at));
    row.resident = number(&later, "memory_resident_bytes") as u64;
    row.cores = Some(number(&later, "cpu_used_seconds_total") / number(&later, "elapsed_seconds"));
}

/// Of a scenario that takes all it can get.
fn observe_growing(applied: &mut Applied, records: &mut Records, row: &mut Row) {
    let killed = applied.watch.wait_for("it to be killed", LONGEST_TO_FILL_A_NODE, |sighting| {
        assert!(!sighting.is_ready(), "ready, with memory still to be had");
        sighting.is_evicted() || sighting.is_oom_killed()
    });
    let last = records.last();
    row.resident = number(&last, "memory_resident_bytes") as u64;
    row.end = Some(if killed.is_evicted() { "evicted".into() } else { "OOM-killed".into() });
}

/// A report for every percent, and the program's own 2 MB, of which the file is charged to whoever read it first.
fn is_close(resident: u64, limit: u64) -> bool {
    resident.abs_diff(limit) <= limit / 100 + (2 << 20)
}

/// What has to be true of what was seen.
fn check(scenario: &Scenario, row: &Row) {
    match row.limit {
        Some(limit) => assert_eq!(row.reported_limit, limit, "the limit of the manifest"),
        // Then what is left is the node: the cgroup of all its pods, where that is limited.
        None => assert!(row.reported_limit == "unlimited" || row.reported_limit.as_u64() >= smallest_node()),
    }
    if let Some(asked) = scenario.memory_bytes() {
        assert!(row.resident.abs_diff(asked) <= 64 << 10, "{} bytes resident of {asked}", row.resident);
        let after = row.ready_after_holding_seconds.expect("seen");
        assert!((-SKEW_SECONDS..LONGEST_TO_TELL_SECONDS).contains(&after), "ready {after} s after holding");
        let ended = row.ended_seconds.expect("seen");
        assert!(ended < LONGEST_TO_END_SECONDS, "ended {ended} s after the request");
    } else if let Some(limit) = row.limit {
        assert!(
            is_close(row.resident, limit),
            "{} bytes at its last report, killed at {limit}",
            row.resident
        );
    }
    if scenario.name.starts_with("cpu-") {
        let asked: f64 = scenario.args().cpu.to_string().parse().expect("cores");
        let had = row.cores.expect("seen");
        assert!((had / asked - 1.0).abs() < 0.03, "{had} cores of {asked}");
    }
}

/// The memory that the smallest node has for pods.
fn smallest_node() -> Option<u64> {
    let allocatable = |node: &Value| {
        let text = node["status"]["allocatable"]["memory"].as_str().expect("nodes tell");
        text.parse::<workload::quantity::Bytes>().expect("a quantity").0
    };
    nodes().iter().map(allocatable).min()
}

#[test]
#[ignore = "needs a cluster"]
fn every_scenario_under_every_runtime_is_what_its_file_says() {
    let _turn = cluster();
    let mut probes = Probes::from_now();
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for scenario in RUNTIMES.into_iter().flat_map(Scenario::all) {
        // One that fails is no reason not to look at the others; it has said why.
        let seen = catch_unwind(AssertUnwindSafe(|| observe(&scenario)));
        let holds = seen.map(|row| {
            let holds = catch_unwind(AssertUnwindSafe(|| check(&scenario, &row))).is_ok();
            rows.push(row);
            holds
        });
        if !holds.unwrap_or(false) {
            failed.push(scenario.title());
        }
    }
    table::leave("scenarios.md", &table::markdown(&rows));
    probes.assert_they_went_on();
    assert!(failed.is_empty(), "not as asked: {failed:?}\n{}", table::markdown(&rows));
}

#[test]
#[ignore = "needs a cluster"]
fn a_limit_below_what_it_needs_kills_it_and_its_last_report_says_how_far_it_got() {
    const LIMIT: u64 = 256 << 20;
    let _turn = cluster();
    for runtime in RUNTIMES {
        let mut scenario = Scenario::named("memory-restricted", runtime);
        scenario.pod()["containers"][0]["resources"] =
            serde_json::json!({"requests": {"memory": "192Mi"}, "limits": {"memory": "256Mi"}});
        let mut applied = Applied::changed(&scenario);
        // Seen again once it is started again, which is when its log is that of a previous one.
        let again = applied.watch.wait_for("it to be killed and started again", PROMPT, |sighting| {
            assert!(!sighting.is_ready(), "ready without its memory");
            sighting.is_oom_killed() && sighting.restarts() > 0
        });
        let last = last_record(again.name(), &["--previous"]);
        assert_eq!(last["memory_limit_bytes"], LIMIT, "{runtime}: {last}");
        assert_eq!(last["memory_target_bytes"], 500_000_000, "{runtime}: {last}");
        let got = number(&last, "memory_resident_bytes") as u64;
        assert!(is_close(got, LIMIT), "{runtime}: {got} bytes at its last report, killed at {LIMIT}");
    }
}
