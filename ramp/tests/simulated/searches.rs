//! Searches: how many instances hold with a probability of 95%.

use std::path::Path;

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp::run::Run;
use ramp::ui::Summary;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Plan};
use ramp_format::scenario::Scenario;
use ramp_format::study::SearchSettings;
use ramp_report::dataset::Dataset;
use ramp_report::report::{Report, narrative};

use crate::support::{SECOND, Stage, column, plan, rows, rules};

const LOAD: &str = "nodes: [{count: 2, memory: 64Gi, cores: 64, pods: 500}]\n\
                    load: {memory: 20M, growth_rate: 100M/s, report_every: 2s, cpu: 0.05}\n\
                    machine: {noise: 50k, wander: 10k}\n";

fn search(climbs: u32) -> Plan {
    Plan {
        engine: EngineKind::Simulated,
        to: 200,
        hold: 2 * SECOND,
        step_timeout: 60 * SECOND,
        stop: rules(&["node-not-ready", "blocked:30s"]),
        search: Some(SearchSettings { climbs, precision: None }),
        ..plan()
    }
}

fn engine(plan: &Plan, world: &str) -> SimulatedEngine {
    let world = World::parse(&format!("{LOAD}{world}")).unwrap();
    let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let options =
        EngineOptions { world: Some(serde_json::to_value(&world).unwrap()), ..EngineOptions::default() };
    SimulatedEngine::new(EngineSpec { run: plan.run.clone(), scenario, options }).unwrap()
}

async fn run(stage: &Stage, plan: &Plan, world: &str) -> Summary {
    stage.run(plan, engine(plan, world)).await
}

fn report(path: &Path) -> Report {
    Report::of(vec![Dataset::read(path).unwrap()], None)
}

fn said(report: &Report) -> String {
    let sections = narrative::sections(report);
    let sentences = sections.iter().flat_map(|section| &section.sentences);
    let all: Vec<&str> = sentences.map(|sentence| sentence.text.as_str()).collect();
    format!("{}\n{}", narrative::summary(report), all.join("\n"))
}

#[tokio::test(start_paused = true)]
async fn what_holds_with_95_percent_is_found_and_no_other_figure_takes_a_search_for_a_ramp() {
    for beyond in ["unschedulable", "evict", "oom-kill"] {
        let stage = Stage::new();
        let world = format!("placement: {{mean: 40, deviation: 3, beyond: {beyond}}}");
        let summary = run(&stage, &search(20), &world).await;
        assert_eq!(summary.why_ended, "20 climbs completed", "{beyond}");
        let report = report(&stage.path());
        let found = report.findings.runs[0].search.as_ref().unwrap();
        let held = found.held.as_ref().unwrap();
        assert!((held.instances - (40.0 - 1.645 * 3.0)).abs() < 3.0, "{beyond}: {held:?}");
        assert!(summary.search.unwrap().starts_with(&held.words()));
        // A linear ramp makes 40 starts; those that are replaced once evicted, or restarted, come on top.
        assert!(f64::from(found.starts) < 20.0 * 40.0 / 2.0, "{beyond}: {}", found.starts);
        let said = said(&report);
        assert!(said.contains("hold with a probability of 95% (95% CI "), "{said}");
        assert!(!said.contains("Saturated") && !said.contains("changed by others"), "{said}");
        assert!(!said.contains("not known whether"), "{said}");
        assert!(report.findings.runs[0].estimates.saturation.saturation.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn an_exact_limit_ends_a_search_and_a_level_that_cannot_hold_ends_at_once() {
    let stage = Stage::new();
    let plan = search(40);
    let world = "nodes: [{count: 2, memory: 64Gi, cores: 64, pods: 15}]\n";
    let world = World::parse(world).map(|_| world).unwrap();
    let only = LOAD.lines().skip(1).collect::<Vec<_>>().join("\n");
    let parsed = World::parse(&format!("{world}{only}")).unwrap();
    let scenario = parsed.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let options =
        EngineOptions { world: Some(serde_json::to_value(&parsed).unwrap()), ..EngineOptions::default() };
    let engine = SimulatedEngine::new(EngineSpec { run: plan.run.clone(), scenario, options }).unwrap();
    let summary = stage.run(&plan, engine).await;
    assert!(
        summary.why_ended.starts_with("30 instances always held and 31 never did"),
        "{}",
        summary.why_ended
    );
    let said = said(&report(&stage.path()));
    assert!(said.contains("30 instances hold with a probability of 95%"), "{said}");
    assert!(said.contains("Too many pods"), "{said}");
    let failed = rows(&stage.path(), "steps.csv").into_iter().filter(|row| row["level_held"] == "false");
    for row in failed {
        assert!(row["step_seconds"].parse::<f64>().unwrap() < 12.0, "{row:?}");
        assert!(row["not_held_because"].contains("Unschedulable"), "{row:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_a_limit_and_what_never_starts_ends_the_search() {
    let stage = Stage::new();
    let summary = run(&stage, &search(12), "events: [{what: quota, at: 0s, to: 12}]").await;
    assert!(summary.why_ended.starts_with("12 instances always held"), "{}", summary.why_ended);
    let stage = Stage::new();
    let summary = run(&stage, &search(12), "events: [{what: image-missing}]").await;
    assert!(
        summary.why_ended.starts_with("blocked:30s: 1 of 1 requested instance cannot start"),
        "{}",
        summary.why_ended
    );
    let said = said(&report(&stage.path()));
    assert!(said.contains("needs 5 climbs, there are 0"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn where_all_hold_up_to_the_ceiling_it_says_at_least() {
    let stage = Stage::new();
    let summary = run(&stage, &Plan { to: 24, ..search(30) }, "").await;
    assert!(summary.why_ended.starts_with("24 instances (--to) always held"), "{}", summary.why_ended);
    let said = said(&report(&stage.path()));
    assert!(said.contains("at least 24 instances: all 10 climbs reached --to 24"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn what_others_do_to_a_level_counts_for_nothing() {
    let stage = Stage::new();
    let world = "placement: {mean: 40, deviation: 3}\nevents: [{what: delete, at: 100s, count: 3}]";
    run(&stage, &search(8), world).await;
    let unknown: Vec<_> = rows(&stage.path(), "steps.csv")
        .into_iter()
        .filter(|row| row["not_held_because"].starts_with("removed by others"))
        .collect();
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert_eq!(unknown[0]["level_held"], "");
    assert!(said(&report(&stage.path())).contains("Of 1 level it is not known whether they held"));
}

#[tokio::test(start_paused = true)]
async fn a_search_that_is_killed_is_resumed_at_the_foot_of_its_climb() {
    let stage = Stage::new();
    let plan = Plan { keep: true, ..search(8) };
    let engine = engine(&plan, "placement: {mean: 40, deviation: 3}");
    for (resumed, seconds) in [60, 30, 45].into_iter().enumerate() {
        let run = if resumed == 0 {
            Run::new(engine.another(), stage.create(&plan), stage.surroundings())
        } else {
            let before = Directory::resume(&stage.path()).unwrap();
            Run::resume(engine.another(), before, stage.surroundings()).unwrap()
        };
        assert!(tokio::time::timeout(seconds * SECOND, run.go()).await.is_err(), "it was at its end");
    }
    let before = Directory::resume(&stage.path()).unwrap();
    let summary = Run::resume(engine, before, stage.surroundings()).unwrap().go().await.unwrap();
    assert_eq!(summary.why_ended, "8 climbs completed");
    let climbs = column(&stage.path(), "steps.csv", "climb");
    assert_eq!(climbs.iter().rfind(|climb| !climb.is_empty()).unwrap(), "8");
    let report = report(&stage.path());
    assert_eq!(report.findings.runs[0].search.as_ref().unwrap().climbs.len(), 8);
}

#[test]
fn a_placement_that_is_none_is_refused_with_what_is_expected() {
    let refused = |placement: &str| World::parse(&format!("placement: {placement}")).unwrap_err();
    assert!(refused("{mean: -1}").contains("placement.mean: -1 (expected a number of instances from 0"));
    assert!(refused("{mean: 5, deviation: -2}").contains("placement.deviation: -2"));
    assert!(refused("{mean: 5, beyond: explode}").contains("unschedulable"));
    assert!(refused("{deviation: 2}").contains("mean"));
}
