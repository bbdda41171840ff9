//! Datasets: one run each, whatever recorded it.
//!
//! | source | read from |
//! |---|---|
//! | [`Source::Run`] | a run directory of ramp, whole or cut short anywhere |
//! | [`Source::LegacyCsv`] | a CSV file in one of the layouts that the study of 2021 and its successors left |
//! | [`Source::KubeBurner`] | pod latencies of kube-burner: the startup of each pod, and nothing else |
//!
//! Reading decides nothing but what is fresh: a sample that only repeats an older one is [`Freshness::Stale`], one that is not there
//! is [`Freshness::Missing`]. Neither may enter a sum or a fit; both are kept, to be counted and shown.

mod clocks;
mod components;
mod cpu_times;
mod kube_burner;
mod legacy_csv;
mod limit_readings;
mod measure;
mod mixed_groups;
mod model;
mod names;
mod observation_gaps;
mod reported_load;
mod row_deserializer;
mod run_directory;
mod seen_memory;
mod steady_state;
mod swapped;
mod table_reader;
mod workload_reports;

pub use clocks::SEEN_LATE_SECONDS;
pub use components::{ComponentMemory, InstanceComponents, NODE_COMPONENTS, PodCgroup};
pub use cpu_times::{CpuTimes, NO_CPU_TIME};
pub use limit_readings::{LimitPoint, LimitSeries};
pub use measure::{
    ACTIVE, ANON_AND_SHARED, CHARGED, KERNEL, KERNEL_PARTS, Measure, NOT_AVAILABLE, UNRECLAIMABLE,
};
pub use mixed_groups::{GroupCosts, GroupLoad};
pub use model::{
    Cells, Dataset, Freshness, KernelCpu, KernelMemory, NodeMemory, NodeSample, NodeSeries, PodLatency,
    Recorded, Settings, Source, Step,
};
use names::name_of;
pub use names::tell_apart;
pub use observation_gaps::{ObservationGaps, Undated};
pub use seen_memory::SeenMemory;
pub use steady_state::{BeyondReported, Costs, KernelRoom, RetainedMemory};
pub use swapped::{KernelSwap, SwapCourse, SwappedMemory};
pub use table_reader::{Malformed, Unreadable};
pub(crate) use table_reader::{TableReader, TableRow, quoted};
pub use workload_reports::{ReportRow, Reports};

use std::path::Path;

use crate::progress::Observer;

impl Dataset {
    /// Reads a run directory, a CSV file of the study, or pod latencies of kube-burner.
    ///
    /// # Errors
    /// Where there is none, and where something in it is not what it should be: file, line, column, what was found and what was
    /// expected. A torn last row is no error: it is among the [notes](Self::notes).
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        Self::read_observed(path, &Observer::default())
    }

    /// The same, and tells how much is read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_observed(path: &Path, observer: &Observer) -> Result<Self, Unreadable> {
        match path {
            _ if path.is_dir() => run_directory::read(path, observer),
            _ if kube_burner::is_json(path) => kube_burner::read(path, observer),
            _ => legacy_csv::read(path, observer),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// So many steps up, one instance each, made as they are told to with their index.
    pub(crate) fn steps(count: u32, mut make: impl FnMut(&mut Step, usize)) -> Vec<Step> {
        let step =
            |number: u32| Step { step: number, asked: Some(number), running: number, ..Step::default() };
        let mut steps: Vec<Step> = (1..=count).map(step).collect();
        steps.iter_mut().enumerate().for_each(|(at, step)| make(step, at));
        steps
    }

    /// A dataset of these steps, without nodes.
    pub(crate) fn data(steps: Vec<Step>) -> Dataset {
        Dataset {
            name: "made".into(),
            source: Source::LegacyCsv,
            rows: steps.len(),
            notes: Vec::new(),
            steps,
            nodes: Vec::new(),
        }
    }
}
