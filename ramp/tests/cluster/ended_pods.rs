//! Pods that have ended, and that a kubelet leaves in the API.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;

use crate::parts::node_cgroups;

/// Removes pods that were told to end, once nothing of them is left on their node, for as long as the value lives.
///
/// The kubelet of Kubernetes 1.20 does so by itself only every 10 s; and where it removes a container before it has told of its end, the
/// pod stays until the next sync, a minute later. A test in whose runs only the instances that are there matter need not wait for that.
/// Where the nodes are not containers of this machine nothing is removed.
pub(crate) struct EndedPods {
    over: Arc<AtomicBool>,
    remover: Option<JoinHandle<()>>,
}

impl EndedPods {
    pub(crate) fn removed() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let remover = thread::spawn(move || {
            let (mut before, mut ended) = (pods_on_nodes(), BTreeSet::new());
            while !seen.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(500));
                let now = pods_on_nodes();
                ended.extend(before.difference(&now).cloned());
                before = now;
                if !ended.is_empty() {
                    remove_those_told_to_end(&ended);
                    ended.clear();
                }
            }
        });
        Self { over, remover: Some(remover) }
    }
}

impl Drop for EndedPods {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // One that has panicked has been heard.
        let _ = self.remover.take().map(JoinHandle::join);
    }
}

/// The uids of pods that have a cgroup on the nodes.
fn pods_on_nodes() -> BTreeSet<String> {
    let pods = node_cgroups("memory").into_iter().map(|node| node.join("kubepods"));
    let of_classes = pods.flat_map(|pods| ["", "burstable", "besteffort"].map(|class| pods.join(class)));
    let names = of_classes
        .flat_map(|class| fs::read_dir(class).into_iter().flatten().flatten())
        .filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("pod").map(str::to_owned)).collect()
}

fn remove_those_told_to_end(uids: &BTreeSet<String>) {
    let get =
        ["get", "pods", "--all-namespaces", "--selector", "app.kubernetes.io/component=load", "-o", "json"];
    // An API server that a test has stopped does not answer: then the kubelet removes them.
    let Ok(output) = Command::new("kubectl").args(get).output() else { return };
    let Ok(list) = serde_json::from_slice::<Value>(&output.stdout) else { return };
    for pod in list["items"].as_array().into_iter().flatten() {
        let metadata = &pod["metadata"];
        let is_told_to_end = !metadata["deletionTimestamp"].is_null();
        let (Some(uid), Some(name), Some(namespace)) =
            (metadata["uid"].as_str(), metadata["name"].as_str(), metadata["namespace"].as_str())
        else {
            continue;
        };
        if is_told_to_end && uids.contains(uid) {
            let delete = ["--namespace", namespace, "delete", "pod", name, "--force", "--grace-period=0"];
            let _ =
                Command::new("kubectl").args(delete).args(["--wait=false", "--ignore-not-found"]).output();
        }
    }
}
