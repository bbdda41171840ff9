//! Pressure stall information (PSI): for how long some, or all, tasks waited for a resource.
//!
//! Source: Documentation/accounting/psi.rst.

use std::path::Path;
use std::time::Duration;

use super::cgroup::Hierarchy;
use super::enclosing::{Levels, open_own};
use super::file::KernelFile;
use super::parse::pressure_totals;

/// Cumulative time stalled on one resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalled {
    /// At least one task waited.
    pub some: Option<Duration>,
    /// All tasks that could have run waited.
    pub full: Option<Duration>,
}

/// Cumulative time stalled on each resource; empty where the kernel does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Waiting for memory: reclaim, refaults, swapping in.
    pub memory: Stalled,
    /// Waiting for a CPU, throttling included.
    pub cpu: Stalled,
    /// Waiting for block devices.
    pub io: Stalled,
}

/// The files of the machine or of a cgroup.
#[derive(Debug)]
pub(super) struct PressureFiles {
    memory: Option<KernelFile>,
    cpu: Option<KernelFile>,
    io: Option<KernelFile>,
}

impl PressureFiles {
    /// Those of the machine.
    pub(super) fn of_machine(root: &Path) -> Self {
        Self::with(|resource| KernelFile::open(&root.join("proc/pressure").join(resource)))
    }

    /// Those of the own cgroup: of the unified hierarchy alone, also where controllers are elsewhere.
    pub(super) fn of_cgroup(root: &Path, unified: Option<Hierarchy>) -> Self {
        let levels = Levels::in_sight(root, unified);
        Self::with(|resource| open_own(root, levels.as_ref()?, &format!("{resource}.pressure")))
    }

    fn with(open: impl Fn(&str) -> Option<KernelFile>) -> Self {
        Self { memory: open("memory"), cpu: open("cpu"), io: open("io") }
    }

    /// As it is now.
    pub(super) fn read(&self) -> Pressure {
        let read = |file: &Option<KernelFile>| {
            let totals = file.as_ref().and_then(|file| file.read(|text| Some(pressure_totals(text))));
            let (some, full) = totals.unwrap_or_default();
            Stalled { some: some.map(Duration::from_micros), full: full.map(Duration::from_micros) }
        };
        Pressure { memory: read(&self.memory), cpu: read(&self.cpu), io: read(&self.io) }
    }
}
