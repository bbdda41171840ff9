//! Mixed runs: what an instance of each group costs, and what it costs more than one of the first group.

use super::comparison::PerPod;
use super::marginal_cost::{
    DRAWS, FIRST_AT_MOST, MarginalCost, SystematicError, interval, narrow, of_use, whole_series, widest,
};
use super::{Estimate, timed, unavailable};
use crate::dataset::{Dataset, GroupCosts, GroupLoad};
use crate::stats::{Duration, Fit, Interval, OF_GROUPS, SEED, Survival, fit_groups};
use ramp_format::plan::MOST_GROUPS;
use ramp_format::text::count;

/// A group of a mixed run.
#[derive(Clone, Debug)]
pub struct GroupResults {
    /// Its runtime.
    pub runtime: String,
    /// What one instance more costs.
    pub cost: Estimate<MarginalCost>,
    /// What it costs more than one of the first group; none of the first group.
    pub overhead: Option<Estimate<PerPod>>,
    /// From the creation of an instance until it held its memory.
    pub startup: Estimate<Survival>,
}

const WHAT_WOULD_TELL: &str = "more instances (--to), a longer run or a quieter machine";

/// The groups of a mixed run, before the step of saturation (its index); none of another run.
#[must_use]
pub fn groups(data: &Dataset, saturated_at: Option<usize>) -> Vec<GroupResults> {
    let costs = data.recorded().map_or(Ok(()), timed).map(|()| data.group_costs(saturated_at));
    let fitted = match &costs {
        Err(why) => Err(why.clone()),
        Ok(None) => unavailable(format!("the run has more than {MOST_GROUPS} groups")),
        Ok(Some(costs)) => fitted(costs, saturated_at.is_some()),
    };
    let group = |(index, runtime): (usize, &String)| GroupResults {
        runtime: runtime.clone(),
        cost: fitted.as_ref().map_err(Clone::clone).and_then(|fitted| of_use(&fitted.cost(index))),
        overhead: (index > 0)
            .then(|| fitted.as_ref().map_err(Clone::clone).and_then(|fitted| fitted.overhead(index))),
        startup: startup(data, runtime),
    };
    data.mix().iter().enumerate().map(group).collect()
}

fn startup(data: &Dataset, runtime: &str) -> Estimate<Survival> {
    let startups = super::latency::startups(data)?;
    let own = startups.iter().filter(|startup| startup.group.as_deref() == Some(runtime));
    let took: Vec<Duration> = own.map(|startup| startup.took).collect();
    Survival::of(&took).map_or_else(|| unavailable(format!("no instance of {runtime} was observed")), Ok)
}

/// The regression of a mixed run: of the way up alone, and together with the time after the last instance.
struct FittedGroups<'c> {
    costs: &'c GroupCosts,
    up: Fit<OF_GROUPS>,
    drawn: Vec<[f64; OF_GROUPS]>,
    with_after: Option<Vec<[f64; OF_GROUPS]>>,
    when: &'static str,
}

fn fitted(costs: &GroupCosts, is_saturated: bool) -> Estimate<FittedGroups<'_>> {
    let when = if is_saturated { "before saturation" } else { "until scaling down" };
    let samples: usize = costs.observations.iter().map(Vec::len).sum();
    let few = || {
        unavailable(format!(
            "{} {when}: too few to separate the memory of the groups from each other and from the machine's own",
            count(samples as u64, "sample")
        ))
    };
    let Some(up) = fit_groups(&costs.observations) else { return few() };
    if !up.identified.iter().take(costs.groups.len()).all(|is_told| *is_told) {
        return few();
    }
    let has_after = costs.after.iter().any(|after| !after.is_empty());
    let with_after =
        has_after.then(|| fit_groups(&whole_series(&costs.observations, &costs.after))).flatten();
    Ok(FittedGroups {
        drawn: up.draws(DRAWS, SEED),
        with_after: with_after.map(|fit| fit.draws(DRAWS, SEED)),
        up,
        costs,
        when,
    })
}

impl FittedGroups<'_> {
    fn group(&self, index: usize) -> Estimate<&GroupLoad> {
        self.costs.groups.get(index).map_or_else(|| unavailable("there is no such group"), Ok)
    }

    /// Coefficient of a group's instances.
    fn coefficient(&self, index: usize) -> f64 {
        let mut of = [0.0; OF_GROUPS];
        of[index] = 1.0;
        self.up.mean(of)
    }

    /// What was drawn, and the interval that holds both fits: what stays may be the instances' or the machine's own.
    fn drawn(&self, of: impl Fn(&[f64; OF_GROUPS]) -> f64) -> Estimate<(Vec<f64>, Interval, Interval)> {
        let values = |draws: &[[f64; OF_GROUPS]]| draws.iter().map(&of).collect::<Vec<f64>>();
        let drawn = values(&self.drawn);
        let within = interval(&drawn)?;
        let both = match &self.with_after {
            Some(draws) => widest(within, interval(&values(draws))?),
            None => within,
        };
        Ok((drawn, within, both))
    }

    /// What the first instance of a group on a node took once, as a share of each, where that cannot be told from what each takes.
    fn first(&self, index: usize, group: &GroupLoad) -> f64 {
        if group.first_is_told && self.up.identified[MOST_GROUPS + index] {
            return 0.0;
        }
        FIRST_AT_MOST * self.coefficient(index).max(0.0) * f64::from(group.nodes)
            / f64::from(group.instances.max(1))
    }

    fn cost(&self, index: usize) -> Estimate<MarginalCost> {
        let group = self.group(index)?;
        let measure = self.costs.measure;
        let beyond = self.coefficient(index);
        let (drawn, within, both) = self.drawn(|drawn| group.load_bytes + drawn[index])?;
        let first = self.first(index, group);
        let systematic = SystematicError {
            below: first + within.low - both.low,
            first,
            above: both.high - within.high,
            load: (measure.load_exact * group.load_bytes).max(measure.uncounted),
        };
        let interval = systematic.widen(within);
        if interval.high < self.costs.anon_bytes {
            return unavailable(format!(
                "kernels hold {} to {} more per instance, but instances report {} of anonymous memory: memory was freed \
                 meanwhile, or instances were not observed",
                measure.text(interval.low),
                measure.text(interval.high),
                measure.text(self.costs.anon_bytes)
            ));
        }
        let samples: usize = self.costs.observations.iter().map(Vec::len).sum();
        let load = match self.costs.reported {
            true => format!(
                "{} reported per instance, corrected by {}",
                measure.text(group.load_bytes),
                measure.text(beyond)
            ),
            false => "instances do not report".to_owned(),
        };
        let after = match (&self.with_after, measure.is_charged) {
            (Some(_), _) => "; the interval includes the estimate with the time after the last instance",
            (None, true) => "",
            (None, false) => "; memory retained after the run is unknown",
        };
        Ok(MarginalCost {
            bytes: group.load_bytes + beyond,
            interval,
            points: group.points,
            drawn,
            systematic,
            reported: self.costs.reported.then_some(group.load_bytes),
            measure,
            inputs: format!(
                "regression of {} per kernel on the instances of all groups, where the machine's own is a level, a drift and a \
                 random walk; {load}; {samples} samples at up to {} of {} per kernel, {}{after}",
                measure.name,
                count(group.points as u64, "number"),
                group.runtime,
                self.when
            ),
        })
    }

    /// What an instance costs more than one of the first group. How exact the loads are, and what a kernel keeps for any instance, is the
    /// same for both.
    fn overhead(&self, index: usize) -> Estimate<PerPod> {
        let (base, other) = (self.group(0)?, self.group(index)?);
        let load = other.load_bytes - base.load_bytes;
        let (_, _, both) = self.drawn(|drawn| load + drawn[index] - drawn[0])?;
        let interval =
            Interval { low: both.low - self.first(index, other), high: both.high + self.first(0, base) };
        let bytes = load + self.coefficient(index) - self.coefficient(0);
        narrow(bytes, interval, self.costs.measure, WHAT_WOULD_TELL)?;
        Ok(PerPod { bytes, interval })
    }
}
