//! The marginal cost of an instance, in any measure that samples of nodes have.

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg64Mcg;

use super::{Estimate, unavailable};
use crate::dataset::{BeyondReported, Costs, Measure};
use crate::stats::{CONFIDENCE_PERCENT, FEWEST_POINTS, Fit, Interval, SEED, Slope, fit, slope};
use ramp_format::text::count;

/// What one instance more costs.
#[derive(Clone, Debug, PartialEq)]
pub struct MarginalCost {
    /// Bytes.
    pub bytes: f64,
    /// Its 95 % interval, in bytes.
    pub interval: Interval,
    /// Numbers of instances that it rests on.
    pub points: usize,
    /// What was drawn of what it may be, in bytes.
    pub drawn: Vec<f64>,
    /// By how much no run can tell it better, in bytes.
    pub systematic: SystematicError,
    /// What an instance reports to hold on average, in bytes; none where instances do not report.
    pub reported: Option<f64>,
    /// Of which measure.
    pub measure: &'static Measure,
    /// Memory against instances of what, and how it is estimated.
    pub inputs: String,
}

/// What no number of samples makes more exact, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SystematicError {
    /// It may be so much less: what the first instance on a node took once, where that cannot be told from what each takes; and
    /// what did not come back.
    pub below: f64,
    /// The part of that which is of the first instance on a node: repeats do not tell it better, and two runtimes may differ in it.
    pub first: f64,
    /// It may be so much more: what did not come back, or came back besides.
    pub above: f64,
    /// It may be so much more or less: how exact the loads are. The same for all runs of one load.
    pub load: f64,
}

/// The one-time cost of the first instance on a node is at most this multiple of the cost of each beyond its load.
pub(super) const FIRST_AT_MOST: f64 = 4.0;
/// Draws: the ends of a 95 % interval move by less than a tenth of its width from seed to seed.
pub(super) const DRAWS: usize = 1000;

/// What one instance more costs, before saturation (or until there are fewer again where the run was not saturated).
///
/// Of runs of ramp: what an instance reports to hold, with page tables, and what each kernel holds beyond all reports for each
/// instance, where the rest is the machine's own: a level, a drift and a random walk ([`fit`]). Of the study's files, which have
/// no reports: the Theil–Sen slope of memory against running instances.
///
/// # Errors
/// Where there are too few samples.
pub fn marginal_cost(costs: &Costs, saturated: bool) -> Estimate<MarginalCost> {
    let when = if saturated { "before saturation" } else { "until scaling down" };
    match &costs.beyond {
        Some(beyond) => of_reports(costs, beyond, when),
        None => of_slope(costs, if saturated { when } else { "while scaling up" }),
    }
}

/// What one instance more costs, where that is of use: where the interval is not wider than the figure.
///
/// # Errors
/// Where it is wider, or there is no figure.
pub(super) fn of_use(cost: &Estimate<MarginalCost>) -> Estimate<MarginalCost> {
    let cost = cost.clone()?;
    narrow(cost.bytes, cost.interval, cost.measure, "more instances, a longer --hold or a quieter machine")?;
    Ok(cost)
}

/// That an interval is not wider than its figure, both in the unit of the measure.
///
/// # Errors
/// Where it is, with what would tell more.
pub(super) fn narrow(
    value: f64,
    Interval { low, high }: Interval,
    measure: &Measure,
    what_would_tell: &str,
) -> Estimate<()> {
    if high - low <= value.abs() {
        return Ok(());
    }
    unavailable(format!(
        "{CONFIDENCE_PERCENT}% CI {} to {}, too wide to be of use: needs {what_would_tell}",
        measure.text(low),
        measure.text(high)
    ))
}

fn of_slope(costs: &Costs, when: &str) -> Estimate<MarginalCost> {
    let Costs { measure, of, series, .. } = costs;
    let samples: usize = series.iter().map(Vec::len).sum();
    let Some(Slope { slope, interval, points, drawn }) = slope(series) else {
        return unavailable(format!(
            "{} {when}; needs at least {FEWEST_POINTS} numbers of running instances",
            count(samples as u64, "fresh sample")
        ));
    };
    let inputs = format!(
        "Theil–Sen slope of {} {of}, interval by bootstrap of the changes between points; {samples} fresh samples at \
         {points} numbers of instances, {when}; memory retained after the run is unknown and not included",
        measure.name
    );
    let systematic = SystematicError::default();
    Ok(MarginalCost { bytes: slope, interval, points, drawn, systematic, reported: None, measure, inputs })
}

fn of_reports(costs: &Costs, beyond: &BeyondReported, when: &str) -> Estimate<MarginalCost> {
    let Costs { measure, of, series, .. } = costs;
    let samples: usize = beyond.observations.iter().map(Vec::len).sum();
    let mut numbers: Vec<u64> = series.iter().flatten().map(|point| point.x as u64).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let points = numbers.len();
    if beyond.instances == 0 {
        return unavailable(format!("no sample {when} has a known memory of the instances present"));
    }
    let Some(fit) = fit(&beyond.observations) else {
        return unavailable(format!(
            "{} at {} of instances {when}: too few to separate the instances' memory from the machine's own",
            count(samples as u64, "sample"),
            count(points as u64, "number")
        ));
    };
    const EACH: [f64; 3] = [1.0, 0.0, 0.0];
    let overhead = fit.mean(EACH);
    let drawn = drawn_of(&fit, beyond);
    let first_is_told = fit.identified[1];
    let first = match first_is_told {
        true => 0.0,
        false => FIRST_AT_MOST * overhead.max(0.0) * f64::from(beyond.nodes) / f64::from(beyond.instances),
    };
    let systematic = SystematicError {
        above: 0.0,
        below: first,
        first,
        load: (measure.load_exact * beyond.load_bytes).max(measure.uncounted),
    };
    let mut inputs = match beyond.reported {
        true => format!(
            "{} reported per instance (with page tables), corrected by {}{} from {} {of}",
            measure.text(beyond.load_bytes),
            if overhead < 0.0 { "" } else { "+" },
            measure.text(overhead),
            measure.name
        ),
        false => format!("{} {of}; instances do not report", measure.name),
    };
    inputs += &format!("; {samples} samples at {points} numbers of instances, {when}");
    if !first_is_told && systematic.below > 0.0 {
        inputs += &format!(
            "; the one-time memory of the first instance on a node is not separable: up to {} less",
            measure.text(systematic.below)
        );
    }
    let within = interval(&drawn)?;
    let (both, note) = with_what_stayed(beyond, within, measure)?;
    inputs += &note;
    let systematic = SystematicError {
        below: systematic.below + within.low - both.low,
        above: both.high - within.high,
        ..systematic
    };
    let interval = systematic.widen(within);
    // What they have alone is there.
    if measure.is_reported && interval.high < beyond.anon_bytes {
        return unavailable(format!(
            "kernels hold {} to {} more per instance, but instances report {} of anonymous memory: memory was freed \
             meanwhile, or instances were not observed",
            measure.text(interval.low),
            measure.text(interval.high),
            measure.text(beyond.anon_bytes)
        ));
    }
    Ok(MarginalCost {
        bytes: beyond.load_bytes + overhead,
        interval,
        points,
        drawn,
        systematic,
        reported: beyond.reported.then_some(beyond.load_bytes),
        measure,
        inputs,
    })
}

/// Draws of what an instance costs.
fn drawn_of(fit: &Fit, beyond: &BeyondReported) -> Vec<f64> {
    fit.draws(DRAWS, SEED).iter().map(|[each, ..]| beyond.load_bytes + each).collect()
}

/// The interval that holds both what the way up says and what it says together with the time after the last instance: what stays may be the
/// instances' or the machine's own, and where something else began or ended together with the instances the two differ.
fn with_what_stayed(
    beyond: &BeyondReported,
    within: Interval,
    measure: &Measure,
) -> Estimate<(Interval, String)> {
    if beyond.after.iter().all(Vec::is_empty) {
        let note = if measure.is_charged { "" } else { "; memory retained after the run is unknown" };
        return Ok((within, note.into()));
    }
    let Some(fit) = fit(&whole_series(&beyond.observations, &beyond.after)) else {
        return Ok((within, String::new()));
    };
    let with = interval(&drawn_of(&fit, beyond))?;
    let both = widest(within, with);
    Ok((both, "; the interval includes the estimate with the time after the last instance".into()))
}

/// Each series with what came after it.
pub(super) fn whole_series<T: Clone>(up: &[Vec<T>], after: &[Vec<T>]) -> Vec<Vec<T>> {
    up.iter().zip(after).map(|(up, after)| [&up[..], &after[..]].concat()).collect()
}

/// The interval that holds two others.
pub(super) fn widest(one: Interval, other: Interval) -> Interval {
    Interval { low: one.low.min(other.low), high: one.high.max(other.high) }
}

impl SystematicError {
    /// That of a mean over runs: no number of them makes it smaller.
    pub(crate) fn mean(runs: &[&MarginalCost]) -> Self {
        let mean = |of: fn(&Self) -> f64| {
            runs.iter().map(|run| of(&run.systematic)).sum::<f64>() / runs.len().max(1) as f64
        };
        Self {
            below: mean(|error| error.below),
            first: mean(|error| error.first),
            above: mean(|error| error.above),
            load: mean(|error| error.load),
        }
    }

    pub(crate) fn widen(self, Interval { low, high }: Interval) -> Interval {
        Interval { low: low - self.below - self.load, high: high + self.above + self.load }
    }
}

/// The interval of what was drawn.
pub(super) fn interval(drawn: &[f64]) -> Estimate<Interval> {
    Interval::of(drawn).map_or_else(|| unavailable("nothing was drawn"), Ok)
}

/// What one instance more costs by repeats: the mean of what each says. Its interval is that of drawing as many runs as there
/// are, with replacement, and of each what was drawn of it: how far repeats lie apart counts as much as how far each can be
/// trusted. What no run can tell better no number of them can.
///
/// # Errors
/// Where one of them cannot say, or they are of different memory.
pub(super) fn pooled(runs: &[&Estimate<MarginalCost>]) -> Estimate<MarginalCost> {
    let runs: Vec<&MarginalCost> =
        runs.iter().map(|run| run.as_ref().map_err(Clone::clone)).collect::<Result<_, _>>()?;
    let (first, number) = match runs.as_slice() {
        [] => return unavailable("no run"),
        [one] => return Ok((*one).clone()),
        [first, ..] => (*first, runs.len()),
    };
    if let Some(other) = runs.iter().find(|run| run.measure != first.measure) {
        return of_two_measures(first.measure, other.measure);
    }
    let drawn = draws_of_repeats(&runs.iter().map(|run| &run.drawn[..]).collect::<Vec<_>>());
    let mean = |of: fn(&MarginalCost) -> f64| runs.iter().map(|run| of(run)).sum::<f64>() / number as f64;
    let systematic = SystematicError::mean(&runs);
    Ok(MarginalCost {
        bytes: mean(|run| run.bytes),
        interval: systematic.widen(interval(&drawn)?),
        points: runs.iter().map(|run| run.points).sum(),
        drawn,
        systematic,
        reported: first.reported,
        measure: first.measure,
        inputs: format!("{number} runs; first: {}", first.inputs),
    })
}

/// Means of as many runs as there are, each drawn with replacement, and of it what was drawn of it.
pub(super) fn draws_of_repeats(runs: &[&[f64]]) -> Vec<f64> {
    let number = runs.len();
    let mut random = Pcg64Mcg::seed_from_u64(SEED);
    let mut mean_of_any = || {
        let one = |_| runs.choose(&mut random).and_then(|drawn| drawn.choose(&mut random)).copied();
        (0..number).filter_map(one).sum::<f64>() / number as f64
    };
    (0..runs.first().map_or(0, |drawn| drawn.len())).map(|_| mean_of_any()).collect()
}

/// Why two marginal costs have nothing to do with each other.
pub(super) fn of_two_measures<T>(one: &Measure, other: &Measure) -> Estimate<T> {
    unavailable(format!("marginal costs of different measures: {}, {}", one.name, other.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ACTIVE, SwapCourse, UNRECLAIMABLE};
    use crate::stats::Observation;

    fn cost(bytes: f64) -> Estimate<MarginalCost> {
        let drawn: Vec<f64> = (-500..500).map(|draw| bytes + f64::from(draw) / 100.0).collect();
        let interval = Interval::of(&drawn).unwrap();
        let (inputs, systematic) = (String::new(), SystematicError::default());
        let measure = &UNRECLAIMABLE;
        Ok(MarginalCost { bytes, interval, points: 10, drawn, systematic, reported: None, measure, inputs })
    }

    /// Ten seconds of nothing, then an instance each three seconds, with 2 MB each beyond its report, and 5 MB once.
    fn costs(levels: &[u32], load_bytes: f64) -> Costs {
        let there = std::iter::repeat_n(0, 10).chain(levels.iter().flat_map(|level| [*level; 3]));
        let observations: Vec<Observation> = there
            .enumerate()
            .map(|(second, there)| {
                let (first, waver) = (u32::from(there > 0), (second * 7 % 5) as f64 * 0.1e6);
                let y = 1e9 + 5e6 * f64::from(first) + 2e6 * f64::from(there) + waver;
                Observation { seconds: second as f64, x: [there.into(), first.into(), 0.0], y }
            })
            .collect();
        let most = levels.iter().copied().max().unwrap_or(0);
        Costs {
            measure: &UNRECLAIMABLE,
            of: String::new(),
            series: Vec::new(),
            swap: SwapCourse::default(),
            beyond: Some(BeyondReported {
                observations: vec![observations],
                after: vec![Vec::new()],
                load_bytes,
                anon_bytes: 0.0,
                reported: load_bytes > 0.0,
                instances: most,
                nodes: 1,
            }),
        }
    }

    #[test]
    fn it_is_what_each_reports_and_what_the_kernel_holds_beyond_that_without_what_the_first_took_once() {
        let cost = marginal_cost(&costs(&[1, 2, 3, 4, 5, 6], 100e6), false).unwrap();
        assert!((cost.bytes - 102e6).abs() < 0.3e6, "{cost:?}");
        assert!(cost.interval.low < 102e6 && 102e6 < cost.interval.high, "{:?}", cost.interval);
        assert_eq!(cost.systematic.below, 0.0);
    }

    #[test]
    fn what_the_first_took_cannot_be_told_where_all_came_at_once_and_the_interval_allows_for_it() {
        let cost = marginal_cost(&costs(&[6, 6, 6], 100e6), false).unwrap();
        let Interval { low, high } = cost.interval;
        assert!((cost.bytes - 102.8e6).abs() < 0.3e6 && low < 102e6 && high > 102e6, "{cost:?}");
    }

    #[test]
    fn what_is_wider_than_itself_is_no_figure() {
        let mut costs = costs(&[1], 0.0);
        for (at, observation) in costs.beyond.as_mut().unwrap().observations[0].iter_mut().enumerate() {
            observation.y += (at * 7919 % 13) as f64 * 20e6;
        }
        let why = of_use(&marginal_cost(&costs, false)).unwrap_err().0;
        assert!(why.contains("too wide to be of use"), "{why}");
    }

    #[test]
    fn repeats_that_lie_apart_widen_the_interval_to_where_each_of_them_lies() {
        let pooled = pooled(&[&cost(100.0), &cost(140.0)]).unwrap();
        assert_eq!((pooled.bytes, pooled.points), (120.0, 20));
        assert!(pooled.interval.low < 100.0 && pooled.interval.high > 140.0, "{pooled:?}");
    }

    #[test]
    fn what_no_run_can_tell_better_repeats_leave_as_open_as_it_was() {
        let run = cost(100.0).map(|run| MarginalCost {
            systematic: SystematicError { below: 3.0, load: 1.0, ..SystematicError::default() },
            ..run
        });
        let Interval { low, high } = pooled(&[&run; 20]).unwrap().interval;
        assert!(low < 96.5 && (100.5..102.5).contains(&high), "{low} {high}");
    }

    #[test]
    fn what_is_of_different_memory_is_not_pooled() {
        let active = cost(100.0).map(|run| MarginalCost { measure: &ACTIVE, ..run });
        let why = pooled(&[&cost(100.0), &active]).unwrap_err();
        assert_eq!(
            why.0,
            format!("marginal costs of different measures: {}, active memory", UNRECLAIMABLE.name)
        );
    }

    #[test]
    fn repeats_that_agree_narrow_it() {
        let alone = cost(100.0).unwrap().interval;
        let pooled = pooled(&[&cost(100.0), &cost(100.0)]).unwrap().interval;
        assert!(pooled.low > alone.low && pooled.high < alone.high, "{pooled:?}");
    }
}
