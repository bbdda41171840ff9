//! Nodes of the cluster that take no further pods, during a test.

use std::process::Command;

/// What a node bears that a test has cordoned: nobody else's cordon is undone.
const MARK: &str = "workload-test/cordoned";

fn kubectl(arguments: &[&str]) {
    let output = Command::new("kubectl").args(arguments).output().expect("kubectl is installed");
    assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// From now on these nodes, of which there is one at least, take no further pods.
pub(crate) fn cordon(nodes: &[&str]) {
    kubectl(&[&["label", "--overwrite", "nodes"], nodes, &[&format!("{MARK}=true")]].concat());
    kubectl(&[&["cordon"], nodes].concat());
}

/// Undoes whatever a test has cordoned.
pub(crate) fn uncordon() {
    let selector = format!("{MARK}=true");
    kubectl(&["uncordon", "--selector", &selector]);
    kubectl(&["label", "nodes", "--selector", &selector, &format!("{MARK}-")]);
}
