//! How long something takes that does not always come to its end while it is watched.

use super::Interval;

/// A time that something took, or after which it was no longer watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Duration {
    /// So many seconds.
    pub seconds: f64,
    /// Whether it came to its end then. Else it takes longer than that.
    pub ended: bool,
}

/// The share of those that take longer than a time: the product-limit estimate of Kaplan and Meier (Nonparametric Estimation from
/// Incomplete Observations, JASA 53, 1958).
#[derive(Clone, Debug, PartialEq)]
pub struct Survival {
    /// How many were watched.
    pub count: usize,
    /// How many of them were not seen to end.
    pub censored: usize,
    steps: Vec<Step>,
    longest_seconds: f64,
}

/// From a time on, a share is left; its bounds hold the true share in 95 of 100 experiments.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Step {
    seconds: f64,
    left: f64,
    low: f64,
    high: f64,
}

/// A quantile of such times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantile {
    /// So many seconds. An end of the interval that is none lies beyond what was watched.
    Seconds(f64, Option<f64>, Option<f64>),
    /// Longer than so many seconds.
    LongerThan(f64),
}

impl Survival {
    /// The estimate from what was watched. None of nothing.
    #[must_use]
    pub fn of(durations: &[Duration]) -> Option<Self> {
        let mut sorted = durations.to_vec();
        // What ends at a time was still there just before, and so was what was watched until then.
        sorted.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let longest_seconds = sorted.last()?.seconds;
        let (mut at_risk, mut left, mut greenwood) = (sorted.len() as f64, 1.0, 0.0);
        let mut steps = Vec::new();
        for group in sorted.chunk_by(|a, b| a.seconds == b.seconds) {
            let ended = group.iter().filter(|duration| duration.ended).count() as f64;
            if ended > 0.0 {
                left *= 1.0 - ended / at_risk;
                greenwood += ended / (at_risk * (at_risk - ended));
                let Interval { low, high } = bounds(left, greenwood);
                let seconds = group.first().map_or(0.0, |duration| duration.seconds);
                steps.push(Step { seconds, left, low, high });
            }
            at_risk -= group.len() as f64;
        }
        let censored = sorted.iter().filter(|duration| !duration.ended).count();
        Some(Self { count: sorted.len(), censored, steps, longest_seconds })
    }

    /// The time within which such a share comes to its end, with the interval of Brookmeyer and Crowley (A Confidence Interval for
    /// the Median Survival Time, Biometrics 38, 1982).
    #[must_use]
    pub fn quantile(&self, share: f64) -> Quantile {
        let until = |of: fn(&Step) -> f64| {
            // A share that is met exactly is met, whatever the rounding.
            self.steps.iter().find(|step| of(step) <= 1.0 - share + 1e-12).map(|step| step.seconds)
        };
        match until(|step| step.left) {
            Some(seconds) => Quantile::Seconds(seconds, until(|step| step.low), until(|step| step.high)),
            None => Quantile::LongerThan(self.longest_seconds),
        }
    }
}

/// Bounds of a share that is left: those of log(−log), which stay between 0 and 1 (Kalbfleisch and Prentice, The Statistical Analysis
/// of Failure Time Data, 1980, section 1.3).
fn bounds(left: f64, greenwood: f64) -> Interval {
    /// Of the standard normal distribution.
    const QUANTILE_OF_975: f64 = 1.959_964;
    if left <= 0.0 {
        return Interval { low: 0.0, high: 0.0 };
    }
    let far = QUANTILE_OF_975 * greenwood.sqrt() / left.ln();
    Interval { low: left.powf((-far).exp()), high: left.powf(far.exp()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durations(times: &[(f64, bool)]) -> Vec<Duration> {
        times.iter().map(|(seconds, ended)| Duration { seconds: *seconds, ended: *ended }).collect()
    }

    /// Freireich's patients with 6-mercaptopurine, as in every textbook: 6, 6, 6, 6+, 7, 9+, 10, 10+, 11+, 13, 16, 17+, 19+, 20+, 22, 23,
    /// 25+, 32+, 32+, 34+, 35+.
    fn freireich() -> Survival {
        let ended = [6, 6, 6, 7, 10, 13, 16, 22, 23].map(|time| (f64::from(time), true));
        let longer = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35].map(|time| (f64::from(time), false));
        Survival::of(&durations(&[&ended[..], &longer[..]].concat())).unwrap()
    }

    #[test]
    fn the_textbook_s_example_comes_out_as_printed() {
        let survival = freireich();
        let left: Vec<f64> =
            survival.steps.iter().map(|step| (step.left * 1000.0).round() / 1000.0).collect();
        assert_eq!(left, [0.857, 0.807, 0.753, 0.69, 0.627, 0.538, 0.448]);
        assert_eq!((survival.count, survival.censored), (21, 12));
        // As R's survfit(conf.type = "log-log") has it: median 23, from 13 to beyond.
        assert_eq!(survival.quantile(0.5), Quantile::Seconds(23.0, Some(13.0), None));
        assert_eq!(survival.quantile(0.9), Quantile::LongerThan(35.0));
    }

    #[test]
    fn bounds_hold_the_estimate_between_them() {
        for step in freireich().steps {
            assert!(
                0.0 < step.low && step.low < step.left && step.left < step.high && step.high < 1.0,
                "{step:?}"
            );
        }
    }

    #[test]
    fn what_never_ended_is_longer_than_it_was_watched_and_is_not_dropped() {
        let survival = Survival::of(&durations(&[(1.0, true), (60.0, false), (60.0, false)])).unwrap();
        assert_eq!(survival.quantile(0.3), Quantile::Seconds(1.0, Some(1.0), None));
        assert_eq!(survival.quantile(0.5), Quantile::LongerThan(60.0));
        assert_eq!(Survival::of(&[]), None);
    }

    #[test]
    fn without_censoring_it_is_the_plain_quantile() {
        let all: Vec<_> = (1..=100).map(|time| (f64::from(time), true)).collect();
        let survival = Survival::of(&durations(&all)).unwrap();
        assert!(matches!(survival.quantile(0.5), Quantile::Seconds(seconds, Some(low), Some(high))
            if seconds == 50.0 && low < 45.0 && high > 55.0));
        assert!(matches!(survival.quantile(1.0), Quantile::Seconds(seconds, ..) if seconds == 100.0));
    }
}
