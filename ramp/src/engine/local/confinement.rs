//! Confinement: how all instances are held to the budget, by a cgroup or by ramp itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use workload::quantity::Bytes;

use super::cgroup::Cgroup;

/// What holds all instances to the budget.
#[derive(Clone, Debug)]
pub(super) enum Confinement {
    /// A cgroup with the budget as its limit.
    Cgroup(Cgroup),
    /// Ramp itself, which adds up their resident sets, in bytes.
    Ramp { budget: Bytes, used: Arc<AtomicU64> },
}

impl Confinement {
    /// Memory of all instances together; none once their cgroup is gone.
    pub(super) fn used(&self) -> Option<Bytes> {
        match self {
            Self::Cgroup(group) => group.used(),
            Self::Ramp { used, .. } => Some(Bytes(used.load(Ordering::Relaxed))),
        }
    }

    /// The cgroup of an instance, where there are any.
    pub(super) fn of_instance(&self, name: &str) -> Option<Cgroup> {
        match self {
            Self::Cgroup(group) => Some(group.inside(name)),
            Self::Ramp { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_cgroup_what_ramp_has_added_up_is_used() {
        let confinement = Confinement::Ramp { budget: Bytes(9), used: Arc::new(AtomicU64::new(7)) };
        assert_eq!((confinement.used(), confinement.of_instance("x")), (Some(Bytes(7)), None));
    }
}
