//! Statistics, independent of what the numbers mean.

mod block_regression;
mod cpu_time;
mod e_divisive;
mod interval;
mod local_level;
mod log_rank;
mod outliers;
mod paired;
mod permutation;
mod steady;
mod survival;
mod theil_sen;
mod threshold;
mod trend;

pub use block_regression::{BlockRegression, LackOfFit};
pub use cpu_time::fit_cpu_time;
pub use e_divisive::{ChangePoint, FEWEST_PER_SEGMENT, change_points, segments};
pub use interval::{CONFIDENCE_PERCENT, Interval, quantile, wilson};
pub use local_level::{Fit, OF_GROUPS, Observation, PAGE_BYTES, dot, fit, fit_counts, fit_groups};
pub use log_rank::{GroupedDuration, LogRankTerms, log_rank};
pub use outliers::{FEWEST_FOR_OUTLIERS, Outlier, outliers};
pub use paired::{FEWEST_FOR_DRIFT, MeanEstimate, Pair, PairedDifference, paired, ratio, student};
pub use permutation::{PermutationTest, holm, permutation_test};
pub use steady::{LITTLE_BYTES, STEADY_FOR_SECONDS, is_steady, is_steady_for, last, matters, mean, range};
pub use survival::{Duration, Quantile, Survival};
pub(crate) use theil_sen::{FEWEST_POINTS, SEED};
pub use theil_sen::{Point, Slope, slope};
pub use threshold::{Climb, Thresholds, held_with_95_percent};
pub use trend::{Trend, trend};
