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

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::quantity::Cores;
use pressure::PressureFiles;

/// Which cgroups this process is in and where they are mounted: the texts of `/proc/self/cgroup` and
/// `/proc/self/mountinfo`.
struct Membership {
    cgroups: String,
    mounts: String,
}

impl Membership {
    fn read(root: &Path) -> Self {
        let text =
            |path: &str| fs::read(root.join(path)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Self {
            cgroups: text("proc/self/cgroup").unwrap_or_default(),
            mounts: text("proc/self/mountinfo").unwrap_or_default(),
        }
    }

    fn hierarchy(&self, controller: &str) -> Option<Hierarchy> {
        Hierarchy::find(controller, &self.cgroups, &self.mounts)
    }

    fn memory(&self, root: &Path) -> MemoryController {
        MemoryController::open(root, self.hierarchy("memory"))
    }
}

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
}

impl Host {
    /// Looks for everything below `root`, which is `/` but in tests. Finds what there is and never fails.
    #[must_use]
    pub fn discover(root: &Path) -> Self {
        let membership = Membership::read(root);
        let unified = Hierarchy::unified(&membership.cgroups, &membership.mounts);
        Self {
            memory: membership.memory(root),
            cpu: CpuController::open(root, membership.hierarchy("cpu")),
            cpuset: Cpuset::open(root, membership.hierarchy("cpuset")),
            process: Process::open(root),
            machine: Machine::open(root),
            pressure: PressureFiles::of_cgroup(root, unified),
        }
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

#[cfg(test)]
mod tests;
