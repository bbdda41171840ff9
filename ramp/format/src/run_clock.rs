//! Clocks of the machine that records a run, in `run.json`: what a resumed run goes on from, and what a reader has to allow for.

use serde::{Deserialize, Serialize};

/// `clock` in `run.json`. Runs of earlier versions have none: their `elapsed_seconds` are by the wall clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockChange {
    /// When, in seconds since the run began: rows from then on are after it.
    pub elapsed_seconds: f64,
    /// By how many seconds: negative if a wall clock was set back.
    pub by_seconds: f64,
}

impl RunClock {
    /// For how many seconds the machine had been suspended, this many seconds after the run began.
    #[must_use]
    pub fn suspended_before(&self, elapsed_seconds: f64) -> f64 {
        let before = self.suspended.iter().filter(|change| change.elapsed_seconds <= elapsed_seconds);
        before.map(|change| change.by_seconds).sum()
    }
}
