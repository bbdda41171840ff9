//! Files of `KUBECONFIG`, contexts, clusters and users.

use std::fs;

use serde_json::json;

use crate::server::Server;
use crate::{Place, assert_reached, assert_said};

#[test]
fn files_of_the_list_are_merged_and_may_be_missing_or_empty() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let place = Place::new();
    place.put(&format!("https://{}", server.address), json!({"token": "t"}));
    fs::write(place.path().join("empty"), "").unwrap();
    fs::write(
        place.path().join("first"),
        "kind: Config\ncurrent-context: ''\nusers: [{name: test, user: {token: first}}]\n",
    )
    .unwrap();
    assert_reached(&place.plan(&[("KUBECONFIG", "nowhere:first::empty:config")], &[]));
    let sent = server.versions()[0].authorization.clone();
    assert_eq!(sent.as_deref(), Some("Bearer first"), "the first file that names a user wins");
    fs::create_dir(place.path().join(".kube")).unwrap();
    fs::rename(place.path().join("config"), place.path().join(".kube/config")).unwrap();
    assert_reached(&place.plan(&[("KUBECONFIG", "")], &[]));
}

#[test]
fn a_file_that_is_invalid_is_named_and_its_secrets_are_not_shown() {
    let place = Place::new();
    place.put("https://localhost:1", json!({}));
    fs::write(place.path().join("broken"), "users:\n- name: u\n  user: {token: secret\n").unwrap();
    // In a pod as well it is not passed over for the service account.
    let said = place.plan(&[("KUBECONFIG", "config:broken"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")], &[]);
    assert_said(
        &said,
        &["kubeconfig broken is invalid: line ", "; correct it, or set KUBECONFIG to another file"],
    );
    assert!(!said.contains("secret"), "{said}");
    assert_said(&place.plan(&[("KUBECONFIG", "/")], &[]), &["kubeconfig / cannot be read: Is a directory"]);
}

#[test]
fn what_a_context_lacks_is_said_with_what_there_is() {
    let place = Place::new();
    let config = json!({
        "contexts": [
            {"name": "a", "context": {"cluster": "gone"}}, {"name": "b", "context": {"cluster": "here", "user": "gone"}},
            {"name": "c", "context": {"cluster": ""}}, {"name": "d", "context": {"cluster": "serverless"}},
            {"name": "e", "context": {"cluster": "odd"}},
        ],
        "clusters": [
            {"name": "here", "cluster": {"server": "https://localhost:1"}}, {"name": "serverless", "cluster": {}},
            {"name": "odd", "cluster": {"server": "ftp://localhost"}},
        ],
        "users": [{"name": "someone", "user": {}}],
    });
    fs::write(place.path().join("config"), config.to_string()).unwrap();
    let plan = |options: &[&str]| place.plan(&[("KUBECONFIG", "config")], options);
    assert_said(
        &plan(&[]),
        &["no current-context in kubeconfig config; choose one with --context; available: a, b, c, d, e"],
    );
    assert_said(
        &plan(&["--context", "x"]),
        &["context \"x\" does not exist in kubeconfig config", "available: a, b, c, d, e"],
    );
    assert_said(
        &plan(&["--context", "a"]),
        &["cluster \"gone\" of context \"a\" does not exist", "available: here, serverless, odd"],
    );
    assert_said(
        &plan(&["--context", "b"]),
        &["user \"gone\" of context \"b\" does not exist", "available: someone"],
    );
    assert_said(&plan(&["--context", "c"]), &["context \"c\" of kubeconfig config has no cluster"]);
    assert_said(
        &plan(&["--context", "d"]),
        &["context \"d\" of kubeconfig config: its cluster has no server; expected"],
    );
    assert_said(
        &plan(&["--context", "e"]),
        &["invalid server \"ftp://localhost\"; expected https://HOST:PORT"],
    );
}

#[test]
fn the_servers_path_and_the_user_to_act_for_are_sent() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let place = Place::new();
    place.put(
        &format!("https://{}/k8s/clusters/c-1", server.address),
        json!({"token": "t", "as": "somebody"}),
    );
    assert_reached(&place.plan(&[], &[]));
    let request = &server.versions()[0];
    assert_eq!(
        (request.path.as_str(), request.impersonate.as_deref()),
        ("/k8s/clusters/c-1/version", Some("somebody"))
    );
}

#[test]
fn without_any_configuration_it_is_said_where_it_was_looked_for() {
    let place = Place::new();
    let said = place.plan(&[("KUBECONFIG", "one:two")], &[]);
    assert_said(
        &said,
        &[
            "one, two (KUBECONFIG) does not exist or is empty",
            "this is not a pod (no KUBERNETES_SERVICE_HOST); set KUBECONFIG",
        ],
    );
    let said = place.plan(&[("KUBECONFIG", "")], &[]);
    assert_said(&said, &[".kube/config (KUBECONFIG is not set) does not exist or is empty"]);
    let pod =
        [("KUBECONFIG", ""), ("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "443")];
    assert_said(&place.plan(&pod, &[]), &["the service account of this pod cannot be used ("]);
    let said = place.plan(&[("KUBECONFIG", "one")], &["--context", "x"]);
    assert_said(&said, &["kubeconfig one does not exist or is empty; set KUBECONFIG"]);
}

#[test]
fn a_server_that_is_not_reached_is_named_with_its_context() {
    let place = Place::new();
    let said = place.put("https://localhost:1", json!({})).plan(&[], &[]);
    assert_said(
        &said,
        &[
            "cannot get the version of the API server: https://localhost:1 (context \"test\"): ",
            "Connection refused",
            "check that it is up, and the context of the kubeconfig (--context)",
        ],
    );
    let said = place.put("https://nowhere.invalid", json!({})).plan(&[], &[]);
    assert_said(&said, &["https://nowhere.invalid (context \"test\"): dns error"]);
}
