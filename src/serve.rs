//! A small HTTP server that cannot become a load of its own: `/metrics`, `/readyz`, `/healthz`.
//!
//! It runs in the thread that reports, so its CPU time is charged to what was asked for like that of reports. And
//! it is bounded whatever clients do: so many connections, so many looks at them a second, so many bytes and so much
//! time for a request, one request a connection.

mod connection;

pub use connection::Asked;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use tracing::debug;

use connection::{Connection, Next, TEXT};

/// Beyond so many connections the oldest has to go.
const MOST_CONNECTIONS: usize = 8;
/// After something has happened, nothing is looked at for this long: 100 wake-ups a second at most.
const PAUSE_NS: u64 = 10_000_000;
/// Requests within this time share one text of metrics.
const METRICS_AGE_NS: u64 = 50_000_000;

/// What there is to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The metrics.
    Metrics,
    /// Whether it holds what was asked for.
    Ready,
    /// Whether it lives.
    Health,
}

/// What the program says of itself.
pub(crate) trait Answers {
    /// All metrics, in OpenMetrics text.
    fn metrics(&mut self) -> String;

    /// Whether all memory asked for is held.
    ///
    /// # Errors
    /// Why not.
    fn readiness(&mut self) -> Result<String, String>;
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    /// Readable when any of the connections or the listener has something.
    events: Epoll,
    connections: Vec<Connection>,
    /// When to look again, after something has happened.
    paused_until_ns: u64,
    metrics: String,
    metrics_at_ns: u64,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// Where the address cannot be had: it is in use, not of this host, or the port needs a right.
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        events.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(Self {
            listener,
            events,
            connections: Vec::with_capacity(MOST_CONNECTIONS),
            paused_until_ns: 0,
            metrics: String::new(),
            metrics_at_ns: 0,
        })
    }

    /// Where it listens: the port that was given where 0 was asked for.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// To be waited for, unless there is a pause.
    #[must_use]
    pub(crate) fn events(&self, now_ns: u64) -> Option<BorrowedFd<'_>> {
        (now_ns >= self.paused_until_ns).then(|| self.events.0.as_fd())
    }

    /// When [`Self::serve`] is due even if nothing happens.
    #[must_use]
    pub(crate) fn due_ns(&self, now_ns: u64) -> u64 {
        if now_ns < self.paused_until_ns {
            return self.paused_until_ns;
        }
        self.connections.iter().map(Connection::deadline_ns).min().unwrap_or(u64::MAX)
    }

    /// Takes new connections, but no more than there may be at once, and goes on with all.
    pub(crate) fn serve(&mut self, now_ns: u64, answers: &mut impl Answers) {
        if now_ns < self.paused_until_ns {
            return;
        }
        // A flood fills the kernel's queue: who waits in it must not wait for long.
        let accepted = (0..MOST_CONNECTIONS).take_while(|_| self.accept(now_ns)).count();
        let mut busy = accepted > 0;
        let mut index = 0;
        while let Some(connection) = self.connections.get_mut(index) {
            let next = connection.go_on(now_ns);
            busy |= !matches!(next, Next::Wait);
            match next {
                Next::Wait | Next::GoOn => index += 1,
                Next::Close => drop(self.connections.remove(index)),
                Next::Answer { route, head_only } => {
                    self.answer(index, route, head_only, now_ns, answers);
                    index += 1;
                }
            }
        }
        if busy {
            self.paused_until_ns = now_ns + PAUSE_NS;
        }
    }

    /// Whether there was one.
    fn accept(&mut self, now_ns: u64) -> bool {
        let stream = match self.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => {
                // The client went away again, or there are no descriptors left: later, then.
                debug!("a connection was not accepted: {error}");
                return true;
            }
        };
        if self.connections.len() >= MOST_CONNECTIONS {
            self.connections.remove(0).leave_nothing();
        }
        match Connection::new(stream, now_ns) {
            Ok(connection) => {
                if self.events.add(&connection, EpollEvent::new(EpollFlags::EPOLLIN, 0)).is_ok() {
                    self.connections.push(connection);
                }
            }
            Err(error) => debug!("a connection was given up: {error}"),
        }
        true
    }

    fn answer(
        &mut self,
        index: usize,
        route: Route,
        head_only: bool,
        now_ns: u64,
        answers: &mut impl Answers,
    ) {
        let short;
        let (status, kind, body) = match route {
            Route::Metrics => {
                if self.metrics.is_empty() || now_ns.saturating_sub(self.metrics_at_ns) >= METRICS_AGE_NS {
                    self.metrics = answers.metrics();
                    self.metrics_at_ns = now_ns;
                }
                ("200 OK", crate::report::metrics::CONTENT_TYPE, self.metrics.as_str())
            }
            Route::Ready => {
                let (status, words) = match answers.readiness() {
                    Ok(words) => ("200 OK", words),
                    Err(words) => ("503 Service Unavailable", words),
                };
                short = words + "\n";
                (status, TEXT, short.as_str())
            }
            Route::Health => ("200 OK", TEXT, "ok\n"),
        };
        if let Some(connection) = self.connections.get_mut(index) {
            connection.answer(status, kind, body, head_only, now_ns);
        }
    }
}
