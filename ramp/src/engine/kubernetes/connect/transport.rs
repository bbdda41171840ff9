//! Transport of requests: a pool of connections with the present credentials, which are renewed when they expire or are rejected.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, HeaderValue, PROXY_AUTHORIZATION};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kube::client::Body;
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::{BoxError, Service};

use super::credential::Credential;
use super::exec_plugin::Terminal;
use super::proxy::{Proxy, ProxyProtocol};
use super::route::{Connector, authorization, explained};
use crate::engine::kubernetes::kubeconfig::{self, Access};
use crate::engine::timed::causes;

/// Credentials are renewed this long before they expire, while they are still good.
const MARGIN: Duration = Duration::from_secs(60);

/// At least this long after the last attempt: a plugin may need a second of CPU time.
const PAUSE: Duration = Duration::from_secs(5);

/// Sends requests; a service of tower.
#[derive(Clone)]
pub(super) struct Transport(Arc<Shared>);

struct Shared {
    access: Access,
    tls: ClientConfig,
    proxy: Option<Arc<Proxy>>,
    present: RwLock<Present>,
    /// Whether credentials are being renewed.
    renewing: watch::Sender<bool>,
}

/// What requests are sent with at present.
struct Present {
    pool: Client<Connector, Body>,
    credential: Credential,
    /// No renewal before this.
    pause: Instant,
}

impl Transport {
    /// # Errors
    /// If the certificates or names of the kubeconfig cannot be used.
    pub(super) fn new(
        access: Access,
        tls: ClientConfig,
        proxy: Option<Proxy>,
        credential: Credential,
    ) -> Result<Self, String> {
        let proxy = proxy.map(Arc::new);
        let pool = pool(&access, &tls, proxy.clone(), &credential)?;
        let present = RwLock::new(Present { pool, credential, pause: Instant::now() });
        Ok(Self(Arc::new(Shared { access, tls, proxy, present, renewing: watch::Sender::new(false) })))
    }
}

/// Connections with a client certificate. TLS sessions are not resumed across certificates: they would keep the old one.
fn pool(
    access: &Access,
    tls: &ClientConfig,
    proxy: Option<Arc<Proxy>>,
    credential: &Credential,
) -> Result<Client<Connector, Body>, String> {
    let mut tls = tls.clone();
    tls.resumption = Resumption::default();
    if let Some(certificate) = &credential.certificate {
        tls.client_auth_cert_resolver = certificate.resolver();
    }
    let connector = Connector::new(&tls, access.config.tls_server_name.as_deref(), proxy)?;
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

impl Service<Request<Body>> for Transport {
    type Response = Response<Incoming>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let (pool, header) = shared.present().await;
            let headers = request.headers_mut();
            headers.extend(header.map(|header| (AUTHORIZATION, header)));
            headers.extend(shared.forwarded_authorization().map(|header| (PROXY_AUTHORIZATION, header)));
            match pool.request(request).await {
                Ok(response) => {
                    if response.status() == StatusCode::UNAUTHORIZED {
                        shared.renew();
                    }
                    Ok(response)
                }
                Err(error) => Err(shared.described(&error).into()),
            }
        })
    }
}

impl Shared {
    /// Renews credentials that are about to expire; waits for that if they have expired already.
    async fn present(self: &Arc<Self>) -> (Client<Connector, Body>, Option<HeaderValue>) {
        let now = SystemTime::now();
        let expires = self.read(|present| present.credential.expires);
        if expires.is_some_and(|expires| expires <= now + MARGIN) {
            self.renew();
        }
        if expires.is_some_and(|expires| expires <= now) {
            // A request that is given up meanwhile does not end the renewal. The sender is here, so it is not closed.
            let _ = self.renewing.subscribe().wait_for(|renewing| !renewing).await;
        }
        self.read(|present| (present.pool.clone(), present.credential.header.clone()))
    }

    fn read<T>(&self, of: impl FnOnce(&Present) -> T) -> T {
        of(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts to renew the credentials, unless that is under way or was tried just now.
    fn renew(self: &Arc<Self>) {
        if self.read(|present| present.pause > Instant::now()) || self.renewing.send_replace(true) {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move {
            if let Err(error) = shared.renewed().await {
                tracing::warn!("the credentials could not be renewed: {error}");
            }
            shared.renewing.send_replace(false);
        });
    }

    /// Reads the kubeconfig again, as the user may have logged in again, and has its plugin make new credentials.
    async fn renewed(&self) -> Result<(), String> {
        self.present.write().unwrap_or_else(PoisonError::into_inner).pause = Instant::now() + PAUSE;
        let again = match &self.access.context {
            Some(context) => kubeconfig::read(Some(context)).map_err(|failure| failure.message)?,
            None => self.access.clone(),
        };
        if again.config.cluster_url != self.access.config.cluster_url {
            // Credentials must not be sent to another server.
            return Err("the kubeconfig has another server now".into());
        }
        let provider = self.tls.crypto_provider();
        let credential = Credential::load(&again, provider, Terminal::Busy, SystemTime::now()).await?;
        let is_same = self.read(|present| present.credential.certificate == credential.certificate);
        let pool = match is_same {
            true => None,
            false => Some(pool(&self.access, &self.tls, self.proxy.clone(), &credential)?),
        };
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        present.pool = pool.unwrap_or_else(|| present.pool.clone());
        present.credential = credential;
        Ok(())
    }

    /// For a proxy that forwards requests itself: through a tunnel it would reach the server.
    fn forwarded_authorization(&self) -> Option<HeaderValue> {
        let proxy = self.proxy.as_deref().filter(|proxy| proxy.protocol != ProxyProtocol::Socks5)?;
        authorization(proxy).filter(|_| self.access.config.cluster_url.scheme_str() == Some("http"))
    }

    /// Names the server and the context.
    fn described(&self, error: &(dyn Error + 'static)) -> String {
        let why = explained(error).unwrap_or_else(|| causes(error));
        let why = why.strip_prefix("client error (Connect): ").unwrap_or(&why);
        format!("{}: {why}", self.access.place())
    }
}
