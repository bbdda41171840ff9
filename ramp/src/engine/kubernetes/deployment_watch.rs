//! Watch of the Deployments that runs have made: changes of this run's own by others, and other runs in the namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::deployment::REMOVED_BY;
use super::managed_fields::{Author, author};
use super::own_requests::{OwnRequests, number};
use super::request::{optional, within};
use super::watch::Sink;
use crate::engine::{Event, Events, Notice, RUN_LABEL, Rescaled};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

/// Time limit of the requests that tell who has removed the Deployment: changes are to be told within two seconds.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// Changed fields that are told of one change.
const FIELDS_TOLD: usize = 3;

/// Longest value of a field in a message.
const LONGEST_VALUE: usize = 60;

/// The manager of the controllers, the HorizontalPodAutoscaler's among them.
const CONTROLLER_MANAGER: &str = "kube-controller-manager";

/// A Deployment that a run has made.
#[derive(Debug)]
pub(super) struct ObservedDeployment {
    name: String,
    run: String,
    uid: String,
    version: u64,
    replicas: u32,
    /// The rest of its spec.
    spec: Value,
    managers: Vec<ManagedFieldsEntry>,
    is_deleted: bool,
    /// Who has announced its removal.
    removed_by: Option<String>,
}

fn observed(object: &Deployment) -> Option<ObservedDeployment> {
    let mut spec = serde_json::to_value(&object.spec).ok()?;
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("replicas");
    }
    let replicas = object.spec.replicas.unwrap_or(1);
    Some(ObservedDeployment {
        name: object.name_any(),
        run: object.labels().get(RUN_LABEL)?.clone(),
        uid: object.uid().unwrap_or_default(),
        version: number(object.metadata.resource_version.as_deref()),
        replicas: u32::try_from(replicas).unwrap_or_default(),
        spec,
        managers: object.managed_fields().to_vec(),
        is_deleted: object.metadata.deletion_timestamp.is_some(),
        removed_by: object.annotations().get(REMOVED_BY).cloned(),
    })
}

/// Tells each change that ramp has not made, once, with who made it where that is known.
pub(super) struct DeploymentWatch {
    client: Client,
    namespace: String,
    name: String,
    run: String,
    events: Events,
    own: OwnRequests,
    /// What ramp has requested of the other Deployments of a mixed run.
    siblings: Vec<OwnRequests>,
    known: Option<ObservedDeployment>,
    /// Replicas that others have set.
    rescaled: Option<u32>,
    is_removed: bool,
    other_runs: BTreeSet<String>,
}

impl DeploymentWatch {
    pub(super) fn new(
        client: Client,
        (namespace, name): (&str, &str),
        run: &str,
        events: Events,
        own: OwnRequests,
    ) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            run: run.to_owned(),
            events,
            own,
            siblings: Vec::new(),
            known: None,
            rescaled: None,
            is_removed: false,
            other_runs: BTreeSet::new(),
        }
    }

    /// The same beside other Deployments of the run.
    pub(super) fn beside(self, siblings: Vec<OwnRequests>) -> Self {
        Self { siblings, ..self }
    }

    /// Instances of the whole run, of which others have set those of this Deployment.
    fn rescaled(&self, replicas: u32, by: String) -> Event {
        let others: u32 = self.siblings.iter().map(OwnRequests::current).sum();
        Event::Rescaled(Rescaled { instances: replicas.saturating_add(others), by })
    }

    async fn note(&self, object: String, reason: &str, message: String, author: Option<&Author>) {
        let at = author.and_then(|author| author.at);
        self.events.send(Event::Notice(Notice { at, ..Notice::note(object, reason, message) })).await;
    }

    async fn changed_by_others(&self, message: String, author: Option<&Author>) {
        self.note(format!("deployment/{}", self.name), "ChangedByOthers", message, author).await;
    }

    /// Looks at this run's Deployment.
    async fn own(&mut self, now: ObservedDeployment) {
        if self.own.is_removing() || self.is_removed {
            return;
        }
        if now.is_deleted {
            self.removed(now.removed_by.clone()).await;
            return;
        }
        let before = self.own.changed_by_others(now.replicas, now.version);
        let managers = self.known.as_ref().map_or(&[][..], |known| &known.managers);
        if let Some(before) = before {
            let by = author(managers, &now.managers, &["f:spec", "f:replicas"]);
            let message =
                format!("replicas changed from {before} to {} {}", now.replicas, words(by.as_ref()));
            self.changed_by_others(message.clone(), by.as_ref()).await;
            self.rescaled = Some(now.replicas);
            self.events.send(self.rescaled(now.replicas, message)).await;
        } else if self.rescaled.take_if(|replicas| *replicas != now.replicas).is_some() {
            // By ramp again.
            self.events.send(self.rescaled(now.replicas, String::new())).await;
        }
        if let Some(known) =
            self.known.as_ref().filter(|known| known.uid == now.uid && known.spec != now.spec)
        {
            let by = author(managers, &now.managers, &["f:spec"]);
            let message = format!("{} {}", told_fields(&known.spec, &now.spec), words(by.as_ref()));
            self.changed_by_others(message, by.as_ref()).await;
        }
        self.known = Some(now);
    }

    async fn other(&mut self, other: &ObservedDeployment) {
        if other.is_deleted || !self.other_runs.insert(other.run.clone()) {
            return;
        }
        let message = format!(
            "another run has deployment/{} in this namespace ({} replicas): both share the nodes, so the figures of both are \
             affected",
            other.name, other.replicas
        );
        self.note(format!("run/{}", other.run), "OtherRun", message, None).await;
    }

    async fn see(&mut self, now: ObservedDeployment) {
        match now.run == self.run && now.name == self.name {
            true => self.own(now).await,
            // Of that name: one that --force is about to replace.
            false if now.name != self.name || self.known.is_some() => self.other(&now).await,
            false => {}
        }
    }

    /// This run's Deployment is gone, or is being deleted: nothing can come of the run any more.
    async fn removed(&mut self, removed_by: Option<String>) {
        if self.own.is_removing() || self.is_removed {
            return;
        }
        self.is_removed = true;
        let by = removed_by.or_else(|| self.known.as_ref()?.removed_by.clone());
        let message = match by {
            Some(by) => format!("removed by {by}"),
            None if self.namespace_is_deleted().await => {
                format!("deleted with namespace {}, which is being deleted", self.namespace)
            }
            None => "deleted by another client (Kubernetes does not record which)".to_owned(),
        };
        self.changed_by_others(message.clone(), None).await;
        self.events.send(Event::Removed(format!("deployment/{} was {message}", self.name))).await;
    }

    async fn namespace_is_deleted(&self) -> bool {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let found = within(LOOK_LIMIT, namespaces.get(&self.namespace)).await;
        found.is_ok_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
    }

    /// A watch by a label also reports an object that has lost the label as deleted.
    async fn has_lost_its_label(&self) -> bool {
        let Some(known) = &self.known else { return false };
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = optional(within(LOOK_LIMIT, api.get(&self.name)).await);
        let Ok(Some(found)) = found else { return false };
        let is_same = found.uid().as_deref() == Some(&known.uid);
        if !is_same || found.metadata.deletion_timestamp.is_some() {
            return false;
        }
        let by = author(&known.managers, found.managed_fields(), &["f:metadata", "f:labels"]);
        let message = format!("label {RUN_LABEL} removed {}", words(by.as_ref()));
        self.changed_by_others(message, by.as_ref()).await;
        true
    }

    async fn gone(&mut self, removed_by: Option<String>) {
        let is_mine_to_tell = !self.own.is_removing() && !self.is_removed;
        if is_mine_to_tell && !self.has_lost_its_label().await {
            self.removed(removed_by).await;
        }
    }
}

impl Sink for DeploymentWatch {
    type Object = Deployment;
    type Kept = ObservedDeployment;

    fn keep(&self, object: &Deployment) -> Option<ObservedDeployment> {
        observed(object)
    }

    async fn all(&mut self, deployments: Vec<ObservedDeployment>) {
        let is_there = deployments.iter().any(|found| found.name == self.name && found.run == self.run);
        if self.known.is_some() && !is_there {
            self.gone(None).await;
        }
        for found in deployments {
            self.see(found).await;
        }
    }

    async fn changed(&mut self, now: ObservedDeployment) {
        self.see(now).await;
    }

    async fn deleted(&mut self, object: &Deployment) {
        let uid = object.uid();
        if self.known.as_ref().is_some_and(|known| Some(&known.uid) == uid.as_ref()) {
            self.gone(object.annotations().get(REMOVED_BY).cloned()).await;
        } else if let Some(run) = object.labels().get(RUN_LABEL)
            && self.other_runs.remove(run)
        {
            let message = "its deployment has been deleted".to_owned();
            self.note(format!("run/{run}"), "OtherRun", message, None).await;
        }
    }
}

/// The Deployments of a run, one for each group. The first also takes what is of other runs.
pub(super) struct DeploymentWatches(pub(super) Vec<DeploymentWatch>);

impl DeploymentWatches {
    fn of(&mut self, is: impl Fn(&DeploymentWatch) -> bool) -> Option<&mut DeploymentWatch> {
        let at = self.0.iter().position(is).unwrap_or(0);
        self.0.get_mut(at)
    }

    fn of_kept(&mut self, found: &ObservedDeployment) -> Option<&mut DeploymentWatch> {
        self.of(|watch| watch.run == found.run && watch.name == found.name)
    }
}

impl Sink for DeploymentWatches {
    type Object = Deployment;
    type Kept = ObservedDeployment;

    fn keep(&self, object: &Deployment) -> Option<ObservedDeployment> {
        observed(object)
    }

    async fn all(&mut self, deployments: Vec<ObservedDeployment>) {
        let mut rest = deployments;
        for watch in self.0.iter_mut().rev() {
            let is_own = |found: &mut ObservedDeployment| found.run == watch.run && found.name == watch.name;
            let own = rest.extract_if(.., is_own).collect();
            watch.all(own).await;
        }
        for other in rest {
            self.changed(other).await;
        }
    }

    async fn changed(&mut self, now: ObservedDeployment) {
        if let Some(watch) = self.of_kept(&now) {
            watch.changed(now).await;
        }
    }

    async fn deleted(&mut self, object: &Deployment) {
        let uid = object.uid();
        let is_known = |watch: &DeploymentWatch| {
            watch.known.as_ref().is_some_and(|known| Some(&known.uid) == uid.as_ref())
        };
        if let Some(watch) = self.of(is_known) {
            watch.deleted(object).await;
        }
    }
}

/// Who has made a change, in words.
fn words(by: Option<&Author>) -> String {
    let Some(by) = by else { return "by another client (no field manager is recorded)".to_owned() };
    let hint = match (by.manager.as_str(), by.subresource.as_deref()) {
        (CONTROLLER_MANAGER, Some("scale")) => ", as a HorizontalPodAutoscaler does",
        _ => "",
    };
    format!("by {by}{hint}")
}

/// The first fields that differ.
fn told_fields(before: &Value, now: &Value) -> String {
    let mut fields = Vec::new();
    differences("spec", before, now, &mut fields);
    let more = fields.len().saturating_sub(FIELDS_TOLD);
    fields.truncate(FIELDS_TOLD);
    let more = if more == 0 { String::new() } else { format!(" and {more} more fields") };
    format!("{}{more} changed", fields.join(", "))
}

fn differences(path: &str, before: &Value, now: &Value, fields: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            for key in keys {
                let [before, now] = [before, now].map(|object| object.get(key).unwrap_or(&Value::Null));
                differences(&format!("{path}.{key}"), before, now, fields);
            }
        }
        // Containers, volumes and the like are known by their names, wherever one is inserted.
        (Value::Array(before), Value::Array(now))
            if before.iter().chain(now).all(|part| part["name"].is_string()) =>
        {
            let [before, now] = [before, now].map(|list| -> BTreeMap<&str, &Value> {
                list.iter().filter_map(|part| Some((part["name"].as_str()?, part))).collect()
            });
            let names: BTreeSet<&str> = before.keys().chain(now.keys()).copied().collect();
            for name in names {
                let [before, now] =
                    [&before, &now].map(|parts| parts.get(name).copied().unwrap_or(&Value::Null));
                differences(&format!("{path}[{name}]"), before, now, fields);
            }
        }
        (Value::Array(before), Value::Array(now)) => {
            for index in 0..before.len().max(now.len()) {
                let [before, now] = [before, now].map(|list| list.get(index).unwrap_or(&Value::Null));
                differences(&format!("{path}[{index}]"), before, now, fields);
            }
        }
        (before, now) if before != now => {
            fields.push(format!("{path} from {} to {}", short(before), short(now)));
        }
        _ => {}
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
