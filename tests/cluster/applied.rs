//! What is on the cluster during a test, and not after it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::kubectl::{apply, in_namespace, kubectl, names};
use crate::manifest::{Scenario, deploy};
use crate::watch::Watch;

const LOAD: &str = "app.kubernetes.io/component=load";
/// Within this time a pod is there or gone, however busy the machine.
pub(crate) const PROMPT: Duration = Duration::from_secs(60);

/// The cluster for a test alone: set up, and with no load.
pub(crate) fn cluster() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that has failed is no reason for the next one to.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    kubectl(&["apply", "--kustomize", deploy().join("setup").to_str().expect("UTF-8")]);
    in_namespace(&["rollout", "status", "daemonset/node-probe", "--timeout", "60s"]);
    in_namespace(&["delete", "deployments", "--selector", "app.kubernetes.io/name=workload"]);
    wait_until_no_load_is_left();
    turn
}

fn wait_until_no_load_is_left() {
    crate::support::wait_for("the last pod to be gone", PROMPT, || {
        names(&["pods", "--selector", LOAD]).is_empty().then_some(())
    });
}

/// A scenario on the cluster, for as long as the value lives.
pub(crate) struct Applied {
    pub(crate) scenario: Scenario,
    /// Of its pods, from before there was any.
    pub(crate) watch: Watch,
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
        Self { scenario: scenario.clone(), watch: Watch::pods(&selector) }
    }

    /// Takes it from the cluster, as its user does, and does not wait. The time is from before.
    pub(crate) fn delete(&self) -> SystemTime {
        let begin = SystemTime::now();
        let file = self.scenario.path.to_str().expect("UTF-8");
        kubectl(&["delete", "--wait=false", "--ignore-not-found", "--filename", file]);
        begin
    }
}

impl Drop for Applied {
    fn drop(&mut self) {
        // Where it is gone already, or the test fails anyway, there is nothing to say.
        let args =
            ["--namespace", "workload", "delete", "deployment", "--ignore-not-found", &self.scenario.name];
        let _ = crate::kubectl::command(&args).output();
    }
}

/// Has the pod run only where this says.
pub(crate) fn pin(scenario: &mut Scenario, node: &str) {
    scenario.pod()["nodeSelector"] = serde_json::json!({"kubernetes.io/hostname": node});
}

/// The nodes that are real, as objects.
pub(crate) fn nodes() -> Vec<Value> {
    let mut list: Value =
        serde_json::from_str(&kubectl(&["get", "nodes", "--output", "json"])).expect("JSON");
    let nodes = list["items"].as_array_mut().expect("a list");
    nodes.retain(|node| node["metadata"]["labels"]["hollow"] != "true");
    std::mem::take(nodes)
}
