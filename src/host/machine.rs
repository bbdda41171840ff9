//! Machine-wide memory, steal time and pressure: in a VM, those of the guest.

use std::path::Path;
use std::time::Duration;

use super::file::KernelFile;
use super::parse::{cpu_hundredths, kilobytes};
use super::pressure::{Pressure, PressureFiles};
use crate::quantity::Bytes;

/// The machine's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySize {
    /// `MemTotal`.
    pub total: Bytes,
    /// `MemAvailable`; `None` before Linux 3.14.
    pub available: Option<Bytes>,
}

/// The machine as seen from inside: in a VM, the guest.
#[derive(Debug)]
pub struct Machine {
    meminfo: Option<KernelFile>,
    stat: Option<KernelFile>,
    pressure: PressureFiles,
}

impl Machine {
    /// Opens the machine's files below `root`.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        let open = |file: &str| KernelFile::open(&root.join("proc").join(file));
        Self { meminfo: open("meminfo"), stat: open("stat"), pressure: PressureFiles::of_machine(root) }
    }

    /// From `meminfo`.
    #[must_use]
    pub fn memory(&self) -> Option<MemorySize> {
        self.meminfo.as_ref()?.read(|text| {
            let available = kilobytes(text, "MemAvailable").map(Bytes);
            Some(MemorySize { total: Bytes(kilobytes(text, "MemTotal")?), available })
        })
    }

    /// CPU time that the hypervisor gave to others while this machine wanted it, added up over CPUs since boot.
    #[must_use]
    pub fn steal(&self) -> Option<Duration> {
        const STEAL: usize = 7;
        let hundredths = self.stat.as_ref()?.read(|text| cpu_hundredths(text, STEAL))?;
        Some(Duration::from_millis(hundredths.checked_mul(10)?))
    }

    /// For how long the tasks of the machine have waited.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.pressure.read()
    }
}
