//! A client of the API server.

use std::time::Duration;

use kube::config::KubeConfigOptions;
use kube::{Client, Config};

use super::call::chain;
use crate::engine::Failure;
use crate::plan::EngineOptions;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A client by `KUBECONFIG`, `~/.kube/config` or, in a pod, its service account. Token files and plug-ins for credentials
/// are asked again by the client when a token expires.
///
/// # Errors
/// Where no configuration is found, or it cannot be used. The server is not asked.
pub(super) async fn connect(options: &EngineOptions) -> Result<Client, Failure> {
    let mut config = config(options.context.as_deref()).await?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    // Watches and followed logs may be silent for long; all other requests have their own limits.
    config.read_timeout = None;
    // Retries are the driver's, and each is measured.
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    Client::try_from(config)
        .map_err(|error| Failure::permanent(format!("client of {server}: {}", chain(&error))))
}

async fn config(context: Option<&str>) -> Result<Config, Failure> {
    let hint = "set KUBECONFIG, or run in a pod with a service account";
    match context {
        None => Config::infer().await.map_err(|error| {
            Failure::permanent(format!("no way to a Kubernetes cluster: {} ({hint})", chain(&error)))
        }),
        Some(context) => {
            let options = KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
            Config::from_kubeconfig(&options).await.map_err(|error| {
                Failure::permanent(format!("context {context:?} of the kubeconfig: {}", chain(&error)))
            })
        }
    }
}
