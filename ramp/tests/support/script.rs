//! Small deterministic clusters: worlds without noise.

use std::time::Duration;

use ramp::engine::EngineSpec;
pub(crate) use ramp::engine::simulated::Shortage;
use ramp::engine::simulated::{
    Incident, IncidentKind, LoadTruth, MachineTruth, NodeKind, PhaseTime, PhaseTimes, RuntimeTruth,
    SignedQuantity, SimulatedEngine, World,
};
use ramp_format::plan::EngineOptions;
use ramp_format::scenario::Scenario;
use ramp_format::time::Time;
use workload::quantity::{Bytes, Rate};

/// How a cluster behaves.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Its nodes.
    pub(crate) nodes: Vec<ScriptedNode>,
    /// What each instance takes.
    pub(crate) instance: Bytes,
    /// How long an instance needs to be at work.
    pub(crate) create: Duration,
    /// How long it needs from there to hold its memory.
    pub(crate) fill: Duration,
    /// How long it needs to end.
    pub(crate) stop: Duration,
    /// What happens where there is no more memory.
    pub(crate) shortage: Shortage,
    /// What goes wrong, and when.
    pub(crate) faults: Vec<Fault>,
}

/// A node: its own machine.
#[derive(Clone, Debug)]
pub(crate) struct ScriptedNode {
    /// Its name.
    pub(crate) name: String,
    /// Its memory.
    pub(crate) memory: Bytes,
}

/// Something that goes wrong for a while.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// From when on, since the engine was made.
    pub(crate) from: Duration,
    /// Until when.
    pub(crate) to: Duration,
    /// What.
    pub(crate) kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum FaultKind {
    /// The API refuses connections.
    ApiDown,
    /// The API takes connections, and answers none.
    ApiHung,
    /// A node is not ready.
    NotReady(String),
    /// A node's machine says nothing.
    Silent(String),
    /// The wall clock of the machine that records is wrong by this.
    WallClock(SignedQuantity<Duration>),
    /// The machine that records is suspended.
    Suspended,
}

/// Two nodes of 2 GB, instances of 500 MB that are ready within two seconds: eight fit.
pub(crate) fn script() -> Script {
    const GB: u64 = 1_000_000_000;
    // Of whole pages they take a little more.
    const ROUNDED_UP: u64 = 1_000_000;
    let node = |name: &str| ScriptedNode { name: name.into(), memory: Bytes(2 * GB + ROUNDED_UP) };
    Script {
        nodes: vec![node("a"), node("b")],
        instance: Bytes(GB / 2),
        create: Duration::from_secs(1),
        fill: Duration::from_secs(1),
        stop: Duration::from_millis(500),
        shortage: Shortage::Evict,
        faults: Vec::new(),
    }
}

impl Fault {
    fn incident(&self) -> Incident {
        let (what, node) = match &self.kind {
            FaultKind::ApiDown => (IncidentKind::ApiRefuses, None),
            FaultKind::ApiHung => (IncidentKind::ApiHangs, None),
            FaultKind::NotReady(node) => (IncidentKind::NodeNotReady, Some(node.clone())),
            FaultKind::Silent(node) => (IncidentKind::ProbeSilent, Some(node.clone())),
            FaultKind::WallClock(_) => (IncidentKind::RecorderClockSet, None),
            FaultKind::Suspended => (IncidentKind::RecorderSuspended, None),
        };
        Incident {
            what,
            at: Some(self.from),
            instances: None,
            node,
            count: 1,
            lasts: Some(self.to - self.from),
            resource: None,
            by: None,
            ahead: match self.kind {
                FaultKind::WallClock(ahead) => Some(ahead),
                _ => None,
            },
            to: None,
        }
    }
}

/// The world that a script tells of.
pub(crate) fn world(script: &Script, begin: std::time::SystemTime) -> World {
    let node = |node: &ScriptedNode| NodeKind {
        name: node.name.clone(),
        count: 1,
        memory: node.memory,
        idle: Bytes(0),
        page_cache: Bytes(0),
        pods: 10_000,
        ..NodeKind::default()
    };
    let fixed = PhaseTime::fixed;
    World {
        seed: 1,
        begin: Time(begin),
        nodes: script.nodes.iter().map(node).collect(),
        load: LoadTruth {
            memory: Some(script.instance),
            growth_rate: Some(Rate::PerSecond(Bytes(
                (script.instance.0 as f64 / script.fill.as_secs_f64()).max(1.0) as u64,
            ))),
            shared: Bytes(0),
            page_tables: 0.0,
            ..LoadTruth::default()
        },
        runtime: RuntimeTruth { memory: Bytes(0), ..RuntimeTruth::default() },
        runtimes: std::collections::BTreeMap::new(),
        phases: PhaseTimes {
            schedule: fixed(Duration::from_millis(10)),
            create: fixed(script.create),
            ready: fixed(Duration::ZERO),
            stop: fixed(script.stop),
            restart: fixed(Duration::from_secs(10)),
            ..PhaseTimes::default()
        },
        machine: MachineTruth {
            noise: Bytes(0),
            wander: Bytes(0),
            sample_phase: Some(Duration::ZERO),
            ..MachineTruth::default()
        },
        shortage: script.shortage,
        tasks: None,
        placement: None,
        events: script.faults.iter().map(Fault::incident).collect(),
    }
}

/// A cluster that follows a script, from now on.
pub(crate) fn engine(script: &Script) -> SimulatedEngine {
    let world = world(script, std::time::UNIX_EPOCH);
    let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let options =
        EngineOptions { world: Some(serde_json::to_value(world).unwrap()), ..EngineOptions::default() };
    SimulatedEngine::new(EngineSpec { run: "20261125-000000-test".into(), scenario, options }).unwrap()
}
