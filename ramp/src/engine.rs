//! Engines: the trait that runs instances, and the events that every engine sends.
//!
//! An engine observes and acts; it decides nothing, counts nothing and writes nothing. It sends what it observes as
//! [`Event`]s, in order, to the [event loop](crate::run) and its [instance tracker](crate::run::instance_tracker).

mod crash_loop;
pub mod factory;
mod kernel_log;
mod kubelet;
pub mod kubernetes;
pub mod local;
mod log_poller;
pub(crate) mod machine;
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

use crate::clock::{Clock, Moment};
use ramp_format::plan::EngineOptions;
use ramp_format::preflight::Preflight;
use ramp_format::scenario::Scenario;
use ramp_format::state::State;

/// Runs as many instances of a scenario as are requested.
///
/// # Guarantees
/// - From [`begin`](Self::begin) on it sends everything it observes, whatever else it is busy with: none of its futures has to
///   be polled for that.
/// - It retries with exponential backoff for as long as it exists, and tells each gap by an [`Event::Notice`] when it begins and
///   when it ends.
/// - Everything it creates is labelled with the run's id, so that [`remove`](Self::remove) finds it in another process as well.
///
/// # Caveats
/// Dropping an engine ends its processes and tasks; it does not remove containers or pods.
#[allow(async_fn_in_trait, reason = "everything of a run happens on one thread, so no future has to be Send")]
pub trait Engine {
    /// As on the command line.
    fn name(&self) -> &'static str;

    /// What requests are sent to, for messages: a server, with its address and the user, or this machine.
    fn place(&self) -> String;

    /// Observes the environment before the first step. Changes nothing.
    ///
    /// # Errors
    /// Where nothing can be observed: no server, no socket, no permission. Other problems are among the findings.
    async fn preflight(&mut self) -> Result<Preflight, Failure>;

    /// Starts to watch, and creates what holds the instances, none at first; with `adopt` takes over the instances that an earlier
    /// process made for this run. Returns once [`Event::All`] and [`Event::Nodes`] have been sent.
    ///
    /// # Errors
    /// Where that cannot be created or found.
    async fn begin(&mut self, events: Events, adopt: bool) -> Result<Applied, Failure>;

    /// Requests this many instances of a group. Returns once the request has been accepted, not once they exist.
    ///
    /// # Errors
    /// Where the request was refused or not answered, or there is no such group.
    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure>;

    /// Requests the removal of everything that is labelled with the run's id.
    ///
    /// # Errors
    /// Where the request was refused or not answered. Nothing to remove is no error.
    async fn remove(&mut self) -> Result<(), Failure>;

    /// Lists what still exists of the run, each with its kind and name.
    ///
    /// # Errors
    /// Where the request was refused or not answered.
    async fn left(&mut self) -> Result<Vec<String>, Failure>;
}

/// A group of instances: all of one scenario under one runtime. A run has [one](Self::ONLY), a mixed run one for each runtime, in the
/// order of [`EngineOptions::mix`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

impl GroupId {
    /// The only group of a run.
    pub const ONLY: Self = Self(0);

    /// # Errors
    /// Where it is another group, of an engine that has no mixed runs.
    fn only(self) -> Result<(), Failure> {
        self.index(1).map(|_| ())
    }

    /// Its index among so many groups.
    ///
    /// # Errors
    /// Where there are fewer.
    fn index(self, groups: usize) -> Result<usize, Failure> {
        let index = usize::try_from(self.0).ok().filter(|index| *index < groups);
        index.ok_or_else(|| Failure::permanent(format!("there is no group {}", self.0)))
    }
}

/// What an engine is created from.
#[derive(Clone, Debug)]
pub struct EngineSpec {
    /// The run's id, the label of everything that is created.
    pub run: String,
    /// What to run.
    pub scenario: Scenario,
    /// Options of the engines.
    pub options: EngineOptions,
}

/// Reason of an instance that is not among all that an engine lists: it ended or was removed during a gap.
pub(crate) const NOT_LISTED: &str = "no longer there when all were listed";

/// The same where a watch that was lost is back.
pub(crate) const NOT_THERE_AGAIN: &str = "was gone when the watch came back";

/// Label of everything that a run creates; its value is the run's id.
pub const RUN_LABEL: &str = "ramp/run";

/// Label of what belongs to a group of a mixed run; its value is the runtime.
pub const GROUP_LABEL: &str = "ramp/group";

/// The sender of an engine's events. Each is stamped with the time at which it was observed.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<(Moment, Event)>,
    clock: Clock,
}

/// Capacity of the channel of events. While it is full the sources wait (backpressure).
const EVENTS_WAITING: usize = 4096;

impl Events {
    /// A channel of events.
    #[must_use]
    pub fn channel(clock: Clock) -> (Self, mpsc::Receiver<(Moment, Event)>) {
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING);
        (Self { sender, clock }, receiver)
    }

    /// Sends an event, once there is room. Without a receiver it is dropped.
    pub async fn send(&self, event: Event) {
        let _ = self.sender.send((self.clock.moment(), event)).await;
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// The clock of the time stamps.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }
}

/// Something that an engine has observed.
#[derive(Clone, Debug)]
pub enum Event {
    /// An instance, as it is now.
    Instance(InstanceStatus),
    /// All instances: any other one is gone. Sent first, and after every gap.
    All(Vec<InstanceStatus>),
    /// A node, as it is now.
    Node(NodeStatus),
    /// All nodes. Sent first, and after every gap.
    Nodes(Vec<NodeStatus>),
    /// The name of a node that has been removed.
    NodeGone(String),
    /// A sample of a node's machine.
    Sample(NodeReading),
    /// A report of an instance.
    Report(InstanceReport),
    /// What a component of a pod or of a node holds.
    Component(NodeRecord),
    /// A limit of a node other than memory and CPU.
    Limit(NodeRecord),
    /// A row of `events.csv`.
    Notice(Notice),
    /// What keeps instances from starting, told beside their statuses.
    Obstacle(Obstacle),
    /// A request to the engine's API, answered or not.
    Call(Call),
    /// The number of requested instances has changed after others had set it.
    Rescaled(Rescaled),
    /// What the operation under way waits for, for as long as it waits; nothing once it goes on.
    WaitsFor(Option<String>),
    /// What holds the instances was removed by others, who and how: the run cannot go on.
    Removed(String),
}

/// Requested instances, as others have set them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescaled {
    /// Their number now.
    pub instances: u32,
    /// Who has changed it from what, in words.
    pub by: String,
}

/// What keeps instances from starting, and does not pass by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The name of the instance; none where requested instances are not created.
    pub instance: Option<String>,
    /// Why: the source's word, and its message.
    pub reason: String,
}

/// The status of an instance, as observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceStatus {
    /// Unique identifier.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Its node, once that is known.
    pub node: Option<String>,
    /// Its state; [`State::Gone`] once it has been removed.
    pub state: State,
    /// Since when, where the source says.
    pub since: Option<SystemTime>,
    /// Why, where the source says; else empty.
    pub reason: String,
    /// Restarts of its container.
    pub restarts: u32,
    /// The latest exit of a container of it. It is observed repeatedly, and counted once.
    pub end: Option<ContainerExit>,
    /// Whether it has ended for good: it is not restarted, and another one may take its place.
    pub over: bool,
    /// The runtime of its group, in a mixed run.
    pub group: Option<String>,
}

/// The exit of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerExit {
    /// Unique identifier of the container and its start.
    pub container: String,
    /// [`State::OomKilled`] or [`State::Failed`].
    pub state: State,
    /// When, where the source says.
    pub at: Option<SystemTime>,
    /// Why: the source's reason and the exit status.
    pub reason: String,
}

/// The status of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Whether it is ready for instances.
    pub ready: bool,
    /// Whether instances may be placed on it when it is ready: neither cordoned nor excluded by a selector or a taint.
    pub eligible: bool,
    /// Its other conditions, such as pressure of memory, disk or PIDs; empty without any.
    pub conditions: String,
}

impl NodeStatus {
    /// A node that is ready and has no other conditions.
    #[must_use]
    pub fn ready(name: impl Into<String>) -> Self {
        Self { name: name.into(), ready: true, eligible: true, conditions: String::new() }
    }
}

/// A sample of a node's machine.
#[derive(Clone, Debug)]
pub struct NodeReading {
    /// The node.
    pub node: String,
    /// A record of `workload node` by the names of its fields ([`workload::report::NodeReport`]).
    pub record: Map<String, Value>,
    /// The budget of all instances, where they have one.
    pub budget: Option<Budget>,
}

/// A record of a node's component probe.
#[derive(Clone, Debug)]
pub struct NodeRecord {
    /// The node.
    pub node: String,
    /// The record by the names of columns ([`ComponentRow`](ramp_format::rows::ComponentRow),
    /// [`LimitRow`](ramp_format::rows::LimitRow)), with its `time`.
    pub record: Map<String, Value>,
}

/// The memory budget of all instances together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Their limit.
    pub limit: Bytes,
    /// Their usage.
    pub used: Bytes,
}

/// A report of an instance.
#[derive(Clone, Debug)]
pub struct InstanceReport {
    /// The instance's [`InstanceStatus::uid`].
    pub uid: String,
    /// A record of `workload` by the names of its fields ([`workload::report::WorkloadReport`]).
    pub record: Map<String, Value>,
}

/// A row of `events.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its kind.
    pub kind: NoticeKind,
    /// When, where the source says.
    pub at: Option<SystemTime>,
    /// What it is about: `pod/NAME`, `node/NAME`, `watch/pods`.
    pub object: String,
    /// A word, as of Kubernetes' events.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// How often, where the source counts.
    pub count: Option<u32>,
}

impl Notice {
    /// A notice without a time and a count of its own.
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

    /// A notice of the kind [`NoticeKind::Note`].
    #[must_use]
    pub fn note(object: impl Into<String>, reason: &str, message: impl Into<String>) -> Self {
        Self::new(NoticeKind::Note, object, reason, message)
    }
}

/// The kind of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeKind {
    /// An event of the cluster.
    Cluster,
    /// A gap in observation begins.
    GapBegins,
    /// A gap in observation ends.
    GapEnds,
    /// Something in the scenario is not honoured.
    NotHonoured,
    /// Anything else.
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
    /// Time until the answer, or until the request was given up.
    pub latency: Duration,
    /// Whether there was an answer.
    pub answered: bool,
}

/// What [`Engine::begin`] has created or adopted.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The manifest as applied.
    pub manifest: Value,
    /// Instances requested so far: zero, or as many as an earlier process has requested.
    pub instances: u32,
}

/// Why a request to an engine failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whether the same request may work later.
    pub transient: bool,
    /// What was requested, what the answer was, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure of a request that may work later.
    #[must_use]
    pub fn transient(message: impl Into<String>) -> Self {
        Self { transient: true, message: message.into() }
    }

    /// A failure of a request that will not work later either.
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
