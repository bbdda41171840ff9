//! Client of the API server.

mod client_certificate;
mod credential;
mod exec_plugin;
mod proxy;
mod route;
mod tls_error;
mod transport;

use std::time::SystemTime;

use kube::Client;
use kube::client::{ClientBuilder, ConfigExt};
use rustls::ClientConfig;
use tower::ServiceBuilder;

use self::credential::Credential;
use self::exec_plugin::Terminal;
use self::proxy::{Proxy, ProxyProtocol};
use self::transport::Transport;
use super::kubeconfig::{self, Access, ServerIdentity};
use crate::engine::Failure;
use crate::engine::timed::causes;
use ramp_format::plan::EngineOptions;

/// A client configured by `KUBECONFIG`, `~/.kube/config` or, in a pod, its service account. It renews its credentials itself.
///
/// # Errors
/// If no configuration is found, or it is invalid. The server is not contacted.
pub(super) async fn connect(options: &EngineOptions) -> Result<(Client, ServerIdentity), Failure> {
    let access = kubeconfig::read(options.context.as_deref())?;
    let server = access.server();
    match client(access, |name| std::env::var(name).ok()).await {
        Ok(client) => Ok((client, server)),
        Err(error) => Err(Failure::permanent(format!("{}: {error}", server.place))),
    }
}

/// A client of a server.
///
/// # Errors
/// If a certificate, a proxy or credentials cannot be used.
pub(super) async fn client(access: Access, env: impl Fn(&str) -> Option<String>) -> Result<Client, String> {
    let proxy = Proxy::of(&access.config.cluster_url, access.proxy_url.as_deref(), env)?;
    let tls = tls(&access, proxy.as_ref())?;
    let credential =
        Credential::load(&access, tls.crypto_provider(), Terminal::Available, SystemTime::now()).await?;
    let (uri, namespace) = (access.config.base_uri_layer(), access.config.default_namespace.clone());
    let headers = access.config.extra_headers_layer().map_err(|error| causes(&error))?;
    let transport = Transport::new(access, tls, proxy, credential)?;
    // The run retries, and each request is measured and has its own time limit.
    let service = ServiceBuilder::new().layer(uri).layer(headers).service(transport);
    Ok(ClientBuilder::new(service, namespace).build())
}

/// TLS without the credentials of the user, which change.
fn tls(access: &Access, proxy: Option<&Proxy>) -> Result<ClientConfig, String> {
    let mut config = access.config.clone();
    config.auth_info = Default::default();
    let is_used = config.cluster_url.scheme_str() == Some("https")
        || proxy.is_some_and(|proxy| proxy.protocol == ProxyProtocol::Https);
    if config.accept_invalid_certs || !is_used {
        // None of the authorities is asked: a system without any will do.
        config.root_cert.get_or_insert_default();
    }
    config.rustls_client_config().map_err(|error| {
        let certificates =
            if config.root_cert.is_some() { "certificate-authority" } else { "certificates of this system" };
        format!(
            "{certificates}: {}; check certificate-authority of the cluster in the kubeconfig",
            causes(&error)
        )
    })
}
