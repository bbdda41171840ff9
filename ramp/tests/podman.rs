//! The podman engine on Podman itself, each test with an API service of its own. Needs the image of `workload`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says so by failing")]

#[path = "support/podman.rs"]
mod service;

#[path = "podman/cost.rs"]
mod cost;
#[path = "podman/services.rs"]
mod services;
#[path = "podman/studies.rs"]
mod studies;

#[path = "support/charged.rs"]
mod charged;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use ramp::clock::{Clock, Moment};
use ramp::engine::podman::{self, PodmanEngine};
use ramp::engine::{Engine, EngineSpec, Event, Events, GroupId, InstanceStatus, Notice, NoticeKind};
use ramp_format::scenario::Scenario;
use ramp_format::state::State;
use service::Service;
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What the engine has told so far.
#[derive(Default)]
struct Seen {
    now: BTreeMap<String, InstanceStatus>,
    all: Vec<InstanceStatus>,
    reports: BTreeMap<String, usize>,
    notices: Vec<Notice>,
    samples: Vec<SystemTime>,
    calls: usize,
}

impl Seen {
    fn take(&mut self, at: SystemTime, event: Event) {
        match event {
            Event::Instance(instance_status) => {
                self.now.insert(instance_status.name.clone(), instance_status.clone());
                self.all.push(instance_status);
            }
            Event::All(statuses) => {
                self.now
                    .retain(|name, _| statuses.iter().any(|instance_status| instance_status.name == *name));
                for instance_status in statuses {
                    self.take(at, Event::Instance(instance_status));
                }
            }
            Event::Report(report) => *self.reports.entry(report.uid).or_default() += 1,
            Event::Notice(notice) => self.notices.push(notice),
            Event::Sample(_) => self.samples.push(at),
            Event::Rescaled(rescaled) => panic!("nobody else scales: {rescaled:?}"),
            Event::Removed(why) => panic!("nobody else removes the workload: {why}"),
            Event::Call(_) => self.calls += 1,
            Event::WaitsFor(_) => {}
            Event::Obstacle(_) => {}
            Event::Component(_) | Event::Limit(_) => {}
            Event::Node(_) | Event::Nodes(_) | Event::NodeGone(_) => {}
        }
    }

    fn count(&self, state: State) -> usize {
        self.now.values().filter(|instance_status| instance_status.state == state).count()
    }

    fn there(&self) -> usize {
        self.now.len() - self.count(State::Gone)
    }

    fn notices(&self, kind: NoticeKind) -> usize {
        self.notices.iter().filter(|notice| notice.kind == kind).count()
    }
}

struct Run {
    engine: PodmanEngine,
    events: mpsc::Receiver<(Moment, Event)>,
    seen: Seen,
}

impl Run {
    async fn begin(order: EngineSpec) -> Self {
        let mut engine = PodmanEngine::new(order).unwrap();
        let (sender, events) = Events::channel(Clock::system());
        let applied = engine.begin(sender, false).await.unwrap();
        assert_eq!(applied.instances, 0);
        Self { engine, events, seen: Seen::default() }
    }

    /// Waits until it is so.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        let seen = &mut self.seen;
        let events = &mut self.events;
        let waited = timeout(Duration::from_secs(60), async {
            while !is_so(seen) {
                let (at, event) = events.recv().await.expect("the engine lives");
                seen.take(at.wall, event);
            }
        });
        if waited.await.is_err() {
            panic!(
                "not so within a minute: {what}; now {:#?}, all {:#?}, notices {:#?}",
                self.seen.now, self.seen.all, self.seen.notices
            );
        }
    }

    async fn end(mut self) {
        self.engine.remove().await.unwrap();
        self.until("nothing is there", |seen| seen.there() == 0).await;
        assert_eq!(self.engine.left().await.unwrap(), Vec::<String>::new());
    }
}

fn order(service: &Service, run: &str, memory: &str, limit: &str) -> EngineSpec {
    let manifest = format!(
        r#"{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {{"name": "test"}}, "spec": {{"template": {{"spec": {{
            "terminationGracePeriodSeconds": 5, "containers": [{{"name": "workload", "image": "localhost/workload:0.1.0",
            "args": ["--memory={memory}", "--growth-rate=instant", "--format=json", "--report-every=1s", "--log=warn"],
            "resources": {{"limits": {{"memory": "{limit}", "cpu": "0.5"}}}},
            "securityContext": {{"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                 "capabilities": {{"drop": ["ALL"]}}}}}}]}}}}}}}}"#
    );
    let run = format!("{run}-{}", std::process::id());
    EngineSpec { run, scenario: Scenario::parse(&manifest).unwrap(), options: service.options() }
}

/// What podman says.
async fn podman(args: &[&str]) -> String {
    let output = Command::new("podman").args(args).output().await.unwrap();
    assert!(output.status.success(), "podman {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "needs podman"]
async fn three_get_ready_one_is_killed_and_comes_back_and_none_is_left() {
    let service = Service::start().await;
    let mut run = Run::begin(order(&service, "killed", "20M", "100M")).await;
    run.engine.scale(GroupId::ONLY, 3).await.unwrap();
    run.until("three are ready", |seen| seen.count(State::Ready) == 3).await;
    assert_eq!(run.seen.reports.len(), 3, "each has reported");
    assert!(run.seen.calls >= 6, "creations and starts are measured");

    let victim = run.seen.now.values().next().unwrap().clone();
    podman(&["kill", &victim.name]).await;
    run.until("it has failed", |seen| seen.now[&victim.name].state == State::Failed).await;
    let end = run.seen.now[&victim.name].end.clone().unwrap();
    assert_eq!((end.state, end.reason.contains("137")), (State::Failed, true), "{}", end.reason);
    run.until("it is ready again", |seen| seen.now[&victim.name].state == State::Ready).await;
    let again = &run.seen.now[&victim.name];
    assert_eq!((again.restarts, &again.uid, again.end.as_ref()), (1, &victim.uid, Some(&end)));

    run.engine.scale(GroupId::ONLY, 1).await.unwrap();
    run.until("one is left", |seen| seen.there() == 1).await;
    assert!(run.seen.now.values().any(|one| one.state == State::Ready && one.name.ends_with("-0001")));
    assert!(run.seen.all.iter().any(|one| one.state == State::Terminating && one.name.ends_with("-0003")));
    run.engine.scale(GroupId::ONLY, 0).await.unwrap();
    run.until("none is left", |seen| seen.there() == 0).await;
    run.until("the machine is sampled again and again", |seen| seen.samples.len() >= 2).await;
    run.end().await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn an_oom_kill_is_told_as_such_each_time_in_the_life_it_ends() {
    let service = Service::start().await;
    let mut run = Run::begin(order(&service, "oom", "60M", "30M")).await;
    run.engine.scale(GroupId::ONLY, 1).await.unwrap();
    run.until("it is killed, at once started again, and killed again", |seen| {
        seen.now.values().any(|one| one.state == State::OomKilled && one.restarts == 1)
    })
    .await;
    let ends: Vec<_> = run.seen.all.iter().filter_map(|one| one.end.clone()).collect();
    assert!(
        ends.iter().all(|end| end.state == State::OomKilled && end.reason.contains("OOMKilled")),
        "{ends:?}"
    );
    assert_eq!(ends.iter().map(|end| &end.container).collect::<std::collections::BTreeSet<_>>().len(), 2);
    run.end().await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn a_service_that_dies_is_a_gap_and_what_happened_in_it_is_not_lost() {
    let mut service = Service::start().await;
    let mut run = Run::begin(order(&service, "gap", "20M", "100M")).await;
    run.engine.scale(GroupId::ONLY, 2).await.unwrap();
    run.until("two are ready", |seen| seen.count(State::Ready) == 2).await;
    let names: Vec<_> = run.seen.now.keys().cloned().collect();

    service.kill().await;
    run.until("the gap is told", |seen| seen.notices(NoticeKind::GapBegins) == 1).await;
    podman(&["kill", &names[0]]).await;
    run.engine.scale(GroupId::ONLY, 3).await.unwrap();
    service.start_again().await;
    run.until("the gap is over", |seen| seen.notices(NoticeKind::GapEnds) == 1).await;
    run.until("the one that died in it has come back and a third has come", |seen| {
        seen.count(State::Ready) == 3 && seen.now[&names[0]].restarts == 1
    })
    .await;
    assert!(run.seen.now[&names[0]].end.is_some());
    assert_eq!(run.seen.now[&names[1]].restarts, 0);
    assert_eq!(run.seen.notices(NoticeKind::GapBegins), 1, "{:?}", run.seen.notices);
    run.end().await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn another_process_takes_over_what_one_has_left_and_a_clean_up_finds_it() {
    let service = Service::start().await;
    let order = order(&service, "adopted", "20M", "100M");
    let mut run = Run::begin(order.clone()).await;
    run.engine.scale(GroupId::ONLY, 2).await.unwrap();
    run.until("two are ready", |seen| seen.count(State::Ready) == 2).await;
    let uids: Vec<_> = run.seen.now.values().map(|one| one.uid.clone()).collect();
    drop(run);

    let other = EngineSpec { run: format!("{}-other", order.run), ..order.clone() };
    let preflight = PodmanEngine::new(other).unwrap().preflight().await.unwrap();
    assert!(
        preflight.findings.iter().any(|found| found.refuses && found.message.contains("ramp clean")),
        "{preflight:?}"
    );

    let mut engine = PodmanEngine::new(order.clone()).unwrap();
    let (sender, events) = Events::channel(Clock::system());
    assert_eq!(engine.begin(sender, true).await.unwrap().instances, 2);
    let mut run = Run { engine, events, seen: Seen::default() };
    run.engine.scale(GroupId::ONLY, 3).await.unwrap();
    run.until("three are ready", |seen| seen.count(State::Ready) == 3).await;
    assert!(uids.iter().all(|uid| run.seen.now.values().any(|one| one.uid == *uid)));
    assert!(run.seen.now.keys().any(|name| name.ends_with("-0003")));
    drop(run);

    let mine = |left: Vec<podman::Leftover>| left.into_iter().filter(|left| left.run == order.run).count();
    assert_eq!(mine(podman::leftovers(&service.options()).await.unwrap()), 3);
    assert_eq!(podman::remove_leftovers(&service.options(), Some(&order.run)).await.unwrap(), 3);
    assert_eq!(mine(podman::leftovers(&service.options()).await.unwrap()), 0);
}

#[tokio::test]
#[ignore = "needs podman"]
async fn what_cannot_be_created_or_run_is_said() {
    let service = Service::start().await;
    let mut order = order(&service, "refused", "20M", "100M");
    order.options.runtime = Some("no-such-runtime".into());
    order.scenario.container.image = "localhost/no-such-image:1".into();
    let preflight = PodmanEngine::new(order.clone()).unwrap().preflight().await.unwrap();
    let refused =
        |part: &str| preflight.findings.iter().any(|found| found.refuses && found.message.contains(part));
    assert!(refused("no-such-image") && refused("no-such-runtime"), "{:?}", preflight.findings);
    assert!(preflight.versions.contains_key("podman"), "{:?}", preflight.versions);
    assert!(preflight.nodes[0].allocatable_memory_bytes.unwrap() > 0);

    let mut run = Run::begin(order).await;
    run.engine.scale(GroupId::ONLY, 1).await.unwrap();
    run.until("it has failed", |seen| seen.count(State::Failed) == 1).await;
    run.until("and that is told", |seen| seen.notices.iter().any(|notice| notice.reason == "FailedCreate"))
        .await;
    run.end().await;
}
