//! Study record: `study.json`, what a study has run so far, rewritten as a whole after each change.

use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::error::Category;

use super::file::{Size, StudyFile};
use crate::run_file::{ensure_is_regular, invalid};
use crate::time::Time;

/// The version of the study directory's format.
pub const STUDY_FORMAT_VERSION: u32 = 1;

/// `study.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StudyRecord {
    /// [`STUDY_FORMAT_VERSION`].
    pub format_version: u32,
    /// The study's id; the ids of its runs begin with it.
    pub study: String,
    /// Its name.
    pub name: String,
    /// Version of ramp.
    pub ramp_version: String,
    /// When it began.
    pub begin: Time,
    /// When it ended; none while it goes on, or where its process was killed.
    pub end: Option<Time>,
    /// Why it ended, in a sentence.
    pub why_ended: Option<String>,
    /// When other processes went on with it.
    pub resumes: Vec<Time>,
    /// The study file, with paths relative to the working directory of `ramp study run`.
    pub definition: StudyFile,
    /// Seed of the order of its runs.
    pub seed: u64,
    /// Its cells; the first of each scenario and size is the base of the comparisons.
    pub cells: Vec<Cell>,
    /// Its runs in the order in which they were begun, warm-up included; the last one may be under way.
    pub runs: Vec<RunRecord>,
    /// What was decided on the number of blocks, in the order in which it was.
    pub decisions: Vec<Decision>,
}

/// One scenario under one runtime in one size; of a mixed study under all runtimes at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// Its name, unique in the study, that is also part of directory names.
    pub name: String,
    /// Name of the scenario.
    pub scenario: String,
    /// The manifest; none for the built-in one.
    pub manifest: Option<PathBuf>,
    /// The runtimes: one, but for mixed studies. Empty for that of the scenario.
    pub runtimes: Vec<String>,
    /// The size; none where the study has no sizes.
    pub size: Option<Size>,
}

/// A run of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The block, counted from 1; 0 for the warm-up.
    pub block: u32,
    /// Index in [`StudyRecord::cells`].
    pub cell: usize,
    /// The run directory, relative to that of the study.
    pub directory: PathBuf,
    /// Where it stands.
    pub state: RunRecordState,
    /// When it began.
    pub begin: Time,
    /// When it ended.
    pub end: Option<Time>,
    /// What is to be known of it: why it failed or was repeated, or that memory was not steady before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Where a run of a study stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunRecordState {
    /// Under way, or its process was killed.
    Running,
    /// It has ended as a run does: all steps, or a stop rule.
    Done,
    /// It has ended by an error; it counts in no figure.
    Failed,
    /// It was cut off, what was left of it removed, and it was repeated; it counts in no figure.
    CutOff,
}

/// A decision on the number of blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// When.
    pub time: Time,
    /// After so many blocks.
    pub after_blocks: u32,
    /// Blocks in all that are expected to be needed; none where that is not known.
    pub blocks_needed: Option<u32>,
    /// Figure, precision asked for and reached, in a sentence.
    pub reason: String,
}

impl StudyRecord {
    /// Reads the `study.json` of a directory.
    ///
    /// # Errors
    /// Where there is none, or none of this format.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let file = directory.join("study.json");
        let text =
            ensure_is_regular(&file).and_then(|()| std::fs::read_to_string(&file)).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{}: {error}; is it the directory of a study?", file.display()),
                )
            })?;
        let value: Value = serde_json::from_str(&text).map_err(|error| match error.classify() {
            Category::Eof => invalid(
                &file,
                format!(
                    "the file is incomplete ({} bytes), expected the study.json of a ramp study; \
                     its runs can be read each by itself: ramp report {}",
                    text.len(),
                    directory.join("runs").join("*").display()
                ),
            ),
            _ => invalid(&file, error),
        })?;
        match value.get("format_version").and_then(Value::as_u64) {
            Some(version) if (1..=u64::from(STUDY_FORMAT_VERSION)).contains(&version) => {}
            Some(version) => {
                let reads =
                    format!("this ramp reads versions up to {STUDY_FORMAT_VERSION}; use a newer ramp");
                return Err(invalid(&file, format!("format version {version}; {reads}")));
            }
            None => return Err(invalid(&file, "no format_version, expected the study.json of a ramp study")),
        }
        let record: Self = serde_json::from_value(value).map_err(|error| invalid(&file, error))?;
        match record.runs.iter().find(|run| run.cell >= record.cells.len()) {
            Some(run) => Err(invalid(
                &file,
                format!("run {}: cell {} of {}", run.directory.display(), run.cell, record.cells.len()),
            )),
            None => Ok(record),
        }
    }

    /// Writes `study.json`: a reader finds the old one or the new one, whole.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        let (file, new) = (directory.join("study.json"), directory.join("study.json.new"));
        let named = |path: &Path| {
            let path = path.display().to_string();
            move |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"))
        };
        let write = || {
            use io::Write;
            let mut out = std::fs::File::create(&new)?;
            out.write_all(text.as_bytes())?;
            out.sync_all()
        };
        write().map_err(named(&new))?;
        std::fs::rename(&new, &file).map_err(named(&file))
    }

    /// The runs of a block that count.
    pub fn done(&self, block: u32) -> impl Iterator<Item = &RunRecord> {
        self.runs.iter().filter(move |run| run.block == block && run.state == RunRecordState::Done)
    }

    /// Blocks of which each cell has a run that counts.
    #[must_use]
    pub fn whole_blocks(&self) -> u32 {
        let last = self.runs.iter().map(|run| run.block).max().unwrap_or_default();
        let is_whole =
            |block: &u32| (0..self.cells.len()).all(|cell| self.done(*block).any(|run| run.cell == cell));
        u32::try_from((1..=last).filter(is_whole).count()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn record(states: &[(u32, usize, RunRecordState)]) -> StudyRecord {
        let cell = |name: &str| Cell {
            name: name.into(),
            scenario: "s".into(),
            manifest: None,
            runtimes: vec![name.into()],
            size: None,
        };
        let run = |(block, cell, state): &(u32, usize, RunRecordState)| RunRecord {
            block: *block,
            cell: *cell,
            directory: format!("runs/{block}-{cell}").into(),
            state: *state,
            begin: Time(UNIX_EPOCH),
            end: None,
            notes: Vec::new(),
        };
        StudyRecord {
            format_version: STUDY_FORMAT_VERSION,
            study: "20261129-120000-beef".into(),
            name: "n".into(),
            ramp_version: "0".into(),
            begin: Time(UNIX_EPOCH),
            end: None,
            why_ended: None,
            resumes: Vec::new(),
            definition: StudyFile::default(),
            seed: 7,
            cells: vec![cell("runc"), cell("kata")],
            runs: states.iter().map(run).collect(),
            decisions: Vec::new(),
        }
    }

    #[test]
    fn a_block_is_whole_once_each_cell_has_a_run_that_counts() {
        use RunRecordState::{CutOff, Done, Failed};
        let runs = [
            (0, 0, Done),
            (0, 1, Done),
            (1, 0, CutOff),
            (1, 0, Done),
            (1, 1, Done),
            (2, 1, Done),
            (2, 0, Failed),
        ];
        assert_eq!(record(&runs).whole_blocks(), 1);
        assert_eq!(record(&runs[..4]).whole_blocks(), 0);
    }

    #[test]
    fn a_record_reads_as_it_is_written_and_what_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert!(StudyRecord::read(path).unwrap_err().to_string().contains("is it the directory of a study?"));
        let written = record(&[(1, 1, RunRecordState::Running)]);
        written.save(path).unwrap();
        assert_eq!(StudyRecord::read(path).unwrap(), written);
        record(&[(1, 2, RunRecordState::Running)]).save(path).unwrap();
        assert!(StudyRecord::read(path).unwrap_err().to_string().contains("cell 2 of 2"));
        StudyRecord { format_version: 9, ..written }.save(path).unwrap();
        assert!(StudyRecord::read(path).unwrap_err().to_string().contains("use a newer ramp"));
        for bytes in [0, 100] {
            std::fs::write(path.join("study.json"), " ".repeat(bytes)).unwrap();
            let error = StudyRecord::read(path).unwrap_err().to_string();
            assert!(
                error.contains(&format!("incomplete ({bytes} bytes), expected the study.json")),
                "{error}"
            );
        }
    }
}
