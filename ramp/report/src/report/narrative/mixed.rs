//! Sentences on the groups of a mixed run.

use super::super::figure::Unit;
use super::super::format;
use super::comparison::pod_fixed_verdict;
use super::sentence::{Sentence, says, sentence_case};
use crate::analysis::mixed::GroupResults;
use crate::analysis::results::RunResults;
use crate::dataset::Dataset;
use ramp_format::preflight::RuntimeClassFacts;

/// What an instance of each group costs more than one of the first, what each costs, and how long each takes to start.
pub(super) fn sentences(data: &Dataset, found: &RunResults) -> Vec<Sentence> {
    let Some(base) = found.mixed.first() else { return Vec::new() };
    let mut sentences: Vec<Sentence> =
        found.mixed.iter().filter_map(|group| overhead(data, base, group)).collect();
    sentences.extend(pod_fixed(data, found));
    sentences.extend(found.mixed.iter().map(|group| cost(data, group)));
    sentences.push(startup(found));
    sentences
}

/// What an instance is, of this run.
fn instance(data: &Dataset) -> &'static str {
    data.recorded().map_or("pod", |recorded| recorded.run.plan.engine.instance())
}

/// What each costs more, in words.
pub(super) fn costs_more(data: &Dataset, base: &GroupResults, group: &GroupResults) -> Option<String> {
    let found = group.overhead.as_ref()?.as_ref().ok()?;
    // A negative difference is the same the other way round.
    let (size, interval, word) = match found.bytes < 0.0 {
        true => (-found.bytes, found.interval.negated(), "less"),
        false => (found.bytes, found.interval, "more"),
    };
    Some(format!(
        "each {} {} costs {} {word} than {}{}, in one mixed run",
        group.runtime,
        instance(data),
        Unit::BinaryBytes.with_interval(size, interval),
        base.runtime,
        format::with_sidecars(data)
    ))
}

fn overhead(data: &Dataset, base: &GroupResults, group: &GroupResults) -> Option<Sentence> {
    let rule = format!(
        "overhead in a mixed run: difference of the coefficients of the groups' instances in one regression of the memory of each \
         kernel, with its {}; what a kernel holds of its own, and its drift, are the same for both",
        format::confidence()
    );
    let text = match group.overhead.as_ref()? {
        Ok(_) => sentence_case(&costs_more(data, base, group)?) + ".",
        Err(why) => format!("Overhead of {} over {}: n/a: {}.", group.runtime, base.runtime, why.0),
    };
    Some(says(text, rule))
}

/// What RuntimeClasses declare, against what was measured, where the first group has no overhead of its own.
fn pod_fixed(data: &Dataset, found: &RunResults) -> Vec<Sentence> {
    let Some(recorded) = data.recorded() else { return Vec::new() };
    let classes = &recorded.run.runtime_classes;
    if classes.first().is_none_or(|class| class.overhead_memory_bytes > 0) {
        return Vec::new();
    }
    let of = |(class, group): (&RuntimeClassFacts, &GroupResults)| {
        let interval = group.overhead.as_ref()?.as_ref().ok()?.interval;
        Some(pod_fixed_verdict(class, interval))
    };
    classes.iter().zip(&found.mixed).filter_map(of).collect()
}

fn cost(data: &Dataset, group: &GroupResults) -> Sentence {
    let rule = format!(
        "marginal cost of a group: memory of each additional instance of it, with its {}",
        format::confidence()
    );
    match &group.cost {
        Ok(cost) => says(
            format!(
                "Each additional {} {} costs {}, that is {}{}.",
                group.runtime,
                instance(data),
                Unit::Bytes.with_interval(cost.bytes, cost.interval),
                format::mib(cost.bytes),
                format::with_sidecars(data)
            ),
            format!("{rule}; {}", cost.inputs),
        ),
        Err(why) => says(format!("Marginal cost of {}: n/a: {}.", group.runtime, why.0), rule),
    }
}

fn startup(found: &RunResults) -> Sentence {
    let of = |group: &GroupResults| match &group.startup {
        Err(why) => format!("{} n/a ({})", group.runtime, why.0),
        Ok(survival) => {
            let never = match survival.censored {
                0 => String::new(),
                count => format!(", {count} of {} not ready", survival.count),
            };
            format!(
                "{} under {} (p90 {}{never})",
                format::quantile(survival.quantile(0.5)),
                group.runtime,
                format::quantile(survival.quantile(0.9))
            )
        }
    };
    says(
        format!("Median time to ready: {}.", found.mixed.iter().map(of).collect::<Vec<_>>().join(", ")),
        "startup latency of each group: from creation to holding all memory, Kaplan–Meier; instances that never got there are censored",
    )
}
