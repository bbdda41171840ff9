//! Transport of requests: a pool of connections with the present credentials, which are renewed when they expire or are rejected.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
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
use super::route::{Connector, authorization};
use super::tls_error::explained;
use crate::engine::kubernetes::kubeconfig::Access;
use crate::engine::kubernetes::request::MisconfiguredConnection;
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
    /// Why the last renewal failed.
    failure: Option<String>,
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
        let present = RwLock::new(Present { pool, credential, pause: Instant::now(), failure: None });
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
            let (pool, header) = shared.present().await.map_err(MisconfiguredConnection)?;
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
                Err(error) => Err(shared.described(&error)),
            }
        })
    }
}

impl Shared {
    /// Renews credentials that are about to expire; waits for that if they have expired already.
    ///
    /// # Errors
    /// If they have expired, and why they could not be renewed.
    async fn present(self: &Arc<Self>) -> Result<(Client<Connector, Body>, Option<HeaderValue>), String> {
        let now = SystemTime::now();
        let (expires, stale) = self.read(|present| (present.credential.expires, present.credential.stale));
        if expires.is_some_and(|expires| expires <= now + MARGIN) || stale.is_some_and(|stale| stale <= now) {
            self.renew();
        }
        if expires.is_some_and(|expires| expires <= now) {
            // A request that is given up meanwhile does not end the renewal. The sender is here, so it is not closed.
            let _ = self.renewing.subscribe().wait_for(|renewing| !renewing).await;
        }
        self.read(|present| {
            match (present.credential.expires.filter(|expires| *expires <= now), &present.failure) {
                (Some(expired), Some(failure)) => Err(format!(
                    "{}: the credentials expired at {} and could not be renewed: {failure}",
                    self.access.place(),
                    humantime::format_rfc3339_seconds(expired)
                )),
                _ => Ok((present.pool.clone(), present.credential.header.clone())),
            }
        })
    }

    fn read<T>(&self, of: impl FnOnce(&Present) -> T) -> T {
        of(&self.present.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Present> {
        self.present.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts to renew the credentials, unless that is under way or was tried just now.
    fn renew(self: &Arc<Self>) {
        if self.read(|present| present.pause > Instant::now()) || self.renewing.send_replace(true) {
            return;
        }
        let shared = self.clone();
        tokio::spawn(async move {
            let failure = shared.renewed().await.err();
            let before = std::mem::replace(&mut shared.write().failure, failure.clone());
            if let Some(failure) = failure.filter(|failure| before.as_ref() != Some(failure)) {
                tracing::warn!("the credentials could not be renewed: {failure}");
            }
            shared.renewing.send_replace(false);
        });
    }

    /// Reads the kubeconfig again, as the user may have logged in again, and has its plugin make new credentials.
    async fn renewed(&self) -> Result<(), String> {
        self.write().pause = Instant::now() + PAUSE;
        let again = self.access.again()?;
        let provider = self.tls.crypto_provider();
        let credential = Credential::load(&again, provider, Terminal::Busy, SystemTime::now()).await?;
        let is_same = self.read(|present| present.credential.certificate == credential.certificate);
        let pool = match is_same {
            true => None,
            false => Some(pool(&self.access, &self.tls, self.proxy.clone(), &credential)?),
        };
        let mut present = self.write();
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
    fn described(&self, error: &(dyn Error + 'static)) -> BoxError {
        let place = self.access.place();
        if let Some(why) = explained(error) {
            return MisconfiguredConnection(format!("{place}: {why}")).into();
        }
        let why = causes(error);
        format!("{place}: {}", why.strip_prefix("client error (Connect): ").unwrap_or(&why)).into()
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::{Value, json};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tower::ServiceExt;

    use super::*;

    /// A server of plain HTTP: it rejects a header with `old`.
    #[derive(Clone, Default)]
    struct Server {
        headers: Arc<Mutex<Vec<String>>>,
        connections: Arc<AtomicU32>,
    }

    impl Server {
        async fn start(self) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    self.connections.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(self.clone().serve(stream));
                }
            });
            url
        }

        async fn serve(self, stream: TcpStream) {
            let mut stream = BufReader::new(stream);
            loop {
                let (mut line, mut header) = (String::new(), String::new());
                while line != "\r\n" {
                    line.clear();
                    if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                        return;
                    }
                    header =
                        line.strip_prefix("authorization: ").map_or(header, |value| value.trim().to_owned());
                }
                let status = if header.contains("old") { 401 } else { 200 };
                self.headers.lock().unwrap().push(header);
                let answer = format!("HTTP/1.1 {status} _\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    }

    fn pki(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/connection/pki").join(file)
    }

    fn put(path: &Path, server: &str, user: &Value) {
        let config = json!({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": user}],
        });
        std::fs::write(path, config.to_string()).unwrap();
    }

    struct Client {
        transport: Transport,
        server: Server,
        url: String,
        kubeconfig: tempfile::TempDir,
    }

    impl Client {
        async fn of(user: &Value) -> Self {
            let (server, kubeconfig) = (Server::default(), tempfile::tempdir().unwrap());
            let url = server.clone().start().await;
            put(&kubeconfig.path().join("config"), &url, user);
            let access = Access::of_file(&kubeconfig.path().join("config"));
            let tls = super::super::tls(&access, None).unwrap();
            let (provider, now) = (tls.crypto_provider(), SystemTime::now());
            let credential = Credential::load(&access, provider, Terminal::Busy, now).await.unwrap();
            Self {
                transport: Transport::new(access, tls, None, credential).unwrap(),
                server,
                url,
                kubeconfig,
            }
        }

        fn put(&self, url: &str, user: &Value) {
            put(&self.kubeconfig.path().join("config"), url, user);
        }

        /// Sends a request, and waits for the renewal that it may have begun.
        async fn status(&mut self) -> u16 {
            let request = Request::get(&self.url).body(Body::empty()).unwrap();
            let status = self.transport.ready().await.unwrap().call(request).await.unwrap().status();
            let renewing =
                self.transport.0.renewing.subscribe().wait_for(|renewing| !renewing).await.map(drop);
            renewing.unwrap();
            status.as_u16()
        }

        /// As if the last renewal had been long ago.
        fn forget_pause(&self) {
            self.transport.0.write().pause = Instant::now();
        }
    }

    #[tokio::test]
    async fn a_token_that_is_rejected_is_read_again_for_the_same_server_only() {
        let mut client = Client::of(&json!({"token": "old"})).await;
        client.put("http://127.0.0.1:1", &json!({"token": "of another server"}));
        assert_eq!(client.status().await, 401);
        assert_eq!(client.status().await, 401, "a token is sent to its own server only");
        client.put(&client.url, &json!({"token": "new"}));
        assert_eq!(client.status().await, 401, "no renewal so soon after the last");
        client.forget_pause();
        assert_eq!(client.status().await, 401);
        assert_eq!(client.status().await, 200);
        assert_eq!(*client.server.headers.lock().unwrap().last().unwrap(), "Bearer new");
    }

    #[tokio::test]
    async fn a_token_file_that_was_replaced_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "old\n").unwrap();
        let mut client = Client::of(&json!({"tokenFile": file.path()})).await;
        std::fs::write(file.path(), "new\n").unwrap();
        assert_eq!((client.status().await, client.status().await), (401, 200));
        // Without a rejection as well, after a minute.
        let stale = client.transport.0.read(|present| present.credential.stale).unwrap();
        assert!(stale <= SystemTime::now() + Duration::from_secs(60));
        std::fs::write(file.path(), "newer\n").unwrap();
        client.transport.0.write().credential.stale = Some(SystemTime::UNIX_EPOCH);
        client.forget_pause();
        assert_eq!((client.status().await, client.status().await), (200, 200));
        assert_eq!(client.server.headers.lock().unwrap()[2..], ["Bearer new", "Bearer newer"]);
    }

    #[tokio::test]
    async fn a_plugin_is_run_again_before_its_credentials_expire_and_requests_go_on_with_the_present_ones() {
        let directory = tempfile::tempdir().unwrap();
        let count = directory.path().join("count");
        let answer = |expires: Duration| {
            let expires = humantime::format_rfc3339_seconds(SystemTime::now() + expires);
            let status = json!({"token": "t", "expirationTimestamp": expires.to_string()});
            let answer = json!({"kind": "ExecCredential", "status": status});
            let script = format!("echo run >> {}; echo '{answer}'", count.display());
            json!({"exec": {"command": "sh", "args": ["-c", script], "interactiveMode": "Never"}})
        };
        let runs = || std::fs::read_to_string(&count).unwrap().lines().count();
        let mut client = Client::of(&answer(Duration::from_secs(50))).await;
        client.put(&client.url, &answer(Duration::from_secs(3600)));
        assert_eq!((client.status().await, runs()), (200, 2), "it expires within a minute");
        client.forget_pause();
        assert_eq!((client.status().await, runs()), (200, 2), "it is good for an hour");
    }

    #[tokio::test]
    async fn a_plugin_that_fails_leaves_the_present_credentials() {
        let script = "echo '{\"kind\": \"ExecCredential\", \"status\": {\"token\": \"old\"}}'";
        let exec = |script: &str| json!({"exec": {"command": "sh", "args": ["-c", script], "interactiveMode": "Never"}});
        let mut client = Client::of(&exec(script)).await;
        client.put(&client.url, &exec("exit 1"));
        assert_eq!((client.status().await, client.status().await), (401, 401));
        assert_eq!(*client.server.headers.lock().unwrap(), ["Bearer old", "Bearer old"]);
    }

    #[tokio::test]
    async fn a_request_with_expired_credentials_fails_with_the_reason_why_they_were_not_renewed() {
        let exec = |script: &str| json!({"exec": {"command": "sh", "args": ["-c", script], "interactiveMode": "Never"}});
        let status = json!({"token": "t", "expirationTimestamp": "2120-01-01T00:00:00Z"});
        let answer = json!({"kind": "ExecCredential", "status": status});
        let mut client = Client::of(&exec(&format!("echo '{answer}'"))).await;
        client.put(&client.url, &exec("echo logged out >&2; exit 1"));
        client.transport.0.write().credential.expires = Some(SystemTime::UNIX_EPOCH);
        let request = Request::get(&client.url).body(Body::empty()).unwrap();
        let error = client.transport.ready().await.unwrap().call(request).await.unwrap_err().to_string();
        let why = "the credentials expired at 1970-01-01T00:00:00Z and could not be renewed: exec plugin \"sh\" of the kubeconfig failed";
        assert!(
            error.starts_with(&client.url) && error.contains(why) && error.contains("logged out"),
            "{error}"
        );
        client.put(&client.url, &exec(&format!("echo '{answer}'")));
        client.forget_pause();
        assert_eq!(client.status().await, 200);
    }

    #[tokio::test]
    async fn another_client_certificate_is_presented_on_new_connections() {
        let user = |certificate: &str| json!({"client-certificate": pki(certificate), "client-key": pki("client.key"), "token": "old"});
        let mut client = Client::of(&user("client.pem")).await;
        assert_eq!((client.status().await, client.status().await), (401, 401));
        assert_eq!(client.server.connections.load(Ordering::Relaxed), 1, "the same certificate, read again");
        client.put(&client.url, &user("client-v1.pem"));
        client.forget_pause();
        assert_eq!((client.status().await, client.status().await), (401, 401));
        assert_eq!(client.server.connections.load(Ordering::Relaxed), 2);
    }
}
