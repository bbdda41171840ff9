//! Preflight: what to expect of a run before anything is created, and its summary for people.

pub mod forecast;
mod limits;
pub mod summary;
