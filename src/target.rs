//! Target of the load: resolved against the host's capacity, with its shortfalls. Pure: facts in, decision out.

mod capacity;
mod schedule;

pub(crate) use capacity::{Capacity, KnownLimits};
pub(crate) use schedule::GrowthSchedule;

use std::fmt;

use crate::host::{EffectiveLimit, Limit};
use crate::quantity::{Bytes, Cores, CpuTarget, MemoryTarget};

/// A page table holds 512 entries of 8 bytes: one page of it per 512 pages of memory, charged to the cgroup as well.
const PAGE_TABLE_PART: u64 = 512;

/// The target as given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetSpec {
    /// Resident set.
    pub(crate) memory: MemoryTarget,
    /// CPU time per wall time.
    pub(crate) cpu: CpuTarget,
}

impl TargetSpec {
    /// Whether it depends on the host's capacity.
    pub(crate) fn follows(self) -> bool {
        matches!(self.memory, MemoryTarget::Percent(_)) || !matches!(self.cpu, CpuTarget::Cores(_))
    }
}

/// The target in bytes and cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Final resident set; `None` for as much as possible.
    pub(crate) memory: Option<Bytes>,
    /// CPU time per wall time.
    pub(crate) cpu: Cores,
}

impl Target {
    /// Resolves percentages and `max`: of the effective limit, else of the machine.
    ///
    /// # Errors
    /// A percentage of memory where neither a limit nor the machine's memory is known.
    pub(crate) fn resolve(spec: TargetSpec, capacity: &Capacity<'_>) -> Result<Self, UnknownCapacity> {
        Ok(Self { memory: Self::memory(spec.memory, capacity)?, cpu: Self::cpu(spec.cpu, capacity) })
    }

    /// The target for the host as it is now. A limit that was `known` and is uncertain or unreadable now still counts: a
    /// share of it does not rise.
    #[must_use]
    pub(crate) fn follow(self, spec: TargetSpec, known: KnownLimits, capacity: &Capacity<'_>) -> Self {
        let told = capacity.known();
        let is_bound = capacity.memory_limit.limit.value().is_some();
        let memory = match (Self::memory(spec.memory, capacity), self.memory) {
            (Ok(Some(now)), Some(before)) if !told.memory && (known.memory || !is_bound) => {
                Some(now.min(before))
            }
            (Ok(now), _) => now,
            (Err(UnknownCapacity), before) => before,
        };
        let now = Self::cpu(spec.cpu, capacity);
        // `max` is all CPUs, whatever the quota.
        let may_rise = told.cpu || !known.cpu || spec.cpu == CpuTarget::Max;
        Self { memory, cpu: if may_rise { now } else { now.min(self.cpu) } }
    }

    /// Shares of uncertain limits: they may exceed one that cannot be seen.
    #[must_use]
    pub(crate) fn doubts(&self, spec: TargetSpec, capacity: &Capacity<'_>) -> Vec<Doubt> {
        let memory = match (spec.memory, self.memory, capacity.known().memory) {
            (MemoryTarget::Percent(percent), Some(memory), false) => {
                Some(memory_doubt(&percent.to_string(), memory, capacity))
            }
            _ => None,
        };
        let cpu = match (spec.cpu, capacity.known().cpu) {
            (CpuTarget::Percent(percent), false) => Some(cpu_doubt(&percent.to_string(), self.cpu, capacity)),
            _ => None,
        };
        memory.into_iter().chain(cpu).collect()
    }

    fn memory(spec: MemoryTarget, capacity: &Capacity<'_>) -> Result<Option<Bytes>, UnknownCapacity> {
        let limit = capacity.memory_limit.limit.value();
        let whole = limit.into_iter().chain(capacity.machine_memory.map(|machine| machine.total)).min();
        Ok(match spec {
            MemoryTarget::Bytes(bytes) => Some(bytes),
            MemoryTarget::Percent(percent) => Some(Bytes(percent.of(whole.ok_or(UnknownCapacity)?.0))),
            MemoryTarget::Max => None,
        })
    }

    fn cpu(spec: CpuTarget, capacity: &Capacity<'_>) -> Cores {
        let every_cpu = Cores::from_whole(capacity.cpus);
        let whole = capacity.cpu_limit.limit.value().map_or(every_cpu, |limit| limit.min(every_cpu));
        match spec {
            CpuTarget::Cores(cores) => cores,
            CpuTarget::Percent(percent) => Cores::from_nano(percent.of(whole.as_nano())),
            CpuTarget::Max => every_cpu,
        }
    }

    /// What the host cannot provide at present: a legitimate experiment, but worth a warning. `max` never falls short.
    #[must_use]
    pub(crate) fn shortfalls<'a>(&self, spec: TargetSpec, capacity: &Capacity<'a>) -> Vec<Shortfall<'a>> {
        let mut shortfalls = Vec::new();
        let wanted = self.memory.filter(|wanted| *wanted > Bytes(0));
        if let Some(wanted) = wanted {
            let asked = spec.memory;
            let own = capacity.own_memory.unwrap_or_default();
            if wanted < own {
                shortfalls.push(Shortfall::OwnMemory { asked, wanted, own });
            }
            if let EffectiveLimit { limit: Limit::Value(limit), cgroup, .. } = capacity.memory_limit
                && wanted.0.saturating_add(wanted.0 / PAGE_TABLE_PART) > limit.0
            {
                shortfalls.push(Shortfall::MemoryLimit {
                    asked,
                    wanted,
                    limit,
                    cgroup: cgroup.unwrap_or("?"),
                });
            }
            // What is unknown causes no warning.
            let available = capacity.machine_memory.and_then(|machine| machine.available);
            let machine = available.map(|available| Bytes(available.0.saturating_add(own.0)));
            if let Some(machine) = machine.filter(|machine| wanted > *machine) {
                shortfalls.push(Shortfall::MachineMemory { asked, wanted, machine });
            }
        }
        let (asked, wanted) = (spec.cpu, self.cpu);
        if asked != CpuTarget::Max {
            if let EffectiveLimit { limit: Limit::Value(limit), cgroup, .. } = capacity.cpu_limit
                && wanted > limit
            {
                shortfalls.push(Shortfall::CpuLimit { asked, wanted, limit, cgroup: cgroup.unwrap_or("?") });
            }
            if wanted > Cores::from_whole(capacity.cpus) {
                shortfalls.push(Shortfall::Cpus { asked, wanted, cpus: capacity.cpus });
            }
        }
        shortfalls
    }
}

/// What a share was taken of, where not all limits can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// A limit in sight: as in every container with a cgroup namespace of its own.
    OfLimit(String),
    /// The machine, for want of a limit in sight: it may be far more than is allowed.
    OfMachine(String),
}

fn memory_doubt(percent: &str, memory: Bytes, capacity: &Capacity<'_>) -> Doubt {
    let (memory, machine) = (memory.rounded(), capacity.machine_memory.map(|machine| machine.total));
    let limit = capacity.memory_limit.limit.value();
    match limit.filter(|limit| machine.is_none_or(|machine| *limit <= machine)) {
        Some(limit) => Doubt::OfLimit(format!(
            "--memory {percent} is {memory}, of the limit of {} set by cgroup {}; limits of cgroups out of sight may be \
             lower",
            limit.rounded(),
            capacity.memory_limit.cgroup.unwrap_or("?")
        )),
        None => Doubt::OfMachine(format!(
            "no memory limit can be seen, but a cgroup out of sight may set one: --memory {percent} is {memory}, of the \
             {} of the machine; give it in bytes to stay below the limit",
            machine.map_or("memory".into(), |machine| machine.rounded().to_string())
        )),
    }
}

fn cpu_doubt(percent: &str, cpu: Cores, capacity: &Capacity<'_>) -> Doubt {
    let cpus = capacity.cpus;
    match capacity.cpu_limit.limit.value().filter(|limit| *limit <= Cores::from_whole(cpus)) {
        Some(limit) => Doubt::OfLimit(format!(
            "--cpu {percent} is {cpu} cores, of the quota of {limit} cores set by cgroup {}; quotas of cgroups out of \
             sight may be lower",
            capacity.cpu_limit.cgroup.unwrap_or("?")
        )),
        None => Doubt::OfMachine(format!(
            "no CPU quota can be seen, but a cgroup out of sight may set one: --cpu {percent} is {cpu} cores, of \
             {cpus} CPUs; give it in cores to stay below the quota"
        )),
    }
}

/// Neither a memory limit nor the machine's memory is known, so there is no percentage of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownCapacity;

impl fmt::Display for UnknownCapacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "--memory is a percentage, but the kernel tells neither a memory limit (/proc/self/cgroup) nor the \
             machine's memory (/proc/meminfo): give it in bytes, such as 500M",
        )
    }
}

impl std::error::Error for UnknownCapacity {}

/// A part of the target that exceeds the host's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortfall<'a> {
    /// Less memory than the program itself has.
    OwnMemory {
        /// As it was given.
        asked: MemoryTarget,
        /// Asked for.
        wanted: Bytes,
        /// What it has.
        own: Bytes,
    },
    /// More memory, page tables included, than the limit in force.
    MemoryLimit {
        /// As it was given.
        asked: MemoryTarget,
        /// Asked for.
        wanted: Bytes,
        /// The limit.
        limit: Bytes,
        /// The cgroup that sets it.
        cgroup: &'a str,
    },
    /// More memory than the machine can give.
    MachineMemory {
        /// As it was given.
        asked: MemoryTarget,
        /// Asked for.
        wanted: Bytes,
        /// What it can give.
        machine: Bytes,
    },
    /// More CPU than the quota in force.
    CpuLimit {
        /// As it was given.
        asked: CpuTarget,
        /// Asked for.
        wanted: Cores,
        /// The quota.
        limit: Cores,
        /// The cgroup that sets it.
        cgroup: &'a str,
    },
    /// More CPU than there are CPUs to run on.
    Cpus {
        /// As it was given.
        asked: CpuTarget,
        /// Asked for.
        wanted: Cores,
        /// CPUs in the affinity mask.
        cpus: u64,
    },
}

/// The option as it was given, and what it stands for.
fn memory(asked: MemoryTarget, wanted: Bytes) -> String {
    match asked {
        MemoryTarget::Percent(percent) => format!("--memory {percent} ({})", wanted.rounded()),
        MemoryTarget::Bytes(_) | MemoryTarget::Max => format!("--memory {asked}"),
    }
}

fn cpu(asked: CpuTarget, wanted: Cores) -> String {
    match asked {
        CpuTarget::Percent(percent) => format!("--cpu {percent} ({wanted} cores)"),
        CpuTarget::Cores(_) | CpuTarget::Max => format!("--cpu {asked}"),
    }
}

impl fmt::Display for Shortfall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnMemory { asked, wanted, own } => {
                write!(
                    f,
                    "{} is less than the {} of the program itself",
                    memory(*asked, *wanted),
                    own.rounded()
                )
            }
            Self::MemoryLimit { asked, wanted, limit, cgroup } => write!(
                f,
                "{}, and 0.2 % of page tables on top, is more than the limit of {limit} ({}) set by cgroup {cgroup}: \
                 expect reclaim, swap or an OOM kill",
                memory(*asked, *wanted),
                limit.rounded()
            ),
            Self::MachineMemory { asked, wanted, machine } => write!(
                f,
                "{} is more than the {} that the machine can give: expect reclaim, swap or an OOM kill",
                memory(*asked, *wanted),
                machine.rounded()
            ),
            Self::CpuLimit { asked, wanted, limit, cgroup } => write!(
                f,
                "{} is more than the quota of {limit} cores set by cgroup {cgroup}: expect throttling",
                cpu(*asked, *wanted)
            ),
            Self::Cpus { asked, wanted, cpus } => write!(
                f,
                "{} is more than the {cpus} CPUs that this process may run on: the rest is given up",
                cpu(*asked, *wanted)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
