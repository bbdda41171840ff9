//! Preflight results: nodes, quotas, the RuntimeClass, findings and the forecast, before anything is created.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What there is before the first step.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Preflight {
    /// What runs the instances, in versions: `kubernetes v1.20.2`.
    pub versions: BTreeMap<String, String>,
    /// The nodes.
    pub nodes: Vec<NodeFacts>,
    /// The RuntimeClass that the scenario names.
    pub runtime_class: Option<RuntimeClassFacts>,
    /// Of each group of a mixed run, under the name of its runtime, in the order of the plan; without overhead where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runtime_classes: Vec<RuntimeClassFacts>,
    /// What quotas leave, where there are any.
    #[serde(default)]
    pub quotas: Vec<QuotaFacts>,
    /// Bounds by what only the engine counts: other resources, ports of the nodes, anti-affinity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bound>,
    /// Limits of nodes other than memory and CPU, as far as they are told before a run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitFacts>,
    /// Requests and limits of an instance as admitted, where that is known: with the defaults of a LimitRange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<AdmittedResources>,
    /// Nodes on which the component probe runs; none where that is not known, or the engine has no such probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_probes: Option<Vec<String>>,
    /// What is wrong, and what may be.
    pub findings: Vec<Finding>,
    /// What of the scenario cannot be had here.
    pub not_honoured: Vec<String>,
}

/// What a node is and has.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// Whether an instance of this scenario may be put there: ready, and with neither taint nor selector against it.
    pub eligible: bool,
    /// Why not, where not.
    pub not_eligible_because: Option<String>,
    /// Release of its kernel.
    pub kernel: Option<String>,
    /// What runs its containers: `containerd://1.6.20`.
    pub container_runtime: Option<String>,
    /// Memory of its machine, in bytes, of which a load takes a share.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Memory for instances, in bytes.
    pub allocatable_memory_bytes: Option<u64>,
    /// CPUs of its machine, in cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_cores: Option<f64>,
    /// CPU for instances, in cores.
    pub allocatable_cpu_cores: Option<f64>,
    /// Instances that it takes.
    pub allocatable_pods: Option<u64>,
    /// What those that are there already have requested, in bytes; none where that cannot be seen.
    pub requested_memory_bytes: Option<u64>,
    /// What those that are there already have requested, in cores; none where that cannot be seen.
    pub requested_cpu_cores: Option<f64>,
    /// How many there are already; none where that cannot be seen.
    pub pods: Option<u64>,
}

/// A limit of a node other than memory and CPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitFacts {
    /// The node.
    pub node: String,
    /// Which boot of which kernel: nodes with the same one share the limits of the machine.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// What is limited, as in `limits.csv`.
    pub resource: String,
    /// Where the limit holds, as in `limits.csv`.
    pub scope: String,
    /// The limit; none where there is none, or it is not known.
    #[serde(default)]
    pub limit: Option<u64>,
    /// How much of it is used; none where that is not known.
    #[serde(default)]
    pub used: Option<u64>,
    /// Kernel file or system call that tells.
    #[serde(default)]
    pub source: String,
}

/// What a quota leaves to the instances of a scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuotaFacts {
    /// The quota, its resource, and its numbers: `ResourceQuota team, pods: 50, of which 12 are used`.
    pub what: String,
    /// Instances that it leaves room for.
    pub instances: u64,
}

/// A RuntimeClass.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeClassFacts {
    /// Its name.
    pub name: String,
    /// What it stands for on the nodes.
    pub handler: String,
    /// `overhead.podFixed`, memory, in bytes.
    pub overhead_memory_bytes: u64,
    /// `overhead.podFixed`, CPU, in cores.
    pub overhead_cpu_cores: f64,
    /// Its `scheduling`; empty where it has none, and none where that was not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduling: Option<Value>,
}

/// Requests and limits of a pod after admission, without overhead of its RuntimeClass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AdmittedResources {
    /// Memory that the scheduler reserves, in bytes.
    pub memory_request_bytes: Option<u64>,
    /// CPU that it reserves, in billionths of a core.
    pub cpu_request_nano_cores: Option<u64>,
    /// Memory limit of the load, in bytes.
    pub memory_limit_bytes: Option<u64>,
}

/// Something found before the first step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Whether a run must not begin so.
    pub refuses: bool,
    /// What was found, what was expected, and what to do.
    pub message: String,
}

impl Finding {
    /// A run must not begin so, unless it is forced.
    #[must_use]
    pub fn refusal(message: impl Into<String>) -> Self {
        Self { refuses: true, message: message.into() }
    }

    /// Something to know of.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self { refuses: false, message: message.into() }
    }
}

/// A limit of the nodes other than memory and CPU, as a bound by what an instance is assumed to use of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitBound {
    /// The limit: `pids (pods)`.
    pub by: String,
    /// Instances that fit by the use that is assumed.
    pub instances: u64,
    /// By the most that is plausible.
    pub fewest: u64,
    /// By the least that is plausible.
    pub most: u64,
    /// From which figures.
    pub inputs: String,
}

/// What to expect of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Forecast {
    /// What may run out, and how many instances fit until then.
    pub bounds: Vec<Bound>,
    /// Limits of the nodes other than memory and CPU, by what an instance is assumed to use; those that count are bounds too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitBound>,
    /// What nothing can be said of, and why.
    pub unknown: Vec<String>,
    /// Steps up, where no rule ends the run before.
    pub steps: u32,
    /// How long all of these take, in seconds.
    pub seconds: f64,
    /// Whether they take that long only where each step lasts until its timeout.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_most: bool,
    /// Those until saturation and beyond it, at most `steps`; none if the capacity is unknown or the plan ends before it.
    pub steps_to_saturation: Option<u32>,
    /// How long these take, in seconds.
    pub seconds_to_saturation: Option<f64>,
}

/// Something that may run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bound {
    /// What.
    pub by: Cow<'static, str>,
    /// Instances that fit, each whole on one node.
    pub instances: u64,
    /// From which figures.
    pub inputs: String,
}

impl Bound {
    /// How the name of a bound by a limit of the nodes other than memory and CPU begins.
    pub const NODE_LIMIT: &'static str = "node limit ";
}

impl Forecast {
    /// Limits of the nodes that may be reached before the predicted capacity, and are not it.
    pub fn possible_limits(&self) -> impl Iterator<Item = &LimitBound> {
        let capacity = self.capacity();
        let is_least = move |limit: &LimitBound| {
            capacity.is_some_and(|bound| bound.by.strip_prefix(Bound::NODE_LIMIT) == Some(limit.by.as_str()))
        };
        let instances = capacity.map_or(u64::MAX, |bound| bound.instances);
        self.limits.iter().filter(move |limit| limit.fewest < instances && !is_least(limit))
    }

    /// The bound that is met first: the predicted capacity.
    #[must_use]
    pub fn capacity(&self) -> Option<&Bound> {
        self.bounds.iter().min_by_key(|bound| bound.instances)
    }
}
