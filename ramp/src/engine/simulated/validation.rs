//! What a world cannot be: each refusal says where, what was found, and what is expected.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::quantities::SignedBytes;
use super::world::{Incident, IncidentKind, NodeKind, PhaseTime, World};

/// Happenings that are closer together take for ever to simulate.
const SHORTEST: Duration = Duration::from_millis(10);
/// Nodes, and instances that others ask for.
const MOST_NODES: u32 = 10_000;
const MOST_INSTANCES: u32 = 100_000;
/// Programs of others at once on a machine, on average.
const MOST_OTHERS: f64 = 1000.0;
/// Bytes by which a machine's own memory may drift in a second.
const MOST_DRIFT: i64 = 1_000_000_000_000;
/// The year 2200: times of day that are much later cannot be written.
const LATEST_SECONDS: u64 = 7_258_118_400;
/// So many names are told where another one is meant.
const NAMES: usize = 10;

/// Whether a world can be.
///
/// # Errors
/// Why not.
pub(super) fn check(world: &World) -> Result<(), String> {
    let begin = world.begin.0.duration_since(std::time::UNIX_EPOCH).map(|since| since.as_secs());
    if begin.is_ok_and(|seconds| seconds >= LATEST_SECONDS) {
        return Err(
            "begin: too late (expected a time of day before the year 2200, such as 2026-01-01T12:00:00Z)"
                .into(),
        );
    }
    check_nodes(&world.nodes)?;
    let share = |name: &str, value: f64, below: f64| match (0.0..below).contains(&value) {
        true => Ok(()),
        false => Err(format!("{name}: {value} (expected a share from 0 to below {below})")),
    };
    share("load.page_tables", world.load.page_tables, 1.0)?;
    share("load.starved", world.load.starved, 1.0 + f64::EPSILON)?;
    share("runtime.spread", world.runtime.spread, 1.0)?;
    share("machine.lost", world.machine.lost, 1.0)?;
    let machine = &world.machine;
    let long_enough = |name: &str, time: Duration| match time >= SHORTEST {
        true => Ok(()),
        false => Err(format!("{name}: {time:?} (expected 10ms or more)")),
    };
    long_enough("machine.sample_every", machine.sample_every)?;
    if let Some(every) = world.load.report_every {
        long_enough("load.report_every", every)?;
    }
    for (number, others) in machine.others.iter().enumerate() {
        long_enough(&format!("machine.others[{number}].every"), others.every)?;
        long_enough(&format!("machine.others[{number}].lasts"), others.lasts)?;
        let at_once = others.lasts.as_secs_f64() / others.every.as_secs_f64();
        if at_once > MOST_OTHERS {
            return Err(format!(
                "machine.others[{number}]: {at_once:.0} at once (expected at most {MOST_OTHERS}: lasts ÷ every)"
            ));
        }
    }
    let SignedBytes(drift) = machine.drift;
    if drift.unsigned_abs() > MOST_DRIFT.unsigned_abs() {
        return Err(format!("machine.drift: {} (expected at most 1T in a second)", machine.drift));
    }
    let phases = &world.phases;
    for (name, phase) in [
        ("schedule", phases.schedule),
        ("create", phases.create),
        ("ready", phases.ready),
        ("stop", phases.stop),
        ("restart", phases.restart),
    ] {
        check_phase(phase).map_err(|error| format!("phases.{name}: {error}"))?;
    }
    for (number, event) in world.events.iter().enumerate() {
        check_event(event, world).map_err(|error| format!("events[{number}]: {error}"))?;
    }
    Ok(())
}

fn check_phase(phase: PhaseTime) -> Result<(), String> {
    match (0.0..10.0).contains(&phase.spread) {
        true => Ok(()),
        false => Err(format!("spread: {} (expected 0 to below 10)", phase.spread)),
    }
}

fn check_nodes(kinds: &[NodeKind]) -> Result<(), String> {
    let count = kinds.iter().fold(0_u32, |sum, kind| sum.saturating_add(kind.count));
    if !(1..=MOST_NODES).contains(&count) {
        return Err(format!("nodes: {count} of them (expected 1 to {MOST_NODES}: the sum of each count)"));
    }
    let mut names = BTreeSet::new();
    let mut kernels: BTreeMap<&str, &NodeKind> = BTreeMap::new();
    for (number, kind) in kinds.iter().enumerate() {
        let at = format!("nodes[{number}]");
        if kind.name.is_empty() || !names.insert(&kind.name) {
            return Err(format!("{at}.name: {:?} (expected one that no other kind of nodes has)", kind.name));
        }
        if kind.memory.0 == 0 || kind.idle > kind.memory {
            return Err(format!(
                "{at}: memory {} of which the idle machine takes {} (expected some memory, and idle within it)",
                kind.memory, kind.idle
            ));
        }
        if !(kind.cores.is_finite() && kind.cores > 0.0) {
            return Err(format!("{at}.cores: {} (expected more than 0)", kind.cores));
        }
        let Some(kernel) = &kind.kernel else { continue };
        let first = *kernels.entry(kernel).or_insert(kind);
        if (first.memory, first.idle, first.page_cache) != (kind.memory, kind.idle, kind.page_cache) {
            return Err(format!(
                "{at}: kernel {kernel:?} has {} here and {} elsewhere (expected the same memory, idle and page_cache)",
                kind.memory, first.memory
            ));
        }
    }
    Ok(())
}

fn check_event(event: &Incident, world: &World) -> Result<(), String> {
    let what = event.what;
    match (event.at, event.instances, what) {
        (Some(_), Some(_), _) => return Err("both at and instances are said (expected one of them)".into()),
        (None, None, IncidentKind::ImageMissing) | (Some(_), None, _) | (None, Some(_), _) => {}
        (None, None, _) => return Err("neither at nor instances is said (expected one of them)".into()),
    }
    if what == IncidentKind::Scale && event.to.is_none() {
        return Err("scale without to (expected the number that others ask for)".into());
    }
    if what == IncidentKind::ClockSet && event.ahead.is_none() {
        return Err("clock-set without ahead (expected a time, such as 1h or -10s)".into());
    }
    let strikes = matches!(
        what,
        IncidentKind::Evict
            | IncidentKind::Preempt
            | IncidentKind::OomKill
            | IncidentKind::Kill
            | IncidentKind::Delete
    );
    let of_node = matches!(
        what,
        IncidentKind::Drain | IncidentKind::NodeNotReady | IncidentKind::ProbeSilent | IncidentKind::ClockSet
    );
    let may_last = of_node
        || matches!(what, IncidentKind::ImageMissing | IncidentKind::ApiHangs | IncidentKind::ApiRefuses);
    for (name, is_said, applies) in [
        ("to", event.to.is_some(), what == IncidentKind::Scale),
        ("ahead", event.ahead.is_some(), what == IncidentKind::ClockSet),
        ("resource", event.resource.is_some(), what == IncidentKind::Evict),
        ("by", event.by.is_some(), matches!(what, IncidentKind::Preempt | IncidentKind::Scale)),
        ("lasts", event.lasts.is_some(), may_last),
        ("node", event.node.is_some(), of_node),
        ("count", event.count != 1, strikes),
    ] {
        if is_said && !applies {
            return Err(format!(
                "{name} is said (expected nothing of it: it says nothing of this kind of event)"
            ));
        }
    }
    if event.count == 0 || event.count > MOST_INSTANCES {
        return Err(format!("count: {} (expected 1 to {MOST_INSTANCES})", event.count));
    }
    if let Some(to) = event.to.filter(|to| *to > MOST_INSTANCES) {
        return Err(format!("to: {to} (expected at most {MOST_INSTANCES})"));
    }
    let names = || world.node_names();
    match &event.node {
        Some(node) if !names().any(|(name, _)| name == *node) => {
            let some: Vec<String> = names().take(NAMES).map(|(name, _)| name).collect();
            let more = names().count().saturating_sub(some.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            Err(format!("there is no node {node:?} (there are {}{more})", some.join(", ")))
        }
        _ => Ok(()),
    }
}
