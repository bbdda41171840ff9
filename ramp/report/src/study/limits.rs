//! Limits of nodes other than memory and CPU in a study: which of them comes first for the instances of a cell, and at how many.

use std::cmp::Reverse;

use super::data::{MeasuredRun, StudyData};
use crate::analysis::causes::Resource;
use crate::analysis::limits::{LimitCapacity, NO_LIMITS, NONE_USED, least};
use crate::analysis::{Estimate, unavailable};
use crate::stats::Interval;

/// The first limit of the instances of a cell, by the runs whose nodes told limits.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstLimit {
    /// The one that most of the runs name, as the limits of a run are named, or why none does.
    pub forecast: Estimate<LimitForecast>,
    /// The one that runs ended by, where they did.
    pub reached: Option<ReachedLimit>,
    /// Runs whose nodes told limits.
    pub runs: usize,
}

/// How many instances a limit allows, by what each uses of it.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitForecast {
    /// The limit: `pids (pods)`.
    pub name: String,
    /// The mean over the runs that name it.
    pub instances: f64,
    /// From the least to the largest end of their 95 % intervals; the upper end may be infinite.
    pub interval: Interval,
    /// The most instances that it is extrapolated from.
    pub from: u32,
    /// Runs that name it.
    pub runs: usize,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReachedLimit {
    /// What there was no more of.
    pub resource: Resource,
    /// Instances requested then, the mean over the runs that ended by it.
    pub instances: f64,
    /// Runs that ended by it.
    pub runs: usize,
}

/// What the runs of a cell (its index) tell of the limits of nodes. The runtimes of a mixed run share them.
///
/// # Errors
/// Where no run recorded limits.
pub fn first_limit(data: &StudyData, cell: usize) -> Estimate<FirstLimit> {
    let runs: Vec<&MeasuredRun> =
        data.runs_of(cell).into_iter().filter(|run| run.results.limits.is_ok()).collect();
    if runs.is_empty() {
        return unavailable(NO_LIMITS);
    }
    Ok(FirstLimit { forecast: forecast(&runs), reached: reached(&runs), runs: runs.len() })
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

fn forecast(runs: &[&MeasuredRun]) -> Estimate<LimitForecast> {
    let known = runs.iter().filter_map(|run| least(&run.results.limits).ok());
    let found: Vec<(String, LimitCapacity)> =
        known.map(|(limit, capacity)| (limit.name(), capacity)).collect();
    let named = |name: &str| found.iter().filter(|(other, _)| other == name).count();
    let by_runs = |(name, capacity): &&(String, LimitCapacity)| (named(name), Reverse(capacity.instances));
    let Some((name, _)) = found.iter().max_by_key(by_runs) else { return unavailable(NONE_USED) };
    let all: Vec<&LimitCapacity> =
        found.iter().filter(|(other, _)| other == name).map(|(_, capacity)| capacity).collect();
    Ok(LimitForecast {
        name: name.clone(),
        instances: mean(all.iter().map(|capacity| capacity.instances as f64)),
        interval: Interval {
            low: all.iter().map(|capacity| capacity.interval.low).fold(f64::INFINITY, f64::min),
            high: all.iter().map(|capacity| capacity.interval.high).fold(0.0, f64::max),
        },
        from: all.iter().map(|capacity| capacity.from).max().unwrap_or(0),
        runs: all.len(),
    })
}

/// The limit that most of the runs ended by.
fn reached(runs: &[&MeasuredRun]) -> Option<ReachedLimit> {
    let at = |run: &&&MeasuredRun| {
        let saturation = run.results.estimates.saturation.saturation.as_ref().ok()?;
        let resource = saturation.resource.filter(|resource| resource.is_limit_of_node())?;
        Some((resource, f64::from(saturation.instances)))
    };
    let found: Vec<(Resource, f64)> = runs.iter().filter_map(|run| at(&run)).collect();
    let of = |resource: Resource| found.iter().filter(move |(other, _)| *other == resource);
    let (resource, _) = found.iter().max_by_key(|(resource, _)| of(*resource).count())?;
    let instances: Vec<f64> = of(*resource).map(|(_, instances)| *instances).collect();
    Some(ReachedLimit {
        resource: *resource,
        instances: mean(instances.iter().copied()),
        runs: instances.len(),
    })
}
