//! What one instance more costs in memory.

use super::saturation::Saturation;
use super::{Estimate, cannot_say};
use crate::dataset::Dataset;
use crate::statistics::{Interval, Slope, slope};

/// What one instance more costs.
#[derive(Clone, Debug, PartialEq)]
pub struct MarginalCost {
    /// Bytes.
    pub bytes: f64,
    /// Where that lies in 95 of 100 experiments, in bytes.
    pub interval: Interval,
    /// Numbers of instances that it rests on.
    pub points: usize,
    /// What the bootstrap drew, in bytes.
    pub drawn: Vec<f64>,
    /// Memory against instances of what.
    pub inputs: String,
}

/// What one instance more costs: the Theil–Sen slope of memory against instances at work, from fresh samples before saturation, with an
/// intercept for each series of each run. Runs of more than one are taken to be repeats.
///
/// # Errors
/// Where there are too few fresh samples.
pub fn marginal_cost(runs: &[(&Dataset, Option<&Saturation>)]) -> Estimate<MarginalCost> {
    let mut series = Vec::new();
    let mut measure = "memory";
    for (data, saturation) in runs {
        let costs = data.costs(saturation.map(|saturation| saturation.index));
        measure = costs.measure;
        series.extend(costs.series);
    }
    let samples: usize = series.iter().map(Vec::len).sum();
    let Some(Slope { slope, interval, points, drawn }) = slope(&series) else {
        return cannot_say(format!(
            "{samples} fresh sample{} of all memory before saturation: at least five numbers of instances at work are needed",
            if samples == 1 { "" } else { "s" }
        ));
    };
    let inputs =
        format!("{measure}; {samples} fresh samples at {points} numbers of instances, before saturation");
    Ok(MarginalCost { bytes: slope, interval, points, drawn, inputs })
}
