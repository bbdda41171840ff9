//! A cell of a study that the preflight has been run for.

use serde::Serialize;

use super::durations::RunDurations;
use ramp_format::plan::Plan;
use ramp_format::preflight::{Forecast, Preflight};

/// What is known of a cell before its first run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CheckedCell {
    pub(crate) cell: String,
    pub(crate) plan: Plan,
    pub(crate) preflight: Preflight,
    pub(crate) forecast: Forecast,
    /// Expected seconds of a run.
    pub(crate) seconds: f64,
    /// Expected seconds of the warm-up.
    pub(crate) warm_up_seconds: f64,
}

impl CheckedCell {
    /// Nodes that instances may be put on: the number of instances of the warm-up.
    pub(crate) fn eligible_nodes(&self) -> u32 {
        let eligible = self.preflight.nodes.iter().filter(|node| node.eligible).count();
        u32::try_from(eligible).unwrap_or(u32::MAX).max(1)
    }
}

/// Expected durations by the forecasts.
pub(crate) fn durations(checked: &[CheckedCell]) -> RunDurations {
    RunDurations {
        forecast: checked.iter().map(|cell| Some(cell.seconds)).collect(),
        warm_up: checked.iter().map(|cell| Some(cell.warm_up_seconds)).collect(),
    }
}
