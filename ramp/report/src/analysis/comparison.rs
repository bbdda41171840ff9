//! Comparison of two runs, or of two groups of repeats.

use super::estimates::{Counted, Estimates};
use super::marginal_cost::{MarginalCost, interval, narrow, of_two_measures, pooled};
use super::{Estimate, Unavailable, unavailable};
use crate::dataset::Dataset;
use crate::stats::{Interval, SEED};
use ramp_format::sidecar::Sidecar;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

/// What one runtime costs more than another. Overheads are ratios − 1: 0 is none, 1 is twice as much.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Whether the instances of both were the same containers; if not, no difference is that of the runtimes.
    pub same_containers: Estimate<()>,
    /// Instances asked for at saturation: base ÷ other − 1.
    pub overhead_by_saturation: Estimate<f64>,
    /// Most instances that held their memory (in the study's files: that were running), where both were saturated: base ÷ other − 1.
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
    /// Its 95 % interval, in bytes.
    pub interval: Interval,
}

impl PerPod {
    /// What the RuntimeClass should have as `overhead.podFixed.memory`, in MiB: the upper end, so that a node is not promised what is
    /// taken.
    ///
    /// # Errors
    /// Where it may be that there is no overhead.
    pub fn pod_fixed_mib(&self) -> Estimate<u64> {
        if self.interval.high < 0.0 {
            return unavailable("it takes less");
        }
        if self.interval.low <= 0.0 {
            return unavailable("the interval includes 0");
        }
        Ok(super::mib(self.interval.high).ceil() as u64)
    }
}

/// One run, or repeats of it together.
#[derive(Clone, Debug)]
pub struct Pooled {
    /// Containers beside the load's own in each pod.
    pub sidecars: Estimate<Vec<Sidecar>>,
    /// Instances at saturation, on average, and which kind of end that was.
    pub saturation: Estimate<(f64, &'static str)>,
    /// Most instances that held their memory, on average, where all of them were saturated.
    pub maximum_running: Estimate<f64>,
    /// Active memory per container at saturation, in MiB, on average.
    pub usage_at_saturation_mib: Estimate<f64>,
    /// What one instance more costs, on average, with compressed memory at its size before.
    pub marginal_cost: Estimate<MarginalCost>,
}

impl Pooled {
    /// The estimates of repeats together. What one of them cannot say the whole cannot.
    #[must_use]
    pub fn of(runs: &[(&Dataset, &Estimates)]) -> Self {
        Self {
            sidecars: sidecars(runs),
            saturation: saturation(runs),
            maximum_running: runs
                .iter()
                .try_for_each(|(data, run)| fits_no_more(data, run))
                .and_then(|()| mean(runs, |run| Ok(Counted::by([run]).of(run)?.count.into()))),
            usage_at_saturation_mib: mean(runs, |run| Ok(run.usage.at_saturation.clone()?.mib)),
            marginal_cost: pooled(&runs.iter().map(|(_, run)| &run.uncompressed_cost).collect::<Vec<_>>()),
        }
    }
}

fn sidecars(runs: &[(&Dataset, &Estimates)]) -> Estimate<Vec<Sidecar>> {
    let mut all = runs.iter().map(|(data, _)| (&data.name, data.sidecars()));
    let Some((first, sidecars)) = all.next() else { return Ok(Vec::new()) };
    match all.find(|(_, other)| *other != sidecars) {
        None => Ok(sidecars),
        Some((other, others)) => unavailable(format!(
            "repeats have different sidecars, whose memory is not told apart: {} in {first}, {} in {other}",
            names(&sidecars),
            names(&others)
        )),
    }
}

fn names(sidecars: &[Sidecar]) -> String {
    let all: Vec<String> = sidecars.iter().map(ToString::to_string).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// A run that was not saturated does not tell how many fit.
fn fits_no_more(data: &Dataset, run: &Estimates) -> Estimate<()> {
    match &run.saturation.saturation {
        Ok(_) => Ok(()),
        Err(why) => unavailable(format!("{}: saturation: {}", data.name, why.0)),
    }
}

fn mean(runs: &[(&Dataset, &Estimates)], of: fn(&Estimates) -> Estimate<f64>) -> Estimate<f64> {
    let all = runs
        .iter()
        .map(|(data, run)| of(run).map_err(|why| Unavailable(format!("{}: {}", data.name, why.0))))
        .collect::<Estimate<Vec<f64>>>()?;
    Ok(all.iter().sum::<f64>() / all.len() as f64)
}

fn saturation(runs: &[(&Dataset, &Estimates)]) -> Estimate<(f64, &'static str)> {
    let instances = mean(runs, |run| Ok(f64::from(run.saturation.saturation.clone()?.instances)))?;
    let mut kinds = runs
        .iter()
        .filter_map(|(data, run)| Some((data, run.saturation.saturation.as_ref().ok()?.rule.kind())));
    let Some((first, kind)) = kinds.next() else { return unavailable("no run") };
    match kinds.find(|(_, other)| *other != kind) {
        None => Ok((instances, kind)),
        Some((data, other)) => unavailable(format!(
            "repeats were saturated in different ways: {kind} in {}, {other} in {}",
            first.name, data.name
        )),
    }
}

impl Comparison {
    /// What `other` costs more than `base`.
    #[must_use]
    pub fn of(base: &Pooled, other: &Pooled) -> Self {
        let same = same_containers(base, other);
        // Of instances that differ by more than their runtime no ratio is stated.
        let known = || same.clone();
        Self {
            overhead_by_saturation: known().and_then(|()| by_saturation(base, other)),
            overhead_by_maximum: known()
                .and_then(|()| both(&base.maximum_running, &other.maximum_running))
                .and_then(|(base, other)| ratio(*base, *other)),
            overhead_by_usage: known()
                .and_then(|()| both(&base.usage_at_saturation_mib, &other.usage_at_saturation_mib))
                .and_then(|(base, other)| ratio(*other, *base)),
            overhead_per_pod: known()
                .and_then(|()| both(&base.marginal_cost, &other.marginal_cost))
                .and_then(|(base, other)| per_pod(base, other)),
            same_containers: same,
        }
    }
}

fn same_containers(base: &Pooled, other: &Pooled) -> Estimate<()> {
    let (base, other) = both(&base.sidecars, &other.sidecars)?;
    if base == other {
        return Ok(());
    }
    unavailable(format!(
        "the pods differ by more than the runtime: sidecars of the base: {}, of the other: {}; their memory is not told apart",
        names(base),
        names(other)
    ))
}

/// Both, or why one of them is unavailable.
fn both<'e, T>(base: &'e Estimate<T>, other: &'e Estimate<T>) -> Estimate<(&'e T, &'e T)> {
    Ok((base.as_ref().map_err(Clone::clone)?, other.as_ref().map_err(Clone::clone)?))
}

fn by_saturation(base: &Pooled, other: &Pooled) -> Estimate<f64> {
    let ((base, kind), (other, other_kind)) = both(&base.saturation, &other.saturation)?;
    if kind != other_kind {
        return unavailable(format!(
            "saturations of different kinds are not comparable: {kind} at {base:.0} instances, {other_kind} at {other:.0}"
        ));
    }
    ratio(*base, *other)
}

fn ratio(above: f64, below: f64) -> Estimate<f64> {
    if below <= 0.0 { unavailable("no running instance to divide by") } else { Ok(above / below - 1.0) }
}

fn per_pod(base: &MarginalCost, other: &MarginalCost) -> Estimate<PerPod> {
    if base.measure != other.measure {
        return of_two_measures(base.measure, other.measure);
    }
    // Both were drawn from the same seed: draws are paired at random, not by their index.
    let mut others = other.drawn.clone();
    others.shuffle(&mut Pcg64Mcg::seed_from_u64(SEED.wrapping_add(1)));
    let differences: Vec<f64> = others.iter().zip(&base.drawn).map(|(other, base)| other - base).collect();
    let drawn = interval(&differences)?;
    // How exact the load is is the same for both.
    let interval = Interval {
        low: drawn.low - other.systematic.below - base.systematic.above,
        high: drawn.high + other.systematic.above + base.systematic.below,
    };
    let bytes = other.bytes - base.bytes;
    narrow(bytes, interval, base.measure, "more repeats (deploy/ramp.sh --interleave) or a quieter cluster")?;
    Ok(PerPod { bytes, interval })
}

#[cfg(test)]
mod tests {
    use super::super::marginal_cost::SystematicError;
    use super::*;

    #[test]
    fn what_lies_between_repeats_is_in_the_interval_of_the_difference() {
        let cost = |bytes: f64| {
            let drawn = vec![bytes; 1000];
            Ok(MarginalCost {
                bytes,
                interval: Interval { low: bytes, high: bytes },
                points: 9,
                drawn,
                systematic: SystematicError::default(),
                reported: None,
                measure: &crate::dataset::UNRECLAIMABLE,
                inputs: String::new(),
            })
        };
        let both = |a: f64, b: f64| pooled(&[&cost(a), &cost(b)]).unwrap();
        let found = per_pod(&both(100.0, 140.0), &both(200.0, 240.0)).unwrap();
        assert_eq!(found.bytes, 100.0);
        assert!(found.interval.low <= 60.0 && found.interval.high >= 140.0, "{found:?}");
    }
}
