//! Statistics, without a thought of what the numbers mean.

mod interval;
mod survival;
mod theil_sen;

pub use interval::{Interval, quantile};
pub use survival::{Duration, Quantile, Survival};
pub(crate) use theil_sen::SEED;
pub use theil_sen::{Point, Slope, slope};
