//! Single values that differ from all others of a stretch: the generalized extreme Studentized deviate test (B. Rosner, Percentage Points
//! for a Generalized ESD Many-Outlier Procedure, Technometrics 25 (2), 1983).
//!
//! The value that is farthest from the mean is taken out, then the next one, and so on; each is held against Student's distribution of
//! what is left, so that one outlier cannot hide another. Its power for one outlier is that of Grubbs' test; rules by the median absolute
//! deviation, which measures the spread of thirty values much less exactly, find fewer at the same risk. Beside it, an outlier must be far
//! beyond the next value.

use super::paired::student_tail;

/// Fewest values among which one can be an outlier.
pub const FEWEST_FOR_OUTLIERS: usize = 5;
/// Outliers among so many values are at most one in so many, and at most [`MOST_OUTLIERS`].
const VALUES_PER_OUTLIER: usize = 8;
const MOST_OUTLIERS: usize = 3;
/// An outlier is so many times as far out as the farthest of the other values: in skewed noise, and in noise with heavy tails, the farthest
/// value is often too far out for a normal sample, but less often far beyond the next one.
const BEYOND_OTHERS: f64 = 1.6;

/// A value that differs from the others of its stretch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlier {
    /// Its index.
    pub at: usize,
    /// Probability that some value of a normal sample lies as far out.
    pub p_value: f64,
}

/// The outliers of a stretch, in its order. `risk` is the probability that a normal sample has one; `step` is what the values are rounded
/// to (1 for counts, else 0): equal counts are not exact.
#[must_use]
pub fn outliers(values: &[f64], risk: f64, step: f64) -> Vec<Outlier> {
    if values.len() < FEWEST_FOR_OUTLIERS {
        return Vec::new();
    }
    let most = (values.len() / VALUES_PER_OUTLIER).clamp(1, MOST_OUTLIERS);
    let mut left: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
    let mut removed = Vec::new();
    for _ in 0..most {
        let Some((place, p_value)) = farthest(&left, step) else { break };
        let (at, _) = left.swap_remove(place);
        removed.push(Outlier { at, p_value });
    }
    // The last that is far enough out decides: those before it were hidden by it.
    let count = removed.iter().rposition(|outlier| outlier.p_value <= risk).map_or(0, |last| last + 1);
    removed.truncate(count);
    let others = values.iter().enumerate().filter(|(at, _)| removed.iter().all(|outlier| outlier.at != *at));
    let others: Vec<f64> = others.map(|(_, value)| *value).collect();
    let mean = others.iter().sum::<f64>() / others.len() as f64;
    let farthest_other = others.iter().map(|value| (value - mean).abs()).fold(step / 2.0, f64::max);
    let is_beyond =
        |at: usize| values.get(at).is_some_and(|value| (value - mean).abs() > BEYOND_OTHERS * farthest_other);
    removed.retain(|outlier| is_beyond(outlier.at));
    removed.sort_by_key(|outlier| outlier.at);
    removed
}

/// The place of the value that is farthest from the mean, and how probable one as far out is. None where all are the same.
fn farthest(values: &[(usize, f64)], step: f64) -> Option<(usize, f64)> {
    let n = values.len() as f64;
    let mean = values.iter().map(|(_, value)| value).sum::<f64>() / n;
    let distance = |value: f64| (value - mean).abs();
    let place = (0..values.len()).max_by(|a, b| distance(values[*a].1).total_cmp(&distance(values[*b].1)))?;
    let far = values[place].1 - mean;
    // What the others vary by, and by what they would be expected to for being rounded.
    let squares: f64 = values.iter().map(|(_, value)| (value - mean).powi(2)).sum();
    let of_others = squares - n / (n - 1.0) * far.powi(2);
    let variance = of_others.max(0.0) / (n - 2.0) + step.powi(2) / 12.0;
    if far == 0.0 {
        return None;
    }
    let t = far.abs() * (n / (n - 1.0)).sqrt() / variance.sqrt();
    Some((place, (2.0 * n * student_tail(t, n - 2.0)).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: [f64; 12] = [10.0, 10.1, 9.9, 10.05, 9.95, 10.0, 10.1, 9.9, 10.02, 9.98, 10.07, 9.93];

    fn places(values: &[f64], step: f64) -> Vec<usize> {
        outliers(values, 0.025, step).iter().map(|outlier| outlier.at).collect()
    }

    #[test]
    fn one_or_two_that_are_far_out_are_found_and_none_hides_another() {
        assert_eq!(places(&LEVEL, 0.0), [] as [usize; 0]);
        let mut values = LEVEL;
        values[3] = 10.5;
        assert_eq!(places(&values, 0.0), [3]);
        let mut values = [LEVEL, LEVEL].concat();
        (values[3], values[23]) = (10.5, 10.52);
        assert_eq!(places(&values, 0.0), [3, 23]);
        assert_eq!(places(&values[..4], 0.0), [] as [usize; 0], "of so few none can be told");
    }

    #[test]
    fn equal_counts_are_not_exact_and_equal_values_are() {
        let with = |other: f64| [vec![14.0; 12], vec![other]].concat();
        assert_eq!(places(&with(13.0), 1.0), [] as [usize; 0]);
        assert_eq!(places(&with(9.0), 1.0), [12]);
        assert_eq!(places(&with(13.0), 0.0), [12]);
        assert_eq!(places(&[14.0; 12], 0.0), [] as [usize; 0]);
    }
}
