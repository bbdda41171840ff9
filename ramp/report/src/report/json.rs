//! All findings, for programs. What cannot be said is `null`; why stands beside it as `reason`: in the object that it is of, or, of a
//! plain figure, under its name in the `reason` of the object around it.

use serde_json::{Map, Value, json};

use super::{Report, narrative};
use crate::analysis::external_changes::Change;
use crate::analysis::goodput::GoodputCourse;
use crate::analysis::latency::LoadLevel;
use crate::analysis::results::{Compared, RunResults};
use crate::analysis::teardown::Returned;
use crate::analysis::{Estimate, PerContainer, mib};
use crate::dataset::Dataset;
use crate::stats::{Quantile, Survival};
use ramp_format::running_count::Most;

/// Figures by their names, some of which cannot be said.
#[derive(Default)]
struct Figures {
    values: Map<String, Value>,
    reasons: Map<String, Value>,
}

impl Figures {
    fn put<T>(&mut self, name: &str, estimate: &Estimate<T>, value: impl FnOnce(&T) -> Value) {
        let value = match estimate {
            Ok(estimate) => value(estimate),
            Err(why) => {
                self.reasons.insert(name.into(), why.0.clone().into());
                Value::Null
            }
        };
        self.values.insert(name.into(), value);
    }

    /// A figure that is an object: where it cannot be said its parts are null, and the reason is among them.
    fn put_object<T>(
        &mut self,
        name: &str,
        estimate: &Estimate<T>,
        parts: &[&str],
        value: impl FnOnce(&T) -> Value,
    ) {
        let value = match estimate {
            Ok(estimate) => value(estimate),
            Err(why) => {
                let mut object: Map<String, Value> =
                    parts.iter().map(|part| ((*part).into(), Value::Null)).collect();
                object.insert("reason".into(), why.0.clone().into());
                object.into()
            }
        };
        self.values.insert(name.into(), value);
    }

    fn done(mut self) -> Value {
        if !self.reasons.is_empty() {
            self.values.insert("reason".into(), self.reasons.into());
        }
        self.values.into()
    }
}

/// The whole report.
#[must_use]
pub fn json(report: &Report) -> Value {
    let runs: Vec<Value> = report.runs().map(|(data, found)| run(data, found)).collect();
    let comparisons: Vec<Value> =
        report.findings.comparisons.iter().map(|compared| comparison(report, compared)).collect();
    let analysis: Vec<Value> = narrative::sections(report)
        .into_iter()
        .map(|section| {
            let sentence = |sentence: narrative::Sentence| json!({"text": sentence.text, "rule": sentence.rule});
            json!({"title": section.title, "sentences": section.sentences.into_iter().map(sentence).collect::<Vec<_>>()})
        })
        .collect();
    json!({
        "ramp_version": env!("CARGO_PKG_VERSION"),
        "summary": narrative::summary(report),
        "runs": runs,
        "comparisons": comparisons,
        "analysis": analysis,
    })
}

fn run(data: &Dataset, found: &RunResults) -> Value {
    let cells = data.cells();
    let breaks = found.breaks.iter().map(|broke| {
        json!({
            "resource": broke.resource.to_string(), "what": broke.what, "step": broke.step,
            "elapsed_seconds": broke.elapsed_seconds, "evidence": broke.evidence,
        })
    });
    let mut object = json!({
        "name": data.name,
        "rows": data.rows,
        "cells": cells.all,
        "stale_cells_percent": cells.stale_percent(),
        "missing_cells": cells.missing,
        "notes": data.notes,
        "estimates": estimates(found),
        "breaks": breaks.collect::<Vec<_>>(),
        "behaviour": behaviour(data, found),
    });
    if cells.stale_percent().is_none() {
        object["reason"] = json!({"stale_cells_percent": "no sample of a node was recorded"});
    }
    object
}

fn estimates(found: &RunResults) -> Value {
    let estimates = &found.estimates;
    let mut figures = Figures::default();
    figures.put("predicted_capacity", &estimates.predicted_capacity, |capacity| capacity.instances.into());
    let verdict = &estimates.saturation;
    figures.put_object("saturation", &verdict.saturation, &["step", "rule", "instances", "resource"], |at| {
        let resource = at.resource.map(|resource| resource.to_string());
        json!({"step": at.step, "rule": at.rule.to_string(), "instances": at.instances, "resource": resource})
    });
    if let Some(saturation) = figures.values.get_mut("saturation") {
        saturation["saturated"] = json!(verdict.saturated);
        saturation["up_to"] = json!(verdict.up_to);
    }
    let most = |most: &Most| json!(most);
    figures.put_object("held", &estimates.held, &["count", "step"], most);
    figures.put_object("running", &estimates.running, &["count", "step"], most);
    // What running was called.
    figures.put_object("maximum_running", &estimates.running, &["count", "step"], most);
    let mut usage = Figures::default();
    let as_mib = |usage: &PerContainer| usage.mib.into();
    usage.put("at_saturation", &estimates.usage.at_saturation, as_mib);
    usage.put("min", &estimates.usage.min, as_mib);
    usage.put("max", &estimates.usage.max, as_mib);
    figures.values.insert("usage_per_container_mib".into(), usage.done());
    figures.put_object("marginal_cost", &estimates.marginal_cost, &["bytes", "low", "high"], |cost| {
        json!({
            "bytes": cost.bytes, "low": cost.interval.low, "high": cost.interval.high,
            "points": cost.points, "inputs": cost.inputs,
        })
    });
    figures.done()
}

fn behaviour(data: &Dataset, found: &RunResults) -> Value {
    let mut figures = Figures::default();
    figures.put("startup_latency", &found.latency, |levels| levels.iter().map(level).collect());
    figures.put("goodput", &found.goodput, |course| goodput(data, course));
    figures.put("termination", &found.terminations, survival);
    figures.put("teardown", &crate::analysis::teardown::teardown(data), |teardown| {
        json!({"instances": teardown.instances, "seconds": teardown.seconds, "left": teardown.left})
    });
    figures.put("leak", &found.leak, |leak| {
        json!({
            "kernels": leak.kernels, "before_bytes": leak.before_bytes, "after_bytes": leak.after_bytes,
            "instances": leak.instances,
            "low": leak.interval.map(|interval| interval.low), "high": leak.interval.map(|interval| interval.high),
            "leaked": match leak.returned() {
                Returned::All => Some(false),
                Returned::NotAll => Some(true),
                Returned::NotSteady | Returned::CannotTell => None,
            },
        })
    });
    let parts = ["missing_bytes", "waited_seconds", "steady"];
    figures.put_object("memory_returned", &found.leak, &parts, |leak| {
        json!({
            "missing_bytes": leak.missing_bytes, "waited_seconds": leak.waited_seconds, "steady": leak.steady,
        })
    });
    let change = |change: &Change| json!({"what": change.what, "who": change.who, "step": change.step});
    let changes: Vec<Value> = found.changed_by_others.iter().map(change).collect();
    figures.values.insert("changed_by_others".into(), changes.into());
    figures.done()
}

fn level(level: &LoadLevel) -> Value {
    let mut value = survival(&level.survival);
    value["at_work_from"] = level.from.into();
    value["at_work_below"] = level.to.into();
    value
}

fn survival(survival: &Survival) -> Value {
    let quantile = |share: f64| match survival.quantile(share) {
        Quantile::Seconds(seconds, low, high) => json!({"seconds": seconds, "low": low, "high": high}),
        Quantile::LongerThan(seconds) => json!({"seconds": null, "longer_than_seconds": seconds}),
    };
    json!({
        "count": survival.count, "censored": survival.censored,
        "p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99),
    })
}

fn goodput(data: &Dataset, course: &GoodputCourse) -> Value {
    let step = |index: usize| data.steps.get(index).map(|step| step.step);
    let most = course.steps.iter().max_by_key(|at| at.instances);
    json!({
        "most": most.map(|at| json!({"count": at.instances, "step": step(at.index)})),
        "largest_gap": course.largest_gap.map(|(count, index)| json!({"count": count, "step": step(index)})),
        "reports_count_seconds": course.counts_seconds,
    })
}

fn comparison(report: &Report, compared: &Compared) -> Value {
    let names = |group: usize| -> Vec<&str> {
        let runs = report.findings.groups.get(group).map_or(&[][..], |group| &group.runs);
        runs.iter().filter_map(|run| report.data.get(*run)).map(|data| data.name.as_str()).collect()
    };
    let found = &compared.comparison;
    let mut figures = Figures::default();
    let values = &mut figures.values;
    values.insert("base".into(), report.findings.name(compared.base).into());
    values.insert("other".into(), report.findings.name(compared.other).into());
    values.insert("base_runs".into(), names(compared.base).into());
    values.insert("other_runs".into(), names(compared.other).into());
    figures.put("overhead_by_saturation", &found.overhead_by_saturation, |ratio| (*ratio).into());
    figures.put("overhead_by_maximum", &found.overhead_by_maximum, |ratio| (*ratio).into());
    figures.put("overhead_by_usage", &found.overhead_by_usage, |ratio| (*ratio).into());
    let parts = ["bytes", "low", "high", "mib", "pod_fixed_mib"];
    figures.put_object("overhead_per_pod", &found.overhead_per_pod, &parts, |per_pod| {
        let mut object = json!({
            "bytes": per_pod.bytes, "low": per_pod.interval.low, "high": per_pod.interval.high,
            "mib": mib(per_pod.bytes), "pod_fixed_mib": null,
        });
        match per_pod.pod_fixed_mib() {
            Ok(pod_fixed) => object["pod_fixed_mib"] = pod_fixed.into(),
            Err(why) => object["reason"] = why.0.into(),
        }
        object
    });
    figures.put("drift", &compared.drift, |drift| {
        json!({
            "order": drift.order, "balanced": drift.is_balanced, "base_maximum_running": drift.base,
            "other_maximum_running": drift.other, "spread": drift.spread, "difference": drift.difference,
            "may_explain": drift.may_explain(),
        })
    });
    figures.done()
}
