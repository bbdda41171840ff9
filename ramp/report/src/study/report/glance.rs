//! The answer of a study at a glance, one for each cell.

use super::answer::ComparedReport;
use super::cell::CellReport;
use super::naming::{engine, label_with_size};
use super::overview::{CellGroup, StudyReport};
use super::words::{interval, value};
use crate::analysis::comparison::PerPod;
use crate::report::glance::{
    Glance, GlanceCount, GlanceFigure, GlanceNumber, GlanceValue, capacities, first_to_give_way,
};
use crate::stats::Interval;
use crate::study::figure::{INSTANCES_HELD, MEMORY_PER_INSTANCE, StudyUnit};
use crate::study::verdict::Verdict;
use ramp_format::plan::EngineKind;
use ramp_format::text::count;

/// Each cell.
pub(super) fn glances(report: &StudyReport<'_>) -> Vec<Glance> {
    let of = |group: &CellGroup| {
        let cells = group.cells.iter().enumerate();
        cells.map(|(colour, cell)| of_cell(report, group, cell, colour)).collect::<Vec<_>>()
    };
    report.groups.iter().flat_map(of).collect()
}

fn of_cell(report: &StudyReport<'_>, group: &CellGroup, cell: &CellReport, colour: usize) -> Glance {
    let engine = engine(report.data);
    let mut counts = vec![held(report, cell)];
    counts.extend(by_search(cell));
    counts.extend(capacities(&cell.capacities));
    let name = format!("each {} takes", engine.instance());
    let mut figures = vec![GlanceFigure { name, value: memory(cell, engine) }];
    figures.extend(group.comparisons.iter().find(|compared| compared.compared.other == cell.cell).map(
        |compared| GlanceFigure {
            name: format!("more per {} than {}", engine.instance(), compared.base),
            value: more(compared, engine),
        },
    ));
    let runs = report.data.runs_of(cell.cell);
    Glance {
        label: label_with_size(&report.data.cells, cell.cell),
        colour,
        counts,
        figures,
        gave_way: first_to_give_way(&runs.iter().map(|run| &*run.results).collect::<Vec<_>>()),
    }
}

fn held(report: &StudyReport<'_>, cell: &CellReport) -> GlanceCount {
    let figure = cell.figures.iter().find(|figure| figure.figure.name == INSTANCES_HELD);
    let runs = count(cell.runs as u64, "run");
    let mean = figure.and_then(|figure| figure.mean).map(|mean| GlanceNumber {
        number: mean.mean,
        interval: mean.interval.unwrap_or(Interval { low: mean.mean, high: mean.mean }),
        is_least: false,
        note: count(mean.runs as u64, "run"),
    });
    let least = || {
        let all = report.data.runs_of(cell.cell);
        let held = all.iter().map(|run| run.at_least_held()).collect::<Option<Vec<u32>>>()?;
        let note = format!("all that were requested, {runs}");
        Some(GlanceNumber { is_least: true, ..GlanceNumber::exact(held.into_iter().min()?.into(), note) })
    };
    let why =
        || figure.and_then(super::cell::CellFigure::why_missing).unwrap_or_else(|| "no run counts".into());
    GlanceCount { name: "held at once", value: mean.or_else(least).ok_or_else(why) }
}

fn by_search(cell: &CellReport) -> Option<GlanceCount> {
    let found = &cell.search.as_ref()?.held;
    Some(GlanceCount {
        name: "hold with 95%",
        value: found.as_ref().map_err(|why| why.0.clone()).map(|held| GlanceNumber {
            number: held.instances.floor(),
            interval: Interval { low: held.interval.low.floor(), high: held.interval.high.floor() },
            is_least: false,
            note: count(cell.runs as u64, "run"),
        }),
    })
}

fn memory(cell: &CellReport, engine: EngineKind) -> Result<GlanceValue, String> {
    let figure = cell.figures.iter().find(|figure| figure.figure.name == MEMORY_PER_INSTANCE);
    let found = figure.ok_or("no run counts")?;
    let Some(mean) = found.mean else {
        return Err(found.why_missing().unwrap_or_else(|| "no run counts".into()));
    };
    Ok(GlanceValue {
        text: value(StudyUnit::Bytes, engine, mean.mean),
        basis: mean
            .interval
            .map_or_else(|| "one run: no interval".to_owned(), |within| interval(StudyUnit::Bytes, within)),
        is_told: mean.interval.is_none_or(|within| !within.contains(0.0)),
    })
}

/// How much more, with what can be said of it.
fn more(compared: &ComparedReport, engine: EngineKind) -> Result<GlanceValue, String> {
    let signed = |bytes: f64| {
        let sign = if bytes < 0.0 { "" } else { "+" };
        format!("{sign}{}", value(StudyUnit::Bytes, engine, bytes))
    };
    let answer = compared.answers.first();
    if let Some(PerPod { bytes, interval: within }) = answer.and_then(|answer| answer.within_run) {
        return Ok(GlanceValue {
            text: signed(bytes),
            basis: format!("{}, within one run", interval(StudyUnit::Bytes, within)),
            is_told: !within.contains(0.0),
        });
    }
    let found = compared.compared.comparison.figures.first().ok_or("not compared")?;
    let found = found.as_ref().map_err(|why| why.0.clone())?;
    let verdict = match found.verdict {
        Verdict::Differs => "differs".to_owned(),
        Verdict::NoLargerThan(margin) => {
            format!("no difference larger than {}", value(StudyUnit::Bytes, engine, margin))
        }
        Verdict::CannotTell(_) => "cannot tell yet".to_owned(),
    };
    let blocks = count(found.difference.blocks as u64, "block");
    let within = interval(StudyUnit::Bytes, found.interval);
    Ok(GlanceValue {
        text: signed(found.difference.difference.mean),
        basis: format!("{within}, {blocks}: {verdict}"),
        is_told: !matches!(found.verdict, Verdict::CannotTell(_)),
    })
}
