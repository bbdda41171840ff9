//! The analysis in sentences. Each quotes its figures and names the rule that it follows.

mod comparison;
mod cpu;
mod kube_burner;
mod mixed;
mod run;
mod sentence;

pub(super) use sentence::says;
pub use sentence::{Section, Sentence};

use super::figure::Unit;
use super::{Report, format};
use crate::analysis::Counted;
use crate::analysis::repeats::different_loads;
use crate::analysis::results::{Compared, RunResults};
use crate::dataset::Dataset;
use ramp_format::text::count;

/// The sentence that stands first.
#[must_use]
pub fn summary(report: &Report) -> String {
    summaries(report).join(" ")
}

/// The same, of each comparison; where nothing is compared of each run.
#[must_use]
pub fn summaries(report: &Report) -> Vec<String> {
    let comparisons = &report.findings.comparisons;
    if comparisons.is_empty() {
        let runs = report.runs().map(|(data, found)| of_one(data, found));
        return runs.chain(different_loads(&report.findings.groups)).collect();
    }
    comparisons.iter().map(|compared| of_two(report, compared)).collect()
}

fn of_one(data: &Dataset, found: &RunResults) -> String {
    if data.pod_latencies().is_some() {
        return kube_burner::summary(data, found);
    }
    let estimates = &found.estimates;
    let mut sentence = match (&estimates.held, &estimates.running) {
        (_, Ok(most)) if most.count == 0 => format!("{}: no instance ran", data.name),
        (Ok(most), _) => {
            let held = count(most.count, "instance");
            format!("{}: up to {held} held all of their memory at once (step {})", data.name, most.step)
        }
        (Err(_), Ok(most)) => {
            let running = count(most.count, "instance");
            format!("{}: up to {running} ran at once (step {})", data.name, most.step)
        }
        (_, Err(why)) => format!("{}: no results ({})", data.name, why.0),
    };
    if let Ok(search) = &found.search {
        sentence = match &search.held {
            Ok(held) => {
                format!("{}: {}, by {}", data.name, held.words(), count(search.climbs.len() as u64, "climb"))
            }
            Err(why) => {
                format!("{}: instances that hold with a probability of 95%: n/a ({})", data.name, why.0)
            }
        };
    }
    match (&estimates.saturation.saturation, estimates.saturation.up_to) {
        _ if found.search.is_ok() => {}
        (Ok(at), _) => sentence += &format!(", saturated at step {} ({})", at.step, at.rule),
        (Err(why), Some(_)) => sentence += &format!("; saturation: {}", why.0),
        (Err(why), None) => sentence += &format!("; saturation: n/a ({})", why.0),
    }
    if let Some(base) = found.mixed.first() {
        let more: Vec<String> =
            found.mixed.iter().filter_map(|group| mixed::costs_more(data, base, group)).collect();
        return match more.as_slice() {
            [] => format!("{sentence}; overhead in a mixed run: n/a."),
            more => format!("{sentence}; {}.", more.join("; ")),
        };
    }
    sentence += &match &estimates.marginal_cost {
        Ok(cost) => {
            let swapped = format::of_which_swapped(cost, &estimates.swapped);
            let cost = Unit::Bytes.with_interval(cost.bytes, cost.interval);
            format!("; each additional instance costs {cost}{swapped}{}.", format::with_sidecars(data))
        }
        Err(_) => "; marginal cost: n/a.".into(),
    };
    sentence
}

fn of_two(report: &Report, compared: &Compared) -> String {
    let [base, other] = report.names(compared);
    let groups = [compared.base, compared.other].map(|group| report.findings.runs_of(group));
    let counted = Counted::by(groups.iter().flatten().map(|run| &run.estimates));
    let most = |runs: &[&RunResults]| {
        let counts = runs.iter().filter_map(|run| counted.of(&run.estimates).ok());
        let mut counts: Vec<String> = counts.map(|most| most.count.to_string()).collect();
        counts.dedup();
        if counts.is_empty() { "n/a".to_owned() } else { counts.join(" and ") }
    };
    let [of_base, of_other] = groups.each_ref().map(|runs| most(runs));
    let what = counted.words();
    let mut sentence = format!("{base}: up to {of_base} instances {what} at once; {other}: {of_other}");
    if let Ok(ratio) = compared.comparison.overhead_by_maximum {
        sentence += &format!("; overhead by maximum: {}", format::percent(ratio));
    }
    if let Err(why) = &compared.comparison.same_containers {
        return format!("{sentence}; not comparable: {}.", why.0);
    }
    let run =
        report.findings.groups.get(compared.other).and_then(|group| report.data.get(*group.runs.first()?));
    let instance =
        run.and_then(Dataset::recorded).map_or("pod", |recorded| recorded.run.plan.engine.instance());
    sentence += &match &compared.comparison.overhead_per_pod {
        Ok(per_pod) => {
            let cost = Unit::BinaryBytes.with_interval(per_pod.bytes, per_pod.interval);
            format!("; overhead per {instance}: {cost}.")
        }
        Err(_) => format!("; overhead per {instance}: n/a."),
    };
    if let Some(finding) =
        compared.requests.as_ref().ok().and_then(|requests| requests.finding([base, other]))
    {
        sentence += &format!(" {finding}.");
    }
    sentence
}

/// All sentences: of the comparisons, then of each run.
#[must_use]
pub fn sections(report: &Report) -> Vec<Section> {
    let compared = report.findings.comparisons.iter().map(|compared| comparison::section(report, compared));
    let runs = report.runs().map(|(data, found)| run::section(data, found));
    compared.chain(runs).collect()
}
