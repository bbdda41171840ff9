//! Charts of one figure by runtime: a dot for each run, and their mean with its interval.

use super::charts::ChartPlace;
use super::naming::engine;
use crate::analysis::mib;
use crate::report::plot::{PlotAxis, PlotChart, PlotMark};
use crate::study::figure::{CPU_AT_REST, CPU_PER_START, MEMORY_PER_INSTANCE, STUDY_FIGURES};

/// A figure, as a chart has it.
struct PlottedFigure {
    figure: &'static str,
    id: &'static str,
    /// Before what it is per, and after that.
    title: [&'static str; 2],
    unit: &'static str,
    scaled: fn(f64) -> f64,
    note: &'static str,
}

impl ChartPlace<'_> {
    /// Memory of each additional instance by runtime.
    pub(super) fn memory(&self) -> PlotChart {
        self.of_figure(&PlottedFigure {
            figure: MEMORY_PER_INSTANCE,
            id: "memory",
            title: ["Memory per ", ""],
            unit: "MiB",
            scaled: mib,
            note: "A dot for each run; beside them their mean and its 95% CI.",
        })
    }

    /// Cores that an instance takes at rest by runtime.
    pub(super) fn cpu_at_rest(&self) -> PlotChart {
        self.of_figure(&PlottedFigure {
            figure: CPU_AT_REST,
            id: "cpu-at-rest",
            title: ["CPU per ", " at rest"],
            unit: "millicores",
            scaled: |cores| 1000.0 * cores,
            note: "Beyond the CPU time that the load reports. A dot for each run; beside them their mean and its 95% CI.",
        })
    }

    /// CPU seconds of a start by runtime.
    pub(super) fn cpu_per_start(&self) -> PlotChart {
        self.of_figure(&PlottedFigure {
            figure: CPU_PER_START,
            id: "cpu-per-start",
            title: ["CPU time per start of ", ""],
            unit: "CPU seconds",
            scaled: |seconds| seconds,
            note: "Until the instance is ready, beyond what it takes at rest. A dot for each run; beside them their mean and its 95% CI.",
        })
    }

    fn of_figure(&self, plotted: &PlottedFigure) -> PlotChart {
        let index = STUDY_FIGURES.iter().position(|figure| figure.name == plotted.figure);
        let mut marks = Vec::new();
        for (at, cell) in self.group.cells.iter().enumerate() {
            let Some(figure) = index.and_then(|index| cell.figures.get(index)) else { continue };
            let runs = self.report.data.runs_of(cell.cell);
            let value = |run: &&crate::study::data::MeasuredRun| {
                run.figures.figures.get(index?)?.as_ref().ok().copied()
            };
            let values: Vec<f64> = runs.iter().filter_map(value).collect();
            if values.is_empty() {
                continue;
            }
            let centre = (values.len() as f64 - 1.0) / 2.0;
            let place = |(number, value): (usize, &f64)| {
                (at as f64 - 0.12 + 0.03 * (number as f64 - centre), (plotted.scaled)(*value))
            };
            // Dots of many runs stay on the left of the mean.
            let places: Vec<(f64, f64)> = values
                .iter()
                .enumerate()
                .map(place)
                .map(|(x, y)| (x.max(at as f64 - 0.45).min(at as f64), y))
                .collect();
            marks.push(PlotMark::Dots { places, colour: at });
            if let Some(mean) = figure.mean
                && let Some(within) = mean.interval
            {
                let [low, mean, high] = [within.low, mean.mean, within.high].map(plotted.scaled);
                marks.push(PlotMark::Interval { x: at as f64 + 0.15, low, mean, high, colour: at });
            }
        }
        let [before, after] = plotted.title;
        PlotChart {
            id: self.id(plotted.id),
            title: format!(
                "{before}{}{after}{}{}",
                engine(self.report.data).instance(),
                if self.group.cells.len() > 1 { " by runtime" } else { "" },
                self.title
            ),
            x: PlotAxis::Names(self.group.cells.iter().map(|cell| cell.label.clone()).collect()),
            y: plotted.unit.into(),
            marks,
            legend: Vec::new(),
            reach: Vec::new(),
            note: plotted.note.into(),
        }
    }
}
