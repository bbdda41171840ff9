//! Runs on simulated clusters, in simulated time.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod blocked;
mod capacities;
mod clocks;
mod components;
mod datasets;
mod disks;
mod faults;
mod guests;
#[path = "../support/kata_studies.rs"]
mod kata_studies;
mod limits;
mod mixed;
mod others;
mod paces;
mod searches;
mod sidecars;
mod sizes;
mod startup;
mod stops;
mod studies;
#[path = "../support/mod.rs"]
mod support;
mod swap;
mod waits;
