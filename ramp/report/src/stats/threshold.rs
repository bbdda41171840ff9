//! Threshold: how many hold with a probability, from climbs that each ended between a number that held and one that did not.
//!
//! Each climb tells an interval that its threshold lies in. Thresholds are taken as normal; mean and deviation are those of the largest
//! likelihood, and the interval of a quantile is that of its profile likelihood (W. Q. Meeker and L. A. Escobar, Statistical Methods for
//! Reliability Data, 1998, chapters 7 and 8), with the quantile of an F distribution in place of the chi-squared one since climbs are
//! few.

use distrs::Normal;

use super::Interval;
use super::paired::student;

/// Where the threshold of a climb lies: at least `held`, less than `failed`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climb {
    /// The largest number that held; none where the first one failed.
    pub held: Option<u32>,
    /// The smallest number that did not; none where the climb ended before.
    pub failed: Option<u32>,
}

impl Climb {
    /// The middle of where its threshold lies, or the one end that is known; none where neither is.
    #[must_use]
    pub fn middle(&self) -> Option<f64> {
        match (self.held, self.failed) {
            (Some(held), Some(failed)) => Some(f64::midpoint(held.into(), failed.into())),
            (held, failed) => held.or(failed).map(f64::from),
        }
    }
}

/// Distribution of thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    log_likelihood: f64,
}

fn log_likelihood(climbs: &[Climb], mean: f64, deviation: f64) -> f64 {
    let below = |count: u32| Normal::cdf(f64::from(count), mean, deviation);
    climbs
        .iter()
        .map(|climb| {
            let share = climb.failed.map_or(1.0, below) - climb.held.map_or(0.0, below);
            share.max(1e-300).ln()
        })
        .sum()
}

/// Largest value of a unimodal function within bounds, by golden sections.
fn largest(of: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> (f64, f64) {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let (mut left, mut right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut at_left, mut at_right) = (of(left), of(right));
    for _ in 0..60 {
        if at_left > at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - GOLDEN * (high - low);
            at_left = of(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + GOLDEN * (high - low);
            at_right = of(right);
        }
        if high - low < 1e-6 {
            break;
        }
    }
    let at = f64::midpoint(low, high);
    (at, of(at))
}

impl Thresholds {
    /// The distribution of the thresholds of these climbs. None where none has failed, or fewer than two.
    #[must_use]
    pub fn of(climbs: &[Climb]) -> Option<Self> {
        let (low, high, least) = bounds(climbs)?;
        let best_deviation = |mean: f64| {
            largest(
                |log| log_likelihood(climbs, mean, log.exp()),
                least.ln(),
                (4.0 * (high - low) + 4.0).ln(),
            )
        };
        let (mean, log_likelihood) = largest(|mean| best_deviation(mean).1, low, high);
        Some(Self { mean, deviation: best_deviation(mean).0.exp(), log_likelihood })
    }

    /// The number that a share of the thresholds is below.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        Normal::ppf(share, self.mean, self.deviation)
    }

    /// The 95 % interval of that.
    #[must_use]
    pub fn quantile_interval(&self, climbs: &[Climb], share: f64) -> Option<Interval> {
        let (low, high, least) = bounds(climbs)?;
        let z = Normal::ppf(share, 0.0, 1.0);
        let value = self.quantile(share);
        let freedom = (climbs.len() as f64 - 2.0).max(1.0);
        // F with 1 and n − 2 degrees of freedom is the square of t.
        let drop = student(0.975, freedom).powi(2) / 2.0;
        let widest = (8.0 * (high - low) + 8.0).ln();
        let profile = |quantile: f64| {
            largest(|log| log_likelihood(climbs, quantile - z * log.exp(), log.exp()), least.ln(), widest).1
        };
        let is_inside = |quantile: f64| self.log_likelihood - profile(quantile) < drop;
        let end = |direction: f64| {
            let (mut inside, mut step) = (value, 0.25);
            while is_inside(value + direction * step) {
                inside = value + direction * step;
                step *= 2.0;
                if step > 1e4 {
                    return inside;
                }
            }
            let (mut near, mut far) = (inside, value + direction * step);
            for _ in 0..30 {
                let middle = f64::midpoint(near, far);
                if is_inside(middle) { near = middle } else { far = middle }
            }
            near
        };
        Some(Interval { low: end(-1.0), high: end(1.0) })
    }
}

/// How many hold with a probability of 95 %, and its 95 % interval; neither is below none.
#[must_use]
pub fn held_with_95_percent(found: &Thresholds, climbs: &[Climb]) -> Option<(f64, Interval)> {
    const FAIL: f64 = 0.05;
    let interval = found.quantile_interval(climbs, FAIL)?;
    let interval = Interval { low: interval.low.max(0.0), high: interval.high.max(0.0) };
    Some((found.quantile(FAIL).max(0.0), interval))
}

/// Bounds of the mean, and the least deviation that can be told.
fn bounds(climbs: &[Climb]) -> Option<(f64, f64, f64)> {
    let held = climbs.iter().filter_map(|climb| climb.held).map(f64::from);
    let failed = climbs.iter().filter_map(|climb| climb.failed).map(f64::from);
    if climbs.len() < 2 || failed.clone().count() == 0 {
        return None;
    }
    let all: Vec<f64> = held.chain(failed).collect();
    let (low, high) = all.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), x| (low.min(*x), high.max(*x)));
    let widths = climbs.iter().filter_map(|climb| Some(f64::from(climb.failed? - climb.held?)));
    let narrowest = widths.fold(high - low, f64::min).max(1.0);
    Some((low - (high - low), high + (high - low), narrowest / 8.0))
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_distr::{Distribution, Normal as Drawn};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// Climbs in steps of four from about 76, to thresholds of mean 100 and deviation 8.
    fn draw(climbs: usize, random: &mut Pcg64Mcg) -> Vec<Climb> {
        let thresholds = Drawn::new(100.0, 8.0).unwrap();
        let climb = |_| {
            let threshold: f64 = thresholds.sample(random);
            let foot = 76 + random.random_range(0..4_u32);
            match threshold - f64::from(foot) {
                below if below < 0.0 => Climb { held: None, failed: Some(foot) },
                above => {
                    let held = foot + (above / 4.0) as u32 * 4;
                    Climb { held: Some(held), failed: Some(held + 4) }
                }
            }
        };
        (0..climbs).map(climb).collect()
    }

    #[test]
    fn the_interval_of_what_holds_with_95_percent_holds_the_truth() {
        const TRUTH: f64 = 100.0 - 1.644_854 * 8.0;
        const SEARCHES: usize = 100;
        for climbs in [5, 20, 66] {
            let mut random = Pcg64Mcg::seed_from_u64(9);
            let (mut holds, mut close) = (0, 0);
            for _ in 0..SEARCHES {
                let climbs = draw(climbs, &mut random);
                let found = Thresholds::of(&climbs).unwrap();
                holds += usize::from(found.quantile_interval(&climbs, 0.05).unwrap().contains(TRUTH));
                close += usize::from((found.quantile(0.05) - TRUTH).abs() <= 3.0);
            }
            assert!(holds >= 92, "{holds} of {SEARCHES} with {climbs} climbs");
            assert!(climbs < 60 || close >= 94, "{close} of {SEARCHES} within 3");
        }
    }

    #[test]
    fn a_threshold_that_is_always_the_same_is_told_to_one_instance() {
        let climbs = [Climb { held: Some(20), failed: Some(21) }; 5];
        let found = Thresholds::of(&climbs).unwrap();
        assert!((20.0..=21.0).contains(&found.quantile(0.05)), "{found:?}");
    }

    #[test]
    fn without_one_that_failed_nothing_is_known() {
        assert_eq!(Thresholds::of(&[Climb { held: Some(20), failed: None }; 5]), None);
        assert_eq!(Thresholds::of(&[Climb { held: Some(20), failed: Some(24) }]), None);
    }
}
