//! A run directory that is being written: created, resumed, and its tables appended to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::rows::{EventRow, NodeRow, PodRow, StepRow, Table, WorkloadRow};
use crate::run_file::{RunFile, invalid, read_run};
use crate::table_writer::{TableWriter, whole_rows};

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
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, not_empty(path)));
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

    /// Continues what an earlier process has written. All files are locked, checked and read before the first of them is changed;
    /// then incomplete last rows are removed.
    ///
    /// # Errors
    /// Where it is not a run directory of this format and these columns, is being written, or cannot be changed.
    pub fn resume(path: &Path) -> io::Result<(Self, Before)> {
        let mut directory = Self::reopen(path)?;
        let mut before = Before {
            steps: rows(path, StepRow::FILE)?.collect::<io::Result<_>>()?,
            pods: rows(path, PodRow::FILE)?.collect::<io::Result<_>>()?,
            idle: idle(path)?,
            notes: Vec::new(),
        };
        for table in directory.tables() {
            let torn = table.remove_torn_row()?;
            if torn > 0 {
                let file = table.path().file_name().unwrap_or_default().display();
                before.notes.push(format!("{file}: an incomplete last row of {torn} bytes was removed"));
            }
        }
        Ok((directory, before))
    }

    /// Whether a killed run can be resumed by this build. Changes nothing.
    ///
    /// # Errors
    /// `InvalidData` if a table has other columns than this build writes; if the run is being written by another process; or if a
    /// table cannot be read.
    pub fn check_resumable(path: &Path) -> io::Result<()> {
        Self::reopen(path).map(drop)
    }

    /// Locks and checks all files, and changes none.
    fn reopen(path: &Path) -> io::Result<Self> {
        let run = read_run(path)?;
        Ok(Self {
            path: path.to_owned(),
            steps: reopen::<StepRow>(path, &run)?,
            nodes: reopen::<NodeRow>(path, &run)?,
            pods: reopen::<PodRow>(path, &run)?,
            workloads: reopen::<WorkloadRow>(path, &run)?,
            events: reopen::<EventRow>(path, &run)?,
            run,
        })
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

/// Why a run cannot be recorded in a directory that has files, and what to do.
#[must_use]
pub fn not_empty(path: &Path) -> String {
    let path = path.display();
    format!("{path} is not empty: choose another directory with --out, or resume its run with --resume")
}

fn create<R: Table>(directory: &Path) -> io::Result<TableWriter> {
    TableWriter::create(directory.join(R::FILE), &R::header())
}

/// A table of an earlier process, which must have the columns of this one: rows of another version would be in wrong columns.
fn reopen<R: Table>(directory: &Path, run: &RunFile) -> io::Result<TableWriter> {
    let path = directory.join(R::FILE);
    let table = TableWriter::reopen(path.clone())?;
    let (found, expected) = (reader(&path)?.headers()?.clone(), R::header());
    if found.iter().eq(expected.iter().copied()) {
        return Ok(table);
    }
    let at = found.iter().zip(&expected).take_while(|(found, expected)| found == *expected).count();
    let name = |column: Option<&str>| column.map_or_else(|| "nothing".to_owned(), |name| format!("{name:?}"));
    Err(invalid(
        &path,
        format!(
            "column {} is {}, expected {}: the run was begun by ramp {}; resume it with that version, or start a new run",
            at + 1,
            name(found.get(at)),
            name(expected.get(at).copied()),
            run.ramp_version
        ),
    ))
}

/// The complete rows of a table.
fn reader(path: &Path) -> io::Result<csv::Reader<io::Take<File>>> {
    let mut file = File::open(path)?;
    let (whole, _) = whole_rows(&mut file)?;
    file.rewind()?;
    Ok(csv::Reader::from_reader(file.take(whole)))
}

fn rows<T: for<'de> Deserialize<'de>>(
    directory: &Path,
    name: &str,
) -> io::Result<impl Iterator<Item = io::Result<T>>> {
    let path = directory.join(name);
    let rows = reader(&path)?.into_deserialize();
    Ok(rows.map(move |row| row.map_err(|error: csv::Error| invalid(&path, error))))
}

/// Available memory of each kernel by its last sample before the first step.
fn idle(directory: &Path) -> io::Result<BTreeMap<String, u64>> {
    #[derive(Deserialize)]
    struct IdleRow {
        step: u32,
        node: String,
        boot_id: Option<String>,
        memory_available_bytes: Option<u64>,
    }
    let known = |row: IdleRow| {
        let kernel = row.boot_id.unwrap_or_else(|| format!("node/{}", row.node));
        Some((kernel, row.memory_available_bytes?))
    };
    let is_later = |row: &io::Result<IdleRow>| row.as_ref().is_ok_and(|row| row.step > 0);
    let samples = rows(directory, NodeRow::FILE)?.take_while(|row| !is_later(row));
    samples.filter_map(|row| row.map(known).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use crate::preflight::Preflight;
    use crate::time::Time;

    fn file_of_run() -> RunFile {
        let begin = Time(std::time::UNIX_EPOCH);
        RunFile::new(Plan::default(), "test".into(), serde_json::Value::Null, Preflight::default(), begin)
    }

    /// Every file of a directory, byte by byte.
    fn bytes(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    #[test]
    fn a_refused_resume_leaves_every_byte_as_it_was() {
        type Edit = (&'static str, &'static str, &'static str, &'static str);
        let version = concat!("begun by ramp ", env!("CARGO_PKG_VERSION"));
        let edits: [Edit; 6] = [
            ("nodes.csv", ",ready,", ",", "nodes.csv: column 9 is \"budget_bytes\", expected \"ready\""),
            ("events.csv", ",count", "", "events.csv: column 9 is nothing, expected \"count\""),
            ("workloads.csv", ",phase,", ",state,", version),
            ("pods.csv", "container\n", "container\nx,0,1\n", "pods.csv: CSV"),
            (
                "run.json",
                "\"format_version\": 1",
                "\"format_version\": 7",
                "run.json: format version 7; this ramp",
            ),
            ("run.json", "\"format_version\"", "\"format\"", "run.json: no format_version"),
        ];
        for (file, from, to, expected) in edits {
            let place = tempfile::tempdir().unwrap();
            drop(Directory::create(place.path(), file_of_run()).unwrap());
            for table in [StepRow::FILE, EventRow::FILE] {
                let path = place.path().join(table);
                fs::write(&path, fs::read_to_string(&path).unwrap() + "2026-11-25T12:00").unwrap();
            }
            let path = place.path().join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{file}");
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let before = bytes(place.path());
            let error = Directory::resume(place.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(bytes(place.path()) == before, "{file} {to:?}: a file was changed");
            fs::write(&path, text).unwrap();
            let (_, before) = Directory::resume(place.path()).unwrap();
            assert_eq!(before.notes.len(), 2, "{:?}", before.notes);
        }
    }

    #[test]
    fn columns_keep_their_names_and_order() {
        let first = |header: Vec<&'static str>, count| header[..count].join(",");
        let nodes = "time,elapsed_seconds,step,node,row,sample_time,age_seconds,instances,ready,budget_bytes,budget_used_bytes,\
                     eligible,record";
        assert_eq!(first(NodeRow::header(), 13), nodes);
        let workloads =
            "time,elapsed_seconds,step,instance,uid,node,report_time,record,program_elapsed_seconds,phase";
        assert_eq!(first(WorkloadRow::header(), 10), workloads);
        assert!(!NodeRow::header().contains(&"settings"), "run.json has them");
    }
}
