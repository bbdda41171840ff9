//! Change points of a series by e-divisive: D. S. Matteson and N. A. James, A Nonparametric Approach for Multiple Change Point Analysis of
//! Multivariate Data, Journal of the American Statistical Association 109 (505), 2014, section 2 and 3.
//!
//! A split of a stretch of values into X (n values) and Y (m values) is rated by the scaled energy statistic, which is large where their
//! distributions differ in any way (formulas 5 and 6 with α = 1):
//!
//! ```text
//! E = 2/(n·m) · ΣΣ |xᵢ − yⱼ|  −  1/C(n,2) · Σᵢ<ₖ |xᵢ − xₖ|  −  1/C(m,2) · Σⱼ<ₖ |yⱼ − yₖ|
//! Q = n·m/(n+m) · E
//! ```
//!
//! The best split of all stretches is a change point where few permutations of the values within the stretches have a split that is as
//! good. If it is one, its stretch becomes two, and so on. As in D. Daly et al., The Use of Change Point Detection to Identify Software
//! Performance Regressions in a Continuous Integration System, 2020, Y reaches to the end of its stretch.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

/// Fewest values on either side of a change point. One value that differs may be an outlier.
pub const FEWEST_PER_SEGMENT: usize = 2;
/// Permutations that a split is held against.
const PERMUTATIONS: u32 = 999;
/// The draws are the same each time.
const SEED: u64 = 2014;
/// Sums of the same numbers in another order differ by rounding: share of a statistic that counts as equal.
const ROUNDING: f64 = 1e-9;

/// Where a series changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value after the change.
    pub at: usize,
    /// Share of the permutations with a split that is at least as good, the observed order included.
    pub p_value: f64,
}

/// The change points of a series, in its order. `risk` is the probability that a series without any has one.
///
/// The first test is exact whatever the distribution of the values is, as long as they are exchangeable: drift and correlation between
/// neighbours are changes.
#[must_use]
pub fn change_points(values: &[f64], risk: f64) -> Vec<ChangePoint> {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut found: Vec<ChangePoint> = Vec::new();
    loop {
        let segments = segments(values, &found);
        let Some((at, statistic)) = best_split(&segments) else { break };
        let Some(p_value) = p_value(&segments, statistic, risk, &mut random) else { break };
        found.push(ChangePoint { at, p_value });
        found.sort_by_key(|change| change.at);
    }
    found
}

/// The stretches between change points.
#[must_use]
pub fn segments<'v>(values: &'v [f64], changes: &[ChangePoint]) -> Vec<&'v [f64]> {
    let (mut segments, mut rest, mut begin) = (Vec::new(), values, 0);
    for change in changes {
        let (segment, after) = rest.split_at(change.at.saturating_sub(begin).min(rest.len()));
        segments.push(segment);
        (rest, begin) = (after, change.at);
    }
    segments.push(rest);
    segments
}

/// The best split of any of the stretches: the index of the first value after it in all of them together, and its statistic.
fn best_split(segments: &[&[f64]]) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64)> = None;
    let mut begin = 0;
    for segment in segments {
        if let Some((at, statistic)) = split(segment)
            && best.is_none_or(|(_, best)| statistic > best)
        {
            best = Some((begin + at, statistic));
        }
        begin += segment.len();
    }
    best
}

/// The best split of a stretch; none where it is too short.
fn split(values: &[f64]) -> Option<(usize, f64)> {
    let distances =
        |value: f64, others: &[f64]| others.iter().map(|other| (value - other).abs()).sum::<f64>();
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let mut best: Option<(usize, f64)> = None;
    // Sums of the distances within X, within Y, and between them, as one value after another goes from Y to X.
    let (mut of_x, mut between) = (0.0, 0.0);
    let mut of_y: f64 = (0..values.len()).map(|at| distances(values[at], &values[at + 1..])).sum();
    for at in 0..values.len() {
        let (to_x, to_y) = (distances(values[at], &values[..at]), distances(values[at], &values[at + 1..]));
        of_x += to_x;
        of_y -= to_y;
        between += to_y - to_x;
        let (x, y) = (at + 1, values.len() - at - 1);
        if x.min(y) < FEWEST_PER_SEGMENT {
            continue;
        }
        let (n, m) = (x as f64, y as f64);
        let energy = 2.0 * between / (n * m) - of_x / pairs(n) - of_y / pairs(m);
        let statistic = n * m / (n + m) * energy;
        if best.is_none_or(|(_, best)| statistic > best) {
            best = Some((x, statistic));
        }
    }
    best
}

/// The share of permutations within the stretches that have a split that is as good; none where it is above the risk. Draws no more than
/// it takes to know that.
fn p_value(segments: &[&[f64]], statistic: f64, risk: f64, random: &mut Pcg64Mcg) -> Option<f64> {
    let most = risk * f64::from(PERMUTATIONS + 1);
    let least = statistic - ROUNDING * statistic.abs();
    let mut permuted: Vec<Vec<f64>> = segments.iter().map(|segment| segment.to_vec()).collect();
    // The observed order is one of them.
    let mut as_good = 1.0;
    for _ in 0..PERMUTATIONS {
        permuted.iter_mut().for_each(|segment| segment.shuffle(random));
        let best = permuted.iter().filter_map(|segment| split(segment)).map(|(_, statistic)| statistic);
        if best.fold(f64::NEG_INFINITY, f64::max) >= least {
            as_good += 1.0;
            if as_good > most {
                return None;
            }
        }
    }
    Some(as_good / f64::from(PERMUTATIONS + 1))
}
