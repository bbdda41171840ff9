//! Plan of a run, built from the command line.

pub mod builder;
pub mod pacing;
