//! Snapshot of the machine: one record.

use std::time::{Duration, SystemTime};

use super::super::field::{Field, Record};
use super::super::value::Value;
use crate::host::{MergedPages, Node, Pressure, SharedMemory};
use crate::quantity::Bytes;

/// Reports of the machine.
#[derive(Clone, Copy, Debug)]
pub struct NodeReport;

/// A field of these reports.
pub(super) type NodeField = Field<NodeReport>;

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
    pub(super) fn load(&self, column: usize) -> Value<'_> {
        self.node.load(column).map_or(Value::Missing, |load| Value::Decimal(load, 2))
    }
}
