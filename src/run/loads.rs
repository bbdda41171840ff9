//! The loads that run.

use crate::cpu::CpuLoad;
use crate::memory::MemoryLoad;

/// The loads that run; where nothing is asked of one there is none.
#[derive(Debug, Default)]
pub(super) struct Loads {
    pub(super) memory: Option<MemoryLoad>,
    pub(super) cpu: Option<CpuLoad>,
}

impl Loads {
    /// Ends the burning first, so that giving memory back has the CPUs to itself.
    pub(super) fn end(&self) {
        if let Some(cpu) = &self.cpu {
            cpu.end();
        }
        if let Some(memory) = &self.memory {
            memory.end();
        }
    }
}
