//! The cluster as its user has it: `kubectl`, with the cluster that `KUBECONFIG` names.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::applied::PROMPT;
use crate::support::{Running, started, wait_for};

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

/// The objects that a `get` finds: in the namespace, those that are in any.
pub(crate) fn list(what: &[&str]) -> Vec<Value> {
    let text = in_namespace(&[&["get", "--output", "json"], what].concat());
    let mut list: Value = serde_json::from_str(&text).expect("kubectl writes JSON");
    std::mem::take(list["items"].as_array_mut().expect("a list"))
}

/// The names of the objects that a `get` finds.
pub(crate) fn names(what: &[&str]) -> Vec<String> {
    let items = list(what).into_iter();
    items.map(|item| item["metadata"]["name"].as_str().expect("a name").to_owned()).collect()
}

/// Runs a command on an object that is in no file.
fn with_object(args: &[&str], object: &Value) -> String {
    let mut kubectl = command(args);
    let kubectl = kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut kubectl = kubectl.spawn().expect("kubectl is installed");
    let mut input = kubectl.stdin.take().expect("a pipe");
    input.write_all(object.to_string().as_bytes()).expect("kubectl reads it");
    drop(input);
    told(args, kubectl.wait_with_output().expect("it is ours"))
}

/// Applies an object.
pub(crate) fn apply(object: &Value) {
    with_object(&["apply", "--filename", "-"], object);
}

/// Creates an object, as who the options say, and gives what has become of it.
pub(crate) fn create(object: &Value, options: &[&str]) -> Value {
    let args = [&["create", "--filename", "-", "--output", "json"], options].concat();
    serde_json::from_str(&with_object(&args, object)).expect("kubectl writes JSON")
}

/// What a container says until it ends, as it says it.
pub(crate) struct Log {
    _kubectl: Running,
    arriving: Receiver<Value>,
}

impl Log {
    /// Of a pod's only container, from its beginning, unless `options` say otherwise.
    pub(crate) fn follow(pod: &str, options: &[&str]) -> Self {
        let mut command = command(&[&["--namespace", NAMESPACE, "logs", "--follow", pod], options].concat());
        let mut kubectl = started(command.stdout(Stdio::piped())).expect("kubectl is installed");
        let lines = BufReader::new(kubectl.child.stdout.take().expect("a pipe")).lines();
        // Warnings are in between, and where the container is gone before its log has been read, the kubelet ends it with words of its own.
        let mut records = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
        let (sender, arriving) = mpsc::channel();
        // It ends with kubectl.
        thread::spawn(move || records.try_for_each(|record| sender.send(record)));
        Self { _kubectl: kubectl, arriving }
    }

    /// What has arrived since it was last asked.
    pub(crate) fn arrived(&self) -> impl Iterator<Item = Value> {
        self.arriving.try_iter()
    }

    /// The next record of which `condition` is true; panics where there is none in time.
    pub(crate) fn wait_for(&self, what: &str, limit: Duration, condition: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + limit;
        loop {
            let next = self.arriving.recv_timeout(end.saturating_duration_since(Instant::now()));
            match next {
                Ok(record) if condition(&record) => return record,
                Ok(_) => {}
                Err(error) => panic!("no {what} within {limit:?}: {error}"),
            }
        }
    }

    /// The last record, once the container has ended; panics where it does not.
    pub(crate) fn last(self, limit: Duration) -> Value {
        let end = Instant::now() + limit;
        let mut last = Value::Null;
        loop {
            match self.arriving.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(record) => last = record,
                Err(RecvTimeoutError::Disconnected) => return last,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no end of the log within {limit:?}; at last {last}")
                }
            }
        }
    }
}

/// The last record of a pod's container that was there before the present one. The kubelet keeps one such container: where it has just
/// removed that, because another one has ended, there is a log in a moment.
pub(crate) fn last_record_before(pod: &str) -> Value {
    wait_for("the log of a container that has ended", PROMPT, || {
        let arguments = ["--namespace", NAMESPACE, "logs", "--previous", "--tail", "1", pod];
        let output = command(&arguments).output().expect("kubectl is installed");
        serde_json::from_slice(&output.stdout).ok()
    })
}
