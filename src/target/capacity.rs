//! Capacity: the limits, memory and CPUs that the host offers a load.

use crate::host::{EffectiveLimit, Host, MemorySize};
use crate::quantity::{Bytes, Cores};

/// What the host offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity<'a> {
    /// Effective memory limit.
    pub(crate) memory_limit: EffectiveLimit<'a, Bytes>,
    /// The machine's memory, where it is known.
    pub(crate) machine_memory: Option<MemorySize>,
    /// Resident set of the program itself, before it allocates anything.
    pub(crate) own_memory: Option<Bytes>,
    /// Effective CPU quota.
    pub(crate) cpu_limit: EffectiveLimit<'a, Cores>,
    /// CPUs that the process may run on.
    pub(crate) cpus: u64,
}

impl<'a> Capacity<'a> {
    /// Reads it from the host as it is now.
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

    /// Which limits are known for certain, their absence included.
    pub(crate) fn known(&self) -> KnownLimits {
        KnownLimits { memory: self.memory_limit.is_certain, cpu: self.cpu_limit.is_certain }
    }
}

/// Which limits are, or once were, known for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownLimits {
    pub(super) memory: bool,
    pub(super) cpu: bool,
}

impl KnownLimits {
    /// Those known to either.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { memory: self.memory || other.memory, cpu: self.cpu || other.cpu }
    }
}
