//! Study as data: its record, and the figures of each of its runs.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::comparison::{CellComparison, StudyRun};
use super::figure::{
    MEMORY_PER_INSTANCE, STARTUP_MEAN, STUDY_FIGURES, cpu_of, memory_of, startup_limit, startup_mean,
    startup_times,
};
use super::stopping::Stopping;
use crate::analysis::cpu_cost::CpuCost;
use crate::analysis::results::RunResults;
use crate::analysis::{Estimate, MarginalCost, unavailable};
use crate::dataset::Dataset;
use crate::progress::Observer;
use ramp_format::study::{Cell, RunRecord, RunRecordState, StudyRecord};

/// A study directory, read.
#[derive(Clone, Debug)]
pub struct StudyData {
    /// `study.json`.
    pub record: StudyRecord,
    /// What is compared: the cells of the record; of mixed runs one for each of their runtimes.
    pub cells: Vec<Cell>,
    /// The runs that count, in the order in which they were begun: neither warm-up, nor cut off, nor failed.
    pub runs: Vec<MeasuredRun>,
    /// Runs that are recorded as done and cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// A run of a study, or one runtime of a mixed run, with what it says.
#[derive(Clone, Debug)]
pub struct MeasuredRun {
    /// Index in [`StudyData::cells`].
    pub cell: usize,
    /// Of a mixed run, the index of its runtime.
    pub group: Option<usize>,
    /// Its directory, relative to that of the study.
    pub directory: PathBuf,
    /// Its rows.
    pub data: Arc<Dataset>,
    /// What they say.
    pub results: Arc<RunResults>,
    /// What comparisons need of it.
    pub figures: StudyRun,
}

/// Two cells of the same scenario and size, compared.
#[derive(Clone, Debug)]
pub struct ComparedCells {
    /// Index of the base in [`StudyData::cells`].
    pub base: usize,
    /// Index of the other one.
    pub other: usize,
    /// Figure by figure.
    pub comparison: CellComparison,
}

impl StudyData {
    /// Reads a study directory and all of its runs.
    ///
    /// # Errors
    /// Where its `study.json` cannot be read. A run that cannot be read is among [`Self::unreadable`].
    pub fn read(directory: &Path, observer: &Observer) -> io::Result<Self> {
        let record = StudyRecord::read(directory)?;
        let begin: SystemTime = record.begin.0;
        let compared = compared_cells(&record);
        let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
        let counts = |run: &&RunRecord| run.block > 0 && run.state == RunRecordState::Done;
        for run in record.runs.iter().filter(counts) {
            let groups: Vec<_> =
                compared.iter().enumerate().filter(|(_, cell)| cell.recorded == run.cell).collect();
            let reader = RunSource { study: directory, record: run, begin };
            match reader.read(observer) {
                Ok(read) => runs.extend(groups.into_iter().map(|(at, cell)| read.of_group(at, cell.group))),
                Err(why) => unreadable.push((run.directory.clone(), why)),
            }
        }
        let cells = compared.into_iter().map(|compared| compared.cell).collect();
        let mut data = Self { record, cells, runs, unreadable };
        data.set_startup_means();
        data.refuse_where_different(
            measure,
            |figure| figure == MEMORY_PER_INSTANCE,
            "runs have different measures of memory",
        );
        data.refuse_where_different(
            sidecars,
            |_| true,
            "instances differ by more than the runtime, and the memory of sidecars is not told apart",
        );
        Ok(data)
    }

    /// Means of startups, each counted up to the same time in all runs that are compared.
    fn set_startup_means(&mut self) {
        let limits: Vec<Option<f64>> = (0..self.cells.len()).map(|cell| self.startup_limit(cell)).collect();
        let at = STUDY_FIGURES.iter().position(|figure| figure.name == STARTUP_MEAN);
        for run in &mut self.runs {
            let limit = limits.get(run.cell).copied().flatten();
            if let Some(Some(figure)) = at.map(|at| run.figures.figures.get_mut(at))
                && run.results.startups.is_ok()
                && !run.figures.startups.is_empty()
            {
                *figure = startup_mean(&run.figures.startups, limit);
            }
        }
    }

    /// Takes figures from runs that differ from others of their scenario and size in something that makes these incomparable.
    fn refuse_where_different(
        &mut self,
        of: fn(&MeasuredRun) -> Option<String>,
        concerns: fn(&str) -> bool,
        what: &str,
    ) {
        let cells = &self.cells;
        let known: Vec<(Option<usize>, String)> =
            self.runs.iter().filter_map(|run| Some((base_of(cells, run.cell), of(run)?))).collect();
        for run in &mut self.runs {
            let base = base_of(cells, run.cell);
            let Some(own) = of(run) else { continue };
            let Some((_, other)) = known.iter().find(|(at, other)| *at == base && *other != own) else {
                continue;
            };
            let mut both = [own.as_str(), other.as_str()];
            both.sort_unstable();
            let why = format!("{what}: {}", both.join("; "));
            for (figure, value) in STUDY_FIGURES.iter().zip(&mut run.figures.figures) {
                if concerns(figure.name) {
                    *value = unavailable(why.clone());
                }
            }
            if concerns(STARTUP_MEAN) {
                run.figures.startups.clear();
            }
        }
    }

    /// The longest time up to which startups are known in all runs of the scenario and size of a cell, in seconds; none where all
    /// have ended.
    #[must_use]
    pub fn startup_limit(&self, cell: usize) -> Option<f64> {
        let cells = &self.cells;
        let base = base_of(cells, cell);
        let runs = self.runs.iter().filter(|run| base_of(cells, run.cell) == base);
        startup_limit(runs.map(|run| &run.figures.startups[..]))
    }

    /// Runs that count. The runtimes of a mixed run are one.
    #[must_use]
    pub fn run_count(&self) -> usize {
        let directories: HashSet<&Path> = self.runs.iter().map(|run| run.directory.as_path()).collect();
        directories.len()
    }

    /// The runs of a cell, in the order of their blocks.
    #[must_use]
    pub fn runs_of(&self, cell: usize) -> Vec<&MeasuredRun> {
        let mut runs: Vec<&MeasuredRun> = self.runs.iter().filter(|run| run.cell == cell).collect();
        runs.sort_by_key(|run| run.figures.block);
        runs
    }

    /// The figures of these.
    #[must_use]
    pub fn figures_of(&self, cell: usize) -> Vec<StudyRun> {
        self.runs_of(cell).iter().map(|run| run.figures.clone()).collect()
    }

    /// Each cell that is not the base of its scenario and size, compared with that.
    #[must_use]
    pub fn comparisons(&self) -> Vec<ComparedCells> {
        let definition = &self.record.definition;
        let compare = |(base, other): (usize, usize)| {
            let comparison = CellComparison::stopped(
                &self.figures_of(base),
                &self.figures_of(other),
                |figure| definition.margin.of(figure),
                |figure| Stopping::of(definition, figure),
            );
            ComparedCells { base, other, comparison }
        };
        compared_pairs(&self.cells).map(compare).collect()
    }
}

/// Each cell that is not the base of its scenario and size, behind that base.
pub(super) fn compared_pairs(cells: &[Cell]) -> impl Iterator<Item = (usize, usize)> {
    (0..cells.len())
        .filter_map(|cell| Some((base_of(cells, cell)?, cell)))
        .filter(|(base, cell)| base != cell)
}

/// The first cell of the same scenario and size.
#[must_use]
pub fn base_of(cells: &[Cell], cell: usize) -> Option<usize> {
    let of = cells.get(cell)?;
    cells.iter().position(|other| other.scenario == of.scenario && other.size == of.size)
}

/// The measure of the memory of each instance: which one a run has depends on what its nodes tell.
fn measure(run: &MeasuredRun) -> Option<String> {
    Some(run.memory().ok()?.measure.name.to_owned())
}

/// A cell of the record, or one runtime of a mixed one.
struct ComparedCell {
    cell: Cell,
    /// Index in [`StudyRecord::cells`].
    recorded: usize,
    group: Option<usize>,
}

/// The name that a cell of this runtime alone would have.
fn of_runtime_name(cell: &Cell, runtime: &str) -> String {
    let all = cell.runtimes.join("+");
    match cell.name.contains(&all) {
        true => cell.name.replacen(&all, runtime, 1),
        false => format!("{}: {runtime}", cell.name),
    }
}

fn compared_cells(record: &StudyRecord) -> Vec<ComparedCell> {
    let of = |(recorded, cell): (usize, &Cell)| -> Vec<ComparedCell> {
        if !record.definition.mix {
            return vec![ComparedCell { cell: cell.clone(), recorded, group: None }];
        }
        let of_runtime = |(group, runtime): (usize, &String)| ComparedCell {
            cell: Cell {
                name: of_runtime_name(cell, runtime),
                runtimes: vec![runtime.clone()],
                ..cell.clone()
            },
            recorded,
            group: Some(group),
        };
        cell.runtimes.iter().enumerate().map(of_runtime).collect()
    };
    record.cells.iter().enumerate().flat_map(of).collect()
}

/// Containers beside the load's own.
fn sidecars(run: &MeasuredRun) -> Option<String> {
    let names: Vec<String> = run.data.sidecars().iter().map(ToString::to_string).collect();
    Some(if names.is_empty() { "no sidecar".into() } else { names.join(", ") })
}

impl MeasuredRun {
    /// What one instance more costs.
    ///
    /// # Errors
    /// Where the run does not tell.
    pub fn memory(&self) -> Estimate<&MarginalCost> {
        memory_of(&self.results, self.group)
    }

    /// CPU time of one instance beyond its own.
    ///
    /// # Errors
    /// Where the run does not tell.
    pub fn cpu(&self) -> Estimate<&CpuCost> {
        cpu_of(&self.results, self.group)
    }

    /// The most instances that were held at once, where the run did not reach saturation: more may be.
    #[must_use]
    pub fn at_least_held(&self) -> Option<u32> {
        // The most that a search has seen are not held again and again.
        let is_ramp = self.group.is_none() && self.results.search.is_err();
        let is_below = self.results.estimates.saturation.saturation.is_err();
        (is_ramp && is_below)
            .then(|| self.results.estimates.held.as_ref().ok().map(|held| held.count))
            .flatten()
    }
}

/// A run to be read.
struct RunSource<'r> {
    study: &'r Path,
    record: &'r RunRecord,
    begin: SystemTime,
}

/// A run, read.
struct ReadRun {
    block: u32,
    begin_seconds: f64,
    directory: PathBuf,
    data: Arc<Dataset>,
    results: Arc<RunResults>,
}

impl RunSource<'_> {
    fn read(&self, observer: &Observer) -> Result<ReadRun, String> {
        let Self { study, record, begin } = self;
        let data = Dataset::read_observed(&study.join(&record.directory), observer)
            .map_err(|error| error.to_string())?;
        let results = RunResults::alone(&data, observer);
        Ok(ReadRun {
            block: record.block,
            begin_seconds: record.begin.0.duration_since(*begin).map_or(0.0, |since| since.as_secs_f64()),
            directory: record.directory.clone(),
            data: Arc::new(data),
            results: Arc::new(results),
        })
    }
}

impl ReadRun {
    /// As a run of a cell (its index), or of one group of it.
    fn of_group(&self, cell: usize, group: Option<usize>) -> MeasuredRun {
        let Self { block, begin_seconds, directory, data, results } = self;
        MeasuredRun {
            cell,
            group,
            directory: directory.clone(),
            data: data.clone(),
            results: results.clone(),
            figures: StudyRun {
                block: *block,
                begin_seconds: *begin_seconds,
                figures: STUDY_FIGURES.iter().map(|figure| figure.of(results, group)).collect(),
                startups: startup_times(results, group).unwrap_or_default(),
            },
        }
    }
}
