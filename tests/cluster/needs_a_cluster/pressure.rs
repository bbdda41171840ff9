//! Memory pressure on a node, and the teardown of many pods.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::table;
use crate::applied::{Applied, PROMPT, allocatable_bytes, nodes, pin, set_up};
use crate::kubectl::{NAMESPACE, apply, in_namespace};
use crate::manifest::Scenario;
use crate::probe::Probes;
use crate::support::{number, wait_for};
use crate::watch::{Sighting, Watch};

/// The kubelet looks every ten seconds.
const LONGEST_TO_EVICT: Duration = Duration::from_secs(120);
/// The probe looks every second.
const LONGEST_TO_TELL: Duration = Duration::from_secs(5);

/// A pod of somebody else's, that says nothing of priority or resources.
struct Bystander {
    watch: Watch,
}

const BYSTANDER: &str = "bystander";

impl Bystander {
    fn on(node: &str, bytes: u64) -> Self {
        let mut scenario = Scenario::named("memory-capacity", "runc");
        scenario.set_arg("--memory", &bytes.to_string());
        pin(&mut scenario, node);
        let spec = scenario.pod();
        spec.as_object_mut().expect("an object").remove("priorityClassName");
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
        let is_well = |sighting: &Sighting| sighting.is_ready() && sighting.restarts() == 0;
        self.watch.seen().iter().skip_while(|sighting| !sighting.is_ready()).all(is_well)
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let args = ["--namespace", NAMESPACE, "delete", "pod", "--ignore-not-found", BYSTANDER];
        // Where the test fails anyway there is nothing to say.
        let _ = crate::kubectl::command(&args).output();
    }
}

/// The name of a node that takes any pod, and the memory that it has for pods before it evicts some.
fn node() -> (String, u64) {
    let node = nodes().into_iter().find(|node| node["spec"]["taints"].is_null()).expect("there is one");
    let name = node["metadata"]["name"].as_str().expect("nodes have names");
    (name.to_owned(), allocatable_bytes(&node))
}

#[test]
#[ignore = "needs a cluster"]
fn a_node_that_runs_out_evicts_the_load_and_nobody_else_and_the_probe_sees_it() {
    const LOADS: u64 = 3;
    set_up();
    let (name, allocatable) = node();
    // It has more than any load, and would have to go before them if it were not for their priority.
    let of_the_bystander = allocatable / 5 * 2;
    let mut bystander = Bystander::on(&name, of_the_bystander);
    let mut probes = Probes::from_now();
    // In all into what the node keeps free (100 MiB here), without using it up: it is for the kubelet to act.
    let of_the_loads = allocatable + (20 << 20) - of_the_bystander;
    let mut scenario = Scenario::named("memory-capacity", "runc");
    pin(&mut scenario, &name);
    scenario.set_arg("--memory", &(of_the_loads / LOADS).to_string());
    // Slowly: pods that it has no figures of yet the kubelet evicts first, whatever their priority.
    scenario.set_arg("--growth-rate", "20M/s");
    scenario.set_arg("--growth-step", "20M");
    scenario.manifest["spec"]["replicas"] = LOADS.into();
    let mut applied = Applied::changed(&scenario);
    let evicted = applied.watch.wait_for("one to be evicted", LONGEST_TO_EVICT, |sighting| {
        assert!(!sighting.is_oom_killed(), "OOM-killed before the kubelet looked");
        sighting.is_evicted()
    });
    let message = evicted.pod["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("memory"), "{message}");
    drop(applied);
    assert!(bystander.was_never_disturbed(), "it has priority over the load");
    // What the node has back is in a report a moment later.
    wait_for("the probe to see the memory of the loads come and go", LONGEST_TO_TELL, || {
        probes.assert_they_went_on();
        let available = probes.reports(&name).iter().map(|report| number(report, "memory_available_bytes"));
        let (least, most) =
            available.fold((f64::MAX, 0.0_f64), |(least, most), now| (least.min(now), most.max(now)));
        println!("the probe saw {least} to {most} bytes available, of loads of {of_the_loads}");
        (most - least > of_the_loads as f64 * 0.8).then_some(())
    });
}

/// A population under a runtime, and what was seen of its end.
struct Teardown {
    /// From the request to the last container having ended.
    ended_seconds: f64,
    /// From the request to the last pod being gone.
    gone_seconds: f64,
}

fn tear_down(runtime: &'static str, population: usize) -> Teardown {
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
        last.at.duration_since(begin).expect("later").as_secs_f64()
    };
    let ended_seconds = last_of_all("all containers to end", Sighting::has_stopped);
    let gone_seconds = last_of_all("all pods to be gone", |sighting| sighting.is_gone);
    // Killed after the grace period is torn down as well, but not as asked.
    let told = applied.watch.seen().iter().filter(|sighting| sighting.has_stopped());
    let known: Vec<_> = told.filter_map(Sighting::exit_status).collect();
    assert!(known.iter().all(|status| *status == 0), "{runtime}: ended with {known:?}");
    Teardown { ended_seconds, gone_seconds }
}

#[test]
#[ignore = "needs a cluster"]
fn a_population_is_torn_down_in_less_than_two_seconds_a_pod() {
    set_up();
    let mut told = String::from(
        "| runtime | pods | all ended, s | all gone, s | gone, s a pod |\n|---|---|---|---|---|\n",
    );
    // As many as fit on a node of two cores, by the overhead of the RuntimeClass.
    for (runtime, population) in [("runc", 12), ("kata", 7)] {
        let Teardown { ended_seconds, gone_seconds } = tear_down(runtime, population);
        let each = gone_seconds / population as f64;
        let _ = writeln!(
            told,
            "| {runtime} | {population} | {ended_seconds:.1} | {gone_seconds:.1} | {each:.2} |"
        );
        assert!(ended_seconds < 2.0 * population as f64, "{runtime}: {ended_seconds} s until all had ended");
    }
    table::leave("teardown.md", &told);
}
