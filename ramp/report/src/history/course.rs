//! Course of a figure: its values in the order of the runs, the levels between its change points, and single runs that are off.

use crate::stats::{ChangePoint, FEWEST_FOR_OUTLIERS, Outlier, change_points, outliers, segments};

/// Probability that a figure that never changed has a change point.
const CHANGE_RISK: f64 = 0.015;
/// Probability that the runs of a figure that never changed have an outlier, if they vary normally.
const OUTLIER_RISK: f64 = 0.03;

/// What a series of values shows. Of a figure that never changed, 95 % of the series show nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// Where the level changes, in order.
    pub changes: Vec<ChangePoint>,
    /// Runs that are off the level of the others, in order.
    pub outliers: Vec<Outlier>,
}

impl Course {
    /// Of values, in the order of their runs; `step` is what they are rounded to (1 for counts, else 0).
    #[must_use]
    pub fn of(values: &[f64], step: f64) -> Self {
        let changes = change_points(values, CHANGE_RISK);
        let mut found = Vec::new();
        let mut begin = 0;
        let segments = segments(values, &changes);
        let tested = |segment: &&[f64]| segment.len() >= FEWEST_FOR_OUTLIERS;
        let all: usize = segments.iter().filter(|segment| tested(segment)).map(|segment| segment.len()).sum();
        for segment in segments {
            // Each stretch has its share of the risk.
            let risk = OUTLIER_RISK * segment.len() as f64 / all.max(1) as f64;
            let of_segment = outliers(segment, risk, step);
            found.extend(of_segment.into_iter().map(|outlier| Outlier { at: begin + outlier.at, ..outlier }));
            begin += segment.len();
        }
        Self { changes, outliers: found }
    }

    /// Whether it shows nothing.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.changes.is_empty() && self.outliers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_distr::{Distribution, LogNormal, StandardNormal, StudentT};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// What runs vary by; its deviation is 1 % of the level.
    #[derive(Clone, Copy, Debug)]
    enum Noise {
        Normal,
        /// Log-normal, with a skewness of 1.75.
        Skewed,
        /// Of Student's distribution with five degrees of freedom.
        HeavyTails,
    }

    impl Noise {
        fn draw(self, random: &mut Pcg64Mcg) -> f64 {
            let skewed =
                |drawn: f64| (drawn - 0.125_f64.exp()) / (0.25_f64.exp() * (0.25_f64.exp() - 1.0)).sqrt();
            match self {
                Self::Normal => StandardNormal.sample(random),
                Self::Skewed => skewed(LogNormal::new(0.0, 0.5).unwrap().sample(random)),
                Self::HeavyTails => StudentT::new(5.0).unwrap().sample(random) / (5.0_f64 / 3.0).sqrt(),
            }
        }

        /// Runs of a figure of 500 MB.
        fn series(self, runs: usize, random: &mut Pcg64Mcg) -> Vec<f64> {
            (0..runs).map(|_| 500e6 * (1.0 + 0.01 * self.draw(random))).collect()
        }
    }

    /// Shares of so many series, changed in this way by their number, of which each of these is so.
    fn shares<const N: usize>(
        (noise, runs, all): (Noise, usize, usize),
        change: impl Fn(usize, &mut [f64]),
        are_so: impl Fn(usize, &Course) -> [bool; N],
    ) -> [f64; N] {
        let mut random = Pcg64Mcg::seed_from_u64(23);
        let mut counts = [0_usize; N];
        for number in 0..all {
            let mut values = noise.series(runs, &mut random);
            change(number, &mut values);
            let found = are_so(number, &Course::of(&values, 0.0));
            counts.iter_mut().zip(found).for_each(|(count, is_so)| *count += usize::from(is_so));
        }
        let shares = counts.map(|count| count as f64 / all as f64);
        #[allow(
            clippy::print_stdout,
            reason = "the rates are what a reader looks for, and docs/history.md states them"
        )]
        {
            println!("{noise:?}, {runs} runs: {shares:.3?} of {all}");
        }
        shares
    }

    /// Changes, outliers, either.
    fn found(course: &Course) -> [bool; 3] {
        [!course.changes.is_empty(), !course.outliers.is_empty(), !course.is_quiet()]
    }

    /// The level of the last runs is 5 % higher.
    fn shift(last: usize) -> impl Fn(usize, &mut [f64]) {
        move |_, values: &mut [f64]| values.iter_mut().rev().take(last).for_each(|value| *value *= 1.05)
    }

    /// One run is 5 % higher, each in turn.
    fn spike(number: usize, values: &mut [f64]) {
        let at = number % values.len();
        values[at] *= 1.05;
    }

    #[test]
    fn of_quiet_series_at_most_5_percent_show_something() {
        for (runs, all) in [(5, 1000), (10, 1000), (30, 1000), (100, 60)] {
            let [_, _, either] = shares((Noise::Normal, runs, all), |_, _| {}, |_, course| found(course));
            assert!(either <= 0.05, "{runs} runs: {either}");
        }
    }

    #[test]
    fn change_points_are_as_rare_whatever_the_noise_is() {
        for noise in [Noise::Skewed, Noise::HeavyTails] {
            let [changes, ..] = shares((noise, 30, 400), |_, _| {}, |_, course| found(course));
            assert!(changes <= 0.03, "{noise:?}: {changes}");
        }
    }

    #[test]
    fn a_level_that_shifts_by_5_percent_is_found_also_in_the_last_two_runs() {
        for last in [2, 3, 5, 15, 28] {
            let is_found = |_, course: &Course| [course.changes.iter().any(|change| change.at == 30 - last)];
            let [found] = shares((Noise::Normal, 30, 50), shift(last), is_found);
            assert!(found >= 0.88, "in the last {last}: {found}");
        }
    }

    #[test]
    fn a_single_run_that_is_off_by_5_percent_is_an_outlier_and_no_change() {
        let found = |number: usize, course: &Course| {
            [course.outliers.iter().any(|outlier| outlier.at == number % 30), !course.changes.is_empty()]
        };
        let [is_outlier, is_change] = shares((Noise::Normal, 30, 600), spike, found);
        assert!(is_outlier >= 0.8 && is_change <= 0.03, "{is_outlier} {is_change}");
    }

    /// The tables of docs/history.md.
    #[test]
    #[ignore = "needs minutes: it measures the rates that docs/history.md states"]
    fn rates_of_the_manual() {
        for noise in [Noise::Normal, Noise::Skewed, Noise::HeavyTails] {
            for (runs, all) in [(5, 2000), (10, 2000), (30, 2000), (100, 500)] {
                shares((noise, runs, all), |_, _| {}, |_, course| found(course));
            }
        }
        for (runs, all) in [(10, 500), (30, 300), (100, 30)] {
            for last in [1, 2, 3, 4, 5, runs / 2] {
                let is_found = |_, course: &Course| {
                    [course.changes.iter().any(|change| change.at == runs - last), !course.is_quiet()]
                };
                shares((Noise::Normal, runs, all), shift(last), is_found);
            }
            let is_found = |number: usize, course: &Course| {
                [course.outliers.iter().any(|outlier| outlier.at == number % runs), !course.is_quiet()]
            };
            shares((Noise::Normal, runs, all), spike, is_found);
        }
    }

    #[test]
    fn two_shifts_and_an_outlier_are_told_apart() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let mut values = Noise::Normal.series(40, &mut random);
        values.iter_mut().skip(15).take(12).for_each(|value| *value *= 1.06);
        values[35] *= 0.9;
        let course = Course::of(&values, 0.0);
        assert_eq!(course.changes.iter().map(|change| change.at).collect::<Vec<_>>(), [15, 27], "{course:?}");
        assert_eq!(course.outliers.iter().map(|outlier| outlier.at).collect::<Vec<_>>(), [35], "{course:?}");
    }

    #[test]
    fn what_never_varies_shows_nothing() {
        for runs in [0, 1, 2, 3, 30] {
            assert!(Course::of(&vec![14.0; runs], 1.0).is_quiet(), "{runs}");
        }
    }
}
