//! How instances go, and whether they leave anything behind.

use std::collections::HashMap;

use super::{Estimate, cannot_say};
use crate::dataset::{Dataset, Source};
use crate::record::Teardown;
use crate::state::State;
use crate::statistics::{Duration, Survival};

/// From when an instance is told to end until it is gone.
///
/// # Errors
/// Where the data does not tell of instances one by one, or none was told to end.
pub fn terminations(data: &Dataset) -> Estimate<Survival> {
    let pods = match &data.source {
        Source::Study => return cannot_say("the data counts instances and does not tell of each"),
        Source::Run(recorded) => &recorded.pods,
    };
    let mut told: HashMap<&str, f64> = HashMap::new();
    let mut took = Vec::new();
    for row in pods {
        match row.to.parse::<State>() {
            Ok(State::Terminating) => {
                told.entry(&row.uid).or_insert(row.elapsed_seconds);
            }
            Ok(State::Gone) => {
                let since = told.remove(row.uid.as_str());
                took.extend(
                    since.map(|since| Duration { seconds: row.elapsed_seconds - since, ended: true }),
                );
            }
            _ => {}
        }
    }
    let end = data.end_seconds();
    took.extend(told.into_values().map(|since| Duration { seconds: end - since, ended: false }));
    Survival::of(&took).map_or_else(|| cannot_say("no instance was told to end"), Ok)
}

/// Memory that did not come back, on all kernels together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Kernels that told before and after.
    pub kernels: usize,
    /// MemAvailable before the first step.
    pub before_bytes: u64,
    /// MemAvailable after the last instance was gone.
    pub after_bytes: u64,
    /// Instances that were made in the run.
    pub instances: u32,
}

impl Leak {
    /// Memory that did not come back, in bytes; negative where more came back than was there.
    #[must_use]
    pub fn bytes(&self) -> f64 {
        self.before_bytes as f64 - self.after_bytes as f64
    }

    /// The same for each instance that there was.
    #[must_use]
    pub fn bytes_each(&self) -> f64 {
        self.bytes() / f64::from(self.instances.max(1))
    }
}

/// How the population was removed.
///
/// # Errors
/// Where the run does not tell of it.
pub fn teardown(data: &Dataset) -> Estimate<&Teardown> {
    match &data.source {
        Source::Study => cannot_say("the data ends with the last step up"),
        Source::Run(recorded) => match &recorded.run.teardown {
            Some(teardown) => Ok(teardown),
            None if recorded.run.plan.keep => cannot_say("the population was left in place (--keep)"),
            None => cannot_say("the run has not removed its population"),
        },
    }
}

/// Memory that did not come back.
///
/// # Errors
/// Where it is not known how much was available before and after.
pub fn leak(data: &Dataset) -> Estimate<Leak> {
    let teardown = teardown(data)?;
    if !teardown.left.is_empty() {
        return cannot_say(format!("{} objects of the run are still there", teardown.left.len()));
    }
    if teardown.memory.is_empty() {
        return cannot_say("no node told of its memory both before and after");
    }
    let sum = |of: fn(&crate::record::MemoryReturned) -> u64| teardown.memory.iter().map(of).sum();
    let made = match &data.source {
        Source::Run(recorded) => recorded.pods.iter().filter(|row| row.from.is_none()).count() as u32,
        Source::Study => 0,
    };
    Ok(Leak {
        kernels: teardown.memory.len(),
        before_bytes: sum(|kernel| kernel.before_bytes),
        after_bytes: sum(|kernel| kernel.after_bytes),
        instances: made,
    })
}
