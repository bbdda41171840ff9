//! Each engine, held to it.

use std::path::Path;

use ramp::engine::Order;
use ramp::engine::kubernetes::KubernetesEngine;
use ramp::engine::local::LocalEngine;
use ramp::engine::podman::PodmanEngine;
use ramp::engine::scripted::ScriptedEngine;
use ramp::plan::EngineOptions;
use ramp::scenario::Scenario;

use crate::holds;

#[path = "../support/podman.rs"]
mod service;
#[path = "../support/mod.rs"]
mod support;

/// The study's scenario with instances of 20 MB.
fn order(run: &str, options: EngineOptions) -> Order {
    let scenario = Scenario::embedded().unwrap().with_memory("20M".parse().unwrap()).unwrap();
    Order { run: format!("contract-{run}-{}", std::process::id()), scenario, options }
}

#[tokio::test(start_paused = true)]
async fn scripted() {
    holds(ScriptedEngine::new(support::script()), false).await;
}

#[tokio::test]
async fn local() {
    let options = EngineOptions { budget_bytes: Some(200_000_000), ..EngineOptions::default() };
    // This program is a test: ramp, which is the load, is another one.
    let ramp = Path::new(env!("CARGO_BIN_EXE_ramp"));
    holds(LocalEngine::with_program(order("local", options), ramp).unwrap(), true).await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn podman() {
    let service = service::Service::start().await;
    holds(PodmanEngine::new(order("podman", service.options())).unwrap(), true).await;
}

mod needs_a_cluster {
    use std::process::Command;

    use super::*;

    /// Sets the cluster up.
    fn set_up() {
        let setup = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/setup");
        let probe =
            ["--namespace", "workload", "rollout", "status", "daemonset/node-probe", "--timeout", "60s"];
        for words in [&["apply", "--kustomize", setup][..], &probe] {
            let output = Command::new("kubectl").args(words).output().expect("kubectl is installed");
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    #[tokio::test]
    #[ignore = "needs a cluster"]
    async fn kubernetes() {
        set_up();
        holds(KubernetesEngine::new(order("runc", EngineOptions::default())).await.unwrap(), true).await;
    }

    #[tokio::test]
    #[ignore = "needs a cluster with a RuntimeClass kata"]
    async fn kubernetes_under_kata() {
        set_up();
        let options = EngineOptions { runtime: Some("kata".into()), ..EngineOptions::default() };
        holds(KubernetesEngine::new(order("kata", options)).await.unwrap(), true).await;
    }
}
