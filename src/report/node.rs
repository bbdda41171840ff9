//! Reports of the machine, for who watches a node.

mod fields;

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use super::field::{Field, Kind, Record};
use super::value::Value;
use crate::host::{MergedPages, Node, Pressure, SharedMemory};
use crate::quantity::Bytes;

/// Reports of the machine.
#[derive(Clone, Copy, Debug)]
pub struct NodeReport;

/// What is known from the start and does not change.
#[derive(Clone, Debug)]
pub struct NodeStart {
    /// Name of the host, in Kubernetes that of the pod.
    pub hostname: String,
    /// Release of the kernel.
    pub kernel: String,
    /// CPUs that are online.
    pub cpus: Option<u64>,
    /// Size of a page in bytes.
    pub page_size: u64,
    /// Every setting by the name of its flag, as it parses back.
    pub settings: Vec<(&'static str, String)>,
}

/// One record of the machine.
#[derive(Debug)]
pub struct NodeSnapshot<'a> {
    /// Which record it is.
    pub record: Record<'a>,
    /// Wall clock, for people and for putting nodes side by side.
    pub time: SystemTime,
    /// Time since the program's start.
    pub elapsed: Duration,
    /// The machine as it was just read.
    pub node: &'a Node,
    /// For how long tasks have waited.
    pub pressure: Pressure,
    /// What KSM has merged.
    pub merged: MergedPages,
    /// `/dev/shm`.
    pub shared_memory: Option<SharedMemory>,
    /// CPU time of this program.
    pub sampler_cpu: Duration,
    /// Resident set of this program.
    pub sampler_resident: Option<Bytes>,
    /// Reports that could not be written.
    pub reports_lost: u64,
    /// What does not change.
    pub start: &'a NodeStart,
}

impl NodeSnapshot<'_> {
    fn load(&self, column: usize) -> Value<'_> {
        self.node.load(column).map_or(Value::Missing, |load| Value::Decimal(load, 2))
    }
}

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
