//! The local engine with real processes.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod cgroups;
mod cost;
mod ends;
mod guest;
#[path = "../support/stale_cgroups.rs"]
mod stale_cgroups;
mod support;
mod watched;

use ramp::engine::local;
use ramp::engine::{Engine, GroupId};
use ramp_format::state::State;
use serde_json::json;
use support::*;
use tokio::time::Instant;

#[tokio::test]
async fn an_instance_gets_its_memory_and_is_ready() {
    // More than a debug build has mapped before it takes any.
    let size = unique_size(60);
    let mut run = Run::begin(engine(&run_id("ready"), load(&size, &json!({})), None)).await;
    run.ready(1).await;
    assert_eq!(run.path("load-0001"), [State::Creating, State::Running, State::Ready]);
    let report = run.reports.last().unwrap();
    let resident = report.record["memory_resident_bytes"].as_f64().unwrap();
    let wanted: f64 = size.parse().unwrap();
    assert!((resident / wanted - 1.0).abs() < 0.01, "{resident} of {wanted}");
    assert_eq!(report.uid, run.statuses[0].uid);
    run.remove().await;
    assert_eq!(run.path("load-0001")[3..], [State::Terminating, State::Gone]);
}

#[tokio::test]
async fn scaled_up_and_down_the_newest_end_first_and_nothing_is_left() {
    let size = unique_size(12);
    let mut run = Run::begin(engine(&run_id("scale"), load(&size, &json!({})), None)).await;
    run.ready(3).await;
    assert_eq!(processes(&size).len(), 3);
    run.engine.scale(GroupId::ONLY, 1).await.unwrap();
    run.until("end of two", |run| run.count(State::Gone) == 2).await;
    assert_eq!(run.now()["load-0001"], State::Ready);
    run.engine.scale(GroupId::ONLY, 2).await.unwrap();
    run.until("a new one", |run| run.now().get("load-0004") == Some(&State::Ready)).await;
    run.engine.scale(GroupId::ONLY, 0).await.unwrap();
    run.until("end of all", |run| run.count(State::Gone) == 4).await;
    run.remove().await;
    assert_eq!(processes(&size), []);
}

#[tokio::test]
async fn a_command_that_floods_its_pipes_is_read_and_can_be_ended() {
    let word = unique_size(1);
    let mut run = Run::begin(engine(&run_id("flood"), command(&["yes", &word]), None)).await;
    run.ready(1).await;
    run.until("a sample", |run| run.samples.len() > 1).await;
    assert_eq!(processes(&word).len(), 1);
    run.remove().await;
    assert_eq!((processes(&word).len(), run.now()["load-0001"]), (0, State::Gone));
}

#[tokio::test]
async fn the_machine_is_sampled_each_second() {
    let mut run = Run::begin(engine(&run_id("sample"), load("1M", &json!({})), None)).await;
    let begun = Instant::now();
    run.until("samples", |run| run.samples.len() == 4).await;
    let took = begun.elapsed().as_secs_f64();
    assert!(took > 2.0 && took < 4.5, "{took}");
    let records: Vec<_> = run.samples.iter().map(|sample| sample.record["record"].clone()).collect();
    assert_eq!(records, ["start", "report", "report", "report"]);
    assert_eq!(run.samples[3].budget.unwrap().limit.0, 200_000_000);
    run.remove().await;
}

#[tokio::test]
async fn what_the_run_needs_is_surveyed_and_nothing_is_changed_by_it() {
    let run = run_id("survey");
    let mut engine = engine(&run, load("20M", &json!({"limits": {"memory": "30M"}})), None);
    let preflight = engine.preflight().await.unwrap();
    assert_eq!(preflight.nodes[0].allocatable_memory_bytes, Some(200_000_000));
    assert!(preflight.versions.contains_key("linux"));
    assert!(preflight.not_honoured.iter().any(|line| line.starts_with("--listen 127.0.0.1:1")));
    assert_eq!(engine.left().await.unwrap(), Vec::<String>::new());
    let cleaned = local::clean(Some(&format!("{run}.trial"))).await;
    assert_eq!(cleaned, local::Cleaned::default());
}
