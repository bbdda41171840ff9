//! HTTP server of bounded cost: `/metrics`, `/readyz`, `/healthz`.
//!
//! It runs in the reporting thread, so its CPU time comes out of the load's budget like that of reports. Its cost is
//! bounded whatever clients do: a maximum of connections and of rounds per second, pauses in proportion to a round's
//! cost, a maximum of bytes and time for a request, one request per connection.

mod connection;
mod request;

pub use request::{Request, Route};

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::sockopt::{Ipv6V6Only, ReuseAddr};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn6, bind, listen, setsockopt, socket,
};
use tracing::{debug, warn};

use crate::clock::ThreadClock;
use crate::config::ListenAddress;
use connection::{Connection, Next, TEXT};

/// Connections at once; beyond them the oldest is closed.
const MOST_CONNECTIONS: usize = 8;
/// Pause after a round in which something happened: 100 wake-ups a second at most.
const PAUSE_NS: u64 = 10_000_000;
/// Pause per CPU time of the round: clients cost about a hundredth of a core at most.
const PAUSE_PER_COST: u64 = 100;
/// Longest such pause: a kubelet waits 1 s for the answer to a probe.
const LONGEST_PAUSE_NS: u64 = 500_000_000;
/// Pause where the system has no descriptor or memory for a connection.
const EXHAUSTED_PAUSE_NS: u64 = 1_000_000_000;
/// Requests within this time share one text of metrics.
const METRICS_AGE_NS: u64 = 50_000_000;

/// What the server answers with.
pub(crate) trait Responder {
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
    /// End of the pause after a round in which something happened.
    paused_until_ns: u64,
    /// It has been logged that no connection can be accepted, and none has been since.
    logged: bool,
    metrics: String,
    metrics_at_ns: u64,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// Where the address is in use or not of this host, or the port needs a capability.
    pub(crate) fn open(address: ListenAddress) -> io::Result<Self> {
        let listener = match address {
            ListenAddress::Address(address) => TcpListener::bind(address)?,
            ListenAddress::Every(port) => bind_every(port)?,
        };
        listener.set_nonblocking(true)?;
        let events = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        events.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        Ok(Self {
            listener,
            events,
            connections: Vec::with_capacity(MOST_CONNECTIONS),
            paused_until_ns: 0,
            logged: false,
            metrics: String::new(),
            metrics_at_ns: 0,
        })
    }

    /// The address it listens on: with port 0, the port that was assigned.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The descriptor to wait for, unless there is a pause.
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

    /// Accepts new connections up to the maximum, continues with all, and sets the next pause.
    pub(crate) fn serve(&mut self, now_ns: u64, answers: &mut impl Responder) {
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

    /// Accepts what is in the kernel's queue, as a flood fills it; gives how many.
    ///
    /// # Errors
    /// Where the system has no descriptor or memory for even one.
    fn take_new(&mut self, now_ns: u64) -> io::Result<usize> {
        for count in 0..MOST_CONNECTIONS {
            match self.accept(count) {
                Ok(stream) => self.take(stream, now_ns),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                // Those of this round come first.
                Err(error) if is_exhaustion(&error) && count > 0 => return Ok(count),
                Err(error) if is_exhaustion(&error) => {
                    if !self.logged {
                        warn!("cannot accept connections, retrying every second: {error}");
                    }
                    self.logged = true;
                    return Err(error);
                }
                Err(error) => debug!("the client closed the connection: {error}"),
            }
        }
        Ok(MOST_CONNECTIONS)
    }

    /// The next in the kernel's queue. Without a descriptor for it the oldest connection is closed, unless some were
    /// `taken` just now.
    fn accept(&mut self, taken: usize) -> io::Result<TcpStream> {
        let mut result = self.listener.accept();
        if result.as_ref().is_err_and(is_exhaustion) {
            // The kernel allocates a descriptor before it looks into the queue.
            if !self.is_queued() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            if taken == 0 && !self.connections.is_empty() {
                self.connections.remove(0).abort_on_close();
                result = self.listener.accept();
            }
        }
        result.map(|(stream, _)| stream)
    }

    fn is_queued(&self) -> bool {
        let mut queue = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut queue, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    fn take(&mut self, stream: TcpStream, now_ns: u64) {
        self.logged = false;
        if self.connections.len() >= MOST_CONNECTIONS {
            self.connections.remove(0).abort_on_close();
        }
        match Connection::new(stream, now_ns) {
            Ok(connection) => {
                if self.events.add(&connection, EpollEvent::new(EpollFlags::EPOLLIN, 0)).is_ok() {
                    self.connections.push(connection);
                }
            }
            Err(error) => debug!("connection closed: {error}"),
        }
    }

    /// Continues with all connections; whether anything happened on one.
    fn go_on(&mut self, now_ns: u64, answers: &mut impl Responder) -> bool {
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
        answers: &mut impl Responder,
    ) {
        let short;
        let (status, kind, body) = match route {
            Route::Metrics => {
                if self.metrics.is_empty() || now_ns.saturating_sub(self.metrics_at_ns) >= METRICS_AGE_NS {
                    // Never two of them in memory.
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

/// Binds a port of every address: of IPv6 and IPv4 alike, or of IPv4 alone where there is no IPv6.
fn bind_every(port: u16) -> io::Result<TcpListener> {
    or_ipv4_alone(bind_both(port), port)
}

fn or_ipv4_alone(both: nix::Result<TcpListener>, port: u16) -> io::Result<TcpListener> {
    match both {
        Ok(listener) => Ok(listener),
        // By another process on IPv6: to serve IPv4 alone would hide it.
        Err(Errno::EADDRINUSE) => Err(Errno::EADDRINUSE.into()),
        // Kernels, sandboxes and seccomp profiles without IPv6 differ in what they answer. What is no matter of IPv6 fails again.
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)),
    }
}

/// Binds a port of `[::]` for both protocols, whatever `net.ipv6.bindv6only` says.
fn bind_both(port: u16) -> nix::Result<TcpListener> {
    /// As the standard library has it.
    const QUEUE: i32 = 128;
    let socket = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, Ipv6V6Only, &false)?;
    setsockopt(&socket, ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrIn6::from(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0)))?;
    listen(&socket, Backlog::new(QUEUE)?)?;
    Ok(socket.into())
}

/// Whether the process or the machine has run out of descriptors or memory, as opposed to a client that went away.
fn is_exhaustion(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_every_address_is_one_of_ipv4_where_there_is_no_ipv6() {
        for errno in [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL, Errno::EPERM, Errno::EINVAL] {
            let listener = or_ipv4_alone(Err(errno), 0).unwrap();
            assert!(listener.local_addr().unwrap().is_ipv4(), "{errno}");
        }
        let error = or_ipv4_alone(Err(Errno::EADDRINUSE), 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
