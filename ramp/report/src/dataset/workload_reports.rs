//! What instances told of themselves: of `workloads.csv`, the columns that say whether they hold their memory and get on.

use std::collections::HashMap;

use super::table_reader::{TableReader, Unreadable};

/// All reports of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reports {
    /// The uids of the instances that reported.
    pub uids: Vec<String>,
    /// Their reports, in the order in which they were read.
    pub reports: Vec<ReportRow>,
}

/// A report of an instance. What it does not say is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReportRow {
    /// Which instance: index of its uid.
    pub instance: u32,
    /// The step in which it was read.
    pub step: u32,
    /// When it was read, since the run began.
    pub elapsed_seconds: f64,
    /// When it was made, by the clock of its node as it was at that node's first sample, in seconds since 1970.
    pub made_seconds: Option<f64>,
    /// What it is to hold in the end.
    pub memory_target_bytes: Option<u64>,
    /// What it holds and is resident.
    pub memory_resident_bytes: Option<u64>,
    /// What it holds that is swapped out.
    pub memory_swap_bytes: Option<u64>,
    /// Of what is resident: anonymous memory, which nobody shares.
    pub memory_anon_bytes: Option<u64>,
    /// Memory of the machine as it sees it (MemTotal).
    pub machine_memory_bytes: Option<u64>,
    /// Of that: available (MemAvailable).
    pub machine_available_bytes: Option<u64>,
    /// CPU time that it was to use so far.
    pub cpu_wanted_seconds: Option<f64>,
    /// CPU time that it used.
    pub cpu_used_seconds: Option<f64>,
    /// CPU time that it is ahead of what it was to use: it uses less until that has passed.
    pub cpu_overdrawn_seconds: Option<f64>,
    /// Units of work that it did.
    pub work_units: Option<u64>,
    /// Time since its program started.
    pub program_elapsed_seconds: Option<f64>,
    /// Whether it holds all of its memory, by its own word.
    pub is_ready: Option<bool>,
    /// Time after the start of its program at which it first held all of its memory.
    pub held_after_seconds: Option<f64>,
}

/// An instance holds its memory where it has so much of what it is to have: `workload` is exact within tenths of a percent.
const HELD: f64 = 0.99;

impl ReportRow {
    /// What it holds: resident and swapped out.
    #[must_use]
    pub fn held_bytes(&self) -> Option<u64> {
        Some(self.memory_resident_bytes?.saturating_add(self.memory_swap_bytes.unwrap_or(0)))
    }

    /// What of its resident set is its own alone: anonymous memory, or all where it does not tell.
    #[must_use]
    pub fn alone_bytes(&self) -> Option<u64> {
        self.memory_anon_bytes.filter(|bytes| *bytes > 0).or(self.memory_resident_bytes)
    }

    /// Whether the instance holds all of its memory, resident or swapped out.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match (self.memory_target_bytes, self.held_bytes()) {
            (Some(target), Some(held)) => held as f64 >= HELD * target as f64,
            _ => false,
        }
    }
}

/// Reads all reports.
pub(super) fn read(table: &mut TableReader) -> Result<Reports, Unreadable> {
    let elapsed = table.required("elapsed_seconds")?;
    let (step, uid) = (table.required("step")?, table.required("uid")?);
    // What a newer or an older workload does not report is not known; it is no reason to read nothing.
    let [target, resident, swap, anon, wanted, used, overdrawn, units] = [
        "memory_target_bytes",
        "memory_resident_bytes",
        "memory_swap_bytes",
        "memory_anon_bytes",
        "cpu_wanted_seconds_total",
        "cpu_used_seconds_total",
        "cpu_overdrawn_seconds",
        "work_units_total",
    ]
    .map(|name| table.column(name));
    let [program, ready, held] =
        ["program_elapsed_seconds", "ready", "memory_held_after_seconds"].map(|name| table.column(name));
    let [machine, available] =
        ["machine_memory_bytes", "machine_available_bytes"].map(|name| table.column(name));
    let made = table.column("report_time");
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut found = Reports::default();
    table.rows(|row| {
        let name = row.some(uid, row.text(uid)?, "the uid of an instance")?;
        let instance = match numbers.get(name) {
            Some(number) => *number,
            None => {
                let next = numbers.len() as u32;
                numbers.insert(name.to_owned(), next);
                found.uids.push(name.to_owned());
                next
            }
        };
        found.reports.push(ReportRow {
            instance,
            step: row.some(step, row.count(step)?, "the number of the step")?,
            elapsed_seconds: row.some(elapsed, row.number(elapsed)?, "seconds since the run began")?,
            made_seconds: made.map_or(Ok(None), |made| row.time(made))?,
            memory_target_bytes: row.bytes(target)?,
            memory_resident_bytes: row.bytes(resident)?,
            memory_swap_bytes: row.bytes(swap)?,
            memory_anon_bytes: row.bytes(anon)?,
            machine_memory_bytes: row.bytes(machine)?,
            machine_available_bytes: row.bytes(available)?,
            cpu_wanted_seconds: row.number(wanted)?,
            cpu_used_seconds: row.number(used)?,
            cpu_overdrawn_seconds: row.number(overdrawn)?,
            work_units: row.bytes(units)?,
            program_elapsed_seconds: row.number(program)?,
            is_ready: row.bytes(ready)?.map(|ready| ready > 0),
            held_after_seconds: row.number(held)?,
        });
        Ok(())
    })?;
    Ok(found)
}
