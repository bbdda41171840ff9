//! Survival: durations of which some were censored.

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
    steps: Vec<SurvivalStep>,
    /// All times, as if each had come to its end when it was no longer watched.
    shortest: Vec<f64>,
    /// Those that came to their end: of the others nobody knows how long they took.
    ended: Vec<f64>,
}

/// From a time on, a share is left.
#[derive(Clone, Copy, Debug, PartialEq)]
struct SurvivalStep {
    seconds: f64,
    left: f64,
}

/// A quantile of such times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantile {
    /// So many seconds. An end of the interval that is none lies beyond what was watched.
    Seconds(f64, Option<f64>, Option<f64>),
    /// Longer than this, in seconds.
    LongerThan(f64),
}

/// Probability that the truth is beyond one end of an interval.
const BEYOND_AN_END: f64 = 0.025;

impl Survival {
    /// The estimate from what was watched. None of nothing.
    #[must_use]
    pub fn of(durations: &[Duration]) -> Option<Self> {
        let mut sorted = durations.to_vec();
        // What ends at a time was still there just before, and so was what was watched until then.
        sorted.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        sorted.last()?;
        let (mut at_risk, mut left) = (sorted.len() as f64, 1.0);
        let mut steps = Vec::new();
        for group in sorted.chunk_by(|a, b| a.seconds == b.seconds) {
            let ended = group.iter().filter(|duration| duration.ended).count() as f64;
            if ended > 0.0 {
                left *= 1.0 - ended / at_risk;
                steps.push(SurvivalStep {
                    seconds: group.first().map_or(0.0, |duration| duration.seconds),
                    left,
                });
            }
            at_risk -= group.len() as f64;
        }
        let censored = sorted.iter().filter(|duration| !duration.ended).count();
        let seconds = |duration: &Duration| duration.seconds;
        Some(Self {
            count: sorted.len(),
            censored,
            steps,
            shortest: sorted.iter().map(seconds).collect(),
            ended: sorted.iter().filter(|duration| duration.ended).map(seconds).collect(),
        })
    }

    /// From each of these times on, in seconds, this share takes longer.
    pub fn curve(&self) -> impl Iterator<Item = (f64, f64)> {
        self.steps.iter().map(|step| (step.seconds, step.left))
    }

    /// The time until which the curve is known, in seconds; none where it is known to its end.
    #[must_use]
    pub fn known_until(&self) -> Option<f64> {
        let is_whole = self.steps.last().is_some_and(|step| step.left <= 1e-12);
        if is_whole { None } else { self.shortest.last().copied() }
    }

    /// The share that takes longer than a time.
    #[must_use]
    pub fn left_at(&self, seconds: f64) -> f64 {
        self.steps.iter().take_while(|step| step.seconds <= seconds).last().map_or(1.0, |step| step.left)
    }

    /// The mean of the times, each counted up to a limit: the area below the curve (J. O. Irwin, The Standard Error of an Estimate of
    /// Expectation of Life, 1949). The limit must not lie beyond [`known_until`](Self::known_until).
    #[must_use]
    pub fn restricted_mean(&self, limit: f64) -> f64 {
        let (mut mean, mut from, mut left) = (0.0, 0.0, 1.0);
        for step in self.steps.iter().take_while(|step| step.seconds < limit) {
            mean += left * (step.seconds - from);
            (from, left) = (step.seconds, step.left);
        }
        // Of a curve that has come to its end nothing is left, up to whichever limit.
        if left > 1e-12 { mean + left * (limit - from) } else { mean }
    }

    /// The time within which such a share comes to its end. Its interval is between two of the times that were watched, which
    /// hold the quantile between them in 95 of 100 experiments whatever the times are distributed like, also where they are few
    /// (H. A. David and H. N. Nagaraja, Order Statistics, 2003, section 7.1); what was not seen to end may have ended at once,
    /// for the lower end, or never, for the upper one.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Quantile {
        // A share that is met exactly is met, whatever the rounding.
        let at = self.steps.iter().find(|step| step.left <= 1.0 - share + 1e-12).map(|step| step.seconds);
        let Some(at) = at else {
            return Quantile::LongerThan(self.shortest.last().copied().unwrap_or_default());
        };
        let (below, above) = ranks(self.count, share);
        let low = below.and_then(|rank| self.shortest.get(rank - 1).copied());
        let high = above.and_then(|rank| self.ended.get(rank - 1).copied());
        Quantile::Seconds(at, low.map(|low| low.min(at)), high.map(|high| high.max(at)))
    }
}

/// The largest rank of `count` times that is above a quantile in no more than [`BEYOND_AN_END`] of experiments, and the smallest
/// that is below it in no more: how many times are below it is binomial.
fn ranks(count: usize, share: f64) -> (Option<usize>, Option<usize>) {
    let (mut below, mut above) = (None, None);
    let (mut sum, mut logarithm) = (0.0_f64, count as f64 * (1.0 - share).ln());
    for rank in 1..=count {
        // Here `sum` is the probability that fewer than rank − 1 times are below the quantile.
        sum += logarithm.exp();
        if sum <= BEYOND_AN_END {
            below = Some(rank);
        }
        if above.is_none() && 1.0 - sum <= BEYOND_AN_END {
            above = Some(rank);
        }
        let before = (rank - 1) as f64;
        logarithm += ((count as f64 - before) / (before + 1.0) * share / (1.0 - share)).ln();
    }
    (below, above)
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
        // Of 21 times the sixth is above the median in 13 of 1000 experiments; the sixteenth is not known.
        assert_eq!(survival.quantile(0.5), Quantile::Seconds(23.0, Some(9.0), None));
        assert_eq!(survival.quantile(0.9), Quantile::LongerThan(35.0));
    }

    #[test]
    fn ranks_are_those_of_the_tables() {
        // David and Nagaraja: of 10 the second and the ninth hold the median, of 20 the sixth and the fifteenth.
        assert_eq!(ranks(10, 0.5), (Some(2), Some(9)));
        assert_eq!(ranks(20, 0.5), (Some(6), Some(15)));
        assert_eq!(ranks(1, 0.5), (None, None));
        assert_eq!(ranks(5, 0.5), (None, None));
        let (below, above) = ranks(10_000, 0.9);
        assert!(
            (8940..8943).contains(&below.unwrap()) && (9058..9061).contains(&above.unwrap()),
            "{below:?} {above:?}"
        );
    }

    #[test]
    fn what_never_ended_is_longer_than_it_was_watched_and_is_not_dropped() {
        let survival = Survival::of(&durations(&[(1.0, true), (60.0, false), (60.0, false)])).unwrap();
        assert_eq!(survival.quantile(0.3), Quantile::Seconds(1.0, None, None));
        assert_eq!(survival.quantile(0.5), Quantile::LongerThan(60.0));
        assert_eq!(Survival::of(&[]), None);
    }

    #[test]
    fn the_restricted_mean_is_the_mean_of_what_is_seen_up_to_the_limit() {
        let all = Survival::of(&durations(&[(1.0, true), (2.0, true), (6.0, true)])).unwrap();
        assert_eq!((all.known_until(), all.restricted_mean(f64::INFINITY)), (None, 3.0));
        assert_eq!(all.restricted_mean(3.0), 2.0, "1, 2 and 3");
        assert!((all.left_at(2.0) - 1.0 / 3.0).abs() < 1e-12 && all.left_at(0.5) == 1.0);
        let waiting = Survival::of(&durations(&[(1.0, true), (60.0, false)])).unwrap();
        assert_eq!((waiting.known_until(), waiting.restricted_mean(60.0)), (Some(60.0), 30.5));
        // Freireich's curve up to 23 weeks, step by step.
        let curve: Vec<_> = freireich().curve().collect();
        assert_eq!(curve.first().map(|(seconds, _)| *seconds), Some(6.0));
        let by_hand = 6.0
            + 0.857_142
            + 0.806_722 * 3.0
            + 0.752_941 * 3.0
            + 0.690_196 * 3.0
            + 0.627_451 * 6.0
            + 0.537_815;
        assert!((freireich().restricted_mean(23.0) - by_hand).abs() < 1e-4);
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
