//! What one instance more costs in memory.

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Estimate, cannot_say, mib};
use crate::dataset::Costs;
use crate::statistics::{Interval, SEED, Slope, slope};

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
    /// Bytes for each instance that stayed when they were gone.
    pub stayed_each: f64,
    /// Which memory.
    pub measure: &'static str,
    /// Memory against instances of what.
    pub inputs: String,
}

impl MarginalCost {
    /// What it may be in bytes: what the bootstrap drew, less what may have been the machine's own.
    #[must_use]
    pub fn draws(&self) -> Vec<f64> {
        less_the_machines_own(&self.drawn, self.stayed_each)
    }
}

/// What one instance more costs: the Theil–Sen slope of memory against instances at work, from fresh samples before saturation (or of the
/// whole way up where the run was not saturated), with an intercept for each kernel.
///
/// What the machine takes for itself while the instances come looks like their cost, and nothing tells it apart but that it stays when
/// they are gone. What stayed tells by how much the machine's own memory has changed, and not when: it may have taken all of it before
/// or after, or more, which it gave back before the end. So each draw is less by any part of it between -1 and 2 times.
///
/// # Errors
/// Where there are too few fresh samples.
pub fn marginal_cost(costs: &Costs, saturated: bool) -> Estimate<MarginalCost> {
    let Costs { measure, of, series, stayed } = costs;
    let when = if saturated { "before saturation" } else { "on the way up" };
    let samples: usize = series.iter().map(Vec::len).sum();
    let Some(Slope { slope, points, drawn, .. }) = slope(series) else {
        return cannot_say(format!(
            "{samples} fresh sample{} {when}: at least five numbers of instances at work are needed",
            if samples == 1 { "" } else { "s" }
        ));
    };
    let mut inputs =
        format!("{measure} {of}; {samples} fresh samples at {points} numbers of instances, {when}");
    inputs += &match stayed {
        None => "; what stayed after the run is not known, and the interval does not allow for it".to_owned(),
        Some(stayed) => format!(
            "; after the run there was {:.1} MiB {} of it than before: up to {:.1} MiB for each instance may be the machine's own",
            mib(stayed.bytes.abs()),
            if stayed.bytes < 0.0 { "less" } else { "more" },
            mib(stayed.each().abs() * MACHINES_OWN.end)
        ),
    };
    let stayed_each = stayed.map_or(0.0, |stayed| stayed.each());
    let interval = interval(&less_the_machines_own(&drawn, stayed_each))?;
    Ok(MarginalCost { bytes: slope, interval, points, drawn, stayed_each, measure, inputs })
}

/// How much of what stayed the machine may have taken for itself while the instances came, as parts of it.
const MACHINES_OWN: std::ops::Range<f64> = -1.0..2.0;

/// Each draw, less any part of what stayed for each instance that may have been the machine's.
fn less_the_machines_own(drawn: &[f64], stayed_each: f64) -> Vec<f64> {
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    drawn.iter().map(|draw| draw - stayed_each * random.random_range(MACHINES_OWN)).collect()
}

/// The interval of what a bootstrap drew.
pub(super) fn interval(drawn: &[f64]) -> Estimate<Interval> {
    Interval::of(drawn).map_or_else(|| cannot_say("the bootstrap drew nothing"), Ok)
}

/// What one instance more costs by repeats: the mean of what each says. Its interval is that of drawing as many runs as there are, with
/// replacement, and of each what its own bootstrap drew: how far repeats lie apart counts as much as how far each can be trusted. What part
/// of that which stayed was the machine's own is no chance: it is drawn once for all of them.
///
/// # Errors
/// Where one of them cannot say, or they are of different memory.
pub(super) fn pooled(runs: &[&Estimate<MarginalCost>]) -> Estimate<MarginalCost> {
    let runs: Vec<&MarginalCost> =
        runs.iter().map(|run| run.as_ref().map_err(Clone::clone)).collect::<Result<_, _>>()?;
    let (first, count) = match runs.as_slice() {
        [] => return cannot_say("there is no run"),
        [one] => return Ok((*one).clone()),
        [first, ..] => (*first, runs.len()),
    };
    if let Some(other) = runs.iter().find(|run| run.measure != first.measure) {
        return of_two_measures(first.measure, other.measure);
    }
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut mean_of_any = || {
        let one = |_| runs.choose(&mut random).and_then(|run| run.drawn.choose(&mut random)).copied();
        (0..count).filter_map(one).sum::<f64>() / count as f64
    };
    let drawn: Vec<f64> = (0..first.drawn.len()).map(|_| mean_of_any()).collect();
    let mean = |of: fn(&MarginalCost) -> f64| runs.iter().map(|run| of(run)).sum::<f64>() / count as f64;
    let stayed_each = mean(|run| run.stayed_each);
    let interval = interval(&less_the_machines_own(&drawn, stayed_each))?;
    Ok(MarginalCost {
        bytes: mean(|run| run.bytes),
        interval,
        points: runs.iter().map(|run| run.points).sum(),
        drawn,
        stayed_each,
        measure: first.measure,
        inputs: format!("{count} runs; in the first {}", first.inputs),
    })
}

/// Why two marginal costs have nothing to do with each other.
pub(super) fn of_two_measures<T>(one: &str, other: &str) -> Estimate<T> {
    cannot_say(format!("one marginal cost is of {one}, another of {other}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Stayed;
    use crate::statistics::Point;

    fn cost(bytes: f64) -> Estimate<MarginalCost> {
        let drawn: Vec<f64> = (-500..500).map(|draw| bytes + f64::from(draw) / 100.0).collect();
        let interval = Interval::of(&drawn).unwrap();
        let inputs = String::new();
        Ok(MarginalCost { bytes, interval, points: 10, drawn, stayed_each: 0.0, measure: "memory", inputs })
    }

    #[test]
    fn memory_that_stayed_may_be_the_machines_own() {
        let waver = |x: u32| f64::from(x % 2) / 10.0;
        let points = (1..=20).map(|x| Point { x: x.into(), y: 1000.0 + 103.0 * f64::from(x) + waver(x) });
        let points: Vec<Point> = points.collect();
        let cost = |stayed| {
            let stayed = Some(Stayed { bytes: stayed, instances: 20.0 });
            let costs = Costs { measure: "memory", of: String::new(), series: vec![points.clone()], stayed };
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
    fn repeats_leave_the_part_that_was_the_machines_as_open_as_it_was() {
        let run = cost(100.0).map(|run| MarginalCost { stayed_each: 3.0, ..run });
        let pooled = pooled(&[&run; 20]).unwrap();
        let Interval { low, high } = pooled.interval;
        assert!(low < 94.5 && high > 102.5, "{:?} holds -1 to 2 times 3", pooled.interval);
    }

    #[test]
    fn what_is_of_different_memory_is_not_pooled() {
        let active = cost(100.0).map(|run| MarginalCost { measure: "active memory", ..run });
        let why = pooled(&[&cost(100.0), &active]).unwrap_err();
        assert_eq!(why.0, "one marginal cost is of memory, another of active memory");
    }

    #[test]
    fn repeats_that_agree_narrow_it() {
        let alone = cost(100.0).unwrap().interval;
        let pooled = pooled(&[&cost(100.0), &cost(100.0)]).unwrap().interval;
        assert!(pooled.low > alone.low && pooled.high < alone.high, "{pooled:?}");
    }
}
