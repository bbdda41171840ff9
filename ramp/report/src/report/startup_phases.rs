//! Startup by phase in reports: the structure of `--json`, and sentences.

use serde_json::{Value, json};

use super::figure::Reading;
use super::format;
use crate::analysis::Estimate;
use crate::analysis::results::RunResults;
use crate::analysis::startup_burst::Burst;
use crate::analysis::startup_phases::{PhaseFacts, PhaseLevel, StartupPhase, StartupPhases};
use crate::stats::{Interval, Quantile, Survival};

/// Startup by phase, for programs.
pub(super) fn reading(found: &StartupPhases, run: &RunResults) -> Reading {
    let phases: Vec<Value> = found.phases.iter().map(|facts| phase(found, facts)).collect();
    let end = |end: f64| if end.is_finite() { json!(end) } else { Value::Null };
    let clocks = found.clocks.iter().map(|(node, bound)| {
        let value = json!({
            "behind_seconds": {"low": end(bound.low), "high": end(bound.high)}, "corrected_by_seconds": bound.behind(),
        });
        (node.clone(), value)
    });
    let starts = match &run.burst {
        Ok(burst) => burst_value(burst),
        Err(why) => json!({"per_second": null, "reason": why.0}),
    };
    Reading::structure(json!({
        "phases": phases, "clocks": clocks.collect::<serde_json::Map<_, _>>(), "burst": starts,
    }))
}

/// The time within which a share of the instances (in percent) pass a phase.
pub(super) fn quantile(run: &RunResults, phase: StartupPhase, percent: u32) -> Estimate<Reading> {
    let survival = run.phases.as_ref().map_err(Clone::clone)?.survival(phase)?;
    Ok(match survival.quantile(f64::from(percent) / 100.0) {
        Quantile::Seconds(seconds, low, high) => Reading {
            interval: low.zip(high).map(|(low, high)| Interval { low, high }),
            ..Reading::number(seconds)
        },
        Quantile::LongerThan(seconds) => {
            let note =
                format!("longer than {}, as too few were seen to come to its end", format::seconds(seconds));
            Reading { note, ..Reading::default() }
        }
    })
}

/// Starts per second of the largest burst.
pub(super) fn starts_per_second(run: &RunResults) -> Estimate<Reading> {
    Ok(Reading::number(run.burst.as_ref().map_err(Clone::clone)?.per_second()))
}

fn phase(found: &StartupPhases, facts: &PhaseFacts) -> Value {
    let phase = facts.phase;
    let mut value = json!({"phase": phase.name(), "from": facts.from, "to": phase.end()});
    match found.survival(phase) {
        Err(why) => value["reason"] = why.0.into(),
        Ok(all) => {
            let more = json!({
                "clock": facts.clock, "resolution_seconds": facts.resolution_seconds,
                "unknown": found.unknown(phase), "unknown_because": found.why_unknown(phase),
                "all": survival(&all),
                "levels": found.levels(phase).iter().map(level).collect::<Vec<_>>(),
            });
            if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
                value.extend(more);
            }
            match found.mean(phase, None) {
                Ok(mean) => value["mean_seconds"] = mean.into(),
                Err(why) => {
                    value["mean_seconds"] = Value::Null;
                    value["reason"] = why.0.into();
                }
            }
        }
    }
    value
}

fn level(level: &PhaseLevel) -> Value {
    let mut value = survival(&level.survival);
    value["at_work_from"] = level.from.into();
    value["at_work_below"] = level.to.into();
    value
}

fn burst_value(burst: &Burst) -> Value {
    json!({
        "per_second": burst.per_second(), "most_per_second": burst.most_per_second(), "instances": burst.instances,
        "seconds": burst.seconds, "step": burst.step, "windows": burst.windows,
    })
}

/// Durations, for programs.
pub(super) fn survival(survival: &Survival) -> Value {
    let quantile = |share: f64| match survival.quantile(share) {
        Quantile::Seconds(seconds, low, high) => json!({"seconds": seconds, "low": low, "high": high}),
        Quantile::LongerThan(seconds) => json!({"seconds": null, "longer_than_seconds": seconds}),
    };
    json!({
        "count": survival.count, "censored": survival.censored,
        "p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99),
    })
}

/// Median of each phase, in a sentence; none where no phase between the creation and the program is told.
pub(super) fn sentence(found: &StartupPhases) -> Option<(String, String)> {
    let told = |phase: StartupPhase| Some((found.facts(phase).ok()?, found.survival(phase).ok()?));
    let known: Vec<(&PhaseFacts, Survival)> = StartupPhase::ALL.into_iter().filter_map(told).collect();
    if known.is_empty() {
        return None;
    }
    let text = |(facts, survival): &(&PhaseFacts, Survival)| {
        format!("{} {}", facts.phase.name(), format::quantile(survival.quantile(0.5)))
    };
    let parts: Vec<String> = known.iter().map(text).collect();
    let mut missing: Vec<(String, Vec<&str>)> = Vec::new();
    for phase in StartupPhase::ALL {
        let Some(why) = found.durations(phase, None).err() else { continue };
        match missing.iter_mut().find(|(other, _)| *other == why.0) {
            Some((_, phases)) => phases.push(phase.name()),
            None => missing.push((why.0, vec![phase.name()])),
        }
    }
    let missing: String =
        missing.iter().map(|(why, phases)| format!("; {}: n/a: {why}", phases.join(" and "))).collect();
    let coarsest = known.iter().map(|(facts, _)| facts.resolution_seconds).fold(0.0, f64::max);
    let rule = format!(
        "phases of startup, Kaplan–Meier: each from the end of the one before, to {} s; the clock and the resolution of each: --json",
        format::number(coarsest)
    );
    Some((format!("Median of each phase: {}{missing}.", parts.join(", ")), rule))
}

/// Starts per second of a burst, in a sentence.
pub(super) fn burst_sentence(burst: &Burst) -> (String, String) {
    let text = format!(
        "{} instances requested at once were ready within {}: {} starts per second, {} at most.",
        burst.instances,
        format::seconds(burst.seconds),
        format::number(burst.per_second()),
        format::number(burst.most_per_second()),
    );
    let rule = "burst: the largest number of instances requested in one step, or in steps that were not waited for; from when the first of \
                them was seen until the last of as many was seen to be ready; at most: in a tenth of that time";
    (text, rule.to_owned())
}
