//! Stop rules and interrupts.

use std::time::Duration;

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp::run::Run;
use ramp_format::plan::{EngineKind, EngineOptions, Pace, Plan};
use ramp_format::run_file::read_run;
use ramp_format::scenario::Scenario;

use crate::support::transitions::audit;
use crate::support::{
    Fault, FaultKind, SECOND, Shortage, Stage, column, engine, numbers, plan, rows, rules, script,
};

#[tokio::test(start_paused = true)]
async fn what_happens_past_the_knee_is_recorded_for_as_many_steps_as_were_asked_for() {
    let stage = Stage::new();
    let plan = Plan { to: 1000, stop: rules(&["evictions:0/1m"]), beyond: 3, ..plan() };
    let summary = stage.run_script(&plan, script()).await;
    assert_eq!(summary.steps, 12, "eight fit; the ninth is evicted, and three steps follow");
    assert!(
        summary.why_ended.contains("evictions:0/1m") && summary.why_ended.ends_with(", then 3 more steps")
    );
    let account = audit(&stage.path());
    assert_eq!(account.of("evicted"), summary.evictions);
    assert!(summary.evictions >= 1 && account.there().is_empty());
    let fired: Vec<_> =
        rows(&stage.path(), "events.csv").into_iter().filter(|row| row["kind"] == "rule").collect();
    assert_eq!(fired.len(), 1, "{fired:?}");
    assert_eq!(fired[0]["step"], "9");
    assert_eq!(column(&stage.path(), "steps.csv", "rules")[8], "evictions:0/1m");
}

#[tokio::test(start_paused = true)]
async fn an_oom_kill_inside_a_pod_counts_once_for_each_time_it_is_killed() {
    let stage = Stage::new();
    let mut script = script();
    script.shortage = Shortage::OomKill;
    let plan = Plan { to: 9, hold: 60 * SECOND, ..plan() };
    let summary = stage.run_script(&plan, script).await;
    let account = audit(&stage.path());
    // Killed as it fills, started again ten seconds later, killed again, for a minute.
    assert!((5..=7).contains(&summary.oom_kills), "{}", summary.oom_kills);
    assert_eq!(account.of("oom_killed"), summary.oom_kills);
}

#[tokio::test(start_paused = true)]
async fn free_memory_below_the_floor_for_three_steps_is_saturation() {
    let stage = Stage::new();
    let mut script = script();
    script.shortage = Shortage::Refuse;
    let plan = Plan { to: 100, stop: rules(&["free-memory:1100M:3"]), ..plan() };
    let summary = stage.run_script(&plan, script).await;
    // Six leave 1 GB, for the first time; a sample may be from just before the last of them was full.
    assert!((8..=9).contains(&summary.steps), "{}: {}", summary.steps, summary.why_ended);
}

#[tokio::test(start_paused = true)]
async fn running_that_stops_rising_is_saturation_where_nothing_is_killed() {
    let stage = Stage::new();
    let mut script = script();
    script.shortage = Shortage::Refuse;
    let plan = Plan { to: 100, stop: rules(&["stalled:4"]), note: rules(&["steps:2"]), ..plan() };
    let summary = stage.run_script(&plan, script).await;
    assert_eq!((summary.steps, summary.most_at_work, summary.most_at_work_at_step), (12, 8, 8));
    assert!(rows(&stage.path(), "events.csv").iter().any(|row| row["kind"] == "noted_rule"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_ready_ends_the_run() {
    let stage = Stage::new();
    let mut script = script();
    let kind = FaultKind::NotReady("b".into());
    script.faults.push(Fault { from: 5 * SECOND, to: 500 * SECOND, kind });
    let plan = Plan { stop: rules(&["node-not-ready"]), ..plan() };
    let summary = stage.run_script(&plan, script).await;
    assert_eq!(summary.why_ended, "node-not-ready: nodes not ready: 1 at step 2");
    assert!(rows(&stage.path(), "events.csv").iter().any(|row| row["object"] == "node/b"));
}

#[tokio::test(start_paused = true)]
async fn time_ends_a_run_in_the_midst_of_a_step_and_its_row_is_written() {
    let stage = Stage::new();
    let mut script = script();
    script.fill = Duration::from_secs(1_000_000);
    let plan = Plan { step_timeout: Duration::from_secs(3600), stop: rules(&["time:90s"]), ..plan() };
    let summary = stage.run_script(&plan, script).await;
    assert_eq!(summary.why_ended, "time:1m 30s: 1m 30s have passed");
    assert_eq!(column(&stage.path(), "steps.csv", "outcome")[0], "ended");
    assert!(audit(&stage.path()).there().is_empty(), "and everything is removed");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_while_a_settled_step_waits_for_a_sample_leaves_its_row() {
    let stage = Stage::new();
    // Nodes tell of themselves each second: the first instance, made after one, is ready 2.1 s later.
    let plan = plan();
    let run = stage.run(&plan, engine(&script()));
    let interrupt = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        stage.interrupt.send(1).unwrap();
    };
    let (summary, ()) = tokio::join!(run, interrupt);
    assert_eq!((summary.why_ended.as_str(), summary.steps), ("interrupted", 1));
    assert_eq!(column(&stage.path(), "steps.csv", "outcome")[0], "settled");
}

#[tokio::test(start_paused = true)]
async fn memory_is_watched_for_the_next_run_of_a_study_but_not_after_an_interrupt() {
    const MOST: Duration = Duration::from_mins(10);
    // Memory that comes back slowly.
    let world = World::parse("load: {memory: 2000M}\nmachine: {returns_within: 30m}\n").unwrap();
    for interrupted in [false, true] {
        let stage = Stage::new();
        let plan =
            Plan { engine: EngineKind::Simulated, to: 2, settle: 5 * SECOND, hold: 20 * SECOND, ..plan() };
        let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
        let options =
            EngineOptions { world: Some(serde_json::to_value(&world).unwrap()), ..EngineOptions::default() };
        let engine = SimulatedEngine::new(EngineSpec { run: plan.run.clone(), scenario, options }).unwrap();
        let run = Run::new(engine, stage.create(&plan), stage.surroundings()).watching_memory_for(MOST).go();
        let interrupt = async {
            tokio::time::sleep(10 * SECOND).await;
            stage.interrupt.send(u32::from(interrupted)).unwrap();
        };
        let (summary, ()) = tokio::join!(run, interrupt);
        assert_eq!(summary.unwrap().why_ended == "interrupted", interrupted);
        let teardown = read_run(&stage.path()).unwrap().teardown.unwrap();
        let watched = teardown.watched_seconds.unwrap();
        let most = if interrupted { 3.0 * 5.0 } else { MOST.as_secs_f64() };
        assert!((watched - most).abs() < 1.0, "{interrupted}: {teardown:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_ends_the_ramp_and_removes_everything_the_second_ends_that_too() {
    for (interrupts, all_gone) in [(1, true), (2, false)] {
        let stage = Stage::new();
        let mut script = script();
        script.stop = 100 * SECOND;
        let plan = Plan { pace: Pace::Every(5 * SECOND), to: 1000, ..plan() };
        let run = stage.run(&plan, engine(&script));
        let interrupt = async {
            for count in 1..=interrupts {
                tokio::time::sleep(20 * SECOND).await;
                stage.interrupt.send(count).unwrap();
            }
        };
        let (summary, ()) = tokio::join!(run, interrupt);
        assert_eq!(summary.why_ended, "interrupted");
        assert_eq!((summary.teardown_seconds.is_some(), summary.left.is_empty()), (all_gone, all_gone));
        assert_eq!(audit(&stage.path()).there().is_empty(), all_gone);
        assert_eq!(read_run(&stage.path()).unwrap().why_ended.as_deref(), Some("interrupted"));
        assert!(numbers(&stage.path(), "steps.csv", "step").len() >= 4);
    }
}
