//! HTTP server of a directory of results: its page as of now, and its files. Read-only.
//!
//! It shows a run while it goes on (`ramp run --serve`), and is what `ramp fetch` reads from the pod of a Job. It shares the one thread of
//! the run; the page is made by another one, seldom enough to take a twentieth of a core at most.

mod files;
mod page;
mod response;

pub(crate) use files::{RemoteFile, ResultsIndex, is_below};
pub(crate) use page::PageOf;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::response::Results;

/// A client that sends no request for so long is disconnected.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Pause where the system has no descriptor or memory for a connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_secs(1);

/// A port that is bound: what cannot be served is told before anything begins.
#[derive(Debug)]
pub(crate) struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
}

/// A server, for as long as the value exists.
#[derive(Debug)]
pub(crate) struct ResultsServer {
    task: JoinHandle<()>,
    /// Where its page is, for people.
    pub(crate) url: String,
}

impl BoundServer {
    /// Binds an address.
    ///
    /// # Errors
    /// If it is in use, or none of this machine's.
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, String> {
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bound.await.map_err(|error: std::io::Error| {
            format!("cannot listen on {address}: {error}; choose another address")
        })
    }

    /// Serves a directory, which may come to exist later.
    pub(crate) fn serve(self, directory: &Path, page_of: PageOf) -> ResultsServer {
        let Self { listener, address } = self;
        let results = Arc::new(Results::of(directory, page_of));
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let results = Arc::clone(&results);
                        let answer = service_fn(move |request| {
                            let results = Arc::clone(&results);
                            async move { Ok::<_, Infallible>(results.answer(&request).await) }
                        });
                        let connection = http1::Builder::new()
                            .timer(TokioTimer::new())
                            .header_read_timeout(REQUEST_WITHIN)
                            .serve_connection(TokioIo::new(stream), answer);
                        // A client that goes away is no error.
                        tokio::spawn(async { drop(connection.await) });
                    }
                    Err(error) => {
                        tracing::debug!("no connection accepted: {error}");
                        sleep(EXHAUSTED_PAUSE).await;
                    }
                }
            }
        });
        ResultsServer { task, url: url(address) }
    }
}

impl Drop for ResultsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a browser on this machine is given: of all addresses, the local one.
fn url(address: SocketAddr) -> String {
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    format!("http://{host}:{}/", address.port())
}

#[cfg(test)]
mod tests;
