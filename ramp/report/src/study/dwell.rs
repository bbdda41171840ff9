//! Dwells: how long nodes have to be idle, and instances to be held, for a precision of figures of CPU time.
//!
//! CPU time that a machine uses by itself is a random walk here, whose variance in a second is the noise
//! ([`crate::stats::fit_cpu_time`] has the whole model). A rate over a dwell then has noise ÷ dwell as its variance. CPU at rest is
//! the rate with all instances less that before the first one; CPU per start is what the walk is off by while instances are started,
//! and what both rates say of that time.

use super::figure::{CPU_AT_REST, CPU_PER_START, STUDY_FIGURES, StudyFigure};
use crate::analysis::cpu_cost::{CpuKind, LONGEST_DWELL_SECONDS, proposed_dwell};
use crate::stats::student;
use ramp_format::study::{StudyFile, Tolerance, Tolerances};

/// Variance of the CPU time of a machine in a second, before it is measured: off by 0.05 s, as on the noisy machine of the simulated
/// worlds. An assumption: no node was measured for it.
pub const ASSUMED_NOISE: f64 = 0.05 * 0.05;

/// Variance of rates by the fit, in that of the walk alone: what the fit allows for a rate that persists costs it. CPU at rest of 200
/// simulated runs each had 1.4, 1.7, 1.3, 1.1 and 1.0 with dwells of 10, 30, 70, 150 and 400 s.
const FIT_FACTOR: f64 = 1.5;

/// A figure of CPU time that a study is to tell.
#[derive(Clone, Copy, Debug)]
pub struct CpuGoal {
    /// The figure.
    pub figure: &'static StudyFigure,
    /// What it is of.
    pub kind: CpuKind,
    /// Half-width asked for.
    pub tolerance: Tolerance,
}

/// A run that is to tell figures of CPU time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuRun {
    /// Instances that are held at the end.
    pub instances: u32,
    /// Kernels that they run on.
    pub kernels: u32,
    /// Idle time before the first instance, in seconds.
    pub settle_seconds: f64,
    /// How long all of them are held, in seconds.
    pub hold_seconds: f64,
    /// For how long instances are being started on each kernel, in seconds.
    pub starting_seconds: f64,
}

/// Blocks that a difference is told by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DwellBlocks {
    /// How many, two or more.
    pub blocks: u32,
    /// Risk of the interval.
    pub risk: f64,
}

/// What a precision of a figure of CPU time needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DwellNeed {
    /// Half-width asked for.
    pub asked: f64,
    /// Half-width that is expected with the dwells as they are.
    pub expected: f64,
    /// How long nodes have to be idle, and instances to be held, in seconds; none where no dwell of up to an hour does.
    pub dwell_seconds: Option<f64>,
}

/// The figures of CPU time of which a study file names a precision, or else a margin.
#[must_use]
pub fn cpu_goals(definition: &StudyFile) -> Vec<CpuGoal> {
    let named = |tolerances: &Tolerances, figure: &str| match tolerances {
        Tolerances::ByFigure(all) => all.get(figure).copied(),
        Tolerances::All(_) => None,
    };
    let goal = |(name, kind): (&str, CpuKind)| {
        let figure = STUDY_FIGURES.iter().find(|figure| figure.name == name)?;
        let tolerance = named(&definition.precision, name).or_else(|| named(&definition.margin, name))?;
        Some(CpuGoal { figure, kind, tolerance })
    };
    [(CPU_AT_REST, CpuKind::AtRest), (CPU_PER_START, CpuKind::PerStart)]
        .into_iter()
        .filter_map(goal)
        .collect()
}

impl DwellBlocks {
    /// The variance of the differences within blocks whose interval has this half-width.
    pub(super) fn variance_for(self, half_width: f64) -> f64 {
        f64::from(self.blocks) * (half_width / self.quantile()).powi(2)
    }

    fn quantile(self) -> f64 {
        student(1.0 - self.risk / 2.0, f64::from(self.blocks) - 1.0)
    }
}

impl CpuRun {
    /// Variance of the walk in a second, for each instance.
    fn walk(self, noise: f64) -> f64 {
        noise * f64::from(self.kernels) / f64::from(self.instances.max(1)).powi(2)
    }

    /// Variance of a figure of one run.
    fn variance(self, kind: CpuKind, noise: f64) -> f64 {
        let rates = self.settle_seconds.max(1.0).recip() + self.hold_seconds.max(1.0).recip();
        let rates = FIT_FACTOR * rates;
        let starting = self.starting_seconds;
        self.walk(noise)
            * match kind {
                CpuKind::AtRest => rates,
                CpuKind::PerStart => starting + starting.powi(2) / 4.0 * rates,
            }
    }

    /// Dwells, idle and with instances, with which a figure of one run has this variance.
    fn dwell(self, kind: CpuKind, noise: f64, variance: f64) -> Option<f64> {
        let of_walk = variance / self.walk(noise);
        let seconds = match kind {
            CpuKind::AtRest => 2.0 * FIT_FACTOR / of_walk,
            CpuKind::PerStart => {
                FIT_FACTOR * self.starting_seconds.powi(2) / 2.0 / (of_walk - self.starting_seconds).max(0.0)
            }
        };
        (seconds <= LONGEST_DWELL_SECONDS).then(|| proposed_dwell(seconds.max(1.0)))
    }

    /// What a half-width of the difference of two such runs needs.
    #[must_use]
    pub fn need(self, kind: CpuKind, asked: f64, blocks: DwellBlocks, noise: f64) -> DwellNeed {
        let of_difference = 2.0 * self.variance(kind, noise);
        DwellNeed {
            asked,
            expected: blocks.quantile() * (of_difference / f64::from(blocks.blocks)).sqrt(),
            dwell_seconds: self.dwell(kind, noise, blocks.variance_for(asked) / 2.0),
        }
    }
}

impl DwellNeed {
    /// Whether the dwells as they are do.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.expected <= self.asked
    }
}

#[cfg(test)]
mod tests {
    use ramp_format::plan::MOST_GROUPS;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::stats::{OF_GROUPS, Observation, Pair, fit_cpu_time, paired};

    const RUN: CpuRun =
        CpuRun { instances: 10, kernels: 1, settle_seconds: 10.0, hold_seconds: 6.0, starting_seconds: 5.0 };
    const FOUR: DwellBlocks = DwellBlocks { blocks: 4, risk: 0.05 };
    /// Cores at rest, and CPU seconds of a start.
    const TRUTH: [f64; 2] = [0.02, 0.5];

    /// What a run finds of a machine with the assumed noise.
    fn found(run: CpuRun, random: &mut Pcg64Mcg) -> [f64; 2] {
        let (settle, ready) = (run.settle_seconds, run.settle_seconds + run.starting_seconds);
        let mut level = 0.0;
        let mut at = |second: u32| {
            let (seconds, normal): (f64, f64) = (second.into(), StandardNormal.sample(random));
            level += 0.1 + ASSUMED_NOISE.sqrt() * normal;
            let instances = f64::from(run.instances);
            let mut x = [0.0; OF_GROUPS];
            (x[0], x[MOST_GROUPS]) =
                (if seconds > settle { instances } else { 0.0 }, instances * (seconds - settle).max(0.0));
            Observation { seconds, x, y: level + TRUTH[1] * x[0] + TRUTH[0] * x[MOST_GROUPS] }
        };
        let all = (0..=(ready + run.hold_seconds) as u32).map(&mut at);
        let fit = fit_cpu_time(&[all.filter(|one| one.seconds <= settle || one.seconds >= ready).collect()])
            .unwrap();
        [MOST_GROUPS, 0].map(|column| {
            let mut of = [0.0; OF_GROUPS];
            of[column] = 1.0;
            fit.mean(of)
        })
    }

    /// The median half-width of both figures over studies of such runs.
    fn half_widths(run: CpuRun) -> [f64; 2] {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        let study = |random: &mut Pcg64Mcg| {
            let blocks: Vec<[[f64; 2]; 2]> =
                (0..FOUR.blocks).map(|_| [found(run, random), found(run, random)]).collect();
            [0, 1].map(|at| {
                let pair = |[base, other]: &[[f64; 2]; 2]| Pair {
                    base: base[at],
                    other: other[at],
                    ..Pair::default()
                };
                let pairs: Vec<Pair> = blocks.iter().map(pair).collect();
                paired(&pairs).unwrap().difference.interval(1.0 - FOUR.risk).half_width()
            })
        };
        let all: Vec<[f64; 2]> = (0..15).map(|_| study(&mut random)).collect();
        [0, 1].map(|at| {
            let mut widths: Vec<f64> = all.iter().map(|widths| widths[at]).collect();
            widths.sort_by(f64::total_cmp);
            widths[widths.len() / 2]
        })
    }

    #[test]
    fn dwells_that_are_proposed_reach_the_precision_and_shorter_ones_do_not() {
        let need = RUN.need(CpuKind::AtRest, 0.002, FOUR, ASSUMED_NOISE);
        assert!(!need.is_met() && need.dwell_seconds == Some(100.0), "{need:?}");
        let longer = CpuRun { settle_seconds: 100.0, hold_seconds: 100.0, ..RUN };
        assert!(longer.need(CpuKind::AtRest, 0.002, FOUR, ASSUMED_NOISE).is_met());
        let ([short, _], [long, per_start]) = (half_widths(RUN), half_widths(longer));
        assert!(short > 0.004 && (0.0008..0.0024).contains(&long), "{short} {long}");
        let expected = longer.need(CpuKind::PerStart, 1.0, FOUR, ASSUMED_NOISE).expected;
        assert!((0.6..1.5).contains(&(per_start / expected)), "{per_start} where {expected} is expected");
    }

    #[test]
    fn what_the_walk_is_off_by_during_the_starts_no_dwell_makes_less() {
        let need = |asked| RUN.need(CpuKind::PerStart, asked, FOUR, ASSUMED_NOISE);
        assert_eq!(need(0.02).dwell_seconds, None);
        let dwell = need(0.03).dwell_seconds.unwrap();
        let longer = CpuRun { settle_seconds: dwell, hold_seconds: dwell, ..RUN };
        assert!(longer.need(CpuKind::PerStart, 0.03, FOUR, ASSUMED_NOISE).is_met(), "{dwell}");
        let more = CpuRun { instances: 20, ..RUN };
        assert!(more.need(CpuKind::PerStart, 0.02, FOUR, ASSUMED_NOISE).dwell_seconds.is_some());
        assert_eq!(
            RUN.need(CpuKind::AtRest, 1e-5, FOUR, ASSUMED_NOISE).dwell_seconds,
            None,
            "beyond an hour"
        );
    }

    #[test]
    fn goals_are_the_figures_of_cpu_time_that_a_study_names() {
        let names = |text: &str| -> Vec<(&str, Tolerance)> {
            let definition = StudyFile::parse(text).unwrap();
            cpu_goals(&definition).iter().map(|goal| (goal.figure.name, goal.tolerance)).collect()
        };
        assert_eq!(names("precision: 2%\n"), [], "one for all is one of the capacity");
        assert_eq!(
            names("precision: {cpu_at_rest: 0.002}\nmargin: {cpu_at_rest: 0.01, cpu_per_start: 10%}\n"),
            [("cpu_at_rest", Tolerance::Absolute(0.002)), ("cpu_per_start", Tolerance::Share(0.1))]
        );
    }
}
