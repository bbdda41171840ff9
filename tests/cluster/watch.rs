//! What becomes of pods, as the API server tells it, each with the time at which it was told.

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

    /// The state of its only container: `running`, `waiting` or `terminated`.
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

    /// How its container has ended, where it has and is not running again.
    pub(crate) fn ended(&self) -> Option<&Value> {
        Some(&self.container()["state"]["terminated"]).filter(|state| state.is_object())
    }

    /// It has been OOM-killed, and may be running again.
    pub(crate) fn is_oom_killed(&self) -> bool {
        let reason = |state: &str| self.container()[state]["terminated"]["reason"] == "OOMKilled";
        reason("state") || reason("lastState")
    }
}

/// A watch, from before what is watched for happens.
pub(crate) struct Watch {
    kubectl: Running,
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
        Self { kubectl, sightings, seen: Vec::new() }
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
            let Ok(sighting) = self.sightings.recv_timeout(left) else {
                let last = self.seen.last().map_or(&Value::Null, |last| &last.pod["status"]);
                panic!("waited {limit:?} for {what}; at last the status was {last}");
            };
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

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.kubectl.child.kill();
    }
}
