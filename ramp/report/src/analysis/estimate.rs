//! An estimate: a value, or the reason why it is unavailable.

use std::fmt;

use crate::dataset::{Dataset, Recorded};

/// Why an estimate is unavailable, in a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n/a: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// Something that was estimated, or why it cannot be.
pub type Estimate<T> = Result<T, Unavailable>;

/// An estimate that is unavailable.
pub(crate) fn unavailable<T>(why: impl Into<String>) -> Estimate<T> {
    Err(Unavailable(why.into()))
}

/// Why a file of kube-burner says nothing but how pods started.
const STARTUP_ALONE: &str = "kube-burner's file has the startup of each pod, and nothing else";
/// Why a file of the study says nothing of single instances.
pub(super) const NO_INSTANCES: &str = "the data has counts of instances, not individual ones";

/// What a run directory has of single instances.
///
/// # Errors
/// Where another tool recorded the data.
pub(super) fn recorded(data: &Dataset) -> Estimate<&Recorded> {
    let why = if data.pod_latencies().is_some() { STARTUP_ALONE } else { NO_INSTANCES };
    data.recorded().map_or_else(|| unavailable(why), Ok)
}

/// Bytes in MiB.
#[must_use]
pub fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

/// That times and durations of a run are known.
///
/// # Errors
/// Why they are not.
pub(super) fn timed(recorded: &Recorded) -> Estimate<()> {
    recorded.untimed.clone().map_or(Ok(()), unavailable)
}
