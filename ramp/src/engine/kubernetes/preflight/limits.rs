//! Limits of the nodes other than memory and CPU before a run, by the last lines of the node probe's log, and of the component probe's
//! where it is there.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client};
use serde_json::{Map, Value};

use super::super::component_probe::COMPONENT_PROBE;
use super::super::probe::{LIMIT, record};
use super::super::request::{Answer, REQUEST_LIMIT, within};
use super::super::watch_handlers::{COMPONENT_LABEL, NODE_PROBE};
use ramp_format::preflight::LimitFacts;

/// Probes tell all limits every 30 s, about 20 of them, and a sample a second.
const LINES: i64 = 120;
const SECONDS: i64 = 65;
/// Concurrent requests, and logs read at most: more nodes than this tell nothing that these do not.
const AT_A_TIME: usize = 8;
const MOST: usize = 200;

/// A pod of a probe.
#[derive(Clone, Debug)]
pub(super) struct ProbeThere {
    /// Which probe: the value of its label.
    probe: String,
    namespace: String,
    name: String,
    node: String,
    terminating: bool,
}

impl ProbeThere {
    /// None where it is on no node yet.
    fn of(pod: Pod) -> Option<Self> {
        let metadata = pod.metadata;
        Some(Self {
            probe: metadata.labels?.remove(COMPONENT_LABEL)?,
            namespace: metadata.namespace?,
            name: metadata.name?,
            node: pod.spec?.node_name?,
            terminating: metadata.deletion_timestamp.is_some(),
        })
    }
}

/// The pods of both probes, in whichever namespace they are.
///
/// # Errors
/// Where pods of all namespaces cannot be listed.
pub(super) async fn probes(client: &Client) -> Answer<Vec<ProbeThere>> {
    list(Api::all(client.clone())).await
}

async fn list(pods: Api<Pod>) -> Answer<Vec<ProbeThere>> {
    let wanted =
        ListParams::default().labels(&format!("{COMPONENT_LABEL} in ({NODE_PROBE}, {COMPONENT_PROBE})"));
    let listed = within(REQUEST_LIMIT, pods.list(&wanted)).await?;
    Ok(listed.items.into_iter().filter_map(ProbeThere::of).collect())
}

/// Nodes that have a pod of the component probe.
pub(super) fn component_nodes(probes: &[ProbeThere]) -> Vec<String> {
    let own = probes.iter().filter(|pod| pod.probe == COMPONENT_PROBE && !pod.terminating);
    let mut nodes: Vec<String> = own.map(|pod| pod.node.clone()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// What the probes have told last. What cannot be read is not there: limits are no condition of a run.
pub(super) async fn read(
    client: &Client,
    namespace: &str,
    everywhere: Answer<Vec<ProbeThere>>,
) -> Vec<LimitFacts> {
    let listed = match everywhere {
        Ok(listed) => listed,
        Err(_) => list(Api::namespaced(client.clone(), namespace)).await.unwrap_or_default(),
    };
    let logs = listed.into_iter().take(MOST).map(|pod| async move {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
        let wanted =
            LogParams { tail_lines: Some(LINES), since_seconds: Some(SECONDS), ..LogParams::default() };
        let log = within(REQUEST_LIMIT, pods.logs(&pod.name, &wanted)).await.unwrap_or_default();
        last(&pod.node, &log)
    });
    let all: Vec<Vec<LimitFacts>> = stream::iter(logs).buffered(AT_A_TIME).collect().await;
    let mut found: BTreeMap<(String, String, String), LimitFacts> = BTreeMap::new();
    for fact in all.into_iter().flatten() {
        // That with the use of two probes, one of which has the rights to read it.
        let known = found.entry((fact.node.clone(), fact.resource.clone(), scope(&fact).to_owned()));
        let known = known.or_insert_with(|| fact.clone());
        if known.used.is_none() {
            *known = fact;
        }
    }
    found.into_values().collect()
}

/// The scope, of which the user ID is only told where the use is.
fn scope(fact: &LimitFacts) -> &str {
    if fact.resource.starts_with("inotify") { "user ID" } else { &fact.scope }
}

/// The last record of each limit in a log.
fn last(node: &str, log: &str) -> Vec<LimitFacts> {
    let records = log.lines().filter_map(|line| record(line.as_bytes()));
    let is_limit = |record: &Map<String, Value>| record.get("record").and_then(Value::as_str) == Some(LIMIT);
    let mut found: BTreeMap<(String, String), LimitFacts> = BTreeMap::new();
    for record in records.filter(is_limit) {
        let text = |field: &str| record.get(field).and_then(Value::as_str).map(str::to_owned);
        let number = |field: &str| record.get(field).and_then(Value::as_u64);
        let fact = LimitFacts {
            node: node.to_owned(),
            boot_id: text("boot_id"),
            resource: text("resource").unwrap_or_default(),
            scope: text("scope").unwrap_or_default(),
            limit: number("limit"),
            used: number("used"),
            source: text("source").unwrap_or_default(),
        };
        found.insert((fact.resource.clone(), fact.scope.clone()), fact);
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_that_has_a_pod_of_the_component_probe_is_named_once() {
        let pod = |probe: &str, node: &str, terminating: bool| ProbeThere {
            probe: probe.into(),
            namespace: "n".into(),
            name: format!("{probe}-{node}"),
            node: node.into(),
            terminating,
        };
        let probes = [
            pod(COMPONENT_PROBE, "b", false),
            pod(COMPONENT_PROBE, "a", false),
            pod(COMPONENT_PROBE, "b", false),
            pod(COMPONENT_PROBE, "c", true),
            pod(NODE_PROBE, "d", false),
        ];
        assert_eq!(component_nodes(&probes), ["a", "b"]);
        let waiting =
            r#"{"metadata": {"name": "p", "namespace": "n", "labels": {}}, "spec": {"containers": []}}"#;
        assert!(ProbeThere::of(serde_json::from_str(waiting).unwrap()).is_none());
    }

    #[test]
    fn the_last_record_of_each_limit_counts_and_other_lines_do_not() {
        let line = |resource: &str, used: u64| {
            format!(
                "{{\"record\":\"limit\",\"time\":\"t\",\"boot_id\":\"b\",\"resource\":\"{resource}\",\"scope\":\"machine\",\
                 \"limit\":100,\"used\":{used},\"source\":\"/proc/x\"}}\n"
            )
        };
        let log = [
            line("pids", 1),
            "{\"record\":\"report\",\"memory_total_bytes\":1}\n".into(),
            line("keys", 7),
            "failed to watch file: no space left on device\n".into(),
            line("pids", 2),
        ];
        let found = last("node-0", &log.concat());
        let told: Vec<_> = found.iter().map(|fact| (fact.resource.as_str(), fact.used)).collect();
        assert_eq!(told, [("keys", Some(7)), ("pids", Some(2))]);
        assert_eq!((found[0].node.as_str(), found[0].boot_id.as_deref()), ("node-0", Some("b")));
    }
}
