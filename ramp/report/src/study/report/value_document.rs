//! Figures with intervals in `ramp study report --json`, as types.

use schemars::JsonSchema;
use serde::Serialize;

use crate::stats::Interval;

/// A 95 % interval. An end that is not bounded is `null`.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct IntervalDocument {
    /// Lower end.
    #[schemars(with = "Option<f64>")]
    pub low: f64,
    /// Upper end.
    #[schemars(with = "Option<f64>")]
    pub high: f64,
}

impl From<Interval> for IntervalDocument {
    fn from(Interval { low, high }: Interval) -> Self {
        Self { low, high }
    }
}

/// A figure with its interval.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ValueDocument {
    /// The figure, in its unit.
    pub value: Option<f64>,
    /// Its interval.
    pub interval: Option<IntervalDocument>,
    /// Why it is unavailable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
