//! Contract of all engines: scaling, readiness, ends of instances, removal.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod engines;

use std::collections::BTreeSet;
use std::time::Duration;

use ramp::clock::{Clock, Moment};
use ramp::engine::{Engine, Event, Events, GroupId};
use ramp::run::instance_tracker::InstanceTracker;
use ramp_format::preflight::Finding;
use ramp_format::state::State;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep, timeout_at};

/// Longer than anything that is waited for takes.
const LIMIT: Duration = Duration::from_secs(120);

/// What an engine tells, taken in as a run does.
struct Observer {
    events: Receiver<(Moment, Event)>,
    transitions: InstanceTracker,
    names: BTreeSet<String>,
    nodes: BTreeSet<String>,
    sampled: u32,
    reported: BTreeSet<String>,
    listed: u32,
    last: Duration,
}

impl Observer {
    fn new() -> (Events, Self) {
        let (events, receiver) = Events::channel(Clock::system());
        let observer = Self {
            events: receiver,
            transitions: InstanceTracker::default(),
            names: BTreeSet::new(),
            nodes: BTreeSet::new(),
            sampled: 0,
            reported: BTreeSet::new(),
            listed: 0,
            last: Duration::ZERO,
        };
        (events, observer)
    }

    fn take(&mut self, (at, event): (Moment, Event)) {
        assert!(at.elapsed >= self.last, "events come in the order in which they were seen");
        self.last = at.elapsed;
        match event {
            Event::Instance(instance_status) => {
                self.names.insert(instance_status.name.clone());
                self.transitions.see(&instance_status);
            }
            Event::All(statuses) => {
                self.listed += 1;
                self.transitions.see_all(&statuses);
            }
            Event::Nodes(nodes) => self.nodes = nodes.into_iter().map(|node| node.name).collect(),
            Event::Sample(sample) => {
                assert!(self.nodes.contains(&sample.node), "a sample of a node that there is");
                assert!(sample.record["memory_total_bytes"].as_u64().unwrap() > 0);
                self.sampled += 1;
            }
            Event::Report(report) => {
                self.reported.insert(report.uid);
            }
            Event::Rescaled(rescaled) => panic!("nobody else scales: {rescaled:?}"),
            Event::Removed(why) => panic!("nobody else removes the workload: {why}"),
            Event::Component(_)
            | Event::Limit(_)
            | Event::Node(_)
            | Event::NodeGone(_)
            | Event::Notice(_)
            | Event::Obstacle(_)
            | Event::Call(_)
            | Event::WaitsFor(_) => {}
        }
    }

    /// Takes in what comes while something is asked.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                value = &mut work => return value,
                Some(event) = self.events.recv() => self.take(event),
            }
        }
    }

    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + LIMIT;
        while !so(self) {
            match timeout_at(end, self.events.recv()).await {
                Ok(Some(event)) => self.take(event),
                _ => panic!(
                    "not within {LIMIT:?}: {what}; {:?} {:?}",
                    self.transitions.counts(),
                    self.transitions.totals()
                ),
            }
        }
    }

    fn ready(&self) -> u32 {
        self.transitions.counts().of(State::Ready)
    }
}

/// The contract. `reports` is whether instances tell of themselves.
async fn holds(mut engine: impl Engine, reports: bool) {
    let preflight = engine.preflight().await.unwrap();
    assert!(!preflight.nodes.is_empty() && preflight.nodes.iter().any(|node| node.eligible), "{preflight:?}");
    // What others left on this machine, or run there now, is not this engine's.
    let of_others = |finding: &&Finding| {
        finding.message.starts_with("run ") || finding.message.starts_with("containers of other runs exist")
    };
    let refusals = preflight.findings.iter().filter(|finding| finding.refuses);
    let refusals: Vec<_> = refusals.filter(|finding| !of_others(finding)).collect();
    assert!(refusals.is_empty(), "{refusals:?}");

    let (events, mut seen) = Observer::new();
    let applied = seen.during(engine.begin(events, false)).await.unwrap();
    seen.during(sleep(Duration::from_millis(10))).await;
    assert_eq!((applied.instances, seen.transitions.there()), (0, 0), "a population of none, at first");
    assert!(seen.listed >= 1 && !seen.nodes.is_empty(), "what there is has been told");
    assert!(!applied.manifest.is_null());

    for asked in [1, 3] {
        seen.during(engine.scale(GroupId::ONLY, asked)).await.unwrap();
        seen.until("as many as were asked for are ready", |seen| seen.ready() == asked).await;
        assert_eq!(seen.transitions.in_place(), asked, "and no more");
        assert!(seen.transitions.is_settled(asked));
    }
    assert_eq!(seen.names.len(), 3, "each has a name of its own");
    seen.until("a machine tells of itself again and again", |seen| seen.sampled >= 3).await;
    if reports {
        seen.until("each instance tells of itself", |seen| seen.reported.len() >= 3).await;
    }
    seen.during(engine.scale(GroupId::ONLY, 3)).await.unwrap();
    seen.during(sleep(Duration::from_millis(200))).await;
    assert_eq!(seen.transitions.there(), 3, "to ask for the same again changes nothing");

    seen.during(engine.scale(GroupId::ONLY, 1)).await.unwrap();
    seen.until("those not asked for any more are gone", |seen| seen.transitions.there() == 1).await;
    assert_eq!(
        (seen.transitions.totals().gone, seen.transitions.totals().failures),
        (2, 0),
        "told to end is no failure"
    );
    assert_eq!(seen.transitions.totals().oom_kills, 0);

    assert!(!seen.during(engine.left()).await.unwrap().is_empty(), "something is there");
    seen.during(engine.remove()).await.unwrap();
    seen.until("all are gone", |seen| seen.transitions.there() == 0).await;
    let end = Instant::now() + LIMIT;
    loop {
        let left = seen.during(engine.left()).await.unwrap();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < end, "still there: {left:?}");
        seen.during(sleep(Duration::from_millis(200))).await;
    }
    seen.during(engine.remove()).await.expect("nothing to remove is no error");
}
