//! HTTP request: its parser and the routes.

/// Browsers send about 15 header fields, Prometheus 7, and proxies add their own.
const MOST_HEADERS: usize = 64;

/// The routes that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The metrics.
    Metrics,
    /// Readiness: whether the target is held.
    Ready,
    /// Liveness.
    Health,
}

/// A request, as far as it has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// It is not complete.
    Incomplete,
    /// It has more header fields than are accepted.
    TooManyHeaders,
    /// It is not HTTP.
    Malformed,
    /// It is neither GET nor HEAD.
    MethodNotAllowed,
    /// There is no such path.
    NotFound,
    /// A known path, and whether the method is HEAD.
    Get(Route, bool),
}

impl Request {
    /// Parses the bytes received so far.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Partial) => return Self::Incomplete,
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Self::TooManyHeaders,
            Err(_) => return Self::Malformed,
        }
        let head_only = match request.method {
            Some("GET") => false,
            Some("HEAD") => true,
            _ => return Self::MethodNotAllowed,
        };
        match request.path.unwrap_or_default().split('?').next() {
            Some("/metrics") => Self::Get(Route::Metrics, head_only),
            Some("/readyz") => Self::Get(Route::Ready, head_only),
            Some("/healthz") => Self::Get(Route::Health, head_only),
            _ => Self::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_three_routes_are_found_with_and_without_a_query() {
        let asked = |line: &str| Request::parse(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(asked("GET /metrics"), Request::Get(Route::Metrics, false));
        assert_eq!(asked("GET /metrics?name[]=a"), Request::Get(Route::Metrics, false));
        assert_eq!(asked("HEAD /readyz"), Request::Get(Route::Ready, true));
        assert_eq!(asked("GET /"), Request::NotFound);
        assert_eq!(asked("POST /metrics"), Request::MethodNotAllowed);
        assert_eq!(asked("\0\0"), Request::Malformed);
    }

    #[test]
    fn a_request_is_complete_with_its_empty_line() {
        let whole = b"GET /healthz HTTP/1.0\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(Request::parse(&whole[..length]), Request::Incomplete, "{length}");
        }
        assert_eq!(Request::parse(whole), Request::Get(Route::Health, false));
    }

    #[test]
    fn header_fields_are_limited_in_number() {
        let with = |fields| {
            Request::parse(format!("GET /healthz HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields)).as_bytes())
        };
        assert_eq!(with(64), Request::Get(Route::Health, false));
        assert_eq!(with(65), Request::TooManyHeaders);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&bytes);
        }
    }
}
