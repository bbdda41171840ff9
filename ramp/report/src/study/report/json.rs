//! The report of a study, for programs. What is unavailable is `null`; why stands beside it as `reason`.

use serde_json::{Value, json};

use super::answer::{ComparedReport, FigureAnswer, PermutationPValue};
use super::cell::{CellFigure, CellReport};
use super::naming::engine;
use super::overview::StudyReport;
use super::provenance::headline;
use super::untold::is_untold;
use crate::analysis::capacity::GroupCapacities;
use crate::stats::Interval;
use crate::study::comparison::FigureComparison;
use crate::study::search::CellSearch;
use crate::study::verdict::Verdict;
use ramp_format::study::{Decision, Size};

/// The whole report.
#[must_use]
pub fn json(report: &StudyReport<'_>) -> Value {
    let cells = report.groups.iter().flat_map(|group| &group.cells);
    let mut cells: Vec<&CellReport> = cells.collect();
    cells.sort_by_key(|cell| cell.cell);
    let answers = report.comparisons().flat_map(|compared| {
        let told =
            compared.answers.iter().enumerate().filter(|(_, answer)| !is_untold(report.data, answer.figure));
        told.map(|(at, answer)| comparison(report, compared, at, answer))
    });
    json!({
        "ramp_version": env!("CARGO_PKG_VERSION"),
        "study": study(report),
        "summary": report.comparisons().flat_map(|compared| &compared.answers)
            .filter(|answer| !is_untold(report.data, answer.figure)).map(|answer| &answer.sentence).collect::<Vec<_>>(),
        "findings": report.findings,
        "notes": report.notes,
        "cells": cells.into_iter().map(|found| cell(report, found)).collect::<Vec<_>>(),
        "comparisons": answers.collect::<Vec<_>>(),
        "searches": report.comparisons().filter_map(|compared| compared_search(report, compared)).collect::<Vec<_>>(),
        "capacities": report.comparisons().map(|compared| compared_capacities(report, compared)).collect::<Vec<_>>(),
        "overhead_by_size": report.overheads.iter().map(super::overhead_json::json).collect::<Vec<_>>(),
        "startups": report.comparisons().map(|compared| startups(report, compared)).collect::<Vec<_>>(),
        "decisions": report.data.record.decisions.iter().map(decision).collect::<Vec<_>>(),
        "runs": runs(report),
    })
}

fn study(report: &StudyReport<'_>) -> Value {
    let record = &report.data.record;
    let (least, most) = record.definition.blocks.bounds();
    json!({
        "id": record.study, "name": record.name, "headline": headline(report),
        "ramp_version": record.ramp_version, "engine": engine(report.data).name(),
        "begin": record.begin, "end": record.end, "why_ended": record.why_ended, "resumes": record.resumes,
        "seed": record.seed, "order": record.definition.order,
        "blocks": {"whole": record.whole_blocks(), "least": least, "most": most},
        "definition": record.definition,
    })
}

fn name(report: &StudyReport<'_>, cell: usize) -> Value {
    report.data.cells.get(cell).map_or(Value::Null, |cell| cell.name.clone().into())
}

fn size(report: &StudyReport<'_>, cell: usize) -> Value {
    let size = report.data.cells.get(cell).and_then(|cell| cell.size.as_ref());
    size.map(Size::label).filter(|label| !label.is_empty()).into()
}

fn interval(interval: Option<Interval>) -> Value {
    interval.map_or(Value::Null, |Interval { low, high }| json!({"low": low, "high": high}))
}

fn cell(report: &StudyReport<'_>, found: &CellReport) -> Value {
    let told = found.figures.iter().filter(|figure| !is_untold(report.data, figure.figure));
    let figures = told.map(|figure| (figure.figure.name.to_owned(), cell_figure(figure)));
    let of = report.data.cells.get(found.cell);
    json!({
        "name": name(report, found.cell), "label": found.label,
        "scenario": of.map(|cell| &cell.scenario), "manifest": of.map(|cell| &cell.manifest),
        "runtimes": of.map(|cell| &cell.runtimes), "size": size(report, found.cell),
        "runs": found.runs, "figures": figures.collect::<serde_json::Map<_, _>>(),
        "capacities": capacities(&found.capacities), "first_limit": super::limits::json(report.data, found.cell),
        "held_with_95_percent": found.search.as_ref().map(search),
    })
}

fn capacities(found: &GroupCapacities) -> Value {
    json!({
        "by_requests": match &found.by_requests {
            Ok(capacity) => json!({"value": capacity.least.instances, "by": capacity.least.by}),
            Err(why) => json!({"value": null, "reason": why.0}),
        },
        "by_memory": match &found.by_memory {
            Ok(capacity) => json!({
                "value": capacity.instances, "interval": interval(Some(capacity.interval)), "extrapolated": capacity.is_extrapolated,
            }),
            Err(why) => json!({"value": null, "reason": why.0}),
        },
    })
}

fn cell_figure(figure: &CellFigure) -> Value {
    let mut value = json!({
        "value": figure.mean.map(|mean| mean.mean),
        "interval": interval(figure.mean.and_then(|mean| mean.interval)),
        "deviation": figure.mean.and_then(|mean| mean.deviation),
        "runs": figure.mean.map_or(0, |mean| mean.runs),
        "missing": missing(&figure.missing),
    });
    if figure.mean.is_none() {
        value["reason"] = figure.why_missing().unwrap_or_else(|| "no run that counts".into()).into();
    }
    value
}

fn missing(missing: &[(u32, String)]) -> Vec<Value> {
    missing.iter().map(|(block, why)| json!({"block": block, "reason": why})).collect()
}

fn comparison(
    report: &StudyReport<'_>,
    compared: &ComparedReport,
    at: usize,
    answer: &FigureAnswer,
) -> Value {
    let cells = &report.data.cells;
    let mut value = json!({
        "figure": answer.figure.name,
        "scenario": cells.get(compared.compared.base).map(|cell| &cell.scenario),
        "size": size(report, compared.compared.base),
        "base": name(report, compared.compared.base), "other": name(report, compared.compared.other),
        "sentence": answer.sentence, "notes": answer.notes, "caveats": compared.caveats, "drift_notes": compared.drift,
    });
    let found = compared.compared.comparison.figures.get(at);
    let parts = match found {
        Some(Ok(found)) => figures(compared, found),
        _ => json!({
            "difference": null, "interval": null, "ratio": null, "p": null, "adjusted_p": null, "permutation": null,
            "margin": null, "verdict": null, "blocks": 0,
            "reason": found.and_then(|found| Some(found.as_ref().err()?.0.clone())),
        }),
    };
    if let (Value::Object(value), Value::Object(parts)) = (&mut value, parts) {
        value.extend(parts);
    }
    if let Some(found) = answer.within_run {
        value["within_run"] = json!({"difference": found.bytes, "interval": interval(Some(found.interval))});
    }
    value
}

fn figures(compared: &ComparedReport, found: &FigureComparison) -> Value {
    let test = PermutationPValue::of(&found.permutation);
    let drift = found.difference.drift.map(|drift| {
        let within = drift.interval(0.95);
        json!({
            "per_second": drift.mean, "interval": interval(Some(within)), "removed": found.difference.is_drift_removed,
        })
    });
    json!({
        "base_mean": found.base, "other_mean": found.other, "blocks": found.difference.blocks,
        "difference": found.difference.difference.mean, "interval": interval(Some(found.interval)),
        "deviation": found.difference.deviation,
        "ratio": found.ratio.map(|(ratio, within)| json!({"value": ratio, "interval": interval(Some(within))})),
        "p": found.p_value, "adjusted_p": found.adjusted_p,
        "adjusted_for": compared.compared.comparison.adjusted_for(found.figure.topic),
        "permutation": {
            "p": test.p, "least": test.least, "exact": found.permutation.is_exact,
            "one_sided": {"p": found.permutation.one_sided, "least": found.permutation.least},
        },
        "drift": drift, "margin": found.margin, "verdict": verdict(found.verdict), "missing": missing(&found.missing),
    })
}

fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Differs => json!({"answer": "differs"}),
        Verdict::NoLargerThan(margin) => json!({"answer": "no_larger_than", "margin": margin}),
        Verdict::CannotTell(more) => json!({"answer": "cannot_tell", "more_blocks": more}),
    }
}

fn search(found: &CellSearch) -> Value {
    let mut value = json!({"climbs": found.climbs, "runs": found.runs, "value": null, "interval": null});
    match &found.held {
        Ok(held) => {
            value["value"] = held.instances.into();
            value["interval"] = interval(Some(held.interval));
        }
        Err(why) => value["reason"] = why.0.clone().into(),
    }
    value
}

fn compared_search(report: &StudyReport<'_>, compared: &ComparedReport) -> Option<Value> {
    let [base, other] = [compared.compared.base, compared.compared.other].map(|cell| name(report, cell));
    let mut value = json!({
        "base": base, "other": other, "difference": null, "interval": null, "sentence": compared.search_sentence,
    });
    match compared.search.as_ref()? {
        Ok(found) => {
            value["difference"] = found.instances.into();
            value["interval"] = interval(Some(found.interval));
        }
        Err(why) => value["reason"] = why.0.clone().into(),
    }
    Some(value)
}

fn compared_capacities(report: &StudyReport<'_>, compared: &ComparedReport) -> Value {
    let [base, other] = [compared.compared.base, compared.compared.other].map(|cell| name(report, cell));
    json!({"base": base, "other": other, "sentences": compared.capacities})
}

fn startups(report: &StudyReport<'_>, compared: &ComparedReport) -> Value {
    let [base, other] = [compared.compared.base, compared.compared.other].map(|cell| name(report, cell));
    match (&compared.compared.comparison.startups, &compared.startups) {
        (Ok(found), Ok(sentence)) => {
            let test = PermutationPValue::of(&found.permutation);
            json!({
                "base": base, "other": other, "z": found.z, "sentence": sentence, "note": compared.waiting,
                "permutation": {"p": test.p, "least": test.least, "exact": found.permutation.is_exact},
            })
        }
        (Err(why), _) | (_, Err(why)) => json!({"base": base, "other": other, "z": null, "reason": why.0}),
    }
}

fn decision(decision: &Decision) -> Value {
    json!({
        "time": decision.time, "after_blocks": decision.after_blocks, "blocks_needed": decision.blocks_needed,
        "reason": decision.reason,
    })
}

fn memory(found: &super::runs::RunMemory) -> Value {
    json!({"value": found.bytes, "interval": interval(Some(found.interval))})
}

fn runs(report: &StudyReport<'_>) -> Vec<Value> {
    let run = |run: &super::runs::RunReport| {
        json!({
            "block": run.block, "cell": name(report, run.cell), "directory": run.directory, "begin": run.begin,
            "seconds": run.seconds, "held": run.held, "state": run.state, "notes": run.notes,
            "memory_per_instance": run.memory.first().filter(|memory| memory.runtime.is_none()).map(memory),
            "by_runtime": run.memory.iter().filter_map(|found| Some((found.runtime.clone()?, memory(found))))
                .collect::<serde_json::Map<_, _>>(),
        })
    };
    report.runs.iter().map(run).collect()
}
