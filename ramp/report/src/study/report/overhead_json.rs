//! Overhead by size and podFixed, for programs.

use serde_json::{Value, json};

use super::overhead::{OverheadReport, OverheadRow};
use crate::analysis::Estimate;
use crate::stats::Interval;
use crate::study::guest_memory::GuestSides;
use crate::study::overhead_by_size::{Deviation, FitCheck, OverheadModel, ValueWithInterval};
use crate::study::pod_fixed::{PodFixed, PodFixedVerdict, SizeVerdict};

/// A runtime over the sizes of a scenario.
#[must_use]
pub fn json(report: &OverheadReport) -> Value {
    let by_size = &report.by_size;
    let mut found = json!({
        "scenario": by_size.scenario, "base": by_size.base, "other": by_size.other, "sentences": report.sentences,
        "fixed": null, "per_limit": null, "per_cpu": null, "fit": null, "blocks": 0,
        "sizes": report.rows.iter().map(|row| size(report, row)).collect::<Vec<_>>(),
        "pod_fixed": report.pod_fixed.as_ref().map(pod_fixed),
    });
    match &by_size.model {
        Ok(model) => {
            found["fixed"] = value(model.fixed);
            found["per_limit"] = value(model.per_limit);
            found["per_cpu"] = model.per_cpu.map(value).into();
            found["blocks"] = model.blocks.into();
            found["fit"] = fit(model);
        }
        Err(why) => found["reason"] = why.0.clone().into(),
    }
    found
}

fn value(ValueWithInterval { value, interval: Interval { low, high } }: ValueWithInterval) -> Value {
    json!({"value": value, "interval": {"low": low, "high": high}})
}

fn estimate(found: &Estimate<ValueWithInterval>) -> Value {
    match found {
        Ok(found) => value(*found),
        Err(why) => json!({"value": null, "interval": null, "reason": why.0}),
    }
}

fn fit(model: &OverheadModel) -> Value {
    let of = |answer: &str, Deviation { size, above, p_value }: Deviation| {
        let limit = model.limits.get(size).map(|size| size.memory);
        json!({"answer": answer, "p": p_value, "limit_bytes": limit, "deviation": value(above)})
    };
    match model.check {
        FitCheck::Unchecked => json!({"answer": "not_checked"}),
        FitCheck::Fits(found) => of("fits", found),
        FitCheck::NotLinear(found) => of("not_linear", found),
    }
}

fn size(report: &OverheadReport, row: &OverheadRow) -> Value {
    let mut found = json!({
        "name": row.name, "limit_bytes": row.limit, "source": row.source.name(), "overhead": estimate(&row.overhead),
        "pod_fixed_in_place": row.verdict.map(verdict),
    });
    if let Some(sides) = report.guest_of(row) {
        found["guest"] = guest(sides);
    }
    let measured = row.measured.and_then(|at| report.known_pod_fixed()?.sizes.get(at));
    if let Some(measured) = measured {
        found["peak"] = estimate(&measured.peak);
        found["cpu_at_rest"] = estimate(&measured.cpu.clone().map(|(cpu, _)| cpu));
        found["needs"] = json!({
            "memory_bytes": measured.needed_memory, "cpu_milli_cores": needed_milli_cores(measured),
        });
        found["pods"] = match &measured.pods {
            Ok(pods) => json!({
                "by_memory_requests": {"in_place": pods.in_place, "as_measured": pods.measured},
                "by_all_requests": {"in_place": pods.in_place_by_all, "as_measured": pods.measured_by_all},
            }),
            Err(why) => json!({"reason": why.0}),
        };
    }
    found
}

fn needed_milli_cores(size: &SizeVerdict) -> Option<u64> {
    Some(size.cpu.as_ref().ok()?.1.needed_milli_cores)
}

fn guest(found: &GuestSides) -> Value {
    json!({
        "machine": found.machine.name(), "memory_total_bytes": found.total_bytes,
        "limit_and_pod_fixed_less_memory_total": estimate(&found.limit_less_total),
        "used_beyond_load": estimate(&found.beyond_load), "outside": estimate(&found.outside),
    })
}

fn verdict(found: PodFixedVerdict) -> Value {
    let of = |answer: &str, bytes: Option<f64>| json!({"answer": answer, "bytes": bytes});
    match found {
        PodFixedVerdict::More(bytes) => of("more_than_used", Some(bytes)),
        PodFixedVerdict::Less(bytes) => of("less_than_used", Some(bytes)),
        PodFixedVerdict::LessThanPeak(bytes) => of("less_than_peak", Some(bytes)),
        PodFixedVerdict::AsUsed => of("as_used", None),
    }
}

fn pod_fixed(found: &Estimate<PodFixed>) -> Value {
    let found = match found {
        Ok(found) => found,
        Err(why) => return json!({"runtime_class": null, "reason": why.0}),
    };
    let class = &found.class;
    json!({
        "runtime_class": class.name, "handler": class.handler,
        "in_place": {"memory_bytes": class.overhead_memory_bytes, "cpu_cores": class.overhead_cpu_cores},
        "as_measured": found.largest().map(|size| json!({
            "size": size.name, "memory_bytes": size.needed_memory, "from": if size.peak.is_ok() { "peak" } else { "mean" },
            "cpu_milli_cores": needed_milli_cores(size), "cpu_reason": size.cpu.as_ref().err().map(|why| &why.0),
        })),
    })
}
