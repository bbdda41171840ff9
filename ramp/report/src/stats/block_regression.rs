//! Least squares over groups of paired runs, block by block.
//!
//! Each block has a pair of runs of every group. Least squares with equal weights is linear in the figures of a block, so each block has
//! a value of each coefficient. Those of different blocks are independent, however much the groups of one block share and however much
//! their variances differ: the interval of a coefficient is that of a mean over blocks (the summary measures of J. N. S. Matthews et al.,
//! Analysis of serial measurements in medical research, BMJ 300, 1990). Weights estimated from a few blocks would make intervals
//! narrower, and hold the truth less often.

use super::{MeanEstimate, Pair, paired};

/// What differs between the pairs of each group as a linear function of terms of the group.
#[derive(Clone, Debug)]
pub struct BlockRegression {
    /// The terms of each group: the first is that of the intercept.
    terms: Vec<Vec<f64>>,
    /// The inverse of the matrix of the sums of their products.
    inverse: Vec<Vec<f64>>,
    /// The pair of each group, of each block.
    blocks: Vec<Vec<Pair>>,
}

/// How far groups are from a function that has fewer coefficients than there are groups.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LackOfFit {
    /// The group that is furthest from it, measured in standard errors.
    pub group: usize,
    /// By how much it is above the function of the others.
    pub deviation: MeanEstimate,
    /// p-value of no deviation of any group, adjusted for their number (Bonferroni, which holds whatever they share).
    pub p_value: f64,
}

impl BlockRegression {
    /// None with fewer than two blocks, or where the terms of the groups cannot be told apart.
    #[must_use]
    pub fn of(terms: Vec<Vec<f64>>, blocks: Vec<Vec<Pair>>) -> Option<Self> {
        if blocks.len() < 2 || blocks.iter().any(|pairs| pairs.len() != terms.len()) {
            return None;
        }
        let inverse = inverse(&products(&terms))?;
        Some(Self { terms, inverse, blocks })
    }

    /// Number of coefficients.
    #[must_use]
    pub fn coefficients(&self) -> usize {
        self.inverse.len()
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.terms.len()
    }

    /// Number of blocks.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The coefficient of a term (its index).
    #[must_use]
    pub fn coefficient(&self, index: usize) -> Option<MeanEstimate> {
        let at: Vec<f64> = (0..self.coefficients()).map(|term| f64::from(u8::from(term == index))).collect();
        self.at(&at)
    }

    /// The function at these terms.
    #[must_use]
    pub fn at(&self, terms: &[f64]) -> Option<MeanEstimate> {
        self.combination(&self.weights(terms, &self.terms, &self.inverse))
    }

    /// The weight of each group of `all` in the value at `terms`.
    fn weights(&self, terms: &[f64], all: &[Vec<f64>], inverse: &[Vec<f64>]) -> Vec<f64> {
        let row: Vec<f64> = inverse.iter().map(|row| product(row, terms)).collect();
        all.iter().map(|own| product(own, &row)).collect()
    }

    /// A linear combination of the groups. It is one of the times, too: a drift is dealt with as in a single group, by a term of the
    /// model where there are enough blocks, and by the trend of all runs where the order was the same in all blocks.
    fn combination(&self, weights: &[f64]) -> Option<MeanEstimate> {
        let of_block = |pairs: &Vec<Pair>| {
            let sum = |of: fn(&Pair) -> f64| {
                pairs.iter().zip(weights).map(|(pair, weight)| weight * of(pair)).sum()
            };
            // Without times of its own, of which a combination such as a slope may have none.
            Pair {
                other: sum(|pair| pair.other - pair.base),
                later_seconds: sum(|pair| pair.later_seconds),
                ..Pair::default()
            }
        };
        let pairs: Vec<Pair> = self.blocks.iter().map(of_block).collect();
        let later = |of: fn(f64) -> bool| pairs.iter().all(|pair| of(pair.later_seconds));
        if !later(|later| later > 0.0) && !later(|later| later < 0.0) {
            return Some(paired(&pairs)?.difference);
        }
        let at_once: Vec<Pair> = pairs.iter().map(|pair| Pair { later_seconds: 0.0, ..*pair }).collect();
        let plain = paired(&at_once)?.difference;
        let Some(trend) = self.trend() else { return Some(plain) };
        let later = pairs.iter().map(|pair| pair.later_seconds).sum::<f64>() / pairs.len() as f64;
        Some(MeanEstimate {
            mean: plain.mean - trend.mean * later,
            standard_error: plain.standard_error.hypot(trend.standard_error * later),
            ..plain
        })
    }

    /// By how much runs of all groups grow in a second, those of the base and the others each for themselves; none where times are not
    /// known.
    fn trend(&self) -> Option<MeanEstimate> {
        let (mut spread, mut products, mut squares) = (0.0, 0.0, 0.0);
        for (group, is_other) in (0..self.groups()).flat_map(|group| [(group, false), (group, true)]) {
            let side = |pair: &Pair| match is_other {
                false => (pair.begin_seconds, pair.base),
                true => (pair.begin_seconds + pair.later_seconds, pair.other),
            };
            let runs: Vec<(f64, f64)> =
                self.blocks.iter().filter_map(|pairs| pairs.get(group)).map(side).collect();
            let mean = |of: fn(&(f64, f64)) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
            let (mean_seconds, mean_figure) = (mean(|run| run.0), mean(|run| run.1));
            for (seconds, figure) in runs {
                spread += (seconds - mean_seconds).powi(2);
                products += (seconds - mean_seconds) * (figure - mean_figure);
                squares += (figure - mean_figure).powi(2);
            }
        }
        let freedom = (2 * self.groups() * (self.blocks.len() - 1)) as f64 - 1.0;
        if spread <= 0.0 || freedom < 1.0 {
            return None;
        }
        let slope = products / spread;
        let variance = (squares - slope * products).max(0.0) / freedom / spread;
        Some(MeanEstimate { mean: slope, standard_error: variance.sqrt(), freedom })
    }

    /// How well the function fits; none where it has as many coefficients as there are groups. Groups are in the order of their second
    /// term: where that is the only one beside the intercept, each is held against the line through its two neighbours, else against the
    /// function through all others.
    #[must_use]
    pub fn lack_of_fit(&self) -> Option<LackOfFit> {
        let groups = self.groups();
        if groups <= self.coefficients() {
            return None;
        }
        let of_groups: Vec<(usize, Vec<f64>)> = match self.coefficients() {
            2 => (1..groups - 1).filter_map(|at| Some((at, self.against(at, &[at - 1, at + 1])?))).collect(),
            _ => (0..groups)
                .filter_map(|at| {
                    let others: Vec<usize> = (0..groups).filter(|other| *other != at).collect();
                    Some((at, self.against(at, &others)?))
                })
                .collect(),
        };
        let tests = of_groups.len() as f64;
        let found = of_groups.into_iter().filter_map(|(group, weights)| {
            let deviation = self.combination(&weights)?;
            let p_value = (tests * deviation.p_value(0.0)).min(1.0);
            Some(LackOfFit { group, deviation, p_value })
        });
        found.min_by(|a, b| a.p_value.total_cmp(&b.p_value))
    }

    /// The weights of a group less the function through others; none where these do not determine it.
    fn against(&self, group: usize, others: &[usize]) -> Option<Vec<f64>> {
        let terms: Vec<Vec<f64>> = others.iter().filter_map(|at| self.terms.get(*at).cloned()).collect();
        let inverse = inverse(&products(&terms))?;
        let mut weights = vec![0.0; self.groups()];
        *weights.get_mut(group)? = 1.0;
        for (at, weight) in others.iter().zip(self.weights(self.terms.get(group)?, &terms, &inverse)) {
            *weights.get_mut(*at)? -= weight;
        }
        Some(weights)
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The matrix of the sums of the products of all terms.
fn products(terms: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let size = terms.first().map_or(0, Vec::len);
    let at = |row: usize, column: usize| -> f64 {
        terms.iter().filter_map(|own| Some(own.get(row)? * own.get(column)?)).sum()
    };
    (0..size).map(|row| (0..size).map(|column| at(row, column)).collect()).collect()
}

/// The inverse of a small symmetric matrix (Gauss and Jordan, with pivots); none where it is as good as singular.
fn inverse(matrix: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    /// What is left of a row of length 1 that depends on the others.
    const NOTHING: f64 = 1e-9;
    let size = matrix.len();
    // Terms have units of their own: each is scaled by its length.
    let scale: Vec<f64> =
        matrix.iter().enumerate().map(|(at, row)| row.get(at).map_or(0.0, |own| own.sqrt())).collect();
    if size == 0 || scale.iter().any(|scale| *scale <= 0.0) {
        return None;
    }
    let scaled = |row: usize, column: usize| -> Option<f64> {
        Some(matrix.get(row)?.get(column)? / scale.get(row)? / scale.get(column)?)
    };
    let mut rows: Vec<Vec<f64>> = (0..size)
        .map(|row| {
            let unit = (0..size).map(|column| f64::from(u8::from(row == column)));
            (0..size).map(|column| scaled(row, column).unwrap_or(0.0)).chain(unit).collect()
        })
        .collect();
    for at in 0..size {
        let pivot = (at..size).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs()))?;
        rows.swap(at, pivot);
        let own = rows[at].clone();
        if own[at].abs() < NOTHING {
            return None;
        }
        for (row, values) in rows.iter_mut().enumerate() {
            let times = values[at] / own[at] - f64::from(u8::from(row == at)) / own[at];
            values.iter_mut().zip(&own).for_each(|(value, own)| *value -= times * own);
        }
    }
    let scale_at = |row: usize| scale.get(row).copied().unwrap_or(1.0);
    let unscaled = |(row, values): (usize, Vec<f64>)| {
        values
            .into_iter()
            .skip(size)
            .zip(&scale)
            .map(|(value, scale)| value / scale / scale_at(row))
            .collect()
    };
    Some(rows.into_iter().enumerate().map(unscaled).collect())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// Three coefficients are true.
    const TRUTH: [f64; 3] = [64.0, 0.05, 10.0];
    /// A second.
    const DRIFT: f64 = 0.005;
    /// Memory limits.
    const SIZES: [f64; 4] = [128.0, 512.0, 1024.0, 4096.0];

    fn line(sizes: usize) -> Vec<Vec<f64>> {
        SIZES.iter().take(sizes).map(|size| vec![1.0, *size]).collect()
    }

    fn is_one_order(blocks: &[Vec<Pair>], group: usize) -> bool {
        let first = blocks[0][group].later_seconds;
        blocks.iter().all(|pairs| pairs[group].later_seconds * first > 0.0)
    }

    fn expected(terms: &[f64]) -> f64 {
        product(terms, &TRUTH)
    }

    /// Blocks in a random order, with an effect of their own on what differs and a drift, whose groups are the less exact the larger they
    /// are. The group `bent` is off by `by`.
    fn draw(
        terms: &[Vec<f64>],
        blocks: usize,
        (bent, by): (usize, f64),
        random: &mut Pcg64Mcg,
    ) -> Vec<Vec<Pair>> {
        let mut normal = || -> f64 { StandardNormal.sample(random) };
        let mut clock = 0.0;
        let mut block = || {
            let shared = normal();
            let pair = |(at, terms): (usize, &Vec<f64>)| {
                let later_seconds = 60.0 * normal().signum();
                clock += 120.0;
                let begin_seconds = clock - later_seconds / 2.0;
                let base = 500.0 + normal() + DRIFT * begin_seconds;
                let bend = if at == bent { by } else { 0.0 };
                let noise = (0.5 + at as f64) * normal();
                let other = base + expected(terms) + bend + shared + noise + DRIFT * later_seconds;
                Pair { base, other, begin_seconds, later_seconds }
            };
            terms.iter().enumerate().map(pair).collect()
        };
        (0..blocks).map(|_| block()).collect()
    }

    #[test]
    fn intervals_of_coefficients_and_of_the_line_hold_the_truth_whatever_the_groups_of_a_block_share() {
        const STUDIES: usize = 2000;
        let plane: Vec<Vec<f64>> =
            [(128.0, 1.0), (128.0, 2.0), (1024.0, 1.0), (1024.0, 2.0)].map(|(x, y)| vec![1.0, x, y]).into();
        for (terms, blocks) in
            [(line(2), 2), (line(3), 2), (line(4), 3), (line(3), 4), (plane, 4), (line(4), 8)]
        {
            let mut random = Pcg64Mcg::seed_from_u64(blocks as u64);
            let at: Vec<f64> = [1.0, 2048.0, 4.0].into_iter().take(terms[0].len()).collect();
            let mut holds = [0; 4];
            for _ in 0..STUDIES {
                let drawn = draw(&terms, blocks, (9, 0.0), &mut random);
                let fit = BlockRegression::of(terms.clone(), drawn).unwrap();
                let mut found: Vec<_> =
                    (0..fit.coefficients()).map(|index| (fit.coefficient(index), TRUTH[index])).collect();
                found.push((fit.at(&at), expected(&at)));
                for (held, (found, truth)) in holds.iter_mut().zip(found) {
                    *held += usize::from(found.unwrap().interval(0.95).contains(truth));
                }
            }
            for held in holds.iter().take(terms[0].len() + 1) {
                let share = *held as f64 / STUDIES as f64;
                assert!((0.93..0.99).contains(&share), "{share} of {} groups, {blocks} blocks", terms.len());
            }
        }
    }

    #[test]
    fn what_is_no_line_is_found_and_a_line_seldom_is_told_to_be_none() {
        const STUDIES: usize = 2000;
        let alarms = |sizes: usize, blocks: usize, by: f64| {
            let mut random = Pcg64Mcg::seed_from_u64((10 * sizes + blocks) as u64);
            let mut group = Vec::new();
            for _ in 0..STUDIES {
                let drawn = draw(&line(sizes), blocks, (1, by), &mut random);
                let found = BlockRegression::of(line(sizes), drawn).unwrap().lack_of_fit().unwrap();
                group.extend((found.p_value <= 0.05).then_some(found.group));
            }
            let is_it = group.iter().filter(|group| **group == 1).count() as f64;
            [group.len() as f64, is_it].map(|count| count / STUDIES as f64)
        };
        for (sizes, blocks) in [(3, 2), (3, 3), (4, 2), (4, 4), (3, 8)] {
            let [any, _] = alarms(sizes, blocks, 0.0);
            assert!(any <= 0.06, "{any} of {sizes} groups, {blocks} blocks");
        }
        for (sizes, blocks) in [(3, 3), (4, 4)] {
            let [_, found] = alarms(sizes, blocks, 14.0);
            assert!(found >= 0.8, "{found} of {sizes} groups, {blocks} blocks");
        }
    }

    #[test]
    fn nothing_is_said_of_one_block_or_of_groups_that_are_alike_and_as_many_coefficients_as_groups_are_exact()
    {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let drawn = draw(&line(2), 3, (9, 0.0), &mut random);
        assert!(BlockRegression::of(line(2), drawn[..1].to_vec()).is_none());
        assert!(BlockRegression::of(vec![vec![1.0, 5.0]; 2], drawn.clone()).is_none());
        // CPUs that follow from memory.
        let follows = [[1.0, 128.0, 1.0], [1.0, 256.0, 2.0], [1.0, 512.0, 4.0]].map(Vec::from).to_vec();
        let three = draw(&line(3), 3, (9, 0.0), &mut random);
        assert!(BlockRegression::of(follows, three).is_none());
        let fit = BlockRegression::of(line(2), drawn.clone()).unwrap();
        assert_eq!(fit.lack_of_fit(), None);
        // (Of one order in all blocks each deals with by trends of its own.)
        for (at, terms) in line(2).iter().enumerate().filter(|(at, _)| !is_one_order(&drawn, *at)) {
            let own = paired(&drawn.iter().map(|block| block[at]).collect::<Vec<_>>()).unwrap().difference;
            let (found, own) = (fit.at(terms).unwrap().interval(0.95), own.interval(0.95));
            assert!((found.low - own.low).abs() < 1e-6 && (found.high - own.high).abs() < 1e-6);
        }
    }
}
