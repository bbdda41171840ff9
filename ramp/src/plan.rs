//! Plans: what a run does, built from the command line.

pub mod builder;
pub mod pacing;
