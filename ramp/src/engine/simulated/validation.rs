//! Validation of worlds: each error names the field, what was found, and what is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::quantities::Quantity;
use super::world::{Incident, IncidentKind, NodeKind, PhaseTime, RuntimeTruth, World};
use ramp_format::text::first_names;
use workload::quantity::Bytes;

/// Shorter intervals would take too long to simulate.
const SHORTEST: Duration = Duration::from_millis(10);
/// Nodes, and instances that others ask for.
const MOST_NODES: u32 = 10_000;
const MOST_INSTANCES: u32 = 100_000;
/// Tasks of an instance.
const MOST_TASKS: f64 = 10_000.0;
/// Programs of others at once on a machine, on average.
const MOST_OTHERS: f64 = 1000.0;
/// Cores that anything uses.
const MOST_CORES: f64 = 10_000.0;
/// Bytes by which a machine's own memory may drift in a second.
const MOST_DRIFT: u64 = 1_000_000_000_000;
/// The year 2200: much later times of day cannot be written.
const LATEST_SECONDS: u64 = 7_258_118_400;
/// A longer suspension of the machine that records takes gigabytes.
const LONGEST_SUSPENSION: Duration = Duration::from_secs(24 * 3600);
/// Memory of a runtime for each byte of a memory limit.
const MOST_PER_LIMIT: f64 = 10.0;
/// Existing names listed where an unknown one is given.
const NAMES: usize = 10;

/// An error where the condition does not hold.
fn ensure(holds: bool, error: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(error()) }
}

fn ensure_share(name: &str, value: f64, below: f64) -> Result<(), String> {
    let is_share = (0.0..below).contains(&value);
    ensure(is_share, || format!("{name}: {value} (expected a share from 0 to below {below})"))
}

fn ensure_long_enough(name: &str, time: Duration) -> Result<(), String> {
    ensure(time >= SHORTEST, || format!("{name}: {time:?} (expected 10ms or more)"))
}

/// Checks a world.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(world: &World) -> Result<(), String> {
    let begin = world.begin.0.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    ensure(begin < LATEST_SECONDS, || {
        "begin: too late (expected a time of day before the year 2200, such as 2026-01-01T12:00:00Z)".into()
    })?;
    check_nodes(&world.nodes)?;
    let machine = &world.machine;
    ensure_share("load.page_tables", world.load.page_tables, 1.0)?;
    ensure_share("load.starved", world.load.starved, 1.0 + f64::EPSILON)?;
    ensure_share("runtime.per_limit", world.runtime.per_limit.0, MOST_PER_LIMIT)?;
    ensure_share("runtime.spread", world.runtime.spread, 1.0)?;
    check_parts(world)?;
    for (name, other) in &world.runtimes {
        ensure(!name.is_empty() && !name.contains(','), || {
            format!("runtimes: {name:?} (expected a name without commas, as --mix has it)")
        })?;
        let per_limit = other.per_limit.unwrap_or_default().0;
        ensure_share(&format!("runtimes.{name}.per_limit"), per_limit, MOST_PER_LIMIT)?;
        ensure_share(&format!("runtimes.{name}.spread"), other.spread.unwrap_or_default(), 1.0)?;
    }
    ensure_share("machine.lost", machine.lost, 1.0)?;
    ensure_long_enough("machine.sample_every", machine.sample_every)?;
    if let Some(every) = world.load.report_every {
        ensure_long_enough("load.report_every", every)?;
    }
    for (number, others) in machine.others.iter().enumerate() {
        let at = format!("machine.others[{number}]");
        ensure_long_enough(&format!("{at}.every"), others.every)?;
        ensure_long_enough(&format!("{at}.lasts"), others.lasts)?;
        let at_once = others.lasts.as_secs_f64() / others.every.as_secs_f64();
        ensure(at_once <= MOST_OTHERS, || {
            format!("{at}: {at_once:.0} at once (expected at most {MOST_OTHERS}: lasts ÷ every)")
        })?;
    }
    check_cpu(world)?;
    ensure(machine.drift.size.0 <= MOST_DRIFT, || {
        let drift = machine.drift.text().unwrap_or_default();
        format!("machine.drift: {drift} (expected at most 1T in a second)")
    })?;
    let phases = &world.phases;
    let of_runtimes = || world.runtimes.values();
    let others = of_runtimes().filter_map(|other| Some(("create of runtimes", other.create?)));
    let others =
        others.chain(of_runtimes().filter_map(|other| Some(("sandbox of runtimes", other.sandbox?))));
    let others = others.chain(phases.events.map(|events| ("events", events)));
    for (name, PhaseTime { spread, .. }) in others.chain([
        ("schedule", phases.schedule),
        ("sandbox", phases.sandbox),
        ("create", phases.create),
        ("ready", phases.ready),
        ("stop", phases.stop),
        ("restart", phases.restart),
    ]) {
        ensure((0.0..10.0).contains(&spread), || {
            format!("phases.{name}: spread: {spread} (expected 0 to below 10)")
        })?;
    }
    if let Some(tasks) = &world.tasks {
        ensure((1.0..=MOST_TASKS).contains(&tasks.each), || {
            format!("tasks.each: {} (expected 1 to {MOST_TASKS})", tasks.each)
        })?;
        for (name, value) in [("spread", tasks.spread), ("noise", tasks.noise)] {
            ensure((0.0..=MOST_TASKS).contains(&value), || {
                format!("tasks.{name}: {value} (expected 0 to {MOST_TASKS})")
            })?;
        }
        ensure_long_enough("tasks.read_every", tasks.read_every)?;
    }
    if let Some(placement) = world.placement {
        ensure((0.0..=f64::from(MOST_INSTANCES)).contains(&placement.mean), || {
            format!(
                "placement.mean: {} (expected a number of instances from 0 to {MOST_INSTANCES})",
                placement.mean
            )
        })?;
        ensure((0.0..=f64::from(MOST_INSTANCES)).contains(&placement.deviation), || {
            format!("placement.deviation: {} (expected 0 to {MOST_INSTANCES})", placement.deviation)
        })?;
    }
    let names: Vec<String> = world.node_names().map(|(name, _)| name).collect();
    for (number, event) in world.events.iter().enumerate() {
        check_event(event, &names).map_err(|error| format!("events[{number}]: {error}"))?;
    }
    Ok(())
}

/// What each component of an instance holds is part of the memory of its runtime.
fn check_parts(world: &World) -> Result<(), String> {
    if let Some(every) = world.machine.components_every {
        ensure_long_enough("machine.components_every", every)?;
    }
    let of_runtime = |at: &str, memory: Bytes, parts: &BTreeMap<String, Bytes>| {
        let all = parts.values().fold(0_u64, |sum, part| sum.saturating_add(part.0));
        ensure(all <= memory.0, || {
            format!("{at}.parts: {} together (expected at most its memory, {memory})", Bytes(all))
        })?;
        known_parts(&format!("{at}.parts"), parts, &POD_PARTS)
    };
    let World { runtime, runtimes, machine, .. } = world;
    ensure(runtime.guest_used.0 <= runtime.memory.0, || {
        let RuntimeTruth { guest_used, memory, .. } = runtime;
        format!("runtime.guest_used: {guest_used} (expected at most its memory, {memory})")
    })?;
    of_runtime("runtime", runtime.memory, &runtime.parts)?;
    for (name, other) in runtimes {
        of_runtime(&format!("runtimes.{name}"), other.memory.unwrap_or(runtime.memory), &other.parts)?;
    }
    known_parts("machine.parts", &machine.parts, &NODE_PARTS)
}

/// Components of an instance beside its load, and of a node, as `components.csv` names them.
const POD_PARTS: [&str; 7] = ["pause", "shim", "vmm", "virtiofsd", "sentry", "gofer", "other"];
const NODE_PARTS: [&str; 2] = ["kubelet", "container_runtime"];

fn known_parts(at: &str, parts: &BTreeMap<String, Bytes>, known: &[&str]) -> Result<(), String> {
    let unknown = parts.keys().find(|name| !known.contains(&name.as_str()));
    ensure(unknown.is_none(), || {
        format!("{at}: {:?} (expected some of {})", unknown.map_or("", String::as_str), known.join(", "))
    })
}

/// CPU usage of the machines and of runtimes.
fn check_cpu(world: &World) -> Result<(), String> {
    let machine = &world.machine;
    let runtimes =
        world.runtimes.iter().filter_map(|(name, other)| Some((format!("runtimes.{name}.cpu"), other.cpu?)));
    let cores = [
        ("runtime.cpu", world.runtime.cpu),
        ("machine.cpu", machine.cpu),
        ("machine.cpu_noise", machine.cpu_noise),
        ("machine.cpu_wander", machine.cpu_wander),
        ("machine.cpu_drift", machine.cpu_drift.abs()),
    ];
    for (name, value) in cores.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(runtimes) {
        ensure((0.0..=MOST_CORES).contains(&value), || {
            format!("{name}: {value} (expected cores, from 0 to {MOST_CORES})")
        })?;
    }
    for (number, others) in machine.cpu_others.iter().enumerate() {
        let at = format!("machine.cpu_others[{number}]");
        ensure_long_enough(&format!("{at}.every"), others.every)?;
        ensure_long_enough(&format!("{at}.lasts"), others.lasts)?;
        let at_once = others.lasts.as_secs_f64() / others.every.as_secs_f64();
        ensure((0.0..=MOST_CORES).contains(&others.cpu) && at_once <= MOST_OTHERS, || {
            format!(
                "{at}: {} cores each, {at_once:.0} at once (expected at most {MOST_CORES} cores, and {MOST_OTHERS} at once: lasts ÷ every)",
                others.cpu
            )
        })?;
    }
    Ok(())
}

fn check_nodes(kinds: &[NodeKind]) -> Result<(), String> {
    let count = kinds.iter().fold(0_u32, |sum, kind| sum.saturating_add(kind.count));
    ensure((1..=MOST_NODES).contains(&count), || {
        format!("nodes: {count} of them (expected 1 to {MOST_NODES}: the sum of each count)")
    })?;
    let mut names = BTreeSet::new();
    let mut kernels: BTreeMap<&str, &NodeKind> = BTreeMap::new();
    for (number, kind) in kinds.iter().enumerate() {
        let at = format!("nodes[{number}]");
        ensure(!kind.name.is_empty() && names.insert(&kind.name), || {
            format!("{at}.name: {:?} (expected one that no other kind of nodes has)", kind.name)
        })?;
        ensure(kind.memory.0 > 0 && kind.idle <= kind.memory, || {
            format!(
                "{at}: memory {} of which the idle machine takes {} (expected some memory, and idle within it)",
                kind.memory, kind.idle
            )
        })?;
        ensure(kind.cores.is_finite() && kind.cores > 0.0, || {
            format!("{at}.cores: {} (expected more than 0)", kind.cores)
        })?;
        ensure_share(&format!("{at}.swapped"), kind.swapped, 1.0)?;
        ensure_share(&format!("{at}.zswap"), kind.zswap.unwrap_or_default(), 1.0)?;
        let swaps = kind.swapped > 0.0 || kind.zswap.is_some();
        ensure(kind.swap.0 > 0 || !swaps, || {
            format!(
                "{at}: swapped or zswap without swap (expected the size of the swap space, such as swap: 4Gi)"
            )
        })?;
        let Some(kernel) = &kind.kernel else { continue };
        let first = *kernels.entry(kernel).or_insert(kind);
        let is_same = (first.memory, first.idle, first.page_cache, first.swap, first.swapped, first.zswap)
            == (kind.memory, kind.idle, kind.page_cache, kind.swap, kind.swapped, kind.zswap);
        ensure(is_same, || {
            format!(
                "{at}: kernel {kernel:?} has {} here and {} elsewhere (expected the same memory, idle, page_cache and swap)",
                kind.memory, first.memory
            )
        })?;
    }
    Ok(())
}

fn check_event(event: &Incident, nodes: &[String]) -> Result<(), String> {
    use IncidentKind as Kind;
    let what = event.what;
    let starts = usize::from(event.at.is_some()) + usize::from(event.instances.is_some());
    ensure(starts <= 1, || "both at and instances are given (expected one of them)".into())?;
    let of_new = matches!(
        what,
        Kind::ImageMissing | Kind::ConfigError | Kind::CrashLoop | Kind::Quota | Kind::RefuseInstances
    );
    ensure(starts == 1 || of_new, || "neither at nor instances is given (expected one of them)".into())?;
    ensure(what != Kind::Scale || event.to.is_some(), || {
        "scale without to (expected the number that others ask for)".into()
    })?;
    ensure(what != Kind::Quota || event.to.is_some(), || {
        "quota without to (expected the number of instances that it allows)".into()
    })?;
    let sets = matches!(what, Kind::ClockSet | Kind::RecorderClockSet);
    ensure(!sets || event.ahead.is_some(), || {
        "a clock is set without ahead (expected a time, such as 1h or -10s)".into()
    })?;
    ensure(what != Kind::RecorderSuspended || event.lasts.is_some(), || {
        "recorder-suspended without lasts (expected a time, such as 10m)".into()
    })?;
    // What the cluster tells meanwhile waits in memory.
    let suspended = event.lasts.filter(|_| what == Kind::RecorderSuspended).unwrap_or_default();
    ensure(suspended <= LONGEST_SUSPENSION, || {
        let lasts = humantime::format_duration(suspended);
        format!("recorder-suspended lasts {lasts} (expected at most 1day)")
    })?;
    let strikes = matches!(what, Kind::Evict | Kind::Preempt | Kind::OomKill | Kind::Kill | Kind::Delete);
    let of_node = matches!(what, Kind::Drain | Kind::NodeNotReady | Kind::ProbeSilent | Kind::ClockSet);
    let of_recorder = matches!(what, Kind::RecorderClockSet | Kind::RecorderSuspended);
    let of_all = of_new || matches!(what, Kind::ApiHangs | Kind::ApiRefuses);
    let may_last = of_node || of_recorder || of_all;
    for (name, is_given, applies) in [
        ("to", event.to.is_some(), matches!(what, Kind::Scale | Kind::Quota)),
        ("ahead", event.ahead.is_some(), sets),
        ("resource", event.resource.is_some(), what == Kind::Evict),
        ("by", event.by.is_some(), matches!(what, Kind::Preempt | Kind::Scale)),
        ("lasts", event.lasts.is_some(), may_last),
        ("node", event.node.is_some(), of_node),
        ("count", event.count != 1, strikes),
    ] {
        ensure(!is_given || applies, || {
            format!("{name} is given (expected no {name}: this kind of event has none)")
        })?;
    }
    ensure((1..=MOST_INSTANCES).contains(&event.count), || {
        format!("count: {} (expected 1 to {MOST_INSTANCES})", event.count)
    })?;
    let to = event.to.unwrap_or_default();
    ensure(to <= MOST_INSTANCES, || format!("to: {to} (expected at most {MOST_INSTANCES})"))?;
    let node = event.node.as_ref();
    ensure(node.is_none_or(|node| nodes.contains(node)), || {
        format!(
            "there is no node {:?} (there are {})",
            node.map_or("", String::as_str),
            first_names(nodes, NAMES)
        )
    })
}
