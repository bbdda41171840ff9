//! One connection: one request, one answer, and then waiting for the other side to hang up.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use super::Route;

/// Media type of all answers but the metrics.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// A request has to fit: bearer tokens of service accounts take 1 to 2 KiB.
const MOST_BYTES: usize = 4 << 10;
/// Browsers send about 15 header fields, Prometheus 7, and what stands in between adds its own.
const MOST_HEADERS: usize = 64;
/// So long may a request take.
const REQUEST_NS: u64 = 2_000_000_000;
/// So long may the client take to read the answer and hang up.
const HANG_UP_NS: u64 = 1_000_000_000;
/// For what has been sent and is not taken: after that the kernel gives up as well.
const UNREAD_MS: u32 = 2_000;
/// The kernel doubles it; holds every answer whole, so nothing of it is kept here.
const SEND_BUFFER: usize = 32 << 10;

/// What a connection needs next.
pub(super) enum Next {
    /// Nothing has happened.
    Wait,
    /// Something has, and it waits for more.
    GoOn,
    /// An answer.
    Answer {
        /// To what.
        route: Route,
        /// Asked by HEAD.
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
        // Most of those who mean no good never send anything, and get no memory for it.
        let request = Vec::new();
        Ok(Self { stream, request, answered: false, deadline_ns: now_ns + REQUEST_NS })
    }

    pub(super) fn deadline_ns(&self) -> u64 {
        self.deadline_ns
    }

    /// Lets the kernel keep nothing of it once it is closed.
    pub(super) fn leave_nothing(&self) {
        let at_once = linger { l_onoff: 1, l_linger: 0 };
        // Where it fails, the kernel gives up by the other time limit.
        let _ = setsockopt(&self.stream, sockopt::Linger, &at_once);
    }

    /// Reads what there is.
    pub(super) fn go_on(&mut self, now_ns: u64) -> Next {
        if now_ns >= self.deadline_ns {
            self.leave_nothing();
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
            // Whatever it still has to say.
            return Next::GoOn;
        }
        let room = MOST_BYTES - self.request.len();
        // All of it at once: what grows bit by bit leaves holes.
        self.request.reserve_exact(room);
        self.request.extend_from_slice(buffer.get(..count.min(room)).unwrap_or_default());
        match Asked::parse(&self.request) {
            Asked::More if self.request.len() < MOST_BYTES => Next::GoOn,
            Asked::More | Asked::TooMuch => self.refuse("431 Request Header Fields Too Large", now_ns),
            Asked::Nonsense => self.refuse("400 Bad Request", now_ns),
            Asked::WrongMethod => self.refuse("405 Method Not Allowed", now_ns),
            Asked::Unknown => self.refuse("404 Not Found", now_ns),
            Asked::For(route, head_only) => Next::Answer { route, head_only },
        }
    }

    fn refuse(&mut self, status: &str, now_ns: u64) -> Next {
        const WAY_OUT: &str = "There is GET /metrics, /readyz and /healthz.\n";
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
        // The buffer of a fresh connection takes all of it. Whoever has managed to fill it gets a part.
        let _ = self.stream.write_vectored(&[IoSlice::new(head.as_bytes()), IoSlice::new(body.as_bytes())]);
        let _ = self.stream.shutdown(Shutdown::Write);
        self.answered = true;
        self.request = Vec::new();
        self.deadline_ns = now_ns + HANG_UP_NS;
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is not complete.
    More,
    /// It has more header fields than are taken.
    TooMuch,
    /// It is no HTTP.
    Nonsense,
    /// It is neither GET nor HEAD.
    WrongMethod,
    /// There is no such thing.
    Unknown,
    /// And whether by HEAD.
    For(Route, bool),
}

impl Asked {
    /// From the bytes that have come so far.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Partial) => return Self::More,
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Self::TooMuch,
            Err(_) => return Self::Nonsense,
        }
        let head_only = match request.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Self::WrongMethod,
        };
        match request.path.unwrap_or_default().split('?').next() {
            Some("/metrics") => Self::For(Route::Metrics, head_only),
            Some("/readyz") => Self::For(Route::Ready, head_only),
            Some("/healthz") => Self::For(Route::Health, head_only),
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_routes_are_found_with_and_without_a_query() {
        let asked = |line: &str| Asked::parse(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(asked("GET /metrics"), Asked::For(Route::Metrics, false));
        assert_eq!(asked("GET /metrics?name[]=a"), Asked::For(Route::Metrics, false));
        assert_eq!(asked("HEAD /readyz"), Asked::For(Route::Ready, true));
        assert_eq!(asked("GET /"), Asked::Unknown);
        assert_eq!(asked("POST /metrics"), Asked::WrongMethod);
        assert_eq!(asked("\0\0"), Asked::Nonsense);
    }

    #[test]
    fn a_request_is_complete_with_its_empty_line() {
        let whole = b"GET /healthz HTTP/1.0\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(Asked::parse(&whole[..length]), Asked::More, "{length}");
        }
        assert_eq!(Asked::parse(whole), Asked::For(Route::Health, false));
    }

    #[test]
    fn so_many_header_fields_are_taken_and_no_more() {
        let with = |fields| {
            Asked::parse(format!("GET /healthz HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields)).as_bytes())
        };
        assert_eq!(with(64), Asked::For(Route::Health, false));
        assert_eq!(with(65), Asked::TooMuch);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Asked::parse(&bytes);
        }
    }
}
