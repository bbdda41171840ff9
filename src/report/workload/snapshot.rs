//! Snapshot of the load: one record, wanted beside observed.

use std::time::Duration;

use super::super::field::{Field, Record};
use crate::host::HostReadings;
use crate::quantity::{Bytes, Cores};
use crate::sample::{Rates, Sample};

/// Reports of the load.
#[derive(Clone, Copy, Debug)]
pub struct WorkloadReport;

/// A field of these reports.
pub(super) type WorkloadField = Field<WorkloadReport>;

/// What is wanted at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Resident set in the end; `None` for as much as possible.
    pub memory_target: Option<Bytes>,
    /// Resident set now, on the way there; `None` before growth begins.
    pub memory: Option<Bytes>,
    /// CPU time per wall time.
    pub cpu: Cores,
    /// CPU time since the start.
    pub cpu_time: Duration,
}

/// What is known from the start and does not change.
#[derive(Clone, Debug)]
pub struct Start {
    /// Name of the host, in Kubernetes that of the pod.
    pub hostname: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Every setting by the name of its flag, as it parses back.
    pub settings: Vec<(&'static str, String)>,
}

/// One record: wanted beside observed.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Which record it is.
    pub record: Record<'a>,
    /// Time since the program's start.
    pub elapsed: Duration,
    /// What is wanted.
    pub wanted: Wanted,
    /// CPUs that the process may run on.
    pub cpus: u64,
    /// Threads that burn CPU.
    pub cpu_threads: u64,
    /// What was observed.
    pub observed: Sample<'a>,
    /// What happened since the report before.
    pub rates: Rates,
    /// The rate of work as a part of the best one so far.
    pub work_rate_of_best: Option<f64>,
    /// Reports that could not be written.
    pub reports_lost: u64,
    /// What does not change.
    pub start: &'a Start,
}

impl Snapshot<'_> {
    /// Time from the program's start until it first held all of its memory.
    pub(super) fn held_after(&self) -> Option<Duration> {
        let before_now = self.observed.monotonic_ns.checked_sub(self.observed.memory.held_ns?)?;
        self.elapsed.checked_sub(Duration::from_nanos(before_now))
    }

    /// What was read of the host.
    pub(super) fn host(&self) -> &HostReadings<'_> {
        &self.observed.host
    }
}
