//! Admission: a server-side dry run of the Deployment and of one of its pods, nothing of which is stored.
//!
//! The API server itself validates them, and applies quotas, LimitRanges, Pod Security, PriorityClass and RuntimeClass,
//! admission policies and webhooks. It does so for the user of `ramp`, while the pods of a run are created by the
//! ReplicaSet controller: a policy that distinguishes between the two can decide otherwise.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use serde_json::{Value, from_value, json};

use super::super::deployment;
use super::super::request::{Answer, REQUEST_LIMIT, RequestError, within};
use super::quantity;
use super::wording::some_of;
use ramp_format::preflight::Finding;
use ramp_format::scenario::Scenario;
use ramp_format::scenario::resources::PodResources;
use ramp_format::sidecar::Sidecar;

/// Longer messages of the API server are cut.
const LONGEST_MESSAGE: usize = 700;

/// What to do, by what the API server's message contains. The first that matches is given.
const ADVICE: [(&str, &str); 8] = [
    ("exceeded quota", "raise the ResourceQuota, or use another namespace"),
    ("failed quota", "set it in the manifest, or use a namespace without a ResourceQuota"),
    (" per Container", "change the resources in the manifest, or use a namespace without a LimitRange"),
    (" per Pod", "change the resources in the manifest, or use a namespace without a LimitRange"),
    ("failed calling webhook", "ask its owner to repair it, or use a namespace that it does not select"),
    ("namespaces \"", "create the namespace"),
    ("no PriorityClass", "create it with: kubectl apply -k deploy/setup"),
    ("PodSecurity", "set the securityContext as the scenarios in deploy/ do, or use another namespace"),
];

/// The answers to the dry runs, with the objects as they would be stored.
pub(super) struct DryRun {
    pub(super) deployment: Answer<DynamicObject>,
    pub(super) pod: Answer<DynamicObject>,
}

impl DryRun {
    /// Creates the Deployment and a pod of it with `dryRun=All`.
    pub(super) async fn of(client: &Client, namespace: &str, manifest: &Value) -> Self {
        let deployments = deployment::api(client, namespace);
        let pods: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<Pod>(&()));
        let (deployment, pod) =
            tokio::join!(create(&deployments, manifest.clone()), create(&pods, pod(manifest)));
        Self { deployment, pod }
    }

    /// The spec of the pod after admission.
    pub(super) fn admitted(&self) -> Option<&Value> {
        self.pod.as_ref().ok().map(|pod| &pod.data["spec"])
    }

    /// Resources of the pod after admission: with the defaults of a LimitRange, and without what the server does not know.
    pub(super) fn resources(&self, scenario: &Scenario) -> Option<PodResources> {
        PodResources::of(self.admitted()?, &scenario.container.name).ok()
    }

    /// Whether admission has refused the pod.
    pub(super) fn is_refused(&self) -> bool {
        self.pod.as_ref().err().is_some_and(is_refusal)
    }

    /// What admission refuses, and what it changes; `load` is the name of the load's container.
    ///
    /// Denied permissions are left out if they are reported elsewhere.
    pub(super) fn judge(&self, sent: &Value, load: &str, denied_is_reported: bool) -> Vec<Finding> {
        let deployment = self.deployment.as_ref().err().filter(|error| error.status() != Some(409));
        let pod = self.pod.as_ref().err();
        // An invalid template makes the pod invalid too, and a missing namespace is the same error for both.
        let is_invalid =
            |error: &RequestError| is_refusal(error) && matches!(error.status(), Some(400 | 422));
        let is_news =
            |error: &&RequestError| deployment.is_none_or(|first| first != *error && !is_invalid(first));
        let mut findings = Vec::new();
        for (what, error) in
            [("the Deployment", deployment), ("the pods of the Deployment", pod.filter(is_news))]
        {
            let error = error.filter(|error| !(denied_is_reported && lacks_permission(error)));
            findings.extend(error.map(|error| finding(what, error)));
        }
        if let Some(admitted) = self.admitted() {
            let sent = &sent["spec"]["template"]["spec"];
            findings.extend(changes(sent, admitted, load));
            findings.extend(ignored(sent, admitted));
        }
        findings
    }
}

async fn create(api: &Api<DynamicObject>, object: Value) -> Answer<DynamicObject> {
    let object: DynamicObject =
        from_value(object).map_err(|error| RequestError::Unreachable(format!("the manifest: {error}")))?;
    let params = PostParams { dry_run: true, ..PostParams::default() };
    within(REQUEST_LIMIT, api.create(&params, &object)).await
}

/// A pod as the ReplicaSet controller creates it. Policies against pods without an owner are to let it pass.
fn pod(manifest: &Value) -> Value {
    let template = &manifest["spec"]["template"];
    let name = format!("{}-", manifest["metadata"]["name"].as_str().unwrap_or_default());
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("{name}dry-run"),
        "uid": "00000000-0000-0000-0000-000000000000", "controller": true});
    json!({"apiVersion": "v1", "kind": "Pod", "spec": template["spec"], "metadata": {
        "generateName": name, "labels": template["metadata"]["labels"],
        "annotations": template["metadata"]["annotations"], "ownerReferences": [owner]}})
}

/// Whether authorization refused the request.
fn lacks_permission(error: &RequestError) -> bool {
    error.status() == Some(403) && error.message().contains(" cannot create resource ")
}

/// Whether admission or validation refused the object, in contrast to a request that failed.
fn is_refusal(error: &RequestError) -> bool {
    let message = error.message();
    match error.status() {
        Some(400) => !message.contains("does not support dry run"),
        Some(403) => !lacks_permission(error),
        Some(status) => matches!(status, 404 | 406..=428) || message.contains("failed calling webhook"),
        None => false,
    }
}

fn finding(what: &str, error: &RequestError) -> Finding {
    let message = match error {
        RequestError::Refused { message, .. } => message.clone(),
        other => other.message(),
    };
    if !is_refusal(error) {
        return Finding::warning(format!("unknown: what admission says of {what}: {message}"));
    }
    let advice = ADVICE.iter().find(|(part, _)| message.contains(part));
    let advice =
        advice.map_or("correct the manifest, or ask the cluster's administrator", |(_, advice)| advice);
    let mut short: String = message.chars().take(LONGEST_MESSAGE).collect();
    if short.len() < message.len() {
        short.push('…');
    }
    Finding::refusal(format!("the API server refuses {what}: {short}; {advice}"))
}

/// What admission has changed of the pod that changes the experiment.
fn changes(sent: &Value, admitted: &Value, load: &str) -> Vec<Finding> {
    let mut changed = Vec::new();
    for (list, resource) in
        [("limits", "memory"), ("limits", "cpu"), ("requests", "memory"), ("requests", "cpu")]
    {
        let of = |spec: &Value, list: &str| {
            let container =
                containers(spec).find(|container| container["name"].as_str().unwrap_or_default() == load)?;
            container["resources"][list].get(resource).map(text)
        };
        // The API server's default for a request is the limit.
        let asked = of(sent, list).or_else(|| of(sent, "limits").filter(|_| list == "requests"));
        let number = |text: &String| quantity::number(resource, text).ok();
        let Some(got) = of(admitted, list) else { continue };
        if asked.as_ref().is_none_or(|asked| number(asked) != number(&got)) {
            changed.push(format!("{list}.{resource} from {} to {got}", asked.as_deref().unwrap_or("none")));
        }
    }
    let is_sent = |name: &&Value| containers(sent).any(|container| container["name"] == **name);
    let added = containers(admitted).filter(|container| !is_sent(&&container["name"]));
    let added: Vec<String> = added.map(described).collect();
    let changed = (!changed.is_empty()).then(|| {
        Finding::refusal(format!(
            "admission changes the resources of each instance: {}; set them in the manifest, or use a namespace without the \
             LimitRange or webhook that does it",
            changed.join(", ")
        ))
    });
    let added = (!added.is_empty()).then(|| {
        Finding::warning(format!(
            "admission adds containers to each instance, which are measured with it: {}; their memory is included in each figure per \
             instance and not told apart; use a namespace without injection",
            added.join(", ")
        ))
    });
    changed.into_iter().chain(added).collect()
}

/// Containers of the manifest that run beside the load.
pub(super) fn declared_sidecars(scenario: &Scenario) -> Option<Finding> {
    let own = scenario.container.name.as_str();
    let beside = containers(scenario.pod_spec()).filter(|container| container["name"] != own);
    let names: Vec<String> = beside.map(described).collect();
    (!names.is_empty()).then(|| {
        Finding::warning(format!(
            "the pods have containers beside the load: {}; their memory is included in each figure per instance and not told apart; \
             remove them from the manifest to measure the load and the runtime alone",
            names.join(", ")
        ))
    })
}

/// Fields of the pod that the API server does not know: it drops them without a word, as it is not asked to validate strictly.
fn ignored(sent: &Value, admitted: &Value) -> Option<Finding> {
    let mut fields = Vec::new();
    missing("spec.template.spec", sent, admitted, &mut fields);
    (!fields.is_empty()).then(|| {
        Finding::warning(format!(
            "the API server ignores fields of the manifest: {}; correct their names, or remove what this version of Kubernetes \
             does not know",
            some_of(&fields)
        ))
    })
}

/// Fields that have a value and are not there in what was admitted.
fn missing(path: &str, sent: &Value, admitted: &Value, fields: &mut Vec<String>) {
    match (sent, admitted) {
        (Value::Object(sent), Value::Object(admitted)) => {
            for (key, value) in sent.iter().filter(|(_, value)| !is_empty(value)) {
                let path = format!("{path}.{key}");
                match admitted.get(key) {
                    Some(found) => missing(&path, value, found, fields),
                    None => fields.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(admitted)) => {
            for (index, part) in sent.iter().enumerate() {
                // Webhooks insert containers and volumes, which are known by their names.
                let found = match part["name"].as_str() {
                    Some(name) => admitted.iter().find(|found| found["name"] == name),
                    None => admitted.get(index).filter(|_| sent.len() == admitted.len()),
                };
                let name = part["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                if let Some(found) = found {
                    missing(&format!("{path}[{name}]"), part, found, fields);
                }
            }
        }
        _ => {}
    }
}

/// Whether a value is one that the API server leaves out of its answers.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(parts) => parts.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

/// The containers that run as long as the pod: init containers that are restarted always are sidecars (Kubernetes 1.28).
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let of = |list: &str| spec[list].as_array().into_iter().flatten();
    of("containers").chain(of("initContainers").filter(|container| container["restartPolicy"] == "Always"))
}

/// Quantities may be written as numbers.
/// A container by its name and its image.
fn described(container: &Value) -> String {
    let image = container["image"].as_str().unwrap_or("unknown").to_owned();
    Sidecar { container: text(&container["name"]), image }.to_string()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_the_api_server_drops_are_told_and_what_it_adds_or_leaves_out_as_empty_is_not() {
        let container = json!({"name": "a", "resources": {"limits": {"memory": "1Gi"}, "limit": {"cpu": "1"}},
            "env": [{"name": "A", "value": ""}], "stdin": false});
        let sent = json!({"containers": [container], "resources": {"limits": {"memory": "1Gi"}},
            "affinity": {"podAntiAffinity": {}}, "hostNetwork": false, "tolerations": [{"key": "a", "operatr": "Exists"}]});
        let container = json!({"name": "a", "resources": {"limits": {"memory": "1Gi"}, "requests": {"memory": "1Gi"}},
            "env": [{"name": "A"}]});
        let admitted = json!({"containers": [{"name": "proxy"}, container], "tolerations": [{"key": "a"}], "priority": 5});
        let told = ignored(&sent, &admitted).unwrap();
        assert!(!told.refuses);
        assert!(
            told.message.starts_with(
                "the API server ignores fields of the manifest: spec.template.spec.containers[a].resources.limit, \
                 spec.template.spec.resources, spec.template.spec.tolerations[0].operatr; correct"
            ),
            "{}",
            told.message
        );
        assert_eq!(ignored(&admitted, &admitted), None);
    }
}
