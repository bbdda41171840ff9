//! A run directory that is being written: created, resumed, and its tables appended to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::rows::{EventRow, NodeRow, PodRow, StepRow, Table, WorkloadRow};
use crate::run_file::{RunFile, read_run};
use crate::table_writer::TableWriter;

/// A run directory that is being written.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// What `run.json` says; [`Self::save`] writes it.
    pub run: RunFile,
    /// `steps.csv`.
    pub steps: TableWriter,
    /// `nodes.csv`.
    pub nodes: TableWriter,
    /// `pods.csv`.
    pub pods: TableWriter,
    /// `workloads.csv`.
    pub workloads: TableWriter,
    /// `events.csv`.
    pub events: TableWriter,
}

/// What an earlier process had written.
#[derive(Debug)]
pub struct Before {
    /// Rows of `steps.csv`.
    pub steps: Vec<StepRow>,
    /// Rows of `pods.csv`.
    pub pods: Vec<PodRow>,
    /// Available memory of each kernel before the first step, in bytes, by boot id.
    pub idle: BTreeMap<String, u64>,
    /// What was wrong with the files, in sentences.
    pub notes: Vec<String>,
}

impl Directory {
    /// Makes a directory with all of its files, so that what cannot be written is known before the first step.
    ///
    /// # Errors
    /// Where it is there and not empty, or cannot be made.
    pub fn create(path: &Path, run: RunFile) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        if fs::read_dir(path)?.next().is_some() {
            let message = format!(
                "{} is not empty: name another directory with --out, or go on with it with --resume",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let directory = Self {
            path: path.to_owned(),
            steps: create::<StepRow>(path)?,
            nodes: create::<NodeRow>(path)?,
            pods: create::<PodRow>(path)?,
            workloads: create::<WorkloadRow>(path)?,
            events: create::<EventRow>(path)?,
            run,
        };
        directory.save()?;
        Ok(directory)
    }

    /// Goes on with what an earlier process has written. Torn rows are cut off, and said.
    ///
    /// # Errors
    /// Where it is no run directory of this format, or cannot be changed.
    pub fn resume(path: &Path) -> io::Result<(Self, Before)> {
        let run = read_run(path)?;
        let mut notes = Vec::new();
        let directory = Self {
            path: path.to_owned(),
            steps: reopen::<StepRow>(path, &run, &mut notes)?,
            nodes: reopen::<NodeRow>(path, &run, &mut notes)?,
            pods: reopen::<PodRow>(path, &run, &mut notes)?,
            workloads: reopen::<WorkloadRow>(path, &run, &mut notes)?,
            events: reopen::<EventRow>(path, &run, &mut notes)?,
            run,
        };
        let (steps, pods) = (rows(path, "steps.csv")?, rows(path, "pods.csv")?);
        let before = Before { steps, pods, idle: idle(path)?, notes };
        Ok((directory, before))
    }

    /// Writes `run.json`: the whole of it or nothing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn save(&self) -> io::Result<()> {
        let new = self.path.join("run.json.new");
        let mut file = File::create(&new)?;
        serde_json::to_writer_pretty(&mut file, &self.run)?;
        file.write_all(b"\n")?;
        fs::rename(new, self.path.join("run.json"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tables.
    pub fn tables(&mut self) -> [&mut TableWriter; 5] {
        [&mut self.steps, &mut self.nodes, &mut self.pods, &mut self.workloads, &mut self.events]
    }

    /// Rows that neither the disk nor the memory had room for, and those that still wait for the disk.
    #[must_use]
    pub fn rows_not_written(&mut self) -> u64 {
        self.tables().iter().map(|table| table.rows_lost() + table.rows_waiting()).sum()
    }
}

fn create<R: Table>(directory: &Path) -> io::Result<TableWriter> {
    TableWriter::create(directory.join(R::FILE), &R::header())
}

/// A table of an earlier process, which must have the columns of this one: rows of another version would be in wrong columns.
fn reopen<R: Table>(directory: &Path, run: &RunFile, notes: &mut Vec<String>) -> io::Result<TableWriter> {
    let path = directory.join(R::FILE);
    let found = csv::Reader::from_path(&path)?.headers()?.clone();
    let expected = R::header();
    if found.iter().ne(expected.iter().copied()) {
        let at = found.iter().zip(&expected).take_while(|(found, expected)| found == *expected).count();
        let name =
            |column: Option<&str>| column.map_or_else(|| "nothing".to_owned(), |name| format!("{name:?}"));
        let message = format!(
            "{}: column {} is {}, expected {}: the run was begun by ramp {}; resume it with that version, or start a new run",
            path.display(),
            at + 1,
            name(found.get(at)),
            name(expected.get(at).copied()),
            run.ramp_version
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let (table, torn) = TableWriter::resume(path)?;
    if torn > 0 {
        notes.push(format!("{}: a torn last row of {torn} bytes was cut off", R::FILE));
    }
    Ok(table)
}

/// Available memory of each kernel as its last sample before the first step has it.
fn idle(directory: &Path) -> io::Result<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    struct IdleRow {
        step: u32,
        node: String,
        boot_id: Option<String>,
        memory_available_bytes: Option<u64>,
    }
    let mut reader = csv::Reader::from_path(directory.join("nodes.csv"))?;
    let mut idle = BTreeMap::new();
    for row in reader.deserialize::<IdleRow>() {
        let row = row?;
        if row.step > 0 {
            break;
        }
        if let Some(available) = row.memory_available_bytes {
            idle.insert(row.boot_id.unwrap_or_else(|| format!("node/{}", row.node)), available);
        }
    }
    Ok(idle)
}

fn rows<T: for<'de> Deserialize<'de>>(directory: &Path, name: &str) -> io::Result<Vec<T>> {
    let path = directory.join(name);
    let mut reader = csv::Reader::from_path(&path)?;
    let rows = reader.deserialize().collect::<Result<_, csv::Error>>();
    rows.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::preflight::Preflight;
    use crate::time::Time;

    fn file() -> RunFile {
        let begin = Time(std::time::UNIX_EPOCH);
        RunFile::new(Plan::default(), "test".into(), serde_json::Value::Null, Preflight::default(), begin)
    }

    #[test]
    fn a_table_of_other_columns_is_not_resumed() {
        let place = tempfile::tempdir().unwrap();
        drop(Directory::create(place.path(), file()).unwrap());
        drop(Directory::resume(place.path()).unwrap());
        let path = place.path().join("nodes.csv");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(",ready,", ",", 1)).unwrap();
        let error = Directory::resume(place.path()).unwrap_err().to_string();
        assert!(error.contains("nodes.csv: column 9 is \"budget_bytes\", expected \"ready\""), "{error}");
        assert!(error.contains(concat!("begun by ramp ", env!("CARGO_PKG_VERSION"))), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1, "nothing was appended");
    }

    #[test]
    fn columns_keep_their_names_and_order() {
        let first = |header: Vec<&'static str>, count| header[..count].join(",");
        let nodes = "time,elapsed_seconds,step,node,row,sample_time,age_seconds,instances,ready,budget_bytes,budget_used_bytes,record";
        assert_eq!(first(NodeRow::header(), 12), nodes);
        let workloads =
            "time,elapsed_seconds,step,instance,uid,node,report_time,record,program_elapsed_seconds,phase";
        assert_eq!(first(WorkloadRow::header(), 10), workloads);
        assert!(!NodeRow::header().contains(&"settings"), "run.json has them");
    }
}
