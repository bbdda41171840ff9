//! Client of the API server.

use std::time::Duration;

use kube::Client;
use kube::client::ClientBuilder;

use super::bearer_token::BearerToken;
use super::kubeconfig;
use crate::engine::Failure;
use crate::engine::timed::causes;
use ramp_format::plan::EngineOptions;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A client configured by `KUBECONFIG`, `~/.kube/config` or, in a pod, its service account. It renews token files and
/// credentials of exec plug-ins itself. A token in the kubeconfig has to be read again when it expires.
///
/// # Errors
/// If no configuration is found, or it is invalid. The server is not contacted.
pub(super) async fn connect(options: &EngineOptions) -> Result<(Client, Option<BearerToken>), Failure> {
    let context = options.context.as_deref();
    let mut config = kubeconfig::read(context).await?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    // Watches and followed logs may be silent for long; other requests have their own limits.
    config.read_timeout = None;
    // The run retries, and each request is measured.
    config.default_retry = false;
    let server = config.cluster_url.to_string();
    let token = BearerToken::take(&mut config, context);
    let builder = ClientBuilder::try_from(config)
        .map_err(|error| Failure::permanent(format!("client of {server}: {}", causes(&error))))?;
    let client = match &token {
        Some(token) => builder.with_layer(&token.layer()).build(),
        None => builder.build(),
    };
    Ok((client, token))
}
