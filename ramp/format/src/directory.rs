//! A run directory that is being written: created, resumed, and its tables appended to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use workload::report::{Kind, NodeReport, Scope, Unit, WorkloadReport};

use crate::rows::{EventRow, PodRow, StepRow};
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

/// Columns of `nodes.csv` that are ramp's own; those of [`NodeReport`] follow.
const NODE_COLUMNS: [&str; 11] = [
    "time",
    "elapsed_seconds",
    "step",
    "node",
    "row",
    "sample_time",
    "age_seconds",
    "instances",
    "ready",
    "budget_bytes",
    "budget_used_bytes",
];

/// Columns of `workloads.csv` that are ramp's own; those of [`WorkloadReport`] follow.
const WORKLOAD_COLUMNS: [&str; 7] =
    ["time", "elapsed_seconds", "step", "instance", "uid", "node", "report_time"];

/// Fields of reports that have a column: not the time, which has one of ramp's, nor the settings, which the manifest tells.
fn report_columns<K: Kind>() -> impl Iterator<Item = &'static str> {
    let of_interest = |name: &str| !matches!(name, "time" | "settings" | "version");
    K::FIELDS
        .iter()
        .filter(move |field| {
            of_interest(field.name) && (field.scope != Scope::Start || field.unit != Unit::None)
        })
        .map(|field| match field.name {
            // Of the report's program, not of the run.
            "elapsed_seconds" => "program_elapsed_seconds",
            name => name,
        })
}

/// The cells of a report, in the order of its columns.
pub fn report_cells<K: Kind>(record: &Map<String, Value>) -> impl Iterator<Item = String> {
    report_columns::<K>().map(|column| {
        let name = if column == "program_elapsed_seconds" { "elapsed_seconds" } else { column };
        match record.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    })
}

/// Empty cells for a report that is missing.
pub fn missing_cells<K: Kind>() -> impl Iterator<Item = String> {
    report_columns::<K>().map(|_| String::new())
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
        let table = |name: &str, header: &[&str]| TableWriter::create(path.join(name), header);
        let with = |own: &[&'static str], fields: Vec<&'static str>| [own, &fields].concat();
        let directory = Self {
            path: path.to_owned(),
            steps: table("steps.csv", &header_of::<StepRow>())?,
            nodes: table("nodes.csv", &with(&NODE_COLUMNS, report_columns::<NodeReport>().collect()))?,
            pods: table("pods.csv", &header_of::<PodRow>())?,
            workloads: table(
                "workloads.csv",
                &with(&WORKLOAD_COLUMNS, report_columns::<WorkloadReport>().collect()),
            )?,
            events: table("events.csv", &header_of::<EventRow>())?,
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
        let mut table = |name: &str| {
            let (table, torn) = TableWriter::resume(path.join(name))?;
            if torn > 0 {
                notes.push(format!("{name}: a torn last row of {torn} bytes was cut off"));
            }
            Ok::<_, io::Error>(table)
        };
        let directory = Self {
            path: path.to_owned(),
            steps: table("steps.csv")?,
            nodes: table("nodes.csv")?,
            pods: table("pods.csv")?,
            workloads: table("workloads.csv")?,
            events: table("events.csv")?,
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

/// The names of a row's fields, as its deserialization asks for them.
fn header_of<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
    crate::fields::of::<T>()
}
