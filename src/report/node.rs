//! Node reports: the machine, with the text around its table.

mod fields;
mod snapshot;

pub use snapshot::{NodeReport, NodeSnapshot, NodeStart};

use std::io::{self, Write};

use super::field::{Field, Kind, Record};

impl Kind for NodeReport {
    type Snapshot<'a> = NodeSnapshot<'a>;

    const FIELDS: &'static [Field<Self>] = fields::FIELDS;

    fn record<'a>(snapshot: &'a NodeSnapshot<'a>) -> Record<'a> {
        snapshot.record
    }

    fn introduction<'a>(snapshot: &'a NodeSnapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
        let (start, node) = (snapshot.start, snapshot.node);
        let version = env!("CARGO_PKG_VERSION");
        write!(out, "workload {version} node on {}, Linux {}, ", start.hostname, start.kernel)?;
        match start.cpus {
            Some(cpus) => write!(out, "{cpus} CPUs, ")?,
            None => write!(out, "an unknown number of CPUs, ")?,
        }
        match node.memory("MemTotal") {
            Some(total) => write!(out, "{} of memory", total.rounded())?,
            None => write!(out, "memory unknown")?,
        }
        writeln!(out, "\nboot      {}\n", node.boot_id().unwrap_or("unknown"))
    }

    fn trouble<'a>(snapshot: &'a NodeSnapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
        match snapshot.reports_lost {
            0 => Ok(()),
            lost => write!(out, "  ! {lost} reports lost"),
        }
    }

    fn conclusion<'a>(snapshot: &'a NodeSnapshot<'a>, reason: &str, out: &mut Vec<u8>) -> io::Result<()> {
        let (elapsed, used) = (snapshot.elapsed.as_secs_f64(), snapshot.sampler_cpu.as_secs_f64());
        writeln!(out, "\nended after {elapsed:.3} s: {reason}")?;
        writeln!(out, "sampling took {used:.3} s of CPU time, {:.3} % of a core", used / elapsed * 100.0)
    }
}
