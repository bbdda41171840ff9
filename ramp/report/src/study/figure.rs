//! Figures of a study: what is compared of two runs. Each run gives one value of each, or why it has none.

use super::components::{MEMORY_OF, PEAK_PER_INSTANCE, component, peak_per_pod};
use super::startup_phases;
use crate::analysis::cpu_cost::CpuCost;
use crate::analysis::memory_parts::swapped_parts;
use crate::analysis::results::RunResults;
use crate::analysis::startup_phases::StartupPhase;
use crate::analysis::{Estimate, MarginalCost, Unavailable, unavailable};
use crate::report::figure::Unit;
use crate::stats::{Duration, Quantile, Survival};

/// A figure that runs of a study are compared by.
#[derive(Debug)]
pub struct StudyFigure {
    /// Its name, in the study file and in JSON.
    pub name: &'static str,
    /// What it is called for people.
    pub title: &'static str,
    /// Its unit.
    pub unit: StudyUnit,
    /// What it is about.
    pub topic: Topic,
    /// What it is, in a sentence without its full stop.
    pub definition: &'static str,
    /// Its value in a run, or of the runtime with an index of a mixed run.
    value: fn(&RunResults, Option<usize>) -> Estimate<f64>,
}

/// What a figure is about. The p-values of a comparison are adjusted for the figures of one topic, so that a further topic makes no other
/// interval wider; a precision or a margin for all figures is one of the first topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// How much an instance takes, how many fit, and how long they take to start.
    Capacity,
    /// CPU time beyond the load's.
    Cpu,
    /// Phases of the start.
    Startup,
    /// Memory by component.
    Components,
    /// Memory that is swapped out or compressed.
    Swap,
}

impl Topic {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::Capacity, Self::Cpu, Self::Startup, Self::Components, Self::Swap];

    /// Whether its figures are told in short reports only where they differ.
    #[must_use]
    pub fn is_detail(self) -> bool {
        self != Self::Capacity
    }

    /// Whether its figures are of a part of the memory of an instance, which runtimes may lack.
    #[must_use]
    pub fn is_of_parts(self) -> bool {
        [Self::Components, Self::Swap].contains(&self)
    }
}

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyUnit {
    /// Bytes.
    Bytes,
    /// Instances.
    Instances,
    /// Seconds.
    Seconds,
    /// CPU time per wall time.
    Cores,
    /// Instances per second.
    PerSecond,
}

impl StudyUnit {
    /// The unit in which `--assert` and bounds have its numbers.
    #[must_use]
    pub fn of_numbers(self) -> Unit {
        match self {
            Self::Bytes => Unit::BinaryBytes,
            Self::Cores => Unit::Cores,
            Self::Seconds => Unit::Seconds,
            Self::PerSecond => Unit::Decimal,
            Self::Instances => Unit::Count,
        }
    }
}

/// A figure of a component, to be completed.
const COMPONENT: StudyFigure = StudyFigure {
    name: "",
    title: "",
    unit: StudyUnit::Bytes,
    topic: Topic::Components,
    definition: "",
    value: |_, _| unavailable(""),
};

/// All figures. The p-values of a comparison are adjusted for the number of figures of each topic.
pub const STUDY_FIGURES: &[StudyFigure] = &[
    StudyFigure {
        name: MEMORY_PER_INSTANCE,
        title: "memory per instance",
        unit: StudyUnit::Bytes,
        topic: Topic::Capacity,
        definition: "memory of each additional instance before saturation (marginal cost); its difference is the overhead per pod",
        value: |run, group| Ok(memory_of(run, group)?.bytes),
    },
    StudyFigure {
        name: INSTANCES_HELD,
        title: "instances held",
        unit: StudyUnit::Instances,
        topic: Topic::Capacity,
        definition: "largest number of instances that held all of their memory at the same time, in runs past saturation",
        value: held,
    },
    StudyFigure {
        name: STARTUP_MEDIAN,
        title: "median startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Capacity,
        definition: "time within which half of the instances of a run came to hold all of their memory",
        value: startup_median,
    },
    StudyFigure {
        name: STARTUP_MEAN,
        title: "mean startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Capacity,
        definition: "mean time until an instance held all of its memory, each counted up to the longest time that all runs of the same \
                     scenario and size were watched for",
        value: |run, group| {
            let took = startup_times(run, group)?;
            startup_mean(&took, startup_limit([&took[..]]))
        },
    },
    StudyFigure {
        name: CAPACITY_BY_REQUESTS,
        title: "capacity by requests",
        unit: StudyUnit::Instances,
        topic: Topic::Capacity,
        definition: "instances that fit by what a scheduler counts: requests with RuntimeClass overhead, instances per node, quotas; exact",
        value: |run, group| {
            whole(group)?;
            let capacity = run.estimates.capacities.by_requests.as_ref().map_err(Clone::clone)?;
            Ok(capacity.least.instances as f64)
        },
    },
    StudyFigure {
        name: CAPACITY_BY_MEMORY,
        title: "capacity by memory",
        unit: StudyUnit::Instances,
        topic: Topic::Capacity,
        definition: "instances that fit by the memory that they use, whatever they request, in runs in which memory gave way",
        value: |run, group| {
            whole(group)?;
            let capacity = run.estimates.capacities.by_memory.as_ref().map_err(Clone::clone)?;
            match capacity.extrapolated_from {
                None => Ok(capacity.instances as f64),
                Some(_) => unavailable(EXTRAPOLATED),
            }
        },
    },
    StudyFigure {
        name: "startup_schedule",
        title: "schedule phase of startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Startup,
        definition: "mean time from the creation of an instance until it has a node, by ramp's watch (to 0.02 s)",
        value: |run, group| startup_phases::mean(run, group, StartupPhase::Schedule),
    },
    StudyFigure {
        name: "startup_sandbox",
        title: "sandbox phase of startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Startup,
        definition: "mean time from then until the sandbox is ready: until the first event of the kubelet after it \
                     (`Pulling`, `Pulled`, `Created`) arrives (to 0.05 s)",
        value: |run, group| startup_phases::mean(run, group, StartupPhase::Sandbox),
    },
    StudyFigure {
        name: "startup_container",
        title: "container phase of startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Startup,
        definition: "mean time from then until the container is started, pulling its image included, by the kubelet's event \
                     `Started` or by what the engine sees (to 0.05 s)",
        value: |run, group| startup_phases::mean(run, group, StartupPhase::Container),
    },
    StudyFigure {
        name: "startup_program",
        title: "program phase of startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Startup,
        definition: "mean time from then until the first instruction of the program, by its own report and its node's clock \
                     (to 0.05 s; one that is apart from ramp's is corrected by what its samples tell); below 0 where the \
                     start is told later than the program began",
        value: |run, group| startup_phases::mean(run, group, StartupPhase::Program),
    },
    StudyFigure {
        name: "startup_memory",
        title: "memory phase of startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Startup,
        definition: "mean time from then until the program holds all of its memory, by its own clock (to 0.001 s)",
        value: |run, group| startup_phases::mean(run, group, StartupPhase::Memory),
    },
    StudyFigure {
        name: "startup_ready",
        title: "ready phase of startup",
        unit: StudyUnit::Seconds,
        topic: Topic::Startup,
        definition: "mean time from then until the instance is seen to be ready (to 0.05 s): on Kubernetes mostly the period \
                     of its readiness probe",
        value: |run, group| startup_phases::mean(run, group, StartupPhase::Ready),
    },
    StudyFigure {
        name: STARTS_PER_SECOND,
        title: "startup rate",
        unit: StudyUnit::PerSecond,
        topic: Topic::Startup,
        definition: "starts per second of the largest burst of a run, 8 instances or more that are requested in one step or in steps that \
                     are not waited for: from when the first of them is seen until the last is ready",
        value: |run, group| {
            whole(group)?;
            Ok(run.burst.as_ref().map_err(Clone::clone)?.per_second())
        },
    },
    StudyFigure {
        name: "memory_of_vmm",
        title: "memory of the VMM",
        definition: "memory of the virtual machine monitor of an instance (PSS, without files), without the load's where that is a guest's",
        value: |run, group| component(run, group, "vmm"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_virtiofsd",
        title: "memory of virtiofsd",
        definition: "memory of the file server of an instance (virtiofsd, nydusd; PSS, without files)",
        value: |run, group| component(run, group, "virtiofsd"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_sentry",
        title: "memory of the sentry",
        definition: "memory of gVisor's sentry of an instance (PSS, without files), without the load's, which is in it",
        value: |run, group| component(run, group, "sentry"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_gofer",
        title: "memory of the gofer",
        definition: "memory of gVisor's gofer of an instance (PSS, without files)",
        value: |run, group| component(run, group, "gofer"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_shim",
        title: "memory of the shim",
        definition: "memory of the shim of an instance (containerd-shim, conmon; PSS, without files)",
        value: |run, group| component(run, group, "shim"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_pause",
        title: "memory of pause",
        definition: "memory of the pause container of an instance (PSS, without files)",
        value: |run, group| component(run, group, "pause"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_other",
        title: "memory of other processes",
        definition: "memory of processes of an instance that are none of the others (PSS, without files)",
        value: |run, group| component(run, group, "other"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_node",
        title: "memory of kubelet and container runtime",
        definition: "memory of kubelet and container runtime for each additional instance (slope of PSS, without files)",
        value: |run, group| component(run, group, "node"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_kernel",
        title: "memory of the kernel",
        definition: "page tables, unreclaimable slab, kernel stacks and per-CPU memory for each additional instance (slope)",
        value: |run, group| component(run, group, "kernel"),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_of_rest",
        title: "rest of the memory",
        definition: "memory of each additional instance that no component accounts for: `memory_per_instance` less all of them",
        value: |run, group| component(run, group, "rest"),
        ..COMPONENT
    },
    StudyFigure {
        name: PEAK_PER_INSTANCE,
        title: "peak per instance",
        definition: "most memory that was ever charged to the cgroup of an instance, beyond its page cache and its load: mean over \
                     instances; its difference is the overhead at the peak",
        value: |run, group| Ok(peak_per_pod(run, group)?.bytes),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_swapped_out",
        title: "swapped-out memory",
        topic: Topic::Swap,
        definition: "memory on a disk for each instance, its load's included: what nodes swapped out more than before the first; of one \
                     runtime of a mixed run what its processes have swapped out, by the component probe",
        value: |run, group| Ok(swapped_parts(run, group)?[0].bytes),
        ..COMPONENT
    },
    StudyFigure {
        name: "memory_compressed",
        title: "compressed memory",
        topic: Topic::Swap,
        definition: "memory that compressed memory (zswap, zram) takes for each instance, its load's included",
        value: |run, group| Ok(swapped_parts(run, group)?[1].bytes),
        ..COMPONENT
    },
    StudyFigure {
        name: CPU_AT_REST,
        title: "CPU at rest",
        unit: StudyUnit::Cores,
        topic: Topic::Cpu,
        definition: "cores of each instance beyond the CPU time that its load reports; its difference is the CPU overhead per pod",
        value: |run, group| Ok(cpu_of(run, group)?.at_rest.as_ref().map_err(Clone::clone)?.value),
    },
    StudyFigure {
        name: CPU_PER_START,
        title: "CPU per start",
        unit: StudyUnit::Seconds,
        topic: Topic::Cpu,
        definition: "CPU seconds that the start of an instance takes until it is ready, beyond what it takes at rest and what its load \
                     reports",
        value: |run, group| Ok(cpu_of(run, group)?.per_start.as_ref().map_err(Clone::clone)?.value),
    },
];

/// The figure that is of one measure of memory or another.
pub(super) const MEMORY_PER_INSTANCE: &str = "memory_per_instance";
/// Cores at rest, and CPU seconds of a start.
pub(super) const CPU_AT_REST: &str = "cpu_at_rest";
pub(super) const CPU_PER_START: &str = "cpu_per_start";
/// How fast a burst starts.
pub(crate) const STARTS_PER_SECOND: &str = "starts_per_second";
/// The largest number that held.
pub(super) const INSTANCES_HELD: &str = "instances_held";
pub(super) const STARTUP_MEDIAN: &str = "startup_median";
/// The figure whose value needs the runs that it is compared with.
pub(super) const STARTUP_MEAN: &str = "startup_mean";
/// Why a capacity by memory is none of a run.
pub(super) const EXTRAPOLATED: &str = "extrapolated, with an error that all runs have in common";
const CAPACITY_BY_REQUESTS: &str = "capacity_by_requests";
const CAPACITY_BY_MEMORY: &str = "capacity_by_memory";

impl StudyFigure {
    /// Its value in a run, or of the runtime with an index of a mixed run.
    ///
    /// # Errors
    /// Where the run does not tell.
    pub fn of(&self, run: &RunResults, group: Option<usize>) -> Estimate<f64> {
        (self.value)(run, group)
    }

    /// The component that it is of, or `node`, `kernel` or `rest`.
    #[must_use]
    pub fn component(&self) -> Option<&'static str> {
        self.name.strip_prefix(MEMORY_OF).filter(|_| self.topic == Topic::Components)
    }

    /// Whether it is counted before a run and not measured: it has no error, and needs no adjustment for being one of several.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.name == CAPACITY_BY_REQUESTS
    }

    /// Whether it follows from another figure: a precision that is asked for of all figures is not one of this.
    #[must_use]
    pub fn is_derived(&self) -> bool {
        [CAPACITY_BY_REQUESTS, CAPACITY_BY_MEMORY].contains(&self.name)
    }
}

/// Figures of all instances together are none of one runtime of a mixed run.
fn whole(group: Option<usize>) -> Estimate<()> {
    match group {
        None => Ok(()),
        Some(_) => unavailable("of all instances of a mixed run together: see the report of each run"),
    }
}

/// What one instance more costs, in a run or of one runtime of a mixed run.
pub(super) fn memory_of(run: &RunResults, group: Option<usize>) -> Estimate<&MarginalCost> {
    let cost = match group {
        None => &run.estimates.uncompressed_cost,
        Some(index) => match run.mixed.get(index) {
            Some(group) => &group.cost,
            None => return unavailable("the run is not mixed, or has fewer runtimes"),
        },
    };
    cost.as_ref().map_err(Clone::clone)
}

/// CPU time of an instance of a run, or of one runtime of a mixed run.
pub(super) fn cpu_of(run: &RunResults, group: Option<usize>) -> Estimate<&CpuCost> {
    run.cpu
        .get(group.unwrap_or_default())
        .map_or_else(|| unavailable("the run is not mixed, or has fewer runtimes"), Ok)
}

fn held(run: &RunResults, group: Option<usize>) -> Estimate<f64> {
    whole(group)?;
    if let Err(why) = &run.estimates.saturation.saturation {
        return unavailable(format!("saturation: {}", why.0));
    }
    Ok(run.estimates.held.as_ref().map_err(Clone::clone)?.count.into())
}

/// What the instances of a run, or of one runtime of a mixed run, took to hold their memory.
pub(super) fn startup_times(run: &RunResults, group: Option<usize>) -> Estimate<Vec<Duration>> {
    let runtime = group.and_then(|index| run.mixed.get(index)).map(|group| group.runtime.as_str());
    if group.is_some() && runtime.is_none() {
        return unavailable("the run is not mixed, or has fewer runtimes");
    }
    let all = run.startups.as_ref().map_err(Clone::clone)?.iter();
    let own = all.filter(|startup| runtime.is_none() || startup.group.as_deref() == runtime);
    Ok(own.map(|startup| startup.took).collect())
}

fn survival(took: &[Duration]) -> Estimate<Survival> {
    Survival::of(took).ok_or_else(|| Unavailable("no instance was started".into()))
}

/// The longest time up to which the startups of all these runs are known, in seconds; none where all of them have ended.
pub(super) fn startup_limit<'d>(runs: impl IntoIterator<Item = &'d [Duration]>) -> Option<f64> {
    let known = runs.into_iter().filter_map(|took| Survival::of(took)?.known_until());
    known.min_by(f64::total_cmp)
}

/// The mean of startups, each counted up to a limit.
pub(super) fn startup_mean(took: &[Duration], limit: Option<f64>) -> Estimate<f64> {
    let survival = survival(took)?;
    let limit = limit.unwrap_or(f64::INFINITY);
    // Up to a limit that few reach before it every mean is the limit.
    if survival.left_at(limit) > 0.5 {
        return unavailable(format!(
            "fewer than half of the instances held their memory within {limit:.1} s"
        ));
    }
    Ok(survival.restricted_mean(limit))
}

fn startup_median(run: &RunResults, group: Option<usize>) -> Estimate<f64> {
    let survival = survival(&startup_times(run, group)?)?;
    match survival.quantile(0.5) {
        Quantile::Seconds(seconds, ..) => Ok(seconds),
        Quantile::LongerThan(seconds) => {
            unavailable(format!("fewer than half of the instances held their memory within {seconds:.1} s"))
        }
    }
}
