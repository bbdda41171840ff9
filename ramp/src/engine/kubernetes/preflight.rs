//! Preflight: [facts](facts) about the cluster are gathered in one place, and rules decide what they mean.

mod admission;
mod facts;
mod image;
mod limits;
mod mixed;
mod nodes;
mod owners;
mod permissions;
mod placement;
mod probe;
mod quantity;
mod quota;
mod requested;
mod stale_runs;
mod template;
mod wording;

use facts::ClusterFacts;
use k8s_openapi::api::node::v1::RuntimeClass;
use k8s_openapi::apimachinery::pkg::version::Info;
use quota::PodRequests;
use serde_json::Value;
use template::Template;

use super::kubeconfig::ServerIdentity;
use super::manifest;
use super::request::{Answer, REQUEST_LIMIT, RequestError, within};
use super::scheduling::PodConstraints;
use crate::engine::manifest_support::above_limit;
use crate::engine::{EngineSpec, Failure};
use ramp_format::preflight::{AdmittedResources, Finding, Preflight};
use workload::quantity::Cores;

/// The oldest minor version of Kubernetes 1 with everything that is used: `node.k8s.io/v1`.
const OLDEST_MINOR: u32 = 20;

/// Looks at the cluster, and changes nothing.
///
/// # Errors
/// If the API server does not answer, or rejects the credentials.
pub(super) async fn check(
    client: &kube::Client,
    server: &ServerIdentity,
    namespace: &str,
    order: &EngineSpec,
) -> Result<(Preflight, PodConstraints), Failure> {
    let version = match within(REQUEST_LIMIT, client.apiserver_version()).await {
        Ok(version) => Some(version),
        // A server that keeps its version secret answers all the same.
        Err(error) if error.status() == Some(403) => None,
        Err(error) => return Err(unreachable(&error, server)),
    };
    let access = facts::access(client, namespace).await.map_err(|error| silent(&error, server))?;
    let manifest = manifest::of(order, namespace);
    let mut template = Template::of(order, &manifest);
    let facts = facts::gather(client, access, namespace, &manifest, template.runtime_class.as_deref()).await;
    let mut preflight = judge(version.as_ref(), &facts, &mut template, &manifest, (server, namespace), order);
    preflight.limits = limits::read(client, namespace, facts.probes).await;
    Ok((preflight, template.wants))
}

/// What was found for each of these runtimes of a mixed run, in this order; of a run of one runtime what was found.
pub(super) fn merged(mix: &[String], all: Vec<Preflight>) -> Preflight {
    mixed::merged(mix, all)
}

/// What the pods of a run require of nodes, for a process that has made no preflight.
pub(super) async fn constraints(
    client: &kube::Client,
    order: &EngineSpec,
    manifest: &Value,
) -> PodConstraints {
    let mut template = Template::of(order, manifest);
    if let Some(name) = template.runtime_class.clone() {
        let classes: kube::Api<RuntimeClass> = kube::Api::all(client.clone());
        // Without permission to read it, by the manifest alone.
        if let Ok(class) = within(REQUEST_LIMIT, classes.get(&name)).await {
            template.add(&class);
        }
    }
    template.wants
}

fn unreachable(error: &RequestError, server: &ServerIdentity) -> Failure {
    let ServerIdentity { place, user } = server;
    // Errors of the connection name the server already.
    let why = match error {
        RequestError::Silence(_) | RequestError::Refused { .. } => format!("{place}: {}", error.message()),
        RequestError::Unreachable(_) | RequestError::Misconfigured(_) => error.message(),
    };
    let message = |advice: &str| format!("cannot get the version of the API server: {why}; {advice}");
    if let RequestError::Misconfigured(what_and_advice) = error {
        return Failure::permanent(format!("cannot get the version of the API server: {what_and_advice}"));
    }
    if error.status() == Some(401) {
        return Failure::permanent(message(&format!(
            "the credentials of {user} are rejected: log in again, renew them in the kubeconfig, or choose another context (--context)"
        )));
    }
    Failure::transient(message("check that it is up, and the context of the kubeconfig (--context)"))
}

/// An API server that has given its version, and does not answer what it has to look up.
fn silent(error: &RequestError, server: &ServerIdentity) -> Failure {
    Failure::transient(format!(
        "cannot check permissions: {}: {}, although it has answered with its version; check its state (kubectl get --raw \
         '/readyz?verbose'), and try again",
        server.place,
        error.message()
    ))
}

/// What the facts mean.
fn judge(
    version: Option<&Info>,
    facts: &ClusterFacts,
    template: &mut Template,
    manifest: &Value,
    (server, namespace): (&ServerIdentity, &str),
    order: &EngineSpec,
) -> Preflight {
    let mut preflight = Preflight::default();
    versions(&mut preflight, version, facts);
    preflight.findings.extend(permissions::judge(&facts.access, namespace, server));
    unknown(&mut preflight, facts);
    let namespace_missing = namespace_missing(&facts.namespace, namespace);
    let class_missing = classes(&mut preflight, facts, template);
    // Both would be refused by admission too, in other words.
    if namespace_missing.is_none() && !class_missing {
        let load = &order.scenario.container.name;
        let may_not_create = permissions::may_not_create(&facts.access);
        preflight.findings.extend(facts.dry_run.judge(manifest, load, may_not_create));
    }
    preflight.findings.extend(admission::declared_sidecars(&order.scenario));
    preflight.findings.extend(namespace_missing);
    preflight.findings.append(&mut template.findings);
    let load = facts.load.as_ref().ok();
    if let Ok(nodes) = &facts.nodes {
        let (judged, findings) = nodes::judge(nodes, &template.wants, load);
        preflight.nodes = judged;
        preflight.findings.extend(findings);
        preflight.findings.extend(image::judge(template, nodes, &preflight.nodes));
        let spec = facts.dry_run.admitted().unwrap_or(&manifest["spec"]["template"]["spec"]);
        let labels = &manifest["spec"]["template"]["metadata"]["labels"];
        preflight.bounds = placement::bounds(spec, labels, nodes, &preflight.nodes, load);
    }
    if let (Ok(deployments), Ok(pods)) = (&facts.deployments, &facts.pods) {
        preflight.findings.extend(stale_runs::judge(deployments, pods, template, &order.run, namespace));
    }
    preflight.findings.extend(owners::judge(facts, manifest));
    if let (Ok(probe), Ok(pods)) = (&facts.probe, &facts.pods) {
        preflight.findings.extend(probe::judge(*probe, pods, &preflight.nodes, namespace));
    }
    preflight.component_probes = facts.probes.as_deref().ok().map(limits::component_nodes);
    quotas(&mut preflight, facts, template, order);
    let mut needs = order.scenario.needs();
    if let Some(resources) = facts.dry_run.resources(&order.scenario) {
        preflight.admitted = Some(AdmittedResources {
            memory_request_bytes: resources.memory_request.map(|bytes| bytes.0),
            cpu_request_nano_cores: resources.cpu_request.map(Cores::as_nano),
            memory_limit_bytes: resources.load_limit.map(|bytes| bytes.0),
        });
        needs.resources = resources;
    }
    preflight.findings.extend(above_limit(&needs));
    preflight.findings.extend(order.scenario.malformed_arguments().map(|why| {
        Finding::warning(format!("each instance will exit when it starts: {why}; correct the manifest"))
    }));
    preflight
}

fn versions(preflight: &mut Preflight, version: Option<&Info>, facts: &ClusterFacts) {
    if let Some(version) = version {
        preflight.versions.insert("kubernetes".into(), version.git_version.clone());
        preflight.findings.extend(too_old(version));
    }
    let openshift = ["config.openshift.io", "apps.openshift.io"];
    let groups = facts.groups.as_deref().unwrap_or_default();
    if let Some(group) = openshift.into_iter().find(|group| groups.iter().any(|found| found == group)) {
        preflight.versions.insert("openshift".into(), format!("yes (API group {group})"));
    }
    let infos = facts.nodes.iter().flatten().filter_map(|node| node.status.as_ref()?.node_info.as_ref());
    let mut kubelets: Vec<&str> = infos.map(|info| info.kubelet_version.as_str()).collect();
    kubelets.sort_unstable();
    kubelets.dedup();
    if !kubelets.is_empty() {
        preflight.versions.insert("kubelet".into(), kubelets.join(", "));
    }
}

fn too_old(version: &Info) -> Option<Finding> {
    // Some servers write 20+.
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
    let (major, minor) = (number(&version.major)?, number(&version.minor)?);
    let found = &version.git_version;
    ((major, minor) < (1, OLDEST_MINOR)).then(|| {
        Finding::refusal(format!(
            "Kubernetes {found} is too old: 1.{OLDEST_MINOR} or later is required (node.k8s.io/v1); use a newer cluster"
        ))
    })
}

/// Requests that failed. A missing permission is reported by the access reviews, unless these failed too.
fn unknown(preflight: &mut Preflight, facts: &ClusterFacts) {
    let untold = facts.access.iter().any(|review| review.granted.is_err());
    let why = |error: &RequestError| (untold || error.status() != Some(403)).then(|| error.message());
    fn error<T>(fact: &Answer<T>) -> Option<&RequestError> {
        fact.as_ref().err()
    }
    let all = [
        ("the API groups", error(&facts.groups)),
        ("whether the namespace exists", error(&facts.namespace)),
        ("the RuntimeClass", error(&facts.runtime_class)),
        ("what runs on the nodes, so how many instances fit", error(&facts.load)),
        ("leftovers of earlier runs (pods)", error(&facts.pods)),
        ("leftovers of earlier runs (Deployments)", error(&facts.deployments)),
        ("whether a HorizontalPodAutoscaler scales the Deployment", error(&facts.autoscalers)),
        ("whether the node probe exists", error(&facts.probe)),
        ("quotas", error(&facts.quotas)),
    ];
    for (what, error) in all {
        let why = error.and_then(why);
        preflight.findings.extend(why.map(|why| Finding::warning(format!("unknown: {what}: {why}"))));
    }
    if let Some(why) = error(&facts.nodes).and_then(why) {
        preflight.findings.push(Finding::refusal(format!("unknown: the nodes: {why}")));
    }
}

fn namespace_missing(phase: &Answer<Option<String>>, namespace: &str) -> Option<Finding> {
    let create = match namespace {
        "workload" => "kubectl apply -k deploy/setup".to_owned(),
        other => format!("kubectl create namespace {other}"),
    };
    match phase.as_ref().ok()?.as_deref() {
        None => Some(Finding::refusal(format!(
            "namespace {namespace:?} does not exist; create it with: {create}"
        ))),
        Some("Terminating") => Some(Finding::refusal(format!(
            "namespace {namespace:?} is Terminating; wait until it is gone, then create it with: {create}"
        ))),
        Some(_) => None,
    }
}

/// What the RuntimeClass, and admission, add to the template. Whether the RuntimeClass is missing.
fn classes(preflight: &mut Preflight, facts: &ClusterFacts, template: &mut Template) -> bool {
    if let Some(spec) = facts.dry_run.admitted() {
        template.findings.clear();
        template.constrain(spec);
    }
    let (Some(name), Ok(found)) = (&template.runtime_class, &facts.runtime_class) else { return false };
    let Some(class) = found else {
        preflight.findings.push(no_runtime_class(name, &facts.runtime_classes));
        return true;
    };
    match template::runtime_class(class) {
        Ok(facts) => preflight.runtime_class = Some(facts),
        Err(error) => preflight.findings.push(Finding::refusal(format!(
            "RuntimeClass {name:?} has an invalid overhead: {error}; correct it"
        ))),
    }
    template.add(class);
    false
}

fn no_runtime_class(name: &str, all: &Answer<Vec<String>>) -> Finding {
    let available = match all {
        Ok(names) if names.is_empty() => "none".to_owned(),
        Ok(names) => names.join(", "),
        Err(_) => "unknown".to_owned(),
    };
    Finding::refusal(format!(
        "RuntimeClass {name:?} does not exist; available: {available}; choose one with --runtime (default: none), or \
         create it as in deploy/examples"
    ))
}

fn quotas(preflight: &mut Preflight, facts: &ClusterFacts, template: &Template, order: &EngineSpec) {
    let Ok(quotas) = &facts.quotas else { return };
    let overhead = preflight.runtime_class.as_ref();
    let resources = facts.dry_run.resources(&order.scenario);
    let resources = resources.as_ref().unwrap_or(&order.scenario.resources);
    let instance = PodRequests { resources, overhead, priority_class: template.priority_class.as_ref() };
    let (left, findings) = quota::judge(quotas, &instance);
    preflight.findings.extend(findings);
    // That not even one fits is the API server's to say, unless it could not be asked.
    let told = left.iter().filter(|quota| quota.instances > 0 || !facts.dry_run.is_refused());
    preflight.findings.extend(told.map(quota::bound));
    preflight.quotas = left;
}

#[cfg(test)]
mod tests;
