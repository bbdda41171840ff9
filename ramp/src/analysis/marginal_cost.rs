//! What one instance more costs in memory.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Estimate, cannot_say, mib};
use crate::dataset::Costs;
use crate::statistics::{Interval, Point, SEED, Slope, slope};

/// What one instance more costs.
#[derive(Clone, Debug, PartialEq)]
pub struct MarginalCost {
    /// Bytes.
    pub bytes: f64,
    /// Its 95 % interval, in bytes.
    pub interval: Interval,
    /// Numbers of instances that it rests on.
    pub points: usize,
    /// What the bootstrap drew, in bytes.
    pub drawn: Vec<f64>,
    /// Memory against instances of what.
    pub inputs: String,
}

/// What one instance more costs: the Theil–Sen slope of memory against instances at work, from fresh samples before saturation (or of the
/// whole way up where the run was not saturated), with an intercept for each kernel.
///
/// What the machine takes for itself while the instances come looks like their cost, and nothing tells it apart but that it stays when they
/// are gone: see [`MACHINES_OWN`].
///
/// # Errors
/// Where there are too few fresh samples.
pub fn marginal_cost(costs: &Costs, saturated: bool) -> Estimate<MarginalCost> {
    let Costs { measure, series, stayed } = costs;
    let when = if saturated { "before saturation" } else { "on the way up" };
    let samples: usize = series.iter().map(Vec::len).sum();
    let Some(Slope { slope, points, drawn, .. }) = slope(series) else {
        return cannot_say(format!(
            "{samples} fresh sample{} of all memory {when}: at least five numbers of instances at work are needed",
            if samples == 1 { "" } else { "s" }
        ));
    };
    let mut inputs = format!("{measure}; {samples} fresh samples at {points} numbers of instances, {when}");
    let most = |points: &Vec<Point>| points.iter().map(|point| point.x).fold(0.0, f64::max);
    let stayed_each = stayed.map(|stayed| stayed / series.iter().map(most).sum::<f64>().max(1.0));
    if let Some(stayed_each) = stayed_each {
        inputs += &format!(
            "; {:+.1} MiB after the run, {:.1} MiB for each instance, that the machine may have taken for itself meanwhile",
            mib(stayed.unwrap_or(0.0)),
            mib(stayed_each.abs())
        );
    }
    let drawn = less_the_machines_own(drawn, stayed_each.unwrap_or(0.0));
    let Some(interval) = Interval::of(&drawn) else { return cannot_say("the bootstrap drew nothing") };
    Ok(MarginalCost { bytes: slope, interval, points, drawn, inputs })
}

/// How much of what stayed the machine may have taken for itself while the instances came, as parts of it. What stayed tells by how much its
/// own memory has changed, and not when: it may have taken all of it before or after, or more, which it gave back before the end.
const MACHINES_OWN: std::ops::Range<f64> = -1.0..2.0;

/// Takes from each draw any part of what stayed for each instance that may have been the machine's.
fn less_the_machines_own(mut drawn: Vec<f64>, stayed_each: f64) -> Vec<f64> {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    for draw in &mut drawn {
        *draw -= stayed_each * random.random_range(MACHINES_OWN);
    }
    drawn
}

/// What one instance more costs by repeats: the mean of what each says. Its interval is that of drawing as many runs as there are, with
/// replacement, and of each what its own bootstrap drew: how far repeats lie apart counts as much as how far each can be trusted.
///
/// # Errors
/// Where one of them cannot say.
pub(super) fn pooled(runs: &[&Estimate<MarginalCost>]) -> Estimate<MarginalCost> {
    let runs: Vec<&MarginalCost> =
        runs.iter().map(|run| run.as_ref().map_err(Clone::clone)).collect::<Result<_, _>>()?;
    let (first, count) = match runs.as_slice() {
        [] => return cannot_say("there is no run"),
        [one] => return Ok((*one).clone()),
        [first, ..] => (*first, runs.len()),
    };
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut mean_of_any = || {
        let one = |_| runs.choose(&mut random).and_then(|run| run.drawn.choose(&mut random)).copied();
        (0..count).filter_map(one).sum::<f64>() / count as f64
    };
    let drawn: Vec<f64> = (0..first.drawn.len()).map(|_| mean_of_any()).collect();
    let Some(interval) = Interval::of(&drawn) else { return cannot_say("the bootstrap drew nothing") };
    Ok(MarginalCost {
        bytes: runs.iter().map(|run| run.bytes).sum::<f64>() / count as f64,
        interval,
        points: runs.iter().map(|run| run.points).sum(),
        drawn,
        inputs: format!("{count} runs; in the first {}", first.inputs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(bytes: f64) -> Estimate<MarginalCost> {
        let drawn: Vec<f64> = (-500..500).map(|draw| bytes + f64::from(draw) / 100.0).collect();
        let interval = Interval::of(&drawn).unwrap();
        Ok(MarginalCost { bytes, interval, points: 10, drawn, inputs: String::new() })
    }

    #[test]
    fn memory_that_stayed_may_be_the_machines_own() {
        let waver = |x: u32| f64::from(x % 2) / 10.0;
        let points = (1..=20).map(|x| Point { x: x.into(), y: 1000.0 + 103.0 * f64::from(x) + waver(x) });
        let points: Vec<Point> = points.collect();
        let cost = |stayed| {
            let costs =
                Costs { measure: "memory".into(), series: vec![points.clone()], stayed: Some(stayed) };
            marginal_cost(&costs, true).unwrap()
        };
        let (alone, grown, shrunk) = (cost(0.0), cost(60.0), cost(-60.0));
        assert!(alone.interval.low > 102.8 && alone.interval.high < 103.2, "{:?}", alone.interval);
        // 3 each: down to twice as much less, up to as much more.
        assert!((97.0..97.5).contains(&grown.interval.low), "{:?}", grown.interval);
        assert!((105.5..106.1).contains(&grown.interval.high), "{:?}", grown.interval);
        assert!((108.5..109.1).contains(&shrunk.interval.high), "{:?}", shrunk.interval);
        assert_eq!((alone.bytes, grown.bytes), (shrunk.bytes, shrunk.bytes));
    }

    #[test]
    fn repeats_that_lie_apart_widen_the_interval_to_where_each_of_them_lies() {
        let pooled = pooled(&[&cost(100.0), &cost(140.0)]).unwrap();
        assert_eq!((pooled.bytes, pooled.points), (120.0, 20));
        assert!(pooled.interval.low < 100.0 && pooled.interval.high > 140.0, "{:?}", pooled.interval);
    }

    #[test]
    fn repeats_that_agree_narrow_it() {
        let alone = cost(100.0).unwrap().interval;
        let pooled = pooled(&[&cost(100.0), &cost(100.0)]).unwrap().interval;
        assert!(pooled.low > alone.low && pooled.high < alone.high, "{pooled:?}");
    }
}
