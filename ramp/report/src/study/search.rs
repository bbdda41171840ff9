//! Searches of a study: how many instances hold with a probability of 95 %, by the climbs of all runs of a cell, and the difference of two
//! cells.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::data::StudyData;
use crate::analysis::search::{HeldWithProbability, held};
use crate::analysis::{Estimate, unavailable};
use crate::stats::{Climb, Interval, SEED, Thresholds};

/// What the searches of a cell have found.
#[derive(Clone, Debug, PartialEq)]
pub struct CellSearch {
    /// Climbs of all runs together.
    pub climbs: usize,
    /// Runs.
    pub runs: usize,
    /// How many hold with a probability of 95 %.
    pub held: Estimate<HeldWithProbability>,
}

/// How many more hold with a probability of 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchDifference {
    /// Other − base, in instances.
    pub instances: f64,
    /// Its 95 % interval.
    pub interval: Interval,
}

/// What the result of searches is called.
pub const HELD_95: &str = "held with a probability of 95%";
/// Relabellings of climbs.
const RELABELLINGS: usize = 999;
/// Runs whose thresholds differ so much by chance as rarely as this are not pooled.
const NOT_ONE: f64 = 0.01;

/// The searches of a cell (its index); none where its runs are none.
#[must_use]
pub fn cell_search(data: &StudyData, cell: usize) -> Option<CellSearch> {
    let runs = data.runs_of(cell);
    let found: Vec<_> = runs.iter().filter_map(|run| run.results.search.as_ref().ok()).collect();
    let plans: Vec<_> = runs
        .iter()
        .filter_map(|run| Some(&run.data.recorded()?.run.plan))
        .filter(|plan| plan.search.is_some())
        .collect();
    let to = plans.iter().map(|plan| plan.to).max()?;
    let asked_for = plans.iter().filter_map(|plan| plan.search).map(|search| search.climbs).sum();
    let climbs: Vec<&[Climb]> = found.iter().map(|search| search.climbs.as_slice()).collect();
    Some(CellSearch {
        climbs: climbs.iter().map(|of_run| of_run.len()).sum(),
        runs: climbs.len(),
        held: pooled(&climbs, to, asked_for),
    })
}

/// How many hold by the climbs of several runs, of which all end at `to`.
fn pooled(runs: &[&[Climb]], to: u32, asked_for: u32) -> Estimate<HeldWithProbability> {
    let all = runs.concat();
    let p = p_of_one(runs);
    if p <= NOT_ONE {
        return unavailable(format!(
            "runs differ by more than their climbs scatter (p = {p:.3}): see the report of each run"
        ));
    }
    held(&all, Thresholds::of(&all).as_ref(), to, asked_for)
}

/// The p-value of runs that differ no more than climbs do, by relabelling climbs.
fn p_of_one(runs: &[&[Climb]]) -> f64 {
    let sizes: Vec<usize> = runs.iter().map(|run| run.len()).filter(|size| *size > 0).collect();
    if sizes.len() < 2 {
        return 1.0;
    }
    let mut all: Vec<f64> =
        runs.iter().copied().flatten().map(|climb| climb.middle().unwrap_or(0.0)).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let between = |all: &[f64]| {
        let mut rest = all;
        let mut squares = 0.0;
        for size in &sizes {
            let (run, after) = rest.split_at(*size);
            squares += (run.iter().sum::<f64>() - mean * *size as f64).powi(2) / *size as f64;
            rest = after;
        }
        squares
    };
    let seen = between(&all);
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let as_much = (0..RELABELLINGS).filter(|_| {
        all.shuffle(&mut random);
        between(&all) >= seen * (1.0 - 1e-9)
    });
    (as_much.count() + 1) as f64 / (RELABELLINGS + 1) as f64
}

impl SearchDifference {
    /// Of two cells. The interval is that of two independent estimates, by the ends of theirs (G. Y. Zou and A. Donner, Construction of
    /// confidence limits about effect measures, Statistics in Medicine 27, 2008).
    ///
    /// # Errors
    /// Where one of them is not known.
    pub fn of(base: &CellSearch, other: &CellSearch, names: [&str; 2]) -> Estimate<Self> {
        let known = |found: &CellSearch, name: &str| match &found.held {
            Ok(held) => Ok(*held),
            Err(why) => unavailable(format!("{name}: {}", why.0)),
        };
        let [a, b] = [known(base, names[0])?, known(other, names[1])?];
        let instances = b.instances - a.instances;
        let below = (b.instances - b.interval.low).hypot(a.interval.high - a.instances);
        let above = (b.interval.high - b.instances).hypot(a.instances - a.interval.low);
        Ok(Self { instances, interval: Interval { low: instances - below, high: instances + above } })
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_told(&self) -> bool {
        !self.interval.contains(0.0)
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Normal};

    use super::*;

    /// Climbs in single steps to thresholds of a normal distribution.
    fn climbs(mean: f64, deviation: f64, count: usize, random: &mut Pcg64Mcg) -> Vec<Climb> {
        let thresholds = Normal::new(mean, deviation).unwrap();
        let climb = |_| {
            let held = thresholds.sample(random).floor() as u32;
            Climb { held: Some(held), failed: Some(held + 1) }
        };
        (0..count).map(climb).collect()
    }

    fn cell(runs: &[Vec<Climb>]) -> CellSearch {
        let runs: Vec<&[Climb]> = runs.iter().map(Vec::as_slice).collect();
        let held = pooled(&runs, 1000, 10);
        CellSearch { climbs: runs.concat().len(), runs: runs.len(), held }
    }

    #[test]
    fn the_interval_of_a_difference_holds_the_truth() {
        // Deviations of 4 and 8: what holds with 95 % differs by 20 + 1.645 × 4.
        const TRUTH: f64 = 20.0 + 1.644_854 * 4.0;
        const STUDIES: usize = 100;
        let mut random = Pcg64Mcg::seed_from_u64(4);
        let (mut holds, mut told) = (0, 0);
        for _ in 0..STUDIES {
            let mut of = |mean: f64, deviation: f64| {
                let runs: Vec<_> = (0..3).map(|_| climbs(mean, deviation, 10, &mut random)).collect();
                cell(&runs)
            };
            let (base, other) = (of(100.0, 8.0), of(120.0, 4.0));
            let Ok(found) = SearchDifference::of(&base, &other, ["a", "b"]) else { continue };
            told += usize::from(found.is_told());
            holds += usize::from(found.interval.contains(TRUTH));
        }
        assert!(holds >= 90 && told >= 95, "{holds} of {STUDIES} hold the truth, {told} tell a difference");
    }

    #[test]
    fn runs_that_differ_are_not_one() {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        let mut of = |means: [f64; 2]| cell(&means.map(|mean| climbs(mean, 2.0, 10, &mut random)));
        let (one, two) = (of([50.0, 50.0]), of([50.0, 58.0]));
        assert!((45.0..49.0).contains(&one.held.as_ref().unwrap().instances), "{one:?}");
        assert!(two.held.as_ref().unwrap_err().0.contains("runs differ by more than"), "{two:?}");
        let why = SearchDifference::of(&one, &two, ["runc", "kata"]).unwrap_err().0;
        assert!(why.starts_with("kata: runs differ"), "{why}");
    }

    #[test]
    fn climbs_of_all_runs_count_together() {
        let mut random = Pcg64Mcg::seed_from_u64(6);
        let runs: Vec<_> = (0..3).map(|_| climbs(50.0, 2.0, 2, &mut random)).collect();
        assert!(cell(&runs[..1]).held.is_err(), "two are too few");
        assert!(cell(&runs).held.is_ok(), "six are enough");
    }
}
