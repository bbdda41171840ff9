//! What the memory load sees of the host, by files of its own.

use std::path::Path;

use super::brink::Margin;
use crate::host::{Limit, Machine, MemoryController, Process};

/// What the memory load sees of the host.
#[derive(Debug)]
pub struct View {
    pub(super) process: Process,
    memory: MemoryController,
    machine: Machine,
}

impl View {
    /// Opens what there is below `root`.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        Self {
            process: Process::open(root),
            memory: MemoryController::discover(root),
            machine: Machine::open(root),
        }
    }

    /// How far away the end is: the limit in force, else that of the machine. `None` where nothing is known.
    pub(super) fn margin(&self) -> Option<Margin> {
        let (in_force, headroom) = self.memory.limit_and_headroom();
        if let Limit::Value(limit) = in_force.limit {
            return Some(Margin { limit: limit.0, headroom: headroom.map(|bytes| bytes.0) });
        }
        let machine = self.machine.memory()?;
        Some(Margin { limit: machine.total.0, headroom: machine.available.map(|bytes| bytes.0) })
    }
}
