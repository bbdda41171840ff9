//! What all instances have together.

use std::sync::atomic::Ordering;

use workload::quantity::Bytes;

use super::supervisor::Confinement;
use crate::engine::Budget;

/// What they have of `limit`; none once their cgroup is gone.
pub(super) fn budget(limit: Bytes, confinement: &Confinement) -> Option<Budget> {
    let used = match confinement {
        Confinement::Cgroup(group) => group.used()?,
        Confinement::Ramp { used, .. } => Bytes(used.load(Ordering::Relaxed)),
    };
    Some(Budget { limit, used })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn what_ramp_has_added_up_is_what_they_have() {
        let used = Arc::new(AtomicU64::new(7));
        let confinement = Confinement::Ramp { budget: Bytes(9), used };
        assert_eq!(budget(Bytes(9), &confinement), Some(Budget { limit: Bytes(9), used: Bytes(7) }));
    }
}
