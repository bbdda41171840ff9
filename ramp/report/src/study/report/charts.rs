//! The charts of a study, each defined once.

use super::components::bars;
use super::naming::engine;
use super::overhead_charts;
use super::overview::{CellGroup, StudyReport};
use super::startup_charts;
use crate::analysis::mib;
use crate::report::chart::{LINES, Stroke};
use crate::report::memory_bars;
use crate::report::plot::{PlotAxis, PlotChart, PlotMark};
use crate::stats::Survival;
use crate::study::comparison::FigureComparison;
use crate::study::data::MeasuredRun;

/// Charts of each group of cells.
const KINDS: usize = 7;
/// Points of all lines of a chart together.
const MOST_POINTS: usize = 4000;

/// All charts that have anything to show.
#[must_use]
pub fn charts(report: &StudyReport<'_>) -> Vec<PlotChart> {
    let of_group = |(number, group): (usize, &CellGroup)| {
        let place = ChartPlace {
            report,
            group,
            number,
            title: if report.groups.len() > 1 { format!(", {}", group.title) } else { String::new() },
        };
        [
            place.memory(),
            place.differences(),
            place.components(),
            place.ramp(),
            place.startups(),
            place.cpu_at_rest(),
            place.cpu_per_start(),
        ]
    };
    let mut groups: Vec<[PlotChart; KINDS]> = report.groups.iter().enumerate().map(of_group).collect();
    // Charts of one kind have the same axes.
    let reach: [Vec<(f64, f64)>; KINDS] = std::array::from_fn(|kind| {
        groups.iter().filter_map(|charts| charts.get(kind)).flat_map(PlotChart::extent).collect()
    });
    for charts in &mut groups {
        charts.iter_mut().zip(&reach).for_each(|(chart, reach)| chart.reach.clone_from(reach));
    }
    let mut charts = overhead_charts::charts(report);
    charts.extend(groups.into_iter().flatten());
    charts.extend(startup_charts::charts(report));
    charts.retain(|chart| !chart.is_empty());
    charts
}

/// A group of cells, whose charts are made.
pub(super) struct ChartPlace<'r> {
    pub(super) report: &'r StudyReport<'r>,
    pub(super) group: &'r CellGroup,
    number: usize,
    pub(super) title: String,
}

impl ChartPlace<'_> {
    pub(super) fn id(&self, name: &str) -> String {
        if self.report.groups.len() > 1 { format!("{name}-{}", self.number + 1) } else { name.to_owned() }
    }

    /// Cells with the index of their colour: the same runtime has the same colour in every chart.
    fn cells(&self) -> impl Iterator<Item = (usize, usize)> {
        self.group.cells.iter().enumerate().map(|(at, cell)| (cell.cell, at))
    }

    fn runs(&self) -> impl Iterator<Item = (&MeasuredRun, usize, usize)> {
        self.cells().flat_map(|(cell, colour)| {
            let runs = self.report.data.runs_of(cell);
            runs.into_iter().enumerate().map(move |(number, run)| (run, colour, number))
        })
    }

    fn legend(&self) -> Vec<(String, usize)> {
        self.group.cells.iter().enumerate().map(|(at, cell)| (cell.label.clone(), at)).collect()
    }

    /// Lines of repeats.
    fn stroke(number: usize) -> Stroke {
        LINES.get(number % LINES.len()).copied().unwrap_or(Stroke::Dots)
    }

    /// Difference of memory by block, with its interval and the margin.
    fn differences(&self) -> PlotChart {
        let mut marks = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut legend = Vec::new();
        let known = |at: usize| -> Option<&FigureComparison> {
            self.group.comparisons.get(at)?.compared.comparison.figures.first()?.as_ref().ok()
        };
        if let Some(found) = (0..self.group.comparisons.len()).find_map(known) {
            marks.push(PlotMark::Band { low: -mib(found.margin), high: mib(found.margin) });
        }
        for (at, compared) in self.group.comparisons.iter().enumerate() {
            let Some(found) = known(at) else { continue };
            let colour = self
                .cells()
                .find(|(cell, _)| *cell == compared.compared.other)
                .map_or(0, |(_, colour)| colour);
            legend.push((format!("{} − {}", compared.other, compared.base), colour));
            let others = self.report.data.runs_of(compared.compared.other);
            for base in self.report.data.runs_of(compared.compared.base) {
                let block = base.figures.block;
                let other = others.iter().find(|other| other.figures.block == block);
                let memory = |run: &MeasuredRun| run.figures.figures.first()?.as_ref().ok().copied();
                let Some((base, other)) = memory(base).zip(other.and_then(|other| memory(other))) else {
                    continue;
                };
                let name = format!("block {block}");
                let x = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                });
                marks.push(PlotMark::Dots { places: vec![(x as f64, mib(other - base))], colour });
            }
            let (low, high) = (mib(found.interval.low), mib(found.interval.high));
            let mean = mib(found.difference.difference.mean);
            marks.push(PlotMark::Interval { x: -1.0 - at as f64, low, mean, high, colour });
        }
        // Means stand behind the last block, whichever that is.
        let blocks = names.len();
        for mark in &mut marks {
            if let PlotMark::Interval { x, .. } = mark {
                *x = blocks as f64 + 0.15 * (-1.0 - *x);
            }
        }
        if !names.is_empty() {
            names.push("mean".into());
        }
        PlotChart {
            id: self.id("difference"),
            title: format!("Difference of memory per {} by block{}", engine(self.report.data).instance(), self.title),
            x: PlotAxis::Names(short(names)),
            y: "MiB".into(),
            marks,
            legend,
            reach: Vec::new(),
            note: "A dot for each block; mean and 95% CI beside them. Grey: the margin, differences of no consequence.".into(),
        }
    }

    /// Memory of each additional instance by component.
    fn components(&self) -> PlotChart {
        let title = format!(
            "Memory of a {} beyond its load, by component{}",
            engine(self.report.data).instance(),
            self.title
        );
        memory_bars::chart(&self.id("components"), title, &bars(self.report.data, self.group))
    }

    /// Memory against instances.
    fn ramp(&self) -> PlotChart {
        let runs = self.runs().count().max(1);
        let line = |(run, colour, number): (&MeasuredRun, usize, usize)| {
            let place = |(_, step): (usize, &crate::dataset::Step)| {
                let bytes = step.memory.anon_and_shared.or_else(|| step.memory.not_available())?;
                let count = step.ready.unwrap_or(step.running);
                step.fresh.then(|| (f64::from(count), bytes as f64 / f64::from(1 << 30)))
            };
            let all: Vec<(f64, f64)> = run.data.way_up().filter_map(place).collect();
            let every = all.len().div_ceil((MOST_POINTS / runs).max(20)).max(1);
            PlotMark::Line {
                places: all.into_iter().step_by(every).collect(),
                colour,
                stroke: Self::stroke(number),
            }
        };
        PlotChart {
            id: self.id("ramp"),
            title: format!("Memory in use against {} held{}", engine(self.report.data).instances(), self.title),
            x: PlotAxis::Number("instances held"),
            y: "GiB, all nodes".into(),
            // Instances of all runtimes of a mixed run are no measure of one.
            marks: self.runs().filter(|(run, ..)| run.group.is_none()).map(line).collect(),
            legend: self.legend(),
            reach: Vec::new(),
            note: "A line for each run, while scaling up; anonymous and shared memory of all nodes, where recorded.".into(),
        }
    }

    /// Startup curves.
    fn startups(&self) -> PlotChart {
        let runs = self.runs().count().max(1);
        let ended = self.runs().flat_map(|(run, ..)| &run.figures.startups).filter(|took| took.ended);
        let shown = 1.25 * ended.map(|took| took.seconds).fold(0.0, f64::max);
        let line = |(run, colour, number): (&MeasuredRun, usize, usize)| {
            let survival = Survival::of(&run.figures.startups)?;
            let mut places = vec![(0.0, 0.0)];
            let curve: Vec<(f64, f64)> = survival.curve().collect();
            let every = curve.len().div_ceil((MOST_POINTS / 2 / runs).max(20)).max(1);
            for (seconds, left) in curve.into_iter().step_by(every) {
                let before = places.last().map_or(0.0, |(_, share)| *share);
                places.extend([(seconds, before), (seconds, 100.0 * (1.0 - left))]);
            }
            // What is still waiting is so until it is no longer watched; beyond the chart nothing more comes.
            let until = survival.known_until().unwrap_or(shown).min(shown);
            if places.last().is_some_and(|(seconds, _)| *seconds < until) {
                let share = places.last().map_or(0.0, |(_, share)| *share);
                places.push((until, share));
            }
            Some(PlotMark::Line { places, colour, stroke: Self::stroke(number) })
        };
        PlotChart {
            id: self.id("startup"),
            title: format!("Startup{}", self.title),
            x: PlotAxis::Number("seconds from creation to holding all memory"),
            y: format!("% of {}", engine(self.report.data).instances()),
            marks: self.runs().filter_map(line).collect(),
            legend: self.legend(),
            reach: Vec::new(),
            note: "Share that holds its memory within a time (Kaplan–Meier), a line for each run. Where a line stays below \
                   100 %, the others were still waiting when last seen."
                .into(),
        }
    }
}

/// Names that have room beside each other.
fn short(names: Vec<String>) -> Vec<String> {
    const WHOLE: usize = 7;
    if names.len() <= WHOLE {
        return names;
    }
    let every = names.len().div_ceil(14);
    let last = names.len() - 1;
    let name = |(at, name): (usize, String)| match at {
        at if at == last => name,
        at if at % every == 0 && at + 1 < last => name.trim_start_matches("block ").to_owned(),
        _ => String::new(),
    };
    names.into_iter().enumerate().map(name).collect()
}
