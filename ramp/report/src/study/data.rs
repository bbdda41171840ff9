//! Study as data: its record, and the figures of each of its runs.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::comparison::{CellComparison, StudyRun};
use super::figure::STUDY_FIGURES;
use super::stopping::Stopping;
use crate::analysis::results::RunResults;
use crate::dataset::Dataset;
use crate::progress::Observer;
use ramp_format::study::{Cell, RunRecord, RunRecordState, StudyRecord};

/// A study directory, read.
#[derive(Clone, Debug)]
pub struct StudyData {
    /// `study.json`.
    pub record: StudyRecord,
    /// The runs that count, in the order in which they were begun: neither warm-up, nor cut off, nor failed.
    pub runs: Vec<MeasuredRun>,
    /// Runs that are recorded as done and cannot be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// A run of a study, with what it says.
#[derive(Clone, Debug)]
pub struct MeasuredRun {
    /// Index in [`StudyRecord::cells`].
    pub cell: usize,
    /// Its directory, relative to that of the study.
    pub directory: PathBuf,
    /// Its rows.
    pub data: Dataset,
    /// What they say.
    pub results: RunResults,
    /// What comparisons need of it.
    pub figures: StudyRun,
}

/// Two cells of the same scenario and size, compared.
#[derive(Clone, Debug)]
pub struct ComparedCells {
    /// Index of the base in [`StudyRecord::cells`].
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
        let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
        let counts = |run: &&RunRecord| run.block > 0 && run.state == RunRecordState::Done;
        for run in record.runs.iter().filter(counts) {
            match MeasuredRun::read(directory, run, begin, observer) {
                Ok(measured) => runs.push(measured),
                Err(why) => unreadable.push((run.directory.clone(), why)),
            }
        }
        Ok(Self { record, runs, unreadable })
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
        let cells = &self.record.cells;
        let definition = &self.record.definition;
        let compare = |other: usize| {
            let base = base_of(cells, other).filter(|base| *base != other)?;
            let comparison = CellComparison::stopped(
                &self.figures_of(base),
                &self.figures_of(other),
                |figure| definition.margin.of(figure),
                |figure| Stopping::of(definition, figure),
            );
            Some(ComparedCells { base, other, comparison })
        };
        (0..cells.len()).filter_map(compare).collect()
    }
}

/// The first cell of the same scenario and size.
#[must_use]
pub fn base_of(cells: &[Cell], cell: usize) -> Option<usize> {
    let of = cells.get(cell)?;
    cells.iter().position(|other| other.scenario == of.scenario && other.size == of.size)
}

impl MeasuredRun {
    fn read(
        study: &Path,
        record: &RunRecord,
        begin: SystemTime,
        observer: &Observer,
    ) -> Result<Self, String> {
        let data = Dataset::read_observed(&study.join(&record.directory), observer)
            .map_err(|error| error.to_string())?;
        let results = RunResults::alone(&data, observer);
        let startups = results.startups.as_ref().map(|all| all.iter().map(|startup| startup.took).collect());
        let figures = StudyRun {
            block: record.block,
            begin_seconds: record.begin.0.duration_since(begin).map_or(0.0, |since| since.as_secs_f64()),
            figures: STUDY_FIGURES.iter().map(|figure| (figure.value)(&data, &results)).collect(),
            startups: startups.unwrap_or_default(),
        };
        let directory = record.directory.clone();
        Ok(Self { cell: record.cell, directory, data, results, figures })
    }
}
