//! The named estimates of one run.

use super::capacity::Capacities;
use super::external_changes::{Change, changes};
use super::instance_losses::{Loss, losses};
use super::marginal_cost::{MarginalCost, marginal_cost, of_use};
use super::saturation::{SaturationRule, SaturationVerdict, saturation};
use super::swap::{SwappedPerInstance, swapped_per_instance};
use super::{Estimate, mib, timed, unavailable};
use crate::dataset::{Costs, Dataset, Recorded, Step};
use ramp_format::preflight::{Bound, Forecast};
use ramp_format::rows::Part;
use ramp_format::running_count::Most;

/// The named estimates of one run.
#[derive(Clone, Debug)]
pub struct Estimates {
    /// How many instances should have fit.
    pub predicted_capacity: Estimate<Bound>,
    /// How many fit by what they request, and by the memory that they use.
    pub capacities: Capacities,
    /// From which step on the run was saturated, or how far it was not.
    pub saturation: SaturationVerdict,
    /// The most that held all of their memory at once: what capacity means.
    pub held: Estimate<Most>,
    /// The most that ran at once, whether or not they held all of their memory.
    pub running: Estimate<Most>,
    /// Memory by instances.
    pub usage: Usage,
    /// What that rests on: memory against instances.
    pub costs: Costs,
    /// What one instance more costs, where that is known well enough to be of use.
    pub marginal_cost: Estimate<MarginalCost>,
    /// The same however well it is known: repeats of it together may be of use.
    pub rough_cost: Estimate<MarginalCost>,
    /// The same with compressed memory at its size before: runtimes do not differ by how well memory of the load compresses.
    pub uncompressed_cost: Estimate<MarginalCost>,
    /// What of it is swapped out.
    pub swapped: Estimate<SwappedPerInstance>,
}

/// Memory by instances: of the study's files active memory of all nodes ÷ instances at work; of runs of ramp anonymous and
/// shared memory of
/// all nodes, less what there was before the first step, ÷ instances that hold all of theirs.
#[derive(Clone, Debug)]
pub struct Usage {
    /// At each step where it is known, with the step's index in [`Dataset::steps`].
    pub steps: Vec<(usize, PerContainer)>,
    /// At the step of saturation.
    pub at_saturation: Estimate<PerContainer>,
    /// The least of all steps.
    pub min: Estimate<PerContainer>,
    /// The most of all steps.
    pub max: Estimate<PerContainer>,
}

/// Which instances a capacity counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those that hold all of their memory.
    Held,
    /// Those that run: files of the study do not record which hold their memory.
    Running,
}

impl Counted {
    /// Those that hold their memory, where all of these runs record them.
    pub fn by<'e>(runs: impl IntoIterator<Item = &'e Estimates>) -> Self {
        if runs.into_iter().all(|run| run.held.is_ok()) { Self::Held } else { Self::Running }
    }

    /// The most of them at once.
    ///
    /// # Errors
    /// Where the run has no step.
    pub fn of(self, run: &Estimates) -> Estimate<Most> {
        match self {
            Self::Held => run.held.clone(),
            Self::Running => run.running.clone(),
        }
    }

    /// What they did, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Held => "held all of their memory",
            Self::Running => "ran",
        }
    }
}

/// Memory per container, at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerContainer {
    /// MiB.
    pub mib: f64,
    /// At which step.
    pub step: u32,
}

impl Estimates {
    /// The estimates of a run. `memory_each` is what each instance was asked to take, in bytes, where the data does not tell.
    #[must_use]
    pub fn of(data: &Dataset, memory_each: Option<u64>) -> Self {
        Self::after(data, memory_each, &losses(data), &changes(data))
    }

    /// The same, where losses of instances and changes by others are known already.
    pub(super) fn after(
        data: &Dataset,
        memory_each: Option<u64>,
        losses: &[Loss<'_>],
        changes: &[Change],
    ) -> Self {
        let saturation = saturation(data, losses, changes);
        let costs = data.costs(saturation.saturation.as_ref().ok().map(|saturation| saturation.index));
        let timed = data.recorded().map_or(Ok(()), timed);
        let rough_cost = timed
            .clone()
            .and_then(|()| of_one_runtime(data))
            .and_then(|()| marginal_cost(&costs, saturation.saturation.is_ok()));
        let swapped = timed.and_then(|()| swapped_per_instance(&costs));
        let uncompressed_cost = rough_cost.clone();
        let rough_cost = rough_cost.map(|cost| cost.with_swap(&costs.swap, &swapped));
        let cost_in_memory = in_memory(&rough_cost, &swapped);
        let marginal_cost = of_use(&rough_cost);
        let held = held(data);
        let most_held = held.as_ref().ok().map(|most| most.count);
        let saturation = match data.recorded() {
            Some(recorded) if recorded.run.plan.search.is_some() => SaturationVerdict::of_search(),
            _ => saturation,
        };
        Self {
            predicted_capacity: predicted_capacity(data, memory_each),
            capacities: Capacities::of(data, losses, &saturation, most_held, &cost_in_memory),
            held,
            running: running(data),
            usage: usage(data, &saturation, &marginal_cost),
            marginal_cost,
            rough_cost,
            uncompressed_cost,
            costs,
            saturation,
            swapped,
        }
    }
}

/// What an instance takes, for how many more fit: where memory is swapped out they have room of unknown size.
fn in_memory(
    cost: &Estimate<MarginalCost>,
    swapped: &Estimate<SwappedPerInstance>,
) -> Estimate<MarginalCost> {
    match (cost, swapped) {
        (Ok(cost), Ok(swapped)) if swapped.matters(cost.bytes) => unavailable(
            "nodes swapped memory out for the instances, and how much more they would swap out is unknown",
        ),
        _ => cost.clone(),
    }
}

/// That all instances are under one runtime: what is of any instance is of none in a mixed run.
///
/// # Errors
/// Where it is a mixed run.
pub(super) fn of_one_runtime(data: &Dataset) -> Estimate<()> {
    match data.mix() {
        [] => Ok(()),
        mix => unavailable(format!("a mixed run of {}: see the figures of each runtime", mix.join(", "))),
    }
}

fn predicted_capacity(data: &Dataset, memory_each: Option<u64>) -> Estimate<Bound> {
    let forecast = data.recorded().and_then(|recorded| recorded.run.forecast.as_ref());
    if let Some(capacity) = forecast.and_then(Forecast::capacity) {
        return Ok(capacity.clone());
    }
    if !data.is_foreign() && memory_each.is_none() {
        return unavailable("the run has no forecast (set the memory of each instance with --memory)");
    }
    let Some(each) = memory_each.filter(|each| *each > 0) else {
        return unavailable("the data has no memory target per instance (set it with --memory)");
    };
    let first = data.steps.iter().find(|step| step.fresh && step.memory.free.is_some());
    let Some((step, free)) = first.and_then(|step| Some((step, step.memory.free?))) else {
        return unavailable("no step has free memory of all nodes");
    };
    let inputs = format!(
        "{:.0} MiB free at step {} (the first with a fresh sample of each node) ÷ {:.1} MiB per instance",
        mib(free as f64),
        step.step,
        mib(each as f64)
    );
    // Instances that run by then have taken theirs.
    let instances = free / each + u64::from(step.running);
    Ok(Bound { instances, by: "free memory".into(), inputs })
}

fn held(data: &Dataset) -> Estimate<Most> {
    match data.recorded() {
        None => unavailable("the data does not record which instances hold all of their memory"),
        Some(_) if data.steps.is_empty() => unavailable("no step was recorded"),
        Some(recorded) => Ok(recorded.held()),
    }
}

fn running(data: &Dataset) -> Estimate<Most> {
    // The first of equals.
    let Some(most) = data.steps.iter().rev().max_by_key(|step| step.running) else {
        return unavailable("no step was recorded");
    };
    let of_steps = Most { count: most.running, step: most.step };
    Ok(data.recorded().map_or(of_steps, Recorded::running))
}

/// Memory per container at a step of the study's files.
fn active_per_container(step: &Step) -> Option<PerContainer> {
    let active = step.memory.active.filter(|_| step.running > 0)?;
    Some(PerContainer { mib: mib(active as f64) / f64::from(step.running), step: step.step })
}

/// Memory per container is what it costs within this share, of so many and more; others on the machine gave back or took the rest.
const USAGE_WITHIN: f64 = 0.2;
const OF_SO_MANY: u32 = 3;

/// Memory per container at each step where it is known, with the index of the step: where it is that of machines as a whole, of those
/// steps in which others moved it little, by what an instance costs.
fn per_container(
    data: &Dataset,
    cost: &Estimate<MarginalCost>,
    of_machines: bool,
) -> Vec<(usize, PerContainer)> {
    let steps = data.steps.iter().enumerate();
    if data.is_foreign() {
        return steps.filter_map(|(index, step)| Some((index, active_per_container(step)?))).collect();
    }
    let own = |(index, bytes): (usize, f64)| {
        let step = data.steps.get(index).filter(|step| matches!(step.part, Part::Up | Part::Hold))?;
        let held = step.ready.filter(|held| *held > 0)?;
        let usage = PerContainer { mib: mib(bytes) / f64::from(held), step: step.step };
        if of_machines {
            let cost = cost.as_ref().ok()?;
            let most = if held < OF_SO_MANY { f64::INFINITY } else { 1.0 + USAGE_WITHIN };
            let range = mib(cost.interval.low) * (1.0 - USAGE_WITHIN)..=mib(cost.interval.high) * most;
            range.contains(&usage.mib).then_some(())?;
        }
        Some((index, usage))
    };
    data.held_more().into_iter().filter_map(own).collect()
}

fn usage(data: &Dataset, verdict: &SaturationVerdict, cost: &Estimate<MarginalCost>) -> Usage {
    if let Err(why) = of_one_runtime(data) {
        let why = || Err(why.clone());
        return Usage { steps: Vec::new(), at_saturation: why(), min: why(), max: why() };
    }
    let is_foreign = data.is_foreign();
    let of_machines = !is_foreign && !data.is_charged();
    if of_machines && cost.is_err() {
        let why =
            || unavailable("needs a marginal cost, to separate it from other memory use of the machines");
        return Usage { steps: Vec::new(), at_saturation: why(), min: why(), max: why() };
    }
    let all = per_container(data, cost, of_machines);
    let at_saturation = match &verdict.saturation {
        Err(why) => Err(why.clone()),
        Ok(at) => match all.iter().find(|(index, _)| *index == at.index) {
            None if is_foreign => {
                unavailable(format!("memory or number of instances unknown at step {}", at.step))
            }
            None => unavailable(format!(
                "step {} has no sample of all nodes with all instances holding their memory, none starting or ending, and \
                 little other memory use",
                at.step
            )),
            Some((_, usage)) if is_foreign && at.rule != SaturationRule::NodesFull => unavailable(format!(
                "the nodes were never full; at step {} ({}) it is {:.0} MiB",
                at.step, at.rule, usage.mib
            )),
            Some((_, usage)) => Ok(*usage),
        },
    };
    let none = || match is_foreign {
        true => unavailable("no step has both a running instance and active memory of all nodes"),
        false => unavailable(
            "no step has samples of all nodes with all instances holding their memory and none starting or ending, and samples from \
             before the first step",
        ),
    };
    let by_mib = |a: &PerContainer, b: &PerContainer| a.mib.total_cmp(&b.mib);
    let each = || all.iter().map(|(_, usage)| *usage);
    Usage {
        at_saturation,
        min: each().min_by(by_mib).map_or_else(none, Ok),
        // The first of equals.
        max: each().max_by(|a, b| by_mib(a, b).then(b.step.cmp(&a.step))).map_or_else(none, Ok),
        steps: all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_largest_number_at_work_is_that_of_the_first_step_that_had_it() {
        let running = [1, 4, 3, 4, 2];
        let data = data(steps(5, |step, at| step.running = running[at]));
        assert_eq!(Estimates::of(&data, None).running.unwrap(), Most { count: 4, step: 2 });
    }

    #[test]
    fn usage_is_active_memory_by_instances_at_work() {
        let free = [9000, 9000, 100, 100, 100];
        let data = data(steps(5, |step, at| {
            step.running = at as u32;
            step.memory.active = Some(1000 * MIB);
            step.memory.free = Some(free[at] * MIB);
        }));
        let usage = Estimates::of(&data, None).usage;
        assert_eq!(usage.at_saturation.unwrap(), PerContainer { mib: 500.0, step: 3 });
        assert_eq!(usage.min.unwrap(), PerContainer { mib: 250.0, step: 5 });
        assert_eq!(
            usage.max.unwrap(),
            PerContainer { mib: 1000.0, step: 2 },
            "with none at work it is nothing"
        );
    }

    #[test]
    fn a_capacity_needs_to_know_what_each_takes() {
        let data = data(steps(3, |step, _| {
            step.fresh = step.step > 1;
            step.memory.free = Some(1000 * MIB);
        }));
        let why = Estimates::of(&data, None).predicted_capacity.unwrap_err();
        assert!(why.0.contains("--memory"), "{why}");
        let capacity = Estimates::of(&data, Some(100 * MIB)).predicted_capacity.unwrap();
        assert_eq!(capacity.instances, 12, "ten that fit, beside the two at work at step 2");
    }

    #[test]
    fn what_an_instance_more_costs_is_the_slope_of_fresh_samples_before_saturation() {
        let data = data(steps(60, |step, at| {
            step.running = step.step;
            step.memory.active = Some((1000 + 500 * u64::from(step.running)) * MIB);
            step.fresh = at % 2 == 0;
            if !step.fresh {
                step.memory.active = Some(7 * MIB);
            }
            step.memory.free = Some(if at < 40 { 9000 } else { 1 } * MIB);
            if at >= 40 {
                step.memory.active = Some(21_000 * MIB);
            }
        }));
        let cost = Estimates::of(&data, None).marginal_cost.unwrap();
        assert_eq!((mib(cost.bytes), cost.points), (500.0, 20));
        assert!(cost.inputs.contains("20 fresh samples"), "{}", cost.inputs);
    }
}
