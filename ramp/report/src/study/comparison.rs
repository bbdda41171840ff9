//! Comparison of two cells of a study, figure by figure: the difference, the ratio, and what can be said of it.

use super::components::ABSENT;
use super::figure::{STUDY_FIGURES, StudyFigure, StudyUnit, Topic};
use super::startup_phases::{is_below_resolution, systematic_deviation};
use super::stopping::Stopping;
use super::verdict::Verdict;
use crate::analysis::{Estimate, unavailable};
use crate::stats::{
    GroupedDuration, Interval, Pair, PairedDifference, PermutationTest, SEED, holm, log_rank, paired,
    permutation_test, ratio,
};
use ramp_format::study::Tolerance;

/// The margin where the study file sets none, as a share of the base.
const USUAL_SHARE: f64 = 0.05;
const USUAL_MARGIN: Tolerance = Tolerance::Share(USUAL_SHARE);

/// The same of a component, in bytes: a share of one that the base may lack is nothing.
const USUAL_OF_COMPONENT: Tolerance = Tolerance::Absolute(1_048_576.0);

/// The margin of a figure where the study file sets none.
pub(super) fn usual_margin(figure: &StudyFigure) -> Tolerance {
    if figure.topic.is_of_parts() { USUAL_OF_COMPONENT } else { USUAL_MARGIN }
}

/// Standard deviation of the difference of two numbers that are rounded to whole ones: √(1/12 + 1/12).
pub(super) const ROUNDING_DEVIATION: f64 = 0.408_248_290_463_863;

/// How each reason begins that is one of too few blocks.
pub(super) const FEW_BLOCKS: &str = "needs two blocks";

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
    /// The p-value of a difference that is at least as large as the margin.
    pub p_equivalent: f64,
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
    pub fn of(base: &[StudyRun], other: &[StudyRun], margin: impl Fn(&str) -> Option<Tolerance>) -> Self {
        Self::stopped(base, other, margin, |_| Stopping::Fixed)
    }

    /// The same where the number of blocks may depend on what was seen, by the name of the figure.
    #[must_use]
    pub fn stopped(
        base: &[StudyRun],
        other: &[StudyRun],
        margin: impl Fn(&str) -> Option<Tolerance>,
        stopping: impl Fn(&str) -> Stopping,
    ) -> Self {
        let blocks = whole_blocks(base, other);
        let mut figures: Vec<Estimate<FigureComparison>> = STUDY_FIGURES
            .iter()
            .enumerate()
            .map(|(at, figure)| {
                let margin = margin(figure.name).unwrap_or_else(|| usual_margin(figure));
                compare(figure, at, &blocks, margin, stopping(figure.name))
            })
            .collect();
        for topic in Topic::ALL {
            let is_one = |figure: &FigureComparison| figure.is_adjusted_with(topic);
            let known: Vec<f64> = figures
                .iter()
                .flatten()
                .filter(|figure| is_one(figure))
                .map(|figure| figure.p_value)
                .collect();
            let measured = figures.iter_mut().flatten().filter(|figure| is_one(figure));
            for (figure, adjusted) in measured.zip(holm(&known)) {
                figure.adjusted_p = adjusted;
                let margin = (figure.margin, figure.p_equivalent);
                let risk = stopping(figure.figure.name).nominal_risk();
                figure.verdict = Verdict::at_risk(risk, &figure.difference, adjusted, Some(margin));
                if let Verdict::CannotTell(_) = figure.verdict
                    && is_below_resolution(figure.figure.name, figure.difference.difference.mean)
                {
                    figure.verdict = Verdict::CannotTell(None);
                }
            }
        }
        Self { figures, startups: startups(&blocks) }
    }

    /// The number of figures that the p-value of a figure of this topic is adjusted for.
    #[must_use]
    pub fn adjusted_for(&self, topic: Topic) -> usize {
        self.figures.iter().flatten().filter(|figure| figure.is_adjusted_with(topic)).count()
    }
}

impl FigureComparison {
    /// Whether its p-value is one of those that are adjusted together.
    fn is_adjusted_with(&self, topic: Topic) -> bool {
        self.figure.topic == topic && !self.figure.is_exact()
    }
}

/// The runs of each block that has both.
fn whole_blocks<'r>(base: &'r [StudyRun], other: &'r [StudyRun]) -> Vec<(&'r StudyRun, &'r StudyRun)> {
    base.iter().filter_map(|run| Some((run, other.iter().find(|other| other.block == run.block)?))).collect()
}

/// A figure (its index) of the runs of each block, and the blocks without it, with the reason.
fn pairs_of(at: usize, blocks: &[(&StudyRun, &StudyRun)]) -> (Vec<Pair>, Vec<(u32, String)>) {
    let (mut pairs, mut missing) = (Vec::new(), Vec::new());
    for (base, other) in blocks {
        match (base.figures.get(at), other.figures.get(at)) {
            (Some(Ok(a)), Some(Ok(b))) => {
                pairs.push(Pair {
                    base: *a,
                    other: *b,
                    begin_seconds: base.begin_seconds,
                    later_seconds: other.begin_seconds - base.begin_seconds,
                });
            }
            (Some(Err(why)), _) | (_, Some(Err(why))) => missing.push((base.block, why.0.clone())),
            _ => {}
        }
    }
    (pairs, missing)
}

/// A figure (its index) of the runs of each block of two cells, where both have it.
pub(super) fn figure_pairs(at: usize, base: &[StudyRun], other: &[StudyRun]) -> Vec<Pair> {
    pairs_of(at, &whole_blocks(base, other)).0
}

/// The larger p-value of the two hypotheses that the other one is larger or smaller than the base by at least the margin. A share is of
/// the true base, of which the runs tell only so much: other − (1 ± share) × base is what is tested.
fn p_equivalent(
    figure: &StudyFigure,
    pairs: &[Pair],
    difference: &PairedDifference,
    margin: Tolerance,
) -> f64 {
    let Tolerance::Share(share) = margin else { return difference.difference.p_equivalent(margin.of(0.0)) };
    let beyond = |sign: f64| {
        let shifted = |pair: &Pair| Pair { base: pair.base + sign * share * pair.base.abs(), ..*pair };
        let found = difference_of(figure, &pairs.iter().map(shifted).collect::<Vec<_>>());
        found.map_or(1.0, |found| found.difference.p_below(sign))
    };
    beyond(1.0).max(beyond(-1.0))
}

fn compare(
    figure: &'static StudyFigure,
    at: usize,
    blocks: &[(&StudyRun, &StudyRun)],
    margin: Tolerance,
    stopping: Stopping,
) -> Estimate<FigureComparison> {
    let (pairs, missing) = pairs_of(at, blocks);
    if (figure.component().is_some() || figure.topic == Topic::Swap)
        && pairs.iter().all(|pair| pair.base == 0.0 && pair.other == 0.0)
        && pairs.len() > 1
    {
        return unavailable(ABSENT);
    }
    let confidence = stopping.nominal_confidence();
    let Some(difference) = difference_of(figure, &pairs) else {
        return match missing.first() {
            Some((block, why)) => {
                let have = if pairs.len() == 1 { "has" } else { "have" };
                unavailable(format!("{FEW_BLOCKS}, {} {have} it; block {block}: {why}", pairs.len()))
            }
            None => unavailable(format!(
                "{FEW_BLOCKS}, there {} {}",
                if pairs.len() == 1 { "is" } else { "are" },
                pairs.len()
            )),
        };
    };
    let mean = |of: fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / pairs.len() as f64;
    let differences: Vec<f64> = pairs.iter().map(|pair| pair.other - pair.base).collect();
    let p_value = difference.difference.p_value(0.0);
    let base = mean(|pair| pair.base);
    let p_equivalent = p_equivalent(figure, &pairs, &difference, margin);
    let margin = margin.of(base);
    Ok(FigureComparison {
        figure,
        base,
        other: mean(|pair| pair.other),
        interval: difference.difference.interval(confidence),
        ratio: ratio(&pairs, confidence),
        p_value,
        adjusted_p: p_value,
        p_equivalent,
        permutation: permutation_test(&differences, SEED),
        margin,
        verdict: Verdict::at_risk(
            stopping.nominal_risk(),
            &difference,
            p_value,
            Some((margin, p_equivalent)),
        ),
        difference,
        missing,
    })
}

/// The difference between the runs of each block; none with fewer than two blocks.
pub(super) fn difference_of(figure: &StudyFigure, pairs: &[Pair]) -> Option<PairedDifference> {
    let mut difference = paired(pairs)?;
    let systematic = systematic_deviation(figure.name);
    difference.difference.standard_error = difference.difference.standard_error.hypot(systematic);
    Some(match figure.unit {
        StudyUnit::Instances if !figure.is_exact() => of_whole_numbers(difference),
        _ => difference,
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
    use rand::{RngExt, SeedableRng};
    use rand_distr::{Distribution, Normal as Drawn, StandardNormal, StudentT};
    use rand_pcg::Pcg64Mcg;

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

    /// What the figures of a run are off by; their deviation is 1.
    #[derive(Clone, Copy, Debug)]
    enum Errors {
        Normal,
        /// Of Student's distribution with three degrees of freedom.
        HeavyTails,
        /// Normal, and a drift from run to run of so many deviations of that.
        Drift(f64),
    }

    /// Runs of two cells, whose figures differ by this many per cent of the base. Blocks differ much, which cancels in differences.
    fn study(
        errors: Errors,
        blocks: u32,
        noise: f64,
        percent: f64,
        random: &mut Pcg64Mcg,
    ) -> [Vec<StudyRun>; 2] {
        let (mut base, mut other) = (Vec::new(), Vec::new());
        for block in 1..=blocks {
            let of_block: f64 = Drawn::new(0.0, 5.0).unwrap().sample(random);
            let is_first: bool = random.random();
            for is_other in [is_first, !is_first] {
                let begin_seconds = (f64::from(block) - f64::from(blocks + 1) / 2.0) * 100.0 - 25.0
                    + if is_other == is_first { 0.0 } else { 50.0 };
                let mut figure = || {
                    let normal: f64 = StandardNormal.sample(random);
                    let off = match errors {
                        Errors::Normal => normal,
                        Errors::HeavyTails => StudentT::new(3.0).unwrap().sample(random) / 3.0_f64.sqrt(),
                        Errors::Drift(drift) => normal + drift * begin_seconds / 50.0,
                    };
                    100.0 + of_block + noise * off + if is_other { percent } else { 0.0 }
                };
                let figures = STUDY_FIGURES.iter().map(|_| Ok(figure())).collect();
                let run = StudyRun { block, begin_seconds, figures, startups: Vec::new() };
                if is_other { other.push(run) } else { base.push(run) }
            }
        }
        [base, other]
    }

    #[test]
    fn at_most_5_percent_of_the_statements_on_differences_are_wrong() {
        const STUDIES: u32 = 1200;
        let usual = USUAL_MARGIN.of(100.0);
        for errors in [Errors::Normal, Errors::HeavyTails, Errors::Drift(1.0), Errors::Drift(3.0)] {
            let mut random = Pcg64Mcg::seed_from_u64(21);
            let (mut differ, mut equal) = (0, 0);
            for number in 0..STUDIES {
                // With little noise a difference of nothing is within the margin, with more there is more to be wrong on.
                let (blocks, noise) = (3 + number % 4, [1.0, 3.0, 6.0][(number / 4 % 3) as usize]);
                let mut verdicts = |percent: f64| -> Vec<Verdict> {
                    let [base, other] = study(errors, blocks, noise, percent, &mut random);
                    let found = CellComparison::of(&base, &other, |_| None);
                    let adjusted =
                        found.figures.iter().flatten().filter(|found| found.figure.topic == Topic::Capacity);
                    adjusted.map(|figure| figure.verdict).collect()
                };
                // Holm: of all figures of a topic together.
                differ += u32::from(verdicts(0.0).contains(&Verdict::Differs));
                // Each by itself: that one difference is within its margin says nothing of the others.
                equal += u32::from(matches!(verdicts(usual)[0], Verdict::NoLargerThan(_)));
            }
            let share = |count: u32| f64::from(count) / f64::from(STUDIES);
            #[allow(clippy::print_stdout, reason = "how often each is wrong is what a reader looks for")]
            {
                println!(
                    "{errors:?}: {:.3} wrongly differ, {:.3} are wrongly within the margin",
                    share(differ),
                    share(equal)
                );
            }
            // Two standard errors of such a share of so many are 1.3 %.
            assert!(
                share(differ) <= 0.063 && share(equal) <= 0.063,
                "{errors:?}: {differ} {equal} of {STUDIES}"
            );
        }
    }

    #[test]
    fn a_share_of_the_base_is_as_uncertain_as_the_base() {
        // Other − base is 4.8 each time, which is less than 5 % of a base of 100, and of one of 90 is not.
        let pairs = [80.0, 100.0, 120.0].map(|base| Pair { base, other: base + 4.8, ..Pair::default() });
        let difference = paired(&pairs).unwrap();
        let p = |margin: &str| p_equivalent(&STUDY_FIGURES[0], &pairs, &difference, margin.parse().unwrap());
        assert_eq!(p("5"), 0.0);
        assert!(p("5%") > 0.3, "{}", p("5%"));
        assert!(p("20%") < 0.05, "{}", p("20%"));
    }
}
