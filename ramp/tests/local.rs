//! The local engine, with real processes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ramp::clock::Clock;
use ramp::engine::local::{self, LocalEngine};
use ramp::engine::{Budget, Engine, Event, Events, Notice, Order, Report, Sample, Sighting};
use ramp::plan::EngineOptions;
use ramp::scenario::Scenario;
use ramp::state::State;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

const RAMP: &str = env!("CARGO_BIN_EXE_ramp");
/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A Deployment with this container.
fn scenario(container: Value) -> Scenario {
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "load"},
                          "spec": {"template": {"spec": {"containers": [container]}}}});
    Scenario::of(manifest).unwrap()
}

/// The load with so much memory, which it gets at once.
fn load(memory: &str, resources: Value) -> Scenario {
    let args = ["--memory", memory, "--growth-rate", "instant", "--listen", "127.0.0.1:1", "--log", "warn"];
    scenario(json!({"image": "workload", "args": args, "resources": resources}))
}

fn command(words: &[&str]) -> Scenario {
    scenario(json!({"image": "other", "command": words}))
}

/// An id that no other run has.
fn run_id(test: &str) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("test-{test}-{}-{}", std::process::id(), since.as_nanos() % 1_000_000_000)
}

fn engine(run: &str, scenario: Scenario, budget: Option<u64>) -> LocalEngine {
    let options = EngineOptions { budget_bytes: budget.or(Some(200_000_000)), ..EngineOptions::default() };
    LocalEngine::with_program(Order { run: run.into(), scenario, options }, Path::new(RAMP)).unwrap()
}

/// An engine at work, and what it has told.
struct Run {
    engine: LocalEngine,
    events: mpsc::Receiver<(SystemTime, Event)>,
    sightings: Vec<Sighting>,
    reports: Vec<Report>,
    samples: Vec<Sample>,
    notices: Vec<Notice>,
}

impl Run {
    async fn begin(mut engine: LocalEngine) -> Self {
        let (events, receiver) = Events::channel(Clock::of_the_machine());
        let applied = engine.begin(events, false).await.unwrap();
        assert_eq!(applied.instances, 0);
        let mut run = Self {
            engine,
            events: receiver,
            sightings: Vec::new(),
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

    async fn next_event(&mut self) -> Event {
        timeout(LIMIT, self.events.recv()).await.expect("an event").expect("the engine lives").1
    }

    /// Takes events until `condition` is true of all that has been told.
    async fn until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !condition(self) {
            assert!(Instant::now() < deadline, "no {what}: {:#?} {:#?}", self.sightings, self.notices);
            match self.next_event().await {
                Event::Instance(sighting) => self.sightings.push(sighting),
                Event::Report(report) => self.reports.push(report),
                Event::Sample(sample) => self.samples.push(sample),
                Event::Notice(notice) => self.notices.push(notice),
                event => panic!("{event:?}"),
            }
        }
    }

    /// Instances by their state now.
    fn now(&self) -> BTreeMap<&str, State> {
        self.sightings.iter().map(|sighting| (sighting.name.as_str(), sighting.state)).collect()
    }

    fn count(&self, state: State) -> usize {
        self.now().values().filter(|found| **found == state).count()
    }

    /// The states that an instance has had, in order.
    fn path(&self, name: &str) -> Vec<State> {
        self.sightings
            .iter()
            .filter(|sighting| sighting.name == name)
            .map(|sighting| sighting.state)
            .collect()
    }

    /// Asks for so many, and waits until they are ready.
    async fn ready(&mut self, instances: usize) {
        self.engine.scale(u32::try_from(instances).unwrap()).await.unwrap();
        self.until("readiness", |run| run.count(State::Ready) == instances).await;
    }

    /// Removes everything, and waits until nothing is left.
    async fn remove(&mut self) {
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
fn processes(part: &str) -> Vec<Pid> {
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
fn unique_size(millions: u64) -> String {
    (millions * 1_000_000 + u64::from(std::process::id() % 4_000) * 100 + millions).to_string()
}

#[tokio::test]
async fn an_instance_gets_its_memory_and_is_ready() {
    let size = unique_size(20);
    let mut run = Run::begin(engine(&run_id("ready"), load(&size, json!({})), None)).await;
    run.ready(1).await;
    assert_eq!(run.path("load-0001"), [State::Creating, State::Running, State::Ready]);
    let report = run.reports.last().unwrap();
    let resident = report.record["memory_resident_bytes"].as_f64().unwrap();
    let wanted: f64 = size.parse().unwrap();
    assert!((resident / wanted - 1.0).abs() < 0.01, "{resident} of {wanted}");
    assert_eq!(report.uid, run.sightings[0].uid);
    run.remove().await;
    assert_eq!(run.path("load-0001")[3..], [State::Terminating, State::Gone]);
}

#[tokio::test]
async fn scaled_up_and_down_the_newest_end_first_and_nothing_is_left() {
    let size = unique_size(12);
    let mut run = Run::begin(engine(&run_id("scale"), load(&size, json!({})), None)).await;
    run.ready(3).await;
    assert_eq!(processes(&size).len(), 3);
    run.engine.scale(1).await.unwrap();
    run.until("end of two", |run| run.count(State::Gone) == 2).await;
    assert_eq!(run.now()["load-0001"], State::Ready);
    run.engine.scale(2).await.unwrap();
    run.until("a new one", |run| run.now().get("load-0004") == Some(&State::Ready)).await;
    run.engine.scale(0).await.unwrap();
    run.until("end of all", |run| run.count(State::Gone) == 4).await;
    run.remove().await;
    assert_eq!(processes(&size), []);
}

#[tokio::test]
async fn one_that_is_killed_has_failed_and_is_started_again_at_once() {
    let size = unique_size(13);
    let mut run = Run::begin(engine(&run_id("kill"), load(&size, json!({})), None)).await;
    run.ready(1).await;
    kill(processes(&size)[0], Signal::SIGKILL).unwrap();
    let is_back =
        |run: &Run| run.sightings.last().is_some_and(|last| (last.state, last.restarts) == (State::Ready, 1));
    run.until("restart", is_back).await;
    assert_eq!(run.path("load-0001")[3..], [State::Failed, State::Running, State::Ready]);
    let last = run.sightings.last().unwrap();
    let end = last.end.as_ref().unwrap();
    assert_eq!((end.container.as_str(), end.state), (format!("{}/0", last.uid).as_str(), State::Failed));
    assert!(end.reason.contains("SIGKILL"), "{}", end.reason);
    run.remove().await;
}

#[tokio::test]
async fn one_that_fails_again_and_again_is_waited_for() {
    let mut run =
        Run::begin(engine(&run_id("exit"), command(&["sh", "-c", "echo no >&2; exit 3"]), None)).await;
    run.engine.scale(1).await.unwrap();
    run.until("two ends", |run| {
        run.sightings.last().is_some_and(|last| (last.state, last.restarts) == (State::Failed, 1))
    })
    .await;
    assert_eq!(run.sightings.last().unwrap().reason, "exit status 3");
    assert_eq!(run.notices.iter().filter(|notice| notice.message == "no").count(), 2);
    let seen = run.sightings.len();
    run.until("samples", |run| run.samples.len() > 2).await;
    assert_eq!(run.sightings.len(), seen, "the next start is ten seconds away");
    run.remove().await;
    assert_eq!(run.sightings.last().unwrap().state, State::Gone);
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
async fn a_command_that_is_not_there_has_failed_and_says_so() {
    let mut run = Run::begin(engine(&run_id("absent"), command(&["/no/such/program"]), None)).await;
    run.engine.scale(1).await.unwrap();
    run.until("failure", |run| run.now().get("load-0001") == Some(&State::Failed)).await;
    assert!(
        run.notices.iter().any(|notice| notice.message.contains("/no/such/program")),
        "{:?}",
        run.notices
    );
    assert!(run.sightings.iter().any(|sighting| sighting.reason == "exit status 127"));
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
    run.engine.scale(0).await.unwrap();
    run.until("the end", |run| run.now()["load-0001"] == State::Gone).await;
    assert_eq!(run.sightings.last().unwrap().reason, "signal SIGKILL");
    run.remove().await;
}

#[tokio::test]
async fn without_cgroups_the_newest_is_evicted_above_the_budget() {
    let size = unique_size(30);
    let mut engine = engine(&run_id("watch"), load(&size, json!({})), Some(75_000_000));
    if std::env::var_os(PART).is_none() {
        // Run by itself it has no right to make any.
        engine = engine.without_cgroups();
    }
    let mut run = Run::begin(engine).await;
    run.ready(2).await;
    run.engine.scale(3).await.unwrap();
    run.until("eviction", |run| run.count(State::Evicted) == 1).await;
    assert_eq!(run.now()["load-0003"], State::Evicted);
    assert!(run.sightings.last().unwrap().reason.contains("which watches the budget"));
    assert_eq!(run.count(State::Ready), 2, "{:?}", run.now());
    assert!(run.notices.iter().any(|notice| notice.reason == "watched_by_ramp"));
    let count = run.samples.len();
    run.until("samples", |run| run.samples.len() > count + 1).await;
    let Budget { limit, used } = run.samples.last().unwrap().budget.unwrap();
    assert!(used.0 > 60_000_000 && used <= limit, "{used} of {limit}");
    let findings = run.engine.survey().await.unwrap().findings;
    assert!(findings.iter().any(|finding| !finding.refuses && finding.message.contains("/proc/PID/statm")));
    run.remove().await;
    assert_eq!(processes(&size), []);
}

#[tokio::test]
async fn the_machine_is_sampled_each_second() {
    let mut run = Run::begin(engine(&run_id("sample"), load("1M", json!({})), None)).await;
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
async fn dropping_the_engine_ends_its_processes() {
    let size = unique_size(14);
    let mut run = Run::begin(engine(&run_id("drop"), load(&size, json!({})), None).without_cgroups()).await;
    run.ready(2).await;
    drop(run);
    let deadline = Instant::now() + LIMIT;
    while !processes(&size).is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_the_run_needs_is_surveyed_and_nothing_is_changed_by_it() {
    let run = run_id("survey");
    let mut engine = engine(&run, load("20M", json!({"limits": {"memory": "30M"}})), None);
    let survey = engine.survey().await.unwrap();
    assert_eq!(survey.nodes[0].allocatable_memory_bytes, Some(200_000_000));
    assert!(survey.versions.contains_key("linux"));
    assert!(survey.not_honoured.iter().any(|line| line.starts_with("--listen 127.0.0.1:1")));
    assert_eq!(engine.left().await.unwrap(), Vec::<String>::new());
    let cleaned = local::clean(Some(&format!("{run}.trial"))).await;
    assert_eq!(cleaned, local::Cleaned::default());
}

/// A test of this file, as a process of its own that plays another part in it.
fn again(test: &str, before: &[&str]) -> Command {
    let this = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let words: Vec<&str> = before.iter().copied().chain([this.as_str(), "--exact", test]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(PART, test);
    command
}

/// Set where a test is run by itself.
const PART: &str = "RAMP_TEST_PART";

/// Takes three instances and never ends.
async fn to_be_killed(run: &str, size: &str, ready: &str) {
    let mut run = Run::begin(engine(run, load(size, json!({})), None)).await;
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
    let directory = tempfile::tempdir().unwrap();
    let ready = directory.path().join("ready");
    let mut ramp = again("ramp_that_is_killed_leaves_no_process_and_its_run_can_be_taken_over", &[]);
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
    let mut run = Run::begin(engine(&id, load(&size, json!({})), None)).await;
    run.ready(1).await;
    run.remove().await;
}

/// The directories of a run's cgroup.
fn cgroups(run: &str) -> Vec<PathBuf> {
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-type", "d", "-name"]).arg(format!("ramp-{run}")).stderr(Stdio::null());
    let text = String::from_utf8(find.output().unwrap().stdout).unwrap();
    text.lines().map(PathBuf::from).collect()
}

#[tokio::test]
#[ignore = "needs root and cgroups"]
async fn above_its_own_limit_an_instance_is_oom_killed_and_started_again() {
    let limits = json!({"limits": {"memory": "30M", "cpu": "500m"}, "requests": {"cpu": "250m"}});
    let id = run_id("oom");
    let mut run = Run::begin(engine(&id, load("60M", limits), None)).await;
    run.engine.scale(1).await.unwrap();
    run.until("two OOM kills", |run| {
        run.sightings.iter().filter(|sighting| sighting.state == State::OomKilled).count() == 2
    })
    .await;
    let last = run.sightings.last().unwrap();
    let end = last.end.as_ref().unwrap();
    assert_eq!((end.container.clone(), end.state), (format!("{}/1", last.uid), State::OomKilled));
    for directory in cgroups(&id) {
        let text =
            |file: &str| fs::read_to_string(directory.join("load-0001").join(file)).unwrap_or_default();
        for (file, wanted) in
            [("cpu.cfs_quota_us", "50000\n"), ("cpu.shares", "256\n"), ("cpu.max", "50000 100000\n")]
        {
            assert!(["", wanted].contains(&text(file).as_str()), "{file}: {}", text(file));
        }
    }
    run.remove().await;
    assert_eq!(cgroups(&id), Vec::<PathBuf>::new());
}

#[tokio::test]
#[ignore = "needs root and cgroups"]
async fn above_the_budget_the_kernel_ends_one_and_the_machine_is_spared() {
    let size = unique_size(25);
    let id = run_id("budget");
    let mut run = Run::begin(engine(&id, load(&size, json!({})), Some(60_000_000))).await;
    assert!(!cgroups(&id).is_empty());
    run.ready(2).await;
    run.engine.scale(3).await.unwrap();
    run.until("OOM kill", |run| run.sightings.iter().any(|sighting| sighting.state == State::OomKilled))
        .await;
    let count = run.samples.len();
    run.until("a sample", |run| run.samples.len() > count).await;
    for budget in run.samples.iter().filter_map(|sample| sample.budget) {
        assert!(budget.used <= budget.limit, "{budget:?}");
    }
    run.remove().await;
    assert_eq!((cgroups(&id).len(), processes(&size).len()), (0, 0));
}

#[tokio::test]
#[ignore = "needs root and cgroups"]
async fn what_a_run_has_left_is_found_and_cleaned_by_its_id() {
    let (old, new) = (run_id("old"), run_id("new"));
    let run = Run::begin(engine(&old, load("5M", json!({})), None)).await;
    drop(run);
    assert!(!cgroups(&old).is_empty());
    let survey = engine(&new, load("5M", json!({})), None).survey().await.unwrap();
    let finding = survey.findings.iter().find(|finding| finding.message.contains(&old)).unwrap();
    assert!(finding.refuses && finding.message.contains("ramp clean --engine local"), "{finding:?}");
    let cleaned = local::clean(Some(&old)).await;
    assert_eq!((cleaned.removed.is_empty(), cleaned.kept), (false, Vec::<String>::new()));
    assert_eq!(cgroups(&old), Vec::<PathBuf>::new());
}

#[tokio::test]
#[ignore = "needs root"]
async fn an_ordinary_user_needs_no_right_to_make_cgroups() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let test = "without_cgroups_the_newest_is_evicted_above_the_budget";
    let output = again(test, &nobody).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
