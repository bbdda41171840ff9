//! Configuration of the client: the kubeconfig, or the service account of the pod.

use kube::Config;
use kube::config::KubeConfigOptions;

use crate::engine::Failure;
use crate::engine::timed::causes;

/// Reads `KUBECONFIG`, `~/.kube/config` or, in a pod, its service account; with a context, the kubeconfig only.
///
/// # Errors
/// If no configuration is found, or it cannot be used.
pub(super) async fn read(context: Option<&str>) -> Result<Config, Failure> {
    match context {
        None => Config::infer().await.map_err(|error| {
            Failure::permanent(format!(
                "no Kubernetes configuration found: {}; set KUBECONFIG, or run in a pod with a service account",
                causes(&error)
            ))
        }),
        Some(context) => {
            let options = KubeConfigOptions { context: Some(context.to_owned()), ..Default::default() };
            Config::from_kubeconfig(&options).await.map_err(|error| {
                Failure::permanent(format!("context {context:?} of the kubeconfig: {}", causes(&error)))
            })
        }
    }
}
