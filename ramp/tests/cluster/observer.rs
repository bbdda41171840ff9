//! Independent observer: counts the same pods with kubectl.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use serde_json::{Deserializer, Value};

/// What was seen by the end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Pods with the status Evicted.
    pub(crate) evicted: BTreeSet<String>,
    /// Containers that ended as OOMKilled, while their pods had not been told to end.
    pub(crate) oom_killed: BTreeSet<String>,
    /// Pods of the load.
    pub(crate) pods: BTreeSet<String>,
    /// RuntimeClasses that pods had.
    pub(crate) runtime_classes: BTreeSet<String>,
}

/// `kubectl get pods --watch`, for as long as the value lives.
pub(crate) struct Observer {
    kubectl: Child,
    reader: Option<JoinHandle<Seen>>,
}

impl Observer {
    pub(crate) fn start() -> Self {
        let selector = "app.kubernetes.io/component=load";
        let mut kubectl = Command::new("kubectl")
            .args(["--namespace", "workload", "get", "pods", "--watch", "-o", "json", "--selector", selector])
            .stdout(Stdio::piped())
            .spawn()
            .expect("kubectl is installed");
        let mut out = BufReader::new(kubectl.stdout.take().unwrap());
        let reader = thread::spawn(move || {
            let mut seen = Seen::default();
            // Nothing comes before the first pod.
            let _ = out.fill_buf();
            for pod in Deserializer::from_reader(out).into_iter::<Value>().map_while(Result::ok) {
                seen.look(&pod);
            }
            seen
        });
        Self { kubectl, reader: Some(reader) }
    }

    pub(crate) fn end(mut self) -> Seen {
        let _ = self.kubectl.kill();
        self.reader.take().unwrap().join().unwrap()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

impl Seen {
    fn look(&mut self, pod: &Value) {
        let Some(uid) = pod["metadata"]["uid"].as_str() else { return };
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        self.pods.insert(uid.to_owned());
        self.runtime_classes.insert(pod["spec"]["runtimeClassName"].as_str().unwrap_or_default().to_owned());
        let status = &pod["status"];
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            return;
        }
        if status["phase"] == "Failed" {
            if status["reason"] == "Evicted" {
                self.evicted.insert(name.to_owned());
            }
            return;
        }
        for container in status["containerStatuses"].as_array().into_iter().flatten() {
            for state in ["state", "lastState"] {
                let end = &container[state]["terminated"];
                if end["reason"] == "OOMKilled" {
                    self.oom_killed.insert(format!("{uid}/{}", end["containerID"]));
                }
            }
        }
    }
}
