//! Statistics, independent of what the numbers mean.

mod interval;
mod local_level;
mod steady;
mod survival;
mod theil_sen;

pub use interval::{CONFIDENCE_PERCENT, Interval, quantile};
pub use local_level::{Fit, Observation, dot, fit};
pub use steady::{LITTLE_BYTES, STEADY_FOR_SECONDS, is_steady, is_steady_for, last, matters, mean, range};
pub use survival::{Duration, Quantile, Survival};
pub(crate) use theil_sen::{FEWEST_POINTS, SEED};
pub use theil_sen::{Point, Slope, slope};
