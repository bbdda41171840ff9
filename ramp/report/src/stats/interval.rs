//! Quantiles, and intervals made of them.

/// Confidence level of intervals, in percent.
pub const CONFIDENCE_PERCENT: u32 = 95;
/// The share of draws on either side of an interval.
const TAIL: f64 = (100 - CONFIDENCE_PERCENT) as f64 / 200.0;

/// An interval that should hold what is estimated in 95 of 100 experiments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl Interval {
    /// Whether it holds a value.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Half of its width.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0
    }

    /// That of the negative.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self { low: -self.high, high: -self.low }
    }

    /// The middle 95 of 100 of what a bootstrap has drawn: the percentile interval (Efron and Tibshirani, An Introduction to the
    /// Bootstrap, 1993, chapter 13). None where nothing was drawn.
    #[must_use]
    pub fn of(drawn: &[f64]) -> Option<Self> {
        let mut sorted = drawn.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self { low: quantile(&sorted, TAIL)?, high: quantile(&sorted, 1.0 - TAIL)? })
    }
}

/// The 95 % interval of a share of which `some` of `all` were seen (Wilson, Probable inference, the law of succession, and statistical
/// inference, 1927).
#[must_use]
pub fn wilson(some: u32, all: u32) -> Interval {
    const Z: f64 = 1.959_964;
    if all == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (number, share) = (f64::from(all), f64::from(some) / f64::from(all));
    let middle = share + Z * Z / (2.0 * number);
    let half = Z * (share * (1.0 - share) / number + Z * Z / (4.0 * number * number)).sqrt();
    let whole = 1.0 + Z * Z / number;
    Interval { low: ((middle - half) / whole).max(0.0), high: ((middle + half) / whole).min(1.0) }
}

/// A quantile of sorted numbers, between neighbours in proportion (type 7 of Hyndman and Fan, Sample Quantiles in Statistical
/// Packages, 1996). None of no numbers.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let below = sorted.get(at.floor() as usize)?;
    let above = sorted.get((at.floor() as usize + 1).min(last))?;
    Some(below + (above - below) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_within_its_interval_whether_all_were_seen_or_none() {
        let close = |interval: Interval, low: f64, high: f64| {
            assert!((interval.low - low).abs() < 1e-3 && (interval.high - high).abs() < 1e-3, "{interval:?}");
        };
        close(wilson(0, 10), 0.0, 0.2775);
        close(wilson(10, 10), 0.7225, 1.0);
        close(wilson(81, 263), 0.2553, 0.3662);
        close(wilson(0, 0), 0.0, 1.0);
    }

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.9), Some(7.0));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 1.0), Some(4.0));
    }
}
