//! Charts of individual nodes.

use super::super::Report;
use super::super::chart::{At, Chart, LINES, PALETTE, Series, Stroke, X, thinned};
use super::series::{MOST_POINTS, Pen, StepAxis, gib};
use crate::dataset::{Dataset, Freshness, NodeSample, NodeSeries};

/// So many nodes have a line each.
const MOST_NODES: usize = 7;

/// Memory of each node: a chart for each run, since nodes of two runs have nothing in common.
pub(super) fn memory(report: &Report) -> Vec<Chart> {
    let labels = report.labels();
    let chart = |(run, data): (usize, &Dataset)| {
        let clock = StepAxis::of(data);
        let nodes = data.nodes.iter().take(MOST_NODES).enumerate();
        let series =
            nodes.flat_map(|(number, node)| of_node(&clock, number, node, data.nodes.len())).collect();
        let more = data.nodes.len().saturating_sub(MOST_NODES);
        let more = if more > 0 { format!(" {more} more nodes are not shown.") } else { String::new() };
        let alone = report.data.len() == 1;
        Chart {
            id: format!("nodes-{}", run + 1),
            title: if alone {
                "Memory per node".into()
            } else {
                format!("Memory per node — {}", labels.get(run).map_or("", String::as_str))
            },
            run: Some(run),
            x: X::Run,
            y: "GiB",
            series,
            note: format!("Thin and dotted: the node repeats an older value.{more}"),
        }
    };
    report.data.iter().enumerate().map(chart).collect()
}

/// Free, active and available memory of a node.
fn of_node(clock: &StepAxis, number: usize, node: &NodeSeries, nodes: usize) -> Vec<Series> {
    type StepColumn = (&'static str, fn(&NodeSample) -> Option<u64>);
    let measures: [StepColumn; 4] = [
        ("free", |sample| sample.memory.free),
        ("active", |sample| sample.memory.active),
        ("available", |sample| sample.memory.available),
        ("neither active nor free", |sample| sample.memory.unaccounted()),
    ];
    let mut series = Vec::new();
    for (which, (name, measure)) in measures.into_iter().enumerate() {
        let points: Vec<At> =
            node.samples.iter().map(|sample| place(clock, sample, measure(sample).map(gib))).collect();
        if points.iter().all(|at| at.y.is_none()) {
            continue;
        }
        series.push(Series {
            label: format!("{name} — {}", node.name),
            colour: if nodes == 1 { which } else { number } % PALETTE.len(),
            stroke: LINES.get(which).copied().filter(|_| nodes > 1).unwrap_or(Stroke::Line([0, 0])),
            hidden: nodes > 1 && which > 1,
            points: thinned(&points, MOST_POINTS),
        });
    }
    series
}

fn place(clock: &StepAxis, sample: &NodeSample, y: Option<f64>) -> At {
    // Where a source has a sample for each step, that is where it stands.
    let (step, seconds) = match (sample.elapsed_seconds, sample.taken_seconds) {
        (Some(seconds), Some(_)) => (clock.step(seconds), seconds),
        (seconds, _) => (sample.step.into(), seconds.unwrap_or(f64::NAN)),
    };
    let y = y.filter(|_| sample.freshness != Freshness::Missing);
    At { step, seconds, y, stale: sample.freshness == Freshness::Stale }
}

/// The share of time that some task waited for a resource, of the node where it is largest.
pub(super) fn pressure(report: &Report) -> Chart {
    type StepColumn = (&'static str, fn(&NodeSample) -> Option<f64>);
    let measures: [StepColumn; 3] = [
        ("memory", |sample| sample.memory_pressure_seconds),
        ("CPU", |sample| sample.cpu_pressure_seconds),
        ("I/O", |sample| sample.io_pressure_seconds),
    ];
    let pen = Pen::of(report);
    let mut series = Vec::new();
    for (number, (name, measure)) in measures.into_iter().enumerate() {
        for (run, data) in report.data.iter().enumerate() {
            let clock = StepAxis::of(data);
            let points = worst(&clock, &data.nodes, measure);
            if !points.is_empty() {
                series.push(pen.line(run, (number, name), points));
            }
        }
    }
    Chart {
        note: "Of the most stalled node, between its fresh samples.".into(),
        ..Chart::of_all(
            "pressure",
            "Pressure (PSI, some): share of time with a stalled task",
            "% of time",
            series,
        )
    }
}

/// For each sample of any node the share of the time since the one before; of samples within a step of the clock the largest.
fn worst(clock: &StepAxis, nodes: &[NodeSeries], measure: fn(&NodeSample) -> Option<f64>) -> Vec<At> {
    let mut points: Vec<At> = Vec::new();
    for node in nodes {
        let known = node.samples.iter().filter(|sample| sample.freshness == Freshness::Fresh);
        let known: Vec<(f64, f64)> =
            known.filter_map(|sample| Some((sample.elapsed_seconds?, measure(sample)?))).collect();
        points.extend(known.windows(2).filter_map(|pair| {
            let [(since, before), (until, after)] = pair else { return None };
            let share = (until > since).then(|| 100.0 * (after - before).max(0.0) / (until - since))?;
            // Two counters read a moment apart from their times can say a little more than there was.
            Some(At { step: clock.step(*until), seconds: *until, y: Some(share.min(100.0)), stale: false })
        }));
    }
    points.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    // Nodes tell once a second: the largest of each second.
    let mut largest: Vec<At> = Vec::new();
    for at in points {
        match largest.last_mut() {
            Some(last) if last.seconds.floor() == at.seconds.floor() => {
                if at.y > last.y {
                    *last = at;
                }
            }
            _ => largest.push(at),
        }
    }
    largest
}
