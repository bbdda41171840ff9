//! Trend of a series: whether values rise or fall in their order (H. B. Mann, Nonparametric Tests Against Trend, Econometrica 13, 1945;
//! M. G. Kendall, Rank Correlation Methods, 1975, for ties), and by how much, as the median of the slopes between all pairs.

use distrs::Normal;

use super::quantile;

/// A trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Change from one value to the next.
    pub each: f64,
    /// How often a series without a trend has one as strong, in either direction.
    pub p: f64,
}

/// The normal approximation is good from here on.
const FEWEST: usize = 10;

/// The trend of values in their order. None of fewer than ten, or where all are alike.
#[must_use]
pub fn trend(values: &[f64]) -> Option<Trend> {
    let number = values.len();
    if number < FEWEST {
        return None;
    }
    let pairs = || (0..number).flat_map(move |later| (0..later).map(move |earlier| (earlier, later)));
    let sum: f64 = pairs()
        .map(|(earlier, later)| match values[later] - values[earlier] {
            0.0 => 0.0,
            difference => difference.signum(),
        })
        .sum();
    let spread = |number: f64| number * (number - 1.0) * (2.0 * number + 5.0);
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let ties: f64 = sorted.chunk_by(|a, b| a == b).map(|alike| spread(alike.len() as f64)).sum();
    let variance = (spread(number as f64) - ties) / 18.0;
    if variance <= 0.0 {
        return None;
    }
    let z = (sum.abs() - 1.0).max(0.0) / variance.sqrt();
    let mut slopes: Vec<f64> = pairs()
        .map(|(earlier, later)| (values[later] - values[earlier]) / (later - earlier) as f64)
        .collect();
    slopes.sort_by(f64::total_cmp);
    Some(Trend { each: quantile(&slopes, 0.5)?, p: 2.0 * (1.0 - Normal::cdf(z, 0.0, 1.0)) })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_distr::{Distribution, Normal as Drawn};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    #[test]
    fn a_trend_is_found_and_chance_is_taken_for_one_as_rarely_as_it_says() {
        let drawn = |seed: u64, each: f64| -> Vec<f64> {
            let mut random = Pcg64Mcg::seed_from_u64(seed);
            let noise = Drawn::new(0.0, 8.0).unwrap();
            // Whole numbers, so that some are alike.
            (0..20).map(|at| (100.0 + each * f64::from(at) + noise.sample(&mut random)).round()).collect()
        };
        let found =
            |each: f64, p: f64| (0..1000).filter(|seed| trend(&drawn(*seed, each)).unwrap().p < p).count();
        let by_chance = found(0.0, 0.05);
        assert!((25..=70).contains(&by_chance), "{by_chance} of 1000");
        assert!(found(-2.0, 0.001) > 900);
        let slope = trend(&drawn(1, -2.0)).unwrap().each;
        assert!((slope + 2.0).abs() < 1.0, "{slope}");
    }

    #[test]
    fn few_values_and_values_that_are_alike_have_no_trend() {
        assert_eq!(trend(&[1.0, 2.0, 3.0]), None);
        assert_eq!(trend(&[5.0; 20]), None);
    }
}
