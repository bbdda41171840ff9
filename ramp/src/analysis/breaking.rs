//! What gave way, in the order in which it did.

use std::fmt;

use super::saturation::FULL_BELOW_BYTES;
use crate::dataset::{Dataset, Source, Step};
use crate::record::{Outcome, PodRow};

/// The first time that something gave way.
#[derive(Clone, Debug, PartialEq)]
pub struct Break {
    /// Of which resource there was no more.
    pub resource: Resource,
    /// What happened, in words.
    pub what: &'static str,
    /// The step then.
    pub step: u32,
    /// When, since the run began.
    pub elapsed_seconds: Option<f64>,
    /// What the source said of it; may be empty.
    pub evidence: String,
}

/// What there may be no more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Memory.
    Memory,
    /// CPU that can be requested.
    Cpu,
    /// Pods that a node takes.
    Pods,
    /// Nodes that are ready.
    Nodes,
    /// Answers of the API, in time.
    Api,
    /// Time: a step did not settle within its limit.
    Time,
    /// It is not said of what.
    Unknown,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Cpu => "CPU requests",
            Self::Pods => "pods per node",
            Self::Nodes => "nodes",
            Self::Api => "the API",
            Self::Time => "time for a step",
            Self::Unknown => "a resource that is not named",
        })
    }
}

/// What gave way, each once, the first one first.
#[must_use]
pub fn breaks(data: &Dataset) -> Vec<Break> {
    let mut found = of_steps(data);
    if let Source::Run(recorded) = &data.source {
        found.extend(of_pods(&recorded.pods));
    }
    // What was seen at the end of a step comes after what was seen within it; what has no time goes by its step.
    found.sort_by(|a, b| {
        let at = |found: &Break| found.elapsed_seconds.unwrap_or_else(|| f64::from(found.step));
        at(a).total_cmp(&at(b)).then(a.resource.cmp(&b.resource))
    });
    found
}

fn of_steps(data: &Dataset) -> Vec<Break> {
    let Some((_, start)) = data.way_up().next() else { return Vec::new() };
    let is_study = matches!(data.source, Source::Study);
    let first = |resource, what, holds: &dyn Fn(&Step) -> bool| {
        let (_, step) = data.way_up().find(|(_, step)| holds(step))?;
        let (step, elapsed_seconds) = (step.step, step.elapsed_seconds);
        Some(Break { resource, what, step, elapsed_seconds, evidence: String::new() })
    };
    let more = |now: Option<u32>, before: Option<u32>| is_study && now.unwrap_or(0) > before.unwrap_or(0);
    let found = [
        first(Resource::Memory, "free memory of all nodes fell below 10^6 KiB", &|step| {
            step.memory.free.is_some_and(|free| free < FULL_BELOW_BYTES)
        }),
        first(Resource::Memory, "an instance was evicted", &|step| more(step.evicted, start.evicted)),
        first(Resource::Unknown, "an instance failed", &|step| more(step.failed, start.failed)),
        first(Resource::Nodes, "a node was not ready", &|step| {
            step.nodes_not_ready.unwrap_or(0) > start.nodes_not_ready.unwrap_or(0)
        }),
        first(Resource::Api, "a request was not answered before the next step", &|step| {
            step.outcome == Some(Outcome::Unanswered)
        }),
        first(Resource::Time, "a step did not settle within its limit", &|step| {
            step.outcome == Some(Outcome::TimedOut)
        }),
    ];
    found.into_iter().flatten().collect()
}

fn of_pods(pods: &[PodRow]) -> Vec<Break> {
    let first = |state: &str, what, resource: fn(&PodRow) -> Resource| {
        let row = pods.iter().find(|row| row.to == state)?;
        Some(Break {
            resource: resource(row),
            what,
            step: row.step,
            elapsed_seconds: Some(row.elapsed_seconds),
            evidence: row.reason.clone(),
        })
    };
    let found = [
        first("evicted", "an instance was evicted", |row| named_in(&row.reason).unwrap_or(Resource::Memory)),
        first("oom_killed", "an instance was killed for memory", |_| Resource::Memory),
        first("failed", "an instance failed", |row| named_in(&row.reason).unwrap_or(Resource::Unknown)),
        first("unschedulable", "no node had room for an instance", |row| {
            named_in(&row.reason).unwrap_or(Resource::Unknown)
        }),
    ];
    found.into_iter().flatten().collect()
}

/// The resource that a reason of the scheduler's or the kubelet's names.
fn named_in(reason: &str) -> Option<Resource> {
    let words = [
        ("Insufficient memory", Resource::Memory),
        ("low on resource: memory", Resource::Memory),
        ("OutOfmemory", Resource::Memory),
        ("Insufficient cpu", Resource::Cpu),
        ("OutOfcpu", Resource::Cpu),
        ("Too many pods", Resource::Pods),
        ("Insufficient pods", Resource::Pods),
        ("OutOfpods", Resource::Pods),
    ];
    // Where it names more than one, the first of this list: memory is what these runs are about.
    words.into_iter().find(|(word, _)| reason.contains(word)).map(|(_, resource)| resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    #[test]
    fn what_gave_way_comes_in_the_order_in_which_it_did() {
        let data = data(steps(9, |step, at| {
            step.evicted = Some(if at < 3 { 4 } else { 5 });
            step.memory.free = Some(if at < 6 { 2 * FULL_BELOW_BYTES } else { 0 });
        }));
        let found: Vec<_> = breaks(&data).into_iter().map(|found| (found.step, found.what)).collect();
        let full = "free memory of all nodes fell below 10^6 KiB";
        assert_eq!(found, [(4, "an instance was evicted"), (7, full)]);
    }

    #[test]
    fn the_scheduler_names_the_resource() {
        assert_eq!(named_in("0/2 nodes are available: 2 Insufficient cpu."), Some(Resource::Cpu));
        assert_eq!(named_in("0/1 nodes are available: 1 Too many pods."), Some(Resource::Pods));
        assert_eq!(named_in("The node was low on resource: memory."), Some(Resource::Memory));
        assert_eq!(named_in("Error"), None);
    }
}
