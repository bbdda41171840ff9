//! What is known of an instance's container, and of its lives.

use std::time::SystemTime;

use super::inspect::InspectedContainer;
use crate::engine::replicas::{Backing, Replica};

/// The container of an instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Container {
    /// Its id, once there is one.
    pub(super) id: Option<String>,
    /// The latest question whose answer is known here: older answers are stale.
    pub(super) asked: u64,
    /// Which of its lives is the latest known ([`InspectedContainer::life`]), and who lives it.
    pub(super) life: Option<String>,
    pub(super) pid: Option<i64>,
    /// When the engine said that memory was short in it.
    pub(super) out_of_memory_at: Option<SystemTime>,
}

impl Backing for Container {
    fn exists(&self) -> bool {
        self.id.is_some()
    }
}

impl Replica<Container> {
    /// Takes note of its container's latest life; whether it is another one than before.
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
