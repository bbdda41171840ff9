//! Results of all runs and of their comparisons.

use super::capacity::CapacityComparison;
use super::comparison::{Comparison, Pooled};
use super::components::{ComponentDifference, RunComponents, run_components};
use super::cpu_cost::{CpuCost, CpuFigure, CpuKind, cpu_costs, cpu_difference, cpu_pooled};
use super::drift::{Drift, drift};
use super::estimates::of_one_runtime;
use super::external_changes::{Change, changes};
use super::failure_modes::{FailureMode, breaks};
use super::goodput::{GoodputCourse, goodput};
use super::guest_memory::{GuestMemory, guest_memory};
use super::instance_losses::losses;
use super::kube_burner;
use super::latency::{LoadLevel, Startup, latency, startups};
use super::limits::{LimitUse, limits};
use super::mixed::{GroupResults, groups as groups_of_mix};
use super::repeats::{RepeatGroup, groups, pairs};
use super::requests::{RequestDifference, group_capacities};
use super::search::{SearchResult, search};
use super::startup_burst::{Burst, startup_burst};
use super::startup_phases::{StartupPhases, startup_phases};
use super::teardown::{Leak, leak, terminations};
use super::{Estimate, Estimates, unavailable};
use crate::dataset::Dataset;
use crate::progress::{Figures, Observer};
use crate::stats::Survival;

/// What runs say.
#[derive(Clone, Debug)]
pub struct Results {
    /// Of each run, in the order in which they were named.
    pub runs: Vec<RunResults>,
    /// Which of them are repeats.
    pub groups: Vec<RepeatGroup>,
    /// Groups held against each other.
    pub comparisons: Vec<Compared>,
}

/// What one run says.
#[derive(Clone, Debug)]
pub struct RunResults {
    /// The named estimates.
    pub estimates: Estimates,
    /// What gave way, the first one first.
    pub breaks: Vec<FailureMode>,
    /// What others changed of the population.
    pub changed_by_others: Vec<Change>,
    /// Each instance's way to being ready.
    pub startups: Estimate<Vec<Startup>>,
    /// Startup latency by load level.
    pub latency: Estimate<Vec<LoadLevel>>,
    /// Startup by phase.
    pub phases: Estimate<StartupPhases>,
    /// Starts of the instances that were requested at once.
    pub burst: Estimate<Burst>,
    /// Instances that do what they are there for.
    pub goodput: Estimate<GoodputCourse>,
    /// From when an instance is told to end until it is gone.
    pub terminations: Estimate<Survival>,
    /// Memory that did not come back.
    pub leak: Estimate<Leak>,
    /// Its groups, where it is a mixed run.
    pub mixed: Vec<GroupResults>,
    /// Memory by component, and its peak.
    pub components: RunComponents,
    /// Memory as the loads see it: of each group of a mixed run, else one of all.
    pub guest: Vec<Estimate<GuestMemory>>,
    /// Limits of nodes other than memory and CPU.
    pub limits: Estimate<Vec<LimitUse>>,
    /// What a search has found.
    pub search: Estimate<SearchResult>,
    /// CPU time of an instance beyond its own: of each group of a mixed run, else one of all.
    pub cpu: Vec<CpuCost>,
}

/// Two groups of runs, held against each other.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Index of the group that is the base.
    pub base: usize,
    /// Index of the group that is held against it.
    pub other: usize,
    /// What it costs more.
    pub comparison: Comparison,
    /// How far repeats lie apart.
    pub drift: Estimate<Drift>,
    /// What fits of each, by requests and by memory in use.
    pub capacities: CapacityComparison,
    /// What their pods request.
    pub requests: Estimate<RequestDifference>,
    /// Who holds what each costs more.
    pub components: Estimate<Vec<ComponentDifference>>,
    /// What an instance takes more CPU time.
    pub cpu: CpuCost,
}

impl Results {
    /// What runs say. `memory_each` is what each instance was asked to take, in bytes, where the data does not tell.
    #[must_use]
    pub fn of(data: &[Dataset], memory_each: Option<u64>, observer: &Observer) -> Self {
        let groups = groups(data);
        let pairs = pairs(&groups);
        let mut figures = Figures::new(observer, RunResults::FIGURES * data.len() + pairs.len());
        let runs: Vec<RunResults> =
            data.iter().map(|data| RunResults::of(data, memory_each, &mut figures)).collect();
        let indices =
            |group: usize| groups.get(group).into_iter().flat_map(|group| group.runs.iter().copied());
        let members = |group: usize| -> Vec<(&Dataset, &Estimates)> {
            let indices = groups.get(group).map_or(&[][..], |group| &group.runs);
            indices.iter().filter_map(|run| Some((data.get(*run)?, &runs.get(*run)?.estimates))).collect()
        };
        let by_component = |group: usize| -> Vec<&RunComponents> {
            let indices = groups.get(group).map_or(&[][..], |group| &group.runs);
            indices.iter().filter_map(|run| Some(&runs.get(*run)?.components)).collect()
        };
        let compare = |(base, other): (usize, usize)| {
            let (of_base, of_other) = (members(base), members(other));
            Compared {
                base,
                other,
                comparison: Comparison::of(&Pooled::of(&of_base), &Pooled::of(&of_other)),
                drift: drift(&of_base, &of_other),
                capacities: CapacityComparison {
                    base: group_capacities(&of_base),
                    other: group_capacities(&of_other),
                },
                requests: RequestDifference::of(&of_base, &of_other),
                components: ComponentDifference::all(&by_component(base), &by_component(other)),
                cpu: cpu_more(
                    [base, other].map(|group| indices(group).filter_map(|run| runs.get(run)).collect()),
                ),
            }
        };
        let name = |group: usize| groups.get(group).map_or("", |group| &group.name);
        let compared = pairs.into_iter().map(|(base, other)| {
            let of = format!("{} and {}", name(base), name(other));
            figures.compute("comparison", &of, || compare((base, other)))
        });
        let comparisons = compared.collect();
        Self { runs, groups, comparisons }
    }

    /// What the runs of a group say.
    #[must_use]
    pub fn runs_of(&self, group: usize) -> Vec<&RunResults> {
        let runs = self.groups.get(group).map_or(&[][..], |group| &group.runs);
        runs.iter().filter_map(|run| self.runs.get(*run)).collect()
    }

    /// What a group is called.
    #[must_use]
    pub fn name(&self, group: usize) -> &str {
        self.groups.get(group).map_or("", |group| &group.name)
    }

    /// The group that a run is of.
    #[must_use]
    pub fn group_of(&self, run: usize) -> Option<&RepeatGroup> {
        self.groups.iter().find(|group| group.runs.contains(&run))
    }
}

impl RunResults {
    /// How many are computed one after the other.
    const FIGURES: usize = 17;

    /// What a run says by itself.
    #[must_use]
    pub fn alone(data: &Dataset, observer: &Observer) -> Self {
        Self::of(data, None, &mut Figures::new(observer, Self::FIGURES))
    }

    fn of(data: &Dataset, memory_each: Option<u64>, figures: &mut Figures<'_>) -> Self {
        let name = data.name.as_str();
        let losses = figures.compute("losses", name, || losses(data));
        let changed_by_others = figures.compute("changes by others", name, || changes(data));
        let estimates = figures.compute("capacity and cost", name, || {
            Estimates::after(data, memory_each, &losses, &changed_by_others)
        });
        let saturated_at = estimates.saturation.saturation.as_ref().ok().map(|at| at.index);
        // Where nothing ran out, the load is measured by the most that there was.
        let full = match (&estimates.saturation.saturation, &estimates.running) {
            (Ok(saturation), _) => saturation.instances,
            (_, Ok(most)) => most.count,
            _ => 0,
        };
        Self {
            breaks: figures.compute("failure modes", name, || breaks(data, &losses, &changed_by_others)),
            changed_by_others,
            startups: figures.compute("startups", name, || startups(data)),
            latency: figures
                .compute("startup latency", name, || of_one_runtime(data).and_then(|()| latency(data, full))),
            phases: figures.compute("startup phases", name, || match data.pod_latencies() {
                Some(pods) => Ok(kube_burner::phases(pods, full)),
                None => startup_phases(data, full),
            }),
            burst: figures.compute("starts per second", name, || startup_burst(data)),
            goodput: figures.compute("goodput", name, || goodput(data)),
            terminations: figures.compute("terminations", name, || terminations(data)),
            leak: figures.compute("memory left behind", name, || leak(data, saturated_at)),
            mixed: figures.compute("groups of a mixed run", name, || groups_of_mix(data, saturated_at)),
            components: figures.compute("memory by component", name, || {
                run_components(data, saturated_at, &estimates.rough_cost)
            }),
            guest: figures.compute("memory of guests", name, || guest_memory(data, saturated_at)),
            limits: figures.compute("limits of nodes", name, || limits(data, saturated_at)),
            search: figures.compute("search", name, || search(data)),
            cpu: figures.compute("CPU time", name, || cpu_costs(data, saturated_at)),
            estimates,
        }
    }
}

/// What an instance of the other runs takes more CPU time than one of the base.
fn cpu_more([base, other]: [Vec<&RunResults>; 2]) -> CpuCost {
    let pooled = |runs: &[&RunResults], of: fn(&CpuCost) -> &Estimate<CpuFigure>| {
        let each = |run: &&RunResults| match run.cpu.as_slice() {
            [one] => of(one).clone(),
            _ => unavailable("of the groups of a mixed run: see the report of each run"),
        };
        let all: Vec<Estimate<CpuFigure>> = runs.iter().map(each).collect();
        cpu_pooled(&all.iter().collect::<Vec<_>>())
    };
    let difference = |of: fn(&CpuCost) -> &Estimate<CpuFigure>, kind| {
        cpu_difference(&pooled(&base, of), &pooled(&other, of), kind)
    };
    CpuCost {
        at_rest: difference(|cost| &cost.at_rest, CpuKind::AtRest),
        per_start: difference(|cost| &cost.per_start, CpuKind::PerStart),
    }
}
