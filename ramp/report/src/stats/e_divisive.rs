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
        let segments: Vec<Vec<PlacedValue>> = segments(values, &found).into_iter().map(placed).collect();
        let Some((at, statistic)) = best_split(&segments) else { break };
        let Some(p_value) = p_value(segments, statistic, risk, &mut random) else { break };
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

/// A value, and the sum of its distances to all values of its stretch, which no permutation changes.
#[derive(Clone, Copy)]
struct PlacedValue {
    value: f64,
    distances: f64,
}

fn placed(segment: &[f64]) -> Vec<PlacedValue> {
    let distances = |value: f64| segment.iter().map(|other| (value - other).abs()).sum();
    segment.iter().map(|value| PlacedValue { value: *value, distances: distances(*value) }).collect()
}

/// The best split of any of the stretches: the index of the first value after it in all of them together, and its statistic.
fn best_split(segments: &[Vec<PlacedValue>]) -> Option<(usize, f64)> {
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
fn split(values: &[PlacedValue]) -> Option<(usize, f64)> {
    let pairs = |n: f64| n * (n - 1.0) / 2.0;
    let mut best: Option<(usize, f64)> = None;
    // Sums of the distances within X, within Y, and between them, as one value after another goes from Y to X.
    let (mut of_x, mut between) = (0.0, 0.0);
    let mut of_y = values.iter().map(|placed| placed.distances).sum::<f64>() / 2.0;
    for (at, placed) in values.iter().enumerate() {
        let mut to_x = 0.0;
        for other in values.iter().take(at) {
            to_x += (placed.value - other.value).abs();
        }
        let to_y = placed.distances - to_x;
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
fn p_value(
    mut segments: Vec<Vec<PlacedValue>>,
    statistic: f64,
    risk: f64,
    random: &mut Pcg64Mcg,
) -> Option<f64> {
    let most = risk * f64::from(PERMUTATIONS + 1);
    let least = statistic - ROUNDING * statistic.abs();
    // The observed order is one of them.
    let mut as_good = 1.0;
    for _ in 0..PERMUTATIONS {
        segments.iter_mut().for_each(|segment| segment.shuffle(random));
        if best_split(&segments).is_some_and(|(_, statistic)| statistic >= least) {
            as_good += 1.0;
            if as_good > most {
                return None;
            }
        }
    }
    Some(as_good / f64::from(PERMUTATIONS + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(x: &[f64], y: &[f64]) -> f64 {
        let mean = |a: &[f64], b: &[f64], pairs: f64| {
            a.iter().flat_map(|a| b.iter().map(move |b| (a - b).abs())).sum::<f64>() / pairs
        };
        let (n, m) = (x.len() as f64, y.len() as f64);
        let within = |values: &[f64], n: f64| mean(values, values, n * (n - 1.0));
        n * m / (n + m) * (2.0 * mean(x, y, n * m) - within(x, n) - within(y, m))
    }

    #[test]
    fn the_statistic_is_that_of_the_paper() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0, 3.5];
        let by_hand: Vec<f64> = (2..=6).map(|at| energy(&values[..at], &values[at..])).collect();
        let (at, statistic) = split(&placed(&values)).unwrap();
        let best = by_hand.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        assert!((statistic - best).abs() < 1e-9 && by_hand[at - 2] == best, "{statistic} {by_hand:?}");
    }

    #[test]
    fn a_shift_is_found_where_it_is_and_the_same_each_time() {
        let wave = |at: usize| (at * 7 % 10) as f64 / 10.0;
        let values: Vec<f64> = (0..30).map(|at| wave(at) + if at < 20 { 0.0 } else { 3.0 }).collect();
        let found = change_points(&values, 0.015);
        assert_eq!(found.iter().map(|change| (change.at, change.p_value)).collect::<Vec<_>>(), [(20, 0.001)]);
        assert_eq!(found, change_points(&values, 0.015));
        let lengths: Vec<usize> = segments(&values, &found).iter().map(|segment| segment.len()).collect();
        assert_eq!(lengths, [20, 10]);
    }

    #[test]
    fn what_is_too_short_has_no_change() {
        for values in [&[][..], &[1.0], &[1.0, 9.0], &[1.0, 1.0, 9.0], &[1.0, 1.0, 9.0, 9.0]] {
            assert_eq!(change_points(values, 0.015), []);
        }
    }
}
