//! What the kernel says: limits, usage, and the machine as seen from inside.
//!
//! Every reader takes the root of the file system as an argument, so that tests point it at a captured host.
//! Absence is data: a file that is not there gives `None` or [`Limit::Unknown`], never 0.

mod cgroup;
mod cpu;
mod file;
pub mod format;
mod limit;
mod machine;
mod membership;
mod memory;
mod node;
mod pressure;
mod process;

pub use cgroup::{Hierarchy, Level, Version};
pub use cpu::{CpuController, CpuThrottling, Cpuset};
pub use limit::{InForce, Limit};
pub use machine::{Machine, MemorySize};
pub use memory::{MemoryController, MemoryEvents, MemoryReadings};
pub use node::{MergedPages, Node, SharedMemory};
pub use pressure::{Pressure, Stalled};
pub use process::{Correction, Process, ResidentSet};

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
    membership: Membership,
}

impl Host {
    /// Looks for everything below `root`, which is `/` but in tests. Finds what there is and never fails.
    #[must_use]
    pub fn discover(root: &Path) -> Self {
        let membership = Membership::read(root);
        let cgroups = membership.cgroups();
        Self {
            memory: cgroups.memory(),
            cpu: cgroups.cpu(),
            cpuset: cgroups.cpuset(),
            process: Process::open(root),
            machine: Machine::open(root),
            pressure: cgroups.pressure(),
            membership,
        }
    }

    /// Finds out, now and then, what can change beside the figures in files: whether the process has been moved to
    /// another cgroup, whose files are read from then on, and limits out of sight. Whether it has been moved. `clock`
    /// reads a monotonic clock in nanoseconds.
    pub fn refresh(&mut self, clock: impl Fn() -> u64) -> bool {
        self.memory.refresh(clock());
        let moved = self.membership.has_changed(clock);
        if moved {
            let cgroups = self.membership.cgroups();
            self.memory = cgroups.memory();
            self.cpu = cgroups.cpu();
            self.cpuset = cgroups.cpuset();
            self.pressure = cgroups.pressure();
        }
        moved
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
    pub cpu_limit: InForce<'h, Cores>,
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

impl Cgroups<'_> {
    fn cpu(&self) -> CpuController {
        CpuController::open(self.root, self.hierarchy("cpu"))
    }

    fn cpuset(&self) -> Cpuset {
        Cpuset::open(self.root, self.hierarchy("cpuset"))
    }

    fn pressure(&self) -> PressureFiles {
        PressureFiles::of_cgroup(self.root, self.unified())
    }
}

#[cfg(test)]
mod tests;
