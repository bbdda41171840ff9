//! Host readers: cgroup limits, usage, pressure, and the machine as seen from inside.
//!
//! Every reader takes the root of the file system as an argument, so that tests point it at a captured host.
//! Absence is data: a file that is not there gives `None` or [`Limit::Unknown`], never 0.

mod cgroup;
mod components;
mod cpu;
mod enclosing;
mod file;
mod limit;
pub mod limits;
mod machine;
mod membership;
mod memory;
mod node;
pub mod parse;
mod pids;
mod pressure;
mod process;

pub use cgroup::{Hierarchy, Level, Version};
pub use components::{Component, ComponentMemory, Components, MemorySource, PodCgroup, Program};
pub use cpu::{CpuController, CpuThrottling, Cpuset};
pub use enclosing::EffectiveLimit;
pub use limit::Limit;
pub use machine::{Machine, MemorySize};
pub use membership::OwnMemory;
pub use memory::{MemoryController, MemoryEvents, MemoryReadings};
pub use node::{MergedPages, Node, SharedMemory};
pub use pids::thread_limit;
pub use pressure::{Pressure, Stalled};
pub use process::{Correction, Process, ResidentSet, page_bytes};

use std::path::Path;
use std::time::Duration;

use crate::quantity::Cores;
use membership::{Cgroups, Membership};
use pressure::PressureFiles;

/// All that is read of the host at each report, kept open.
#[derive(Debug)]
pub struct Host {
    /// The memory controller.
    pub memory: MemoryController,
    /// The CPU controller.
    pub cpu: CpuController,
    /// The CPUs that cgroups leave to this process.
    pub cpuset: Cpuset,
    /// This process.
    pub process: Process,
    /// The machine as seen from inside.
    pub machine: Machine,
    pressure: PressureFiles,
    hierarchies: Hierarchies,
    membership: Membership,
}

/// Memberships are not read more often: half of the interval of refreshes, so that each of them includes it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Host {
    /// Opens everything below `root`, which is `/` but in tests. What is missing is absent; it never fails.
    #[must_use]
    pub fn discover(root: &Path) -> Self {
        let membership = Membership::read(root, LOOK_EVERY);
        let hierarchies = Hierarchies::of(&membership.cgroups());
        Self {
            memory: MemoryController::open(root, hierarchies.memory.clone()),
            cpu: CpuController::open(root, hierarchies.cpu.clone()),
            cpuset: Cpuset::open(root, hierarchies.cpuset.clone()),
            process: Process::open(root),
            machine: Machine::open(root),
            pressure: PressureFiles::of_cgroup(root, hierarchies.unified.clone()),
            hierarchies,
            membership,
        }
    }

    /// Re-reads, when due, what can change beside the values in files: the cgroups of the process, whose files are read from
    /// then on, and hidden limits. Whether the process has been moved. `clock` reads a monotonic clock in nanoseconds.
    pub fn refresh(&mut self, clock: impl Fn() -> u64) -> bool {
        self.memory.refresh(clock());
        let Some(cgroups) = self.membership.changes(clock) else { return false };
        let (root, hierarchies) = (&cgroups.root, Hierarchies::of(&cgroups));
        // Unchanged hierarchies keep their files, so that their counters do not restart.
        let memory =
            changed(&self.hierarchies.memory, &hierarchies.memory).map(|at| MemoryController::open(root, at));
        let cpu = changed(&self.hierarchies.cpu, &hierarchies.cpu).map(|at| CpuController::open(root, at));
        let cpuset = changed(&self.hierarchies.cpuset, &hierarchies.cpuset).map(|at| Cpuset::open(root, at));
        let pressure = changed(&self.hierarchies.unified, &hierarchies.unified)
            .map(|at| PressureFiles::of_cgroup(root, at));
        if !self.membership.settle() {
            return false;
        }
        let moved = self.hierarchies != hierarchies;
        self.hierarchies = hierarchies;
        replace_by(&mut self.memory, memory);
        replace_by(&mut self.cpu, cpu);
        replace_by(&mut self.cpuset, cpuset);
        replace_by(&mut self.pressure, pressure);
        moved
    }

    /// Makes the next [`Self::refresh`] check whether the process has been moved.
    pub fn look_soon(&mut self) {
        self.membership.look_soon();
    }

    /// Reads everything as it is now.
    #[must_use]
    pub fn read(&self) -> HostReadings<'_> {
        HostReadings {
            resident: self.process.resident(),
            memory: self.memory.read(),
            cpu_limit: self.cpu.limit(),
            throttling: self.cpu.throttling(),
            cpuset: self.cpuset.cpus(),
            pressure: self.pressure.read(),
            machine_memory: self.machine.memory(),
            machine_steal: self.machine.steal(),
            machine_pressure: self.machine.pressure(),
        }
    }
}

/// What was read of the host at one moment.
#[derive(Clone, Copy, Debug)]
pub struct HostReadings<'h> {
    /// Resident set of this process.
    pub resident: Option<ResidentSet>,
    /// The memory controller.
    pub memory: MemoryReadings<'h>,
    /// CPU quota in force.
    pub cpu_limit: EffectiveLimit<'h, Cores>,
    /// Throttling by that quota.
    pub throttling: Option<CpuThrottling>,
    /// CPUs of the cpuset, and the cgroup that says so.
    pub cpuset: Option<(u64, &'h str)>,
    /// Time that tasks of the own cgroup waited.
    pub pressure: Pressure,
    /// The machine's memory.
    pub machine_memory: Option<MemorySize>,
    /// CPU time that the hypervisor gave to others.
    pub machine_steal: Option<Duration>,
    /// Time that tasks of the machine waited.
    pub machine_pressure: Pressure,
}

/// Where the process is in each hierarchy that is read.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchies {
    memory: Option<Hierarchy>,
    cpu: Option<Hierarchy>,
    cpuset: Option<Hierarchy>,
    unified: Option<Hierarchy>,
}

impl Hierarchies {
    fn of(cgroups: &Cgroups) -> Self {
        Self {
            memory: cgroups.hierarchy("memory"),
            cpu: cgroups.hierarchy("cpu"),
            cpuset: cgroups.hierarchy("cpuset"),
            unified: cgroups.unified(),
        }
    }
}

/// The new place, where it is another one.
fn changed(before: &Option<Hierarchy>, now: &Option<Hierarchy>) -> Option<Option<Hierarchy>> {
    (before != now).then(|| now.clone())
}

fn replace_by<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

#[cfg(test)]
mod tests;
