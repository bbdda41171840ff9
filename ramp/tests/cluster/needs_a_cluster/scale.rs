//! Scale: two thousand pods on simulated nodes, as fast as the API server takes them.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::parts::Part;
use crate::process::{self, Namespace, kubectl, scenario};
use crate::support::numbers;
use crate::support::transitions::audit;

#[test]
#[ignore = "needs a cluster with 20 simulated nodes (hollow=true), whose parts may be stopped: CLUSTER_HOME; and RAMP: an optimized build"]
fn two_thousand_pods_cost_less_than_a_quarter_of_a_core_and_100_megabytes() {
    const PODS: u32 = 2000;
    let namespace = Namespace::create("ramp-test-scale");
    let nodes: Value =
        serde_json::from_str(&kubectl(&["get", "nodes", "-l", "hollow=true", "-o", "json"])).unwrap();
    assert!(nodes["items"].as_array().unwrap().len() >= 20, "twenty simulated nodes");
    let _nodes = SimulatedNodes::keep();
    let _controllers = FastControllers::begin();
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("hollow.json");
    fs::write(&manifest, on_hollow_nodes().to_string()).unwrap();
    let out = directory.path().join("run");
    let run = process::run(
        &manifest,
        &out,
        &[
            "--namespace",
            namespace.0,
            "--to",
            &PODS.to_string(),
            "--pace",
            "none",
            "--stop",
            "never",
            "--hold",
            "45s",
        ],
    );
    let began = Instant::now();
    // Until the population has been held, which gives the controller the time to make all pods at its own rate.
    let (mut steps, mut costs) = (0, (0.0, 0));
    let mut seconds = 0.0;
    while let Some(now) = run.costs() {
        let done = fs::read_to_string(out.join("steps.csv"))
            .map_or(0, |text| text.lines().count().saturating_sub(1));
        if done > PODS as usize {
            break;
        }
        (steps, costs, seconds) = (done, now, began.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_millis(500));
    }
    let (status, said) = run.wait_for(Duration::from_secs(900));
    assert!(status.success(), "{status}: {said}");
    assert_eq!(steps, PODS as usize);
    let took: f64 = numbers(&out, "steps.csv", "step_seconds")[..PODS as usize].iter().sum();
    let answers: f64 = numbers(&out, "steps.csv", "scale_latency_seconds")[..PODS as usize].iter().sum();
    let (rate, cores, peak) = (f64::from(PODS) / took, costs.0 / seconds, costs.1);
    let account = audit(&out);
    let most = numbers(&out, "steps.csv", "ready_instances").into_iter().fold(0.0, f64::max);
    println!(
        "{PODS} steps in {took:.1} s, of which the API took {answers:.1} s: {rate:.1} a second; {cores:.3} cores \
         over {seconds:.0} s, {:.1} MB resident at most; {} pods seen, {most} ready at once",
        peak as f64 / 1e6,
        account.last.len()
    );
    // Where all of them share two busy CPUs it may be the API server that has no time: then ramp itself must have room for far more.
    let own = f64::from(PODS) / (took - answers);
    assert!(rate >= 20.0 || own >= 200.0, "{rate:.1} steps a second, {own:.1} without the API");
    assert!(account.last.len() >= PODS as usize * 9 / 10, "{} pods seen", account.last.len());
    assert!(account.there().is_empty());
    assert!(peak < 100_000_000, "{peak} bytes resident");
    assert!(cores < 0.25, "{cores:.3} cores");
}

/// A controller manager that makes and removes more than its default of 20 objects a second, as that of a cluster for thousands of pods
/// does. It is as before when the value goes.
struct FastControllers {
    part: Part,
}

impl FastControllers {
    const NAME: &str = "controller-manager";
    const ARGUMENTS: [&str; 4] = ["--kube-api-qps", "100", "--kube-api-burst", "200"];

    fn begin() -> Self {
        let mut fast = Self { part: Part::of(Self::NAME).without(&Self::ARGUMENTS) };
        fast.part.end();
        fast.part.start_with(&Self::ARGUMENTS);
        fast
    }
}

impl Drop for FastControllers {
    fn drop(&mut self) {
        // Also where the test fails. Who panics twice is not heard.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.part.end();
            self.part.start_again();
        }));
    }
}

/// The simulated nodes, begun again where one ends: the runtime that kubemark simulates now and then dies of "concurrent map writes"
/// while many of its pods end, and the pods of a node that is gone are never confirmed as ended.
struct SimulatedNodes {
    over: Arc<AtomicBool>,
    keeper: Option<JoinHandle<()>>,
}

impl SimulatedNodes {
    fn keep() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let mut nodes: Vec<Part> = Part::all("hollow-");
        nodes.iter().for_each(stand_back);
        let keeper = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                for node in nodes.iter_mut().filter(|node| node.has_ended()) {
                    println!("{} has ended and is begun again", node.name());
                    node.start_again();
                    stand_back(node);
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        });
        Self { over, keeper: Some(keeper) }
    }
}

impl Drop for SimulatedNodes {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // A keeper that has panicked has been heard.
        let _ = self.keeper.take().map(JoinHandle::join);
    }
}

/// Simulated nodes stand for machines of their own: here they must not take the CPUs from the API server that they would not share
/// with it. (Each is in a session of its own, to which the kernel gives an even share whatever its threads' nice values: sched(7),
/// autogroup.) One that has ended meanwhile is passed over.
fn stand_back(node: &Part) {
    let process = node.process();
    // Where the kernel has no such groups the nice values count.
    let _ = fs::write(process.join("autogroup"), "19");
    for thread in fs::read_dir(process.join("task")).into_iter().flatten().flatten() {
        let thread = thread.file_name();
        let status =
            Command::new("renice").args(["-n", "19", "-p"]).arg(&thread).stdout(Stdio::null()).status();
        assert!(status.unwrap().success() || !process.join("task").join(&thread).exists());
    }
}

/// The scenario where pods run nothing: nobody answers a probe, and there is no image that could say who it runs as.
fn on_hollow_nodes() -> Value {
    let scenario = ramp_format::scenario::Scenario::read(&scenario("runc/memory-capacity.yaml")).unwrap();
    let mut manifest = scenario.manifest;
    let pod = &mut manifest["spec"]["template"]["spec"];
    pod["nodeSelector"] = serde_json::json!({"hollow": "true"});
    pod["securityContext"]["runAsUser"] = 65534.into();
    let container = pod["containers"][0].as_object_mut().unwrap();
    container.retain(|key, _| !key.ends_with("Probe"));
    pod["tolerations"] = serde_json::json!([{"key": "hollow", "operator": "Exists"}]);
    manifest
}
