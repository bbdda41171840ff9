//! Reports on worlds with a known truth: how often each interval holds it, and wrong statements.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod capacities;
mod cases;
mod components;
mod coverage;
mod cpu;
mod experiment;
mod guests;
mod limits;
mod mixed;
mod searches;
mod sizes;
mod soak;
mod startup;
mod studies;
#[path = "../support/mod.rs"]
mod support;
mod swaps;
mod truth;
