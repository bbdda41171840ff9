//! Memory by component, as reports state it.

use serde_json::{Map, Value, json};

use super::figure::{Reading, Unit};
use super::format;
use super::narrative::{Sentence, says};
use crate::analysis::components::{
    ComponentCost, ComponentDifference, ComponentResults, Components, Holder, NEEDS_PROBE, PeakPerPod,
};
use crate::analysis::results::RunResults;
use crate::analysis::{Estimate, MarginalCost, mib};
use crate::dataset::Dataset;

/// A component in words.
#[must_use]
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// MiB with one decimal, as all components have them: they are to be added up.
fn short(bytes: f64) -> String {
    let text = format!("{:.1}", mib(bytes));
    let is_nothing = text.trim_start_matches('-').chars().all(|digit| "0.".contains(digit));
    if is_nothing { "0.0".into() } else { text.replace('-', "−") }
}

fn with_interval(cost: &ComponentCost) -> String {
    format!("{} ({} to {})", short(cost.bytes), short(cost.interval.low), short(cost.interval.high))
}

/// What an instance holds by component, those of the node and of the kernel together.
fn line<'c>(found: &'c Components, whole: &Estimate<MarginalCost>) -> Vec<&'c ComponentCost> {
    let of_instance = found.costs.iter().filter(|cost| cost.holder == Holder::Instance);
    // Of a marginal cost that is too wide to be of use the rest is none either.
    let others = [&found.node, &found.kernel].into_iter().chain(whole.is_ok().then_some(&found.rest));
    of_instance.chain(others.filter_map(|cost| cost.as_ref().ok())).collect()
}

fn cost(cost: &ComponentCost) -> Value {
    let mut value = json!({"bytes": cost.bytes, "low": cost.interval.low, "high": cost.interval.high});
    if cost.holder == Holder::Instance {
        value["files_bytes"] = cost.files_bytes.into();
        value["swapped_bytes"] = cost.swapped_bytes.into();
        value["without_load"] = cost.without_load.into();
    }
    value
}

fn costs<'c>(all: impl Iterator<Item = &'c ComponentCost>) -> Value {
    all.map(|one| (one.name.to_owned(), cost(one))).collect::<Map<_, _>>().into()
}

fn estimate(found: &Estimate<ComponentCost>) -> Value {
    match found {
        Ok(found) => cost(found),
        Err(why) => json!({"bytes": null, "reason": why.0}),
    }
}

fn structure(found: &Components) -> Value {
    let of = |holder: Holder| costs(found.costs.iter().filter(move |cost| cost.holder == holder));
    json!({
        "instances": found.instances, "instance": of(Holder::Instance), "node": of(Holder::Node), "kernel": of(Holder::Kernel),
        "node_sum": estimate(&found.node), "kernel_sum": estimate(&found.kernel), "rest": estimate(&found.rest),
        "sum_bytes": found.whole.as_ref().ok().map(|whole| whole.bytes),
        "unknown": found.unknown.iter().map(|(name, why)| ((*name).to_owned(), why.as_str().into())).collect::<Map<_, _>>(),
    })
}

/// Of a run, or of each runtime of a mixed one.
pub(super) fn components(data: &Dataset, run: &RunResults) -> Estimate<Reading> {
    if data.mix().is_empty() {
        let found = run.components.whole.components.as_ref().map_err(Clone::clone)?;
        return Ok(Reading {
            note: text(found, &run.estimates.marginal_cost),
            inputs: inputs(found),
            ..Reading::structure(structure(found))
        });
    }
    // Where no probe ran there is none of any of them.
    let first = run.components.groups.first().map(|group| &group.components);
    if let Some(Err(why)) = first.filter(|found| found.as_ref().is_err_and(|why| why.0 == NEEDS_PROBE)) {
        return Err(why.clone());
    }
    let groups = || data.mix().iter().zip(&run.components.groups);
    let note = |(name, found): (&String, &ComponentResults)| match &found.components {
        Ok(found) => format!("{name}: {}", text(found, &found.whole)),
        Err(why) => format!("{name}: n/a ({})", why.0),
    };
    let details = |(name, found): (&String, &ComponentResults)| {
        let value = match &found.components {
            Ok(found) => structure(found),
            Err(why) => json!({"reason": why.0}),
        };
        (name.clone(), value)
    };
    let details: Map<String, Value> = groups().map(details).collect();
    Ok(Reading {
        note: groups().map(note).collect::<Vec<_>>().join("; "),
        ..Reading::structure(json!({"runtimes": details}))
    })
}

/// `load 95.4, vmm 64.0, …, rest 0.3 MiB per instance`.
fn text(found: &Components, whole: &Estimate<MarginalCost>) -> String {
    let one = |cost: &&ComponentCost| match cost.holder {
        Holder::Unknown => format!("{} {}", words(cost.name), with_interval(cost)),
        _ => format!("{} {}", words(cost.name), short(cost.bytes)),
    };
    let rest = if whole.is_err() { "; rest: n/a without a marginal cost" } else { "" };
    format!("{} MiB per instance{rest}", line(found, whole).iter().map(one).collect::<Vec<_>>().join(", "))
}

fn inputs(found: &Components) -> String {
    let mut inputs = format!(
        "anonymous and shared memory (PSS) of processes, mean over {} instances at rest; of node and kernel slopes against instances; \
         rest: the remainder of the marginal cost, with its {}",
        found.instances,
        format::confidence()
    );
    if let Some(holder) = found.costs.iter().find(|cost| cost.without_load) {
        inputs += &format!(
            "; {} without the load's memory, which is in it, as the load reports it",
            words(holder.name)
        );
    } else if !found.load_is_apart {
        inputs += "; the load's memory is in that of the component that runs it, as instances do not report";
    }
    if !found.unknown.is_empty() {
        let unknown: Vec<String> = found.unknown.iter().map(|(name, _)| words(name)).collect();
        inputs += &format!("; not told, and in the rest: {}", unknown.join(", "));
    }
    inputs
}

/// The peak of a run.
pub(super) fn peak(data: &Dataset, run: &RunResults) -> Estimate<Reading> {
    if !data.mix().is_empty() && run.components.groups.iter().all(|group| group.peak.is_err()) {
        let first = run.components.groups.first().and_then(|group| group.peak.as_ref().err());
        return Err(first.cloned().unwrap_or_else(|| crate::analysis::Unavailable(NEEDS_PROBE.into())));
    }
    let peak = run.components.whole.peak.clone()?;
    let PeakPerPod { bytes, interval, most, at_rest, instances } = peak;
    Ok(Reading {
        interval: Some(interval),
        note: format!("; at most {}, at rest {}", format::mib(most), format::mib(at_rest)),
        inputs: format!(
            "{}; high-water mark of the cgroup of {instances} pods, less page cache at rest and less what the load reports",
            format::confidence()
        ),
        details: json!({"most_bytes": most, "at_rest_bytes": at_rest, "instances": instances}),
        ..Reading::number(bytes)
    })
}

/// The sentences on a run; none where no probe ran.
pub(super) fn sentences(found: &RunResults) -> Vec<Sentence> {
    let ComponentResults { components, peak } = &found.components.whole;
    let cost = &found.estimates.marginal_cost;
    let mut sentences = Vec::new();
    match components {
        Ok(found) => {
            let all: Vec<String> = line(found, cost)
                .iter()
                .map(|cost| format!("{} {}", words(cost.name), with_interval(cost)))
                .collect();
            let whole = cost
                .as_ref()
                .map_or_else(|_| String::new(), |whole| format!("; together {}", short(whole.bytes)));
            sentences.push(says(
                format!("Who holds the memory of an instance: {}{whole} MiB.", all.join(", ")),
                format!("memory by component, with {}: {}", format::confidence(), inputs(found)),
            ));
        }
        Err(why) if why.0 == NEEDS_PROBE => return sentences,
        Err(why) => {
            sentences.push(says(format!("Memory by component: n/a: {}.", why.0), "memory by component"));
        }
    }
    let rule = "peak per instance: high-water mark of the cgroup of each pod, less page cache at rest and less what the load reports";
    sentences.push(match peak {
        Ok(peak) => says(
            format!(
                "At its peak an instance takes {} beyond its load, at most {}; at rest {}.",
                Unit::BinaryBytes.with_interval(peak.bytes, peak.interval),
                format::mib(peak.most),
                format::mib(peak.at_rest)
            ),
            rule,
        ),
        Err(why) => says(format!("Peak per instance: n/a: {}.", why.0), rule),
    });
    sentences
}

/// Who holds what an instance of one runtime takes more than one of another.
pub(super) fn differences(all: &[ComponentDifference]) -> Reading {
    let one = |found: &ComponentDifference| {
        format!(
            "{} {} ({} to {})",
            words(found.name),
            short(found.bytes),
            short(found.interval.low),
            short(found.interval.high)
        )
    };
    let is_some = |found: &&ComponentDifference| {
        [found.bytes, found.interval.low, found.interval.high].iter().any(|bytes| short(*bytes) != "0.0")
    };
    let value = |found: &ComponentDifference| {
        let value = json!({"bytes": found.bytes, "low": found.interval.low, "high": found.interval.high});
        (found.name.to_owned(), value)
    };
    Reading {
        note: format!(
            "{} MiB per instance",
            all.iter().filter(is_some).map(one).collect::<Vec<_>>().join(", ")
        ),
        ..Reading::structure(all.iter().map(value).collect::<Map<_, _>>().into())
    }
}
