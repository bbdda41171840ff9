//! Studies: comparisons whose unit is the run.

pub mod capacity;
pub mod comparison;
pub mod data;
pub mod figure;
pub mod overhead_by_size;
pub mod planning;
pub mod pod_fixed;
pub mod report;
pub mod search;
pub mod stopping;
pub mod verdict;
