//! Verdict on a difference: it differs, it is no larger than a margin, or it cannot be told yet.

use crate::stats::{PairedDifference, student};
use ramp_format::study::StudyFile;

/// Risk of each wrong statement.
pub const RISK: f64 = 0.05;
/// Probability with which the number of blocks that is advised is enough.
const POWER: f64 = 0.8;
/// More blocks than this are not looked for.
pub(super) const MOST_BLOCKS: u32 = 1000;
/// More blocks than this are no advice, unless a study has planned them.
const MOST_ADVISED: u32 = 100;

/// The most blocks that are advised in words. Programs have the number itself.
#[must_use]
pub fn most_advised(definition: &StudyFile) -> u32 {
    definition.blocks.bounds().1.max(MOST_ADVISED)
}

/// What can be said of a difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It is not 0: the p-value, adjusted for being one of several, is at most 5 %.
    Differs,
    /// It is within this margin on either side, at a risk of 5 %.
    NoLargerThan(f64),
    /// Neither, with so many more blocks that would probably tell; none where that is more than anybody would run.
    CannotTell(Option<u32>),
}

impl Verdict {
    /// Of a difference whose p-value, adjusted for being one of several, is this. A difference within the margin is of no consequence, even
    /// where it is not 0.
    #[must_use]
    pub fn of(found: &PairedDifference, adjusted_p: f64, margin: Option<f64>) -> Self {
        let margin = margin.map(|margin| (margin, found.difference.p_equivalent(margin)));
        Self::at_risk(RISK, found, adjusted_p, margin)
    }

    /// The same at another nominal risk. The margin comes with the p-value of a difference at least as large.
    #[must_use]
    pub fn at_risk(risk: f64, found: &PairedDifference, adjusted_p: f64, margin: Option<(f64, f64)>) -> Self {
        match margin {
            Some((margin, p_equivalent)) if p_equivalent <= risk => Self::NoLargerThan(margin),
            _ if adjusted_p <= risk => Self::Differs,
            _ => Self::CannotTell(more_blocks(risk, found, margin.map(|(margin, _)| margin))),
        }
    }
}

/// More blocks that would probably show that the difference is not 0, or is within the margin, if it is what it seems.
fn more_blocks(risk: f64, found: &PairedDifference, margin: Option<f64>) -> Option<u32> {
    let seen = found.difference.mean.abs();
    let enough = |blocks: u32| {
        let freedom = f64::from(blocks) - 1.0;
        let error = found.deviation / f64::from(blocks).sqrt();
        let needs = |risk: f64| (student(1.0 - risk, freedom) + student(POWER, freedom)) * error;
        needs(risk / 2.0) <= seen || margin.is_some_and(|margin| needs(risk) <= margin - seen)
    };
    let now = u32::try_from(found.blocks).ok()?;
    (now + 1..=MOST_BLOCKS).find(|blocks| enough(*blocks)).map(|blocks| blocks - now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Pair, paired};

    fn of(differences: &[f64]) -> PairedDifference {
        let pair = |difference: &f64| Pair {
            base: 100.0,
            other: 100.0 + difference,
            later_seconds: 0.0,
            ..Pair::default()
        };
        paired(&differences.iter().map(pair).collect::<Vec<_>>()).unwrap()
    }

    fn verdict(differences: &[f64], margin: f64) -> Verdict {
        let found = of(differences);
        Verdict::of(&found, found.difference.p_value(0.0), Some(margin))
    }

    #[test]
    fn a_difference_is_shown_or_excluded_or_neither() {
        assert_eq!(verdict(&[10.0, 10.5, 9.5, 10.1], 5.0), Verdict::Differs);
        assert_eq!(verdict(&[0.1, -0.1, 0.2, -0.2], 5.0), Verdict::NoLargerThan(5.0));
        assert_eq!(verdict(&[1.0, 1.01, 0.99, 1.0], 5.0), Verdict::NoLargerThan(5.0), "of no consequence");
        let Verdict::CannotTell(Some(more)) = verdict(&[10.0, -8.0, 9.0, -7.0], 5.0) else {
            panic!("it can")
        };
        assert!((10..200).contains(&more), "{more}");
        assert_eq!(verdict(&[100.0, -100.0], 1e-3), Verdict::CannotTell(None));
    }
}
