//! The two capacities of a run: how many instances fit by what they request, and how many by the memory that they use.

use std::collections::HashSet;

use super::causes::{Cause, Resource};
use super::instance_losses::Loss;
use super::{Estimate, MarginalCost, SaturationVerdict, unavailable};
use crate::dataset::{Dataset, KernelRoom};
use crate::stats::{Interval, LITTLE_BYTES};
use ramp_format::plan::EngineKind;
use ramp_format::preflight::Bound;
use ramp_format::run_file::RunFile;
use ramp_format::state::State;

/// How many instances fit, by requests and by memory in use.
#[derive(Clone, Debug)]
pub struct Capacities {
    /// By requests, limits and numbers that a scheduler counts.
    pub by_requests: Estimate<RequestCapacity>,
    /// By memory in use.
    pub by_memory: Estimate<MemoryCapacity>,
    /// What ended the run's rise, where that is told.
    pub exhausted: Option<Exhausted>,
}

/// How many instances fit by requests. It is exact: what a scheduler counts is known before.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestCapacity {
    /// The bound that is met first.
    pub least: Bound,
    /// All of them.
    pub bounds: Vec<Bound>,
}

/// How many instances fit by memory in use, each whole on one node.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryCapacity {
    /// How many.
    pub instances: u64,
    /// The 95 % interval; none where it was measured.
    pub interval: Option<Interval>,
    /// Where it was measured: the most that were held before memory first gave way. More may be held later, on other nodes or while some
    /// are killed and restarted.
    pub held_before: Option<u64>,
    /// From how many this is extrapolated; none where memory gave way, and the number is the one that was held.
    pub extrapolated_from: Option<u32>,
    /// What it rests on.
    pub inputs: String,
}

/// What was no longer to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// Of what is requested or counted.
    Requests(Resource),
    /// Of what is used.
    Use(Resource),
}

/// The threshold of kubelets by default: `memory.available<100Mi`.
const USUAL_EVICTION_BYTES: f64 = 100.0 * 1_048_576.0;
/// What the machine did by itself so far it may do so many times more until it is full.
const MOST_TIMES: f64 = 4.0;

impl Capacities {
    pub(super) fn of(
        data: &Dataset,
        losses: &[Loss<'_>],
        verdict: &SaturationVerdict,
        held: Option<u32>,
        cost: &Estimate<MarginalCost>,
    ) -> Self {
        let exhausted = verdict.saturation.as_ref().ok().and_then(|_| exhausted(losses));
        let by_memory = || {
            let Some(recorded) = data.recorded() else {
                return unavailable("the data has no available memory of each node");
            };
            if let (Some(Exhausted::Use(Resource::Memory)), Some(held)) = (exhausted, held) {
                let at = verdict.saturation.as_ref().map_or(usize::MAX, |at| at.index);
                let before =
                    data.way_up().filter(|(index, _)| *index < at).filter_map(|(_, step)| step.ready);
                return Ok(MemoryCapacity {
                    instances: held.into(),
                    interval: None,
                    held_before: Some(before.max().unwrap_or(0).min(held).into()),
                    extrapolated_from: None,
                    inputs: "measured: the most held at once, in a run in which memory gave way".into(),
                });
            }
            let before = verdict.saturation.as_ref().ok().map(|at| at.index);
            let found = by_memory(&recorded.run, &data.rooms(before), cost)?;
            // Those that were held at once did fit.
            let held = u64::from(held.unwrap_or(0));
            let interval = found.interval.map(|Interval { low, high }| Interval {
                low: low.max(held as f64),
                high: high.max(held as f64),
            });
            Ok(MemoryCapacity { instances: found.instances.max(held), interval, ..found })
        };
        let by_requests = match data.recorded() {
            Some(recorded) => by_requests(&recorded.run),
            None => unavailable("the data has no requests"),
        };
        Self { by_requests, by_memory: by_memory(), exhausted }
    }
}

impl Exhausted {
    /// Of what.
    #[must_use]
    pub fn resource(self) -> Resource {
        match self {
            Self::Requests(resource) | Self::Use(resource) => resource,
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Requests(Resource::Memory) => "memory requests".into(),
            Self::Use(Resource::Memory) => "memory in use".into(),
            Self::Requests(resource) | Self::Use(resource) => resource.to_string(),
        }
    }
}

/// What the first instance that was lost or had no place lacked.
fn exhausted(losses: &[Loss<'_>]) -> Option<Exhausted> {
    losses.iter().find_map(|loss| {
        let Cause::Resource(resource) = loss.cause else { return None };
        // The scheduler, and a kubelet that admits no more, go by requests.
        let is_requested =
            loss.row.to == State::Unschedulable.name() || loss.row.reason.trim_start().starts_with("OutOf");
        Some(if is_requested { Exhausted::Requests(resource) } else { Exhausted::Use(resource) })
    })
}

/// What the forecast of the run had from requests, numbers of pods and quotas.
fn by_requests(run: &RunFile) -> Estimate<RequestCapacity> {
    let engine = run.plan.engine;
    if matches!(engine, EngineKind::Local | EngineKind::Podman) {
        return unavailable(format!(
            "nothing is requested: {} are started without a scheduler",
            engine.instances()
        ));
    }
    let Some(forecast) = &run.forecast else { return unavailable("the run has no forecast") };
    let is_counted = |what: &str| !what.starts_with("memory in use") && !what.starts_with(Bound::NODE_LIMIT);
    if let Some(unknown) = forecast.unknown.iter().find(|unknown| is_counted(unknown)) {
        return unavailable(unknown.clone());
    }
    let bounds: Vec<Bound> = forecast.bounds.iter().filter(|bound| is_counted(&bound.by)).cloned().collect();
    match bounds.iter().min_by_key(|bound| bound.instances) {
        Some(least) => Ok(RequestCapacity { least: least.clone(), bounds }),
        None => unavailable("nothing is requested, and no number of pods per node is known"),
    }
}

/// Each kernel by what it had available with the most instances that it was seen with, and what one more costs.
fn by_memory(run: &RunFile, rooms: &[KernelRoom], cost: &Estimate<MarginalCost>) -> Estimate<MemoryCapacity> {
    let cost = match cost {
        Ok(cost) if cost.interval.low > 0.0 => cost,
        Ok(_) => return unavailable("the marginal cost may be 0"),
        Err(why) => return unavailable(format!("marginal cost: {}", why.0)),
    };
    let eligible: HashSet<&str> =
        run.nodes.iter().filter(|node| node.eligible).map(|node| node.name.as_str()).collect();
    let seen: HashSet<&str> = rooms.iter().flat_map(|room| &room.nodes).map(String::as_str).collect();
    if let Some(unseen) = eligible.iter().filter(|node| !seen.contains(*node)).min() {
        return unavailable(format!("available memory of node {unseen} is unknown"));
    }
    let takes = |room: &&KernelRoom| {
        eligible.is_empty() || room.nodes.iter().any(|node| eligible.contains(node.as_str()))
    };
    let (mut instances, mut low, mut high, mut from) = (0.0, 0.0, 0.0, 0);
    let (mut available, mut largest_threshold) = (0.0_f64, 0.0_f64);
    let (mut allocatable, mut by_allocatable) = (0.0_f64, false);
    for room in rooms.iter().filter(takes) {
        let threshold = threshold(run, room)?;
        let there = f64::from(room.instances);
        let budget = run.plan.options.budget_bytes.map(|bytes| bytes as f64);
        let left = budget.map_or(f64::INFINITY, |budget| budget - room.budget_used.unwrap_or(0.0));
        let free = room.available.min(left);
        let most_free = room.reclaimable.unwrap_or(room.available).max(room.available).min(left);
        let fit = |bytes: f64, each: f64| there + (bytes / each).floor();
        let expected = fit(free - threshold.expected, cost.bytes);
        // What the machine itself took or gave since the first instance may go on.
        let own = room.at_rest.map_or(0.0, |rest| (rest - room.available - there * cost.bytes).abs());
        let times = ((expected - there) / there.max(1.0)).clamp(0.0, MOST_TIMES);
        let uncertain = LITTLE_BYTES + own * times;
        // Pods together may use no more than is allocatable to them; what others use of it is near what they request.
        let all_pods = |taken: f64, each: f64| ((threshold.allocatable - taken) / each).floor().max(0.0);
        let expected_of_pods = all_pods(threshold.requested_by_others, cost.bytes);
        by_allocatable |= expected_of_pods < expected;
        let least = fit(free - threshold.most - uncertain, cost.interval.high)
            .min(all_pods(threshold.requested_by_others, cost.interval.high));
        let most = fit(most_free + uncertain, cost.interval.low).min(all_pods(0.0, cost.interval.low));
        // Those that were there did fit.
        instances += expected.min(expected_of_pods).max(there);
        low += least.max(there);
        high += most.max(there);
        allocatable += threshold.allocatable;
        from += room.instances;
        available += free;
        largest_threshold = largest_threshold.max(threshold.most);
    }
    if from == 0 {
        return unavailable("no sample has all instances present holding their memory");
    }
    let gives_way = match largest_threshold > 0.0 {
        _ if by_allocatable => {
            format!("pods together may use the {} that nodes allocate to them", mib(allocatable))
        }
        true => format!("evictions begin at 0 to {} available", mib(largest_threshold)),
        false => "memory gives way when none is available".into(),
    };
    Ok(MemoryCapacity {
        instances: instances as u64,
        interval: Some(Interval { low, high }),
        held_before: None,
        extrapolated_from: Some(from),
        inputs: format!(
            "extrapolated from {from}: {} available then ÷ {} for each more, whole on each node; {gives_way}",
            mib(available),
            mib(cost.bytes)
        ),
    })
}

fn mib(bytes: f64) -> String {
    format!("{:.0} MiB", super::mib(bytes))
}

/// Memory at which a node evicts, in bytes.
struct EvictionThreshold {
    /// Available memory of the machine, as is usual.
    expected: f64,
    /// The same at most.
    most: f64,
    /// What all pods together may use: the limit of the cgroup of pods is the allocatable memory (kubelet, `enforceNodeAllocatable`).
    allocatable: f64,
    /// What pods that were there before request of it.
    requested_by_others: f64,
}

/// A kubelet's threshold is part of what a node does not offer for pods: capacity − allocatable. Other engines end an instance where the
/// kernel has no more.
fn threshold(run: &RunFile, room: &KernelRoom) -> Estimate<EvictionThreshold> {
    if run.plan.engine != EngineKind::Kubernetes {
        let allocatable = f64::INFINITY;
        return Ok(EvictionThreshold { expected: 0.0, most: 0.0, allocatable, requested_by_others: 0.0 });
    }
    let facts = run.nodes.iter().filter(|node| room.nodes.contains(&node.name));
    let (mut most, mut all, mut requested_by_others) = (0.0_f64, 0.0_f64, 0.0_f64);
    for node in facts {
        let Some(allocatable) = node.allocatable_memory_bytes else {
            return unavailable(format!(
                "allocatable memory of node {} is unknown, and with it the largest threshold of its evictions",
                node.name
            ));
        };
        let total = node.memory_bytes.map_or(room.total, |bytes| bytes as f64);
        most = most.max(total - allocatable as f64);
        all += allocatable as f64;
        requested_by_others += node.requested_memory_bytes.unwrap_or(0) as f64;
    }
    let allocatable = if all > 0.0 { all } else { f64::INFINITY };
    Ok(EvictionThreshold { expected: USUAL_EVICTION_BYTES.min(most), most, allocatable, requested_by_others })
}

/// Two groups of runs by their capacities.
#[derive(Clone, Debug)]
pub struct CapacityComparison {
    /// Those of the base.
    pub base: GroupCapacities,
    /// Those of the other.
    pub other: GroupCapacities,
}

/// The capacities of repeats together.
#[derive(Clone, Debug)]
pub struct GroupCapacities {
    /// By requests, which all of them have alike.
    pub by_requests: Estimate<RequestCapacity>,
    /// By memory in use, on average.
    pub by_memory: Estimate<MeanMemoryCapacity>,
    /// What was exhausted in all of them, where that is the same.
    pub exhausted: Option<Exhausted>,
}

/// The capacity by memory in use of repeats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanMemoryCapacity {
    /// Instances.
    pub instances: f64,
    /// From the mean of the lower ends to the mean of the upper ends of the intervals; where it was measured, from what was held before
    /// memory first gave way.
    pub interval: Interval,
    /// Whether one of them is extrapolated.
    pub is_extrapolated: bool,
}

/// Which capacity is the smaller one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Requests,
    Memory,
    CannotTell,
}

impl GroupCapacities {
    /// Those of these runs together.
    #[must_use]
    pub fn of(runs: &[&Capacities]) -> Self {
        let (by_requests, by_memory) = (of_all(runs), mean_of(runs));
        let exhausted = match runs.split_first() {
            Some((first, rest)) if rest.iter().all(|run| run.exhausted == first.exhausted) => first.exhausted,
            _ => None,
        };
        Self { by_requests, by_memory, exhausted }
    }

    fn limit(&self) -> Option<(Limit, f64, MeanMemoryCapacity)> {
        let (requests, memory) = (self.by_requests.as_ref().ok()?, *self.by_memory.as_ref().ok()?);
        let requests = requests.least.instances as f64;
        let limit = match requests {
            _ if requests < memory.interval.low => Limit::Requests,
            _ if requests > memory.interval.high => Limit::Memory,
            _ => Limit::CannotTell,
        };
        Some((limit, requests, memory))
    }

    fn words(&self) -> Option<String> {
        let (requests, memory) = (self.by_requests.as_ref().ok()?, self.by_memory.as_ref().ok()?);
        let Interval { low, high } = memory.interval;
        let between = if low < high { format!(" ({low:.0} to {high:.0})") } else { String::new() };
        let how = if memory.is_extrapolated { ", extrapolated" } else { ", measured" };
        Some(format!(
            "{} by {}, {:.0}{between} by memory in use{how}",
            requests.least.instances, requests.least.by, memory.instances
        ))
    }
}

fn of_all(runs: &[&Capacities]) -> Estimate<RequestCapacity> {
    let all = runs.iter().map(|run| run.by_requests.clone()).collect::<Estimate<Vec<RequestCapacity>>>()?;
    match all.split_first() {
        Some((first, rest)) if rest.iter().all(|other| other.least == first.least) => Ok(first.clone()),
        Some((first, rest)) => {
            let other = rest.iter().find(|other| other.least != first.least).unwrap_or(first);
            unavailable(format!(
                "repeats differ: {} by {}, {} by {}",
                first.least.instances, first.least.by, other.least.instances, other.least.by
            ))
        }
        None => unavailable("no run"),
    }
}

fn mean_of(runs: &[&Capacities]) -> Estimate<MeanMemoryCapacity> {
    let all = runs.iter().map(|run| run.by_memory.clone()).collect::<Estimate<Vec<MemoryCapacity>>>()?;
    if all.is_empty() {
        return unavailable("no run");
    }
    let mean = |of: &dyn Fn(&MemoryCapacity) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
    let instances = |run: &MemoryCapacity| run.instances as f64;
    Ok(MeanMemoryCapacity {
        instances: mean(&instances),
        interval: Interval {
            low: mean(&|run| match (run.interval, run.held_before) {
                (Some(interval), _) => interval.low,
                (None, Some(before)) => before as f64,
                (None, None) => instances(run),
            }),
            high: mean(&|run| run.interval.map_or(instances(run), |interval| interval.high)),
        },
        is_extrapolated: all.iter().any(|run| run.extrapolated_from.is_some()),
    })
}

impl CapacityComparison {
    /// Both capacities of both, and which of them makes the difference, in sentences without the last full stop; none where one is not
    /// known.
    #[must_use]
    pub fn sentence(&self, [base, other]: [&str; 2]) -> Option<String> {
        let [of_base, of_other] = [self.base.words()?, self.other.words()?];
        let verdict = self.verdict([base, other])?;
        Some(format!("Instances that fit: {base}: {of_base}; {other}: {of_other}. {verdict}"))
    }

    fn verdict(&self, [base, other]: [&str; 2]) -> Option<String> {
        let (base_limit, base_requests, base_memory) = self.base.limit()?;
        let (other_limit, other_requests, other_memory) = self.other.limit()?;
        let mixed = |by_memory: &str, by_requests: &str, memory: f64| {
            format!(
                "{by_memory} is limited by memory in use, {by_requests} by requests: by memory in use {by_requests} would fit {memory:.0}"
            )
        };
        Some(match (base_limit, other_limit) {
            (Limit::Requests, Limit::Requests) => format!(
                "Both are limited by requests, by which the difference is {:.0}; by memory in use it would be {:.0}",
                (base_requests - other_requests).abs(),
                (base_memory.instances - other_memory.instances).abs()
            ),
            (Limit::Memory, Limit::Memory) => format!(
                "Both are limited by memory in use, by which the difference is {:.0}; by requests it would be {:.0}",
                (base_memory.instances - other_memory.instances).abs(),
                (base_requests - other_requests).abs()
            ),
            (Limit::Memory, Limit::Requests) => mixed(base, other, other_memory.instances),
            (Limit::Requests, Limit::Memory) => mixed(other, base, base_memory.instances),
            (Limit::CannotTell, _) => cannot_tell(base),
            (_, Limit::CannotTell) => cannot_tell(other),
        })
    }
}

fn cannot_tell(name: &str) -> String {
    format!("Whether requests or memory in use limit {name} is within the interval")
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::analysis::SystematicError;
    use ramp_format::plan::Plan;
    use ramp_format::preflight::{Forecast, NodeFacts, Preflight};
    use ramp_format::time::Time;

    const MIB: f64 = 1_048_576.0;

    fn cost(mib: f64, half_width_mib: f64) -> Estimate<MarginalCost> {
        Ok(MarginalCost {
            bytes: mib * MIB,
            interval: Interval { low: (mib - half_width_mib) * MIB, high: (mib + half_width_mib) * MIB },
            points: 9,
            drawn: Vec::new(),
            systematic: SystematicError::default(),
            reported: None,
            measure: &crate::dataset::UNRECLAIMABLE,
            inputs: String::new(),
        })
    }

    fn run(engine: EngineKind, nodes: &[&str]) -> RunFile {
        let node = |name: &&str| NodeFacts {
            name: (*name).into(),
            eligible: true,
            memory_bytes: Some(4096 << 20),
            allocatable_memory_bytes: Some(3696 << 20),
            ..NodeFacts::default()
        };
        let preflight = Preflight { nodes: nodes.iter().map(node).collect(), ..Preflight::default() };
        let plan = Plan { engine, ..Plan::default() };
        RunFile::new(plan, "s".into(), serde_json::Value::Null, preflight, Time(UNIX_EPOCH))
    }

    fn room(node: &str, instances: u32, available_mib: f64) -> KernelRoom {
        KernelRoom {
            nodes: vec![node.into()],
            instances,
            total: 4096.0 * MIB,
            available: available_mib * MIB,
            at_rest: Some((available_mib + 100.0 * f64::from(instances)) * MIB),
            reclaimable: None,
            budget_used: None,
        }
    }

    #[test]
    fn an_instance_is_whole_on_one_node() {
        let rooms = [room("a", 2, 1050.0), room("b", 2, 1050.0)];
        let found = by_memory(&run(EngineKind::Simulated, &["a", "b"]), &rooms, &cost(100.0, 0.5)).unwrap();
        assert_eq!((found.instances, found.extrapolated_from), (24, Some(4)), "12 on each, not 25 in all");
        assert_eq!(found.interval, Some(Interval { low: 24.0, high: 24.0 }));
    }

    #[test]
    fn the_threshold_of_evictions_is_within_what_a_node_does_not_offer() {
        let rooms = [room("a", 2, 1050.0)];
        let found = by_memory(&run(EngineKind::Kubernetes, &["a"]), &rooms, &cost(100.0, 0.5)).unwrap();
        assert_eq!(found.instances, 11, "950 MiB until the usual threshold");
        assert_eq!(found.interval, Some(Interval { low: 8.0, high: 12.0 }), "400 MiB are not offered");
        assert!(found.inputs.contains("evictions begin at 0 to 400 MiB available"), "{}", found.inputs);
        let mut unknown = run(EngineKind::Kubernetes, &["a"]);
        unknown.nodes[0].allocatable_memory_bytes = None;
        let why = by_memory(&unknown, &rooms, &cost(100.0, 0.5)).unwrap_err().0;
        assert!(why.contains("allocatable memory of node a is unknown"), "{why}");
    }

    #[test]
    fn what_was_there_did_fit() {
        let run = run(EngineKind::Kubernetes, &["a"]);
        let found = by_memory(&run, &[room("a", 30, 150.0)], &cost(100.0, 20.0)).unwrap();
        assert_eq!(
            (found.instances, found.interval.unwrap().low),
            (30, 30.0),
            "less is free than what is not offered"
        );
    }

    #[test]
    fn pods_together_use_no_more_than_what_a_node_allocates_to_them() {
        let mut small = run(EngineKind::Kubernetes, &["a"]);
        small.nodes[0].allocatable_memory_bytes = Some(1000 << 20);
        small.nodes[0].requested_memory_bytes = Some(100 << 20);
        let found = by_memory(&small, &[room("a", 2, 3800.0)], &cost(100.0, 0.5)).unwrap();
        assert_eq!(found.instances, 9, "of a machine that has room for 39");
        assert_eq!(found.interval.unwrap().high, 10.0, "others may use nothing");
        assert!(found.inputs.contains("pods together may use the 1000 MiB"), "{}", found.inputs);
    }

    #[test]
    fn a_node_whose_memory_is_not_known_leaves_the_whole_unknown() {
        let run = run(EngineKind::Simulated, &["a", "b"]);
        let why = by_memory(&run, &[room("a", 2, 1050.0)], &cost(100.0, 0.5)).unwrap_err().0;
        assert_eq!(why, "available memory of node b is unknown");
        let why = by_memory(&run, &[], &unavailable("too few samples")).unwrap_err().0;
        assert_eq!(why, "marginal cost: too few samples");
    }

    #[test]
    fn what_is_requested_is_exact_and_the_least_of_it_counts() {
        let bound =
            |by: &'static str, instances: u64| Bound { by: by.into(), instances, inputs: String::new() };
        let mut run = run(EngineKind::Kubernetes, &["a"]);
        assert!(by_requests(&run).unwrap_err().0.contains("no forecast"));
        let forecast = Forecast {
            limits: Vec::new(),
            bounds: vec![bound("memory in use", 5), bound("CPU requests", 7), bound("pods per node", 110)],
            unknown: vec!["memory in use: each instance takes what it can get".into()],
            steps: 1,
            seconds: 1.0,
            at_most: false,
            steps_to_saturation: None,
            seconds_to_saturation: None,
        };
        run.forecast = Some(forecast.clone());
        let found = by_requests(&run).unwrap();
        assert_eq!(
            (found.least.instances, found.least.by.as_ref(), found.bounds.len()),
            (7, "CPU requests", 2)
        );
        let unknown = "memory requests: what the nodes have, or what is taken of it already, is not known";
        run.forecast = Some(Forecast { unknown: vec![unknown.into()], ..forecast });
        assert_eq!(by_requests(&run).unwrap_err().0, unknown);
        run.plan.engine = EngineKind::Podman;
        assert!(by_requests(&run).unwrap_err().0.contains("containers are started without a scheduler"));
    }

    fn group(requests: u64, memory: u64, low: f64, high: f64) -> GroupCapacities {
        let least = Bound { by: "CPU requests".into(), instances: requests, inputs: String::new() };
        let run = Capacities {
            by_requests: Ok(RequestCapacity { bounds: vec![least.clone()], least }),
            by_memory: Ok(MemoryCapacity {
                instances: memory,
                interval: (low < high).then_some(Interval { low, high }),
                held_before: None,
                extrapolated_from: (low < high).then_some(3),
                inputs: String::new(),
            }),
            exhausted: None,
        };
        GroupCapacities::of(&[&run, &run])
    }

    #[test]
    fn which_of_the_two_makes_a_difference_is_said_where_both_are_known() {
        let of = |base: GroupCapacities, other: GroupCapacities| {
            CapacityComparison { base, other }.sentence(["runc", "kata"])
        };
        assert_eq!(
            of(group(16, 31, 30.0, 33.0), group(7, 11, 10.0, 12.0)).unwrap(),
            "Instances that fit: runc: 16 by CPU requests, 31 (30 to 33) by memory in use, extrapolated; kata: 7 by CPU \
             requests, 11 (10 to 12) by memory in use, extrapolated. Both are limited by requests, by which the difference is \
             9; by memory in use it would be 20"
        );
        assert!(
            of(group(40, 31, 31.0, 31.0), group(7, 11, 10.0, 12.0)).unwrap().ends_with(
                "31 by memory in use, measured; kata: 7 by CPU requests, 11 (10 to 12) by memory in use, extrapolated. runc is limited by \
                 memory in use, kata by requests: by memory in use kata would fit 11"
            )
        );
        assert!(
            of(group(16, 31, 30.0, 33.0), group(11, 11, 10.0, 12.0))
                .unwrap()
                .ends_with("Whether requests or memory in use limit kata is within the interval")
        );
        let unknown = GroupCapacities { by_memory: unavailable("no samples"), ..group(1, 1, 1.0, 1.0) };
        assert_eq!(of(group(16, 31, 30.0, 33.0), unknown), None);
    }
}
