//! A run directory that is being written: created, resumed, and its tables appended to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::rows::{ComponentRow, EventRow, LimitRow, NodeRow, PodRow, StepRow, Table, WorkloadRow};
use crate::run_file::{RunFile, ensure_is_regular, invalid, read_run};
use crate::table_writer::{TableWriter, last_line, whole_rows};
use crate::text::count;
use crate::time::Time;

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
    /// `components.csv`.
    pub components: TableWriter,
    /// `limits.csv`.
    pub limits: TableWriter,
    /// Rows that an earlier process has lost.
    lost_before: u64,
}

/// Space for the next `run.json`, taken beforehand: how a run ended and what it lost is written on a full disk as well.
pub const RESERVED: &str = "run.json.reserved";
/// Least size of that.
const RESERVED_BYTES: usize = 64 << 10;

/// What an earlier process had written.
#[derive(Debug)]
pub struct Before {
    /// Rows of `steps.csv`.
    pub steps: Vec<StepRow>,
    /// Rows of `pods.csv`.
    pub pods: Vec<PodRow>,
    /// Available memory of each kernel before the first step, in bytes, by boot id.
    pub idle: BTreeMap<String, u64>,
    /// The last row of any table: time since the run began, and time of day.
    pub last: Option<(Duration, Time)>,
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
            components: create::<ComponentRow>(path)?,
            limits: create::<LimitRow>(path)?,
            lost_before: 0,
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
        let mut before = directory.read()?;
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
    /// `InvalidData` if a table has other columns than this build writes, or lacks rows; `NotFound` if one is missing; if the run is being
    /// written by another process; or if a table cannot be read.
    pub fn check_resumable(path: &Path) -> io::Result<()> {
        Self::reopen(path)?.read().map(drop)
    }

    /// Locks and checks all files, and changes none.
    fn reopen(path: &Path) -> io::Result<Self> {
        let run = read_run(path)?;
        let directory = Self {
            path: path.to_owned(),
            steps: reopen::<StepRow>(path, &run)?,
            nodes: reopen::<NodeRow>(path, &run)?,
            pods: reopen::<PodRow>(path, &run)?,
            workloads: reopen::<WorkloadRow>(path, &run)?,
            events: reopen::<EventRow>(path, &run)?,
            components: reopen::<ComponentRow>(path, &run)?,
            limits: reopen::<LimitRow>(path, &run)?,
            lost_before: run.rows_lost,
            run,
        };
        // Another process may have ended the run before the files were locked.
        if let Some(end) = read_run(path)?.end {
            return Err(invalid(
                &path.join("run.json"),
                format!("nothing to resume: the run ended at {end}"),
            ));
        }
        Ok(directory)
    }

    /// Reads what an earlier process has written.
    fn read(&mut self) -> io::Result<Before> {
        let path = self.path.clone();
        let before = Before {
            steps: rows(&path, StepRow::FILE)?.collect::<io::Result<_>>()?,
            pods: rows(&path, PodRow::FILE)?.collect::<io::Result<_>>()?,
            idle: idle(&path)?,
            last: last_row(&path, &self.tables())?,
            notes: Vec::new(),
        };
        check_complete(&path, &before)?;
        Ok(before)
    }

    /// Writes `run.json`: the whole of it or nothing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn save(&self) -> io::Result<()> {
        let new = self.path.join(RESERVED);
        let mut text = serde_json::to_vec_pretty(&self.run)?;
        text.push(b'\n');
        // Not truncated before: what is written over needs no space.
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&new)?;
        file.write_all(&text)?;
        file.set_len(text.len() as u64)?;
        fs::rename(&new, self.path.join("run.json"))?;
        if self.run.end.is_none() {
            // Where there is no space the next one may find some.
            let _ = fs::write(new, vec![b'\n'; RESERVED_BYTES.max(2 * text.len())]);
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tables.
    pub fn tables(&mut self) -> [&mut TableWriter; 7] {
        [
            &mut self.steps,
            &mut self.nodes,
            &mut self.pods,
            &mut self.workloads,
            &mut self.events,
            &mut self.components,
            &mut self.limits,
        ]
    }

    /// Rows that neither the disk nor the memory had room for, and those that still wait for the disk.
    #[must_use]
    pub fn rows_not_written(&mut self) -> u64 {
        let lost_before = self.lost_before;
        lost_before + self.tables().iter().map(|table| table.rows_lost() + table.rows_waiting()).sum::<u64>()
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
    let headers = reader(&path)?.headers().map_err(|error| invalid(&path, error))?.clone();
    let (found, expected) = (headers, R::header());
    if found.iter().eq(expected.iter().copied()) {
        return Ok(table);
    }
    let at = found.iter().zip(&expected).take_while(|(found, expected)| found == *expected).count();
    let name = |column: Option<&str>| column.map_or_else(|| "nothing".to_owned(), |name| format!("{name:?}"));
    let version = &run.ramp_version;
    let way_out = match version == env!("CARGO_PKG_VERSION") {
        true => {
            format!("the file was changed, or written by another build of ramp {version}; start a new run")
        }
        false => {
            format!("the run was begun by ramp {version}; resume it with that version, or start a new run")
        }
    };
    let (found, expected) = (name(found.get(at)), name(expected.get(at).copied()));
    Err(invalid(&path, format!("column {} is {found}, expected {expected}: {way_out}", at + 1)))
}

/// Whether no table lacks rows that others show to have been written: a run cannot go on from states that are not known.
fn check_complete(path: &Path, before: &Before) -> io::Result<()> {
    let incomplete = |file: &str, found: String, expected: String| {
        let what = "rows are missing, so the run cannot be resumed: ramp clean removes its instances, ramp report reads what is there";
        Err(invalid(&path.join(file), format!("{found}, expected {expected}: {what}")))
    };
    let (last, reached) = (before.steps.last(), before.pods.last().map_or(0, |row| row.step));
    let made = last.map_or(0, |row| row.step);
    if reached > made.saturating_add(1) {
        let expected = format!("{}, as {} has rows of step {reached}", reached - 1, PodRow::FILE);
        return incomplete(StepRow::FILE, format!("the last step is {made}"), expected);
    }
    let Some(row) = last else { return Ok(()) };
    let there = [
        row.pending_instances,
        row.unschedulable_instances,
        row.creating_instances,
        row.running_instances,
        row.ready_instances,
        row.terminating_instances,
        row.evicted_instances,
        row.oom_killed_instances,
        row.failed_instances,
        row.gone_total,
    ];
    let seen = there.iter().map(|count| u64::from(*count)).sum::<u64>();
    let known = before.pods.iter().map(|row| row.uid.as_str()).collect::<BTreeSet<_>>().len() as u64;
    if known < seen {
        let expected = format!("{seen}, as {} counts at step {made}", StepRow::FILE);
        return incomplete(PodRow::FILE, count(known, "instance"), expected);
    }
    Ok(())
}

/// The complete rows of a table.
fn reader(path: &Path) -> io::Result<csv::Reader<io::Take<File>>> {
    ensure_is_regular(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => invalid(path, error),
        _ => error,
    })?;
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

/// Time since the run began, and time of day, of the last row of all tables.
fn last_row(directory: &Path, tables: &[&mut TableWriter]) -> io::Result<Option<(Duration, Time)>> {
    #[derive(Deserialize)]
    struct TimedRow(Time, f64);
    let mut last: Option<(f64, Time)> = None;
    for table in tables {
        let path = directory.join(table.path().file_name().unwrap_or_default());
        let Some(line) = last_line(&mut File::open(&path)?)? else { continue };
        let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_slice());
        let record = rows.records().next().transpose().map_err(|error| invalid(&path, error))?;
        let mut record = record.unwrap_or_default();
        // The rest of the row may be that of any table.
        record.truncate(2);
        // The only row may be the header.
        let Ok(TimedRow(time, elapsed)) = record.deserialize(None) else { continue };
        if last.is_none_or(|(latest, _)| latest < elapsed) {
            last = Some((elapsed, time));
        }
    }
    Ok(last.and_then(|(elapsed, time)| Some((Duration::try_from_secs_f64(elapsed).ok()?, time))))
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
        let build = concat!("by another build of ramp ", env!("CARGO_PKG_VERSION"), "; start a new run");
        let edits: [Edit; 7] = [
            ("nodes.csv", ",ready,", ",", "nodes.csv: column 9 is \"budget_bytes\", expected \"ready\""),
            ("events.csv", ",count", "", "events.csv: column 9 is nothing, expected \"count\""),
            ("workloads.csv", ",phase,", ",state,", build),
            ("pods.csv", "group\n", "group\nx,0,1\n", "pods.csv: CSV"),
            ("steps.csv", "time,", "time\",", "steps.csv: column 1"),
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

    fn step(step: u32, ready_instances: u32) -> String {
        let counts = format!("{step},0,0,0,0,{ready_instances},0,0,0,0,0,0,0,0,,,0,0,1,0,1,1,,,,,,,,,,,");
        format!("2026-01-01T00:00:0{step}.000Z,{step}.0,{step},up,settled,1,{counts}\n")
    }

    fn pod(step: u32, uid: &str) -> String {
        format!("2026-01-01T00:00:0{step}.500Z,{step}.5,,{step},{uid},{uid},node,,ready,,0,,\n")
    }

    fn append(directory: &Path, file: &str, rows: &str) {
        let path = directory.join(file);
        fs::write(&path, fs::read_to_string(&path).unwrap() + rows).unwrap();
    }

    #[test]
    fn tables_that_lack_rows_are_refused_and_the_last_row_of_all_tells_how_far_the_run_was() {
        let (one, two) = (step(1, 1), step(1, 1) + &step(2, 2));
        let (pods, three) = (pod(0, "a") + &pod(1, "b"), pod(0, "a") + &pod(3, "b"));
        let cases: [(&str, &str, Option<&str>); 6] = [
            ("", "", None),
            (&two, &pods, None),
            (&one, &pods, None),
            (
                "",
                &three,
                Some(
                    "steps.csv: the last step is 0, expected 2, as pods.csv has rows of step 3: rows are missing",
                ),
            ),
            (&one, &three, Some("steps.csv: the last step is 1, expected 2,")),
            (
                &two,
                &pod(1, "a"),
                Some("pods.csv: 1 instance, expected 2, as steps.csv counts at step 2: rows are missing"),
            ),
        ];
        for (steps, pods, refused) in cases {
            let place = tempfile::tempdir().unwrap();
            drop(Directory::create(place.path(), file_of_run()).unwrap());
            append(place.path(), StepRow::FILE, steps);
            append(place.path(), PodRow::FILE, pods);
            let before = bytes(place.path());
            match (Directory::resume(place.path()), refused) {
                (Err(error), Some(expected)) => {
                    assert!(error.to_string().contains(expected), "{error}");
                    assert_eq!(
                        error.kind(),
                        io::ErrorKind::InvalidData,
                        "ramp clean removes the instances all the same"
                    );
                    assert!(bytes(place.path()) == before);
                    assert_eq!(
                        Directory::check_resumable(place.path()).unwrap_err().to_string(),
                        error.to_string()
                    );
                }
                (Ok((_, before)), None) => {
                    let last = steps
                        .lines()
                        .chain(pods.lines())
                        .filter_map(|row| row.split(',').nth(1)?.parse().ok());
                    let last = last.max_by(f64::total_cmp).map(Duration::from_secs_f64);
                    assert_eq!(before.last.map(|(elapsed, _)| elapsed), last);
                }
                (found, _) => panic!("{found:?} where {refused:?}"),
            }
        }
    }

    #[test]
    fn a_table_or_a_run_file_that_is_gone_empty_or_cut_is_refused_by_name() {
        let damages: [(&str, Option<usize>, &str); 5] = [
            ("steps.csv", None, "steps.csv: No such file or directory"),
            ("nodes.csv", Some(0), "nodes.csv: column 1 is nothing, expected \"time\""),
            ("pods.csv", Some(20), "pods.csv: column 1 is nothing, expected \"time\""),
            ("run.json", Some(0), "run.json: the file is incomplete (0 bytes), expected the run.json"),
            ("run.json", Some(100), "run.json: the file is incomplete (100 bytes), expected the run.json"),
        ];
        for (file, length, expected) in damages {
            let place = tempfile::tempdir().unwrap();
            drop(Directory::create(place.path(), file_of_run()).unwrap());
            let path = place.path().join(file);
            match length {
                None => fs::remove_file(&path).unwrap(),
                Some(length) => fs::write(&path, &fs::read_to_string(&path).unwrap()[..length]).unwrap(),
            }
            let before = bytes(place.path());
            let error = Directory::resume(place.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(bytes(place.path()) == before, "{file}: a file was changed");
        }
    }

    #[test]
    fn a_run_is_resumed_by_one_process_and_only_until_it_has_ended() {
        let place = tempfile::tempdir().unwrap();
        let mut directory = Directory::create(place.path(), file_of_run()).unwrap();
        let busy = Directory::resume(place.path()).unwrap_err().to_string();
        assert!(
            busy.contains("another ramp still records here; wait until it ends, or find it with: fuser"),
            "{busy}"
        );
        directory.run.end = Some(Time(std::time::UNIX_EPOCH));
        directory.save().unwrap();
        drop(directory);
        let ended = Directory::resume(place.path()).unwrap_err().to_string();
        assert!(ended.contains("nothing to resume: the run ended at 1970-01-01"), "{ended}");
    }

    #[test]
    fn space_for_the_next_run_file_is_reserved_until_the_run_has_ended_and_rows_lost_before_count() {
        let place = tempfile::tempdir().unwrap();
        let mut directory = Directory::create(place.path(), file_of_run()).unwrap();
        let reserved = place.path().join(RESERVED);
        assert!(fs::metadata(&reserved).unwrap().len() >= RESERVED_BYTES as u64);
        directory.run.rows_lost = 7;
        directory.save().unwrap();
        assert!(reserved.exists());
        drop(directory);
        let (mut directory, _) = Directory::resume(place.path()).unwrap();
        assert_eq!(directory.rows_not_written(), 7, "those of the earlier process");
        directory.run.end = Some(Time(std::time::UNIX_EPOCH));
        directory.save().unwrap();
        assert!(!reserved.exists() && read_run(place.path()).unwrap().end.is_some());
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
