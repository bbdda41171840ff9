//! `ramp` on a real cluster: the one that `KUBECONFIG` names, set up (deploy/setup), with the image on its nodes and a
//! RuntimeClass named kata. They fill nodes until pods are killed. What stops and kills parts of the cluster needs `CLUSTER_HOME` as well:
//! a directory whose `pid/` has the process ids of its parts.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what was measured is shown with --nocapture")]

#[path = "../support/charged.rs"]
mod charged;
mod ended_pods;
mod observer;
mod parts;
mod process;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/mod.rs"]
mod support;

/// The tests. By the name of this module they can be told from those that need no cluster.
mod needs_a_cluster {
    mod blocked;
    mod changes;
    mod components;
    mod connection;
    mod cpu;
    mod faults;
    mod job;
    mod limits;
    mod overhead;
    mod refusals;
    mod saturation;
    mod scale;
    mod script;
    mod sizes;
    mod startup;
    mod token;
}
