//! Test support: running local engines, and the events that they sent.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::unistd::Pid;
use ramp::clock::{Clock, Moment};
use ramp::engine::local::LocalEngine;
use ramp::engine::{
    Engine, EngineSpec, Event, Events, GroupId, InstanceReport, InstanceStatus, NodeReading, Notice,
};
use ramp_format::plan::EngineOptions;
use ramp_format::scenario::Scenario;
use ramp_format::state::State;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::stale_cgroups::RemovesCgroups;

pub(crate) const RAMP: &str = env!("CARGO_BIN_EXE_ramp");
/// Longer than anything takes on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A Deployment with this container.
pub(crate) fn scenario(container: &Value) -> Scenario {
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "load"},
                          "spec": {"template": {"spec": {"containers": [container]}}}});
    Scenario::of(manifest).unwrap()
}

/// The load with so much memory, which it gets at once.
pub(crate) fn load(memory: &str, resources: &Value) -> Scenario {
    let args = ["--memory", memory, "--growth-rate", "instant", "--listen", "127.0.0.1:1", "--log", "warn"];
    scenario(&json!({"image": "workload", "args": args, "resources": resources}))
}

pub(crate) fn command(words: &[&str]) -> Scenario {
    scenario(&json!({"image": "other", "command": words}))
}

/// An id that no other run has.
pub(crate) fn run_id(test: &str) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("test-{test}-{}-{}", std::process::id(), since.as_nanos() % 1_000_000_000)
}

pub(crate) fn engine(run: &str, scenario: Scenario, budget: Option<u64>) -> TestEngine {
    let options = EngineOptions { budget_bytes: budget.or(Some(200_000_000)), ..EngineOptions::default() };
    let spec = EngineSpec { run: run.into(), scenario, options };
    let engine = LocalEngine::with_program(spec, Path::new(RAMP)).unwrap();
    TestEngine { engine, _cleanup: RemovesCgroups(run.into()) }
}

/// An engine whose cgroups are removed where the test fails.
pub(crate) struct TestEngine {
    engine: LocalEngine,
    _cleanup: RemovesCgroups,
}

impl TestEngine {
    pub(crate) fn without_cgroups(self) -> Self {
        Self { engine: self.engine.without_cgroups(), ..self }
    }
}

impl Deref for TestEngine {
    type Target = LocalEngine;

    fn deref(&self) -> &LocalEngine {
        &self.engine
    }
}

impl DerefMut for TestEngine {
    fn deref_mut(&mut self) -> &mut LocalEngine {
        &mut self.engine
    }
}

/// An engine at work, and what it has told.
pub(crate) struct Run {
    pub(crate) engine: TestEngine,
    pub(crate) events: mpsc::Receiver<(Moment, Event)>,
    pub(crate) statuses: Vec<InstanceStatus>,
    pub(crate) reports: Vec<InstanceReport>,
    pub(crate) samples: Vec<NodeReading>,
    pub(crate) notices: Vec<Notice>,
}

impl Run {
    pub(crate) async fn begin(mut engine: TestEngine) -> Self {
        let (events, receiver) = Events::channel(Clock::system());
        let applied = engine.begin(events, false).await.unwrap();
        assert_eq!(applied.instances, 0);
        let mut run = Self {
            engine,
            events: receiver,
            statuses: Vec::new(),
            reports: Vec::new(),
            samples: Vec::new(),
            notices: Vec::new(),
        };
        let first = [run.next_event().await, run.next_event().await];
        assert!(
            matches!(&first, [Event::Nodes(nodes), Event::All(all)] if nodes.len() == 1 && all.is_empty())
        );
        run
    }

    pub(crate) async fn next_event(&mut self) -> Event {
        timeout(LIMIT, self.events.recv()).await.expect("an event").expect("the engine lives").1
    }

    /// Takes events until `condition` is true of all that has been told.
    pub(crate) async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !condition(self) {
            assert!(Instant::now() < deadline, "no {what}: {:#?} {:#?}", self.statuses, self.notices);
            match self.next_event().await {
                Event::Instance(instance_status) => self.statuses.push(instance_status),
                Event::Report(report) => self.reports.push(report),
                Event::Sample(sample) => self.samples.push(sample),
                Event::Notice(notice) => self.notices.push(notice),
                Event::Limit(_) => {}
                event => panic!("{event:?}"),
            }
        }
    }

    /// Instances by their state now.
    pub(crate) fn now(&self) -> BTreeMap<&str, State> {
        self.statuses
            .iter()
            .map(|instance_status| (instance_status.name.as_str(), instance_status.state))
            .collect()
    }

    pub(crate) fn count(&self, state: State) -> usize {
        self.now().values().filter(|found| **found == state).count()
    }

    /// The states that an instance has had, in order.
    pub(crate) fn path(&self, name: &str) -> Vec<State> {
        self.statuses
            .iter()
            .filter(|instance_status| instance_status.name == name)
            .map(|instance_status| instance_status.state)
            .collect()
    }

    /// Asks for so many, and waits until they are ready.
    pub(crate) async fn ready(&mut self, instances: usize) {
        self.engine.scale(GroupId::ONLY, u32::try_from(instances).unwrap()).await.unwrap();
        self.until("readiness", |run| run.count(State::Ready) == instances).await;
    }

    /// Removes everything, and waits until nothing is left.
    pub(crate) async fn remove(&mut self) {
        self.engine.remove().await.unwrap();
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = self.engine.left().await.unwrap();
            if left.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "{left:?}");
            // Whatever comes meanwhile; a sample at the latest.
            let count = self.samples.len();
            self.until("sample", |run| run.samples.len() > count).await;
        }
        // What was sent before is read as well.
        let count = self.samples.len();
        self.until("sample", |run| run.samples.len() > count).await;
    }
}

/// Processes whose command line has this in it.
pub(crate) fn processes(part: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split('\0').any(|word| word == part)
    })
    .map(Pid::from_raw)
    .collect()
}

/// A size that no other test asks for, so that its processes can be told from others.
pub(crate) fn unique_size(millions: u64) -> String {
    (millions * 1_000_000 + u64::from(std::process::id() % 4_000) * 100 + millions).to_string()
}

/// A test of this file, as a process of its own that plays another part in it.
pub(crate) fn again(test: &str, before: &[&str]) -> Command {
    let this = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let words: Vec<&str> = before.iter().copied().chain([this.as_str(), "--exact", test]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(PART, test);
    command
}

/// Set where a test is run by itself.
pub(crate) const PART: &str = "RAMP_TEST_PART";
