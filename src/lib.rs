//! The library behind the program `workload`: a container load that is exact in memory and CPU.
//!
//! Data flows one way:
//!
//! ```text
//! args ─► config ─► goal ─┐
//!                         ├─► growth, duty (pure: what is wanted at time t) ─► memory, cpu   act
//! host ───────────────────┘
//! /proc, cgroups ─► sample ─► report::Snapshot (wanted beside observed) ─► text | json | csv | metrics
//! ```
//!
//! What is wanted and what is observed meet first in the [`report::Snapshot`], so an intention can never be
//! printed as a fact.

mod arena;
pub mod clock;
pub mod config;
pub mod cpu;
pub mod host;
pub mod memory;
pub mod output;
pub mod quantity;
pub mod report;
pub mod run;
pub mod sample;
pub mod serve;
mod target;
mod threads;
