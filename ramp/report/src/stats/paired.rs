//! Paired differences: two groups of runs, compared within blocks.
//!
//! A block holds one run of each. Whatever was the same for both runs of a block (the state of the cluster, the hour) cancels in their
//! difference, and the differences are what the interval rests on: the run is the unit, not the sample. The order within a block is
//! random, so a drift of the cluster makes differences uncertain, not wrong; where there are enough blocks its slope is a term of the
//! model, and where chance had one order in all blocks it is taken from the runs over time (R. Mead, The Design of Experiments, 1988,
//! chapters 2 and 7).

use distrs::StudentsT;

use super::Interval;

/// The two runs of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pair {
    /// The figure of the base.
    pub base: f64,
    /// The figure of the other one.
    pub other: f64,
    /// When the run of the base began, in seconds since the study did.
    pub begin_seconds: f64,
    /// Time by which the other run began later than that of the base, in seconds; negative if it came first.
    pub later_seconds: f64,
}

/// A mean with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanEstimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom of that.
    pub freedom: f64,
}

/// Fewest blocks from which the drift is a term of the model: with fewer, what is left of the degrees of freedom tells nothing.
pub const FEWEST_FOR_DRIFT: usize = 5;

/// The difference between two groups of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedDifference {
    /// Other − base, without the drift where that is a term of the model.
    pub difference: MeanEstimate,
    /// By how much the figure grows per second, with each run; none where that cannot be told from the difference.
    pub drift: Option<MeanEstimate>,
    /// Whether the drift is a term of the model.
    pub is_drift_removed: bool,
    /// Blocks.
    pub blocks: usize,
    /// Standard deviation of the differences.
    pub deviation: f64,
}

impl MeanEstimate {
    /// The mean of independent values; none of fewer than two.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len() as f64;
        if values.len() < 2 {
            return None;
        }
        let mean = mean_of(values);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Self { mean, standard_error: (squares / (n - 1.0)).sqrt() / n.sqrt(), freedom: n - 1.0 })
    }

    /// The ends of a confidence interval: of 95 % with a `confidence` of 0.95.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Interval {
        let half = student(0.5 + confidence / 2.0, self.freedom) * self.standard_error;
        Interval { low: self.mean - half, high: self.mean + half }
    }

    /// Two-sided p-value of the hypothesis that the mean is this.
    #[must_use]
    pub fn p_value(&self, hypothesis: f64) -> f64 {
        let off = (self.mean - hypothesis).abs();
        if self.standard_error <= 0.0 {
            return if off > 0.0 { 0.0 } else { 1.0 };
        }
        2.0 * student_tail(off / self.standard_error, self.freedom)
    }

    /// The p-value of the hypothesis that the mean is at least 0 with a `sign` of 1, or at most 0 with one of −1.
    #[must_use]
    pub fn p_below(&self, sign: f64) -> f64 {
        let off = sign * self.mean;
        if self.standard_error <= 0.0 {
            return if off < 0.0 { 0.0 } else { 1.0 };
        }
        student_tail(-off / self.standard_error, self.freedom)
    }

    /// The larger p-value of the two hypotheses that the mean is at least this far from 0, on either side (D. J. Schuirmann, A Comparison
    /// of the Two One-Sided Tests Procedure, 1987).
    #[must_use]
    pub fn p_equivalent(&self, margin: f64) -> f64 {
        let inside = margin - self.mean.abs();
        if self.standard_error <= 0.0 {
            return if inside > 0.0 { 0.0 } else { 1.0 };
        }
        student_tail(inside / self.standard_error, self.freedom)
    }
}

/// Quantile of Student's distribution.
#[must_use]
pub fn student(probability: f64, freedom: f64) -> f64 {
    StudentsT::ppf(probability, freedom)
}

/// Probability beyond a value of Student's distribution, of whole degrees of freedom (M. Abramowitz and I. Stegun, Handbook of Mathematical
/// Functions, 1964, 26.7.3 and 26.7.4). `StudentsT::cdf` of distrs 0.2.3 counts the terms of its series in a byte, which overflows with a
/// dozen degrees of freedom.
pub(super) fn student_tail(value: f64, freedom: f64) -> f64 {
    let whole = freedom.max(1.0).round() as u32;
    let angle = (value / freedom.sqrt()).atan();
    let (sine, cosine) = (angle.sin(), angle.cos());
    let is_odd = whole % 2 == 1;
    let (mut term, mut sum) = (if is_odd { cosine } else { 1.0 }, 0.0);
    for power in (whole % 2..whole - 1).step_by(2) {
        sum += term;
        let power = f64::from(power);
        term *= cosine * cosine * (power + 1.0) / (power + 2.0);
    }
    // The probability within ± the value.
    let inside = if is_odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum };
    ((1.0 - inside) / 2.0).clamp(0.0, 1.0)
}

/// The difference of two groups. None with fewer than two blocks.
#[must_use]
pub fn paired(pairs: &[Pair]) -> Option<PairedDifference> {
    let n = pairs.len() as f64;
    if pairs.len() < 2 {
        return None;
    }
    let differences: Vec<f64> = pairs.iter().map(|pair| pair.other - pair.base).collect();
    let later: Vec<f64> = pairs.iter().map(|pair| pair.later_seconds).collect();
    let (mean, mean_later) = (mean_of(&differences), mean_of(&later));
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let deviation = (squares / (n - 1.0)).sqrt();
    let plain = MeanEstimate { mean, standard_error: deviation / n.sqrt(), freedom: n - 1.0 };
    let mut found = PairedDifference {
        difference: plain,
        drift: None,
        is_drift_removed: false,
        blocks: pairs.len(),
        deviation,
    };
    if let Some((difference, trend)) = without_trend(pairs, plain) {
        found.difference = difference;
        found.drift = Some(trend);
        found.is_drift_removed = true;
        return Some(found);
    }
    let spread: f64 = later.iter().map(|later| (later - mean_later).powi(2)).sum();
    let largest = later.iter().fold(0.0_f64, |largest, later| largest.max(later.abs()));
    // The difference at no lag would lie far from what was seen.
    if pairs.len() < 3 || spread <= n * (0.1 * largest).powi(2) {
        return Some(found);
    }
    let products: f64 = later
        .iter()
        .zip(&differences)
        .map(|(later, difference)| (later - mean_later) * (difference - mean))
        .sum();
    let slope = products / spread;
    let left = (squares - slope * products).max(0.0);
    let freedom = n - 2.0;
    let variance = left / freedom;
    found.drift = Some(MeanEstimate { mean: slope, standard_error: (variance / spread).sqrt(), freedom });
    if pairs.len() >= FEWEST_FOR_DRIFT {
        found.is_drift_removed = true;
        found.difference = MeanEstimate {
            mean: mean - slope * mean_later,
            standard_error: (variance * (1.0 / n + mean_later.powi(2) / spread)).sqrt(),
            freedom,
        };
    }
    Some(found)
}

/// The difference where the same one came first in all blocks, so that a drift looks like a difference: without the trend of the runs of
/// each, which is uncertain itself. None where the order changes, or the times are not known.
fn without_trend(
    pairs: &[Pair],
    MeanEstimate { mean, standard_error, freedom }: MeanEstimate,
) -> Option<(MeanEstimate, MeanEstimate)> {
    let is_later = |pair: &Pair| pair.later_seconds > 0.0;
    let is_one_order = pairs.iter().all(is_later) || pairs.iter().all(|pair| pair.later_seconds < 0.0);
    let base = pairs.iter().map(|pair| (pair.begin_seconds, pair.base));
    let other = pairs.iter().map(|pair| (pair.begin_seconds + pair.later_seconds, pair.other));
    let (mut spread, mut products, mut squares) = (0.0, 0.0, 0.0);
    for runs in [base.collect::<Vec<_>>(), other.collect()] {
        let (seconds, figures): (Vec<f64>, Vec<f64>) = runs.iter().copied().unzip();
        let (mean_seconds, mean_figure) = (mean_of(&seconds), mean_of(&figures));
        for (seconds, figure) in runs {
            spread += (seconds - mean_seconds).powi(2);
            products += (seconds - mean_seconds) * (figure - mean_figure);
            squares += (figure - mean_figure).powi(2);
        }
    }
    if !is_one_order || spread <= 0.0 {
        return None;
    }
    let slope = products / spread;
    let freedom_of_trend = 2.0 * pairs.len() as f64 - 3.0;
    let variance = (squares - slope * products).max(0.0) / freedom_of_trend / spread;
    let later = mean_of(&pairs.iter().map(|pair| pair.later_seconds).collect::<Vec<_>>());
    let difference = MeanEstimate {
        mean: mean - slope * later,
        standard_error: (standard_error.powi(2) + variance * later.powi(2)).sqrt(),
        freedom,
    };
    Some((
        difference,
        MeanEstimate { mean: slope, standard_error: variance.sqrt(), freedom: freedom_of_trend },
    ))
}

/// The ratio other ÷ base of the means, with its interval (E. C. Fieller, Some Problems in Interval Estimation, JRSS B 16, 1954). None
/// where the base may be 0, or there are fewer than two blocks.
#[must_use]
pub fn ratio(pairs: &[Pair], confidence: f64) -> Option<(f64, Interval)> {
    let n = pairs.len() as f64;
    if pairs.len() < 2 {
        return None;
    }
    let (base, other): (Vec<f64>, Vec<f64>) = pairs.iter().map(|pair| (pair.base, pair.other)).unzip();
    let (a, b) = (mean_of(&base), mean_of(&other));
    let covariance = |x: &[f64], mean_x: f64, y: &[f64], mean_y: f64| {
        x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / (n - 1.0) / n
    };
    let t2 = student(0.5 + confidence / 2.0, n - 1.0).powi(2);
    let quadratic = a * a - t2 * covariance(&base, a, &base, a);
    let half_linear = a * b - t2 * covariance(&base, a, &other, b);
    let constant = b * b - t2 * covariance(&other, b, &other, b);
    if quadratic <= 0.0 {
        return None;
    }
    let root = (half_linear * half_linear - quadratic * constant).max(0.0).sqrt();
    Some((b / a, Interval { low: (half_linear - root) / quadratic, high: (half_linear + root) / quadratic }))
}

fn mean_of(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// Blocks with an effect of their own, a drift, and noise that is twice as large in the other run. 128 is true, and 2.28 times.
    fn draw(blocks: usize, random: &mut Pcg64Mcg) -> Vec<Pair> {
        let mut normal = || -> f64 { StandardNormal.sample(random) };
        let drawn: Vec<[f64; 4]> = (0..blocks).map(|_| [normal(), normal(), normal(), normal()]).collect();
        let pair = |[block, base, other, order]: [f64; 4]| {
            let later = 60.0 * order.signum();
            Pair {
                base: 100.0 + 5.0 * block + base - 0.01 * later,
                other: 228.0 + 5.0 * block + 2.0 * other + 0.01 * later,
                later_seconds: later,
                ..Pair::default()
            }
        };
        drawn.into_iter().map(pair).collect()
    }

    #[test]
    fn intervals_hold_the_truth_as_often_as_they_say() {
        const STUDIES: usize = 4000;
        for blocks in [2, 3, 4, 5, 6, 12] {
            let mut random = Pcg64Mcg::seed_from_u64(blocks as u64);
            let (mut differences, mut ratios, mut ratios_known) = (0, 0, 0);
            for _ in 0..STUDIES {
                let pairs = draw(blocks, &mut random);
                differences += usize::from(paired(&pairs).unwrap().difference.interval(0.95).contains(128.0));
                if let Some((_, interval)) = ratio(&pairs, 0.95) {
                    ratios_known += 1;
                    ratios += usize::from(interval.contains(2.28));
                }
            }
            let share = |holds: usize, of: usize| holds as f64 / of as f64;
            let (difference, ratio) = (share(differences, STUDIES), share(ratios, ratios_known));
            assert!((0.94..0.96).contains(&difference), "{difference} with {blocks} blocks");
            assert!((0.94..0.97).contains(&ratio), "{ratio} with {blocks} blocks");
        }
    }

    #[test]
    fn tails_are_those_of_the_quantiles_with_any_degrees_of_freedom() {
        for freedom in 1..400 {
            for tail in [0.45, 0.1, 0.025, 1e-3, 1e-6] {
                let found = student_tail(student(1.0 - tail, freedom.into()), freedom.into());
                assert!((found / tail - 1.0).abs() < 2e-3, "{found} of {tail} with {freedom}");
            }
        }
        assert_eq!((student_tail(0.0, 7.0), student_tail(1e9, 19.0)), (0.5, 0.0));
        // Tables have 2.228 and 2.086 for 2.5 %.
        assert!(
            (student_tail(2.228, 10.0) - 0.025).abs() < 1e-5
                && (student_tail(-2.086, 20.0) - 0.975).abs() < 1e-5
        );
    }

    #[test]
    fn a_drift_is_told_from_the_difference_where_the_order_changes() {
        let pair = |order: f64, noise: f64| Pair {
            base: 100.0,
            other: 110.0 + 0.1 * order * 60.0 + noise,
            later_seconds: order * 60.0,
            ..Pair::default()
        };
        let pairs = [(1.0, 0.1), (-1.0, 0.0), (1.0, -0.1), (1.0, 0.0), (-1.0, 0.1), (-1.0, -0.1)];
        let found = paired(&pairs.map(|(order, noise)| pair(order, noise))).unwrap();
        assert!(found.is_drift_removed && (found.difference.mean - 10.0).abs() < 0.1, "{found:?}");
        assert!((found.drift.unwrap().mean - 0.1).abs() < 0.01, "{found:?}");
        // A before B each time: the trend of the runs is all there is, and where times are not known not even that.
        let in_order = paired(&[pair(1.0, 0.1), pair(1.0, 0.0), pair(1.0, -0.1)]).unwrap();
        assert!(in_order.drift.is_none() && !in_order.is_drift_removed);
        let at = |block: f64, pair: Pair| Pair {
            base: pair.base + block * 12.0,
            other: pair.other + block * 12.0,
            begin_seconds: block * 120.0,
            ..pair
        };
        let noise = [0.1, 0.0, -0.1];
        let with_times = [0.0, 1.0, 2.0].map(|block| at(block, pair(1.0, noise[block as usize])));
        let found = paired(&with_times).unwrap();
        assert!(found.is_drift_removed && (found.difference.mean - 10.0).abs() < 0.1, "{found:?}");
    }

    #[test]
    fn nothing_is_said_of_one_block_and_no_ratio_to_what_may_be_nothing() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        assert!(paired(&draw(1, &mut random)).is_none() && ratio(&draw(1, &mut random), 0.95).is_none());
        let around_nothing =
            [-1.0, 1.0, 2.0].map(|base| Pair { base, other: 5.0, later_seconds: 0.0, ..Pair::default() });
        assert!(ratio(&around_nothing, 0.95).is_none());
    }

    #[test]
    fn what_is_always_the_same_is_certain() {
        let pairs = [Pair { base: 1.0, other: 3.0, later_seconds: 0.0, ..Pair::default() }; 3];
        let found = paired(&pairs).unwrap().difference;
        assert_eq!((found.p_value(0.0), found.p_value(2.0), found.p_equivalent(1.9)), (0.0, 1.0, 1.0));
        assert_eq!(found.interval(0.95), Interval { low: 2.0, high: 2.0 });
    }
}
