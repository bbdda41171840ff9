//! Image: its tag, its pull policy, and the nodes that have it.

use k8s_openapi::api::core::v1::Node;

use super::template::Template;
use super::wording::some_of;
use ramp_format::preflight::{Finding, NodeFacts};

/// The number of images that a node lists at most, largest first: the default of the kubelet's `nodeStatusMaxImages`.
const LISTED: usize = 50;

/// What can go wrong with the image.
pub(super) fn judge(template: &Template, nodes: &[Node], facts: &[NodeFacts]) -> Vec<Finding> {
    let image = &template.image;
    let (mut findings, mut lacking, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    let latest = is_latest(image);
    if latest {
        findings.push(Finding::warning(format!(
            "image {image} has no fixed tag: which build ran will be unknown; set a tag or a digest"
        )));
    }
    // The API server's default.
    let usual = if latest { "Always" } else { "IfNotPresent" };
    let policy = template.pull_policy.as_deref().unwrap_or(usual);
    if policy == "Always" {
        findings.push(Finding::warning(format!(
            "imagePullPolicy Always: every instance queries the registry for {image}, which adds to its start time; set \
             IfNotPresent"
        )));
    }
    for node in nodes {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let eligible = facts.iter().any(|fact| fact.eligible && fact.name == name);
        let images = node.status.as_ref().and_then(|status| status.images.as_deref()).unwrap_or_default();
        let mut names = images.iter().flat_map(|image| image.names.iter().flatten());
        if eligible && !names.any(|name| in_full(name) == in_full(image)) {
            if images.len() < LISTED { lacking.push(name) } else { doubtful.push(name) }
        }
    }
    let advice = match policy {
        "Never" => "imagePullPolicy is Never, so load it there first",
        _ => "the first instance there waits for the pull; load it there first to avoid that",
    };
    let may = format!("may lack (the kubelet lists {LISTED} images only)");
    for (which, names) in
        [("lack", lacking), (&may, doubtful)].into_iter().filter(|(_, names)| !names.is_empty())
    {
        let names = some_of(&names);
        findings.push(Finding::warning(format!("nodes {which} image {image}: {names}; {advice}")));
    }
    findings
}

/// Whether it has no digest, and no tag or the tag `latest`.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    !image.contains('@') && name.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// The name with its registry, as container runtimes list it.
fn in_full(image: &str) -> String {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => image.to_owned(),
        Some(_) => format!("docker.io/{image}"),
        None => format!("docker.io/library/{image}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::super::tests::template;
    use super::*;

    fn judged(image: &str, policy: Option<&str>, listed: &[&str]) -> Vec<String> {
        let template =
            Template { image: image.into(), pull_policy: policy.map(str::to_owned), ..template(&json!({})) };
        let images: Vec<_> = listed.iter().map(|name| json!({"names": [name]})).collect();
        let node: Node =
            from_value(json!({"metadata": {"name": "a"}, "status": {"images": images}})).unwrap();
        let fact = NodeFacts { name: "a".into(), eligible: true, ..NodeFacts::default() };
        let findings = judge(&template, &[node], &[fact]);
        assert!(findings.iter().all(|finding| !finding.refuses));
        findings.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn an_image_with_a_tag_that_the_nodes_have_is_nothing_to_speak_of() {
        assert_eq!(judged("localhost/workload:0.1.0", None, &["localhost/workload:0.1.0"]), [""; 0]);
        assert_eq!(judged("workload:0.1.0", None, &["docker.io/library/workload:0.1.0"]), [""; 0]);
        assert_eq!(judged("org/workload:0.1.0", None, &["docker.io/org/workload:0.1.0"]), [""; 0]);
        assert_eq!(judged("quay.io:443/w@sha256:00", None, &["quay.io:443/w@sha256:00"]), [""; 0]);
    }

    #[test]
    fn latest_is_warned_of_by_name_and_without() {
        for image in ["workload", "localhost:5000/workload", "workload:latest"] {
            let messages = judged(image, None, &[&in_full(image)]);
            assert!(messages[0].contains("has no fixed tag"), "{image}: {messages:?}");
            assert!(messages[1].contains("imagePullPolicy Always"), "{image}: {messages:?}");
        }
    }

    #[test]
    fn a_node_that_does_not_list_the_image_may_still_have_it() {
        assert!(judged("w:1", None, &["w:2"])[0].starts_with("nodes lack image w:1: a;"));
        assert!(judged("w:1", Some("Never"), &[])[0].contains("Never"));
        assert!(
            judged("w:1", None, &["w:2"; 50])[0]
                .starts_with("nodes may lack (the kubelet lists 50 images only) image w:1: a;")
        );
    }
}
