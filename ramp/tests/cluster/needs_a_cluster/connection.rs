//! Whole runs through proxies, with a client certificate of X.509 version 1: watches and followed logs too.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ramp_format::run_file::read_run;
use serde_json::{Value, json};

use crate::process::{Namespace, kubectl, left_in, ramp_with, scenario};
use crate::proxy::TestProxy;
use crate::support::rows;
use crate::support::transitions::audit;

/// A name that only the proxies know.
const SERVER: &str = "https://api.test:6443";

/// The cluster of the present kubeconfig, and the address of its server.
fn present() -> (Value, SocketAddr) {
    let text = kubectl(&["config", "view", "--raw", "--flatten", "--minify", "-o", "json"]);
    let config: Value = serde_json::from_str(&text).unwrap();
    let address = config["clusters"][0]["cluster"]["server"]
        .as_str()
        .unwrap()
        .trim_start_matches("https://")
        .to_owned();
    let mut addresses = address.to_socket_addrs().expect("the server has a port and no path");
    (config, addresses.next().unwrap())
}

fn pki(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connection/pki").join(file)
}

/// The present kubeconfig with the server behind a proxy, and a client certificate of version 1 beside the credentials.
fn behind(directory: &Path, config: &Value, proxy_url: Option<&str>) -> PathBuf {
    let mut config = config.clone();
    let cluster = &mut config["clusters"][0]["cluster"];
    let server = cluster["server"].as_str().unwrap().trim_start_matches("https://").to_owned();
    cluster["tls-server-name"] = server.rsplit_once(':').unwrap().0.trim_matches(['[', ']']).into();
    cluster["server"] = SERVER.into();
    if let Some(url) = proxy_url {
        cluster["proxy-url"] = url.into();
    }
    let user = &mut config["users"][0]["user"];
    // The API server asks for a client certificate only if it has an authority for them; the handshake is the same.
    if user["client-certificate-data"].is_null() {
        user["client-certificate"] = json!(pki("rsa.pem"));
        user["client-key"] = json!(pki("rsa.key"));
    }
    let path = directory.join("kubeconfig");
    fs::write(&path, config.to_string()).unwrap();
    path
}

#[test]
#[ignore = "needs a cluster that is set up"]
fn a_run_through_a_proxy_with_a_client_certificate_of_version_1_records_what_a_direct_one_does() {
    let namespace = Namespace::create("ramp-test-connection");
    let directory = tempfile::tempdir().unwrap();
    let (config, server) = present();
    let manifest = scenario("runc/memory-capacity.yaml");
    for (name, scheme, by_environment) in
        [("environment", "http", true), ("proxy-url", "http", false), ("socks", "socks5", false)]
    {
        let proxy = TestProxy::start("127.0.0.1:0", server);
        let url = format!("{scheme}://{}", proxy.address);
        let kubeconfig = behind(directory.path(), &config, (!by_environment).then_some(&url));
        let out = directory.path().join(name);
        let (manifest, directory_of_run) = (manifest.to_str().unwrap(), out.to_str().unwrap());
        let load = "--memory 20M --to 2 --settle 2s --hold 5s --down --namespace";
        let load: Vec<&str> = load.split(' ').chain([namespace.0]).collect();
        let arguments = ["run", manifest, "--engine", "kubernetes", "--out", directory_of_run];
        let proxy_variable = if by_environment { url.as_str() } else { "" };
        let env = [("KUBECONFIG", kubeconfig.to_str().unwrap()), ("HTTPS_PROXY", proxy_variable)];
        let (status, said) =
            ramp_with(&env, &[&arguments[..], &load].concat()).wait_for(Duration::from_secs(300));
        assert!(status.success(), "{name}: {status}: {said}");
        let method = if scheme == "http" { "CONNECT" } else { "SOCKS" };
        let asked = proxy.asked();
        // Requests, watches and followed logs have a connection each.
        assert!(asked.len() > 3, "{name}: {asked:?}");
        assert!(asked.iter().all(|asked| *asked == format!("{method} api.test:6443")), "{name}: {asked:?}");
        for file in ["pods.csv", "nodes.csv", "workloads.csv"] {
            assert!(!rows(&out, file).is_empty(), "{name}: {file} has rows");
        }
        assert_eq!(read_run(&out).unwrap().teardown.unwrap().left, Vec::<String>::new(), "{name}");
        assert!(
            audit(&out).there().is_empty() && left_in(namespace.0) == Vec::<Value>::new(),
            "{name}: {said}"
        );
    }
}
