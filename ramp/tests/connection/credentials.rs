//! Tokens, exec plugins and auth providers.

use std::fs;

use serde_json::{Value, json};

use crate::server::Server;
use crate::{Place, assert_reached, assert_said};

const EXEC: &str = "client.authentication.k8s.io/v1";

/// A plugin that is a shell script.
fn plugin(script: &str) -> Value {
    json!({"exec": {
        "apiVersion": EXEC, "command": "sh", "args": ["-c", script], "interactiveMode": "IfAvailable", "provideClusterInfo": true,
        "env": [{"name": "WHO", "value": "plugin"}],
    }})
}

fn answered(status: &Value) -> String {
    let answer = json!({"kind": "ExecCredential", "apiVersion": EXEC, "status": status});
    format!("echo '{answer}'")
}

/// An unsigned id-token.
fn id_token(expires: &str) -> String {
    use base64::Engine;
    let claims = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{expires}}}"));
    format!("e30.{claims}.signature")
}

fn header_of(server: &Server) -> Option<String> {
    server.versions().last().unwrap().authorization.clone()
}

#[test]
fn every_kind_of_credential_is_sent() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let (place, url) = (Place::new(), format!("https://{}", server.address));
    fs::write(place.path().join("token"), "of the file\n").unwrap();
    let oidc = id_token("4102444800");
    let oidc_header = format!("Bearer {oidc}");
    let of_plugin = answered(&json!({"token": "of the $WHO"})).replace("$WHO", "'$WHO'");
    for (user, header) in [
        (json!({"token": "inline"}), Some("Bearer inline")),
        (json!({"tokenFile": "token", "token": "inline"}), Some("Bearer of the file")),
        (json!({"tokenFile": "nowhere", "token": "inline"}), Some("Bearer inline")),
        // base64 of me:secret
        (json!({"username": "me", "password": "secret"}), Some("Basic bWU6c2VjcmV0")),
        (plugin(&of_plugin), Some("Bearer of the plugin")),
        (
            json!({"auth-provider": {"name": "oidc", "config": {"id-token": oidc}}}),
            Some(oidc_header.as_str()),
        ),
        (json!({}), None),
    ] {
        assert_reached(&place.put(&url, user).plan(&[], &[]));
        assert_eq!(header_of(&server).as_deref(), header);
    }
}

#[test]
fn a_plugin_is_told_the_cluster_and_that_nobody_can_be_asked() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let (place, url) = (Place::new(), format!("https://{}", server.address));
    let script = format!("echo \"$KUBERNETES_EXEC_INFO\" > told; {}", answered(&json!({"token": "t"})));
    assert_reached(&place.put(&url, plugin(&script)).plan(&[], &[]));
    let told: Value = serde_json::from_str(&fs::read_to_string(place.path().join("told")).unwrap()).unwrap();
    assert_eq!((&told["kind"], &told["apiVersion"]), (&json!("ExecCredential"), &json!(EXEC)));
    assert_eq!(
        (&told["spec"]["interactive"], &told["spec"]["cluster"]["server"]),
        (&json!(false), &json!(url))
    );
    assert!(
        told["spec"]["cluster"]["certificate-authority-data"].as_str().is_some_and(|data| data.len() > 100)
    );
}

#[test]
fn a_plugin_may_answer_with_a_client_certificate() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let (place, url) = (Place::new(), format!("https://{}", server.address));
    let read = |file: &str| fs::read_to_string(crate::pki(file)).unwrap();
    let status = json!({"clientCertificateData": read("client-v1.pem"), "clientKeyData": read("client.key")});
    fs::write(place.path().join("answer"), json!({"kind": "ExecCredential", "status": status}).to_string())
        .unwrap();
    assert_reached(&place.put(&url, plugin("cat answer")).plan(&[], &[]));
    assert!(server.versions()[0].certificate.is_some());
}

#[test]
fn a_plugin_that_gives_no_credentials_is_named_with_the_reason_and_what_to_do() {
    let place = Place::new();
    let old = answered(&json!({"token": "secret", "expirationTimestamp": "2021-01-01T02:00:00+02:00"}));
    for (script, parts) in [
        ("echo not logged in >&2; exit 3", &["failed (exit status: 3): not logged in; log in again"][..]),
        ("echo hello secret", &["did not print valid JSON or YAML; expected an ExecCredential"]),
        ("echo '{\"kind\": \"Secret\"}'", &["printed another kind of object"]),
        ("echo '{\"kind\": \"ExecCredential\"}'", &["printed no status"]),
        ("true", &["printed nothing"]),
        (&answered(&json!({})), &["printed neither a token nor a client certificate"]),
        (&old, &["printed credentials that expired at 2021-01-01T00:00:00Z; log in again"]),
    ] {
        let said = place.put("https://localhost:1", plugin(script)).plan(&[], &[]);
        assert_said(
            &said,
            &[&["https://localhost:1 (context \"test\"): exec plugin \"sh\""], parts].concat(),
        );
        assert!(!said.contains("secret"), "{said}");
    }
    let missing =
        json!({"exec": {"apiVersion": EXEC, "command": "no-such-plugin", "installHint": "brew install it"}});
    let said = place.put("https://localhost:1", missing).plan(&[], &[]);
    assert_said(
        &said,
        &[
            "exec plugin \"no-such-plugin\" of the kubeconfig is not installed; install it",
            ": brew install it",
        ],
    );
    let asks = json!({"exec": {"apiVersion": EXEC, "command": "true", "interactiveMode": "Always"}});
    let said = place.put("https://localhost:1", asks).plan(&[], &[]);
    assert_said(&said, &["needs a terminal (interactiveMode: Always), and standard input is none"]);
}

#[test]
fn auth_providers_that_are_not_supported_are_named_with_their_successor() {
    let place = Place::new();
    let provider = |name: &str, config: Value| json!({"auth-provider": {"name": name, "config": config}});
    for (user, parts) in [
        (provider("gcp", json!({})), &["auth-provider \"gcp\"", "use gke-gcloud-auth-plugin"][..]),
        (provider("azure", json!({})), &["auth-provider \"azure\"", "use kubelogin"]),
        (provider("other", json!({})), &["auth-provider \"other\"", "use an exec plugin"]),
        (provider("oidc", json!({})), &["has no id-token", "kubectl oidc-login"]),
        (
            provider("oidc", json!({"id-token": id_token("1609459200"), "refresh-token": "secret"})),
            &["the id-token of auth-provider \"oidc\" expired at 2021-01-01T00:00:00Z", "kubectl oidc-login"],
        ),
    ] {
        let said = place.put("https://localhost:1", user).plan(&[], &[]);
        assert_said(&said, parts);
        assert!(!said.contains("secret"), "{said}");
    }
}

#[test]
fn a_token_that_is_rejected_or_missing_is_said() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let (place, url) = (Place::new(), format!("https://{}", server.address));
    let said = place.put(&url, json!({"token": "rejected"})).plan(&[], &[]);
    let parts = [
        &format!(
            "{url} (context \"test\"): HTTP 401: Unauthorized; the credentials of user \"test\" of the kubeconfig"
        ),
        "rejected: log in again, renew them in the kubeconfig, or choose another context (--context)",
    ];
    assert_said(&said, &parts);
    let said = place.put(&url, json!({"token": "forbidden"})).plan(&[], &[]);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_said(
        &said,
        &[
            "permissions could not be checked: ",
            &url,
            "user \"test\" of the",
            "HTTP 403: Forbidden; allow create on",
        ],
    );
    assert_said(
        &place.put(&url, json!({"tokenFile": "nowhere"})).plan(&[], &[]),
        &["nowhere\" cannot be read"],
    );
    fs::write(place.path().join("empty"), "\n").unwrap();
    assert_said(
        &place.put(&url, json!({"tokenFile": "empty"})).plan(&[], &[]),
        &["empty\" is empty; expected a bearer token"],
    );
}
