//! Components of pods: what is read from recorded processes and cgroups, and of processes of this machine.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod cost;
mod live;
mod trees;
