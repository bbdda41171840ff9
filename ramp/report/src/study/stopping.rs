//! Stopping rule: when a study whose number of blocks is open has the precision asked for, and what that does to its intervals.
//!
//! A study that ends as soon as its interval is narrow ends more often where the deviation was underestimated: of ordinary 95 % intervals
//! as few as 89 of 100 hold the truth then. Stein's two stages (C. Stein, A Two-Sample Test for a Linear Hypothesis Whose Power is
//! Independent of the Variance, 1945) would be exact, and need more than twice the blocks of this rule: at least four blocks, the
//! precision reached with all of them and with all but the last, and intervals of a nominal confidence of 97 %. Of these 94 to 97 of 100
//! hold the truth.

use super::verdict::{MOST_BLOCKS, RISK};
use crate::stats::{FEWEST_FOR_DRIFT, Pair, PairedDifference, paired, student};
use ramp_format::study::{Blocks, StudyFile};

/// Fewest blocks of a study that ends by its precision.
const FEWEST_BLOCKS: usize = 4;

/// What ends a study.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stopping {
    /// A number of blocks that was set before.
    #[default]
    Fixed,
    /// The precision of this figure, among others.
    AtPrecision,
}

impl Stopping {
    /// What ends a study, as far as this figure is concerned.
    #[must_use]
    pub fn of(definition: &StudyFile, figure: &str) -> Self {
        match definition.blocks {
            Blocks::Bounds { .. } if definition.precision.of(figure).is_some() => Self::AtPrecision,
            _ => Self::Fixed,
        }
    }

    /// Risk at which tests and intervals are computed, so that 5 % is what they have.
    #[must_use]
    pub fn nominal_risk(self) -> f64 {
        match self {
            Self::Fixed => RISK,
            Self::AtPrecision => 0.03,
        }
    }

    /// Nominal confidence of the intervals, so that 95 % is what they have.
    #[must_use]
    pub fn nominal_confidence(self) -> f64 {
        1.0 - self.nominal_risk()
    }

    /// Whether the interval of the difference has this half-width, for good.
    #[must_use]
    pub fn is_reached(self, pairs: &[Pair], half_width: f64) -> bool {
        let is_narrow = |pairs: &[Pair]| {
            let found = paired(pairs);
            found.is_some_and(|found| {
                found.difference.interval(self.nominal_confidence()).half_width() <= half_width
            })
        };
        match (self, pairs) {
            (Self::Fixed, _) => is_narrow(pairs),
            (Self::AtPrecision, [before @ .., _]) => {
                pairs.len() >= FEWEST_BLOCKS && is_narrow(pairs) && is_narrow(before)
            }
            (Self::AtPrecision, []) => false,
        }
    }

    /// Blocks in all with which the interval would probably have this half-width, where it has not yet, by the deviation of the
    /// differences so far (T. Kalibera and R. Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013, section 6). None where that is
    /// more than anybody would run.
    #[must_use]
    pub fn blocks_needed(self, found: &PairedDifference, half_width: f64) -> Option<u32> {
        let n = found.blocks as f64;
        // What is left beside a drift, where that is a term of the model.
        let deviation = found.difference.standard_error * n.sqrt();
        let is_narrow = |blocks: &u32| {
            let lost = if *blocks as usize >= FEWEST_FOR_DRIFT && found.drift.is_some() { 2.0 } else { 1.0 };
            let blocks = f64::from(*blocks);
            student(1.0 - self.nominal_risk() / 2.0, blocks - lost) * deviation / blocks.sqrt() <= half_width
        };
        let now = u32::try_from(found.blocks).ok()?;
        match self {
            Self::Fixed => (2..=MOST_BLOCKS).find(is_narrow),
            // Twice in a row, the first time perhaps with the blocks that there are.
            Self::AtPrecision => {
                (now.max(FEWEST_BLOCKS as u32 - 1)..MOST_BLOCKS).find(is_narrow).map(|first| first + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_distr::{Distribution, StandardNormal, StudentT};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// What the differences are off by: their deviation is 1.
    #[derive(Clone, Copy, Debug)]
    enum Errors {
        Normal,
        /// Of Student's distribution with three degrees of freedom.
        HeavyTails,
        /// A drift of the cluster, beside normal errors.
        Drift,
    }

    fn pair(errors: Errors, deviation: f64, truth: f64, random: &mut Pcg64Mcg) -> Pair {
        let later = if random.random() { 60.0 } else { -60.0 };
        let normal: f64 = StandardNormal.sample(random);
        let off = match errors {
            Errors::Normal => normal,
            Errors::HeavyTails => StudentT::new(3.0).unwrap().sample(random) / 3.0_f64.sqrt(),
            Errors::Drift => 0.8 * normal + 0.01 * later,
        };
        Pair { base: 100.0, other: 100.0 + truth + deviation * off, later_seconds: later, ..Pair::default() }
    }

    /// The blocks of a study that goes on until its precision is ±1.
    fn study(errors: Errors, truth: f64, random: &mut Pcg64Mcg) -> Vec<Pair> {
        let deviation = [0.5, 1.0, 1.5, 2.0][random.random_range(0..4)];
        let mut pairs = Vec::new();
        while !Stopping::AtPrecision.is_reached(&pairs, 1.0) && pairs.len() < 60 {
            pairs.push(pair(errors, deviation, truth, random));
        }
        pairs
    }

    #[test]
    fn intervals_of_studies_that_end_by_their_precision_hold_the_truth_as_often_as_they_say() {
        const STUDIES: usize = 2000;
        const TRUTH: f64 = 10.0;
        for errors in [Errors::Normal, Errors::HeavyTails, Errors::Drift] {
            let mut random = Pcg64Mcg::seed_from_u64(21);
            let (mut holds, mut ordinary, mut equal, mut blocks) = (0, 0, 0, 0);
            for _ in 0..STUDIES {
                let pairs = study(errors, TRUTH, &mut random);
                let found = paired(&pairs).unwrap().difference;
                let contains = |confidence: f64| usize::from(found.interval(confidence).contains(TRUTH));
                holds += contains(Stopping::AtPrecision.nominal_confidence());
                ordinary += contains(Stopping::Fixed.nominal_confidence());
                equal += usize::from(found.p_equivalent(TRUTH) <= Stopping::AtPrecision.nominal_risk());
                blocks += pairs.len();
            }
            let share = |count: usize| count as f64 / STUDIES as f64;
            #[allow(clippy::print_stdout, reason = "how often each is wrong is what a reader looks for")]
            {
                println!(
                    "{errors:?}: {:.3} hold the truth ({:.3} of ordinary ones), {:.3} wrongly equivalent, {:.1} blocks",
                    share(holds),
                    share(ordinary),
                    share(equal),
                    share(blocks)
                );
            }
            assert!((0.93..=0.97).contains(&share(holds)), "{errors:?}: {}", share(holds));
            assert!(share(equal) <= 0.05, "{errors:?}: {}", share(equal));
        }
    }

    #[test]
    fn four_blocks_are_the_fewest_however_well_they_agree() {
        let same = [Pair { base: 1.0, other: 3.0, later_seconds: 0.0, ..Pair::default() }; 4];
        let reached = [1, 2, 3, 4].map(|blocks| Stopping::AtPrecision.is_reached(&same[..blocks], 0.1));
        assert_eq!(reached, [false, false, false, true]);
        assert!(Stopping::Fixed.is_reached(&same[..2], 0.1) && !Stopping::Fixed.is_reached(&same[..1], 0.1));
        let found = paired(&same[..2]).unwrap();
        assert_eq!(Stopping::AtPrecision.blocks_needed(&found, 0.1), Some(4));
    }

    #[test]
    fn once_reached_is_not_reached_where_the_block_before_did_not_have_it() {
        let of = |differences: &[f64]| -> Vec<Pair> {
            let pair = |difference: &f64| Pair {
                base: 1.0,
                other: 1.0 + difference,
                later_seconds: 0.0,
                ..Pair::default()
            };
            differences.iter().map(pair).collect()
        };
        // With 3 blocks ±0.68, with 4 ±0.30, with 5 ±0.22.
        let pairs = of(&[1.0, 1.3, 0.9, 1.1, 1.1]);
        assert!(!Stopping::AtPrecision.is_reached(&pairs[..4], 0.5));
        assert!(Stopping::AtPrecision.is_reached(&pairs, 0.5));
        assert!(!Stopping::AtPrecision.is_reached(&pairs, 0.25));
    }

    #[test]
    fn the_blocks_needed_grow_with_the_square_of_the_precision() {
        let pairs = [1.0, -1.0, 1.0, -1.0].map(|difference| Pair {
            base: 1.0,
            other: 1.0 + difference,
            later_seconds: 0.0,
            ..Pair::default()
        });
        let found = paired(&pairs).unwrap();
        let needed = |half_width: f64| Stopping::Fixed.blocks_needed(&found, half_width);
        assert_eq!(needed(11.0), Some(2));
        let (some, more) = (needed(0.5).unwrap(), needed(0.25).unwrap());
        assert!((22..26).contains(&some) && (81..87).contains(&more), "{some} {more}");
        assert_eq!(needed(1e-6), None);
        let sequential = Stopping::AtPrecision.blocks_needed(&found, 0.5).unwrap();
        assert!(sequential > some, "{sequential}");
    }
}
