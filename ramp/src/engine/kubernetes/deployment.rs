//! Deployment of a run at the API server: apply, scale, replace.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ApiResource, DeleteParams, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::manifest::PROCESS;
use super::object::PodObject;
use super::request::{REQUEST_LIMIT, RequestError, measured, optional, within};
use crate::engine::{Event, Events, Failure, RUN_LABEL};
use crate::process_id::ProcessId;

/// Field manager for server-side apply.
pub(super) const FIELD_MANAGER: &str = "ramp";

/// Annotation that says who removes a Deployment: the run that has made it may still be running.
pub(super) const REMOVED_BY: &str = "ramp/removed-by";

/// Time limit for the pods of a replaced Deployment to be gone.
const REPLACE_LIMIT: Duration = Duration::from_secs(180);

/// Deployments of a namespace, untyped: the answer is recorded as it is.
pub(super) fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Deployment>(&()))
}

/// A Deployment by its name.
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) events: Option<&'a Events>,
}

impl Target<'_> {
    fn api(&self) -> Api<DynamicObject> {
        api(self.client, self.namespace)
    }

    /// For messages.
    fn here(&self) -> String {
        format!("deployment {}/{}", self.namespace, self.name)
    }

    /// The Deployment, if it exists.
    pub(super) async fn find(&self) -> Result<Option<DynamicObject>, Failure> {
        let (api, name) = (self.api(), self.name);
        optional(measured(self.events, REQUEST_LIMIT, api.get(name)).await)
            .map_err(|trouble| trouble.failure(&format!("reading {}", self.here())))
    }

    /// Creates it by server-side apply.
    pub(super) async fn apply(&self, manifest: &Value) -> Result<DynamicObject, Failure> {
        let api = self.api();
        let how = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(manifest);
        measured(self.events, REQUEST_LIMIT, api.patch(self.name, &how, &patch)).await.map_err(|trouble| {
            let failure = trouble.failure(&format!("applying {}", self.here()));
            match trouble.status() {
                // Before the first step a missing permission does not come by waiting.
                Some(403) => Failure::permanent(failure.message),
                Some(404) => Failure::permanent(format!(
                    "{} (does the namespace exist? create it with: kubectl apply -k deploy/setup)",
                    failure.message
                )),
                _ => failure,
            }
        })
    }

    /// Sets the number of replicas. Returns the resource version with it.
    pub(super) async fn scale(&self, instances: u32) -> Result<Option<String>, Failure> {
        let api = self.api();
        let patch = Patch::Merge(json!({"spec": {"replicas": instances}}));
        let how = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        let answer = measured(self.events, REQUEST_LIMIT, api.patch_scale(self.name, &how, &patch)).await;
        let failed =
            |trouble: RequestError| trouble.failure(&format!("scaling {} to {instances}", self.here()));
        answer.map(|scale| scale.metadata.resource_version).map_err(failed)
    }

    /// Writes this process into the Deployment of a run that an earlier one has begun. Only `ramp clean` and preflight read it.
    pub(super) async fn take_over(&self) {
        if let Some(process) = ProcessId::own() {
            self.annotate(PROCESS, &process.to_string()).await;
        }
    }

    async fn annotate(&self, key: &str, value: &str) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let how = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        // Without the permission the removal is told without who has made it.
        let _ = measured(self.events, REQUEST_LIMIT, self.api().patch(self.name, &how, &patch)).await;
    }

    /// Writes into the Deployment who removes it, for the process of its run.
    pub(super) async fn announce_removal(&self, by: &str) {
        self.annotate(REMOVED_BY, by).await;
    }

    /// Deletes an existing one and waits until its pods are gone: apply would keep fields of other managers, such as
    /// `runtimeClassName`.
    pub(super) async fn replace(&self, found: &DynamicObject) -> Result<(), Failure> {
        let api = self.api();
        self.announce_removal("ramp run --force").await;
        let how = DeleteParams::foreground();
        optional(measured(self.events, REQUEST_LIMIT, api.delete(self.name, &how)).await)
            .map_err(|trouble| trouble.failure(&format!("deleting {}", self.here())))?;
        let pods: Api<PodObject> = Api::namespaced(self.client.clone(), self.namespace);
        let selection = ListParams::default().labels(&match_labels(&found.data)).limit(1);
        let until = Instant::now() + REPLACE_LIMIT;
        self.waits_for(Some("the replaced Deployment and its pods to be gone")).await;
        loop {
            let is_there = self.find().await?.is_some_and(|now| now.metadata.uid == found.metadata.uid);
            if !is_there {
                let left = within(REQUEST_LIMIT, pods.list_metadata(&selection)).await;
                let left =
                    left.map_err(|trouble| trouble.failure("listing pods of the replaced deployment"))?;
                if left.items.is_empty() {
                    self.waits_for(None).await;
                    return Ok(());
                }
            }
            if Instant::now() >= until {
                let seconds = REPLACE_LIMIT.as_secs();
                return Err(Failure::transient(format!(
                    "{} or its pods still exist {seconds} s after its deletion, so it cannot be replaced",
                    self.here()
                )));
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn waits_for(&self, what: Option<&str>) {
        if let Some(events) = self.events {
            events.send(Event::WaitsFor(what.map(str::to_owned))).await;
        }
    }

    /// The failure if one exists.
    pub(super) fn in_the_way(&self, found: &DynamicObject) -> Failure {
        let (here, namespace) = (self.here(), self.namespace);
        Failure::permanent(match run_of(found) {
            Some(run) => format!(
                "{here} already exists and belongs to run {run}: remove it with `ramp clean {run} --namespace {namespace}`, \
                 or replace it with --force"
            ),
            None => format!(
                "{here} already exists and belongs to no run: remove it with `kubectl --namespace {namespace} delete \
                 deployment {}`, or replace it with --force",
                self.name
            ),
        })
    }
}

/// The run that a Deployment belongs to.
pub(super) fn run_of(found: &DynamicObject) -> Option<&str> {
    found.metadata.labels.as_ref()?.get(RUN_LABEL).map(String::as_str)
}

/// The replicas of a Deployment.
pub(super) fn replicas(found: &DynamicObject) -> u32 {
    // The API server's default is 1.
    found.data["spec"]["replicas"].as_u64().map_or(1, |replicas| u32::try_from(replicas).unwrap_or(u32::MAX))
}

fn match_labels(data: &Value) -> String {
    let labels = data["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let pairs: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    pairs.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> DynamicObject {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_deployment_says_whose_it_is_what_it_asks_for_and_which_pods_are_its_own() {
        let of_a_run = found(
            r#"{"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "a", "labels": {"ramp/run": "r1"}},
                "spec": {"replicas": 7, "selector": {"matchLabels": {"a": "1", "b": "2"}}}}"#,
        );
        assert_eq!(run_of(&of_a_run), Some("r1"));
        assert_eq!(replicas(&of_a_run), 7);
        assert_eq!(match_labels(&of_a_run.data), "a=1,b=2");
        let of_none = found(r#"{"metadata": {"name": "a"}, "spec": {}}"#);
        assert_eq!((run_of(&of_none), replicas(&of_none)), (None, 1));
    }
}
