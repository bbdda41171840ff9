//! What the data says: named estimates, each with its inputs and its interval, or why it cannot be said. Pure.

pub mod causes;
pub mod comparison;
pub mod drift;
mod estimates;
pub mod external_changes;
pub mod failure_modes;
pub mod goodput;
mod instance_losses;
pub mod latency;
mod marginal_cost;
pub mod repeats;
pub mod results;
mod saturation;
pub mod teardown;

pub use estimates::{Capacity, Estimates, PerContainer, Usage};
pub use marginal_cost::{MarginalCost, SystematicError, marginal_cost};
pub use saturation::{FULL_BELOW_BYTES, IN_A_ROW, Saturation, SaturationRule, SaturationVerdict};

use std::fmt;

/// Why something cannot be said, in a sentence without its full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot say: {}", self.0)
    }
}

impl std::error::Error for Unavailable {}

/// Something that was estimated, or why it cannot be.
pub type Estimate<T> = Result<T, Unavailable>;

/// A refusal to say something.
pub(crate) fn unavailable<T>(why: impl Into<String>) -> Estimate<T> {
    Err(Unavailable(why.into()))
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
fn timed(recorded: &crate::dataset::Recorded) -> Estimate<()> {
    recorded.untimed.clone().map_or(Ok(()), unavailable)
}
