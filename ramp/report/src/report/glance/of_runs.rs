//! The answer at a glance of runs, one for each group of repeats.

use super::{Glance, GlanceCount, GlanceFigure, GlanceNumber, GlanceValue, capacities};
use crate::analysis::comparison::Pooled;
use crate::analysis::failure_modes::{FailureMode, Resource};
use crate::analysis::requests::group_capacities;
use crate::analysis::results::{Compared, RunResults};
use crate::analysis::{Counted, Estimate, Estimates, MarginalCost, mib};
use crate::dataset::Dataset;
use crate::report::{Report, format};
use crate::stats::Interval;
use ramp_format::text::count;

/// Each runtime, or each group of a mixed run.
pub(crate) fn glances(report: &Report) -> Vec<Glance> {
    let mut glances = Vec::new();
    for (group, of) in report.findings.groups.iter().enumerate() {
        let runs: Vec<(&Dataset, &RunResults)> =
            of.runs.iter().filter_map(|run| report.runs().nth(*run)).collect();
        let label = match report.findings.groups.iter().filter(|other| other.runtime == of.runtime).count() {
            1 if !of.runtime.is_empty() => of.runtime.clone(),
            _ => of.name.clone(),
        };
        match runs.as_slice() {
            [(data, found)] if !data.mix().is_empty() => glances.extend(of_mix(data, found, glances.len())),
            _ => glances.push(of_group(report, group, label, &runs)),
        }
    }
    glances
}

fn of_group(report: &Report, group: usize, label: String, runs: &[(&Dataset, &RunResults)]) -> Glance {
    let members: Vec<(&Dataset, &Estimates)> =
        runs.iter().map(|(data, found)| (*data, &found.estimates)).collect();
    let instance = instance(runs);
    let mut counts = vec![held(runs)];
    counts.extend(by_search(runs));
    counts.extend(capacities(&group_capacities(&members)));
    let cost: Estimate<MarginalCost> = match runs {
        [(_, found)] => found.estimates.marginal_cost.clone(),
        _ => Pooled::of(&members).marginal_cost,
    };
    let mut figures = vec![GlanceFigure {
        name: format!("each {instance} takes"),
        value: figure(cost.map(|cost| (cost.bytes, cost.interval)), ""),
    }];
    figures.extend(more(report, group, instance));
    Glance {
        label,
        colour: group,
        counts,
        figures,
        gave_way: first_to_give_way(&runs.iter().map(|(_, found)| *found).collect::<Vec<_>>()),
    }
}

/// How much more than the base.
fn more(report: &Report, group: usize, instance: &str) -> Option<GlanceFigure> {
    let compared: &Compared = report.findings.comparisons.iter().find(|compared| compared.other == group)?;
    let [base, _] = report.names(compared);
    let base = report.findings.groups.get(compared.base).map_or(base, |group| match group.runtime.as_str() {
        "" => base,
        runtime => runtime,
    });
    let found = compared.comparison.overhead_per_pod.clone();
    Some(GlanceFigure {
        name: format!("more per {instance} than {base}"),
        value: figure(found.map(|found| (found.bytes, found.interval)), "+"),
    })
}

/// Each group of a mixed run. How many fit is not told apart.
fn of_mix(data: &Dataset, found: &RunResults, first: usize) -> Vec<Glance> {
    let instance = instance(&[(data, found)]);
    let base = found.mixed.first().map_or("", |group| group.runtime.as_str());
    let of = |(index, group): (usize, &crate::analysis::mixed::GroupResults)| {
        let cost = group.cost.clone().map(|cost| (cost.bytes, cost.interval));
        let mut figures =
            vec![GlanceFigure { name: format!("each {instance} takes"), value: figure(cost, "") }];
        figures.extend(group.overhead.clone().map(|overhead| GlanceFigure {
            name: format!("more per {instance} than {base}"),
            value: figure(overhead.map(|found| (found.bytes, found.interval)), "+"),
        }));
        Glance {
            label: group.runtime.clone(),
            colour: first + index,
            counts: vec![GlanceCount {
                name: "held at once",
                value: Err("of all runtimes of a mixed run together".into()),
            }],
            figures,
            gave_way: first_to_give_way(&[found]),
        }
    };
    found.mixed.iter().enumerate().map(of).collect()
}

/// The most at once, of repeats the mean with the least and the most.
fn held(runs: &[(&Dataset, &RunResults)]) -> GlanceCount {
    let counted = Counted::by(runs.iter().map(|(_, found)| &found.estimates));
    let most: Estimate<Vec<f64>> =
        runs.iter().map(|(_, found)| Ok(f64::from(counted.of(&found.estimates)?.count))).collect();
    let is_least = runs.iter().any(|(_, found)| {
        let verdict = &found.estimates.saturation;
        verdict.saturation.is_err() && verdict.up_to.is_some()
    });
    GlanceCount {
        name: if counted == Counted::Held { "held at once" } else { "running at once" },
        value: most.map_err(|why| why.0).map(|most| {
            let low = most.iter().copied().fold(f64::MAX, f64::min);
            let high = most.iter().copied().fold(f64::MIN, f64::max);
            let number = if is_least { low } else { most.iter().sum::<f64>() / most.len().max(1) as f64 };
            let note = if is_least { "all that were requested" } else { "" };
            let note = match most.len() {
                1 => note.to_owned(),
                runs => [note.to_owned(), count(runs as u64, "run")].join(" ").trim().to_owned(),
            };
            GlanceNumber { number, interval: Interval { low, high }, is_least, note }
        }),
    }
}

/// What a search has found.
fn by_search(runs: &[(&Dataset, &RunResults)]) -> Option<GlanceCount> {
    let [(_, found)] = runs else { return None };
    let search = found.search.as_ref().ok()?;
    Some(GlanceCount {
        name: "hold with 95%",
        value: search.held.as_ref().map_err(|why| why.0.clone()).map(|held| GlanceNumber {
            number: held.instances.floor(),
            interval: Interval { low: held.interval.low.floor(), high: held.interval.high.floor() },
            is_least: false,
            note: count(search.climbs.len() as u64, "climb"),
        }),
    })
}

/// Bytes with their interval.
fn figure(found: Estimate<(f64, Interval)>, sign: &str) -> Result<GlanceValue, String> {
    let (bytes, within) = found.map_err(|why| why.0)?;
    let sign = if bytes < 0.0 { "" } else { sign };
    let [low, high] = [within.low, within.high].map(|end| format::number(mib(end)));
    Ok(GlanceValue {
        text: format!("{sign}{}", format::mib(bytes)),
        basis: format!("95% CI {low} to {high}"),
        is_told: !within.contains(0.0),
    })
}

fn instance(runs: &[(&Dataset, &RunResults)]) -> &'static str {
    runs.iter()
        .find_map(|(data, _)| data.recorded())
        .map_or("instance", |recorded| recorded.run.plan.engine.instance())
}

/// What gave way first in most of the runs, or why that is not known. An instance that somebody killed is no limit of the nodes.
pub(crate) fn first_to_give_way(runs: &[&RunResults]) -> Result<String, String> {
    let is_limit = |broke: &&FailureMode| broke.resource != Resource::Unknown;
    let firsts: Vec<_> = runs.iter().filter_map(|found| found.breaks.iter().find(is_limit)).collect();
    let times = |resource| firsts.iter().filter(|first| first.resource == resource).count();
    let Some(most) = firsts.iter().rev().max_by_key(|first| times(first.resource)) else {
        let verdicts = || runs.iter().map(|found| &found.estimates.saturation);
        let why = verdicts().find_map(|verdict| verdict.saturation.as_ref().err());
        let why = why.map_or_else(|| "no run".to_owned(), |why| why.0.clone());
        // What was not reached is an answer.
        return match verdicts().all(|verdict| verdict.up_to.is_some()) && !runs.is_empty() {
            true => Ok(format!("nothing: {why}")),
            false => Err(why),
        };
    };
    let of = match runs.len() {
        1 => format!(" at step {}", most.step),
        all => format!(" ({} of {})", times(most.resource), count(all as u64, "run")),
    };
    Ok(format!("{}: {}{of}", most.resource, most.what))
}
