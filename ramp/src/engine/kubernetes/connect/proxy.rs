//! Choice of the proxy: `proxy-url` of the kubeconfig, else `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as kubectl reads them.

use std::fmt;
use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyProtocol {
    Http,
    Https,
    /// The proxy resolves the server's name: `socks5h`, and Go's `socks5`.
    Socks5,
}

/// A proxy. It is displayed without its credentials.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) protocol: ProxyProtocol,
    /// An IPv6 address has its brackets.
    host: String,
    port: u16,
    /// Name and password, decoded.
    pub(super) credentials: Option<(String, String)>,
    /// The variable or field that names it.
    origin: &'static str,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.uri(), self.origin)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Proxy {
    /// The proxy for a server, if any. `field` is the `proxy-url` of its cluster: `NO_PROXY` does not apply to it.
    ///
    /// # Errors
    /// If it is no URL of a proxy. The message does not repeat it: it may have credentials.
    pub(super) fn of(
        server: &Uri,
        field: Option<&str>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, String> {
        if let Some(url) = field.filter(|url| !url.is_empty()) {
            return Self::parse(url, "proxy-url of the kubeconfig").map(Some);
        }
        let names: [&'static str; 2] = match server.scheme_str() {
            Some("http") => ["HTTP_PROXY", "http_proxy"],
            _ => ["HTTPS_PROXY", "https_proxy"],
        };
        let Some((name, url)) = first(names, &env) else { return Ok(None) };
        let (no_proxy, host) = (first(["NO_PROXY", "no_proxy"], &env), server.host().unwrap_or_default());
        if is_excluded(no_proxy.map_or(String::new(), |(_, list)| list).as_str(), host, port_of(server)) {
            return Ok(None);
        }
        // As Go does: an address without a scheme is that of an HTTP proxy.
        let url = if url.contains("://") { url } else { format!("http://{url}") };
        Self::parse(&url, name).map(Some)
    }

    fn parse(url: &str, origin: &'static str) -> Result<Self, String> {
        let expected = "expected http, https, socks5 or socks5h, as in http://HOST:PORT";
        let wrong = |what: &str| format!("{origin}: {what}; {expected}");
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| wrong("not a URL"))?;
        let (protocol, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (ProxyProtocol::Http, 80),
            "https" => (ProxyProtocol::Https, 443),
            "socks5" | "socks5h" => (ProxyProtocol::Socks5, 1080),
            other => return Err(wrong(&format!("a proxy of scheme {other:?} is not supported"))),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let address: Authority = address.parse().map_err(|_| wrong("not a URL with a host"))?;
        let port = match address.as_str()[address.host().len()..].strip_prefix(':') {
            None | Some("") => default_port,
            Some(port) => port.parse().map_err(|_| wrong("invalid port"))?,
        };
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            (decoded(name), decoded(password))
        });
        Ok(Self { protocol, host: address.host().to_owned(), port, credentials, origin })
    }

    /// Where to connect to, with TLS if the scheme is https.
    pub(super) fn tcp_uri(&self) -> String {
        let scheme = if self.protocol == ProxyProtocol::Https { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// Its address, without credentials.
    fn uri(&self) -> String {
        let scheme = match self.protocol {
            ProxyProtocol::Http => "http",
            ProxyProtocol::Https => "https",
            ProxyProtocol::Socks5 => "socks5",
        };
        format!("{scheme}://{}:{}", self.host, self.port)
    }
}

/// The port of a server, given or by its scheme.
pub(super) fn port_of(server: &Uri) -> u16 {
    let default = if server.scheme_str() == Some("http") { 80 } else { 443 };
    server.port_u16().unwrap_or(default)
}

fn first(names: [&'static str; 2], env: &impl Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    let set = |name| Some((name, env(name)?)).filter(|(_, value)| !value.is_empty());
    names.into_iter().find_map(set)
}

/// Whether the environment's proxy is not for this host: the rules of Go's `httpproxy.Config`.
fn is_excluded(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    let entries = no_proxy.split(',').map(|entry| entry.trim().to_ascii_lowercase());
    entries.filter(|entry| !entry.is_empty()).any(|entry| excludes(&entry, &host, address, port))
}

fn excludes(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return address.is_some_and(|address| network.contains(&address));
    }
    let (name, of_port) = split_port(entry);
    if of_port.is_some_and(|of_port| of_port.parse() != Ok(port)) {
        return false;
    }
    if let Ok(excluded) = name.parse::<IpAddr>() {
        return address == Some(excluded.to_canonical());
    }
    match name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name) {
        "" => false,
        // Of a domain with a leading dot only the names below it.
        suffix if suffix.starts_with('.') => host.ends_with(suffix),
        domain => host == domain || host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')),
    }
}

/// Separates the port: an IPv6 address with one has brackets.
fn split_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|entry| entry.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port)),
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, env: &[(&str, &str)]) -> Option<String> {
        let env = |name: &str| env.iter().find(|(of, _)| *of == name).map(|(_, value)| (*value).to_owned());
        Proxy::of(&server.parse().unwrap(), None, env).unwrap().map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_variable_of_the_servers_scheme_is_read_and_upper_case_takes_precedence() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "http://p:2"), ("ALL_PROXY", "http://a:3")];
        assert_eq!(chosen("https://api:6443", &both).unwrap(), "http://s:1 (HTTPS_PROXY)");
        assert_eq!(chosen("http://api:8080", &both).unwrap(), "http://p:2 (HTTP_PROXY)");
        let cases = [("HTTPS_PROXY", "http://u:1"), ("https_proxy", "http://l:1")];
        assert_eq!(chosen("https://api", &cases).unwrap(), "http://u:1 (HTTPS_PROXY)");
        assert_eq!(chosen("https://api", &cases[1..]).unwrap(), "http://l:1 (https_proxy)");
        assert_eq!(chosen("https://api", &[("HTTPS_PROXY", "")]), None);
        assert_eq!(chosen("https://api", &[("ALL_PROXY", "http://a:3")]), None, "kubectl does not read it");
    }

    #[test]
    fn a_proxy_has_the_default_port_of_its_scheme_and_may_be_on_ipv6() {
        for (url, shown) in [
            ("proxy:3128", "http://proxy:3128 (HTTPS_PROXY)"),
            ("proxy", "http://proxy:80 (HTTPS_PROXY)"),
            ("https://proxy/", "https://proxy:443 (HTTPS_PROXY)"),
            ("socks5://proxy", "socks5://proxy:1080 (HTTPS_PROXY)"),
            ("socks5h://[::1]", "socks5://[::1]:1080 (HTTPS_PROXY)"),
            ("http://[fd00::1]:3128", "http://[fd00::1]:3128 (HTTPS_PROXY)"),
        ] {
            assert_eq!(chosen("https://api:6443", &[("HTTPS_PROXY", url)]).unwrap(), shown);
        }
    }

    #[test]
    fn no_proxy_is_read_as_kubectl_reads_it() {
        for (list, host, port, excluded) in [
            ("", "localhost", 6443, true),
            ("", "127.0.0.53", 6443, true),
            ("", "[::1]", 6443, true),
            ("", "10.0.0.1", 6443, false),
            ("*", "api.example.com", 6443, true),
            ("example.com", "example.com", 6443, true),
            ("example.com", "api.example.com", 6443, true),
            ("example.com", "notexample.com", 6443, false),
            (".example.com", "api.example.com", 6443, true),
            (".example.com", "example.com", 6443, false),
            ("*.example.com", "api.example.com", 6443, true),
            (" a , EXAMPLE.com ", "Api.Example.COM", 6443, true),
            ("example.com:6443", "example.com", 6443, true),
            ("example.com:443", "example.com", 6443, false),
            ("10.0.0.0/8", "10.1.2.3", 6443, true),
            ("10.0.0.0/8", "11.1.2.3", 6443, false),
            ("10.0.0.0/8", "10.example.com", 6443, false),
            ("10.1.2.3", "10.1.2.3", 6443, true),
            ("10.1.2.3:443", "10.1.2.3", 6443, false),
            ("fd00::/8", "[fd00::1]", 6443, true),
            ("fd00::1", "[fd00::1]", 6443, true),
            ("[fd00::1]:6443", "[fd00::1]", 6443, true),
            ("[fd00::1]:443", "[fd00::1]", 6443, false),
            (":6443", "api", 6443, false),
            ("http://example.com, ,%", "example.com", 6443, false),
        ] {
            assert_eq!(is_excluded(list, host, port), excluded, "{list:?} {host} {port}");
        }
        let env = [("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", ""), ("no_proxy", "api")];
        assert_eq!(chosen("https://api:6443", &env), None);
        assert!(chosen("https://proxy:6443", &[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "p")]).is_some());
    }

    #[test]
    fn the_field_of_the_kubeconfig_takes_precedence_and_no_proxy_does_not_apply_to_it() {
        let env = |name: &str| match name {
            "NO_PROXY" => Some("*".to_owned()),
            "HTTPS_PROXY" => Some("http://other:1".to_owned()),
            _ => None,
        };
        let server = "https://127.0.0.1:6443".parse().unwrap();
        let proxy = Proxy::of(&server, Some("socks5://p:1"), env).unwrap().unwrap();
        assert_eq!(proxy.to_string(), "socks5://p:1 (proxy-url of the kubeconfig)");
        assert_eq!(Proxy::of(&server, Some(""), env).unwrap(), None, "an empty field is none");
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let server = "https://api".parse().unwrap();
        let of = |url: &str| Proxy::of(&server, Some(url), |_| None);
        let proxy = of("http://me:p%40s%3As@w^@proxy:3128").unwrap().unwrap();
        assert_eq!(proxy.credentials, Some(("me".into(), "p@s:s@w^".into())));
        assert_eq!(format!("{proxy} {proxy:?}").matches("p@s").count(), 0);
        for wrong in ["ftp://me:secret@p", "http://me:secret@", "http://me:secret@p:x", "me:secret@p"] {
            let error = of(wrong).unwrap_err();
            assert!(error.starts_with("proxy-url of the kubeconfig: "), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
