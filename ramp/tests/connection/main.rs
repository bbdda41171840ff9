//! Connections of `ramp plan` to an API server: proxies, TLS, credentials, kubeconfig. Each test is a process with its own environment.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod credentials;
mod in_a_pod;
mod kubeconfig;
mod proxies;
#[path = "../support/proxy.rs"]
mod proxy;
mod server;
mod silence;
mod tls;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use server::pki;

/// A kubeconfig, and the environment beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a kubeconfig with one context.
    fn put(&self, server: &str, user: Value) -> &Self {
        self.put_cluster(json!({"server": server, "certificate-authority": pki("ca.pem")}), user)
    }

    #[allow(clippy::needless_pass_by_value, reason = "it is called with literals")]
    fn put_cluster(&self, cluster: Value, user: Value) -> &Self {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": cluster}], "users": [{"name": "test", "user": user}],
        });
        fs::write(self.path().join("config"), config.to_string()).unwrap();
        self
    }

    /// What `ramp plan` says. It has nothing of the caller's environment.
    fn plan(&self, env: &[(&str, &str)], options: &[&str]) -> String {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/runc/memory-capacity.yaml");
        let Output { stdout, stderr, .. } = self
            .ramp(&["plan", manifest.to_str().unwrap(), "--engine", "kubernetes", "--to", "1"])
            .args(options)
            .envs(env.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap()
    }

    fn ramp(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ramp"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", "/usr/bin:/bin")
            .env("COLUMNS", "1000")
            .env("KUBECONFIG", self.path().join("config"))
            .stdin(Stdio::null());
        command
    }
}

/// Whether the server was reached.
#[track_caller]
fn assert_reached(said: &str) {
    assert!(said.contains("kubernetes v1.34.0"), "{said}");
}

/// Whether `ramp` said all of this, and did not reach the server.
#[track_caller]
fn assert_said(said: &str, parts: &[&str]) {
    assert!(!said.contains("kubernetes v1.34.0"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}
