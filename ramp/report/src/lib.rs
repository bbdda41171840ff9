//! Reports on run directories of ramp: what was recorded ([`dataset`]), what follows from it ([`analysis`], [`stats`]) and how
//! it is presented ([`report`]). Knows no engine.

pub mod analysis;
pub mod dataset;
pub mod export;
pub mod history;
pub mod progress;
pub mod report;
pub mod schema;
pub mod stats;
pub mod study;
