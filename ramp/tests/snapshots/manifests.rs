//! Errors of malformed manifests. A valid one fails later, because the Podman socket does not exist.

use super::session::{Place, hold};

const DEPLOYMENT: &str = include_str!("../../../deploy/runc/memory-capacity.yaml");

fn planned(place: &Place, arguments: &[&str]) -> String {
    place
        .session(&[&["plan", "a.yaml", "--engine", "podman", "--socket", "nowhere.sock"], arguments].concat())
}

#[test]
fn what_is_no_deployment_of_one_container_is_told_with_what_was_found() {
    let place = Place::new();
    let mut told = vec![planned(&place, &[])];
    for manifest in
        ["", "a: [", "kind: Pod\napiVersion: v1\n", "kind: Deployment\napiVersion: apps/v1\n", "- a\n- b\n"]
    {
        place.put("a.yaml", manifest);
        told.push(format!("$ cat a.yaml\n{manifest}{}", planned(&place, &[])));
    }
    place.put("a.yaml", &format!("{DEPLOYMENT}---\n{DEPLOYMENT}"));
    told.push(format!("two in one file\n{}", planned(&place, &[])));
    hold("wrong_manifests", &told.join("\n"));
}

#[test]
fn a_container_that_is_no_load_is_told_with_what_is_in_the_way() {
    let place = Place::new();
    let mut told = Vec::new();
    for container in [
        "{name: load}",
        "{name: load, image: w, command: [sleep]}",
        "{name: load, image: w, args: [--mem=5M]}",
        "{name: load, image: w, resources: {limits: {memory: 1GB}}}",
        "{name: load, image: w, resources: {requests: {cpu: some}}}",
        // Without arguments it is a load of nothing.
        "{name: load, image: w}",
    ] {
        place.put(
            "a.yaml",
            &format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: load}}\n\
                 spec: {{template: {{spec: {{containers: [{container}]}}}}}}\n"
            ),
        );
        told.push(format!("containers: [{container}]\n{}", planned(&place, &["--memory", "100M"])));
    }
    hold("wrong_containers", &told.join("\n"));
}

#[test]
fn an_engine_that_is_not_there_is_told_with_where_it_was_looked_for() {
    let place = Place::new();
    place.put("a.yaml", DEPLOYMENT);
    let kubernetes = place.session(&["plan", "a.yaml"]);
    let context = place.session(&["run", "a.yaml", "--context", "mine"]);
    hold("no_engine", &[planned(&place, &[]), kubernetes, context].join("\n"));
}
