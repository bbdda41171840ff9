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
const FEWEST_POINTS: usize = 5;
/// Draws of the bootstrap: the ends of a 95 % interval move by less than a tenth of its width from seed to seed.
const DRAWS: usize = 2000;
/// Pairs that are looked at, of all series together. What has more points has them merged.
const MOST_PAIRS: usize = 20_000;
/// The same data give the same interval.
const SEED: u64 = 2021;

/// The common slope of series, each of which has an intercept of its own: only points of one series make pairs. None where no
/// series has five points apart.
///
/// The interval is that of a bootstrap which draws blocks of neighbours (Künsch, The Jackknife and the Bootstrap for General
/// Stationary Observations, 1989), as long as the cube root of their number: what one step leaves behind is still there in the next.
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
    let pairs = pairs(&series);
    let once: Vec<Vec<u32>> = series.iter().map(|points| vec![1; points.len()]).collect();
    let middle = weighted_median(&pairs, &once)?;
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let drawn: Vec<f64> = (0..draws)
        .filter_map(|_| {
            let counts: Vec<Vec<u32>> =
                series.iter().map(|points| blocks(points.len(), &mut random)).collect();
            weighted_median(&pairs, &counts)
        })
        .collect();
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

/// Neighbours become one point, their mean, until there are no more than so many.
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

/// The slope between two points of a series.
struct Pair {
    slope: f64,
    series: usize,
    a: usize,
    b: usize,
}

/// All pairs, in the order of their slopes.
fn pairs(series: &[Vec<Point>]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (series, points) in series.iter().enumerate() {
        for (b, right) in points.iter().enumerate() {
            for (a, left) in points.iter().take(b).enumerate() {
                pairs.push(Pair { slope: (right.y - left.y) / (right.x - left.x), series, a, b });
            }
        }
    }
    pairs.sort_by(|a, b| a.slope.total_cmp(&b.slope));
    pairs
}

/// The median of the slopes, where each point counts as often as it was drawn.
fn weighted_median(pairs: &[Pair], counts: &[Vec<u32>]) -> Option<f64> {
    let count =
        |series: usize, point: usize| counts.get(series).and_then(|counts| counts.get(point)).copied();
    let weight = |pair: &Pair| {
        u64::from(count(pair.series, pair.a).unwrap_or(0))
            * u64::from(count(pair.series, pair.b).unwrap_or(0))
    };
    let all: u64 = pairs.iter().map(weight).sum();
    let mut below = 0;
    let mut lower = None;
    for pair in pairs {
        let weight = weight(pair);
        if weight == 0 {
            continue;
        }
        // Between two that are both in the middle.
        if let Some(lower) = lower {
            return Some((lower + pair.slope) / 2.0);
        }
        below += weight;
        if 2 * below == all {
            lower = Some(pair.slope);
        } else if 2 * below > all {
            return Some(pair.slope);
        }
    }
    lower
}

/// How often each of so many points is drawn, in blocks of neighbours.
fn blocks(points: usize, random: &mut Pcg64Mcg) -> Vec<u32> {
    let length = (points as f64).cbrt().ceil() as usize;
    let mut counts = vec![0; points];
    let mut left = points;
    while left > 0 {
        let start = random.random_range(0..=points - length.min(points));
        for count in counts.iter_mut().skip(start).take(length.min(left)) {
            *count += 1;
        }
        left -= length.min(left);
    }
    counts
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

    #[test]
    fn the_interval_holds_the_slope_in_about_95_of_100_experiments() {
        let mut held = 0;
        // Fewer draws and experiments than would be had of a release build.
        for seed in 0..150 {
            let mut random = Pcg64Mcg::seed_from_u64(seed);
            let points = line(30, 5.0, 10.0, || 3.0 * noise(&mut random));
            let found = slope_of_draws(&[points], 300).unwrap();
            held += u32::from(found.interval.low <= 5.0 && 5.0 <= found.interval.high);
        }
        // A little less, as percentile intervals of few points do.
        assert!((129..=149).contains(&held), "{held} of 150");
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
