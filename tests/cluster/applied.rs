//! Objects applied to the cluster for a test, and deleted after it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use workload::quantity::Bytes;

use crate::cordon::{Cordon, cordon, uncordon};
use crate::kubectl::{NAMESPACE, apply, command, in_namespace, kubectl, list, names};
use crate::manifest::{Scenario, deploy};
use crate::support::wait_for;
use crate::watch::{Sighting, Watch};

const LOAD: &str = "app.kubernetes.io/component=load";
/// What every Deployment of these manifests bears.
pub(crate) const EVERY: &str = "app.kubernetes.io/name=workload";
/// Within this time what is asked for is there or gone, however busy the machine, and however often the kubelet looks.
pub(crate) const PROMPT: Duration = Duration::from_secs(120);

/// The cluster set up, and with no load. A test has its namespace for itself, and where nodes are filled the whole cluster:
/// .config/nextest.toml.
pub(crate) fn set_up() {
    kubectl(&["apply", "--kustomize", deploy().join("setup").to_str().expect("UTF-8")]);
    in_namespace(&["rollout", "status", "daemonset/node-probe", "--timeout", "60s"]);
    // What a test may have left that was stopped in its midst.
    uncordon();
    drop(Loads { selector: EVERY.into() });
    assert_eq!(names(&["pods", "--selector", LOAD]), Vec::<String>::new(), "a load is still there");
    // A node that has evicted takes no pods without requests for a while.
    wait_for("no node to be under pressure", PROMPT, || {
        let taints = nodes().into_iter().map(|node| node["spec"]["taints"].to_string());
        (!taints.collect::<String>().contains("node.kubernetes.io/memory-pressure")).then_some(())
    });
}

/// Deployments that are on the cluster no longer than the value lives, nor are their pods.
pub(crate) struct Loads {
    /// Theirs and their pods'.
    pub(crate) selector: String,
}

impl Drop for Loads {
    fn drop(&mut self) {
        let pods = format!("{},{LOAD}", self.selector);
        let limit = format!("--timeout={}s", PROMPT.as_secs());
        let steps: [&[&str]; 2] = [
            &["delete", "deployments", "--selector", &self.selector],
            &["wait", "--for=delete", "pods", &limit, "--selector", &pods],
        ];
        for step in steps {
            // Where there is none, or the test fails anyway, there is nothing to say.
            let _ = command(&[&["--namespace", NAMESPACE], step].concat()).output();
        }
    }
}

/// A scenario on the cluster, for as long as the value lives.
pub(crate) struct Applied {
    pub(crate) scenario: Scenario,
    /// Of its pods, from before there was any.
    pub(crate) watch: Watch,
    /// When it was applied.
    pub(crate) at: SystemTime,
    _loads: Loads,
}

impl Applied {
    /// As its file is.
    pub(crate) fn as_it_is(scenario: &Scenario) -> Self {
        let applied = Self::watched(scenario);
        kubectl(&["apply", "--filename", scenario.path.to_str().expect("UTF-8")]);
        applied
    }

    /// As the test has changed it.
    pub(crate) fn changed(scenario: &Scenario) -> Self {
        let applied = Self::watched(scenario);
        apply(&scenario.manifest);
        applied
    }

    fn watched(scenario: &Scenario) -> Self {
        let selector = format!("app.kubernetes.io/instance={}", scenario.name);
        let watch = Watch::pods(&selector);
        Self { scenario: scenario.clone(), watch, at: SystemTime::now(), _loads: Loads { selector } }
    }

    /// Takes it from the cluster, as its user does, and does not wait. The time is from before.
    pub(crate) fn delete(&self) -> SystemTime {
        let begin = SystemTime::now();
        let file = self.scenario.path.to_str().expect("UTF-8");
        kubectl(&["delete", "--wait=false", "--ignore-not-found", "--filename", file]);
        begin
    }
}

/// Has the pod run only where this says.
pub(crate) fn pin(scenario: &mut Scenario, node: &str) {
    scenario.pod()["nodeSelector"] = serde_json::json!({"kubernetes.io/hostname": node});
}

/// Two nodes, for tests that put a scenario on one of them with its file as it is. Meanwhile pods that nobody puts anywhere, such as one in
/// place of an evicted one, come to the first.
pub(crate) struct TwoNodes {
    first: String,
    second: String,
    /// Undone at the end, whatever happens.
    _cordon: Cordon,
    /// One scenario at a time is put somewhere.
    turn: Mutex<()>,
}

impl TwoNodes {
    /// Of a cluster that has no others for this.
    pub(crate) fn of_the_cluster() -> Self {
        let names: Vec<String> = nodes().iter().map(name_of).collect();
        let Ok([first, second]) = <[String; 2]>::try_from(names) else {
            panic!("needs a cluster of two nodes")
        };
        let _cordon = Cordon::of(&[&second]);
        Self { first, second, _cordon, turn: Mutex::new(()) }
    }

    /// Applies a scenario so that its pod comes to the first node; panics where it does not.
    pub(crate) fn apply_on_first(&self, scenario: &Scenario) -> Applied {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        apply_on(&self.first, scenario)
    }

    /// The same on the second.
    pub(crate) fn apply_on_second(&self, scenario: &Scenario) -> Applied {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        uncordon();
        let first = Cordon::of(&[&self.first]);
        let applied = catch_unwind(AssertUnwindSafe(|| apply_on(&self.second, scenario)));
        drop(first);
        cordon(&[&self.second]);
        applied.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn apply_on(node: &str, scenario: &Scenario) -> Applied {
    let mut applied = Applied::as_it_is(scenario);
    let is_placed = |sighting: &Sighting| sighting.pod["spec"]["nodeName"].is_string();
    let placed = applied.watch.wait_for("its pod to be scheduled", PROMPT, is_placed);
    assert_eq!(placed.pod["spec"]["nodeName"], node, "{}", scenario.title());
    applied
}

fn name_of(node: &Value) -> String {
    node["metadata"]["name"].as_str().expect("nodes have names").to_owned()
}

/// The nodes that the probe is for: not the simulated ones.
pub(crate) fn nodes() -> Vec<Value> {
    let mut nodes = list(&["nodes"]);
    let is_simulated = |labels: &Value| labels["hollow"] == "true" || labels["type"] == "kwok";
    nodes.retain(|node| !is_simulated(&node["metadata"]["labels"]));
    nodes
}

/// The memory that a node has for pods before it evicts some.
pub(crate) fn allocatable_bytes(node: &Value) -> u64 {
    let text = node["status"]["allocatable"]["memory"].as_str().expect("nodes tell");
    let Bytes(bytes) = text.parse().expect("a quantity");
    bytes
}
