//! The slope of a line through points that may have outliers: Theil–Sen (P. K. Sen, Estimates of the Regression Coefficient Based on
//! Kendall's Tau, JASA 63, 1968), the median of the slopes between all pairs of points.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Interval, quantile};

/// A point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// What the line runs along.
    pub x: f64,
    /// What it is drawn through.
    pub y: f64,
}

/// A slope, and how far it can be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Slope {
    /// The median of the slopes between all pairs.
    pub slope: f64,
    /// Where it lies in 95 of 100 experiments.
    pub interval: Interval,
    /// Points with an x of their own that it rests on.
    pub points: usize,
    /// What the bootstrap drew, in the order in which it did.
    pub drawn: Vec<f64>,
}

/// Fewer points tell more of themselves than of a line.
pub(crate) const FEWEST_POINTS: usize = 5;
/// Draws of the bootstrap: the ends of a 95 % interval move by less than a tenth of its width from seed to seed.
const DRAWS: usize = 1000;
/// Pairs that are looked at, of all series together. What has more points has them merged.
const MOST_PAIRS: usize = 5_000;
/// The same data give the same interval.
pub(crate) const SEED: u64 = 2021;

/// The common slope of series, each of which has an intercept of its own: only points of one series make pairs. None where no
/// series has five points apart.
///
/// The points are where the experiment put them, and follow each other in time: what a machine takes meanwhile for itself drifts, and is
/// still there in the next point. So the bootstrap keeps each x, and draws anew how the distance from the line changes from point to
/// point, as for series with a unit root, in blocks of neighbours as long as the cube root of their number (Paparoditis and Politis,
/// Residual-Based Block Bootstrap for Unit Root Testing, Econometrica 71, 2003): a change that the next one takes back is no drift. Where
/// nothing drifts the interval is wider than it had to be. Few changes tell little of how far changes go: they are drawn wider, as the
/// quantile of Student's distribution is farther out than that of the normal one.
#[must_use]
pub fn slope(series: &[Vec<Point>]) -> Option<Slope> {
    slope_of_draws(series, DRAWS)
}

fn slope_of_draws(series: &[Vec<Point>], draws: usize) -> Option<Slope> {
    let mut series: Vec<Vec<Point>> = series.iter().map(|points| medians(points)).collect();
    series.retain(|points| points.len() >= FEWEST_POINTS);
    let points = series.iter().map(Vec::len).sum();
    let most = most_points(series.len());
    for points in &mut series {
        merge(points, most);
    }
    let mut slopes = Vec::new();
    let middle = median_slope(series.iter().map(Vec::as_slice), &mut slopes)?;
    // Of each series its intercept and its mean change are taken from the points.
    let freedom: usize = series.iter().map(|points| points.len() - 2).sum();
    let changes: Vec<Vec<f64>> = series.iter().map(|points| changes(points, middle, freedom)).collect();
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut drawn = Vec::with_capacity(draws);
    for _ in 0..draws {
        for (points, changes) in series.iter_mut().zip(&changes) {
            walk(points, changes, &mut random);
        }
        drawn.extend(median_slope(series.iter().map(Vec::as_slice), &mut slopes).map(|error| middle + error));
    }
    Some(Slope { slope: middle, interval: Interval::of(&drawn)?, points, drawn })
}

/// One point for each x: the median of its ys. In the order of x.
fn medians(points: &[Point]) -> Vec<Point> {
    let mut points: Vec<Point> =
        points.iter().filter(|point| point.x.is_finite() && point.y.is_finite()).copied().collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let of_one_x = points.chunk_by(|a, b| a.x == b.x);
    of_one_x
        .filter_map(|group| {
            let ys: Vec<f64> = group.iter().map(|point| point.y).collect();
            Some(Point { x: group.first()?.x, y: quantile(&ys, 0.5)? })
        })
        .collect()
}

/// Points that a series may have, so that all of them together have no more than [`MOST_PAIRS`].
fn most_points(series: usize) -> usize {
    ((2 * MOST_PAIRS / series.max(1)) as f64).sqrt().max(FEWEST_POINTS as f64) as usize
}

/// Most points: above it neighbours are replaced by their mean.
fn merge(points: &mut Vec<Point>, most: usize) {
    let together = points.len().div_ceil(most);
    if together > 1 {
        let mean =
            |group: &[Point], of: fn(&Point) -> f64| group.iter().map(of).sum::<f64>() / group.len() as f64;
        *points = points
            .chunks(together)
            .map(|group| Point { x: mean(group, |point| point.x), y: mean(group, |point| point.y) })
            .collect();
    }
}

/// The median of the slopes between all pairs of points of one series. None of no pairs. `slopes` is room for them.
fn median_slope<'p>(series: impl Iterator<Item = &'p [Point]>, slopes: &mut Vec<f64>) -> Option<f64> {
    slopes.clear();
    for points in series {
        for (b, right) in points.iter().enumerate() {
            let before = points.iter().take(b);
            slopes.extend(before.map(|left| (right.y - left.y) / (right.x - left.x)));
        }
    }
    let middle = slopes.len() / 2;
    if slopes.is_empty() {
        return None;
    }
    let is_even = slopes.len().is_multiple_of(2);
    let (below, upper, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    // Between two that are both in the middle.
    let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| is_even);
    Some(lower.map_or(upper, |lower| f64::midpoint(lower, upper)))
}

/// How the distance from a line with this slope changes from point to point: with a mean of 0, and as wide as it would be had the
/// line not been drawn through these very points.
fn changes(points: &[Point], slope: f64, freedom: usize) -> Vec<f64> {
    let distance = |point: &Point| point.y - slope * point.x;
    let changes: Vec<f64> =
        points.windows(2).filter_map(|pair| Some(distance(pair.last()?) - distance(pair.first()?))).collect();
    let count = changes.len() as f64;
    let mean = changes.iter().sum::<f64>() / count;
    let wider = (count / (count - 1.0)).sqrt() * students_t(freedom) / NORMAL;
    changes.iter().map(|change| (change - mean) * wider).collect()
}

/// The 97.5 % quantile of the normal distribution.
const NORMAL: f64 = 1.959_964;

/// The 97.5 % quantile of Student's t distribution, to 1 % from three degrees of freedom on (Abramowitz and Stegun, Handbook of
/// Mathematical Functions, 26.7.5).
fn students_t(freedom: usize) -> f64 {
    let (z, n) = (NORMAL, freedom as f64);
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / n + second / n.powi(2) + third / n.powi(3)
}

/// Gives points new distances from the line, which change by what is drawn. Blocks go on at the beginning where they reach the end.
fn walk(points: &mut [Point], changes: &[f64], random: &mut Pcg64Mcg) {
    let length = (changes.len() as f64).cbrt().round().max(1.0) as usize;
    let mut distance = 0.0;
    let mut block = 0..0;
    for (index, point) in points.iter_mut().enumerate() {
        if index > 0 {
            let at = block.next().unwrap_or_else(|| {
                let start = random.random_range(0..changes.len());
                block = start + 1..start + length;
                start
            });
            distance += changes.get(at % changes.len()).copied().unwrap_or(0.0);
        }
        point.y = distance;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(random: &mut Pcg64Mcg) -> f64 {
        // The sum of twelve is close enough to the normal distribution, with a standard deviation of 1.
        (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
    }

    fn line(points: u32, slope: f64, intercept: f64, mut error: impl FnMut() -> f64) -> Vec<Point> {
        (1..=points).map(f64::from).map(|x| Point { x, y: intercept + slope * x + error() }).collect()
    }

    #[test]
    fn a_line_without_errors_is_found_exactly_whatever_its_intercepts() {
        let series = [line(10, 3.0, 100.0, || 0.0), line(20, 3.0, -7.0, || 0.0)];
        let found = slope(&series).unwrap();
        assert_eq!((found.slope, found.points), (3.0, 30));
        assert_eq!(found.interval, Interval { low: 3.0, high: 3.0 });
    }

    #[test]
    fn a_fifth_of_outliers_does_not_move_it() {
        let mut points = line(50, 2.0, 0.0, || 0.0);
        points.iter_mut().step_by(5).for_each(|point| point.y += 1000.0);
        let found = slope(&[points]).unwrap();
        assert!((found.slope - 2.0).abs() < 0.01, "{}", found.slope);
    }

    #[test]
    fn four_points_say_nothing() {
        assert_eq!(slope(&[line(4, 1.0, 0.0, || 0.0)]), None);
        assert_eq!(slope(&[vec![Point { x: 1.0, y: 2.0 }; 100]]), None, "one x");
        assert_eq!(slope(&[]), None);
    }

    #[test]
    fn the_same_points_give_the_same_interval() {
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let points = [line(40, 1.0, 0.0, || noise(&mut random))];
        assert_eq!(slope(&points), slope(&points));
    }

    /// In how many of 150 experiments the interval holds the slope. Fewer draws and experiments than would be had of a release build.
    fn held(mut error: impl FnMut(&mut Pcg64Mcg) -> f64) -> usize {
        let holds = |seed: &u64| {
            let mut random = Pcg64Mcg::seed_from_u64(*seed);
            let points = line(30, 5.0, 10.0, || error(&mut random));
            let found = slope_of_draws(&[points], 300).unwrap();
            found.interval.low <= 5.0 && 5.0 <= found.interval.high
        };
        (0..150).filter(holds).count()
    }

    #[test]
    fn the_interval_holds_the_slope_in_95_of_100_experiments_and_more() {
        assert!(held(|random| 3.0 * noise(random)) >= 143);
    }

    #[test]
    fn it_does_so_where_the_machine_drifts() {
        let mut walk = 0.0;
        let held = held(|random| {
            walk += noise(random);
            walk
        });
        assert!(held >= 136, "{held} of 150");
    }

    #[test]
    fn the_interval_is_no_wider_than_what_the_data_warrants() {
        let mut random = Pcg64Mcg::seed_from_u64(5);
        let found = slope(&[line(40, 100.0, 0.0, || 3.0 * noise(&mut random))]).unwrap();
        let half = found.interval.half_width();
        // Least squares would have 1.96 · 3 / sqrt(40³ / 12) = 0.08; the ends of a random walk of such changes, 3 · sqrt(2) each, lie
        // within 1.96 · 3 · sqrt(2 · 40) / 40 = 1.3 for each x.
        assert!((0.08..1.7).contains(&half), "{half}");
    }

    #[test]
    fn students_quantile_is_that_of_the_tables() {
        for (freedom, quantile) in [(3, 3.182), (6, 2.447), (10, 2.228), (30, 2.042), (1000, 1.962)] {
            let found = students_t(freedom);
            assert!((found / quantile - 1.0).abs() < 0.01, "{freedom}: {found}, in the table {quantile}");
        }
    }

    #[test]
    fn it_does_so_of_few_points_too() {
        let (mut random, mut held) = (Pcg64Mcg::seed_from_u64(8), 0);
        for _ in 0..150 {
            let mut walk = 0.0;
            let points = line(8, 5.0, 10.0, || {
                walk += noise(&mut random);
                walk
            });
            let Interval { low, high } = slope_of_draws(&[points], 300).unwrap().interval;
            held += u32::from(low <= 5.0 && 5.0 <= high);
        }
        assert!(held >= 132, "{held} of 150");
    }

    #[test]
    fn many_points_are_merged_and_tell_the_same() {
        let mut random = Pcg64Mcg::seed_from_u64(3);
        let series: Vec<_> = (0..20).map(|_| line(1000, 5.0, 0.0, || 10.0 * noise(&mut random))).collect();
        let found = slope_of_draws(&series, 10).unwrap();
        assert!((found.slope - 5.0).abs() < 0.01, "{}", found.slope);
        assert_eq!(found.points, 20_000);
    }
}
