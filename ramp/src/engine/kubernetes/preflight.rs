//! What a cluster is and has before the first step: [facts](facts) are gathered in one place, and rules decide what they
//! mean.

mod ask;
mod facts;
mod image;
mod nodes;
mod permissions;
mod probe;
mod quantity;
mod quota;
mod requested;
mod scheduling;
mod stale_runs;
mod template;

use ask::{AskError, FactResult};
use facts::ClusterFacts;
use k8s_openapi::apimachinery::pkg::version::Info;
use quota::PodRequests;
use template::Template;

use crate::engine::{EngineSpec, Failure};
use ramp_format::preflight::{Finding, Preflight, RuntimeClassFacts};

/// The oldest minor version of Kubernetes 1 that has all that is used: `node.k8s.io/v1`.
const OLDEST_MINOR: u32 = 20;

/// Looks at the cluster, and changes nothing.
///
/// # Errors
/// Where the API server does not answer, or does not take who asks.
pub(super) async fn check(
    client: &kube::Client,
    namespace: &str,
    order: &EngineSpec,
) -> Result<Preflight, Failure> {
    let version = match ask::ask(client.apiserver_version()).await {
        // No answer to this is no answer to anything; a version that is kept secret is no more than that.
        Err(AskError::Other(why)) => return Err(unreachable(&why)),
        Err(AskError::Forbidden) => None,
        Ok(version) => Some(version),
    };
    let template = Template::of(order);
    let facts = facts::gather(client, namespace, &template).await;
    Ok(judge(version.as_ref(), &facts, template, namespace, order))
}

fn unreachable(why: &str) -> Failure {
    let message = |way: &str| format!("the API server was asked for its version: {why}. {way}");
    if why.ends_with("(401)") {
        return Failure::permanent(message("The kubeconfig's credentials are not taken, or have expired"));
    }
    Failure::transient(message("See that it is up and that the kubeconfig's context is the one you mean"))
}

/// What the facts mean.
fn judge(
    version: Option<&Info>,
    facts: &ClusterFacts,
    mut template: Template,
    namespace: &str,
    order: &EngineSpec,
) -> Preflight {
    let mut preflight =
        Preflight { findings: std::mem::take(&mut template.findings), ..Preflight::default() };
    versions(&mut preflight, version, facts);
    preflight.findings.extend(permissions::judge(&facts.access, namespace));
    unknown(&mut preflight, facts);
    preflight.findings.extend(namespace_there(&facts.namespace, namespace));
    classes(&mut preflight, facts, &mut template);
    let load = facts.load.as_ref().ok();
    if let Ok(nodes) = &facts.nodes {
        let (judged, findings) = nodes::judge(nodes, &template.wants, load);
        preflight.nodes = judged;
        preflight.findings.extend(findings);
        preflight.findings.extend(image::judge(&template, nodes, &preflight.nodes));
    }
    if let (Ok(deployments), Ok(pods)) = (&facts.deployments, &facts.pods) {
        preflight.findings.extend(stale_runs::judge(deployments, pods, &template, &order.run, namespace));
    }
    if let (Ok(probe), Ok(pods)) = (&facts.probe, &facts.pods) {
        preflight.findings.extend(probe::judge(*probe, pods, &preflight.nodes, namespace));
    }
    limits(&mut preflight, facts, &template, order);
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
    // Some write 20+.
    let number = |text: &str| text.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
    let (major, minor) = (number(&version.major)?, number(&version.minor)?);
    let found = &version.git_version;
    ((major, minor) < (1, OLDEST_MINOR)).then(|| {
        Finding::refusal(format!(
            "Kubernetes {found}, where 1.{OLDEST_MINOR} or later is needed (node.k8s.io/v1)"
        ))
    })
}

/// What could not be learned for another reason than a missing right.
fn unknown(preflight: &mut Preflight, facts: &ClusterFacts) {
    fn why<T>(what: &'static str, known: &FactResult<T>) -> Option<Finding> {
        match known {
            Err(AskError::Other(why)) => Some(Finding::warning(format!("unknown: {what}: {why}"))),
            Err(AskError::Forbidden) | Ok(_) => None,
        }
    }
    let all = [
        why("the API groups", &facts.groups),
        why("whether the namespace is there", &facts.namespace),
        why("whether the PriorityClass is there", &facts.priority_class),
        why("the RuntimeClass", &facts.runtime_class),
        why("what runs on the nodes, and so how many instances fit", &facts.load),
        why("what of earlier runs is left (pods)", &facts.pods),
        why("what of earlier runs is left (Deployments)", &facts.deployments),
        why("whether the node probe is there", &facts.probe),
        why("quotas", &facts.quotas),
        why("limit ranges", &facts.limits),
    ];
    preflight.findings.extend(all.into_iter().flatten());
    if let Err(AskError::Other(why)) = &facts.nodes {
        preflight.findings.push(Finding::refusal(format!("unknown: the nodes: {why}")));
    }
}

fn namespace_there(phase: &FactResult<Option<String>>, namespace: &str) -> Option<Finding> {
    let way = match namespace {
        "workload" => "kubectl apply -k deploy/setup".to_owned(),
        other => format!("kubectl create namespace {other}, and see deploy/setup for what belongs into it"),
    };
    match phase.as_ref().ok()?.as_deref() {
        None => Some(Finding::refusal(format!("there is no namespace {namespace}: {way}"))),
        Some("Terminating") => Some(Finding::refusal(format!(
            "namespace {namespace} is Terminating: wait until it is gone, then {way}"
        ))),
        Some(_) => None,
    }
}

/// The PriorityClass and the RuntimeClass: a pod that names one that is not there is never made.
fn classes(preflight: &mut Preflight, facts: &ClusterFacts, template: &mut Template) {
    if let (Some(name), Ok(false)) = (&template.priority_class, &facts.priority_class) {
        preflight.findings.push(Finding::refusal(format!(
            "there is no PriorityClass {name}, which the manifest names: no pod will be made. kubectl apply -k \
             deploy/setup"
        )));
    }
    let Some(name) = template.runtime_class.clone() else { return };
    match &facts.runtime_class {
        Ok(Some(class)) => {
            preflight.findings.extend(template.add(class));
            match template::runtime_class(class) {
                Ok(facts) => preflight.runtime_class = Some(facts),
                Err(error) => preflight.findings.push(Finding::refusal(format!(
                    "the overhead of RuntimeClass {name} is not understood: {error}"
                ))),
            }
        }
        Ok(None) => preflight.findings.push(no_runtime_class(&name, &facts.runtime_classes)),
        Err(_) => {}
    }
}

fn no_runtime_class(name: &str, there: &FactResult<Vec<String>>) -> Finding {
    let those = match there {
        Ok(names) if names.is_empty() => "there are none at all".to_owned(),
        Ok(names) => format!("there are: {}", names.join(", ")),
        Err(_) => "those that there are cannot be listed".to_owned(),
    };
    Finding::refusal(format!(
        "there is no RuntimeClass {name}, so no pod will be made; {those}. Choose with --runtime (default is the nodes' \
         usual one), or make it as in deploy/examples"
    ))
}

fn limits(preflight: &mut Preflight, facts: &ClusterFacts, template: &Template, order: &EngineSpec) {
    let container = &order.scenario.container;
    if let Ok(quotas) = &facts.quotas {
        let overhead: Option<&RuntimeClassFacts> = preflight.runtime_class.as_ref();
        let instance = PodRequests::new(container, overhead, template.priority_class.as_ref());
        let (left, findings) = quota::quotas(quotas, &instance);
        preflight.quotas = left;
        preflight.findings.extend(findings);
    }
    if let Ok(ranges) = &facts.limits {
        preflight.findings.extend(quota::limits(ranges, container));
    }
}

/// Names for a message: a few, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const FEW: usize = 5;
    match names.len().checked_sub(FEW) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..FEW].join(", ")),
    }
}

#[cfg(test)]
mod tests;
