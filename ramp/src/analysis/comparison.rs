//! Two runs, or two groups of repeats, held against each other.

use super::estimates::Estimates;
use super::marginal_cost::MarginalCost;
use super::{Estimate, cannot_say};
use crate::statistics::Interval;

/// What one runtime costs more than another. Overheads are ratios − 1: 0 is none, 1 is twice as much.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Instances asked for at saturation: base ÷ other − 1.
    pub overhead_by_saturation: Estimate<f64>,
    /// Most instances at work: base ÷ other − 1.
    pub overhead_by_maximum: Estimate<f64>,
    /// Active memory per container at saturation: other ÷ base − 1.
    pub overhead_by_usage: Estimate<f64>,
    /// Difference of the marginal costs.
    pub overhead_per_pod: Estimate<PerPod>,
}

/// What each pod costs more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerPod {
    /// Bytes.
    pub bytes: f64,
    /// Where that lies in 95 of 100 experiments, in bytes.
    pub interval: Interval,
}

impl PerPod {
    /// What the RuntimeClass should have as `overhead.podFixed.memory`, in MiB: the upper end, so that a node is not promised what is
    /// taken. None where it may be that there is no overhead.
    #[must_use]
    pub fn pod_fixed_mib(&self) -> Option<u64> {
        (self.interval.low > 0.0).then(|| super::mib(self.interval.high).ceil() as u64)
    }
}

impl Comparison {
    /// What `other` costs more than `base`.
    #[must_use]
    pub fn of(base: &Estimates, other: &Estimates) -> Self {
        Self {
            overhead_by_saturation: by_saturation(base, other),
            overhead_by_maximum: by_maximum(base, other),
            overhead_by_usage: by_usage(base, other),
            overhead_per_pod: per_pod(base, other),
        }
    }
}

fn by_saturation(base: &Estimates, other: &Estimates) -> Estimate<f64> {
    let (base, other) = (base.saturation.clone()?, other.saturation.clone()?);
    if base.rule.kind() != other.rule.kind() {
        return cannot_say(format!(
            "saturations of two kinds cannot be held against each other: {} at step {}, {} at step {}",
            base.rule.kind(),
            base.step,
            other.rule.kind(),
            other.step
        ));
    }
    ratio(f64::from(base.instances), f64::from(other.instances))
}

fn by_maximum(base: &Estimates, other: &Estimates) -> Estimate<f64> {
    let (base, other) = (base.maximum_running.clone()?, other.maximum_running.clone()?);
    ratio(f64::from(base.count), f64::from(other.count))
}

fn by_usage(base: &Estimates, other: &Estimates) -> Estimate<f64> {
    match (&base.usage.at_saturation, &other.usage.at_saturation) {
        (Ok(base), Ok(other)) => ratio(other.mib, base.mib),
        (Err(why), _) | (_, Err(why)) => Err(why.clone()),
    }
}

fn ratio(above: f64, below: f64) -> Estimate<f64> {
    if below <= 0.0 { cannot_say("there was none at work to divide by") } else { Ok(above / below - 1.0) }
}

fn per_pod(base: &Estimates, other: &Estimates) -> Estimate<PerPod> {
    let (base, other) = (base.marginal_cost.as_ref(), other.marginal_cost.as_ref());
    let (base, other): (&MarginalCost, &MarginalCost) =
        (base.map_err(Clone::clone)?, other.map_err(Clone::clone)?);
    // The draws of the two are independent of each other: any pairing of them is as good as the next.
    let differences: Vec<f64> =
        other.drawn.iter().zip(&base.drawn).map(|(other, base)| other - base).collect();
    match Interval::of(&differences) {
        Some(interval) => Ok(PerPod { bytes: other.bytes - base.bytes, interval }),
        None => cannot_say("the bootstrap drew nothing"),
    }
}
