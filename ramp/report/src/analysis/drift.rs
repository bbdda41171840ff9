//! Whether what changed on the cluster from run to run could pass for a difference between two runtimes.

use super::{Counted, Estimate, Estimates, unavailable};
use crate::dataset::Dataset;

/// How far repeats lie apart, beside how far the groups do.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Which instances were counted.
    pub counted: Counted,
    /// In which order they ran: `A` is the base. Empty where that is not known.
    pub order: String,
    /// Whether both came equally early on average, so that what drifts evenly is the same for both.
    pub is_balanced: bool,
    /// The most at once in each run of the base, in the order in which they ran.
    pub base: Vec<u32>,
    /// The same of those that are held against it.
    pub other: Vec<u32>,
    /// Largest − smallest of repeats ÷ their mean: of the group where that is larger.
    pub spread: f64,
    /// Difference of the means of the two groups ÷ the larger one.
    pub difference: f64,
}

/// Repeats lie so far apart that the difference between groups may be theirs.
pub const MAY_EXPLAIN: f64 = 0.5;

impl Drift {
    /// Whether what lies between repeats could explain what lies between the groups: it is half of it and more.
    #[must_use]
    pub fn may_explain(&self) -> bool {
        self.spread >= MAY_EXPLAIN * self.difference
    }
}

/// A run that one of the two groups holds.
struct RepeatRun {
    begin: Option<std::time::SystemTime>,
    is_base: bool,
    most: u32,
}

/// How far repeats lie apart, by the most that held their memory.
///
/// # Errors
/// Where there are no repeats, or a run has no step.
pub(super) fn drift(base: &[(&Dataset, &Estimates)], other: &[(&Dataset, &Estimates)]) -> Estimate<Drift> {
    if base.len() < 2 && other.len() < 2 {
        return unavailable(
            "each was run once; telling drift from a difference needs repeats (deploy/ramp.sh --interleave)",
        );
    }
    let counted = Counted::by(base.iter().chain(other).map(|(_, estimates)| *estimates));
    let ran = |is_base: bool| {
        move |(data, estimates): &(&Dataset, &Estimates)| {
            let most = counted.of(estimates)?.count;
            let begin = data.recorded().map(|recorded| recorded.run.begin.0);
            Ok(RepeatRun { begin, is_base, most })
        }
    };
    let mut all = base
        .iter()
        .map(ran(true))
        .chain(other.iter().map(ran(false)))
        .collect::<Estimate<Vec<RepeatRun>>>()?;
    all.sort_by_key(|ran| ran.begin);
    let known = all.iter().all(|ran| ran.begin.is_some());
    let letters = all.iter().map(|ran| if ran.is_base { "A" } else { "B" });
    let order = if known { letters.collect::<Vec<_>>().join(" ") } else { String::new() };
    let most = |is_base: bool| -> Vec<u32> {
        all.iter().filter(|ran| ran.is_base == is_base).map(|ran| ran.most).collect()
    };
    let place = |is_base: bool| {
        mean(all.iter().enumerate().filter(|(_, ran)| ran.is_base == is_base).map(|(place, _)| place as f64))
    };
    let (a, b) = (most(true), most(false));
    let (mean_a, mean_b) = (mean(a.iter().copied().map(f64::from)), mean(b.iter().copied().map(f64::from)));
    Ok(Drift {
        counted,
        is_balanced: known && (place(true) - place(false)).abs() < 1e-9,
        spread: spread(&a).max(spread(&b)),
        difference: if mean_a.max(mean_b) > 0.0 { (mean_a - mean_b).abs() / mean_a.max(mean_b) } else { 0.0 },
        order,
        base: a,
        other: b,
    })
}

fn mean(of: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = of.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn spread(most: &[u32]) -> f64 {
    let mean = mean(most.iter().copied().map(f64::from));
    let (Some(high), Some(low)) = (most.iter().max(), most.iter().min()) else { return 0.0 };
    if mean > 0.0 { f64::from(high - low) / mean } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::tests::{data, steps};

    fn drift_of(base: &[u32], other: &[u32]) -> Estimate<Drift> {
        let run = |most: &u32| {
            let data = data(steps(3, |step, _| step.running = *most));
            let estimates = Estimates::of(&data, None);
            (data, estimates)
        };
        let (base, other): (Vec<_>, Vec<_>) =
            (base.iter().map(run).collect(), other.iter().map(run).collect());
        let base: Vec<(&Dataset, &Estimates)> = base.iter().map(|(data, found)| (data, found)).collect();
        let other: Vec<(&Dataset, &Estimates)> = other.iter().map(|(data, found)| (data, found)).collect();
        drift(&base, &other)
    }

    #[test]
    fn repeats_that_agree_do_not_explain_a_difference() {
        let found = drift_of(&[100, 98], &[50, 50]).unwrap();
        assert!((found.spread - 2.0 / 99.0).abs() < 1e-9, "{found:?}");
        assert!((found.difference - 49.0 / 99.0).abs() < 1e-9 && !found.may_explain());
    }

    #[test]
    fn repeats_that_lie_apart_may() {
        assert!(drift_of(&[100, 70], &[80, 90]).unwrap().may_explain());
        assert!(drift_of(&[100], &[80]).unwrap_err().0.contains("--interleave"));
    }
}
