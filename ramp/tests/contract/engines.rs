//! The engines that the contract is checked on.

use std::path::Path;

use ramp::engine::EngineSpec;
use ramp::engine::kubernetes::KubernetesEngine;
use ramp::engine::local::LocalEngine;
use ramp::engine::podman::PodmanEngine;
use ramp_format::plan::EngineOptions;
use ramp_format::scenario::Scenario;

use crate::holds;

#[allow(dead_code, reason = "most of it is for the tests of ramp on a cluster")]
#[path = "../cluster/process.rs"]
mod process;
#[path = "../support/podman.rs"]
mod service;
#[path = "../support/stale_cgroups.rs"]
mod stale_cgroups;
#[path = "../support/mod.rs"]
mod support;

/// The study's scenario with instances of 20 MB.
fn order(run: &str, options: EngineOptions) -> EngineSpec {
    let scenario = Scenario::embedded().unwrap().with_memory("20M".parse().unwrap()).unwrap();
    EngineSpec { run: format!("contract-{run}-{}", std::process::id()), scenario, options }
}

#[tokio::test(start_paused = true)]
async fn simulated() {
    holds(support::engine(&support::script()), false).await;
}

#[tokio::test]
async fn local() {
    let options = EngineOptions { budget_bytes: Some(200_000_000), ..EngineOptions::default() };
    // This program is a test: ramp, which is the load, is another one.
    let ramp = Path::new(env!("CARGO_BIN_EXE_ramp"));
    let order = order("local", options);
    let _cleanup = stale_cgroups::RemovesCgroups(order.run.clone());
    holds(LocalEngine::with_program(order, ramp).unwrap(), true).await;
}

#[tokio::test]
#[ignore = "needs podman"]
async fn podman() {
    let service = service::Service::start().await;
    holds(PodmanEngine::new(order("podman", service.options())).unwrap(), true).await;
}

mod needs_a_cluster {
    use super::process::Namespace;
    use super::*;

    async fn kubernetes_holds(namespace: &'static str, runtime: Option<&str>) {
        let namespace = Namespace::create(namespace);
        let options = EngineOptions {
            namespace: Some(namespace.0.into()),
            runtime: runtime.map(str::to_owned),
            ..EngineOptions::default()
        };
        holds(KubernetesEngine::new(order(namespace.0, options)).await.unwrap(), true).await;
    }

    #[tokio::test]
    #[ignore = "needs a cluster that is set up"]
    async fn kubernetes() {
        kubernetes_holds("ramp-test-contract", None).await;
    }

    #[tokio::test]
    #[ignore = "needs a cluster that is set up, with a RuntimeClass kata"]
    async fn kubernetes_under_kata() {
        kubernetes_holds("ramp-test-contract-kata", Some("kata")).await;
    }
}
