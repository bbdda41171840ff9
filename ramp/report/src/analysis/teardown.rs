//! Termination of instances, teardown, and memory left behind.

use std::collections::HashMap;

use super::{Estimate, recorded, timed, unavailable};
use crate::dataset::{Dataset, Recorded, RetainedMemory};
use crate::stats::{Duration, Interval, LITTLE_BYTES, Survival};
use ramp_format::run_file::Teardown;
use ramp_format::state::State;

const ENDS_AT_THE_TOP: &str = "the data ends with the last scale-up step";

/// From when an instance is told to end until it is gone.
///
/// # Errors
/// Where the data does not tell of instances one by one, or none was told to end.
pub fn terminations(data: &Dataset) -> Estimate<Survival> {
    let recorded = recorded(data)?;
    timed(recorded)?;
    let mut told: HashMap<&str, f64> = HashMap::new();
    let mut took = Vec::new();
    for (row, seconds) in recorded.pods.iter().zip(&recorded.happened_seconds) {
        match row.to.parse::<State>() {
            // One that no node had room for has nothing to end.
            Ok(State::Terminating) if row.node.is_some() => {
                told.entry(&row.uid).or_insert(*seconds);
            }
            Ok(State::Gone) => {
                let since = told.remove(row.uid.as_str());
                let clock = recorded.run.clock.as_ref();
                took.extend(since.map(|since| {
                    // One during which the machine that records was suspended took longer than until then.
                    match clock.and_then(|clock| clock.suspended_within(since, row.elapsed_seconds)) {
                        Some(asleep) => Duration { seconds: asleep - since, ended: false },
                        None => Duration { seconds: seconds - since, ended: true },
                    }
                }));
            }
            _ => {}
        }
    }
    let end = data.end_seconds();
    took.extend(told.into_values().map(|since| Duration { seconds: end - since, ended: false }));
    Survival::of(&took).map_or_else(|| unavailable("no instance on a node was terminated"), Ok)
}

/// Memory after the last instance was gone, against that before the first, on all kernels together.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// MemAvailable before the first step.
    pub before_bytes: u64,
    /// MemAvailable after the last instance was gone.
    pub after_bytes: u64,
    /// Instances that were made in the run.
    pub instances: u32,
    /// Memory held beyond that before, and how that was observed.
    pub retained: RetainedMemory,
    /// Of that, what stays because of the instances, by what the machines did of their own meanwhile: its 95 % interval. None where that
    /// cannot be told.
    pub interval: Option<Interval>,
}

/// Whether memory came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// But for what is too little to matter.
    All,
    /// Not all of it.
    NotAll,
    /// It was still coming back, or was watched for too short a time.
    NotSteady,
    /// What the machines did of their own may be all of it, or none.
    CannotTell,
}

impl Leak {
    /// The share of what the instances held that does not matter.
    pub const SHARE: f64 = 0.02;

    /// What is too little to matter, in bytes.
    #[must_use]
    pub fn matters_bytes(&self) -> f64 {
        (Self::SHARE * self.retained.held_bytes).max(self.retained.idle_bytes)
    }

    /// Whether more memory is held than before, or less, by so much that it is not the instances' doing alone.
    #[must_use]
    pub fn is_others_doing(&self) -> bool {
        self.retained.missing_bytes.abs() >= self.little_bytes()
    }

    /// What is too little to matter beside what the instances held, whatever the machines do.
    fn little_bytes(&self) -> f64 {
        (Self::SHARE * self.retained.held_bytes).max(self.retained.kernels as f64 * LITTLE_BYTES)
    }

    /// Whether memory came back.
    #[must_use]
    pub fn returned(&self) -> Returned {
        let little = self.little_bytes();
        let matters = self.matters_bytes();
        let stays = self.interval.is_some_and(|interval| interval.low > matters);
        match (self.retained.steady, self.interval) {
            // Whatever the machines took or gave back of their own.
            (Some(true), Some(interval)) if interval.high < little => Returned::All,
            // Less than before is nothing left behind, unless the machines gave back as much of their own.
            (Some(_), interval)
                if self.retained.missing_bytes < little && interval.is_none_or(|of| of.low < little) =>
            {
                Returned::All
            }
            // Instances leave no more behind than they held.
            (Some(true), _)
                if stays
                    && self.retained.is_quiet
                    && self.retained.missing_bytes <= self.retained.held_bytes =>
            {
                Returned::NotAll
            }
            (Some(true), _) => Returned::CannotTell,
            (Some(false) | None, _) => Returned::NotSteady,
        }
    }
}

/// How the population was removed.
///
/// # Errors
/// Where the run does not tell of it.
pub fn teardown(data: &Dataset) -> Estimate<&Teardown> {
    let Some(recorded) = data.recorded() else { return unavailable(ENDS_AT_THE_TOP) };
    match &recorded.run.teardown {
        Some(teardown) => Ok(teardown),
        None if recorded.run.plan.keep => unavailable("instances were kept (--keep)"),
        None => unavailable("the run has not removed its instances"),
    }
}

/// Whether instances leave memory behind.
///
/// # Errors
/// Where it is not known how much was held before and after.
pub fn leak(data: &Dataset, before: Option<usize>) -> Estimate<Leak> {
    let teardown = teardown(data)?;
    if !teardown.left.is_empty() {
        return unavailable(format!(
            "not all objects of the run are known to be gone ({})",
            teardown.left.join(", ")
        ));
    }
    let Some(recorded) = data.recorded() else { return unavailable(ENDS_AT_THE_TOP) };
    timed(recorded)?;
    let Some(retained) = data.remains(recorded, before) else {
        return unavailable("no node has memory samples both before the first instance and after the last");
    };
    let sum = |of: fn(&ramp_format::run_file::MemoryReturned) -> u64| teardown.memory.iter().map(of).sum();
    if retained.untold > 0 {
        return unavailable(format!(
            "{} of {} machines with instances have no memory samples before the first or after the last of them",
            retained.untold,
            retained.untold + retained.kernels
        ));
    }
    Ok(Leak {
        before_bytes: sum(|kernel| kernel.before_bytes),
        after_bytes: sum(|kernel| kernel.after_bytes),
        instances: made(recorded),
        interval: stays(&retained),
        retained,
    })
}

fn made(recorded: &Recorded) -> u32 {
    recorded.pods.iter().filter(|row| row.from.is_none()).count() as u32
}

/// What stays because of the instances: the coefficient of the most that there were, where it can be told from what the machines do.
fn stays(retained: &RetainedMemory) -> Option<Interval> {
    const DRAWS: usize = 1000;
    const MOST: usize = 2;
    let fit = crate::stats::fit(&retained.observations)?;
    if !fit.identified[MOST] {
        return None;
    }
    let drawn: Vec<f64> = fit
        .draws(DRAWS, crate::stats::SEED)
        .iter()
        .map(|drawn| drawn[MOST] * f64::from(retained.instances))
        .collect();
    Interval::of(&drawn)
}
