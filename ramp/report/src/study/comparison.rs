//! Comparison of two cells of a study, figure by figure: the difference, the ratio, and what can be said of it.

use super::figure::{STUDY_FIGURES, StudyFigure, StudyUnit};
use super::verdict::Verdict;
use crate::analysis::{Estimate, unavailable};
use crate::stats::{
    GroupedDuration, Interval, Pair, PairedDifference, PermutationTest, SEED, holm, log_rank, paired,
    permutation_test, ratio,
};
use ramp_format::study::Amount;

/// Confidence of the intervals.
const CONFIDENCE: f64 = 0.95;
/// The margin where the study file sets none, as a share of the base.
pub(super) const USUAL_SHARE: f64 = 0.05;
const USUAL_MARGIN: Amount = Amount::Share(USUAL_SHARE);

/// Standard deviation of the difference of two numbers that are rounded to whole ones: √(1/12 + 1/12).
pub(super) const ROUNDING_DEVIATION: f64 = 0.408_248_290_463_863;

/// A run of a cell, as far as comparisons need it.
#[derive(Clone, Debug)]
pub struct StudyRun {
    /// Its block.
    pub block: u32,
    /// When it began, in seconds since the study did.
    pub begin_seconds: f64,
    /// Its figures, in the order of [`STUDY_FIGURES`].
    pub figures: Vec<Estimate<f64>>,
    /// What its instances took to hold their memory.
    pub startups: Vec<crate::stats::Duration>,
}

/// Two cells, compared.
#[derive(Clone, Debug)]
pub struct CellComparison {
    /// Each figure, in the order of [`STUDY_FIGURES`].
    pub figures: Vec<Estimate<FigureComparison>>,
    /// Startups as a whole: the log-rank test, by relabelling the runs.
    pub startups: Estimate<StartupComparison>,
}

/// One figure of two cells.
#[derive(Clone, Debug)]
pub struct FigureComparison {
    /// Which figure.
    pub figure: &'static StudyFigure,
    /// The mean of the base.
    pub base: f64,
    /// The mean of the other cell.
    pub other: f64,
    /// Other − base, within blocks.
    pub difference: PairedDifference,
    /// Its 95 % interval.
    pub interval: Interval,
    /// Other ÷ base, with its 95 % interval; none where the base may be 0.
    pub ratio: Option<(f64, Interval)>,
    /// The p-value of no difference.
    pub p_value: f64,
    /// The same, adjusted for the number of figures.
    pub adjusted_p: f64,
    /// The same by relabelling the runs of each block.
    pub permutation: PermutationTest,
    /// The largest difference that is of no consequence, in the unit of the figure.
    pub margin: f64,
    /// What can be said.
    pub verdict: Verdict,
    /// Blocks without this figure in one of the two runs, and why.
    pub missing: Vec<(u32, String)>,
}

/// Startups of two cells, as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartupComparison {
    /// Standardized excess of ends of the other cell: positive where it starts faster.
    pub z: f64,
    /// By relabelling the runs of each block.
    pub permutation: PermutationTest,
}

impl CellComparison {
    /// Compares runs of two cells. `margin` is the largest difference that is of no consequence, by the name of the figure.
    #[must_use]
    pub fn of(base: &[StudyRun], other: &[StudyRun], margin: impl Fn(&str) -> Option<Amount>) -> Self {
        let blocks: Vec<(&StudyRun, &StudyRun)> = base
            .iter()
            .filter_map(|run| Some((run, other.iter().find(|other| other.block == run.block)?)))
            .collect();
        let mut figures: Vec<Estimate<FigureComparison>> = STUDY_FIGURES
            .iter()
            .enumerate()
            .map(|(at, figure)| compare(figure, at, &blocks, margin(figure.name).unwrap_or(USUAL_MARGIN)))
            .collect();
        let known: Vec<f64> = figures.iter().flatten().map(|figure| figure.p_value).collect();
        for (figure, adjusted) in figures.iter_mut().flatten().zip(holm(&known)) {
            figure.adjusted_p = adjusted;
            figure.verdict = Verdict::of(&figure.difference, adjusted, Some(figure.margin));
        }
        Self { figures, startups: startups(&blocks) }
    }
}

fn compare(
    figure: &'static StudyFigure,
    at: usize,
    blocks: &[(&StudyRun, &StudyRun)],
    margin: Amount,
) -> Estimate<FigureComparison> {
    let (mut pairs, mut missing) = (Vec::new(), Vec::new());
    for (base, other) in blocks {
        match (base.figures.get(at), other.figures.get(at)) {
            (Some(Ok(a)), Some(Ok(b))) => {
                pairs.push(Pair {
                    base: *a,
                    other: *b,
                    later_seconds: other.begin_seconds - base.begin_seconds,
                });
            }
            (Some(Err(why)), _) | (_, Some(Err(why))) => missing.push((base.block, why.0.clone())),
            _ => {}
        }
    }
    let difference = paired(&pairs).map(|difference| match figure.unit {
        StudyUnit::Instances => of_whole_numbers(difference),
        StudyUnit::Bytes | StudyUnit::Seconds => difference,
    });
    let Some(difference) = difference else {
        return match missing.first() {
            Some((block, why)) => {
                let have = if pairs.len() == 1 { "has" } else { "have" };
                unavailable(format!("needs two blocks, {} {have} it; block {block}: {why}", pairs.len()))
            }
            None => unavailable(format!(
                "needs two blocks, there {} {}",
                if pairs.len() == 1 { "is" } else { "are" },
                pairs.len()
            )),
        };
    };
    let mean = |of: fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let differences: Vec<f64> = pairs.iter().map(|pair| pair.other - pair.base).collect();
    let p_value = difference.difference.p_value(0.0);
    let base = mean(|pair| pair.base);
    let margin = margin.of(base);
    Ok(FigureComparison {
        figure,
        base,
        other: mean(|pair| pair.other),
        interval: difference.difference.interval(CONFIDENCE),
        ratio: ratio(&pairs, CONFIDENCE),
        p_value,
        adjusted_p: p_value,
        permutation: permutation_test(&differences, SEED),
        margin,
        verdict: Verdict::of(&difference, p_value, Some(margin)),
        difference,
        missing,
    })
}

/// A difference of counts: these are whole numbers, and where they are the same in each block that does not make them exact. Rounding adds
/// the variance of a uniform distribution to each.
fn of_whole_numbers(mut found: PairedDifference) -> PairedDifference {
    let least = ROUNDING_DEVIATION / (found.blocks as f64).sqrt();
    found.difference.standard_error = found.difference.standard_error.max(least);
    found.deviation = found.deviation.max(ROUNDING_DEVIATION);
    found
}

fn startups(blocks: &[(&StudyRun, &StudyRun)]) -> Estimate<StartupComparison> {
    let terms: Vec<_> = blocks
        .iter()
        .filter(|(base, other)| !base.startups.is_empty() && !other.startups.is_empty())
        .map(|(base, other)| {
            let of = |run: &StudyRun, is_second| {
                run.startups
                    .iter()
                    .map(|duration| GroupedDuration { duration: *duration, is_second })
                    .collect::<Vec<_>>()
            };
            log_rank(&[of(base, false), of(other, true)].concat())
        })
        .collect();
    if terms.len() < 2 {
        let are = if terms.len() == 1 { "is" } else { "are" };
        return unavailable(format!("needs two blocks with startups, there {are} {}", terms.len()));
    }
    let variance: f64 = terms.iter().map(|term| term.variance).sum();
    let excess: Vec<f64> = terms.iter().map(|term| term.excess).collect();
    if variance <= 0.0 {
        return unavailable("all instances started within the same time");
    }
    Ok(StartupComparison {
        z: excess.iter().sum::<f64>() / variance.sqrt(),
        permutation: permutation_test(&excess, SEED),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(held: &[f64]) -> Vec<StudyRun> {
        let run = |(block, held): (u32, &f64)| {
            let value = |figure: &StudyFigure| match figure.name {
                "instances_held" => Ok(*held),
                _ => unavailable("not measured"),
            };
            let figures = STUDY_FIGURES.iter().map(value).collect();
            StudyRun { block, begin_seconds: f64::from(block), figures, startups: Vec::new() }
        };
        (1..).zip(held).map(run).collect()
    }

    fn held(base: &[f64], other: &[f64]) -> FigureComparison {
        let compared = CellComparison::of(&runs(base), &runs(other), |_| None);
        compared.figures.into_iter().flatten().next().unwrap()
    }

    #[test]
    fn counts_that_are_the_same_in_each_block_are_not_exact() {
        let two = held(&[14.0, 14.0], &[13.0, 13.0]);
        assert!(
            matches!(two.verdict, Verdict::CannotTell(_)),
            "two blocks may both be one apart by chance: {two:?}"
        );
        let four = held(&[14.0; 4], &[8.0; 4]);
        assert_eq!(four.verdict, Verdict::Differs);
        assert!((0.5..0.8).contains(&four.interval.half_width()), "{four:?}");
        assert!(matches!(held(&[14.0; 4], &[14.0; 4]).verdict, Verdict::NoLargerThan(_)));
    }
}
