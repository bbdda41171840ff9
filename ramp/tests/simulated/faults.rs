//! Faults that do not end a run, and resumes.

use std::fs;

use ramp::run::Run;
use ramp_format::directory::Directory;
use ramp_format::plan::{Pace, Plan};

use ramp::engine::simulated::SimulatedEngine;

use crate::support::transitions::audit;
use crate::support::{
    Fault, FaultKind, SECOND, Script, Stage, column, engine, numbers, plan, rows, rules, script,
};

#[tokio::test(start_paused = true)]
async fn an_api_that_is_away_or_hung_is_tried_again_and_nothing_is_counted_twice() {
    for kind in [FaultKind::ApiDown, FaultKind::ApiHung] {
        let stage = Stage::new();
        let mut script = script();
        script.faults.push(Fault { from: 15 * SECOND, to: 35 * SECOND, kind });
        let plan = Plan { to: 20, stop: rules(&["evictions:0/1m"]), beyond: 4, ..plan() };
        let summary = stage.run_script(&plan, script).await;
        // Eight fit. What was evicted while nobody saw it is known once it is back, a step or two later.
        assert!((13..=15).contains(&summary.steps), "{}", summary.why_ended);
        let account = audit(&stage.path());
        assert_eq!(account.of("evicted"), summary.evictions);
        let events = column(&stage.path(), "events.csv", "kind");
        let count = |kind: &str| events.iter().filter(|event| *event == kind).count();
        assert_eq!((count("gap_begins"), count("gap_ends")), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn samples_that_stop_are_a_gap_and_their_last_value_is_in_no_sum() {
    let stage = Stage::new();
    let mut script = script();
    let kind = FaultKind::Silent("b".into());
    script.faults.push(Fault { from: 10 * SECOND, to: 40 * SECOND, kind });
    let plan = Plan { pace: Pace::Every(5 * SECOND), to: 10, ..plan() };
    stage.run_script(&plan, script).await;
    let gaps: Vec<_> =
        rows(&stage.path(), "nodes.csv").into_iter().filter(|row| row["row"] == "gap").collect();
    assert_eq!(gaps.len(), 3, "one when it begins, and one each ten seconds");
    assert!(gaps.iter().all(|row| row["node"] == "b" && row["memory_free_bytes"].is_empty()));
    let sums = column(&stage.path(), "steps.csv", "memory_free_bytes");
    let fresh = column(&stage.path(), "steps.csv", "kernels_fresh");
    assert_eq!(sums.iter().filter(|sum| sum.is_empty()).count(), 5, "{sums:?}");
    assert!(sums.iter().zip(&fresh).all(|(sum, fresh)| sum.is_empty() == (fresh == "1")));
}

/// Runs until the process is killed, at some point of its second life's past.
async fn killed_after(seconds: u32, stage: &Stage, plan: &Plan) -> SimulatedEngine {
    killed_in(script(), seconds, stage, plan).await
}

async fn killed_in(script: Script, seconds: u32, stage: &Stage, plan: &Plan) -> SimulatedEngine {
    let engine = engine(&script);
    let again = engine.another();
    let run = Run::new(engine, stage.create(plan), stage.surroundings()).go();
    assert!(tokio::time::timeout(seconds * SECOND, run).await.is_err(), "it was not over yet");
    again
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_process_was_killed_goes_on_at_the_step_it_had_reached() {
    let stage = Stage::new();
    let plan = Plan { to: 20, stop: rules(&["evictions:0/1m"]), beyond: 4, down: true, ..plan() };
    let engine = killed_after(28, &stage, &plan).await;
    let reached = numbers(&stage.path(), "steps.csv", "step").len();
    assert!(reached >= 8, "{reached}");
    // It was writing a row.
    let file = stage.path().join("pods.csv");
    let torn = fs::read_to_string(&file).unwrap() + "2026-11-25T12:00";
    fs::write(&file, torn).unwrap();
    tokio::time::sleep(30 * SECOND).await;
    let before = Directory::resume(&stage.path()).unwrap();
    let run = Run::resume(engine, before, stage.surroundings()).unwrap();
    let summary = run.go().await.unwrap();
    assert_eq!(
        summary.steps, 13,
        "eight fit, evictions from the ninth on, four beyond: {}",
        summary.why_ended
    );
    let up: Vec<_> = rows(&stage.path(), "steps.csv").into_iter().filter(|row| row["part"] == "up").collect();
    let steps: Vec<usize> = up.iter().map(|row| row["step"].parse().unwrap()).collect();
    assert_eq!(steps, (1..=13).collect::<Vec<_>>(), "each step once");
    let account = audit(&stage.path());
    assert!(account.there().is_empty());
    assert_eq!(account.of("evicted"), summary.evictions, "evictions before and after");
    let events = rows(&stage.path(), "events.csv");
    assert!(events.iter().any(|row| row["kind"] == "gap_begins" && row["object"] == "ramp"));
    assert!(events.iter().any(|row| row["message"].contains("torn last row of 16 bytes")));
    assert_eq!(ramp_format::run_file::read_run(&stage.path()).unwrap().resumes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn whenever_the_process_is_killed_the_ledger_holds() {
    for seconds in [1, 3, 7, 13, 19, 27, 40] {
        let stage = Stage::new();
        let plan = Plan { to: 9, down: true, hold: 10 * SECOND, step_timeout: 20 * SECOND, ..plan() };
        let engine = killed_after(seconds, &stage, &plan).await;
        tokio::time::sleep(5 * SECOND).await;
        let before = Directory::resume(&stage.path()).unwrap();
        let summary = Run::resume(engine, before, stage.surroundings()).unwrap().go().await.unwrap();
        assert_eq!(summary.why_ended, "all planned steps completed", "killed after {seconds} s");
        assert!(audit(&stage.path()).there().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_resume_that_reaches_nothing_changes_nothing_and_another_one_goes_on() {
    let stage = Stage::new();
    let mut script = script();
    script.faults.push(Fault { from: 30 * SECOND, to: 300 * SECOND, kind: FaultKind::ApiDown });
    let plan = Plan { to: 20, stop: rules(&["evictions:0/1m"]), beyond: 4, ..plan() };
    let engine = killed_in(script, 22, &stage, &plan).await;
    tokio::time::sleep(20 * SECOND).await;
    let pods = fs::read_to_string(stage.path().join("pods.csv")).unwrap();
    let resume = |engine: &SimulatedEngine| {
        let before = Directory::resume(&stage.path()).unwrap();
        Run::resume(engine.another(), before, stage.surroundings()).unwrap()
    };
    let refused = resume(&engine).go().await.unwrap_err();
    assert!(refused.contains("nothing changed") && refused.contains("--resume"), "{refused}");
    assert_eq!(fs::read_to_string(stage.path().join("pods.csv")).unwrap(), pods);
    let run = ramp_format::run_file::read_run(&stage.path()).unwrap();
    assert!(run.end.is_none() && run.resumes.is_empty(), "it can be gone on with");
    tokio::time::sleep(200 * SECOND).await;
    let summary = resume(&engine).go().await.unwrap();
    assert_eq!(summary.steps, 13, "{}", summary.why_ended);
    let gaps = rows(&stage.path(), "events.csv").into_iter().filter(|row| row["object"] == "ramp");
    assert_eq!(gaps.filter(|row| row["kind"].starts_with("gap")).count(), 2, "one gap, begun and ended");
    assert!(audit(&stage.path()).there().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_process_had_found_to_be_enough_is_enough_for_the_next() {
    let stage = Stage::new();
    let plan = Plan { to: 20, stop: rules(&["steps:3"]), hold: 60 * SECOND, ..plan() };
    let engine = killed_after(30, &stage, &plan).await;
    let before = Directory::resume(&stage.path()).unwrap();
    let summary = Run::resume(engine, before, stage.surroundings()).unwrap().go().await.unwrap();
    assert_eq!((summary.steps, summary.why_ended.as_str()), (3, "steps:3: 3 steps have been made"));
}
