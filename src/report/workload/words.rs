//! Text around the table of the load: introduction, troubles, conclusion.

use std::fmt::Display;
use std::io::{self, Write};

use super::super::field::Unit;
use super::super::text::cell;
use super::super::value::Value;
use super::snapshot::Snapshot;
use crate::host::{EffectiveLimit, Limit};
use crate::quantity::Bytes;

pub(super) fn trouble(snapshot: &Snapshot<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let observed = &snapshot.observed;
    let swap = snapshot.host().resident.and_then(|set| set.swap).map_or(0, |swap| swap.0);
    let counts = [
        (["allocation failed", "allocations failed"], observed.memory.failed_allocations),
        (["OOM kill", "OOM kills"], snapshot.host().memory.events.oom_kill.unwrap_or(0)),
        (["stall", "stalls"], observed.cpu.stalls),
        (["report lost", "reports lost"], snapshot.reports_lost),
    ];
    let mut separator = "  ! ";
    for ([one, several], count) in counts.iter().filter(|(_, count)| *count > 0) {
        write!(out, "{separator}{count} {}", if *count == 1 { one } else { several })?;
        separator = ", ";
    }
    if swap > 0 {
        write!(out, "{separator}swapped out ")?;
        cell(Unit::Bytes, Value::Whole(swap), out)?;
    }
    Ok(())
}

pub(super) fn introduction(snapshot: &Snapshot<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let start = snapshot.start;
    let version = env!("CARGO_PKG_VERSION");
    write!(
        out,
        "workload {version} on {}, Linux {}, {} CPUs, ",
        start.hostname, start.kernel, snapshot.cpus
    )?;
    match snapshot.host().machine_memory {
        Some(memory) => writeln!(out, "{} of memory", memory.total.rounded())?,
        None => writeln!(out, "memory unknown")?,
    }
    write!(out, "settings ")?;
    for (name, value) in &start.settings {
        write!(out, " --{name} {value}")?;
    }
    write!(out, "\nlimits    memory ")?;
    limit(&snapshot.host().memory.limit, out, |bytes, out| write!(out, "{}", bytes.rounded()))?;
    write!(out, ", cpu ")?;
    limit(&snapshot.host().cpu_limit, out, |cores, out| write!(out, "{cores} cores"))?;
    writeln!(out, "; {} burning\n", counted(snapshot.cpu_threads, "thread"))
}

fn limit<T>(
    in_force: &EffectiveLimit<'_, T>,
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

pub(super) fn conclusion(snapshot: &Snapshot<'_>, reason: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let (wanted, observed) = (&snapshot.wanted, &snapshot.observed);
    let seconds = snapshot.elapsed.as_secs_f64();
    write!(out, "\nended after {seconds:.3} s: {reason}\nmemory    resident ")?;
    match snapshot.host().resident {
        Some(resident) => write!(out, "{}", resident.total.rounded())?,
        None => write!(out, "unknown")?,
    }
    match wanted.memory_target {
        Some(Bytes(0)) => write!(out, ", none requested")?,
        Some(target) => write!(out, " of {}", target.rounded())?,
        None => write!(out, ", as much as possible requested")?,
    }
    let (used, asked) = (observed.process_cpu.as_secs_f64(), wanted.cpu_time.as_secs_f64());
    write!(out, "\ncpu       {used:.3} s")?;
    if wanted.cpu.is_zero() {
        return writeln!(out, ", none requested");
    }
    writeln!(out, " of {asked:.3} s, on average {:.4} of {} cores", used / seconds, wanted.cpu)
}
