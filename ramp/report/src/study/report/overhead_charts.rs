//! Charts of overhead against memory limits, one for each scenario.

use super::naming::engine;
use super::overhead::OverheadReport;
use super::overview::StudyReport;
use crate::analysis::mib;
use crate::report::chart::Stroke;
use crate::report::plot::{PlotAxis, PlotChart, PlotMark};
use crate::study::overhead_by_size::{FitCheck, OverheadModel, SizeLimits};

/// Points of a line and its band, which is curved.
const POINTS: u32 = 24;

/// Those of scenarios in which some runtime was measured in two sizes with limits.
pub(super) fn charts(report: &StudyReport<'_>) -> Vec<PlotChart> {
    let mut scenarios: Vec<&str> =
        report.overheads.iter().map(|overhead| overhead.by_size.scenario.as_str()).collect();
    scenarios.dedup();
    let is_one = scenarios.len() == 1;
    let chart = |(number, scenario): (usize, &&str)| {
        let all: Vec<&OverheadReport> =
            report.overheads.iter().filter(|overhead| overhead.by_size.scenario == **scenario).collect();
        let has_sizes = |overhead: &&OverheadReport| {
            overhead.by_size.sizes.iter().filter(|size| size.limit.is_ok() && size.overhead.is_ok()).count()
                > 1
        };
        let shown: Vec<&OverheadReport> = all.into_iter().filter(has_sizes).collect();
        (!shown.is_empty()).then(|| of_scenario(report, &shown, number, if is_one { "" } else { scenario }))
    };
    scenarios.iter().enumerate().filter_map(chart).collect()
}

fn of_scenario(
    report: &StudyReport<'_>,
    all: &[&OverheadReport],
    number: usize,
    scenario: &str,
) -> PlotChart {
    let (mut marks, mut legend) = (Vec::new(), Vec::new());
    let limits = all.iter().flat_map(|overhead| &overhead.by_size.sizes);
    let largest = limits.filter_map(|size| size.limit.as_ref().ok().copied()).max().unwrap_or(0);
    for overhead in all {
        let colour = colour(report, overhead);
        legend.push((format!("{} − {}", overhead.by_size.other, overhead.by_size.base), colour));
        if let Ok(model) = &overhead.by_size.model {
            marks.extend(line(model, colour));
        }
        if let Some(pod_fixed) = overhead.known_pod_fixed() {
            let in_place = mib(pod_fixed.class.overhead_memory_bytes as f64);
            let places = vec![(0.0, in_place), (mib(largest as f64), in_place)];
            marks.push(PlotMark::Line { places, colour, stroke: Stroke::Line([2, 4]) });
        }
        for size in &overhead.by_size.sizes {
            let (Ok(limit), Ok(found)) = (&size.limit, &size.overhead) else { continue };
            let (low, high) = (mib(found.interval.low), mib(found.interval.high));
            marks.push(PlotMark::Interval {
                x: mib(*limit as f64),
                low,
                mean: mib(found.value),
                high,
                colour,
            });
        }
    }
    let engine = engine(report.data);
    let of_scenario = if scenario.is_empty() { String::new() } else { format!(", {scenario}") };
    PlotChart {
        id: if scenario.is_empty() { "overhead".into() } else { format!("overhead-{}", number + 1) },
        title: format!("Overhead per {} against its memory limit{of_scenario}", engine.instance()),
        x: PlotAxis::Number("memory limit, MiB"),
        y: "MiB".into(),
        marks,
        legend,
        note: "Overhead of each size with its 95% CI; the line through them with its 95% band, where one fits. Dotted: the podFixed \
               in place, which is the same for all sizes."
            .into(),
        reach: Vec::new(),
    }
}

/// The line over the sizes that were measured, and its band; nothing where none fits, or where it depends on CPUs, too.
fn line(model: &OverheadModel, colour: usize) -> Vec<PlotMark> {
    let (Some(first), Some(last)) = (model.limits.first(), model.limits.last()) else { return Vec::new() };
    if model.per_cpu.is_some() || matches!(model.check, FitCheck::NotLinear(_)) {
        return Vec::new();
    }
    let (first, span) = (first.memory, last.memory - first.memory);
    let at = |point: u32| {
        let memory = first + (span as f64 * f64::from(point) / f64::from(POINTS)) as u64;
        let found = model.at(SizeLimits { memory, cpu: None }).ok()?;
        Some((mib(memory as f64), found))
    };
    let points: Vec<_> = (0..=POINTS).filter_map(at).collect();
    let ribbon = points.iter().map(|(x, found)| (*x, mib(found.interval.low), mib(found.interval.high)));
    vec![
        PlotMark::Ribbon { places: ribbon.collect(), colour },
        PlotMark::Line {
            places: points.iter().map(|(x, found)| (*x, mib(found.value))).collect(),
            colour,
            stroke: Stroke::Line([0, 0]),
        },
    ]
}

/// The colour of a runtime: that in every other chart.
fn colour(report: &StudyReport<'_>, overhead: &OverheadReport) -> usize {
    let of = overhead.by_size.sizes.first().map(|size| size.compared.other);
    let groups = report.groups.iter();
    groups
        .filter_map(|group| group.cells.iter().position(|cell| Some(cell.cell) == of))
        .next()
        .unwrap_or_default()
}
