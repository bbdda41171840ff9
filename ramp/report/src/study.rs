//! Studies: comparisons whose unit is the run.

pub mod comparison;
pub mod figure;
pub mod verdict;
