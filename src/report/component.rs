//! Component reports: a record for each component and sample.

mod fields;
mod snapshot;

pub use snapshot::{ComponentReport, ComponentSnapshot};

use std::io::{self, Write};

use super::field::{Field, Kind, Record};

impl Kind for ComponentReport {
    type Snapshot<'a> = ComponentSnapshot<'a>;

    const FIELDS: &'static [Field<Self>] = fields::FIELDS;

    // Hundreds of records a sample, of which each has the fields of a pod or those of processes.
    const OMITS_MISSING: bool = true;

    fn record<'a>(snapshot: &'a ComponentSnapshot<'a>) -> Record<'a> {
        snapshot.record
    }

    fn introduction<'a>(snapshot: &'a ComponentSnapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
        let start = snapshot.start;
        let version = env!("CARGO_PKG_VERSION");
        writeln!(out, "workload {version} components on {}, Linux {}", start.hostname, start.kernel)?;
        writeln!(out, "boot      {}\n", snapshot.boot_id.unwrap_or("unknown"))
    }

    fn trouble<'a>(snapshot: &'a ComponentSnapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
        match snapshot.component.map_or(0, |component| component.unreadable) {
            0 => Ok(()),
            count => write!(out, "  ! memory of {count} processes cannot be read"),
        }
    }

    fn conclusion<'a>(
        snapshot: &'a ComponentSnapshot<'a>,
        reason: &str,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let (elapsed, used) = (snapshot.elapsed.as_secs_f64(), snapshot.sampler_cpu.as_secs_f64());
        writeln!(out, "\nended after {elapsed:.3} s: {reason}")?;
        writeln!(out, "sampling took {used:.3} s of CPU time, {:.3} % of a core", used / elapsed * 100.0)
    }
}
