//! A small HTTP server that cannot become a load of its own: `/metrics`, `/readyz`, `/healthz`.
//!
//! It runs in the thread that reports, so its CPU time is charged to what was asked for like that of reports. And
//! it is bounded whatever clients do and however little was asked for: so many connections, so many looks at them a
//! second, pauses in proportion to what a look cost, so many bytes and so much time for a request, one request a
//! connection.

mod connection;

pub use connection::Asked;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use tracing::{debug, warn};

use crate::clock::ThreadClock;
use connection::{Connection, Next, TEXT};

/// Beyond so many connections the oldest has to go.
const MOST_CONNECTIONS: usize = 8;
/// After something has happened, nothing is looked at for this long: 100 wake-ups a second at most.
const PAUSE_NS: u64 = 10_000_000;
/// Nor for so many times the CPU time that it took: clients cost about a hundredth of a core at most.
const PAUSE_PER_COST: u64 = 100;
/// But for no longer: a kubelet waits 1 s for the answer to a probe.
const LONGEST_PAUSE_NS: u64 = 500_000_000;
/// Where the system has nothing left for a connection, that does not change in 10 ms.
const EXHAUSTED_PAUSE_NS: u64 = 1_000_000_000;
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
    /// It has been told that no connection can be taken, and none has been since.
    told: bool,
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
            told: false,
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

    /// Takes new connections, but no more than there may be at once, goes on with all, and sets the next pause.
    pub(crate) fn serve(&mut self, now_ns: u64, answers: &mut impl Answers) {
        if now_ns < self.paused_until_ns {
            return;
        }
        let clock = ThreadClock::of_current();
        let before_ns = clock.read_ns();
        let taken = self.take_new(now_ns);
        let busy = self.go_on(now_ns, answers);
        let pause_ns = match taken {
            Err(_) => EXHAUSTED_PAUSE_NS,
            Ok(0) if !busy => return,
            Ok(_) => {
                let cost_ns = clock.read_ns().saturating_sub(before_ns);
                cost_ns.saturating_mul(PAUSE_PER_COST).clamp(PAUSE_NS, LONGEST_PAUSE_NS)
            }
        };
        self.paused_until_ns = now_ns.saturating_add(pause_ns);
    }

    /// How many there were. A flood fills the kernel's queue: who waits in it must not wait for long.
    ///
    /// # Errors
    /// Where the system has nothing left for even one.
    fn take_new(&mut self, now_ns: u64) -> io::Result<usize> {
        for count in 0..MOST_CONNECTIONS {
            match self.accept(count) {
                Ok(stream) => self.take(stream, now_ns),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                // Those of this look come first.
                Err(error) if is_exhaustion(&error) && count > 0 => return Ok(count),
                Err(error) if is_exhaustion(&error) => {
                    if !self.told {
                        warn!("no connection can be taken, tried again each second: {error}");
                    }
                    self.told = true;
                    return Err(error);
                }
                Err(error) => debug!("the client went away again: {error}"),
            }
        }
        Ok(MOST_CONNECTIONS)
    }

    /// The next in the kernel's queue. The oldest connection has to go where there is nothing left for another, unless
    /// some were `taken` just now.
    fn accept(&mut self, taken: usize) -> io::Result<TcpStream> {
        let mut result = self.listener.accept();
        if result.as_ref().is_err_and(is_exhaustion) {
            // The kernel looks for a descriptor before it looks into the queue.
            if !self.somebody_waits() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if taken == 0 && !self.connections.is_empty() {
                self.connections.remove(0).leave_nothing();
                result = self.listener.accept();
            }
        }
        result.map(|(stream, _)| stream)
    }

    fn somebody_waits(&self) -> bool {
        let mut queue = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut queue, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn take(&mut self, stream: TcpStream, now_ns: u64) {
        self.told = false;
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
    }

    /// Goes on with all connections: whether anything has happened on one.
    fn go_on(&mut self, now_ns: u64, answers: &mut impl Answers) -> bool {
        let mut busy = false;
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
        busy
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
                    // Not two of them at a time.
                    self.metrics = String::new();
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

/// Whether the process or the machine has nothing left for a connection, as opposed to one that went away again.
fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}
