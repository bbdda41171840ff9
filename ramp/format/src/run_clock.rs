//! Clocks of the machine that records a run, in `run.json`: what a resumed run goes on from, and what a reader has to allow for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `clock` in `run.json`. Runs of earlier versions have none: their `elapsed_seconds` are by the wall clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunClock {
    /// Boot ID of the machine, where it is known.
    pub boot_id: Option<String>,
    /// What `CLOCK_MONOTONIC` showed when the run began; negative if the machine was booted since.
    pub began_monotonic_seconds: f64,
    /// For how long the machine had been suspended by then (`CLOCK_BOOTTIME` less `CLOCK_MONOTONIC`).
    pub began_suspended_seconds: f64,
    /// Each time the wall clock was set.
    #[serde(default)]
    pub set: Vec<ClockChange>,
    /// Each time the machine was suspended.
    #[serde(default)]
    pub suspended: Vec<ClockChange>,
}

/// A change of a clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockChange {
    /// When, in seconds since the run began: rows from then on are after it.
    pub elapsed_seconds: f64,
    /// By how many seconds: negative if a wall clock was set back.
    pub by_seconds: f64,
}

impl RunClock {
    /// For how many seconds the machine was suspended in all.
    #[must_use]
    pub fn suspended_seconds(&self) -> f64 {
        self.suspended.iter().map(|change| change.by_seconds).sum()
    }

    /// When the machine was suspended first between two times, in seconds since the run began: how long anything took that went on
    /// meanwhile is not known.
    #[must_use]
    pub fn suspended_within(&self, from: f64, to: f64) -> Option<f64> {
        let all = self.suspended.iter().map(|change| change.elapsed_seconds);
        all.into_iter().find(|at| (from..=to).contains(at))
    }

    /// Each time that the wall clock was set until this many seconds after the run began.
    pub fn set_before(&self, elapsed_seconds: f64) -> impl Iterator<Item = &ClockChange> {
        self.set.iter().filter(move |change| change.elapsed_seconds <= elapsed_seconds)
    }
}
