//! The cluster as its user has it: `kubectl`, with the cluster that `KUBECONFIG` names.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{Records, Running, started};

/// What everything that is set up and applied is in.
pub(crate) const NAMESPACE: &str = "workload";

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command.args(args).stdin(Stdio::null());
    command
}

fn told(args: &[&str], output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {}: {errors}", args.join(" "));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// What a command says on standard output; panics where it fails.
pub(crate) fn kubectl(args: &[&str]) -> String {
    told(args, command(args).output().expect("kubectl is installed"))
}

/// The same of a command for the namespace.
pub(crate) fn in_namespace(args: &[&str]) -> String {
    kubectl(&[&["--namespace", NAMESPACE], args].concat())
}

/// The object or list that a `get` in the namespace finds.
pub(crate) fn get(what: &[&str]) -> Value {
    let text = in_namespace(&[&["get", "--output", "json"], what].concat());
    serde_json::from_str(&text).expect("kubectl writes JSON")
}

/// The names of the objects that a `get` in the namespace finds.
pub(crate) fn names(what: &[&str]) -> Vec<String> {
    let list = get(what);
    let items = list["items"].as_array().expect("a list").iter();
    items.map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
}

/// Applies an object that is in no file.
pub(crate) fn apply(object: &Value) {
    let args = ["apply", "--filename", "-"];
    let mut kubectl = command(&args);
    let kubectl = kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut kubectl = kubectl.spawn().expect("kubectl is installed");
    let mut input = kubectl.stdin.take().expect("a pipe");
    input.write_all(object.to_string().as_bytes()).expect("kubectl reads it");
    drop(input);
    told(&args, kubectl.wait_with_output().expect("it is ours"));
}

/// What a pod says, until its container ends: from its beginning, unless `options` say otherwise.
pub(crate) fn follow_log(pod: &str, options: &[&str]) -> (Running, Records) {
    let mut command = command(&[&["--namespace", NAMESPACE, "logs", "--follow", pod], options].concat());
    let mut log = started(command.stdout(Stdio::piped())).expect("kubectl is installed");
    let records = Records::of(&mut log.child);
    (log, records)
}

/// The last whole record of a pod's log, with `options` such as `--previous`.
pub(crate) fn last_record(pod: &str, options: &[&str]) -> Value {
    let log = in_namespace(&[&["logs", "--tail", "1", pod], options].concat());
    serde_json::from_str(&log).unwrap_or_else(|error| panic!("{pod}: {error}: {log:?}"))
}
