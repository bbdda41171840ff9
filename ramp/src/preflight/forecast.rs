//! Forecast: predicted capacity by each resource that may run out, and the expected duration of a run. Pure.

use super::limits;
use ramp_format::plan::{EngineKind, Pace, Plan};
use ramp_format::preflight::{Bound, Finding, Forecast, NodeFacts, Preflight, RuntimeClassFacts};
use ramp_format::scenario::resources::PodResources;
use ramp_format::scenario::{InstanceNeeds, MemoryNeed, Scenario};
use workload::quantity::{Bytes, Cores};

/// Time to start an instance, beside filling its memory: creation and readiness.
fn start_seconds(engine: EngineKind) -> f64 {
    match engine {
        EngineKind::Local => 0.1,
        EngineKind::Podman | EngineKind::Kubernetes | EngineKind::Simulated => 2.0,
    }
}

/// Sequential requests per second that an API accepts.
const STEPS_PER_SECOND: f64 = 20.0;

/// Levels of a climb of a search, about: from 2.5 standard deviations below the mean in steps of half of one.
pub(super) const LEVELS_PER_CLIMB: u32 = 7;

/// RuntimeClass handlers whose containers see the node's own memory; those of others may run in a virtual machine.
const ON_THE_NODE: [&str; 4] = ["runc", "crun", "youki", "nvidia"];

/// What an instance needs: by the manifest, with what admission has changed.
#[must_use]
pub fn needs(scenario: &Scenario, preflight: &Preflight) -> InstanceNeeds {
    let mut needs = scenario.needs();
    if let Some(admitted) = &preflight.admitted {
        needs.resources = PodResources {
            memory_request: admitted.memory_request_bytes.map(Bytes),
            cpu_request: admitted.cpu_request_nano_cores.map(Cores::from_nano),
            load_limit: admitted.memory_limit_bytes.map(Bytes),
            ..needs.resources
        };
    }
    let mut classes = preflight.runtime_class.iter().chain(&preflight.runtime_classes);
    let is_sandbox = |class: &&RuntimeClassFacts| {
        !class.handler.is_empty() && !ON_THE_NODE.contains(&class.handler.as_str())
    };
    let sandboxed = classes.find(is_sandbox);
    if let (MemoryNeed::Share(percent), None, Some(class)) =
        (&needs.memory, needs.resources.load_limit, sandboxed)
    {
        needs.memory = MemoryNeed::Unknown(format!(
            "--memory {percent} is a share of the memory that RuntimeClass {} gives to a pod without a memory limit",
            class.name
        ));
    }
    needs
}

/// Memory that an instance allocates on the largest eligible node, if it is known of each.
#[must_use]
pub fn largest_load(preflight: &Preflight, needs: &InstanceNeeds) -> Option<Bytes> {
    let nodes = preflight.nodes.iter().filter(|node| node.eligible);
    let loads: Option<Vec<Bytes>> = nodes.map(|node| needs.memory_on(node.memory_bytes.map(Bytes))).collect();
    loads?.into_iter().max().or_else(|| needs.memory_on(None))
}

/// The warning that no node has room for even one instance. A quota without room is a finding of its own.
#[must_use]
pub fn no_room(forecast: &Forecast) -> Option<Finding> {
    let bound = forecast.capacity().filter(|bound| bound.instances == 0 && bound.by != "quota")?;
    Some(Finding::warning(format!(
        "no node has room for one instance: 0 by {}: {} (set less with --memory or in the manifest, or use larger nodes)",
        bound.by, bound.inputs
    )))
}

/// Free memory ÷ memory per instance, and the same for everything else that is requested or counted. `fill_seconds` is the
/// time an instance needs to fill its memory.
#[must_use]
pub fn forecast(
    preflight: &Preflight,
    needs: &InstanceNeeds,
    plan: &Plan,
    fill_seconds: Option<f64>,
) -> Forecast {
    let mut forecast = Forecast {
        bounds: Vec::new(),
        limits: Vec::new(),
        unknown: Vec::new(),
        steps: plan.steps(),
        seconds: 0.0,
        at_most: plan.pace == Pace::Ready && fill_seconds.is_none(),
        steps_to_saturation: None,
        seconds_to_saturation: None,
    };
    let nodes: Vec<&NodeFacts> = preflight.nodes.iter().filter(|node| node.eligible).collect();
    if nodes.is_empty() {
        forecast.unknown.push("capacity: no node is known that takes instances".into());
    } else {
        bounds(&mut forecast, &nodes, preflight, needs, plan.engine);
    }
    let quotas = preflight.quotas.iter().map(|quota| Bound {
        by: "quota".into(),
        instances: quota.instances,
        inputs: quota.what.clone(),
    });
    forecast.bounds.extend(quotas);
    forecast.bounds.extend(preflight.bounds.iter().cloned());
    let (counted, limits) = limits::bounds(&preflight.limits, &nodes, plan.engine, &forecast.bounds);
    forecast.bounds.extend(counted);
    forecast.limits = limits;
    if let Some(search) = plan.search {
        // Growing and bisecting take a level for each doubling.
        forecast.steps = 2 * plan.to.max(1).ilog2() + search.climbs.saturating_mul(LEVELS_PER_CLIMB);
        let each = seconds_per_step(plan, fill_seconds) + plan.hold.as_secs_f64();
        forecast.seconds = each * f64::from(forecast.steps);
        return forecast;
    }
    let each = seconds_per_step(plan, fill_seconds);
    forecast.seconds = each * f64::from(forecast.steps);
    let reached = forecast.capacity().filter(|capacity| capacity.instances <= plan.to.into());
    forecast.steps_to_saturation = reached.map(|capacity| {
        let steps = capacity.instances.saturating_sub(plan.from.into()) / u64::from(plan.step.max(1)) + 1;
        u32::try_from(steps).unwrap_or(u32::MAX).saturating_add(plan.beyond).min(forecast.steps)
    });
    forecast.seconds_to_saturation = forecast.steps_to_saturation.map(|steps| each * f64::from(steps));
    forecast
}

fn bounds(
    forecast: &mut Forecast,
    nodes: &[&NodeFacts],
    preflight: &Preflight,
    needs: &InstanceNeeds,
    engine: EngineKind,
) {
    // Of a mixed run on average: its groups alternate.
    let classes: Vec<&RuntimeClassFacts> =
        preflight.runtime_class.iter().chain(&preflight.runtime_classes).collect();
    let groups = classes.len().max(1) as u64;
    let memory = classes.iter().map(|class| class.overhead_memory_bytes).sum::<u64>() / groups;
    let cpu = classes.iter().map(|class| class.overhead_cpu_cores).sum::<f64>() / groups as f64;
    let beside = |what: String, overhead: String| match classes.len() {
        0 => what,
        1 => format!("{what} and {overhead} of the runtime"),
        _ => format!("{what} and {overhead} of the runtimes on average"),
    };
    let bytes = |bytes: u64| Bytes(bytes).rounded().to_string();
    let free_memory = |node: &NodeFacts| {
        let free = node.allocatable_memory_bytes?.saturating_sub(node.requested_memory_bytes?);
        Some(free as f64)
    };
    match (&needs.memory, largest_load(preflight, needs)) {
        (MemoryNeed::Unknown(why), _) => forecast.unknown.push(format!("memory in use: {why}")),
        (MemoryNeed::Max, _) => {
            forecast.unknown.push("memory in use: each instance takes what it can get".into());
        }
        (MemoryNeed::Share(_), None) => {
            forecast.unknown.push("memory in use: a share of the nodes' memory, which is not known".into());
        }
        (_, largest) => {
            let mut resident = format!("{} resident", largest.unwrap_or_default().rounded());
            if let MemoryNeed::Share(percent) = needs.memory {
                let limit = needs.resources.load_limit.map_or("", |_| "the smaller of the limit and ");
                resident = format!("{percent} of {limit}the node's memory, at most {resident}");
            }
            if !needs.others.is_empty() {
                resident = format!("{resident}, without the memory of its other containers");
            }
            let inputs = beside(resident, bytes(memory));
            let used = |node: &NodeFacts| {
                let used = needs.memory_on(node.memory_bytes.map(Bytes)).unwrap_or_default();
                used.0.saturating_add(memory) as f64
            };
            add_each(forecast, "memory in use", nodes, free_memory, used, &inputs);
        }
    }
    let memory_request = needs.resources.memory_request.unwrap_or_default();
    let requested = memory_request.0.saturating_add(memory);
    let inputs = beside(format!("{} requested", memory_request.rounded()), bytes(memory));
    add(forecast, "memory requests", nodes, free_memory, requested as f64, &inputs);
    let free_cpu =
        |node: &NodeFacts| Some((node.allocatable_cpu_cores? - node.requested_cpu_cores?).max(0.0));
    let cpu_request = needs.resources.cpu_request.unwrap_or_default();
    let requested = cpu_request.as_f64() + cpu;
    let inputs = beside(format!("{cpu_request} cores requested"), format!("{cpu}"));
    add(forecast, "CPU requests", nodes, free_cpu, requested, &inputs);
    if nodes.iter().any(|node| node.allocatable_pods.is_some()) {
        let free = |node: &NodeFacts| Some(node.allocatable_pods?.saturating_sub(node.pods?) as f64);
        let by = match engine {
            EngineKind::Local => "limits on processes and open files",
            EngineKind::Podman => "containers per node",
            EngineKind::Kubernetes | EngineKind::Simulated => "pods per node",
        };
        add(forecast, by, nodes, free, 1.0, &format!("one {} each", engine.instance()));
    }
}

/// Adds a bound: instances of size `each` in what is free on each node. A resource that is not used is no bound.
fn add(
    forecast: &mut Forecast,
    by: &'static str,
    nodes: &[&NodeFacts],
    free: impl Fn(&NodeFacts) -> Option<f64>,
    each: f64,
    inputs: &str,
) {
    add_each(forecast, by, nodes, free, |_| each, inputs);
}

/// The same for instances whose size depends on the node.
fn add_each(
    forecast: &mut Forecast,
    by: &'static str,
    nodes: &[&NodeFacts],
    free: impl Fn(&NodeFacts) -> Option<f64>,
    each: impl Fn(&NodeFacts) -> f64,
    inputs: &str,
) {
    if nodes.iter().any(|node| each(node) <= 0.0) {
        return;
    }
    // A quantity that is divided exactly must not lose an instance to rounding.
    let on = |node: &&NodeFacts| Some((free(node)? / each(node) + 1e-9).floor() as u64);
    match nodes.iter().map(on).sum::<Option<u64>>() {
        Some(instances) => {
            let many = if nodes.len() == 1 { "node" } else { "nodes" };
            let inputs = format!("{inputs}, on {} {many}", nodes.len());
            forecast.bounds.push(Bound { by: by.into(), instances, inputs });
        }
        None => forecast
            .unknown
            .push(format!("{by}: what the nodes have, or what is taken of it already, is not known")),
    }
}

fn seconds_per_step(plan: &Plan, fill_seconds: Option<f64>) -> f64 {
    match (plan.pace, fill_seconds) {
        (Pace::Every(beat), _) => beat.as_secs_f64(),
        (Pace::None, _) => 1.0 / STEPS_PER_SECOND,
        (Pace::Ready, Some(fill)) => fill + start_seconds(plan.engine),
        // Never ready: each step lasts until its timeout.
        (Pace::Ready, None) => plan.step_timeout.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Bytes, Forecast, InstanceNeeds, MemoryNeed, NodeFacts, Plan, PodResources, Preflight, forecast,
    };
    use ramp_format::plan::EngineKind;
    use ramp_format::preflight::{AdmittedResources, RuntimeClassFacts};
    use ramp_format::scenario::Scenario;

    const GB: u64 = 1_000_000_000;

    fn node(name: &str) -> NodeFacts {
        NodeFacts {
            name: name.into(),
            eligible: true,
            allocatable_memory_bytes: Some(10 * GB),
            allocatable_cpu_cores: Some(4.0),
            allocatable_pods: Some(110),
            requested_memory_bytes: Some(GB),
            requested_cpu_cores: Some(0.5),
            pods: Some(10),
            ..NodeFacts::default()
        }
    }

    fn needs() -> InstanceNeeds {
        InstanceNeeds {
            memory: MemoryNeed::Bytes(Bytes(500_000_000)),
            resources: PodResources::default(),
            others: Vec::new(),
        }
    }

    fn by(forecast: &Forecast, what: &str) -> Option<u64> {
        forecast.bounds.iter().find(|bound| bound.by == what).map(|bound| bound.instances)
    }

    #[test]
    fn whole_instances_fit_on_each_node_and_the_least_bound_is_the_capacity() {
        let preflight = Preflight { nodes: vec![node("a"), node("b")], ..Preflight::default() };
        let forecast = forecast(
            &preflight,
            &needs(),
            &Plan { to: 5, engine: EngineKind::Kubernetes, ..Plan::default() },
            Some(2.0),
        );
        assert_eq!(by(&forecast, "memory in use"), Some(36), "9 GB free on each");
        assert_eq!(by(&forecast, "pods per node"), Some(200));
        assert_eq!(by(&forecast, "CPU requests"), None, "nothing is requested");
        assert_eq!(forecast.capacity().unwrap().by, "memory in use");
    }

    #[test]
    fn the_runtime_s_overhead_is_requested_with_each_instance() {
        let class = RuntimeClassFacts {
            name: "kata".into(),
            handler: "kata".into(),
            overhead_memory_bytes: 160 << 20,
            overhead_cpu_cores: 0.25,
            scheduling: None,
        };
        let preflight =
            Preflight { nodes: vec![node("a")], runtime_class: Some(class), ..Preflight::default() };
        let forecast = forecast(&preflight, &needs(), &Plan { to: 5, ..Plan::default() }, Some(2.0));
        assert_eq!(by(&forecast, "CPU requests"), Some(14), "3.5 cores in quarters");
        assert_eq!(by(&forecast, "memory in use"), Some(13), "9 GB by 667.8 MB");
        assert_eq!(by(&forecast, "memory requests"), Some(53), "9 GB by 167.8 MB");
    }

    #[test]
    fn in_a_mixed_run_the_overhead_is_that_of_the_groups_on_average() {
        let class = |name: &str, overhead_memory_bytes| RuntimeClassFacts {
            name: name.into(),
            overhead_memory_bytes,
            ..RuntimeClassFacts::default()
        };
        let runtime_classes = vec![class("default", 0), class("kata", GB)];
        let preflight = Preflight { nodes: vec![node("a")], runtime_classes, ..Preflight::default() };
        let forecast = forecast(&preflight, &needs(), &Plan { to: 5, ..Plan::default() }, Some(2.0));
        assert_eq!(by(&forecast, "memory in use"), Some(9), "9 GB by 0.5 GB and 1.5 GB in turn");
        assert!(forecast.bounds[0].inputs.contains("500.00 MB of the runtimes on average"), "{forecast:?}");
    }

    #[test]
    fn a_share_is_of_the_smaller_of_the_limit_and_each_node() {
        let small = NodeFacts { memory_bytes: Some(2 * GB), ..node("small") };
        let nodes = vec![NodeFacts { memory_bytes: Some(10 * GB), ..node("large") }, small];
        let preflight = Preflight { nodes, ..Preflight::default() };
        let share = |limit: Option<u64>| {
            let resources = PodResources { load_limit: limit.map(Bytes), ..PodResources::default() };
            let memory = MemoryNeed::Share("50%".parse().unwrap());
            let needs = InstanceNeeds { memory, resources, others: Vec::new() };
            by(&forecast(&preflight, &needs, &Plan { to: 5, ..Plan::default() }, None), "memory in use")
        };
        assert_eq!(share(None), Some(1 + 9), "9 GB free on each: by 5 GB, and by 1 GB");
        assert_eq!(share(Some(64 * GB)), Some(10), "a limit above the machine is none");
        assert_eq!(share(Some(2 * GB)), Some(18));
    }

    #[test]
    fn needs_are_those_that_were_admitted_and_what_is_not_known_has_its_reason() {
        let text = |container: &str| {
            format!(
                "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: a}}, spec: {{template: {{spec: {{containers: \
                 [{{name: workload, image: workload, {container}}}]}}}}}}}}"
            )
        };
        let scenario = Scenario::parse(&text("args: [--memory, 80%]")).unwrap();
        let admitted = AdmittedResources { memory_limit_bytes: Some(GB), ..AdmittedResources::default() };
        let class =
            |handler: &str| RuntimeClassFacts { handler: handler.into(), ..RuntimeClassFacts::default() };
        let mut preflight = Preflight { runtime_class: Some(class("kata")), ..Preflight::default() };
        let found = super::needs(&scenario, &preflight);
        assert!(
            matches!(found.memory, MemoryNeed::Unknown(why) if why.contains("RuntimeClass")),
            "a VM of unknown size"
        );
        preflight.admitted = Some(admitted);
        assert_eq!(
            super::needs(&scenario, &preflight).memory_on(Some(Bytes(2 * GB))),
            Some(Bytes(GB / 5 * 4))
        );
        let secret = text("env: [{name: WORKLOAD_MEMORY, valueFrom: {secretKeyRef: {name: s, key: k}}}]");
        let needs = super::needs(&Scenario::parse(&secret).unwrap(), &Preflight::default());
        let preflight = Preflight { nodes: vec![node("a")], ..Preflight::default() };
        let unknown = forecast(&preflight, &needs, &Plan { to: 5, ..Plan::default() }, None).unknown;
        assert_eq!(unknown, ["memory in use: WORKLOAD_MEMORY comes from Secret \"s\", key \"k\""]);
    }

    #[test]
    fn what_is_not_known_is_said_and_is_no_zero() {
        let unknown = NodeFacts { requested_memory_bytes: None, ..node("a") };
        let preflight = Preflight { nodes: vec![unknown], ..Preflight::default() };
        let forecast = forecast(&preflight, &needs(), &Plan { to: 5, ..Plan::default() }, None);
        assert_eq!(by(&forecast, "memory in use"), None);
        assert!(forecast.unknown[0].starts_with("memory in use"), "{:?}", forecast.unknown);
        let none = super::forecast(&Preflight::default(), &needs(), &Plan { to: 5, ..Plan::default() }, None);
        assert!(none.capacity().is_none() && none.unknown[0].contains("no node"));
    }

    #[test]
    fn a_run_takes_as_long_as_its_pace_says() {
        let preflight = Preflight { nodes: vec![node("a")], ..Preflight::default() };
        let plan = Plan { to: 100, beyond: 10, engine: EngineKind::Kubernetes, ..Plan::default() };
        let ready = forecast(&preflight, &needs(), &plan, Some(2.0));
        assert_eq!((ready.steps, ready.seconds, ready.seconds_to_saturation), (100, 400.0, Some(112.0)));
        let processes = Plan { engine: EngineKind::Local, ..plan.clone() };
        let seconds = forecast(&preflight, &needs(), &processes, Some(2.0)).seconds;
        assert!((seconds - 210.0).abs() < 1e-9, "a process starts at once: {seconds}");
        let plan = Plan { pace: "5s".parse().unwrap(), ..plan };
        assert_eq!(forecast(&preflight, &needs(), &plan, None).seconds, 500.0);
        let longer = forecast(&preflight, &needs(), &Plan { beyond: 200, ..plan.clone() }, None);
        assert_eq!(longer.seconds_to_saturation, Some(500.0), "no more steps than planned");
        let short = forecast(&preflight, &needs(), &Plan { to: 5, ..plan }, None);
        assert_eq!((short.seconds, short.seconds_to_saturation), (25.0, None), "saturation is not reached");
    }
}
