//! The table for people.

use std::fmt::Display;
use std::io::{self, Write};

use super::field::{FIELDS, Field, Unit};
use super::snapshot::{Record, Snapshot};
use super::value::Value;
use crate::host::{InForce, Limit};
use crate::quantity::Bytes;

/// Rows after which the heading is repeated, so that it stays in sight.
const ROWS_PER_HEADING: usize = 24;
const COLUMN_WIDTH: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Text {
    rows: usize,
}

impl Text {
    pub(super) fn render(&mut self, snapshot: &Snapshot<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        match snapshot.record {
            Record::Start => introduction(snapshot, out)?,
            Record::Report | Record::End(_) => {}
        }
        if self.rows.is_multiple_of(ROWS_PER_HEADING) {
            heading(out)?;
        }
        self.rows += 1;
        row(snapshot, out)?;
        match snapshot.record {
            Record::End(reason) => conclusion(snapshot, reason, out),
            Record::Start | Record::Report => Ok(()),
        }
    }
}

fn columns() -> impl Iterator<Item = (&'static Field, &'static str)> {
    FIELDS.iter().filter_map(|field| Some((field, field.column?)))
}

fn heading(out: &mut Vec<u8>) -> io::Result<()> {
    for (index, (_, heading)) in columns().enumerate() {
        let space = if index > 0 { "  " } else { "" };
        write!(out, "{space}{heading:>COLUMN_WIDTH$}")?;
    }
    writeln!(out)
}

fn row(snapshot: &Snapshot<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    for (index, (field, _)) in columns().enumerate() {
        if index > 0 {
            write!(out, "  ")?;
        }
        let start = out.len();
        cell(field.unit, (field.value)(snapshot), out)?;
        let width = out.len() - start;
        // To the right: written first, moved behind its blanks then.
        let blanks = COLUMN_WIDTH.saturating_sub(width);
        out.resize(out.len() + blanks, b' ');
        if let Some(written) = out.get_mut(start..) {
            written.rotate_right(blanks);
        }
    }
    trouble(snapshot, out)?;
    writeln!(out)
}

/// What does not happen in a good run has no column, but is told when it does.
fn trouble(snapshot: &Snapshot<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let observed = &snapshot.observed;
    let swap = observed.resident.and_then(|set| set.swap).map_or(0, |swap| swap.0);
    let counts = [
        ("allocations failed", observed.memory.failed_allocations),
        ("OOM kills", observed.oom_kills.unwrap_or(0)),
        ("stalls", observed.cpu.stalls),
        ("reports lost", snapshot.reports_lost),
    ];
    let mut separator = "  ! ";
    for (what, count) in counts.iter().filter(|(_, count)| *count > 0) {
        write!(out, "{separator}{count} {what}")?;
        separator = ", ";
    }
    if swap > 0 {
        write!(out, "{separator}swapped out ")?;
        cell(Unit::Bytes, Value::Whole(swap), out)?;
    }
    Ok(())
}

fn cell(unit: Unit, value: Value<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    match (unit, value) {
        (_, Value::Missing) => write!(out, "-"),
        (_, Value::Unlimited) => write!(out, "unlimited"),
        (Unit::Bytes, Value::Whole(bytes)) => write!(out, "{}", Bytes(bytes).rounded()),
        (Unit::Cores, Value::Decimal(cores, _)) => write!(out, "{cores:.4}"),
        (Unit::Seconds, Value::Decimal(seconds, _)) => write!(out, "{seconds:.3} s"),
        (Unit::PerSecond, Value::Decimal(rate, _)) => write!(out, "{rate:.0}"),
        (_, Value::Whole(number)) => write!(out, "{number}"),
        (_, Value::Decimal(number, decimals)) => write!(out, "{}", Value::rounded(number, decimals)),
        (_, Value::Text(text)) => write!(out, "{text}"),
        (_, Value::Time(time)) => write!(out, "{}", humantime::format_rfc3339_millis(time)),
        (_, Value::Settings(_)) => Ok(()),
    }
}

fn introduction(snapshot: &Snapshot<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let start = snapshot.start;
    let version = env!("CARGO_PKG_VERSION");
    write!(out, "workload {version} on {}, Linux {}, {} CPUs, ", start.hostname, start.kernel, start.cpus)?;
    match snapshot.observed.machine {
        Some(memory) => write!(out, "{}", memory.total.rounded())?,
        None => write!(out, "unknown")?,
    }
    writeln!(out, " of memory")?;
    write!(out, "settings ")?;
    for (name, value) in &start.settings {
        write!(out, " --{name} {value}")?;
    }
    write!(out, "\nlimits    memory ")?;
    limit(&snapshot.observed.memory_limit, out, |bytes, out| write!(out, "{}", bytes.rounded()))?;
    write!(out, ", cpu ")?;
    limit(&snapshot.observed.cpu_limit, out, |cores, out| write!(out, "{cores} cores"))?;
    writeln!(out, "; {} burning\n", counted(start.cpu_threads, "thread"))
}

fn limit<T>(
    in_force: &InForce<'_, T>,
    out: &mut Vec<u8>,
    write_value: impl FnOnce(&T, &mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    match &in_force.limit {
        Limit::Unknown => write!(out, "unknown"),
        Limit::Unlimited => write!(out, "unlimited"),
        Limit::Value(value) => {
            write_value(value, out)?;
            write!(out, " set by {}", in_force.cgroup.unwrap_or("an unknown cgroup"))
        }
    }
}

fn counted(count: u64, what: &str) -> impl Display {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn conclusion(snapshot: &Snapshot<'_>, reason: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let (wanted, observed) = (&snapshot.wanted, &snapshot.observed);
    let seconds = snapshot.elapsed.as_secs_f64();
    write!(out, "\nended after {seconds:.3} s: {reason}\nmemory    resident ")?;
    match observed.resident {
        Some(resident) => write!(out, "{}", resident.total.rounded())?,
        None => write!(out, "unknown")?,
    }
    match wanted.memory_target {
        Some(Bytes(0)) => write!(out, ", none asked for")?,
        Some(target) => write!(out, " of {}", target.rounded())?,
        None => write!(out, " of all that can be had")?,
    }
    let (used, asked) = (observed.process_cpu.as_secs_f64(), wanted.cpu_time.as_secs_f64());
    write!(out, "\ncpu       {used:.3} s")?;
    if wanted.cpu.is_zero() {
        return writeln!(out, ", none asked for");
    }
    writeln!(out, " of {asked:.3} s, on average {:.4} of {} cores", used / seconds, wanted.cpu)
}
