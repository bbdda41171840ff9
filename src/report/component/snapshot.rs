//! Snapshot of a component: one record.

use std::time::{Duration, SystemTime};

use super::super::field::{Field, Record};
use super::super::node::NodeStart;
use crate::host::{Component, ComponentMemory, PodCgroup};

/// Reports of the components of pods and of the node.
#[derive(Clone, Copy, Debug)]
pub struct ComponentReport;

/// A field of these reports.
pub(super) type ComponentField = Field<ComponentReport>;

/// One record of a component.
#[derive(Clone, Copy, Debug)]
pub struct ComponentSnapshot<'a> {
    /// Which record it is.
    pub record: Record<'a>,
    /// Wall clock at the end of the sample.
    pub time: SystemTime,
    /// Time since the program's start.
    pub elapsed: Duration,
    /// Boot ID of the machine.
    pub boot_id: Option<&'a str>,
    /// The component; none in the first and the last record.
    pub component: Option<&'a Component>,
    /// CPU time of this program.
    pub sampler_cpu: Duration,
    /// Reports that could not be written.
    pub reports_lost: u64,
    /// What does not change.
    pub start: &'a NodeStart,
}

impl ComponentSnapshot<'_> {
    pub(super) fn memory(&self, part: fn(&ComponentMemory) -> Option<u64>) -> Option<u64> {
        part(self.component?.memory.as_ref()?)
    }

    pub(super) fn cgroup(&self, part: fn(&PodCgroup) -> Option<u64>) -> Option<u64> {
        part(self.component?.cgroup.as_ref()?)
    }

    /// Of a pod that of its cgroup, of a component that of its processes.
    pub(super) fn cpu(&self) -> Option<Duration> {
        let component = self.component?;
        match component.program {
            None => self.cgroup(|cgroup| cgroup.cpu_ns).map(Duration::from_nanos),
            Some(_) => Some(Duration::from_millis(component.cpu_hundredths.checked_mul(10)?)),
        }
    }
}
