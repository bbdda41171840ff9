//! All findings, for programs. What is unavailable is `null`; why stands beside it as `reason`: in the object that it is of, or, of a
//! plain figure, under its name in the `reason` of the object around it.

use serde_json::{Value, json};

use super::figure::Scope;
use super::registry::FIGURES;
use super::{Report, narrative};
use crate::analysis::repeats::RepeatGroup;
use crate::analysis::results::{Compared, RunResults};
use crate::dataset::Dataset;

/// The whole report.
#[must_use]
pub fn json(report: &Report) -> Value {
    let runs: Vec<Value> = report
        .runs()
        .enumerate()
        .map(|(at, (data, found))| run(report.findings.group_of(at), data, found))
        .collect();
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

fn run(group: Option<&RepeatGroup>, data: &Dataset, found: &RunResults) -> Value {
    let cells = data.cells();
    let breaks = found.breaks.iter().map(|broke| {
        json!({
            "resource": broke.resource.to_string(), "what": broke.what, "step": broke.step,
            "elapsed_seconds": broke.elapsed_seconds, "evidence": broke.evidence,
        })
    });
    let sidecars =
        data.sidecars().into_iter().map(|found| json!({"container": found.container, "image": found.image}));
    let mut object = json!({
        "name": data.name,
        "begin": data.recorded().map(|recorded| recorded.run.begin),
        "scenario": group.map(|group| &group.scenario),
        "runtime": group.map(|group| &group.runtime),
        "load": group.map(|group| &group.load),
        "cells": cells.all,
        "missing_cells": cells.missing,
        "notes": data.notes,
        "sidecars": sidecars.collect::<Vec<_>>(),
        "breaks": breaks.collect::<Vec<_>>(),
    });
    for figure in FIGURES {
        match figure.scope {
            Scope::Run(of) => figure.put(&mut object, &of(data, found)),
            Scope::Mixed(of) if !data.mix().is_empty() => figure.put(&mut object, &of(data, found)),
            Scope::Mixed(_) | Scope::Comparison(_) => {}
        }
    }
    object
}

fn comparison(report: &Report, compared: &Compared) -> Value {
    let runs = |group: usize| -> Vec<&str> {
        let runs = report.findings.groups.get(group).map_or(&[][..], |group| &group.runs);
        runs.iter().filter_map(|run| report.data.get(*run)).map(|data| data.name.as_str()).collect()
    };
    let names @ [base, other] = report.names(compared);
    let mut object = json!({
        "base": base, "other": other, "base_runs": runs(compared.base), "other_runs": runs(compared.other),
    });
    for figure in FIGURES {
        if let Scope::Comparison(of) = figure.scope {
            figure.put(&mut object, &of(compared, names));
        }
    }
    object
}
