//! HTTP connection: one request, one response, then a wait for the client to hang up.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use super::request::{Request, Route};

/// Media type of all responses but the metrics.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// Size limit of a request: bearer tokens of service accounts take 1 to 2 KiB.
const MOST_BYTES: usize = 4 << 10;
/// Time limit for a request.
const REQUEST_NS: u64 = 2_000_000_000;
/// Time limit for the client to read the response and hang up.
const HANG_UP_NS: u64 = 1_000_000_000;
/// Time limit for unacknowledged data, in the kernel (`TCP_USER_TIMEOUT`).
const UNREAD_MS: u32 = 2_000;
/// The kernel doubles it: every response fits, so none is kept here.
const SEND_BUFFER: usize = 32 << 10;

/// What a connection needs next.
pub(super) enum Next {
    /// Nothing has happened.
    Wait,
    /// Something has, and it waits for more.
    GoOn,
    /// A response.
    Answer {
        /// The route asked for.
        route: Route,
        /// Whether the method is HEAD.
        head_only: bool,
    },
    /// It is over.
    Close,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answered: bool,
    deadline_ns: u64,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, now_ns: u64) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        setsockopt(&stream, sockopt::TcpUserTimeout, &UNREAD_MS)?;
        setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER)?;
        // Allocated on the first bytes: most malicious clients never send any.
        let request = Vec::new();
        Ok(Self { stream, request, answered: false, deadline_ns: now_ns + REQUEST_NS })
    }

    pub(super) fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    /// Makes the kernel drop it at once when it is closed.
    pub(super) fn abort_on_close(&self) {
        let at_once = linger { l_onoff: 1, l_linger: 0 };
        // Where it fails, `TCP_USER_TIMEOUT` applies.
        let _ = setsockopt(&self.stream, sockopt::Linger, &at_once);
    }

    /// Reads what has arrived, and decides what is next.
    pub(super) fn go_on(&mut self, now_ns: u64) -> Next {
        if now_ns >= self.deadline_ns {
            self.abort_on_close();
            return Next::Close;
        }
        let mut buffer = [0; MOST_BYTES];
        let count = match self.stream.read(&mut buffer) {
            Ok(0) => return Next::Close,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Wait,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Next::GoOn,
            Err(_) => return Next::Close,
        };
        if self.answered {
            // Anything more is ignored.
            return Next::GoOn;
        }
        let room = MOST_BYTES - self.request.len();
        // All of it at once, against fragmentation.
        self.request.reserve_exact(room);
        self.request.extend_from_slice(buffer.get(..count.min(room)).unwrap_or_default());
        match Request::parse(&self.request) {
            Request::Incomplete if self.request.len() < MOST_BYTES => Next::GoOn,
            Request::Incomplete | Request::TooManyHeaders => {
                self.refuse("431 Request Header Fields Too Large", now_ns)
            }
            Request::Malformed => self.refuse("400 Bad Request", now_ns),
            Request::MethodNotAllowed => self.refuse("405 Method Not Allowed", now_ns),
            Request::NotFound => self.refuse("404 Not Found", now_ns),
            Request::Get(route, head_only) => Next::Answer { route, head_only },
        }
    }

    fn refuse(&mut self, status: &str, now_ns: u64) -> Next {
        const WAY_OUT: &str = "Available: GET /metrics, /readyz, /healthz.\n";
        self.answer(status, TEXT, WAY_OUT, false, now_ns);
        Next::GoOn
    }

    /// Sends everything with one `write`.
    pub(super) fn answer(&mut self, status: &str, kind: &str, body: &str, head_only: bool, now_ns: u64) {
        let allow = if status.starts_with("405") { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
            body.len()
        );
        let body = if head_only { "" } else { body };
        // The send buffer of a fresh connection takes all of it; a client that has filled it gets a part.
        let _ = self.stream.write_vectored(&[IoSlice::new(head.as_bytes()), IoSlice::new(body.as_bytes())]);
        let _ = self.stream.shutdown(Shutdown::Write);
        self.answered = true;
        self.request = Vec::new();
        self.deadline_ns = now_ns + HANG_UP_NS;
    }
}
