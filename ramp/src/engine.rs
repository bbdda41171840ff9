//! Where instances come from: one trait, and what every engine tells.
//!
//! An engine observes and acts; it decides nothing, counts nothing and writes nothing. What it sees it sends as
//! [`Event`]s, in the order in which it saw them; what becomes of them is the [ledger](crate::run::instance_tracker)'s and the
//! [event loop](crate::run)'s.

mod crash_loop;
pub mod factory;
mod kernel_log;
mod kubelet;
pub mod kubernetes;
pub mod local;
mod log_poller;
mod machine;
mod manifest_support;
mod outage;
pub mod podman;
mod readiness;
mod replicas;
pub mod simulated;
mod timed;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use workload::quantity::Bytes;

use crate::clock::Clock;
use ramp_format::plan::EngineOptions;
use ramp_format::preflight::Preflight;
use ramp_format::scenario::Scenario;
use ramp_format::state::State;

/// Something that runs instances of a scenario, as many as it is asked for.
///
/// # Guarantees
/// - From [`begin`](Self::begin) on everything it sees is sent, whatever else it is busy with: none of its futures has to
///   be polled for that.
/// - What cannot be reached is tried again with growing pauses, for as long as the engine lives, and each gap is told by an
///   [`Event::Notice`] when it begins and when it ends.
/// - Everything it makes bears the run's id, so that [`remove`](Self::remove) finds it in another process as well.
///
/// # Caveats
/// Dropping an engine ends what it has started in this process, and does not remove what lives elsewhere.
#[allow(async_fn_in_trait, reason = "everything of a run happens on one thread, so no future has to be Send")]
pub trait Engine {
    /// As on the command line.
    fn name(&self) -> &'static str;

    /// What there is before the first step. Changes nothing.
    ///
    /// # Errors
    /// Where nothing at all can be learned: no server, no socket, no right. What is wrong but known is among the findings.
    async fn preflight(&mut self) -> Result<Preflight, Failure>;

    /// Starts to watch, and makes a population of no instances; with `adopt` takes over the one that an earlier process
    /// made for this run. Returns once [`Event::All`] and [`Event::Nodes`] have been sent.
    ///
    /// # Errors
    /// Where it cannot be made or is not there.
    async fn begin(&mut self, events: Events, adopt: bool) -> Result<Applied, Failure>;

    /// Asks for this many instances of a group. Returns once the request has been taken, not once they are there.
    ///
    /// # Errors
    /// Where the request was refused or not answered, or there is no such group.
    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure>;

    /// Removes everything that bears the run's id. Returns once that has been asked for.
    ///
    /// # Errors
    /// Where the request was refused or not answered. Nothing to remove is no error.
    async fn remove(&mut self) -> Result<(), Failure>;

    /// What of the run is still there, found by asking anew: each with its kind and name.
    ///
    /// # Errors
    /// Where it cannot be asked.
    async fn left(&mut self) -> Result<Vec<String>, Failure>;
}

/// A group of instances: all of one scenario under one runtime. A run has [one](Self::ONLY) today; a mixed run is to have
/// instances of two or more runtimes in one ramp, each a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The group of a run that has no other.
    pub const ONLY: Self = Self(0);

    /// # Errors
    /// Where it is another: no engine has any yet.
    fn only(self) -> Result<(), Failure> {
        if self == Self::ONLY {
            Ok(())
        } else {
            Err(Failure::permanent(format!("there is no group {}", self.0)))
        }
    }
}

/// What every engine is made from.
#[derive(Clone, Debug)]
pub struct EngineSpec {
    /// The run's id: on everything that is made.
    pub run: String,
    /// What to run.
    pub scenario: Scenario,
    /// What belongs to one engine or another.
    pub options: EngineOptions,
}

/// Label of everything that a run makes; its value is the run's id.
pub const RUN_LABEL: &str = "ramp/run";

/// Where an engine's events go. Each is stamped with the time of its sighting.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<(SystemTime, Event)>,
    clock: Clock,
}

/// Events that may wait. Beyond that the sources wait, which is what TCP is for.
const EVENTS_WAITING: usize = 4096;

impl Events {
    /// Both ends.
    #[must_use]
    pub fn channel(clock: Clock) -> (Self, mpsc::Receiver<(SystemTime, Event)>) {
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING);
        (Self { sender, clock }, receiver)
    }

    /// Sends an event, once there is room. Where nobody reads any more there is nobody to tell.
    pub async fn send(&self, event: Event) {
        let _ = self.sender.send((self.clock.now(), event)).await;
    }

    /// Whether nobody reads any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The clock that stamps.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

/// Something that an engine saw.
#[derive(Clone, Debug)]
pub enum Event {
    /// An instance, as it is now.
    Instance(InstanceStatus),
    /// All instances there are: what is not among them is gone. At first, and after every gap.
    All(Vec<InstanceStatus>),
    /// A node, as it is now.
    Node(NodeStatus),
    /// All nodes there are. At first, and after every gap.
    Nodes(Vec<NodeStatus>),
    /// A node, by its name, that is no longer there.
    NodeGone(String),
    /// What a node's machine said of itself.
    Sample(NodeReading),
    /// What an instance said of itself.
    Report(InstanceReport),
    /// Something to be written down.
    Notice(Notice),
    /// A request to the engine's API has been answered, or not.
    Call(Call),
}

/// An instance, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStatus {
    /// What no other instance ever has.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Where it is, once that is known.
    pub node: Option<String>,
    /// What it is. [`State::Gone`] once it is no longer there.
    pub state: State,
    /// Since when, where the source says.
    pub since: Option<SystemTime>,
    /// Why, where the source says; else empty.
    pub reason: String,
    /// How often its container has been started again.
    pub restarts: u32,
    /// How the last of its containers that have ended did. Seen again and again; counted once.
    pub end: Option<ContainerExit>,
    /// Whether it is over: nothing of it is started again, and another may be made in its place.
    pub over: bool,
}

/// The end of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerExit {
    /// What no other container ever has.
    pub container: String,
    /// [`State::OomKilled`] or [`State::Failed`].
    pub state: State,
    /// When, where the source says.
    pub at: Option<SystemTime>,
    /// Why: the source's word and the exit status.
    pub reason: String,
}

/// A node, as the engine knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Whether it is ready for instances.
    pub ready: bool,
    /// What else it says of itself: pressure of memory, disk, processes; empty where all is well.
    pub conditions: String,
}

impl NodeStatus {
    /// A node with which all is well.
    #[must_use]
    pub fn ready(name: impl Into<String>) -> Self {
        Self { name: name.into(), ready: true, conditions: String::new() }
    }
}

/// What a node's machine said of itself.
#[derive(Clone, Debug)]
pub struct NodeReading {
    /// The node.
    pub node: String,
    /// A record of `workload node` by the names of its fields ([`workload::report::NodeReport`]).
    pub record: Map<String, Value>,
    /// What the instances have together, where they are confined together.
    pub budget: Option<Budget>,
}

/// Memory of all instances together, and what they may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What they may have.
    pub limit: Bytes,
    /// What they have.
    pub used: Bytes,
}

/// What an instance said of itself.
#[derive(Clone, Debug)]
pub struct InstanceReport {
    /// The instance's [`InstanceStatus::uid`].
    pub uid: String,
    /// A record of `workload` by the names of its fields ([`workload::report::WorkloadReport`]).
    pub record: Map<String, Value>,
}

/// Something to be written down in `events.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is.
    pub kind: NoticeKind,
    /// When, where the source says.
    pub at: Option<SystemTime>,
    /// What it is about: `pod/NAME`, `node/NAME`, `watch/pods`.
    pub object: String,
    /// A word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// How often, where the source counts.
    pub count: Option<u32>,
}

impl Notice {
    /// One that is told as it happens, and once.
    #[must_use]
    pub fn new(
        kind: NoticeKind,
        object: impl Into<String>,
        reason: &str,
        message: impl Into<String>,
    ) -> Self {
        let (object, message) = (object.into(), message.into());
        Self { kind, at: None, object, reason: reason.to_owned(), message, count: None }
    }

    /// Something to know of.
    #[must_use]
    pub fn note(object: impl Into<String>, reason: &str, message: impl Into<String>) -> Self {
        Self::new(NoticeKind::Note, object, reason, message)
    }
}

/// What a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// An event of the cluster's own.
    Cluster,
    /// From here on something is not observed.
    GapBegins,
    /// From here on it is again.
    GapEnds,
    /// Something that was asked for cannot be had here.
    NotHonoured,
    /// Something to know of.
    Note,
}

impl NoticeKind {
    /// As the run directory writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::GapBegins => "gap_begins",
            Self::GapEnds => "gap_ends",
            Self::NotHonoured => "not_honoured",
            Self::Note => "note",
        }
    }
}

/// A request to the engine's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// How long the answer took; how long it was waited for where there was none.
    pub latency: Duration,
    /// Whether there was one.
    pub answered: bool,
}

/// What was made.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The manifest as the engine has it now.
    pub manifest: Value,
    /// Instances asked for so far: zero, or where an earlier process left off.
    pub instances: u32,
}

/// Why a request to an engine failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether the same request may work later.
    pub transient: bool,
    /// What was asked, what came, and what to do.
    pub message: String,
}

impl Failure {
    /// The same request may work later.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { transient: true, message: message.into() }
    }

    /// It will not.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { transient: false, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
