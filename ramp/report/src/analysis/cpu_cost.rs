//! CPU time that an instance costs beyond its own: at rest, and for its start.

use std::fmt::Write as _;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::marginal_cost::{DRAWS, draws_of_repeats, interval};
use super::{Estimate, timed, unavailable};
use crate::dataset::{CpuTimes, Dataset};
use crate::stats::{CONFIDENCE_PERCENT, Fit, Interval, OF_GROUPS, SEED, fit_cpu_time};
use ramp_format::plan::MOST_GROUPS;
use ramp_format::text::count;

/// CPU time of an instance beyond what its load accounts for itself.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuCost {
    /// At rest, in cores: of each instance whose container runs.
    pub at_rest: Estimate<CpuFigure>,
    /// For its start, in CPU seconds: until it is ready, without what it takes at rest.
    pub per_start: Estimate<CpuFigure>,
}

/// A figure of CPU time, in cores or in CPU seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuFigure {
    /// The figure.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// What was drawn of what it may be.
    pub drawn: Vec<f64>,
    /// What it rests on.
    pub inputs: String,
    /// How long instances dwelled in the shortest part that counts, in seconds; none of repeats.
    pub dwell_seconds: Option<f64>,
    /// Whether memory was short later on: longer dwells are of use in a run that ends before.
    pub ends_at_shortage: bool,
}

/// What a figure of CPU time is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CpuKind {
    /// Cores at rest.
    AtRest,
    /// CPU seconds for a start.
    PerStart,
}

/// A longer dwell is not suggested.
pub(crate) const LONGEST_DWELL_SECONDS: f64 = 3600.0;
/// Nor is a shorter one.
pub(crate) const SHORTEST_DWELL_SECONDS: f64 = 60.0;

impl CpuKind {
    /// An interval that is no wider than this is of use whatever the figure is, since it tells how much it is at most: 10 millicores,
    /// 0.2 s.
    fn fine(self) -> f64 {
        match self {
            Self::AtRest => 0.01,
            Self::PerStart => 0.2,
        }
    }

    /// Whether a figure is of use: its interval is not wider than itself, or fine.
    #[must_use]
    pub fn is_of_use(self, value: f64, Interval { low, high }: Interval) -> bool {
        high - low <= self.wanted_width(value)
    }

    fn wanted_width(self, value: f64) -> f64 {
        value.abs().max(self.fine())
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::AtRest => format!("{value:.3} cores"),
            Self::PerStart => format!("{value:.2} s"),
        }
    }
}

/// CPU time of an instance of each group of a mixed run, or of all: before the step of saturation (its index), or of the way up and while
/// instances were held.
#[must_use]
pub fn cpu_costs(data: &Dataset, saturated_at: Option<usize>) -> Vec<CpuCost> {
    let groups = data.mix().len().max(1);
    let times = data
        .recorded()
        .map_or(Ok(()), timed)
        .and_then(|()| data.cpu_times(saturated_at).or_else(unavailable));
    if groups > MOST_GROUPS {
        return vec![of_too_many(); groups];
    }
    let fitted = times.and_then(FittedTimes::of);
    let of_group = |group: usize| match &fitted {
        Err(why) => CpuCost { at_rest: Err(why.clone()), per_start: Err(why.clone()) },
        Ok(fitted) => CpuCost {
            at_rest: fitted.figure(CpuKind::AtRest, group, groups),
            per_start: fitted.figure(CpuKind::PerStart, group, groups),
        },
    };
    (0..groups).map(of_group).collect()
}

fn of_too_many() -> CpuCost {
    let why = || unavailable(format!("the run has more than {MOST_GROUPS} groups"));
    CpuCost { at_rest: why(), per_start: why() }
}

/// CPU times with their regression, and what was drawn of its coefficients.
struct FittedTimes {
    times: CpuTimes,
    fit: Fit<OF_GROUPS>,
    drawn: Vec<[f64; OF_GROUPS]>,
}

/// A dwell as it is proposed: whole tens of seconds. What is one but for rounding is one.
pub(crate) fn proposed_dwell(seconds: f64) -> f64 {
    10.0 * (seconds / 10.0 - 1e-9).ceil()
}

/// The options of dwells of so many seconds.
fn dwells(seconds: f64, ends_at_shortage: bool) -> String {
    let below = if ends_at_shortage { " in a run that stays below saturation (--to)" } else { "" };
    format!("--settle {seconds:.0}s --hold {seconds:.0}s{below}")
}

fn too_short(times: &CpuTimes) -> String {
    format!(
        "too few samples at which no instance was being started: {:.0} s before the first instance, {:.0} s with the most; \
         needs {}",
        times.idle_seconds,
        times.dwell_seconds,
        dwells(SHORTEST_DWELL_SECONDS, times.ends_at_shortage)
    )
}

impl FittedTimes {
    fn of(times: CpuTimes) -> Estimate<Self> {
        match fit_cpu_time(&times.observations) {
            Some(fit) => Ok(Self { drawn: fit.draws(DRAWS, SEED), fit, times }),
            None => unavailable(too_short(&times)),
        }
    }

    fn figure(&self, kind: CpuKind, group: usize, groups: usize) -> Estimate<CpuFigure> {
        let Self { times, fit, drawn } = self;
        let offset = match kind {
            CpuKind::AtRest => MOST_GROUPS,
            CpuKind::PerStart => 0,
        };
        let columns = offset..offset + groups;
        if !fit.identified.get(columns).is_some_and(|told| told.iter().all(|is_told| *is_told)) {
            return match groups {
                1 => unavailable(too_short(times)),
                _ => unavailable(
                    "the runtimes' CPU times cannot be told apart: too few dwells with different numbers of each; needs --pace 20s, \
                 or a run of each runtime",
                ),
            };
        }
        let mut of = [0.0; OF_GROUPS];
        of[offset + group] = 1.0;
        let drawn: Vec<f64> = drawn.iter().map(|drawn| drawn[offset + group]).collect();
        let mut inputs = format!(
            "regression of CPU time of each kernel that was not free (idle, iowait, steal), less what instances report to use, on \
         {}, where the machine's own is a drift, a random walk and a rate that persists for a while; {}, none while an \
         instance was being started",
            match kind {
                CpuKind::AtRest => "seconds of instances",
                CpuKind::PerStart => "starts of instances",
            },
            count(fit.observations as u64, "sample"),
        );
        // Writing to a string does not fail.
        let _ = write!(
            inputs,
            "; {:.0} s before the first instance, {:.0} s with {}",
            times.idle_seconds,
            times.dwell_seconds,
            count(times.instances, "instance")
        );
        Ok(CpuFigure {
            value: fit.mean(of),
            interval: interval(&drawn)?,
            drawn,
            inputs,
            dwell_seconds: Some(times.idle_seconds.min(times.dwell_seconds)),
            ends_at_shortage: times.ends_at_shortage,
        })
    }
}

/// A figure where it is of use: where its interval is not wider than the figure, or fine enough to tell how much it is at most.
///
/// # Errors
/// Where it is wider, with what would tell more; or where there is no figure.
pub fn cpu_of_use(figure: &Estimate<CpuFigure>, kind: CpuKind) -> Estimate<CpuFigure> {
    let figure = figure.clone()?;
    let Interval { low, high } = figure.interval;
    if kind.is_of_use(figure.value, figure.interval) {
        return Ok(figure);
    }
    let (width, wanted) = (high - low, kind.wanted_width(figure.value));
    let needs = match figure.dwell_seconds {
        None => "more repeats, longer dwells (--settle, --hold) or a quieter machine".to_owned(),
        Some(dwell) => {
            // Its width falls with the root of the time.
            let seconds = (dwell.max(1.0) * (width / wanted).powi(2)).max(SHORTEST_DWELL_SECONDS);
            match seconds <= LONGEST_DWELL_SECONDS {
                true => {
                    let seconds = proposed_dwell(seconds);
                    format!("about {}, or more instances", dwells(seconds, figure.ends_at_shortage))
                }
                false => "more instances (--to) or a quieter machine".to_owned(),
            }
        }
    };
    unavailable(format!(
        "{CONFIDENCE_PERCENT}% CI {} to {}, too wide to be of use: needs {needs}",
        kind.text(low),
        kind.text(high)
    ))
}

/// A figure by repeats, as [`super::marginal_cost`] is.
///
/// # Errors
/// Where one of them cannot say.
pub(super) fn cpu_pooled(runs: &[&Estimate<CpuFigure>]) -> Estimate<CpuFigure> {
    let runs: Vec<&CpuFigure> =
        runs.iter().map(|run| run.as_ref().map_err(Clone::clone)).collect::<Result<_, _>>()?;
    let (first, number) = match runs.as_slice() {
        [] => return unavailable("no run"),
        [one] => return Ok((*one).clone()),
        [first, ..] => (*first, runs.len()),
    };
    let drawn = draws_of_repeats(&runs.iter().map(|run| &run.drawn[..]).collect::<Vec<_>>());
    Ok(CpuFigure {
        value: runs.iter().map(|run| run.value).sum::<f64>() / number as f64,
        interval: interval(&drawn)?,
        drawn,
        inputs: format!("{number} runs; first: {}", first.inputs),
        dwell_seconds: None,
        ends_at_shortage: runs.iter().any(|run| run.ends_at_shortage),
    })
}

/// What an instance of the other takes more than one of the base.
///
/// # Errors
/// Where one of them cannot say.
pub(super) fn cpu_difference(
    base: &Estimate<CpuFigure>,
    other: &Estimate<CpuFigure>,
    kind: CpuKind,
) -> Estimate<CpuFigure> {
    let (base, other) = (base.as_ref().map_err(Clone::clone)?, other.as_ref().map_err(Clone::clone)?);
    // Both were drawn from the same seed: draws are paired at random, not by their index.
    let mut others = other.drawn.clone();
    others.shuffle(&mut Pcg64Mcg::seed_from_u64(SEED.wrapping_add(1)));
    let drawn: Vec<f64> = others.iter().zip(&base.drawn).map(|(other, base)| other - base).collect();
    let difference = CpuFigure {
        value: other.value - base.value,
        interval: interval(&drawn)?,
        drawn,
        inputs: other.inputs.clone(),
        dwell_seconds: base.dwell_seconds.zip(other.dwell_seconds).map(|(a, b)| a.min(b)),
        ends_at_shortage: base.ends_at_shortage || other.ends_at_shortage,
    };
    cpu_of_use(&Ok(difference), kind)
}

/// `overhead.podFixed.cpu` of a RuntimeClass, by what an instance takes more at rest than one of the base. Reports on runs and on studies
/// have this one rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PodFixedCpu {
    /// What it has to be, in millicores: the upper end of the interval. A request has to cover what is used, also where that may be
    /// nothing.
    pub needed_milli_cores: u64,
    /// What is in place against the interval.
    pub verdict: PodFixedCpuVerdict,
}

/// The CPU of podFixed in place, against what is used at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PodFixedCpuVerdict {
    /// So many cores more than is used.
    More(f64),
    /// So many cores less than is used.
    Less(f64),
    /// Within the interval of what is used.
    AsUsed,
}

impl PodFixedCpu {
    /// By CPU at rest beyond that of the base and its 95 % interval, with so many cores in place.
    ///
    /// # Errors
    /// Where the interval is too wide for a request to rest on it.
    pub fn of(value: f64, interval: Interval, in_place: f64) -> Estimate<Self> {
        if !CpuKind::AtRest.is_of_use(value, interval) {
            let [low, high] = [interval.low, interval.high].map(|cores| (1000.0 * cores).round());
            return unavailable(format!(
                "CPU at rest, {CONFIDENCE_PERCENT}% CI {low}m to {high}m, is not known well enough: needs {}, more instances or more \
                 blocks",
                dwells(SHORTEST_DWELL_SECONDS, false)
            ));
        }
        Ok(Self {
            // What is a whole number but for rounding is one.
            needed_milli_cores: (interval.high.max(0.0) * 1000.0 - 1e-9).ceil() as u64,
            verdict: match in_place {
                _ if in_place > interval.high => PodFixedCpuVerdict::More(in_place - value),
                _ if in_place < interval.low => PodFixedCpuVerdict::Less(value - in_place),
                _ => PodFixedCpuVerdict::AsUsed,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Observation;

    /// A minute before the first of ten instances, and so many seconds with them: 0.02 cores each, 0.5 s for each start.
    fn times(dwell: u32) -> CpuTimes {
        let at = |second: u32| {
            let since = second.saturating_sub(60);
            let mut x = [0.0; OF_GROUPS];
            (x[0], x[MOST_GROUPS]) = (if since > 0 { 10.0 } else { 0.0 }, 10.0 * f64::from(since));
            let waver = f64::from(second * 7 % 5) * 0.01;
            let y = 0.1 * f64::from(second) + 0.5 * x[0] + 0.02 * x[MOST_GROUPS] + waver;
            Observation { seconds: second.into(), x, y }
        };
        let observations = (0..60).chain(65..65 + dwell).map(at).collect();
        CpuTimes {
            observations: vec![observations],
            instances: 10,
            idle_seconds: 59.0,
            dwell_seconds: f64::from(dwell.saturating_sub(1)),
            ends_at_shortage: false,
        }
    }

    fn figures(times: &CpuTimes) -> [Estimate<CpuFigure>; 2] {
        [CpuKind::AtRest, CpuKind::PerStart].map(|kind| FittedTimes::of(times.clone())?.figure(kind, 0, 1))
    }

    #[test]
    fn it_is_the_slope_against_instances_and_what_starts_add() {
        let [at_rest, per_start] = figures(&times(60)).map(Result::unwrap);
        assert!((at_rest.value - 0.02).abs() < 0.001 && at_rest.interval.contains(0.02), "{at_rest:?}");
        assert!((per_start.value - 0.5).abs() < 0.02 && per_start.interval.contains(0.5), "{per_start:?}");
        assert!(
            at_rest.inputs.ends_with("59 s before the first instance, 59 s with 10 instances"),
            "{at_rest:?}"
        );
    }

    #[test]
    fn what_a_short_dwell_cannot_tell_is_unavailable_with_how_long_would_tell() {
        let [at_rest, _] = figures(&times(1));
        assert_eq!(
            at_rest.unwrap_err().0,
            "too few samples at which no instance was being started: 59 s before the first instance, 0 s with the most; needs \
             --settle 60s --hold 60s"
        );
        let wide = CpuFigure {
            value: 0.02,
            interval: Interval { low: -0.02, high: 0.06 },
            drawn: Vec::new(),
            inputs: String::new(),
            dwell_seconds: Some(20.0),
            ends_at_shortage: false,
        };
        assert_eq!(
            cpu_of_use(&Ok(wide), CpuKind::AtRest).unwrap_err().0,
            "95% CI -0.020 cores to 0.060 cores, too wide to be of use: needs about --settle 320s --hold 320s, or more instances"
        );
    }

    #[test]
    fn groups_that_came_together_are_not_told_apart() {
        let mut times = times(60);
        for one in times.observations.iter_mut().flatten() {
            (one.x[1], one.x[MOST_GROUPS + 1]) = (one.x[0], one.x[MOST_GROUPS]);
        }
        let why = FittedTimes::of(times.clone()).unwrap().figure(CpuKind::AtRest, 0, 2).unwrap_err();
        assert!(why.0.contains("cannot be told apart"), "{why:?}");
    }

    #[test]
    fn pod_fixed_is_the_upper_end_in_whole_millicores_where_that_is_known_well_enough() {
        let of = |low: f64, high: f64| PodFixedCpu::of(0.5 * (low + high), Interval { low, high }, 0.02);
        let needed = |low: f64, high: f64| of(low, high).map(|found| found.needed_milli_cores);
        assert_eq!(needed(0.018, 0.0221), Ok(23));
        assert_eq!(needed(0.018, 0.022), Ok(22));
        assert_eq!((needed(-0.002, 0.006), needed(-0.006, -0.002)), (Ok(6), Ok(0)), "it may be nothing");
        assert_eq!(
            needed(-0.005, 0.022).unwrap_err().0,
            "CPU at rest, 95% CI -5m to 22m, is not known well enough: needs --settle 60s --hold 60s, more instances or more blocks"
        );
        let verdict = |low: f64, high: f64| of(low, high).unwrap().verdict;
        assert_eq!(verdict(0.018, 0.022), PodFixedCpuVerdict::AsUsed);
        assert_eq!(verdict(-0.002, 0.002), PodFixedCpuVerdict::More(0.02));
        assert!(
            matches!(verdict(0.028, 0.032), PodFixedCpuVerdict::Less(cores) if (cores - 0.01).abs() < 1e-9)
        );
    }
}
