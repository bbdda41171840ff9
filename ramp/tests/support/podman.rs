//! Podman API service for a single test.
#![allow(dead_code, reason = "each test program uses what it needs")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ramp_format::plan::EngineOptions;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// `podman system service` on a socket in a directory that goes with it. Its files go there as well.
pub(crate) struct Service {
    dir: TempDir,
    child: Child,
}

/// The configuration of a service, in its directory; else that of the caller.
const CONFIGURATION: &str = "containers.conf";

impl Service {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Self::spawn(dir.path()).await;
        Self { dir, child }
    }

    /// A service with this `containers.conf`.
    pub(crate) async fn with(configuration: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIGURATION), configuration).unwrap();
        let child = Self::spawn(dir.path()).await;
        Self { dir, child }
    }

    async fn spawn(dir: &Path) -> Child {
        let socket = dir.join("podman.sock");
        let _ = std::fs::remove_file(&socket);
        let configuration = dir.join(CONFIGURATION);
        let mut command = Command::new("podman");
        if configuration.exists() {
            command.env("CONTAINERS_CONF", configuration);
        }
        let child = command
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        timeout(Duration::from_secs(20), async {
            while tokio::net::UnixStream::connect(&socket).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .expect("podman system service opens its socket");
        child
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }

    pub(crate) fn options(&self) -> EngineOptions {
        EngineOptions { socket: Some(self.socket()), ..EngineOptions::default() }
    }

    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn start_again(&mut self) {
        self.child = Self::spawn(self.dir.path()).await;
    }
}
