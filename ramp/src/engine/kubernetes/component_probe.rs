//! The component probe: its pods, in whichever namespace they are, and the logs of these.
//!
//! It is optional: where there is none, nothing is said.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client};
use tokio::time::sleep;

use super::object::PodObject;
use super::probe::{ProbeKind, ProbePod, Probes};
use super::request::{Answer, REQUEST_LIMIT, within};
use super::watch_handlers::COMPONENT_LABEL;
use crate::engine::Events;

/// Value of the label of its pods.
pub(super) const COMPONENT_PROBE: &str = "component-probe";

/// Time from one list of its pods to the next: a watch in all namespaces would need one more permission.
const LIST_EVERY: Duration = Duration::from_secs(15);

/// Its pods by namespace.
///
/// # Errors
/// Where pods of all namespaces cannot be listed.
pub(super) async fn pods(client: &Client) -> Answer<BTreeMap<String, Vec<ProbePod>>> {
    let api: Api<PodObject> = Api::all(client.clone());
    let selected = ListParams::default().labels(&format!("{COMPONENT_LABEL}={COMPONENT_PROBE}"));
    // One a node: in one page.
    let found = within(REQUEST_LIMIT, api.list(&selected)).await?;
    let mut namespaces: BTreeMap<String, Vec<ProbePod>> = BTreeMap::new();
    for pod in &found.items {
        if let (Some(namespace), Some(pod)) = (&pod.metadata.namespace, ProbePod::of(pod)) {
            namespaces.entry(namespace.clone()).or_default().push(pod);
        }
    }
    Ok(namespaces)
}

/// Follows the logs of its pods for as long as the run lasts.
pub(super) async fn follow(client: Client, events: Events) {
    let mut probes: BTreeMap<String, Probes> = BTreeMap::new();
    loop {
        // Streams go on while the list fails.
        if let Ok(found) = pods(&client).await {
            for (namespace, probes) in &mut probes {
                probes.all(found.get(namespace).map_or(&[], Vec::as_slice));
            }
            for (namespace, pods) in found {
                probes.entry(namespace).or_insert_with_key(|namespace| {
                    let api = Api::namespaced(client.clone(), namespace);
                    let mut probes = Probes::new(ProbeKind::Components, api, events.clone());
                    probes.all(&pods);
                    probes
                });
            }
        }
        sleep(LIST_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::time::timeout;

    use super::*;
    use crate::clock::Clock;
    use crate::engine::Event;

    fn pod(namespace: &str, node: &str) -> Value {
        json!({"metadata": {"name": format!("component-probe-{node}"), "namespace": namespace},
            "spec": {"nodeName": node, "containers": [{"name": "workload", "image": "workload"}]}, "status": {}})
    }

    fn line(fields: &Value) -> String {
        let mut record = json!({"time": "2026-11-30T00:00:00.000Z"});
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        format!("{record}\n")
    }

    /// An API server with these pods of the probe, whose log is the same for all; what it is asked.
    fn server(pods: Vec<Value>, log: String) -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = asked.clone();
        let answer = tower::service_fn(move |request: http::Request<Body>| {
            let uri = request.uri().to_string();
            told.lock().unwrap().push(uri.clone());
            let list =
                json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}).to_string();
            let body = if uri.contains("/log?") { log.clone() } else { list };
            async move { Ok::<_, Infallible>(http::Response::new(Body::from(body.into_bytes()))) }
        });
        (Client::new(answer, "workload"), asked)
    }

    /// The first events of a run with that server.
    async fn events(client: Client, count: usize) -> Vec<Event> {
        let (events, mut told) = crate::engine::Events::channel(Clock::system());
        let task = tokio::spawn(follow(client, events));
        let mut found = Vec::new();
        while found.len() < count {
            let (_, event) = timeout(Duration::from_secs(100), told.recv()).await.expect("an event").unwrap();
            found.push(event);
        }
        // The same lines come again with each stream, and are known.
        let further = timeout(Duration::from_secs(60), told.recv()).await;
        assert!(further.is_err(), "{further:?}");
        task.abort();
        found
    }

    #[tokio::test(start_paused = true)]
    async fn the_lines_of_the_probe_are_recorded_once_wherever_it_runs() {
        let long = "a".repeat(100_000);
        let log = [
            line(&json!({"record": "start", "kernel": "6.18"})),
            line(
                &json!({"record": "component", "pod_uid": "u1", "component": "pod", "cgroup_memory_bytes": 7}),
            ),
            line(
                &json!({"record": "component", "pod_uid": "u1", "component": "vmm", "pss_bytes": 5, "process": long}),
            ),
            "failed to watch file: no space left on device\n".to_owned(),
            "{\"record\":\"component\",\"time\":\"2026-11\n".to_owned(),
            line(&json!({"record": "limit", "resource": "pids", "scope": "machine", "limit": 32_768})),
            line(&json!({"record": "end", "reason": "SIGTERM"})),
        ];
        let (client, asked) = server(vec![pod("elsewhere", "a")], log.concat());
        let found = events(client, 3).await;
        let told: Vec<(&str, &str, usize)> = found
            .iter()
            .map(|event| match event {
                Event::Component(told) => {
                    let text =
                        |field: &str| told.record.get(field).and_then(Value::as_str).unwrap_or_default();
                    (
                        told.node.as_str(),
                        if text("component") == "vmm" { "vmm" } else { "pod" },
                        text("process").len(),
                    )
                }
                Event::Limit(told) => (told.node.as_str(), "limit", 0),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [("a", "pod", 0), ("a", "vmm", 100_000), ("a", "limit", 0)]);
        let asked = asked.lock().unwrap();
        assert!(asked[0].starts_with("/api/v1/pods?") && asked[0].contains("component-probe"), "{asked:?}");
        let logs: Vec<_> = asked.iter().filter(|uri| uri.contains("/log?")).collect();
        assert!(logs[0].starts_with("/api/v1/namespaces/elsewhere/pods/component-probe-a/log?"), "{logs:?}");
        assert!(logs[0].contains("tailLines=0") && logs[1].contains("sinceSeconds="), "{logs:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_probe_nothing_is_said() {
        let (client, asked) = server(Vec::new(), String::new());
        assert!(events(client, 0).await.is_empty());
        assert!(asked.lock().unwrap().iter().all(|uri| !uri.contains("/log?")));
    }
}
