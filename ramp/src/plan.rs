//! Plan of a run, built from the command line.

pub mod builder;
pub(crate) mod engine_options;
pub mod pacing;
pub mod search;
