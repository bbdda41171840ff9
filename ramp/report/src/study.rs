//! Studies: comparisons whose unit is the run.

pub mod capacity;
pub mod comparison;
pub mod components;
pub mod data;
pub mod dwell;
pub mod figure;
pub mod guest_memory;
pub mod limits;
pub mod overhead_by_size;
mod paired_runs;
pub mod planning;
pub mod pod_fixed;
pub mod report;
pub mod search;
mod startup_phases;
pub mod stopping;
pub mod verdict;
