//! Cordoned nodes: unschedulable for the time of a test.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::process::Command;

/// What a node bears that a test has cordoned: nobody else's cordon is undone.
const MARK: &str = "workload-test/cordoned";

fn kubectl(arguments: &[&str]) -> bool {
    Command::new("kubectl").args(arguments).output().is_ok_and(|output| output.status.success())
}

/// From now on these nodes, of which there is one at least, take no further pods.
pub(crate) fn cordon(nodes: &[&str]) {
    let marked = kubectl(&[&["label", "--overwrite", "nodes"], nodes, &[&format!("{MARK}=true")]].concat());
    assert!(marked && kubectl(&[&["cordon"], nodes].concat()), "{nodes:?} are cordoned");
}

/// Undoes whatever a test has cordoned. Where that fails a test says what it lacks.
pub(crate) fn uncordon() {
    let selector = format!("{MARK}=true");
    kubectl(&["uncordon", "--selector", &selector]);
    kubectl(&["label", "nodes", "--selector", &selector, &format!("{MARK}-")]);
}

/// Nodes that take no further pods for as long as the value lives, also where the test fails.
pub(crate) struct Cordon;

impl Cordon {
    pub(crate) fn of(nodes: &[&str]) -> Self {
        let cordon_ends = Self;
        cordon(nodes);
        cordon_ends
    }
}

impl Drop for Cordon {
    fn drop(&mut self) {
        uncordon();
    }
}
