//! Own requests: what ramp itself has requested of its Deployment, so that its own changes are told from those of others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What ramp has requested, shared by who requests and who observes.
#[derive(Clone, Default)]
pub(super) struct OwnRequests(Arc<Mutex<RequestedReplicas>>);

#[derive(Debug, Default)]
struct RequestedReplicas {
    /// In requests without an answer so far, which may have been carried out all the same.
    pending: Vec<u32>,
    /// The last known number.
    current: Option<u32>,
    /// Resource version of the last answer: watches deliver what was before it a moment later.
    answered: u64,
    /// The newest resource version observed.
    observed: u64,
    /// Whether ramp removes the Deployment.
    removing: bool,
}

impl OwnRequests {
    fn lock(&self) -> MutexGuard<'_, RequestedReplicas> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a request for so many.
    pub(super) fn asks(&self, replicas: u32) {
        self.lock().pending.push(replicas);
    }

    /// A request was answered, with this resource version.
    pub(super) fn answered(&self, replicas: u32, version: Option<&str>) {
        self.lock().answer(replicas, number(version));
    }

    /// The last known number.
    pub(super) fn current(&self) -> u32 {
        self.lock().current.unwrap_or_default()
    }

    /// Before its removal.
    pub(super) fn removes(&self) {
        self.lock().removing = true;
    }

    /// The number before, where others have changed it by this observation of the Deployment.
    pub(super) fn changed_by_others(&self, replicas: u32, version: u64) -> Option<u32> {
        self.lock().changed_by_others(replicas, version)
    }

    /// Whether ramp removes the Deployment.
    pub(super) fn is_removing(&self) -> bool {
        self.lock().removing
    }
}

impl RequestedReplicas {
    fn answer(&mut self, replicas: u32, version: u64) {
        self.pending.clear();
        self.answered = self.answered.max(version);
        if version >= self.observed {
            self.current = Some(replicas);
        }
    }

    /// The number before, where others have changed it.
    fn changed_by_others(&mut self, replicas: u32, version: u64) -> Option<u32> {
        if version < self.answered {
            return None;
        }
        self.observed = self.observed.max(version);
        let before = self.current.replace(replicas);
        before.filter(|before| *before != replicas && !self.pending.contains(&replicas))
    }
}

/// Resource versions of one kind are increasing integers (Kubernetes API concepts, "Resource versions").
pub(super) fn number(version: Option<&str>) -> u64 {
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}
