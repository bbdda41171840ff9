//! Figures of a study: what is compared of two runs. Each run gives one value of each, or why it has none.

use crate::analysis::results::RunResults;
use crate::analysis::{Estimate, Unavailable, unavailable};
use crate::dataset::Dataset;
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
    /// What it is, in a sentence without its full stop.
    pub definition: &'static str,
    /// Its value in a run.
    pub value: fn(&Dataset, &RunResults) -> Estimate<f64>,
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
}

/// All figures. The p-values of a comparison are adjusted for being so many.
pub const STUDY_FIGURES: &[StudyFigure] = &[
    StudyFigure {
        name: "memory_per_instance",
        title: "memory per instance",
        unit: StudyUnit::Bytes,
        definition: "memory of each additional instance before saturation (marginal cost); its difference is the overhead per pod",
        value: |_, run| Ok(run.estimates.rough_cost.as_ref().map_err(Clone::clone)?.bytes),
    },
    StudyFigure {
        name: "instances_held",
        title: "instances held",
        unit: StudyUnit::Instances,
        definition: "largest number of instances that held all of their memory at the same time, in runs past saturation",
        value: held,
    },
    StudyFigure {
        name: "startup_median",
        title: "median startup",
        unit: StudyUnit::Seconds,
        definition: "time within which half of the instances of a run came to hold all of their memory",
        value: |_, run| startup_median(run),
    },
    StudyFigure {
        name: "startup_mean",
        title: "mean startup",
        unit: StudyUnit::Seconds,
        definition: "mean time until an instance held all of its memory, each counted up to the longest time that all runs of the same \
                     scenario and size were watched for",
        value: |_, run| {
            let took = startup_times(run)?;
            startup_mean(&took, startup_limit([&took[..]]))
        },
    },
    StudyFigure {
        name: CAPACITY_BY_REQUESTS,
        title: "capacity by requests",
        unit: StudyUnit::Instances,
        definition: "instances that fit by what a scheduler counts: requests with RuntimeClass overhead, instances per node, quotas; exact",
        value: |_, run| {
            let capacity = run.estimates.capacities.by_requests.as_ref().map_err(Clone::clone)?;
            Ok(capacity.least.instances as f64)
        },
    },
    StudyFigure {
        name: CAPACITY_BY_MEMORY,
        title: "capacity by memory",
        unit: StudyUnit::Instances,
        definition: "instances that fit by the memory that they use, whatever they request, in runs in which memory gave way",
        value: |_, run| {
            let capacity = run.estimates.capacities.by_memory.as_ref().map_err(Clone::clone)?;
            match capacity.extrapolated_from {
                None => Ok(capacity.instances as f64),
                Some(_) => unavailable(
                    "extrapolated, with an error that all runs have in common: see the report of each run",
                ),
            }
        },
    },
];

/// The figure that is of one measure of memory or another.
pub(super) const MEMORY_PER_INSTANCE: &str = "memory_per_instance";
/// The figure whose value needs the runs that it is compared with.
pub(super) const STARTUP_MEAN: &str = "startup_mean";
const CAPACITY_BY_REQUESTS: &str = "capacity_by_requests";
const CAPACITY_BY_MEMORY: &str = "capacity_by_memory";

impl StudyFigure {
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

fn held(_: &Dataset, run: &RunResults) -> Estimate<f64> {
    if let Err(why) = &run.estimates.saturation.saturation {
        return unavailable(format!("saturation: {}", why.0));
    }
    Ok(run.estimates.held.as_ref().map_err(Clone::clone)?.count.into())
}

/// What the instances of a run took to hold their memory.
fn startup_times(run: &RunResults) -> Estimate<Vec<Duration>> {
    Ok(run.startups.as_ref().map_err(Clone::clone)?.iter().map(|startup| startup.took).collect())
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

fn startup_median(run: &RunResults) -> Estimate<f64> {
    let survival = survival(&startup_times(run)?)?;
    match survival.quantile(0.5) {
        Quantile::Seconds(seconds, ..) => Ok(seconds),
        Quantile::LongerThan(seconds) => {
            unavailable(format!("fewer than half of the instances held their memory within {seconds:.1} s"))
        }
    }
}
