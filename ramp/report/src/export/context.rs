//! What the rows of an export are of: a run, and its place in a study.

use std::io;
use std::path::{Path, PathBuf};

use super::ExportError;
use crate::analysis::repeats::runtime_of;
use ramp_format::run_file::{RunFile, read_run};
use ramp_format::study::{RunRecordState, StudyRecord};

/// A run that is exported.
#[derive(Clone, Debug)]
pub struct ExportedRun {
    /// Its directory.
    pub directory: PathBuf,
    /// `run.json`.
    pub run: RunFile,
    /// Its runtime; none of a mixed run, whose instances have one each.
    pub runtime: Option<String>,
    /// Its place in a study.
    pub place: Option<StudyPlace>,
}

/// The place of a run in a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyPlace {
    /// Its block; 0 for the warm-up.
    pub block: u32,
    /// Name of its cell.
    pub cell: String,
}

/// Runs that are exported, and those that are left out.
#[derive(Clone, Debug)]
pub struct ExportedRuns {
    /// In the order in which they were begun.
    pub runs: Vec<ExportedRun>,
    /// Whether they are of a study.
    pub is_study: bool,
    /// Those left out, and why, in sentences.
    pub left_out: Vec<String>,
}

impl ExportedRun {
    fn read(directory: PathBuf, place: Option<StudyPlace>) -> io::Result<Self> {
        let run = read_run(&directory)?;
        let runtime = run.plan.options.mix.is_empty().then(|| runtime_of(&run));
        Ok(Self { directory, run, runtime, place })
    }

    /// Labels that all rows of the run have, by name.
    #[must_use]
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        let run = [("run", self.run.run.clone())];
        let runtime = self.runtime.iter().map(|runtime| ("runtime", runtime.clone()));
        let place = self
            .place
            .iter()
            .flat_map(|place| [("block", place.block.to_string()), ("cell", place.cell.clone())]);
        run.into_iter().chain(runtime).chain(place).collect()
    }
}

impl ExportedRuns {
    /// The run of a run directory, or the runs of a study that have ended as runs do.
    ///
    /// # Errors
    /// Where there is neither.
    pub fn read(directory: &Path) -> Result<Self, ExportError> {
        if directory.join("study.json").symlink_metadata().is_err() {
            let run = ExportedRun::read(directory.to_owned(), None).map_err(ExportError::Record)?;
            return Ok(Self { runs: vec![run], is_study: false, left_out: Vec::new() });
        }
        let record = StudyRecord::read(directory).map_err(ExportError::Record)?;
        let (mut runs, mut left_out) = (Vec::new(), Vec::new());
        for run in &record.runs {
            let name = run.directory.display();
            if run.state != RunRecordState::Done {
                left_out.push(format!("{name} is left out: it did not end as a run does"));
                continue;
            }
            let cell = record.cells.get(run.cell).map_or_else(String::new, |cell| cell.name.clone());
            let place = StudyPlace { block: run.block, cell };
            match ExportedRun::read(directory.join(&run.directory), Some(place)) {
                Ok(run) => runs.push(run),
                Err(error) => left_out.push(format!("{name} is left out: {error}")),
            }
        }
        Ok(Self { runs, is_study: true, left_out })
    }
}
