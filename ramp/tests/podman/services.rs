//! Services of Podman with other log drivers and event loggers than the usual ones.

use std::time::{Duration, Instant};

use ramp::engine::{Engine, GroupId};
use ramp_format::state::State;

use super::service::Service;
use super::{Run, order, podman};

/// Instances become ready, one that is killed comes back, and all are removed at once, whatever the service does by default.
async fn holds(log_driver: &str, events_logger: &str) {
    let service = Service::with(&format!(
        "[containers]\nlog_driver = \"{log_driver}\"\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n\
         [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"{events_logger}\"\n"
    ))
    .await;
    let mut run = Run::begin(order(&service, &format!("{log_driver}-{events_logger}"), "20M", "100M")).await;
    run.engine.scale(GroupId::ONLY, 2).await.unwrap();
    run.until("two are ready", |seen| seen.count(State::Ready) == 2).await;
    let victim = run.seen.now.keys().next().unwrap().clone();
    let of_container = "{{.HostConfig.LogConfig.Type}} {{.HostConfig.NetworkMode}}";
    assert_eq!(podman(&["inspect", "--format", of_container, &victim]).await.trim(), "json-file none");
    podman(&["kill", &victim]).await;
    run.until("it is ready again", |seen| {
        let again = &seen.now[&victim];
        (again.state, again.restarts) == (State::Ready, 1)
    })
    .await;
    let no_events = run.seen.notices.iter().filter(|notice| notice.reason == "NoEvents").count();
    // Of journald it depends on the machine.
    if events_logger != "journald" {
        assert_eq!(no_events, usize::from(events_logger == "none"), "{:?}", run.seen.notices);
    }
    podman(&["rm", "--force", "--time", "0", &victim]).await;
    run.until("another one takes the place of one that was removed", |seen| {
        seen.all.iter().any(|one| one.name == victim && one.reason == "removed by someone else")
            && seen.count(State::Ready) == 2
    })
    .await;
    let began = Instant::now();
    run.end().await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
#[ignore = "needs podman"]
async fn a_service_that_logs_nothing() {
    holds("none", "file").await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn a_service_that_passes_logs_through() {
    holds("passthrough", "file").await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn a_service_that_logs_to_journald() {
    holds("journald", "journald").await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn a_service_without_events() {
    holds("k8s-file", "none").await;
}
