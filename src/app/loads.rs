//! The running loads.

use crate::cpu::CpuLoad;
use crate::memory::MemoryLoad;

/// The running loads; `None` where nothing is asked of one.
#[derive(Debug, Default)]
pub(super) struct Loads {
    pub(super) memory: Option<MemoryLoad>,
    pub(super) cpu: Option<CpuLoad>,
}

impl Loads {
    /// Ends the CPU load first, so that freeing memory has the CPUs to itself.
    pub(super) fn end(&self) {
        if let Some(cpu) = &self.cpu {
            cpu.end();
        }
        if let Some(memory) = &self.memory {
            memory.end();
        }
    }
}
