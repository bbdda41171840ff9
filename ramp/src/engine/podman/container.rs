//! Container of an instance: its id, and the latest start of it that is known.

use std::time::SystemTime;

use super::inspect::InspectedContainer;
use crate::engine::replicas::{Backing, Replica};

/// The container of an instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Container {
    /// Its id, once there is one.
    pub(super) id: Option<String>,
    /// Number of the latest request whose answer is known: older answers are stale.
    pub(super) asked: u64,
    /// The latest start that is known ([`InspectedContainer::life`]).
    pub(super) life: Option<String>,
    /// The process of that start.
    pub(super) pid: Option<i64>,
    /// When the engine last told of an OOM kill in it.
    pub(super) out_of_memory_at: Option<SystemTime>,
}

impl Backing for Container {
    fn exists(&self) -> bool {
        self.id.is_some()
    }
}

impl Replica<Container> {
    /// Records the latest start of its container. Returns whether that is a new one.
    pub(super) fn lives(&mut self, seen: &InspectedContainer) -> bool {
        let life = Some(seen.life());
        if self.backing.life == life {
            return false;
        }
        self.restarts += u32::from(self.backing.life.is_some());
        self.backing.life = life;
        self.backing.pid = seen.pid;
        true
    }
}
