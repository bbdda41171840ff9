//! Nodes that run out, and populations that leave.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use workload::quantity::Bytes;

use super::table;
use crate::applied::{Applied, PROMPT, cluster, nodes, pin};
use crate::kubectl::{NAMESPACE, apply, get, in_namespace};
use crate::manifest::Scenario;
use crate::probe::Probes;
use crate::support::number;
use crate::watch::{Sighting, Watch};

/// The kubelet looks every ten seconds.
const LONGEST_TO_EVICT: Duration = Duration::from_secs(120);

/// A pod of somebody else's, that says nothing of priority or resources.
struct Bystander {
    watch: Watch,
}

const BYSTANDER: &str = "bystander";

impl Bystander {
    fn on(node: &str) -> Self {
        let mut scenario = Scenario::named("cpu-10", "runc");
        let mut spec = scenario.pod().take();
        let fields = spec.as_object_mut().expect("an object");
        fields.remove("priorityClassName");
        fields.insert("nodeSelector".into(), json!({"kubernetes.io/hostname": node}));
        apply(&json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": BYSTANDER, "namespace": NAMESPACE, "labels": {BYSTANDER: "true"}},
            "spec": spec,
        }));
        let mut watch = Watch::pods(&format!("{BYSTANDER}=true"));
        watch.wait_for("the bystander to be ready", PROMPT, Sighting::is_ready);
        Self { watch }
    }

    fn was_never_disturbed(&mut self) -> bool {
        self.watch
            .seen()
            .iter()
            .all(|sighting| !sighting.is_evicted() && !sighting.is_gone && sighting.restarts() == 0)
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let args = ["--namespace", NAMESPACE, "delete", "pod", "--ignore-not-found", BYSTANDER];
        // Where the test fails anyway there is nothing to say.
        let _ = crate::kubectl::command(&args).output();
    }
}

/// A node's name, and the memory that it has for pods before it evicts some.
fn node() -> (String, u64) {
    let node = nodes().into_iter().next().expect("there is one");
    let text = |value: &Value| value.as_str().expect("nodes tell").to_owned();
    let Bytes(bytes) = text(&node["status"]["allocatable"]["memory"]).parse().expect("a quantity");
    (text(&node["metadata"]["name"]), bytes)
}

#[test]
#[ignore = "needs a cluster"]
fn a_node_that_runs_out_evicts_the_load_and_nobody_else_and_the_probe_sees_it() {
    let _turn = cluster();
    let (name, allocatable) = node();
    let mut bystander = Bystander::on(&name);
    let mut probes = Probes::from_now();
    // Into what the node keeps free (100 MiB here), without using it up: it is for the kubelet to act.
    let asked = allocatable + (20 << 20);
    let mut scenario = Scenario::named("memory-capacity", "runc");
    pin(&mut scenario, &name);
    scenario.set_arg("--memory", &asked.to_string());
    let mut applied = Applied::changed(&scenario);
    let evicted = applied.watch.wait_for("it to be evicted", LONGEST_TO_EVICT, |sighting| {
        assert!(!sighting.is_oom_killed(), "OOM-killed before the kubelet looked");
        sighting.is_evicted()
    });
    let message = evicted.pod["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("memory"), "{message}");
    drop(applied);
    assert!(bystander.was_never_disturbed(), "it has priority over the load");
    probes.assert_they_went_on();
    let available = probes.reports(&name).iter().map(|report| number(report, "memory_available_bytes"));
    let (least, most) =
        available.fold((f64::MAX, 0.0_f64), |(least, most), now| (least.min(now), most.max(now)));
    assert!(most - least > asked as f64 * 0.9, "the probe saw {} bytes come and go of {asked}", most - least);
}

#[test]
#[ignore = "needs a cluster"]
fn a_population_is_torn_down_in_less_than_two_seconds_a_pod() {
    let _turn = cluster();
    let mut told = String::from("| runtime | pods | ended, s a pod | gone, s a pod |\n|---|---|---|---|\n");
    // As many as fit on a node of two cores, by the overhead of the RuntimeClass.
    for (runtime, population) in [("runc", 12), ("kata", 7)] {
        let mut scenario = Scenario::named("memory-capacity", runtime);
        scenario.set_arg("--memory", "50M");
        scenario.manifest["spec"]["replicas"] = population.into();
        let mut applied = Applied::changed(&scenario);
        in_namespace(&["rollout", "status", "deployment", &scenario.name, "--timeout", "120s"]);
        let begin = applied.delete();
        let mut last_of_all = |what: &str, happened: fn(&Sighting) -> bool| {
            let mut pods = BTreeSet::new();
            let last = applied.watch.wait_for(what, PROMPT, |sighting| {
                pods.extend(happened(sighting).then(|| sighting.name().to_owned()));
                pods.len() == population
            });
            last.at.duration_since(begin).expect("later").as_secs_f64() / population as f64
        };
        let ended = last_of_all("all containers to end", |sighting| sighting.ended().is_some());
        let gone = last_of_all("all pods to be gone", |sighting| sighting.is_gone);
        println!(
            "{population} pods under {runtime}: ended after {ended:.2} s a pod, gone after {gone:.2} s a pod"
        );
        assert!(ended < 2.0, "{runtime}: {ended} s a pod until their containers had ended");
        // The API forgets a pod when the kubelet next looks, which in Kubernetes 1.20 is each ten seconds, however few there are.
        assert!(
            gone < 2.0_f64.max(15.0 / population as f64),
            "{runtime}: {gone} s a pod until they were gone"
        );
        let pods = &get(&["pods", "--selector", "app.kubernetes.io/component=load"])["items"];
        assert_eq!(*pods, json!([]), "{runtime}");
    }
}
