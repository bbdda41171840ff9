//! Instances that cannot start: the rule `blocked`, and what is shown and recorded of it.

use std::path::Path;

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp::ui::Summary;
use ramp_format::plan::{EngineOptions, Pace, Plan};
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, narrative};

use crate::support::transitions::audit;
use crate::support::{SECOND, Stage, column, numbers, plan, rows, rules};

const LOAD: &str = "load: {memory: 100M, growth_rate: 200M/s, report_every: 20s, cpu: 0.02}\n";

fn engine(world: &str) -> SimulatedEngine {
    let world = World::parse(&format!("{LOAD}{world}")).unwrap();
    let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let options =
        EngineOptions { world: Some(serde_json::to_value(world).unwrap()), ..EngineOptions::default() };
    SimulatedEngine::new(EngineSpec { run: "20261125-000000-test".into(), scenario, options }).unwrap()
}

/// As without options, but for the number of steps.
fn usual(to: u32) -> Plan {
    Plan { to, stop: StopRule::usual(), step_timeout: 300 * SECOND, hold: 10 * SECOND, ..plan() }
}

async fn run(stage: &Stage, plan: &Plan, world: &str) -> Summary {
    stage.run(plan, engine(world)).await
}

/// The notes on what is blocked, with the seconds at which each was made.
fn notes(directory: &Path) -> Vec<(f64, String)> {
    let blocked = rows(directory, "events.csv").into_iter().filter(|row| row["reason"] == "Blocked");
    blocked.map(|row| (row["elapsed_seconds"].parse().unwrap(), row["message"].clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_instances_cannot_start_ends_within_the_rule_s_time_with_the_reason() {
    for (world, word) in [
        ("events: [{what: image-missing}]", "ErrImagePull: failed to pull image"),
        ("events: [{what: config-error}]", "CreateContainerConfigError: container has runAsNonRoot"),
        ("events: [{what: crash-loop}]", "CrashLoopBackOff: exited "),
        ("events: [{what: quota, to: 0}]", "exceeded quota: team"),
        ("events: [{what: refuse-instances}]", "OutOfcpu: Pod Node didn't have enough resource"),
        ("nodes: [{count: 2, eligible: false}]", "didn't match node selector"),
    ] {
        let stage = Stage::new();
        let summary = run(&stage, &usual(1000), world).await;
        assert!(summary.why_ended.starts_with("blocked:30s: "), "{}", summary.why_ended);
        assert!(summary.why_ended.contains(word) && !summary.failed, "{}", summary.why_ended);
        let (first, message) = notes(&stage.path()).swap_remove(0);
        assert!(message.contains(word), "{message}");
        // A crash loop is one from the second exit on, ten seconds after the first.
        let sight = if word.starts_with("CrashLoop") { 13.0 } else { 3.0 };
        assert!(first < sight, "{word}: {first}");
        let fired: Vec<_> =
            rows(&stage.path(), "events.csv").into_iter().filter(|row| row["kind"] == "rule").collect();
        assert_eq!((fired.len(), fired[0]["object"].as_str()), (1, "rule/blocked:30s"));
        let after: f64 = fired[0]["elapsed_seconds"].parse::<f64>().unwrap() - first;
        assert!((29.0..33.0).contains(&after), "{word}: {after}");
        let parts = column(&stage.path(), "steps.csv", "part");
        assert!(!parts.contains(&"hold".to_owned()), "{word}: nothing runs that could be held");
        assert!(audit(&stage.path()).there().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn at_any_pace_the_reason_ends_the_run() {
    for pace in [Pace::Ready, Pace::Every(SECOND), Pace::Every(5 * SECOND), Pace::None] {
        let stage = Stage::new();
        let plan = Plan { pace, hold: 600 * SECOND, ..usual(100) };
        let summary = run(&stage, &plan, "events: [{what: image-missing}]").await;
        assert!(summary.why_ended.starts_with("blocked:30s: "), "{pace}: {}", summary.why_ended);
        let last = numbers(&stage.path(), "steps.csv", "elapsed_seconds").into_iter().fold(0.0, f64::max);
        assert!(last < 60.0, "{pace}: {last}");
        let rule = column(&stage.path(), "steps.csv", "rules");
        assert!(pace == Pace::None || rule.contains(&"blocked:30s".to_owned()), "{pace}: {rule:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_ends_the_run_at_what_it_allows_and_what_runs_is_held() {
    let stage = Stage::new();
    let summary = run(&stage, &usual(100), "events: [{what: quota, to: 4}]").await;
    assert_eq!((summary.steps, summary.held.count), (5, 4));
    assert!(
        summary.why_ended.starts_with("blocked:30s: 1 of 5 requested instances"),
        "{}",
        summary.why_ended
    );
    assert_eq!(column(&stage.path(), "steps.csv", "part").iter().filter(|part| *part == "hold").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_comes_after_twenty_seconds_ends_nothing() {
    let stage = Stage::new();
    let summary = run(&stage, &usual(5), "events: [{what: image-missing, lasts: 20s}]").await;
    assert_eq!((summary.why_ended.as_str(), summary.held.count), ("all planned steps completed", 5));
    assert_eq!(notes(&stage.path()).len(), 1, "it was said all the same");
}

#[tokio::test(start_paused = true)]
async fn full_nodes_are_saturation_and_block_nothing() {
    let stage = Stage::new();
    let full = "nodes: [{count: 2, memory: 1500Mi, idle: 500Mi, page_cache: 100Mi}]";
    let plan = Plan { stop: rules(&["blocked:30s"]), ..usual(60) };
    let summary = run(&stage, &plan, full).await;
    assert_eq!(summary.why_ended, "all planned steps completed");
    assert_eq!(notes(&stage.path()), []);
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_others_delete_while_a_step_waits_ends_the_run() {
    let stage = Stage::new();
    let world = "phases: {create: 40s}\nevents: [{what: delete-workload, at: 50s}]";
    let summary = run(&stage, &usual(100), world).await;
    assert_eq!(summary.why_ended, "deployment/memory-capacity was deleted by another client");
    let last = numbers(&stage.path(), "steps.csv", "elapsed_seconds").into_iter().fold(0.0, f64::max);
    assert!(last < 100.0, "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_others_scale_down_ends_within_the_rule_s_time_and_names_them() {
    for (by, who) in [("", "another client"), (", by: load", "horizontal-pod-autoscaler")] {
        let stage = Stage::new();
        let world = format!("phases: {{create: 40s}}\nevents: [{{what: scale, to: 2, at: 250s{by}}}]");
        let summary = run(&stage, &usual(100), &world).await;
        let why = &summary.why_ended;
        assert!(why.starts_with("blocked:30s: ") && !summary.failed, "{why}");
        assert!(why.contains("cannot start: ScaledByOthers: replicas changed from "), "{why}");
        assert!(why.ends_with(&format!(" to 2 by {who}")), "{why}");
        let ends = numbers(&stage.path(), "steps.csv", "elapsed_seconds");
        assert!(ends.iter().any(|end| (279.0..285.0).contains(end)), "{ends:?}");
        assert!(said(&stage.path()).contains("changed by others"), "{}", said(&stage.path()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_that_the_next_step_sets_again_ends_nothing() {
    let stage = Stage::new();
    let plan = Plan { pace: Pace::Every(20 * SECOND), ..usual(8) };
    let summary = run(&stage, &plan, "events: [{what: scale, to: 1, at: 65s}]").await;
    assert_eq!((summary.why_ended.as_str(), summary.held.count), ("all planned steps completed", 8));
}

#[tokio::test(start_paused = true)]
async fn no_step_follows_the_one_in_which_the_rule_has_ended_the_ramp() {
    for world in ["events: [{what: crash-loop}]", "nodes: [{count: 2, eligible: false}]"] {
        let stage = Stage::new();
        run(&stage, &usual(1000), world).await;
        let asked = numbers(&stage.path(), "steps.csv", "asked_instances");
        assert!(asked.iter().all(|asked| *asked <= 1.0), "{world}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_rule_or_where_it_is_only_noted_the_run_goes_on_and_the_reason_is_told() {
    for (stop, note, noted) in [(vec![], vec![], 0), (vec![], rules(&["blocked:5s"]), 1)] {
        let stage = Stage::new();
        let plan = Plan { stop, note, step_timeout: 40 * SECOND, ..usual(2) };
        let summary = run(&stage, &plan, "events: [{what: image-missing}]").await;
        assert_eq!(summary.why_ended, "all planned steps completed");
        assert_eq!(notes(&stage.path()).len(), 1);
        let kinds = column(&stage.path(), "events.csv", "kind");
        assert_eq!(kinds.iter().filter(|kind| *kind == "noted_rule").count(), noted);
        assert!(!kinds.contains(&"rule".to_owned()));
    }
}

/// All sentences on a run.
fn said(directory: &Path) -> String {
    let report = Report::of(vec![Dataset::read(directory).unwrap()], None);
    let sections = narrative::sections(&report);
    let sentences = sections.into_iter().flat_map(|section| section.sentences).map(|sentence| sentence.text);
    sentences.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn the_report_says_that_no_instance_ever_ran_and_why() {
    for (world, word) in [
        ("events: [{what: config-error}]", "CreateContainerConfigError: container has runAsNonRoot"),
        ("events: [{what: quota, to: 0}]", "exceeded quota: team"),
        ("nodes: [{count: 2, eligible: false}]", "didn't match node selector"),
    ] {
        for stop in [StopRule::usual(), Vec::new()] {
            let stage = Stage::new();
            run(&stage, &Plan { stop, step_timeout: 40 * SECOND, ..usual(2) }, world).await;
            let said = said(&stage.path());
            assert!(said.contains("no instance ever ran: ") && said.contains(word), "{said}");
            assert!(!said.contains("Saturated") && !said.contains("First limit"), "{said}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_says_that_a_quota_and_not_the_nodes_was_the_limit() {
    for (pace, stop) in [
        (Pace::Ready, StopRule::usual()),
        (Pace::Ready, Vec::new()),
        (Pace::Every(5 * SECOND), StopRule::usual()),
        (Pace::Every(20 * SECOND), Vec::new()),
    ] {
        let stage = Stage::new();
        let plan = Plan { pace, stop, step_timeout: 40 * SECOND, ..usual(12) };
        run(&stage, &plan, "events: [{what: quota, to: 4}]").await;
        let said = said(&stage.path());
        let expected = "Saturation: not reached up to 4 instances; limited by a quota, not by the nodes (";
        assert!(said.contains(expected) && said.contains("exceeded quota: team"), "{pace}: {said}");
        assert!(!said.contains("Saturated at") && !said.contains("First limit"), "{pace}: {said}");
    }
}
