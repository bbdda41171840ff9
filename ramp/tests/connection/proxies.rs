//! Proxies of the environment and of the kubeconfig.

use serde_json::json;

use crate::proxy::TestProxy;
use crate::server::{Server, pki};
use crate::{Place, assert_reached, assert_said};

/// A name that only the proxy knows.
const SERVER: &str = "https://api.test:6443";

fn token() -> serde_json::Value {
    json!({"token": "secret"})
}

fn proxied(address: &str) -> (Server, TestProxy) {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let proxy = TestProxy::start(address, server.address);
    (server, proxy)
}

#[test]
fn https_proxy_is_used_for_an_https_server_and_told_its_name() {
    let (server, proxy) = proxied("127.0.0.1:0");
    let place = Place::new();
    place.put(SERVER, token());
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let url = format!("http://me:p%40ss@{}", proxy.address);
        assert_reached(&place.plan(&[(name, &url)], &[]));
    }
    // base64 of me:p@ss
    assert!(
        proxy.asked().iter().all(|asked| asked == "CONNECT api.test:6443 Basic bWU6cEBzcw=="),
        "{:?}",
        proxy.asked()
    );
    assert_eq!(server.versions()[0].authorization.as_deref(), Some("Bearer secret"));
}

#[test]
fn http_proxy_is_used_for_an_http_server_and_forwards_its_requests() {
    let server = Server::start("127.0.0.1:0", None);
    let proxy = TestProxy::start("127.0.0.1:0", server.address);
    let place = Place::new();
    place.put_cluster(json!({"server": "http://api.test:8080"}), token());
    let url = format!("http://me:secret@{}", proxy.address);
    assert_reached(&place.plan(&[("HTTP_PROXY", &url), ("HTTPS_PROXY", "http://127.0.0.1:1")], &[]));
    // base64 of me:secret
    assert_eq!(proxy.asked()[0], "GET http://api.test:8080/version Basic bWU6c2VjcmV0");
}

#[test]
fn socks_proxies_resolve_the_name_and_get_credentials() {
    let (_server, proxy) = proxied("127.0.0.1:0");
    let place = Place::new();
    for scheme in ["socks5", "socks5h"] {
        let url = format!("{scheme}://me:p%40ss@{}", proxy.address);
        let cluster = json!({"server": SERVER, "certificate-authority": pki("ca.pem"), "proxy-url": url});
        place.put_cluster(cluster, token());
        assert_reached(&place.plan(&[("NO_PROXY", "*")], &[]));
    }
    assert!(proxy.asked().iter().all(|asked| asked == "SOCKS api.test:6443 me:p@ss"), "{:?}", proxy.asked());
    place.put(SERVER, token());
    assert_reached(&place.plan(&[("HTTPS_PROXY", &format!("socks5://{}", proxy.address))], &[]));
    assert_eq!(proxy.asked().last().unwrap(), "SOCKS api.test:6443");
}

#[test]
fn a_proxy_may_be_on_ipv6() {
    let (_server, proxy) = proxied("[::1]:0");
    let place = Place::new();
    place.put(SERVER, token());
    assert_reached(&place.plan(&[("HTTPS_PROXY", &format!("http://{}", proxy.address))], &[]));
    assert_eq!(proxy.asked()[0], "CONNECT api.test:6443");
}

#[test]
fn a_proxy_may_speak_tls_inside_of_which_is_that_of_the_server() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let place = Place::new();
    let url = format!("https://localhost:{}", server.address.port());
    assert_reached(&place.put(SERVER, token()).plan(&[("HTTPS_PROXY", &url)], &[]));
    let said = place.put("https://other.test", token()).plan(&[("HTTPS_PROXY", &url)], &[]);
    assert_said(
        &said,
        &["proxy https://localhost:", "(HTTPS_PROXY)", "refuses a connection to other.test:443", "404"],
    );
}

#[test]
fn no_proxy_and_loopback_addresses_are_reached_directly() {
    let (server, proxy) = proxied("127.0.0.1:0");
    let place = Place::new();
    place.put(&format!("https://localhost:{}", server.address.port()), token());
    let url = format!("http://{}", proxy.address);
    assert_reached(&place.plan(&[("HTTPS_PROXY", &url)], &[]));
    place.put(SERVER, token());
    let said = place.plan(&[("HTTPS_PROXY", &url), ("NO_PROXY", ".test")], &[]);
    assert_said(&said, &["https://api.test:6443 (context \"test\")"]);
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn an_error_names_the_proxy_and_what_it_answered_but_not_its_credentials() {
    let (server, proxy) = proxied("127.0.0.1:0");
    let place = Place::new();
    let plan = |server: &str, proxy: &str| {
        let cluster = json!({"server": server, "certificate-authority": pki("ca.pem"), "proxy-url": proxy});
        let said = place.put_cluster(cluster, token()).plan(&[], &[]);
        assert!(!said.contains("secret"), "{said}");
        said
    };
    for scheme in ["http", "socks5"] {
        let shown = format!("proxy {scheme}://127.0.0.1:1 (proxy-url of the kubeconfig): ");
        let said = plan(SERVER, &format!("{scheme}://me:secret@127.0.0.1:1"));
        assert_said(&said, &["https://api.test:6443 (context \"test\"): ", &shown, "Connection refused"]);
    }
    let said = plan("https://refused:6443", &format!("http://me:secret@{}", proxy.address));
    assert_said(&said, &["it refuses a connection to refused:6443 (HTTP/1.1 403 Forbidden by policy)"]);
    let said = plan(SERVER, "ftp://me:secret@127.0.0.1");
    assert_said(
        &said,
        &["a proxy of scheme \"ftp\" is not supported; expected http, https, socks5 or socks5h"],
    );
    assert_eq!(server.versions(), []);
}
