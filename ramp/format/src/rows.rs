//! The rows of the tables, each declared once: the files, `--json` and whoever reads them follow these fields.

use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::state::Transition;
use crate::time::Time;

/// Which part of a run a row is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// More with each step.
    #[default]
    Up,
    /// As many as there are.
    Hold,
    /// Fewer with each step.
    Down,
    /// Everything is being removed.
    Clean,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// All of it was there, or gone.
    Settled,
    /// The time for it was up.
    TimedOut,
    /// The next beat came.
    Beat,
    /// The request was taken, and that was all that was waited for.
    Taken,
    /// The request was not answered before the next beat.
    Unanswered,
    /// The run was ended.
    Ended,
}

/// A row of `steps.csv`: a step, as it was when it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// When the step ended.
    pub time: Time,
    /// That, since the run began.
    pub elapsed_seconds: f64,
    /// Steps up, then steps down, counted from 1.
    pub step: u32,
    /// Which part of the run.
    pub part: Part,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How long it took.
    pub step_seconds: f64,
    /// Instances asked for.
    pub asked_instances: u32,
    /// Instances on no node yet.
    pub pending_instances: u32,
    /// Instances that the scheduler finds no node for.
    pub unschedulable_instances: u32,
    /// Instances on a node, not yet at work.
    pub creating_instances: u32,
    /// Instances at work, without all of their memory.
    pub running_instances: u32,
    /// Instances that hold all of their memory.
    pub ready_instances: u32,
    /// Instances told to end.
    pub terminating_instances: u32,
    /// Instances evicted and still listed.
    pub evicted_instances: u32,
    /// Instances whose container was killed for memory and is not at work again.
    pub oom_killed_instances: u32,
    /// Instances whose container has ended otherwise and is not at work again.
    pub failed_instances: u32,
    /// Evictions since the run began.
    pub evictions_total: u32,
    /// OOM kills since the run began.
    pub oom_kills_total: u32,
    /// Other ends since the run began.
    pub failures_total: u32,
    /// Instances gone since the run began.
    pub gone_total: u32,
    /// How long the request of this step took to be answered.
    pub scale_latency_seconds: Option<f64>,
    /// The longest that any request took that was answered within this step.
    pub api_latency_max_seconds: Option<f64>,
    /// Requests answered within this step.
    pub api_answers: u32,
    /// Requests not answered within this step.
    pub api_failures: u32,
    /// Nodes that are ready.
    pub nodes_ready: u32,
    /// Nodes that are not.
    pub nodes_not_ready: u32,
    /// Kernels (machines) that have ever told of themselves. Nodes with one boot id share a kernel.
    pub kernels: u32,
    /// Those whose last sample is fresh. Sums are empty where not all are.
    pub kernels_fresh: u32,
    /// Age of the oldest of the last samples.
    pub sample_age_seconds: Option<f64>,
    /// Memory of all kernels (MemTotal).
    pub memory_total_bytes: Option<u64>,
    /// Of it free (MemFree).
    pub memory_free_bytes: Option<u64>,
    /// Of it available (MemAvailable).
    pub memory_available_bytes: Option<u64>,
    /// Of it active (Active).
    pub memory_active_bytes: Option<u64>,
    /// What all instances together may have, where they are confined together.
    pub budget_bytes: Option<u64>,
    /// What they have.
    pub budget_used_bytes: Option<u64>,
    /// Rules that were true after this step, separated by blanks.
    pub rules: String,
}

/// A row of `pods.csv`: a transition of an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PodRow {
    /// When it was seen.
    pub time: Time,
    /// That, since the run began.
    pub elapsed_seconds: f64,
    /// When it happened, as its source says: on Kubernetes in whole seconds.
    pub source_time: Option<Time>,
    /// The step then.
    pub step: u32,
    /// Name of the instance.
    pub instance: String,
    /// What no other instance ever has.
    pub uid: String,
    /// Where it is.
    pub node: Option<String>,
    /// What it was; empty where it is new.
    pub from: Option<String>,
    /// What it is.
    pub to: String,
    /// Why.
    pub reason: String,
    /// How often its container had been started again.
    pub restarts: u32,
    /// The container that has ended, where one has.
    pub container: Option<String>,
}

impl PodRow {
    /// The transition that it tells of.
    ///
    /// # Errors
    /// Where a state is none.
    pub fn transition(&self) -> Result<Transition, String> {
        Ok(Transition {
            uid: self.uid.clone(),
            name: self.instance.clone(),
            node: self.node.clone(),
            from: self.from.as_deref().map(str::parse).transpose()?,
            to: self.to.parse::<State>()?,
            at: self.source_time.map(|time| time.0),
            reason: self.reason.clone(),
            restarts: self.restarts,
            container: self.container.clone(),
        })
    }
}

/// A row of `events.csv`: what else happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// When it was seen.
    pub time: Time,
    /// That, since the run began.
    pub elapsed_seconds: f64,
    /// When it happened, as its source says.
    pub source_time: Option<Time>,
    /// The step then.
    pub step: u32,
    /// `cluster`, `gap_begins`, `gap_ends`, `rule`, `noted_rule`, `not_honoured`, `note`.
    pub kind: String,
    /// What it is about.
    pub object: String,
    /// A word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// How often, where the source counts.
    pub count: Option<u32>,
}
