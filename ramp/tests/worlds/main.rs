//! Reports on worlds whose truth is known: how often each figure's interval holds it, and whether any statement is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod cases;
mod coverage;
mod experiment;
#[path = "../support/mod.rs"]
mod support;
mod truth;
