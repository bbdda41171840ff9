//! Cells of a study: the mean of each figure over the runs of a cell.

use super::answer::{by_reason, missing_of, title};
use super::naming::label;
use super::words::{interval, value};
use crate::analysis::capacity::GroupCapacities;
use crate::analysis::search::HeldWithProbability;
use crate::analysis::{MarginalCost, SystematicError};
use crate::stats::{Interval, MeanEstimate};
use crate::study::capacity::cell_capacities;
use crate::study::data::{MeasuredRun, StudyData};
use crate::study::figure::{MEMORY_PER_INSTANCE, STUDY_FIGURES, StudyFigure};
use crate::study::search::{CellSearch, cell_search};
use ramp_format::plan::EngineKind;
use ramp_format::text::count;

/// A cell, and its figures.
#[derive(Clone, Debug)]
pub struct CellReport {
    /// Index in [`StudyData::cells`].
    pub cell: usize,
    /// What it is called among those of its scenario and size.
    pub label: String,
    /// Its runs that count.
    pub runs: usize,
    /// Each figure, in the order of [`STUDY_FIGURES`].
    pub figures: Vec<CellFigure>,
    /// How many fit, by requests and by memory in use.
    pub capacities: GroupCapacities,
    /// How many hold with a probability of 95 %, where its runs are searches.
    pub search: Option<CellSearch>,
}

/// A figure of a cell.
#[derive(Clone, Debug)]
pub struct CellFigure {
    /// The figure.
    pub figure: &'static StudyFigure,
    /// What it is called, with the time up to which it counts.
    pub title: String,
    /// Its mean; none where no run has it.
    pub mean: Option<CellMean>,
    /// Blocks of the runs that lack it, and why.
    pub missing: Vec<(u32, String)>,
    /// Runs of the cell that count.
    pub runs: usize,
}

/// The mean over the runs of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellMean {
    /// The mean.
    pub mean: f64,
    /// Standard deviation between runs; none of one run.
    pub deviation: Option<f64>,
    /// 95 % interval of the mean, by Student's distribution, and with what is common to all runs; none of one run.
    pub interval: Option<Interval>,
    /// Runs that have the figure.
    pub runs: usize,
}

impl CellReport {
    /// A cell's figures.
    #[must_use]
    pub fn of(data: &StudyData, cell: usize) -> Self {
        let runs = data.runs_of(cell);
        let figure = |(at, figure): (usize, &'static StudyFigure)| {
            let values =
                || runs.iter().filter_map(move |run| Some((run.figures.block, run.figures.figures.get(at)?)));
            let known: Vec<f64> = values().filter_map(|(_, value)| value.as_ref().ok().copied()).collect();
            let missing =
                values().filter_map(|(block, value)| Some((block, value.as_ref().err()?.0.clone())));
            CellFigure {
                figure,
                title: title(data, cell, figure),
                mean: CellMean::of(&known).map(|mean| match figure.name {
                    MEMORY_PER_INSTANCE => mean.of_memory(&runs),
                    _ => mean,
                }),
                missing: missing.collect(),
                runs: runs.len(),
            }
        };
        Self {
            cell,
            label: label(&data.cells, cell),
            runs: runs.len(),
            figures: STUDY_FIGURES.iter().enumerate().map(figure).collect(),
            capacities: cell_capacities(data, cell),
            search: cell_search(data, cell),
        }
    }

    /// How many hold with a probability of 95 %, with the interval.
    #[must_use]
    pub fn held_text(&self) -> Option<String> {
        let HeldWithProbability { instances, interval: Interval { low, high } } =
            *self.search.as_ref()?.held.as_ref().ok()?;
        Some(format!("{} ({} to {})", instances.floor(), low.floor(), high.floor()))
    }
}

impl CellMean {
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let runs = values.len();
        let n = runs as f64;
        let mean = (runs > 0).then(|| values.iter().sum::<f64>() / n)?;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (runs > 1).then(|| (squares / (n - 1.0)).sqrt());
        let interval = MeanEstimate::of(values).map(|found| found.interval(0.95));
        Some(Self { mean, deviation, interval, runs })
    }

    /// The interval with what no number of runs makes more exact: how exact the loads are, which cancels in a difference of cells, and what
    /// no run can tell apart. That of one run is its own.
    fn of_memory(self, runs: &[&MeasuredRun]) -> Self {
        let costs: Vec<&MarginalCost> = runs.iter().filter_map(|run| run.memory().ok()).collect();
        let interval = match (&costs[..], self.interval) {
            ([one], None) => Some(one.interval),
            (_, interval) => interval.map(|interval| SystematicError::mean(&costs).widen(interval)),
        };
        Self { interval, ..self }
    }
}

impl CellFigure {
    /// The mean with its interval, or that there is none.
    #[must_use]
    pub fn text(&self, engine: EngineKind) -> String {
        let Some(mean) = self.mean else { return "n/a".into() };
        let value = value(self.figure.unit, engine, mean.mean);
        match mean.interval {
            Some(Interval { low, high }) if low < high => {
                format!("{value} ({})", interval(self.figure.unit, Interval { low, high }))
            }
            _ => value,
        }
    }

    /// Of how many runs it is the mean, how far these lie apart, and why others lack it.
    #[must_use]
    pub fn basis(&self, engine: EngineKind) -> String {
        let mut parts = Vec::new();
        if let Some(CellMean { deviation, runs, .. }) = self.mean {
            parts.push(match runs == self.runs {
                true => count(runs as u32, "run"),
                false => format!("{runs} of {}", count(self.runs as u32, "run")),
            });
            parts.push(match deviation {
                Some(deviation) if deviation > 0.0 => {
                    format!("standard deviation {}", value(self.figure.unit, engine, deviation))
                }
                Some(_) => "the same in each".into(),
                None if self.mean.is_some_and(|mean| mean.interval.is_some()) => {
                    "the interval is that within the run: how much runs differ is unknown".into()
                }
                None => "no interval of one run".into(),
            });
        }
        if self.runs == 0 {
            parts.push("no run that counts".into());
        }
        parts.extend(self.why_missing());
        parts.join("; ")
    }

    /// Why runs lack it.
    #[must_use]
    pub fn why_missing(&self) -> Option<String> {
        missing_of(&self.missing(), self.runs)
    }

    /// Each reason, with the blocks of the runs that lack it.
    pub(super) fn missing_by_reason(&self) -> Vec<(&str, Vec<u32>)> {
        by_reason(&self.missing())
    }

    fn missing(&self) -> Vec<(u32, &str)> {
        self.missing.iter().map(|(block, why)| (*block, why.as_str())).collect()
    }
}
