//! Regression where what is left over is a random walk, a drift and noise: a local level model (A. C. Harvey, Forecasting, Structural Time
//! Series Models and the Kalman Filter, 1989, chapter 3) with fixed regressors.
//!
//! What a machine holds beyond what its instances account for is such a series: its own programs come and go (the walk), some of
//! them grow steadily (the drift), and each look at it is a little off (the noise). The ratio of walk to noise is not known. It
//! is integrated out over a grid by the restricted likelihood (D. A. Harville, Maximum Likelihood Approaches to Variance
//! Component Estimation, JASA 72, 1977), so that the interval is as wide as not knowing it makes it.

use rand::{RngExt, SeedableRng};
use rand_distr::{ChiSquared, Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use ramp_format::plan::MOST_GROUPS;

/// Regressors that all series have in common.
const COMMON: usize = 3;
/// The same of a mixed run: the instances of each group, and the nodes that have had one of it.
pub const OF_GROUPS: usize = 2 * MOST_GROUPS;
/// Regressors of each series alone: its level, and its drift with time.
const OWN: usize = 2;

/// Numbers of columns by the number of common regressors, which stable Rust does not compute from it: those of a series with what was
/// observed, and those of the normal equations with the identity beside them.
const fn columns(common: usize) -> usize {
    OWN + common + 1
}

const fn bordered(common: usize) -> usize {
    2 * common + 1
}

/// One observation of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation<const C: usize = COMMON> {
    /// When, in seconds. Observations of a series come in this order.
    pub seconds: f64,
    /// The common regressors.
    pub x: [f64; C],
    /// What was observed.
    pub y: f64,
}

/// The common coefficients, as a mixture over ratios of walks to noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit<const C: usize = COMMON> {
    components: Vec<Component<C>>,
    /// Observations that it rests on.
    pub observations: usize,
    /// Whether each of the common coefficients can be told from those before it, from drift and from the level. One that cannot is 0.
    pub identified: [bool; C],
}

/// The coefficients for one walk.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Component<const C: usize> {
    /// By its likelihood and by how likely it is beforehand: of draws.
    weight: f64,
    /// By its likelihood alone: of means.
    weight_of_mean: f64,
    coefficients: [f64; C],
    /// Lower triangular root of their covariance.
    root: [[f64; C]; C],
    freedom: f64,
}

/// Variance of the walk in a second, in variances of the noise.
const RATIOS: [f64; 12] = [0.0, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 0.3, 1.0, 3.0, 10.0, 100.0];
/// Variance of what one instance brings, in variances of the noise: instances are not all alike.
const UNLIKE: [f64; 4] = [0.0, 0.3, 10.0, 300.0];

/// What the walk is made of, in variances of the noise.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Walk {
    second: f64,
    unit: f64,
}

impl Walk {
    /// All that are tried: the machine's own by any of these, or the instances'; both where that is a lot.
    fn all() -> impl Iterator<Item = Self> {
        let by_time = RATIOS.iter().map(|second| Self { second: *second, unit: 0.0 });
        let by_units = UNLIKE
            .iter()
            .skip(1)
            .flat_map(|unit| [0.0, 1e-2, 1.0].into_iter().map(move |second| Self { second, unit: *unit }));
        by_time.chain(by_units)
    }
}

/// What is left over, as a process whose covariance is known but for its scale.
pub(super) trait Disturbance: Copy {
    /// A kernel counts in these units: a smaller variance than that of one is none.
    const LEAST_VARIANCE: f64;

    /// The logarithm of how likely it is beforehand, against others of its kind. Intervals allow for it; means have none, so that caution
    /// does not make them less exact.
    fn log_prior(self) -> f64 {
        0.0
    }

    /// Whitens the columns of a series (level, time, the common ones, y) by the Kalman filter: the same gains for each column, so that
    /// their innovations are uncorrelated and of one variance (A. C. Harvey and G. D. A. Phillips, Maximum Likelihood Estimation of
    /// Regression Models with ARMA Disturbances, Biometrika 66, 1979). Hands over each row, and returns the logarithm of the determinant
    /// that this takes away.
    fn whiten<const C: usize, const K: usize>(
        self,
        series: &[Observation<C>],
        take: impl FnMut(&[f64; K]),
    ) -> f64;
}

/// The columns of an observation, not whitened: level, time, the common ones, y.
pub(super) fn unwhitened<const C: usize, const K: usize>(
    observation: &Observation<C>,
    first: f64,
) -> [f64; K] {
    let mut columns = [0.0; K];
    columns[0] = 1.0;
    columns[1] = observation.seconds - first;
    columns[OWN..OWN + C].copy_from_slice(&observation.x);
    columns[OWN + C] = observation.y;
    columns
}

/// What a kernel counts its memory in.
pub const PAGE_BYTES: f64 = 4096.0;

impl Disturbance for Walk {
    const LEAST_VARIANCE: f64 = PAGE_BYTES * PAGE_BYTES;

    fn whiten<const C: usize, const K: usize>(
        self,
        series: &[Observation<C>],
        mut take: impl FnMut(&[f64; K]),
    ) -> f64 {
        let mut log_determinant = 0.0;
        let Some(first) = series.first() else { return log_determinant };
        let mut states = [0.0; K];
        // The instances: one regressor, or one of each group.
        let counts = C / 2;
        let (mut variance, mut last) = (0.0, first);
        for observation in series {
            variance += self.second * (observation.seconds - last.seconds).max(0.0);
            let units =
                observation.x.iter().zip(last.x).take(counts).map(|(now, before)| (now - before).abs());
            variance += self.unit * units.sum::<f64>();
            last = observation;
            let columns = unwhitened::<C, K>(observation, first.seconds);
            let total: f64 = variance + 1.0;
            let (gain, scale) = (variance / total, total.sqrt().recip());
            let mut row = [0.0; K];
            for ((cell, state), column) in row.iter_mut().zip(&mut states).zip(columns) {
                let innovation = column - *state;
                *state += gain * innovation;
                *cell = innovation * scale;
            }
            variance *= 1.0 - gain;
            log_determinant += total.ln();
            take(&row);
        }
        log_determinant
    }
}

/// The same of what is counted one by one: tasks, keys.
#[derive(Clone, Copy, Debug)]
struct CountWalk(Walk);

impl Disturbance for CountWalk {
    // Half of one is no noise.
    const LEAST_VARIANCE: f64 = 0.25;

    fn whiten<const C: usize, const K: usize>(
        self,
        series: &[Observation<C>],
        take: impl FnMut(&[f64; K]),
    ) -> f64 {
        self.0.whiten(series, take)
    }
}

/// A pivot below this share of its column's own square is nothing but rounding: the column follows from those before it.
const DEPENDENT: f64 = 1e-9;

/// Takes a column out of all others (a Gauss–Jordan sweep of the normal equations), unless it follows from those taken out before. The
/// logarithm of its pivot.
fn sweep<const N: usize>(products: &mut [[f64; N]; N], at: usize, square: f64) -> Option<f64> {
    let taken = products[at];
    let pivot = taken[at];
    if pivot <= DEPENDENT * square || pivot <= 0.0 {
        for (index, row) in products.iter_mut().enumerate() {
            row[at] = 0.0;
            if index == at {
                *row = [0.0; N];
            }
        }
        return None;
    }
    for (index, row) in products.iter_mut().enumerate() {
        if index != at {
            let factor = row[at] / pivot;
            row.iter_mut().zip(taken).for_each(|(cell, taken)| *cell -= factor * taken);
        }
    }
    Some(pivot.ln())
}

/// What all series say together for one walk.
struct Information<const C: usize> {
    /// The common columns, with what each series has for itself taken out.
    information: [[f64; C]; C],
    /// Products of the common ones with y, and the square of y.
    with_y: [f64; C],
    of_y: f64,
    squares: [f64; C],
    log_determinant: f64,
    freedom: f64,
}

/// Adds the products of the cells of a row, on and above the diagonal: [`mirror`] makes the rest.
#[allow(clippy::needless_range_loop, reason = "with iterators of parts it takes half as long again")]
fn add_products<const K: usize>(products: &mut [[f64; K]; K], row: &[f64; K]) {
    for at in 0..K {
        for to in at..K {
            products[at][to] += row[at] * row[to];
        }
    }
}

/// Copies what is above the diagonal to below it.
#[allow(clippy::needless_range_loop, reason = "both cells are of one matrix")]
fn mirror<const K: usize>(products: &mut [[f64; K]; K]) {
    for at in 0..K {
        for to in 0..at {
            products[at][to] = products[to][at];
        }
    }
}

fn sums<D: Disturbance, const C: usize, const K: usize>(
    series: &[Vec<Observation<C>>],
    disturbance: D,
) -> Information<C> {
    let mut sums = Information {
        information: [[0.0; C]; C],
        with_y: [0.0; C],
        of_y: 0.0,
        squares: [0.0; C],
        log_determinant: 0.0,
        freedom: 0.0,
    };
    for one in series {
        let mut products = [[0.0; K]; K];
        sums.log_determinant += disturbance.whiten(one, |row: &[f64; K]| add_products(&mut products, row));
        mirror(&mut products);
        sums.freedom += one.len() as f64;
        for (square, at) in sums.squares.iter_mut().zip(OWN..) {
            *square += products[at][at];
        }
        for at in 0..OWN {
            let square = products[at][at];
            if let Some(pivot) = sweep(&mut products, at, square) {
                sums.log_determinant += pivot;
                sums.freedom -= 1.0;
            }
        }
        for (row, from) in sums.information.iter_mut().zip(&products[OWN..]) {
            row.iter_mut().zip(&from[OWN..]).for_each(|(cell, value)| *cell += value);
        }
        for (cell, from) in sums.with_y.iter_mut().zip(&products[OWN..]) {
            *cell += from[K - 1];
        }
        sums.of_y += products[K - 1][K - 1];
    }
    sums
}

/// A component, its restricted log likelihood, and which coefficients can be told.
type FittedComponent<const C: usize> = (Component<C>, f64, [bool; C]);

/// The coefficients for one walk, their restricted log likelihood, and which can be told; none where nothing is left to tell the
/// noise from.
fn component<D: Disturbance, const C: usize, const K: usize, const B: usize>(
    series: &[Vec<Observation<C>>],
    disturbance: D,
) -> Option<FittedComponent<C>> {
    let Information { information, with_y, of_y, squares, mut log_determinant, mut freedom } =
        sums::<D, C, K>(series, disturbance);
    // Bordered by the identity: what elimination leaves in its corner is the inverse of the information, negative.
    let mut products = [[0.0; B]; B];
    for at in 0..C {
        products[at][..C].copy_from_slice(&information[at]);
        (products[at][C], products[C][at]) = (with_y[at], with_y[at]);
        products[at][C + 1 + at] = 1.0;
        products[C + 1 + at][at] = 1.0;
    }
    products[C][C] = of_y;
    let mut identified = [false; C];
    for at in 0..C {
        if let Some(pivot) = sweep(&mut products, at, squares[at]) {
            identified[at] = true;
            log_determinant += pivot;
            freedom -= 1.0;
        }
    }
    if freedom < 1.0 || !identified[0] {
        return None;
    }
    let variance = (products[C][C] / freedom).max(D::LEAST_VARIANCE);
    let mut coefficients = [0.0; C];
    for at in (0..C).filter(|at| identified[*at]) {
        coefficients[at] = products[at][C] / products[at][at];
    }
    let root = cholesky(|row, column| -products[C + 1 + row][C + 1 + column] * variance);
    let likelihood = -0.5 * (freedom * variance.ln() + log_determinant);
    let unweighted = Component { weight: 0.0, weight_of_mean: 0.0, coefficients, root, freedom };
    Some((unweighted, likelihood, identified))
}

/// Lower triangular root of a covariance, which is zero for coefficients that cannot be told.
fn cholesky<const C: usize>(covariance: impl Fn(usize, usize) -> f64) -> [[f64; C]; C] {
    let mut root = [[0.0; C]; C];
    for row in 0..C {
        for column in 0..=row {
            let known: f64 = (0..column).map(|at| root[row][at] * root[column][at]).sum();
            let rest = covariance(row, column) - known;
            root[row][column] = match (row == column, root[column][column]) {
                (true, _) => rest.max(0.0).sqrt(),
                (false, below) if below > 0.0 => rest / below,
                (false, _) => 0.0,
            };
        }
    }
    root
}

/// Fits series, each of which has a level and a drift of its own. None where there are too few observations, or the first of the common
/// regressors cannot be told from level and drift.
#[must_use]
pub fn fit(series: &[Vec<Observation>]) -> Option<Fit> {
    fitted::<Walk, COMMON, { columns(COMMON) }, { bordered(COMMON) }>(series, Walk::all())
}

/// The same where what was observed is a number of things, and not of bytes.
#[must_use]
pub fn fit_counts(series: &[Vec<Observation>]) -> Option<Fit> {
    fitted::<CountWalk, COMMON, { columns(COMMON) }, { bordered(COMMON) }>(series, Walk::all().map(CountWalk))
}

/// The same of a mixed run: the first regressors are the instances of each group, the others the nodes that have had one.
#[must_use]
pub fn fit_groups(series: &[Vec<Observation<OF_GROUPS>>]) -> Option<Fit<OF_GROUPS>> {
    fit_groups_with(series, Walk::all())
}

/// The same where what is left over is one of these processes.
pub(super) fn fit_groups_with<D: Disturbance>(
    series: &[Vec<Observation<OF_GROUPS>>],
    disturbances: impl Iterator<Item = D>,
) -> Option<Fit<OF_GROUPS>> {
    // Most runs have one group: the columns of those that there are not say nothing, and take time.
    let is_used = |group: &usize| {
        let of_group = |one: &Observation<OF_GROUPS>| [one.x[*group], one.x[MOST_GROUPS + group]];
        series.iter().flatten().any(|one| of_group(one) != [0.0; 2])
    };
    match (0..MOST_GROUPS).rfind(is_used) {
        None | Some(0) => of_first_groups::<D, 2, { columns(2) }, { bordered(2) }>(series, disturbances),
        Some(1) => of_first_groups::<D, 4, { columns(4) }, { bordered(4) }>(series, disturbances),
        _ => fitted::<D, OF_GROUPS, { columns(OF_GROUPS) }, { bordered(OF_GROUPS) }>(series, disturbances),
    }
}

/// The same of the first groups, of which C are both regressors together.
fn of_first_groups<D: Disturbance, const C: usize, const K: usize, const B: usize>(
    series: &[Vec<Observation<OF_GROUPS>>],
    disturbances: impl Iterator<Item = D>,
) -> Option<Fit<OF_GROUPS>> {
    // Where a regressor of the first groups stands among those of all.
    let among_all = |at: usize| at % (C / 2) + at / (C / 2) * MOST_GROUPS;
    let first = |one: &Observation<OF_GROUPS>| Observation {
        seconds: one.seconds,
        x: std::array::from_fn(|at| one.x[among_all(at)]),
        y: one.y,
    };
    let of_first: Vec<Vec<Observation<C>>> =
        series.iter().map(|one| one.iter().map(first).collect()).collect();
    let fit = fitted::<D, C, K, B>(&of_first, disturbances)?;
    let of_all = |one: Component<C>| {
        let (mut coefficients, mut root) = ([0.0; OF_GROUPS], [[0.0; OF_GROUPS]; OF_GROUPS]);
        for row in 0..C {
            coefficients[among_all(row)] = one.coefficients[row];
            (0..C).for_each(|column| root[among_all(row)][among_all(column)] = one.root[row][column]);
        }
        Component {
            weight: one.weight,
            weight_of_mean: one.weight_of_mean,
            coefficients,
            root,
            freedom: one.freedom,
        }
    };
    let mut identified = [false; OF_GROUPS];
    (0..C).for_each(|at| identified[among_all(at)] = fit.identified[at]);
    Some(Fit {
        components: fit.components.into_iter().map(of_all).collect(),
        observations: fit.observations,
        identified,
    })
}

fn fitted<D: Disturbance, const C: usize, const K: usize, const B: usize>(
    series: &[Vec<Observation<C>>],
    disturbances: impl Iterator<Item = D>,
) -> Option<Fit<C>> {
    let found: Vec<_> =
        disturbances.filter_map(|one| Some((one, component::<D, C, K, B>(series, one)?))).collect();
    let identified = found.first()?.1.2;
    let likelihoods = found.iter().map(|(_, (_, likelihood, _))| *likelihood);
    let expected = found.iter().map(|(one, (_, likelihood, _))| likelihood + one.log_prior());
    let (weights_of_means, weights) = (weights(likelihoods), weights(expected));
    let (best, _) = found.iter().zip(&weights).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let wider = persistence::<D, C, K>(series, best.0, &best.1.0.coefficients).sqrt();
    let components = found
        .iter()
        .zip(weights.iter().zip(&weights_of_means))
        .map(|((_, (component, _, _)), (weight, weight_of_mean))| Component {
            weight: *weight,
            weight_of_mean: *weight_of_mean,
            root: component.root.map(|row| row.map(|cell| cell * wider)),
            ..*component
        })
        .collect();
    Some(Fit { components, observations: series.iter().map(Vec::len).sum(), identified })
}

/// Weights with a sum of 1, by their logarithms.
fn weights(logarithms: impl Iterator<Item = f64>) -> Vec<f64> {
    let logarithms: Vec<f64> = logarithms.collect();
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let relative: Vec<f64> = logarithms.iter().map(|one| (one - largest).exp()).collect();
    let total: f64 = relative.iter().sum();
    relative.iter().map(|one| one / total).collect()
}

/// By how much neighbouring innovations that go the same way make the variance of their sum larger than the sum of their
/// variances: 1 where the model holds. A compiler that takes memory for ten seconds on end is no random walk. With Bartlett's
/// weights (W. K. Newey and K. D. West, A Simple, Positive Semi-Definite, Heteroskedasticity and Autocorrelation Consistent
/// Covariance Matrix, Econometrica 55, 1987).
fn persistence<D: Disturbance, const C: usize, const K: usize>(
    series: &[Vec<Observation<C>>],
    walk: D,
    coefficients: &[f64; C],
) -> f64 {
    let left: Vec<Vec<f64>> =
        series.iter().map(|one| innovations::<D, C, K>(one, walk, coefficients)).collect();
    let count: usize = left.iter().map(Vec::len).sum();
    let square: f64 = left.iter().flatten().map(|value| value * value).sum();
    if square <= 0.0 {
        return 1.0;
    }
    let lags = (count as f64).cbrt().ceil() as usize;
    let together = |lag: usize| -> f64 {
        left.iter().flat_map(|one| one.iter().zip(one.iter().skip(lag))).map(|(a, b)| a * b).sum()
    };
    let weight = |lag: usize| 1.0 - lag as f64 / (lags + 1) as f64;
    let ratio = 1.0 + 2.0 * (1..=lags).map(|lag| weight(lag) * together(lag) / square).sum::<f64>();
    ratio.max(1.0)
}

/// What is left of a series, whitened, without the common regressors, its level and its drift.
fn innovations<D: Disturbance, const C: usize, const K: usize>(
    series: &[Observation<C>],
    walk: D,
    coefficients: &[f64; C],
) -> Vec<f64> {
    let mut rows: Vec<[f64; OWN + 1]> = Vec::with_capacity(series.len());
    let mut products = [[0.0; OWN + 1]; OWN + 1];
    walk.whiten(series, |row: &[f64; K]| {
        let common: f64 =
            row[OWN..].iter().zip(coefficients).map(|(cell, coefficient)| cell * coefficient).sum();
        let rest = [row[0], row[1], row[K - 1] - common];
        add_products(&mut products, &rest);
        rows.push(rest);
    });
    mirror(&mut products);
    let mut own = [false; OWN];
    for at in 0..OWN {
        let square = products[at][at];
        own[at] = sweep(&mut products, at, square).is_some();
    }
    let coefficient = |at: usize| if own[at] { products[at][OWN] / products[at][at] } else { 0.0 };
    let (level, drift) = (coefficient(0), coefficient(1));
    rows.iter().map(|[one, time, y]| y - level * one - drift * time).collect()
}

impl<const C: usize> Fit<C> {
    /// The mean of a linear combination of the coefficients.
    #[must_use]
    pub fn mean(&self, of: [f64; C]) -> f64 {
        let of_one = |one: &Component<C>| one.weight_of_mean * dot(of, one.coefficients);
        self.components.iter().map(of_one).sum()
    }

    /// Draws of the coefficients, as far as the observations tell them. `seed` tells fits apart that are drawn from side by side.
    #[must_use]
    pub fn draws(&self, count: usize, seed: u64) -> Vec<[f64; C]> {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let mut draw = || {
            let mut at = random.random::<f64>();
            let chosen = self.components.iter().find(|one| {
                at -= one.weight;
                at <= 0.0
            });
            chosen.or(self.components.last()).map(|one| one.draw(&mut random))
        };
        (0..count).filter_map(|_| draw()).collect()
    }
}

/// The sum of products.
#[must_use]
pub fn dot<const C: usize>(left: [f64; C], right: [f64; C]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

impl<const C: usize> Component<C> {
    /// Student's t of several dimensions: normal ones with their covariance, by one chance of the variance.
    fn draw(&self, random: &mut Pcg64Mcg) -> [f64; C] {
        let spread =
            ChiSquared::new(self.freedom).map_or(1.0, |chi| (chi.sample(random) / self.freedom).sqrt());
        let normal: [f64; C] = std::array::from_fn(|_| StandardNormal.sample(random));
        std::array::from_fn(|at| self.coefficients[at] + dot(self.root[at], normal) / spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Interval;

    /// A ramp of one instance a second, with ten seconds before it and after it, and as many held.
    fn ramp(instances: usize, noise: f64, walk: f64, random: &mut Pcg64Mcg) -> Vec<Observation> {
        const QUIET: usize = 10;
        const MB: f64 = 1e6;
        let mut level = 1000.0 * MB;
        let normal = |random: &mut Pcg64Mcg| -> f64 { StandardNormal.sample(random) };
        (0..instances + 3 * QUIET)
            .map(|second| {
                level += walk * MB * normal(random);
                let there = second.saturating_sub(QUIET).min(instances);
                let gone = second >= instances + 2 * QUIET;
                let (now, most) = (if gone { 0 } else { there } as f64, there as f64);
                let y = level + 7.0 * MB * now + 0.5 * MB * most + noise * MB * normal(random);
                Observation { seconds: second as f64, x: [now, 0.0, most], y }
            })
            .collect()
    }

    #[test]
    fn its_intervals_hold_the_truth_for_any_mixture_of_walk_and_noise() {
        for (noise, walk) in [(1.0, 0.0), (0.0, 1.0), (1.0, 0.1), (1.0, 1.0), (0.2, 2.0)] {
            for instances in [5, 20, 100] {
                let mut random = Pcg64Mcg::seed_from_u64(7);
                let runs = 200;
                let holds = (0..runs).filter(|_| {
                    let fit = fit(&[ramp(instances, noise, walk, &mut random)]).unwrap();
                    let drawn: Vec<f64> =
                        fit.draws(400, 1).iter().map(|drawn| dot([1.0, 0.0, 1.0], *drawn)).collect();
                    let Interval { low, high } = Interval::of(&drawn).unwrap();
                    low <= 7.5e6 && 7.5e6 <= high
                });
                let holds = holds.count();
                assert!(
                    holds * 100 >= 92 * runs,
                    "{holds} of {runs}: noise {noise}, walk {walk}, {instances} instances"
                );
            }
        }
    }

    #[test]
    fn what_only_went_up_tells_the_sum_of_what_stays_and_what_does_not() {
        let mut random = Pcg64Mcg::seed_from_u64(7);
        let mut series = ramp(20, 1.0, 0.0, &mut random);
        series.truncate(40);
        let fit = fit(&[series]).unwrap();
        assert_eq!(fit.identified, [true, false, false]);
        assert!((fit.mean([1.0, 0.0, 1.0]) - 7.5e6).abs() < 0.5e6, "{}", fit.mean([1.0, 0.0, 1.0]));
    }

    #[test]
    fn without_anything_before_the_first_and_with_one_instance_a_second_it_is_drift_as_well_as_cost() {
        let series: Vec<_> = (0..20)
            .map(|second| {
                let x = f64::from(second);
                Observation { seconds: x, x: [x, 0.0, 0.0], y: 3e6 * x }
            })
            .collect();
        assert_eq!(fit(&[series]), None);
        assert_eq!(fit(&[]), None);
    }

    /// A mixed ramp on two machines: a step every three seconds, to either group at random, after ten seconds of nothing.
    fn mixed(steps: usize, noise: f64, walk: f64, random: &mut Pcg64Mcg) -> Vec<Vec<Observation<OF_GROUPS>>> {
        const MB: f64 = 1e6;
        let normal = |random: &mut Pcg64Mcg| -> f64 { StandardNormal.sample(random) };
        let order: Vec<usize> = (0..steps).map(|_| random.random_range(0..2)).collect();
        let mut of_machine = |machine: usize| {
            let mut level = 1000.0 * MB;
            let at = |second: usize| {
                level += walk * MB * normal(random);
                let made = (second.saturating_sub(10) / 3).min(steps);
                let here = order[..made].iter().enumerate().filter(|(step, _)| step % 2 == machine);
                let mut x = [0.0; OF_GROUPS];
                here.for_each(|(_, group)| x[*group] += 1.0);
                let y = level + 7.0 * MB * x[0] + 107.0 * MB * x[1] + noise * MB * normal(random);
                Observation { seconds: second as f64, x, y }
            };
            (0..10 + 3 * steps + 30).map(at).collect()
        };
        vec![of_machine(0), of_machine(1)]
    }

    #[test]
    fn intervals_of_the_difference_of_two_groups_hold_the_truth() {
        for (noise, walk) in [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let mut random = Pcg64Mcg::seed_from_u64(7);
            let runs = 100;
            let holds = (0..runs).filter(|_| {
                let fit = fit_groups(&mixed(20, noise, walk, &mut random)).unwrap();
                assert_eq!(fit.identified[..3], [true, true, false], "there is no third group");
                let drawn: Vec<f64> = fit.draws(400, 1).iter().map(|drawn| drawn[1] - drawn[0]).collect();
                Interval::of(&drawn).unwrap().contains(100e6)
            });
            let holds = holds.count();
            assert!(holds * 100 >= 92 * runs, "{holds} of {runs}: noise {noise}, walk {walk}");
        }
    }
}
