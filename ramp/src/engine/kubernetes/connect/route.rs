//! The way to the API server: TCP, directly or through a proxy, and TLS.

use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use http::header::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{BoxError, Service, service_fn};

use super::proxy::{Proxy, ProxyProtocol, port_of};
use crate::engine::timed::causes;

/// Time limit of a connection, with the handshakes of proxy and TLS.
const LIMIT: Duration = Duration::from_secs(5);

/// As Go's: proxies and NAT forget connections that are silent, as watches may be.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Connects to the API server in bounded time.
#[derive(Clone, Debug)]
pub(super) struct Connector(HttpsConnector<Route>);

impl Connector {
    /// # Errors
    /// If `tls_server_name` is no host name.
    pub(super) fn new(
        tls: &ClientConfig,
        tls_server_name: Option<&str>,
        proxy: Option<Arc<Proxy>>,
    ) -> Result<Self, String> {
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let builder = match tls_server_name {
            None => builder,
            Some(name) => {
                let name = name
                    .to_owned()
                    .try_into()
                    .map_err(|_| format!("invalid tls-server-name {name:?}; expected a host name"))?;
                builder.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
        };
        Ok(Self(builder.enable_http1().wrap_connector(Route::new(tls, proxy))))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<ServerStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let connecting = self.0.call(server);
        Box::pin(async move {
            let limit = LIMIT.as_secs();
            timeout(LIMIT, connecting)
                .await
                .map_err(|_| io::Error::other(format!("no connection within {limit} s")))?
        })
    }
}

/// TCP to the server, directly or through a proxy.
#[derive(Clone, Debug)]
struct Route {
    /// To the proxy TLS is spoken if its scheme is https.
    tcp: HttpsConnector<HttpConnector>,
    proxy: Option<Arc<Proxy>>,
}

impl Route {
    fn new(tls: &ClientConfig, proxy: Option<Arc<Proxy>>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEP_ALIVE));
        Self { tcp: HttpsConnector::from((tcp, tls.clone())), proxy }
    }
}

impl Service<Uri> for Route {
    type Response = ServerStream;
    type Error = BoxError;
    type Future = Connecting<ServerStream>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let Self { mut tcp, proxy } = self.clone();
        Box::pin(async move {
            let Some(proxy) = proxy else {
                // Plain TCP: TLS to the server is spoken above this.
                let stream = tcp_of(&server, &mut tcp).await?;
                return Ok(ServerStream { stream, is_forwarded: false });
            };
            let result = through(&proxy, &server, tcp).await;
            result.map_err(|error| format!("proxy {proxy}: {}", causes(error.as_ref())).into())
        })
    }
}

async fn tcp_of(address: &Uri, tcp: &mut HttpsConnector<HttpConnector>) -> Result<ProxyStream, BoxError> {
    tcp.call(plain(address, port_of(address))?).await
}

/// The address with the scheme http, for which no TLS is spoken.
fn plain(address: &Uri, port: u16) -> Result<Uri, http::Error> {
    let authority = format!("{}:{port}", address.host().unwrap_or_default());
    Uri::builder().scheme("http").authority(authority).path_and_query("/").build()
}

async fn through(
    proxy: &Proxy,
    server: &Uri,
    mut tcp: HttpsConnector<HttpConnector>,
) -> Result<ServerStream, BoxError> {
    let stream = tcp.call(proxy.tcp_uri().parse()?).await?;
    if proxy.protocol == ProxyProtocol::Socks5 {
        let stream = socks(stream, proxy, plain(server, port_of(server))?).await?;
        return Ok(ServerStream { stream, is_forwarded: false });
    }
    if server.scheme_str() == Some("http") {
        return Ok(ServerStream { stream, is_forwarded: true });
    }
    let stream = tunnel(stream, server, authorization(proxy)).await?;
    Ok(ServerStream { stream, is_forwarded: false })
}

type ProxyStream = MaybeHttpsStream<TokioIo<TcpStream>>;

async fn socks(stream: ProxyStream, proxy: &Proxy, server: Uri) -> Result<ProxyStream, BoxError> {
    let (address, mut stream) = (server.clone(), Some(stream));
    // Its errors would not tell why the proxy was not reached.
    let connected = service_fn(move |_: Uri| ready(stream.take().ok_or("connected twice")));
    let mut socks = SocksV5::new(address, connected);
    if let Some((name, password)) = &proxy.credentials {
        socks = socks.with_auth(name.clone(), password.clone());
    }
    Ok(socks.call(server).await?)
}

/// The header `Proxy-Authorization`.
pub(super) fn authorization(proxy: &Proxy) -> Option<HeaderValue> {
    let (name, password) = proxy.credentials.as_ref()?;
    let mut header =
        HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))
            .ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// Asks an HTTP proxy for a tunnel. (That of hyper-util does not tell the status with which it was refused.)
async fn tunnel<S: Read + Write + Unpin>(
    stream: S,
    server: &Uri,
    authorization: Option<HeaderValue>,
) -> io::Result<S> {
    const LONGEST_ANSWER: usize = 16 * 1024;
    let target = format!("{}:{}", server.host().unwrap_or_default(), port_of(server));
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(header) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(header.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let mut stream = TokioIo::new(stream);
    stream.write_all(&request).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() == LONGEST_ANSWER {
            return Err(io::Error::other("its answer to CONNECT is not one of HTTP"));
        }
        let byte = stream.read_u8().await;
        answer.push(byte.map_err(|error| io::Error::other(format!("no answer to CONNECT: {error}")))?);
    }
    let answer = String::from_utf8_lossy(&answer);
    let line = answer.lines().next().unwrap_or_default();
    match line.split_whitespace().nth(1).map(str::parse::<u16>) {
        Some(Ok(200..=299)) => Ok(stream.into_inner()),
        Some(Ok(407)) => Err(io::Error::other(format!(
            "it asks for credentials ({line}); write them into its URL: http://NAME:PASSWORD@HOST:PORT"
        ))),
        _ => Err(io::Error::other(format!("it refuses a connection to {target} ({line})"))),
    }
}

/// A connection to the server, or to a proxy that forwards requests for it.
pub(super) struct ServerStream {
    stream: ProxyStream,
    is_forwarded: bool,
}

impl Connection for ServerStream {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.is_forwarded)
    }
}

impl Read for ServerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for ServerStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}
