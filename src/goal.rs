//! What exactly is asked for on this host, and what of it cannot be had. Pure: facts in, decision out.

use std::fmt;

use crate::host::{Host, InForce, Limit, MemorySize};
use crate::quantity::{Bytes, Cores, CpuTarget, MemoryTarget};

/// A page table holds 512 entries of 8 bytes for as many pages: the part of the memory that the cgroup pays for
/// on top of it.
const PAGE_TABLE_PART: u64 = 512;

/// What the host offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    /// Memory limit in force.
    pub(crate) memory_limit: InForce<'a, Bytes>,
    /// The machine's memory, if the kernel tells.
    pub(crate) machine_memory: Option<MemorySize>,
    /// Resident set of the program itself, before it holds anything.
    pub(crate) own_memory: Option<Bytes>,
    /// CPU quota in force.
    pub(crate) cpu_limit: InForce<'a, Cores>,
    /// CPUs that the process may run on.
    pub(crate) cpus: u64,
}

impl<'a> Offer<'a> {
    /// Looks at the host as it is now.
    pub(crate) fn of(host: &'a Host, cpus: u64) -> Self {
        let (memory_limit, _) = host.memory.limit_and_headroom();
        Self {
            memory_limit,
            machine_memory: host.machine.memory(),
            own_memory: host.process.resident().map(|set| set.total),
            cpu_limit: host.cpu.limit(),
            cpus,
        }
    }

    /// Which limits the kernel tells for certain, their absence included.
    pub(crate) fn known(&self) -> Known {
        Known { memory: self.memory_limit.is_certain, cpu: self.cpu_limit.is_certain }
    }
}

/// Which limits the kernel has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    memory: bool,
    cpu: bool,
}

impl Known {
    /// Those that either has told.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { memory: self.memory || other.memory, cpu: self.cpu || other.cpu }
    }
}

/// What is asked for, in the words of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Resident set.
    pub(crate) memory: MemoryTarget,
    /// CPU time per wall time.
    pub(crate) cpu: CpuTarget,
}

impl Asked {
    /// Whether a figure depends on what the host offers.
    pub(crate) fn follows(self) -> bool {
        matches!(self.memory, MemoryTarget::Percent(_)) || !matches!(self.cpu, CpuTarget::Cores(_))
    }
}

/// What is asked for, in figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    /// Resident set in the end; `None` for all that can be had.
    pub(crate) memory: Option<Bytes>,
    /// CPU time per wall time.
    pub(crate) cpu: Cores,
}

impl Goal {
    /// Puts figures to percentages and to `max`: of the limit in force, else of the machine.
    ///
    /// # Errors
    /// A percentage of memory where neither a limit nor the machine's memory is known.
    pub(crate) fn resolve(asked: Asked, offer: &Offer<'_>) -> Result<Self, Unknown> {
        Ok(Self { memory: Self::memory(asked.memory, offer)?, cpu: Self::cpu(asked.cpu, offer) })
    }

    /// The figures as the host is now. Where a limit was `known` and is not told for certain any more, or not told at
    /// all, it has not gone: the share of it does not rise.
    #[must_use]
    pub(crate) fn follow(self, asked: Asked, known: Known, offer: &Offer<'_>) -> Self {
        let told = offer.known();
        let is_bound = offer.memory_limit.limit.value().is_some();
        let memory = match (Self::memory(asked.memory, offer), self.memory) {
            (Ok(Some(now)), Some(before)) if !told.memory && (known.memory || !is_bound) => {
                Some(now.min(before))
            }
            (Ok(now), _) => now,
            (Err(Unknown), before) => before,
        };
        let now = Self::cpu(asked.cpu, offer);
        // All CPUs are no share of the quota.
        let may_rise = told.cpu || !known.cpu || asked.cpu == CpuTarget::Max;
        Self { memory, cpu: if may_rise { now } else { now.min(self.cpu) } }
    }

    /// Shares of what is not known for certain: figures that may be more than a limit allows.
    #[must_use]
    pub(crate) fn doubts(&self, asked: Asked, offer: &Offer<'_>) -> Vec<String> {
        let mut doubts = Vec::new();
        if let (MemoryTarget::Percent(percent), Some(memory), false) =
            (asked.memory, self.memory, offer.known().memory)
        {
            let memory = memory.rounded();
            doubts.push(format!("not all limits on memory can be seen here: --memory {percent} is {memory}"));
        }
        if let (CpuTarget::Percent(percent), false) = (asked.cpu, offer.known().cpu) {
            let cpu = self.cpu;
            doubts.push(format!("not all limits on CPU can be seen here: --cpu {percent} is {cpu} cores"));
        }
        doubts
    }

    fn memory(asked: MemoryTarget, offer: &Offer<'_>) -> Result<Option<Bytes>, Unknown> {
        let limit = offer.memory_limit.limit.value();
        let whole = limit.into_iter().chain(offer.machine_memory.map(|machine| machine.total)).min();
        Ok(match asked {
            MemoryTarget::Bytes(bytes) => Some(bytes),
            MemoryTarget::Percent(percent) => Some(Bytes(percent.of(whole.ok_or(Unknown)?.0))),
            MemoryTarget::Max => None,
        })
    }

    fn cpu(asked: CpuTarget, offer: &Offer<'_>) -> Cores {
        let every_cpu = Cores::from_whole(offer.cpus);
        let whole = offer.cpu_limit.limit.value().map_or(every_cpu, |limit| limit.min(every_cpu));
        match asked {
            CpuTarget::Cores(cores) => cores,
            CpuTarget::Percent(percent) => Cores::from_nano(percent.of(whole.as_nano())),
            CpuTarget::Max => every_cpu,
        }
    }

    /// What cannot be had as things are: a legitimate experiment, but one to be told of. `max` asks for no
    /// more than there is.
    #[must_use]
    pub(crate) fn shortfalls<'a>(&self, cpu: CpuTarget, offer: &Offer<'a>) -> Vec<Shortfall<'a>> {
        let mut shortfalls = Vec::new();
        let wanted = self.memory.filter(|wanted| *wanted > Bytes(0));
        if let Some(wanted) = wanted {
            let own = offer.own_memory.unwrap_or_default();
            if wanted < own {
                shortfalls.push(Shortfall::OwnMemory { wanted, own });
            }
            if let InForce { limit: Limit::Value(limit), cgroup, .. } = offer.memory_limit
                && wanted.0.saturating_add(wanted.0 / PAGE_TABLE_PART) > limit.0
            {
                shortfalls.push(Shortfall::MemoryLimit { wanted, limit, cgroup: cgroup.unwrap_or("?") });
            }
            // What the kernel does not tell is no reason to complain.
            let available = offer.machine_memory.and_then(|machine| machine.available);
            let machine = available.map(|available| Bytes(available.0.saturating_add(own.0)));
            if let Some(machine) = machine.filter(|machine| wanted > *machine) {
                shortfalls.push(Shortfall::MachineMemory { wanted, machine });
            }
        }
        let wanted = self.cpu;
        if cpu != CpuTarget::Max {
            if let InForce { limit: Limit::Value(limit), cgroup, .. } = offer.cpu_limit
                && wanted > limit
            {
                shortfalls.push(Shortfall::CpuLimit { wanted, limit, cgroup: cgroup.unwrap_or("?") });
            }
            if wanted > Cores::from_whole(offer.cpus) {
                shortfalls.push(Shortfall::Cpus { wanted, cpus: offer.cpus });
            }
        }
        shortfalls
    }
}

/// Neither a memory limit nor the machine's memory is known, so there is no percentage of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "--memory is a percentage, but the kernel tells neither a memory limit (/proc/self/cgroup) nor the \
             machine's memory (/proc/meminfo): give it in bytes, such as 500M",
        )
    }
}

impl std::error::Error for Unknown {}

/// Something asked for that the host does not offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortfall<'a> {
    /// Less memory than the program itself has.
    OwnMemory {
        /// Asked for.
        wanted: Bytes,
        /// What it has.
        own: Bytes,
    },
    /// More memory, page tables included, than the limit in force.
    MemoryLimit {
        /// Asked for.
        wanted: Bytes,
        /// The limit.
        limit: Bytes,
        /// The cgroup that sets it.
        cgroup: &'a str,
    },
    /// More memory than the machine can give.
    MachineMemory {
        /// Asked for.
        wanted: Bytes,
        /// What it can give.
        machine: Bytes,
    },
    /// More CPU than the quota in force.
    CpuLimit {
        /// Asked for.
        wanted: Cores,
        /// The quota.
        limit: Cores,
        /// The cgroup that sets it.
        cgroup: &'a str,
    },
    /// More CPU than there are CPUs to run on.
    Cpus {
        /// Asked for.
        wanted: Cores,
        /// CPUs in the affinity mask.
        cpus: u64,
    },
}

impl fmt::Display for Shortfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnMemory { wanted, own } => {
                write!(f, "--memory {wanted} is less than the {} of the program itself", own.rounded())
            }
            Self::MemoryLimit { wanted, limit, cgroup } => write!(
                f,
                "--memory {wanted}, and 0.2 % of page tables on top, is more than the limit of {limit} ({}) set by \
                 cgroup {cgroup}: expect reclaim, swap or an OOM kill",
                limit.rounded()
            ),
            Self::MachineMemory { wanted, machine } => write!(
                f,
                "--memory {wanted} is more than the {} that the machine can give: expect reclaim, swap or an OOM kill",
                machine.rounded()
            ),
            Self::CpuLimit { wanted, limit, cgroup } => write!(
                f,
                "--cpu {wanted} is more than the quota of {limit} cores set by cgroup {cgroup}: expect throttling"
            ),
            Self::Cpus { wanted, cpus } => write!(
                f,
                "--cpu {wanted} is more than the {cpus} CPUs that this process may run on: the rest is given up"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
