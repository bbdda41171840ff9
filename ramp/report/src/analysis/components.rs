//! Memory by component: what each component of an instance, of its node and of the kernel costs for one instance more, and the rest
//! of the marginal cost, which none of them accounts for.
//!
//! | component | by | interval |
//! |---|---|---|
//! | of an instance | anonymous and shared memory (proportional set size), mean over instances at rest | Student's, over instances |
//! | of a node | the same, slope against the instances of the node | of the slope |
//! | of the kernel | `/proc/meminfo`, slope against the instances of the kernel | of the slope |
//! | rest | marginal cost less all of these | of the difference, as if they erred independently |

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_distr::{Distribution, StudentT};
use rand_pcg::Pcg64Mcg;

use super::estimates::of_one_runtime;
use super::marginal_cost::{DRAWS, marginal_cost};
use super::{Estimate, MarginalCost, mib, unavailable};
use crate::dataset::{ComponentMemory, Dataset, InstanceComponents, KERNEL, KERNEL_PARTS, NODE_COMPONENTS};
use crate::stats::{Interval, MeanEstimate, PAGE_BYTES, SEED, fit};

/// Why there is nothing where no component probe ran.
pub const NEEDS_PROBE: &str = "needs the component probe: kubectl apply -k deploy/setup/components";

/// Components of an instance, in the order in which they are told.
pub const POD_COMPONENTS: [&str; 8] =
    ["load", "vmm", "virtiofsd", "sentry", "gofer", "shim", "pause", "other"];
/// Those in which the memory of a load is that they run in a guest or a sandbox.
const HOLDERS: [&str; 2] = ["vmm", "sentry"];
/// What nothing accounts for.
pub const REST: &str = "rest";

/// What holds a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Processes of the instance.
    Instance,
    /// Processes of the node.
    Node,
    /// The kernel.
    Kernel,
    /// Nobody that is known.
    Unknown,
}

/// What a component costs for one instance more.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentCost {
    /// Its name in `components.csv`, or that of a part of the kernel.
    pub name: &'static str,
    /// What holds it.
    pub holder: Holder,
    /// Bytes that cannot be taken back but by swapping.
    pub bytes: f64,
    /// The 95 % interval of that.
    pub interval: Interval,
    /// What was drawn of what it may be, in bytes.
    pub drawn: Vec<f64>,
    /// Files that its processes map, which can be taken back and are in no sum; 0 of a kernel.
    pub files_bytes: f64,
    /// What is swapped out, which is in no sum either.
    pub swapped_bytes: f64,
    /// Whether the load's memory was in it, and is subtracted as the load reports it.
    pub without_load: bool,
}

/// What one instance more costs, by component.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Each component, the load first; without the rest.
    pub costs: Vec<ComponentCost>,
    /// Components that could not be told, and why.
    pub unknown: Vec<(&'static str, String)>,
    /// All components of nodes and of the kernel that are told.
    pub node: Estimate<ComponentCost>,
    /// The same of the kernel.
    pub kernel: Estimate<ComponentCost>,
    /// What remains of the marginal cost.
    pub rest: Estimate<ComponentCost>,
    /// The marginal cost: the sum of all components and the rest.
    pub whole: Estimate<MarginalCost>,
    /// Whether the load is a process of its own, and not in a guest or a sandbox.
    pub load_is_apart: bool,
    /// Instances that it rests on.
    pub instances: usize,
}

/// The most that the cgroup of an instance was ever charged, beyond its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeakPerPod {
    /// The mean over instances, in bytes.
    pub bytes: f64,
    /// Its 95 % interval. Page cache may have been less at the peak than at rest: its upper end is higher by all of that.
    pub interval: Interval,
    /// That of the instance with the most.
    pub most: f64,
    /// The same at rest, on average.
    pub at_rest: f64,
    /// Instances that it rests on.
    pub instances: usize,
}

/// What the component probe tells of a run, or of one runtime of a mixed run.
#[derive(Clone, Debug)]
pub struct ComponentResults {
    /// Who holds the memory.
    pub components: Estimate<Components>,
    /// The peak.
    pub peak: Estimate<PeakPerPod>,
}

/// That of the run, and of each group of a mixed run.
#[derive(Clone, Debug)]
pub struct RunComponents {
    /// Of a run of one runtime.
    pub whole: ComponentResults,
    /// Of each runtime of a mixed run.
    pub groups: Vec<ComponentResults>,
}

/// An instance lacks a component where so many of the others have it.
const USUAL: f64 = 0.8;

/// What the component probe tells of a run. `cost` is the marginal cost of a run of one runtime.
#[must_use]
pub fn run_components(
    data: &Dataset,
    saturated_at: Option<usize>,
    cost: &Estimate<MarginalCost>,
) -> RunComponents {
    let has_probe = data.recorded().is_some_and(|recorded| !recorded.components.is_empty());
    if !has_probe {
        let none = ComponentResults { components: unavailable(NEEDS_PROBE), peak: unavailable(NEEDS_PROBE) };
        return RunComponents { groups: vec![none.clone(); data.mix().len()], whole: none };
    }
    let all = data.instance_components(saturated_at);
    let of_group = |group: &String| {
        let own: Vec<&InstanceComponents> =
            all.iter().filter(|one| one.group.as_deref() == Some(group)).collect();
        let own = usual(&own);
        let whole =
            || unavailable("of a mixed run: the memory of nodes and kernels is not told apart by runtime");
        ComponentResults { components: components(&own, None, whole()), peak: peak(&own) }
    };
    let whole = match of_one_runtime(data) {
        Err(why) => ComponentResults { components: Err(why.clone()), peak: Err(why) },
        Ok(()) => {
            let own = usual(&all.iter().collect::<Vec<_>>());
            ComponentResults {
                components: components(&own, Some((data, saturated_at)), cost.clone()),
                peak: peak(&own),
            }
        }
    };
    RunComponents { whole, groups: data.mix().iter().map(of_group).collect() }
}

impl RunComponents {
    /// That of a run, or of the runtime with an index of a mixed run.
    #[must_use]
    pub fn of(&self, group: Option<usize>) -> &ComponentResults {
        group.and_then(|index| self.groups.get(index)).unwrap_or(&self.whole)
    }
}

/// Without instances that lack a component which nearly all others have: a process that began late, or could not be read.
fn usual<'c>(all: &[&'c InstanceComponents]) -> Vec<&'c InstanceComponents> {
    let is_usual = |name: &str| {
        let have = all.iter().filter(|one| one.parts.contains_key(name)).count();
        have as f64 >= USUAL * all.len() as f64 && have > 0
    };
    let expected: Vec<&str> = POD_COMPONENTS.into_iter().filter(|name| is_usual(name)).collect();
    all.iter().copied().filter(|one| expected.iter().all(|name| one.parts.contains_key(*name))).collect()
}

/// A mean over instances with what was drawn of it. Its interval is Student's, and no mean is more exact than a page.
fn mean_of(name: &'static str, values: &[f64], stream: u64) -> Option<ComponentCost> {
    let found = MeanEstimate::of(values)?;
    let (mean, error) = (found.mean, found.standard_error);
    let half = found.interval(0.95).half_width() + PAGE_BYTES;
    let distribution = StudentT::new(found.freedom).ok()?;
    let mut random = Pcg64Mcg::seed_from_u64(SEED ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    Some(ComponentCost {
        name,
        holder: Holder::Instance,
        bytes: mean,
        interval: Interval { low: mean - half, high: mean + half },
        drawn: (0..DRAWS).map(|_| mean + error * distribution.sample(&mut random)).collect(),
        ..ComponentCost::NOTHING
    })
}

/// What each instance has of a component.
fn values_of(instances: &[&InstanceComponents], name: &str, of: fn(&ComponentMemory) -> f64) -> Vec<f64> {
    instances.iter().map(|one| one.parts.get(name).map_or(0.0, of)).collect()
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn components(
    instances: &[&InstanceComponents],
    of_run: Option<(&Dataset, Option<usize>)>,
    whole: Estimate<MarginalCost>,
) -> Estimate<Components> {
    if instances.len() < 2 {
        return unavailable(format!(
            "the component probe sampled {} at rest; needs at least 2 that hold their memory for some samples (--hold)",
            ramp_format::text::count(instances.len() as u64, "instance")
        ));
    }
    let has = |name: &str| instances.iter().any(|one| one.parts.contains_key(name));
    let load_is_apart = has("load");
    let holder = HOLDERS.iter().copied().find(|name| has(name)).filter(|_| !load_is_apart);
    let reported: Option<Vec<f64>> = instances.iter().map(|one| one.reported).collect();
    let mut costs = Vec::new();
    let mut sums = vec![0.0; instances.len()];
    for (stream, name) in (1..).zip(POD_COMPONENTS) {
        let mut values = values_of(instances, name, |memory| memory.held);
        let mut without_load = false;
        match (&reported, holder) {
            (Some(reported), Some(_)) if name == "load" => values.clone_from(reported),
            (Some(reported), Some(holder)) if name == holder => {
                values.iter_mut().zip(reported).for_each(|(value, load)| *value -= load);
                without_load = true;
            }
            _ if !has(name) => continue,
            _ => {}
        }
        sums.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
        costs.extend(mean_of(name, &values, stream).map(|cost| ComponentCost {
            files_bytes: average(&values_of(instances, name, |memory| memory.files)),
            swapped_bytes: average(&values_of(instances, name, |memory| memory.swapped)),
            without_load,
            ..cost
        }));
    }
    let Some(of_instances) = mean_of("instance", &sums, 100) else {
        return unavailable("no component was sampled");
    };
    let mut found = Components {
        costs,
        unknown: Vec::new(),
        node: unavailable("of a mixed run: not told apart by runtime"),
        kernel: unavailable("of a mixed run: not told apart by runtime"),
        rest: whole.as_ref().map_err(Clone::clone).and_then(|_| unavailable("")),
        whole,
        load_is_apart,
        instances: instances.len(),
    };
    for name in
        POD_COMPONENTS.into_iter().filter(|name| instances.iter().any(|one| one.unreadable.contains(*name)))
    {
        found.unknown.push((name, "the component probe cannot read the memory of its processes".into()));
    }
    if let Some((data, saturated_at)) = of_run {
        found.add_node(data, saturated_at);
        found.add_kernel(data, saturated_at);
    }
    found.rest = found.whole.as_ref().map_err(Clone::clone).map(|whole| found.rest_of(whole, &of_instances));
    Ok(found)
}

/// The slope of what components of nodes hold against the instances of their node.
fn node_cost(
    data: &Dataset,
    saturated_at: Option<usize>,
    name: &'static str,
    component: Option<&str>,
) -> Estimate<ComponentCost> {
    let observations = data.node_components(saturated_at, component);
    let Some(fit) = fit(&observations) else {
        let samples: usize = observations.iter().map(Vec::len).sum();
        return unavailable(format!(
            "{}: too few to tell what it holds for each instance",
            ramp_format::text::count(samples as u64, "sample")
        ));
    };
    let drawn: Vec<f64> = fit.draws(DRAWS, SEED ^ name.len() as u64).iter().map(|[each, ..]| *each).collect();
    let Some(interval) = Interval::of(&drawn) else { return unavailable("nothing was drawn") };
    Ok(ComponentCost {
        name,
        holder: Holder::Node,
        bytes: fit.mean([1.0, 0.0, 0.0]),
        interval,
        drawn,
        ..ComponentCost::NOTHING
    })
}

fn kernel_cost(
    data: &Dataset,
    saturated_at: Option<usize>,
    measure: &'static crate::dataset::Measure,
) -> Estimate<ComponentCost> {
    let Some(costs) = data.costs_of(saturated_at, measure) else { return unavailable(super::NO_INSTANCES) };
    let cost = marginal_cost(&costs, saturated_at.is_some())?;
    Ok(ComponentCost {
        name: measure.name,
        holder: Holder::Kernel,
        bytes: cost.bytes,
        interval: cost.interval,
        drawn: cost.drawn,
        ..ComponentCost::NOTHING
    })
}

impl ComponentCost {
    /// A component of which only the costs are to be completed.
    const NOTHING: Self = Self {
        name: "",
        holder: Holder::Unknown,
        bytes: 0.0,
        interval: Interval { low: 0.0, high: 0.0 },
        drawn: Vec::new(),
        files_bytes: 0.0,
        swapped_bytes: 0.0,
        without_load: false,
    };

    /// Moves it to another mean: parts add up to their sum, whose interval is by itself.
    fn at(self, mean: f64) -> Self {
        let by = mean - self.bytes;
        Self {
            bytes: mean,
            interval: Interval { low: self.interval.low + by, high: self.interval.high + by },
            drawn: self.drawn.iter().map(|value| value + by).collect(),
            ..self
        }
    }
}

impl Components {
    fn add_node(&mut self, data: &Dataset, saturated_at: Option<usize>) {
        for name in NODE_COMPONENTS {
            match node_cost(data, saturated_at, name, Some(name)) {
                Ok(cost) => self.costs.push(cost),
                Err(why) => self.unknown.push((name, why.0)),
            }
        }
        self.node = node_cost(data, saturated_at, "node", None).map(|all| all.at(self.sum_of(Holder::Node)));
    }

    fn add_kernel(&mut self, data: &Dataset, saturated_at: Option<usize>) {
        for measure in &KERNEL_PARTS {
            match kernel_cost(data, saturated_at, measure) {
                Ok(cost) => self.costs.push(cost),
                Err(why) => self.unknown.push((measure.name, why.0)),
            }
        }
        self.kernel = kernel_cost(data, saturated_at, &KERNEL).map(|all| all.at(self.sum_of(Holder::Kernel)));
    }

    /// What all components of a holder cost.
    #[must_use]
    pub fn sum_of(&self, holder: Holder) -> f64 {
        self.costs.iter().filter(|cost| cost.holder == holder).map(|cost| cost.bytes).sum()
    }

    /// What all components cost, without the rest.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.costs.iter().map(|cost| cost.bytes).sum()
    }

    /// A component by its name; `node`, `kernel` and `rest` too. One that no instance has costs nothing.
    ///
    /// # Errors
    /// Where it is not told.
    pub fn cost(&self, name: &str) -> Estimate<f64> {
        match name {
            "node" => self.node.as_ref().map(|cost| cost.bytes).map_err(Clone::clone),
            "kernel" => self.kernel.as_ref().map(|cost| cost.bytes).map_err(Clone::clone),
            REST => self.rest.as_ref().map(|cost| cost.bytes).map_err(Clone::clone),
            _ => Ok(self.one(name).map_or(0.0, |cost| cost.bytes)),
        }
    }

    /// What remains of the marginal cost. What no run can tell better of that, no component does.
    fn rest_of(&self, whole: &MarginalCost, of_instances: &ComponentCost) -> ComponentCost {
        let parts = [Some(of_instances), self.node.as_ref().ok(), self.kernel.as_ref().ok()];
        let others: Vec<&ComponentCost> = parts.into_iter().flatten().collect();
        let rest = |(at, whole): (usize, &f64)| {
            // Draws of different estimates stand beside each other by chance.
            let other = |(step, cost): (usize, &&ComponentCost)| {
                cost.drawn.get((at + 7 * (step + 1)) % cost.drawn.len().max(1)).copied().unwrap_or(cost.bytes)
            };
            whole - others.iter().enumerate().map(other).sum::<f64>()
        };
        let drawn: Vec<f64> = whole.drawn.iter().enumerate().map(rest).collect();
        let bytes = whole.bytes - self.sum();
        let within = Interval::of(&drawn).unwrap_or(Interval { low: bytes, high: bytes });
        let raw = Interval::of(&whole.drawn).unwrap_or(whole.interval);
        let wider = |of: fn(&Interval) -> f64, sign: f64| (sign * (of(&whole.interval) - of(&raw))).max(0.0);
        let kernel = self.kernel.as_ref().ok().map_or(0.0, ComponentCost::beyond_drawn);
        ComponentCost {
            name: REST,
            holder: Holder::Unknown,
            bytes,
            interval: Interval {
                low: within.low.min(bytes) - wider(|of| of.low, -1.0) - kernel,
                high: within.high.max(bytes) + wider(|of| of.high, 1.0) + kernel,
            },
            drawn,
            ..ComponentCost::NOTHING
        }
    }

    /// What it costs beyond the load, in bytes: who holds the overhead, with what nothing accounts for.
    pub fn overhead(&self) -> impl Iterator<Item = &ComponentCost> {
        self.costs.iter().filter(|cost| cost.name != "load").chain(self.rest.as_ref().ok())
    }
}

impl ComponentCost {
    /// By how much its interval is wider on a side than that of what was drawn.
    fn beyond_drawn(&self) -> f64 {
        let drawn = Interval::of(&self.drawn).unwrap_or(self.interval);
        (drawn.low - self.interval.low).max(self.interval.high - drawn.high).max(0.0)
    }
}

/// Memory of processes that is in no cgroup of their pod shows where this much more is held than charged.
const CHARGED_SHARE: f64 = 0.9;
const CHARGED_WITHIN: f64 = 8.0 * 1_048_576.0;

fn peak(instances: &[&InstanceComponents]) -> Estimate<PeakPerPod> {
    struct One {
        peak: f64,
        at_rest: f64,
        file: f64,
        held: f64,
    }
    let of = |one: &&InstanceComponents| {
        let cgroup = one.cgroup?;
        let load = one.reported.or_else(|| Some(one.parts.get("load")?.held))?;
        // Shims are not in the cgroup of their pod.
        let inside = one.parts.iter().filter(|(name, _)| *name != "shim");
        Some(One {
            peak: cgroup.peak - cgroup.file - load,
            at_rest: cgroup.usage - cgroup.file - load,
            file: cgroup.file,
            held: inside.map(|(_, memory)| memory.held).sum::<f64>() - load,
        })
    };
    let known: Vec<One> = instances.iter().filter_map(of).collect();
    let mean = |of: fn(&One) -> f64| known.iter().map(of).sum::<f64>() / known.len().max(1) as f64;
    let (at_rest, held, file) = (mean(|one| one.at_rest), mean(|one| one.held), mean(|one| one.file));
    let values: Vec<f64> = known.iter().map(|one| one.peak).collect();
    let Some(found) = mean_of("peak", &values, 200) else {
        return unavailable(format!(
            "needs at least 2 instances of which the component probe tells memory.peak of the cgroup (memory.max_usage_in_bytes), and \
             what their load holds; there {} {}",
            if known.len() == 1 { "is" } else { "are" },
            known.len()
        ));
    };
    if at_rest < CHARGED_SHARE * held - CHARGED_WITHIN {
        return unavailable(format!(
            "cgroups of pods are charged {:.1} MiB beyond the load, and their processes hold {:.1} MiB: the runtime keeps some in \
             another cgroup (sandbox_cgroup_only)",
            mib(at_rest),
            mib(held)
        ));
    }
    Ok(PeakPerPod {
        bytes: found.bytes,
        interval: Interval { low: found.interval.low, high: found.interval.high + file },
        most: values.iter().copied().fold(f64::MIN, f64::max),
        at_rest,
        instances: known.len(),
    })
}

/// By how much a component costs more under one runtime than under another.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentDifference {
    /// Its name; `node` and `kernel` are the sums of theirs.
    pub name: &'static str,
    /// Bytes.
    pub bytes: f64,
    /// The 95 % interval of that.
    pub interval: Interval,
}

impl ComponentDifference {
    /// Of repeats of two runtimes: the difference of their means. How far repeats lie apart counts as much as how far each can be trusted.
    ///
    /// # Errors
    /// Where one of the runs does not tell.
    pub fn all(base: &[&RunComponents], other: &[&RunComponents]) -> Estimate<Vec<Self>> {
        let told = |runs: &[&RunComponents]| {
            let one = |run: &&RunComponents| run.whole.components.clone();
            runs.iter().map(one).collect::<Estimate<Vec<Components>>>()
        };
        let (base, other) = (told(base)?, told(other)?);
        let names = POD_COMPONENTS.into_iter().chain(["node", "kernel", REST]);
        let has = |name: &str| base.iter().chain(&other).any(|run| run.one(name).is_some());
        Ok(names
            .filter(|name| has(name))
            .enumerate()
            .map(|(at, name)| Self::of(name, at as u64, &base, &other))
            .collect())
    }

    fn of(name: &'static str, stream: u64, base: &[Components], other: &[Components]) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(SEED.wrapping_add(31 * (stream + 1)));
        let cost = |run: &Components| run.one(name).map_or(0.0, |cost| cost.bytes);
        let mean = |runs: &[Components]| runs.iter().map(cost).sum::<f64>() / runs.len().max(1) as f64;
        let mut drawn = |runs: &[Components]| {
            let one = |random: &mut Pcg64Mcg| {
                let run = runs.choose(random)?;
                Some(run.one(name).and_then(|cost| cost.drawn.choose(random).copied()).unwrap_or(0.0))
            };
            runs.iter().filter_map(|_| one(&mut random)).sum::<f64>() / runs.len().max(1) as f64
        };
        let differences: Vec<f64> = (0..DRAWS).map(|_| drawn(other) - drawn(base)).collect();
        let bytes = mean(other) - mean(base);
        let within = Interval::of(&differences).unwrap_or(Interval { low: bytes, high: bytes });
        // How exact the load is is the same for both.
        let beyond = |runs: &[Components]| {
            let of = |run: &Components| {
                let common = run.whole.as_ref().map_or(0.0, |whole| whole.systematic.load);
                let common = if name == REST { common } else { 0.0 };
                Some((run.one(name)?.beyond_drawn() - common).max(0.0))
            };
            runs.iter().filter_map(of).fold(0.0, f64::max)
        };
        let wider = beyond(base) + beyond(other);
        Self { name, bytes, interval: Interval { low: within.low - wider, high: within.high + wider } }
    }
}

impl Components {
    fn one(&self, name: &str) -> Option<&ComponentCost> {
        match name {
            "node" => self.node.as_ref().ok(),
            "kernel" => self.kernel.as_ref().ok(),
            REST => self.rest.as_ref().ok(),
            _ => self.costs.iter().find(|cost| cost.name == name),
        }
    }
}
