//! The scenarios in `deploy/` on a real cluster: the one that `KUBECONFIG` names, where the image is on every node and a
//! RuntimeClass named kata is there, with clocks in step with this machine's. They fill nodes until pods are killed, so nobody else
//! should need it. The namespace, the priorities, the rights and the probe stay there afterwards.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and prints what it saw"
)]

mod applied;
#[path = "../support/cordon.rs"]
mod cordon;
mod kubectl;
#[path = "../support/manifest.rs"]
mod manifest;
mod probe;
#[path = "../support/mod.rs"]
mod support;
mod watch;

/// The tests. By the name of this module they can be told from those that need no cluster.
mod needs_a_cluster {
    mod pressure;
    mod sandbox;
    mod scenarios;
    mod setup;
    mod table;
}
