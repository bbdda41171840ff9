//! Ends of instances and of the engine: kills, restarts, back-off, a killed `ramp`.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use ramp::engine::{Engine, GroupId};
use ramp_format::state::State;
use serde_json::json;
use tokio::time::Instant;

use super::support::*;

#[tokio::test]
async fn one_that_is_killed_has_failed_and_is_started_again_at_once() {
    let size = unique_size(13);
    let mut run = Run::begin(engine(&run_id("kill"), load(&size, &json!({})), None)).await;
    run.ready(1).await;
    kill(processes(&size)[0], Signal::SIGKILL).unwrap();
    let is_back =
        |run: &Run| run.statuses.last().is_some_and(|last| (last.state, last.restarts) == (State::Ready, 1));
    run.until("restart", is_back).await;
    assert_eq!(run.path("load-0001")[3..], [State::Failed, State::Running, State::Ready]);
    let last = run.statuses.last().unwrap();
    let end = last.end.as_ref().unwrap();
    assert_eq!((end.container.as_str(), end.state), (format!("{}/0", last.uid).as_str(), State::Failed));
    assert!(end.reason.contains("SIGKILL"), "{}", end.reason);
    run.remove().await;
}

#[tokio::test]
async fn one_that_fails_again_and_again_is_waited_for() {
    let mut run =
        Run::begin(engine(&run_id("exit"), command(&["sh", "-c", "echo no >&2; exit 3"]), None)).await;
    run.engine.scale(GroupId::ONLY, 1).await.unwrap();
    run.until("two ends", |run| {
        run.statuses.last().is_some_and(|last| (last.state, last.restarts) == (State::Failed, 1))
    })
    .await;
    assert_eq!(run.statuses.last().unwrap().reason, "exit status 3");
    assert_eq!(run.notices.iter().filter(|notice| notice.message == "no").count(), 2);
    let seen = run.statuses.len();
    run.until("samples", |run| run.samples.len() > 2).await;
    assert_eq!(run.statuses.len(), seen, "the next start is ten seconds away");
    run.remove().await;
    assert_eq!(run.statuses.last().unwrap().state, State::Gone);
}

#[tokio::test]
async fn a_command_that_is_not_there_has_failed_and_says_so() {
    let mut run = Run::begin(engine(&run_id("absent"), command(&["/no/such/program"]), None)).await;
    run.engine.scale(GroupId::ONLY, 1).await.unwrap();
    run.until("failure", |run| run.now().get("load-0001") == Some(&State::Failed)).await;
    assert!(
        run.notices.iter().any(|notice| notice.message.contains("/no/such/program")),
        "{:?}",
        run.notices
    );
    assert!(run.statuses.iter().any(|instance_status| instance_status.reason == "exit status 127"));
    run.remove().await;
}

#[tokio::test]
async fn one_that_does_not_end_when_told_to_is_killed() {
    let word = format!("exec 3<&0; trap '' TERM; while :; do sleep 0.1; done # {}", unique_size(2));
    let mut scenario = command(&["sh", "-c", &word]);
    scenario.manifest["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(1);
    let mut run = Run::begin(engine(&run_id("deaf"), scenario, None)).await;
    run.ready(1).await;
    // It takes the shell a moment to get deaf.
    run.until("a sample", |run| run.samples.len() > 1).await;
    run.engine.scale(GroupId::ONLY, 0).await.unwrap();
    run.until("the end", |run| run.now()["load-0001"] == State::Gone).await;
    assert_eq!(run.statuses.last().unwrap().reason, "signal SIGKILL");
    run.remove().await;
}

#[tokio::test]
async fn dropping_the_engine_ends_its_processes() {
    let size = unique_size(14);
    let mut run = Run::begin(engine(&run_id("drop"), load(&size, &json!({})), None).without_cgroups()).await;
    run.ready(2).await;
    drop(run);
    let deadline = Instant::now() + LIMIT;
    while !processes(&size).is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes three instances and never ends.
async fn to_be_killed(run: &str, size: &str, ready: &str) {
    let mut run = Run::begin(engine(run, load(size, &json!({})), None)).await;
    run.ready(3).await;
    fs::write(ready, "").unwrap();
    loop {
        run.next_event().await;
    }
}

#[tokio::test]
async fn ramp_that_is_killed_leaves_no_process_and_its_run_can_be_taken_over() {
    let names = ["RUN", "SIZE", "READY"].map(|name| format!("{PART}_{name}"));
    if let [Ok(run), Ok(size), Ok(ready)] = names.each_ref().map(std::env::var) {
        return to_be_killed(&run, &size, &ready).await;
    }
    let (id, size) = (run_id("killed"), unique_size(15));
    let successor = engine(&id, load(&size, &json!({})), None);
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready");
    let mut ramp = again("ends::ramp_that_is_killed_leaves_no_process_and_its_run_can_be_taken_over", &[]);
    ramp.envs(names.iter().zip([Path::new(&id), Path::new(&size), &ready]));
    let mut ramp = ramp.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + LIMIT;
    while !ready.exists() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = processes(&size).len();
    ramp.kill().unwrap();
    ramp.wait().unwrap();
    assert_eq!(before, 3);
    while !processes(&size).is_empty() {
        assert!(Instant::now() < deadline, "they end with their parent");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut run = Run::begin(successor).await;
    run.ready(1).await;
    run.remove().await;
}
