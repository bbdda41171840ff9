//! Address to listen on, on the command line.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Where to serve HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every address of this host on this port, IPv6 and IPv4, whichever it has.
    Every(u16),
    /// One address, or all of one protocol: `0.0.0.0` is IPv4 alone.
    Address(SocketAddr),
}

impl ListenAddress {
    /// The port.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Every(port) => port,
            Self::Address(address) => address.port(),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const ALLOWED: &str = "(allowed: :PORT for every address, such as :8080, or IP:PORT such as 0.0.0.0:8080, \
                               127.0.0.1:8080 or [::1]:8080; PORT is 0 to 65535)";
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(format!("empty {ALLOWED}"));
        }
        let port = trimmed.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some(port) = port.and_then(|port| port.parse().ok()) {
            return Ok(Self::Every(port));
        }
        trimmed.parse().map(Self::Address).map_err(|_| {
            let likely = match trimmed.parse::<u16>() {
                Ok(port) => format!("; did you mean :{port}?"),
                Err(_) => String::new(),
            };
            format!("not an address to listen on{likely} {ALLOWED}")
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every(port) => write!(f, ":{port}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_every_address() {
        assert_eq!(":8080".parse(), Ok(ListenAddress::Every(8080)));
        assert_eq!(" :0 ".parse(), Ok(ListenAddress::Every(0)));
    }

    #[test]
    fn an_address_is_that_one() {
        for text in ["0.0.0.0:8080", "127.0.0.1:0", "[::]:8080", "[::1]:9", "[fe80::1%2]:80"] {
            assert!(matches!(text.parse(), Ok(ListenAddress::Address(_))), "{text}");
        }
    }

    #[test]
    fn what_is_printed_parses_back() {
        for text in [":8080", "0.0.0.0:8080", "[::1]:80"] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused_with_what_is_allowed() {
        for text in
            ["", ":", ":http", ":99999", ":+80", ":-1", "localhost:80", "::1:80", "1.2.3.4", "0.0.0.0:99999"]
        {
            let error = text.parse::<ListenAddress>().unwrap_err();
            assert!(error.contains("allowed: :PORT"), "{text}: {error}");
        }
        assert!("8080".parse::<ListenAddress>().unwrap_err().contains("did you mean :8080?"));
    }
}
