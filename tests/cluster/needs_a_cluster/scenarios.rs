//! Every scenario manifest, unmodified, under every runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, SystemTime};

use humantime::parse_rfc3339;
use serde_json::Value;

use super::table::{self, Row};
use crate::applied::{Applied, PROMPT, TwoNodes, allocatable_bytes, nodes, set_up};
use crate::kubectl::{Log, last_record_before};
use crate::manifest::{RUNTIMES, Scenario};
use crate::probe::Probes;
use crate::support::number;
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

/// A scenario that has been observed, and is being removed.
struct Leaving {
    scenario: Scenario,
    applied: Applied,
    /// When that was asked for.
    begin: SystemTime,
    row: Row,
}

impl Leaving {
    /// Waits until its pod is gone, and any that came in its place.
    fn gone(mut self) -> (Scenario, Row) {
        // When that was is seen also of one that went before.
        let gone = self.applied.watch.wait_for("its pod to be gone", PROMPT, |sighting| sighting.is_gone);
        self.row.gone_seconds = seconds(self.begin, gone.at);
        (self.scenario, self.row)
    }

    /// Whether it is in the way of another one: what is full takes nobody, a pod has its requests until it is gone, and under the other
    /// runtime a scenario has the same name.
    fn is_in_the_way_of(&self, next: &Scenario) -> bool {
        let requests = |scenario: &Scenario| scenario.resource_bytes("requests").is_some();
        !holds(&self.scenario)
            || (requests(&self.scenario) && requests(next))
            || self.scenario.name == next.name
    }
}

/// Looks at what becomes of a scenario, and deletes it.
fn observe(scenario: &Scenario, mut applied: Applied) -> Leaving {
    let running = applied.watch.wait_for("its container to run", PROMPT, Sighting::is_running);
    let log = Log::follow(running.name(), &[]);
    let start = log.wait_for("first record", PROMPT, |_| true);
    let mut row = Row {
        scenario: scenario.name.clone(),
        runtime: scenario.runtime,
        limit: scenario.resource_bytes("limits"),
        reported_limit: start["memory_limit_bytes"].clone(),
        ..Row::default()
    };
    let begin = if holds(scenario) {
        observe_holding(&mut applied, &log, &mut row);
        let begin = applied.delete();
        observe_end(&mut applied, log, begin, &mut row);
        begin
    } else {
        observe_growing(&mut applied, log, &mut row);
        applied.delete()
    };
    Leaving { scenario: scenario.clone(), applied, begin, row }
}

/// It asks for a number of bytes; the others take all that they can get.
fn holds(scenario: &Scenario) -> bool {
    scenario.memory_bytes().is_some()
}

/// Nothing where it panics, which has said why: the others are looked at nevertheless.
fn attempt<T>(observe: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(observe)).ok()
}

/// Observes scenarios one after the other, each once the one before has ended. Where one panics there is nothing of it.
fn observe_in_turn(scenarios: Vec<Scenario>, apply: impl Fn(&Scenario) -> Applied) -> Vec<(Scenario, Row)> {
    let mut rows = Vec::new();
    let mut leaving: Vec<Leaving> = Vec::new();
    for scenario in scenarios {
        for one in leaving.extract_if(.., |one| one.is_in_the_way_of(&scenario)) {
            rows.extend(attempt(|| one.gone()));
        }
        leaving.extend(attempt(|| observe(&scenario, apply(&scenario))));
    }
    rows.extend(leaving.into_iter().filter_map(|one| attempt(|| one.gone())));
    rows
}

/// Of a scenario that holds what it asks for.
fn observe_holding(applied: &mut Applied, log: &Log, row: &mut Row) {
    let ready = applied.watch.wait_for("it to be ready", PROMPT, Sighting::is_ready);
    let holding = log.wait_for("report of holding", PROMPT, |record| record["phase"] == "holding");
    // Long enough that what growing cost has been paid for.
    let later = log.wait_for("later report", PROMPT, |record| number(record, "elapsed_seconds") >= 9.0);
    row.ready_seconds = Some(seconds(applied.at, ready.at));
    row.ready_after_holding_seconds = Some(seconds(time(&holding), ready.at));
    row.resident = number(&later, "memory_resident_bytes") as u64;
    row.cores = Some(number(&later, "cpu_used_seconds_total") / number(&later, "elapsed_seconds"));
}

/// Of a scenario that is told to end while it holds what it asked for.
fn observe_end(applied: &mut Applied, log: Log, begin: SystemTime, row: &mut Row) {
    let told = applied.watch.wait_for("it to be told to end", PROMPT, Sighting::is_told_to_end);
    let stopped = applied.watch.wait_for("its container to end", PROMPT, Sighting::has_stopped);
    row.ended_seconds = Some(seconds(begin, stopped.at));
    row.ended_after_told_seconds = Some(seconds(told.at, stopped.at));
    assert!(matches!(stopped.exit_status(), None | Some(0)), "ended with {:?}", stopped.exit_status());
    let last = log.last(PROMPT);
    assert_eq!((&last["record"], &last["reason"]), (&"end".into(), &"SIGTERM".into()), "{last}");
}

/// Of a scenario that takes all it can get.
fn observe_growing(applied: &mut Applied, log: Log, row: &mut Row) {
    let killed = applied.watch.wait_for("it to be killed", LONGEST_TO_FILL_A_NODE, |sighting| {
        assert!(!sighting.is_ready(), "ready, with memory still to be had");
        sighting.is_evicted() || sighting.is_oom_killed()
    });
    row.resident = number(&log.last(PROMPT), "memory_resident_bytes") as u64;
    row.end = Some(if killed.is_evicted() { "evicted" } else { "OOM-killed" });
}

/// A report for every percent, and the program's own 2 MB, of which the file is charged to whoever read it first.
fn is_close(resident: u64, limit: u64) -> bool {
    resident.abs_diff(limit) <= limit / 100 + (2 << 20)
}

/// What has to be true of what was seen.
fn check(scenario: &Scenario, row: &Row) {
    match row.limit {
        Some(limit) => assert_eq!(row.reported_limit, limit, "the limit of the manifest"),
        // Then what is left is the node: the cgroup of all its pods, where that is limited and can be seen.
        None => assert!(
            ["unlimited".into(), Value::Null].contains(&row.reported_limit)
                || row.reported_limit.as_u64() >= smallest_node()
        ),
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
    if is_about_cpu(scenario) {
        let asked: f64 = scenario.args().cpu.to_string().parse().expect("cores");
        let had = row.cores.expect("seen");
        assert!((had / asked - 1.0).abs() < 0.03, "{had} cores of {asked}");
    }
}

/// The memory that the smallest node has for pods.
fn smallest_node() -> Option<u64> {
    nodes().iter().map(allocatable_bytes).min()
}

/// It asks for more of a CPU than the others, and for no share that it would have on a busy node.
fn is_about_cpu(scenario: &Scenario) -> bool {
    scenario.name.starts_with("cpu-")
}

/// Observes these scenarios, some on the first of two nodes and the rest on the second, and checks each; the file has the table of what was
/// seen.
fn check_all(first: Vec<Scenario>, second: Vec<Scenario>, file: &str) {
    set_up();
    let mut probes = Probes::from_now();
    let nodes = TwoNodes::of_the_cluster();
    let chosen = [first.as_slice(), &second].concat();
    assert!(!chosen.is_empty(), "there is none");
    let mut seen = thread::scope(|scope| {
        let first = scope.spawn(|| observe_in_turn(first, |scenario| nodes.apply_on_first(scenario)));
        let second = observe_in_turn(second, |scenario| nodes.apply_on_second(scenario));
        [second, first.join().expect("panics are caught there")].concat()
    });
    let mut failed = Vec::new();
    for scenario in &chosen {
        let is_it = |(other, _): &&(Scenario, Row)| other.title() == scenario.title();
        let holds = seen.iter().find(is_it).and_then(|(_, row)| attempt(|| check(scenario, row)));
        if holds.is_none() {
            failed.push(scenario.title());
        }
    }
    seen.sort_by_key(|(scenario, _)| scenario.title());
    let rows: Vec<Row> = seen.into_iter().map(|(_, row)| row).collect();
    table::leave(file, &table::markdown(&rows));
    probes.assert_they_went_on();
    assert!(failed.is_empty(), "not as asked: {failed:?}\n{}", table::markdown(&rows));
}

#[test]
#[ignore = "needs a cluster of two nodes that nothing else uses"]
fn every_scenario_that_holds_memory_under_every_runtime_is_what_its_file_says() {
    // On one node, so that one ends at a time: how long it takes is measured.
    let held = Scenario::every().filter(|scenario| holds(scenario) && !is_about_cpu(scenario));
    check_all(Vec::new(), held.collect(), "scenarios-memory-held.md");
}

#[test]
#[ignore = "needs a cluster of two nodes"]
fn every_scenario_that_takes_all_memory_under_every_runtime_is_what_its_file_says() {
    // Those with a limit do not fill their node: they are on another one than those that do, and wait for none of them.
    let taken = Scenario::every().filter(|scenario| !holds(scenario));
    let (limited, unlimited) = taken.partition(|scenario| scenario.resource_bytes("limits").is_some());
    check_all(unlimited, limited, "scenarios-memory-taken.md");
}

#[test]
#[ignore = "needs a cluster of two nodes whose CPUs nothing else uses"]
fn every_scenario_of_cpu_under_every_runtime_is_what_its_file_says() {
    check_all(Vec::new(), Scenario::every().filter(is_about_cpu).collect(), "scenarios-cpu.md");
}

#[test]
#[ignore = "needs a cluster"]
fn a_limit_below_what_it_needs_kills_it_and_its_last_report_says_how_far_it_got() {
    const LIMIT: u64 = 256 << 20;
    set_up();
    for runtime in RUNTIMES {
        let mut scenario = Scenario::named("memory-restricted", runtime);
        scenario.pod()["containers"][0]["resources"] =
            serde_json::json!({"requests": {"memory": "192Mi"}, "limits": {"memory": "256Mi"}});
        let mut applied = Applied::changed(&scenario);
        // The runtime is in force, and no pod of the one before is left.
        let pod = applied.watch.wait_for("its container to run", PROMPT, Sighting::is_running).pod;
        assert_eq!(pod["spec"]["runtimeClassName"].as_str().unwrap_or("runc"), runtime);
        // Seen again once it is started again, which is when its log is that of a previous one.
        let again = applied.watch.wait_for("it to be killed and started again", PROMPT, |sighting| {
            assert!(!sighting.is_ready(), "ready without its memory");
            sighting.is_oom_killed() && sighting.restarts() > 0
        });
        let last = last_record_before(again.name());
        assert_eq!(last["memory_limit_bytes"], LIMIT, "{runtime}: {last}");
        assert_eq!(last["memory_target_bytes"], 500_000_000, "{runtime}: {last}");
        let got = number(&last, "memory_resident_bytes") as u64;
        assert!(is_close(got, LIMIT), "{runtime}: {got} bytes at its last report, killed at {LIMIT}");
    }
}
