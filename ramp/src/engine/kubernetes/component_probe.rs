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
const COMPONENT: &str = "component-probe";

/// Time from one list of its pods to the next: a watch in all namespaces would need one more permission.
const LIST_EVERY: Duration = Duration::from_secs(15);

/// Its pods by namespace.
///
/// # Errors
/// Where pods of all namespaces cannot be listed.
pub(super) async fn pods(client: &Client) -> Answer<BTreeMap<String, Vec<ProbePod>>> {
    let api: Api<PodObject> = Api::all(client.clone());
    let selected = ListParams::default().labels(&format!("{COMPONENT_LABEL}={COMPONENT}"));
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

/// Nodes that have one of its pods.
///
/// # Errors
/// As [`pods`].
pub(super) async fn nodes(client: &Client) -> Answer<Vec<String>> {
    let pods = pods(client).await?.into_values().flatten();
    let mut nodes: Vec<String> = pods.filter(|pod| !pod.terminating).map(|pod| pod.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    Ok(nodes)
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
