//! Regression of CPU time, where what is left over is a random walk, a rate that persists for a while, and noise.
//!
//! CPU time that a machine uses by itself is a series with a level and a drift of its own, like its memory ([`super::fit`]). But a program
//! that runs for some seconds uses CPU time at a rate, so the increments of neighbouring seconds go the same way. That rate is an
//! Ornstein–Uhlenbeck process here (A. C. Harvey, Forecasting, Structural Time Series Models and the Kalman Filter, 1989, chapter 9), whose
//! share and time of correlation are integrated out over a grid, as the walk is.

use super::local_level::{Disturbance, Fit, OF_GROUPS, Observation, fit_groups_with, unwhitened};

/// What is left over, in variances of the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct CpuDisturbance {
    /// Of the walk, in a second.
    walk: f64,
    /// Of the persisting rate.
    rate: f64,
    /// Its time of correlation, in seconds.
    seconds: f64,
}

/// Variance of the walk in a second, in variances of the noise.
const WALKS: [f64; 5] = [0.1, 1.0, 10.0, 100.0, 1000.0];
/// Variance of a persisting rate, in that of the walk in a second.
const PERSISTING: [f64; 4] = [0.1, 1.0, 10.0, 100.0];
/// Times of correlation, in seconds.
const TIMES: [f64; 4] = [4.0, 15.0, 60.0, 240.0];

impl CpuDisturbance {
    fn all() -> impl Iterator<Item = Self> {
        let rates = || {
            let some = TIMES.iter().flat_map(|seconds| PERSISTING.iter().map(|times| (*times, *seconds)));
            std::iter::once((0.0, 1.0)).chain(some)
        };
        WALKS.into_iter().flat_map(move |walk| {
            rates().map(move |(times, seconds)| Self { walk, rate: times * walk, seconds })
        })
    }

    /// How the rate goes on for some seconds: what is left of it, what it adds meanwhile, and the variances and the covariance of what is
    /// new of both.
    fn step(self, seconds: f64) -> [f64; 5] {
        let at = seconds / self.seconds;
        let left = (-at).exp();
        let added = self.seconds * (1.0 - left);
        let of_rate = self.rate * (1.0 - left * left);
        let of_both = self.rate * self.seconds * (1.0 - left).powi(2);
        let of_sum = self.rate * self.seconds.powi(2) * (2.0 * at - 3.0 + 4.0 * left - left * left);
        [left, added, of_rate, of_both, of_sum.max(0.0)]
    }
}

impl Disturbance for CpuDisturbance {
    // A sample is off by 5 ms: idle, iowait and steal time each count in hundredths.
    const LEAST_VARIANCE: f64 = 0.005 * 0.005;

    fn log_prior(self) -> f64 {
        // What persists for as long as a run does is hardly seen in it, and is what an interval is too narrow by.
        (1.0 + self.rate / self.walk * self.seconds).ln()
    }

    fn whiten<const C: usize, const K: usize>(
        self,
        series: &[Observation<C>],
        mut take: impl FnMut(&[f64; K]),
    ) -> f64 {
        let mut log_determinant = 0.0;
        let Some(first) = series.first() else { return log_determinant };
        // Sum and rate of each column, and their variances with the covariance between them.
        let mut states = [[0.0; 2]; K];
        let (mut of_sum, mut of_both, mut of_rate) = (0.0, 0.0, self.rate);
        let mut last = first;
        // Samples are taken at regular intervals.
        let (mut seconds, mut step) = (0.0, self.step(0.0));
        for observation in series {
            let since = (observation.seconds - last.seconds).max(0.0);
            if since != seconds {
                (seconds, step) = (since, self.step(since));
            }
            let [left, added, new_rate, new_both, new_sum] = step;
            let walked = self.walk * seconds;
            last = observation;
            of_sum += 2.0 * added * of_both + added * added * of_rate + new_sum + walked;
            of_both = left * (of_both + added * of_rate) + new_both;
            of_rate = left * left * of_rate + new_rate;
            let total: f64 = of_sum + 1.0;
            let (gain_sum, gain_rate) = (of_sum / total, of_both / total);
            let scale = total.sqrt().recip();
            let columns = unwhitened::<C, K>(observation, first.seconds);
            let mut row = [0.0; K];
            for ((cell, [sum, rate]), column) in row.iter_mut().zip(&mut states).zip(columns) {
                *sum += added * *rate;
                *rate *= left;
                let innovation = column - *sum;
                *sum += gain_sum * innovation;
                *rate += gain_rate * innovation;
                *cell = innovation * scale;
            }
            of_rate -= gain_rate * of_both;
            of_both *= 1.0 - gain_sum;
            of_sum *= 1.0 - gain_sum;
            log_determinant += total.ln();
            take(&row);
        }
        log_determinant
    }
}

/// Fits CPU seconds of kernels, each of which has a level and a drift of its own: starts of each group of instances are the first half of
/// the regressors, seconds of its instances the second half. None where there are too few observations, or starts of the first group
/// cannot be told from level and drift.
#[must_use]
pub fn fit_cpu_time(series: &[Vec<Observation<OF_GROUPS>>]) -> Option<Fit<OF_GROUPS>> {
    fit_groups_with(series, CpuDisturbance::all())
}

#[cfg(test)]
mod tests {
    use ramp_format::plan::MOST_GROUPS;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::stats::Interval;

    /// A minute of nothing, then ten instances at once, for another minute.
    fn dwell(walk: f64, rate: f64, correlation: f64, random: &mut Pcg64Mcg) -> Vec<Observation<OF_GROUPS>> {
        let normal = |random: &mut Pcg64Mcg| -> f64 { StandardNormal.sample(random) };
        let (mut level, mut persisting) = (0.0, rate * normal(random));
        let left = (-1.0 / correlation).exp();
        let at = |second: u32| {
            persisting = left * persisting + rate * (1.0 - left * left).sqrt() * normal(random);
            level += 0.1 + persisting + walk * normal(random);
            let mut x = [0.0; OF_GROUPS];
            let since = second.saturating_sub(60);
            x[0] = if since > 0 { 10.0 } else { 0.0 };
            x[MOST_GROUPS] = 10.0 * f64::from(since);
            let y = level + 0.5 * x[0] + 0.02 * x[MOST_GROUPS];
            Observation { seconds: f64::from(second), x, y: (y * 100.0).floor() / 100.0 }
        };
        (0..=120).map(at).filter(|at| !(58.0..63.0).contains(&at.seconds)).collect()
    }

    #[test]
    fn its_intervals_hold_the_truth_whether_the_machine_is_quiet_or_its_programs_run_for_a_while() {
        for (walk, rate, correlation) in [(0.05, 0.0, 1.0), (0.01, 0.05, 30.0)] {
            let mut random = Pcg64Mcg::seed_from_u64(7);
            let runs = 24;
            let mut holds = [0; 2];
            let mut squares = [0.0_f64; 2];
            for _ in 0..runs {
                let fit = fit_cpu_time(&[dwell(walk, rate, correlation, &mut random)]).unwrap();
                let drawn = fit.draws(400, 1);
                for (at, (index, truth)) in [(0, 0.5), (MOST_GROUPS, 0.02)].into_iter().enumerate() {
                    let interval =
                        Interval::of(&drawn.iter().map(|drawn| drawn[index]).collect::<Vec<_>>()).unwrap();
                    holds[at] += u32::from(interval.contains(truth));
                    let mut of = [0.0; OF_GROUPS];
                    of[index] = 1.0;
                    let mean = fit.mean(of);
                    assert!(interval.contains(mean), "{mean} is not in {interval:?}");
                    squares[at] += (mean - truth).powi(2);
                }
            }
            assert!(
                holds.iter().all(|holds| holds * 100 >= 88 * runs),
                "{holds:?} of {runs}: {walk} {rate} {correlation}"
            );
            // Intervals allow for what is seldom; the figure itself is hardly less exact than the difference of both rates.
            let (deviation, of_rates) =
                ((squares[1] / f64::from(runs)).sqrt(), walk * (2.0_f64 / 58.0).sqrt() / 10.0);
            assert!(rate > 0.0 || deviation < 1.3 * of_rates, "{deviation} where rates have {of_rates}");
        }
    }
}
