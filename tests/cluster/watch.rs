//! Watch of pods: their changes, each with its time of arrival.

use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Deserializer, Value};

use crate::kubectl::{NAMESPACE, command};
use crate::support::{Running, started};

/// A pod as it is from now on.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) at: SystemTime,
    /// The last state of a pod that is no more.
    pub(crate) is_gone: bool,
    pub(crate) pod: Value,
}

impl Sighting {
    pub(crate) fn name(&self) -> &str {
        self.pod["metadata"]["name"].as_str().expect("pods have names")
    }

    /// What is known of its only container.
    fn container(&self) -> &Value {
        &self.pod["status"]["containerStatuses"][0]
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.container()["ready"] == true
    }

    pub(crate) fn is_running(&self) -> bool {
        self.container()["state"]["running"].is_object()
    }

    /// How often its container has been started again.
    pub(crate) fn restarts(&self) -> u64 {
        self.container()["restartCount"].as_u64().unwrap_or_default()
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.pod["status"]["reason"] == "Evicted"
    }

    /// Its container is no longer running, after it was told to end.
    pub(crate) fn has_stopped(&self) -> bool {
        self.is_told_to_end() && !self.is_running()
    }

    pub(crate) fn is_told_to_end(&self) -> bool {
        self.pod["metadata"]["deletionTimestamp"].is_string()
    }

    /// With which status its container ended, where it did and that is known. A kubelet that has removed the container before it
    /// looked (1.20 does, now and then) makes up a status of 137, with the reason ContainerStatusUnknown.
    pub(crate) fn exit_status(&self) -> Option<i64> {
        let ends = ["state", "lastState"].map(|state| &self.container()[state]["terminated"]);
        let known = ends.into_iter().find(|end| end.is_object() && end["reason"] != "ContainerStatusUnknown");
        known?["exitCode"].as_i64()
    }

    /// It has been OOM-killed, and may be running again. Where it is a guest that has run out, not all runtimes say OOMKilled:
    /// what is left is the status of SIGKILL, which nobody else sends to one that has not been told to end.
    pub(crate) fn is_oom_killed(&self) -> bool {
        !self.is_told_to_end() && self.exit_status() == Some(128 + 9)
    }
}

/// A watch, from before what is watched for happens.
pub(crate) struct Watch {
    _kubectl: Running,
    sightings: Receiver<Sighting>,
    seen: Vec<Sighting>,
}

impl Watch {
    /// Of the pods in the namespace that a selector selects: those that are there, and what becomes of them.
    pub(crate) fn pods(selector: &str) -> Self {
        let mut kubectl = command(&["--namespace", NAMESPACE, "get", "pods", "--selector", selector]);
        kubectl.args(["--watch", "--output-watch-events", "--output", "json"]);
        let mut kubectl = started(kubectl.stdout(Stdio::piped())).expect("kubectl is installed");
        let events = kubectl.child.stdout.take().expect("a pipe");
        let (sender, sightings) = mpsc::channel();
        thread::spawn(move || {
            // It ends with kubectl.
            for event in Deserializer::from_reader(events).into_iter::<Value>().map_while(Result::ok) {
                let is_gone = event["type"] == "DELETED";
                let sighting = Sighting { at: SystemTime::now(), is_gone, pod: event["object"].clone() };
                if sender.send(sighting).is_err() {
                    break;
                }
            }
        });
        Self { _kubectl: kubectl, sightings, seen: Vec::new() }
    }

    /// The first sighting, also of those seen already, of which `condition` is true; panics where there is none in time.
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        mut condition: impl FnMut(&Sighting) -> bool,
    ) -> Sighting {
        if let Some(seen) = self.seen.iter().find(|sighting| condition(sighting)) {
            return seen.clone();
        }
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let sighting = self.sightings.recv_timeout(left).unwrap_or_else(|error| {
                let last = self.seen.last().map_or(&Value::Null, |last| &last.pod["status"]);
                panic!("waited {limit:?} for {what}: {error}; at last the status was {last}");
            });
            self.seen.push(sighting.clone());
            if condition(&sighting) {
                return sighting;
            }
        }
    }

    /// All that has been seen until now.
    pub(crate) fn seen(&mut self) -> &[Sighting] {
        self.seen.extend(self.sightings.try_iter());
        &self.seen
    }
}
