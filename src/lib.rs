//! Library of the program `workload`: a container load that is exact in memory and CPU.
//!
//! Data flows one way:
//!
//! ```text
//! cli  ─► config ─► target ─┐
//!                           ├─► target::schedule, cpu::duty_cycle (pure: set point at time t) ─► memory, cpu   act
//! host (capacity) ──────────┘
//! /proc, cgroups ─► host ─► sample ─► report::Snapshot (wanted beside observed) ─► text | json | csv | metrics
//! ```
//!
//! `app` drives it all in one event loop. Wanted and observed values meet first in the [`report::Snapshot`], so a set
//! point can never be printed as a measurement.

pub mod app;
mod arena;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cpu;
pub mod host;
pub mod http;
mod line_writer;
pub mod log_writer;
pub mod memory;
pub mod quantity;
pub mod report;
pub mod sample;
pub mod stdout_writer;
mod target;
mod threads;
