//! Certificates of servers and clients.

use serde_json::{Value, json};

use crate::server::{Server, pki};
use crate::{Place, assert_reached, assert_said};

fn nobody() -> Value {
    json!({})
}

fn identity(certificate: &str, key: &str) -> Value {
    json!({"client-certificate": pki(certificate), "client-key": pki(key)})
}

/// The DER of a certificate of `pki/`.
fn der(file: &str) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::from_pem_file(pki(file)).unwrap().to_vec()
}

#[test]
fn a_server_on_ipv6_is_reached() {
    let server = Server::start("[::1]:0", Some("server.pem"));
    let place = Place::new();
    assert_reached(&place.put(&format!("https://{}", server.address), nobody()).plan(&[], &[]));
    let said = place.put("https://[::1]:1", nobody()).plan(&[], &[]);
    assert_said(&said, &["https://[::1]:1 (context \"test\"): ", "Connection refused"]);
}

#[test]
fn without_a_certificate_authority_the_systems_roots_count() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let place = Place::new();
    place.put_cluster(json!({"server": format!("https://{}", server.address)}), nobody());
    assert_reached(&place.plan(&[("SSL_CERT_FILE", pki("ca.pem").to_str().unwrap())], &[]));
    let said = place.plan(&[("SSL_CERT_FILE", pki("client.pem").to_str().unwrap())], &[]);
    assert_said(&said, &["signed by an unknown authority"]);
}

#[test]
fn client_certificates_of_version_1_and_keys_of_every_format_are_presented() {
    let server = Server::start("127.0.0.1:0", Some("server.pem"));
    let place = Place::new();
    for (certificate, key) in [
        ("client.pem", "client.key"),
        ("client-v1.pem", "client.key"),
        ("client-v1.pem", "client-sec1.key"),
        ("rsa.pem", "rsa.key"),
    ] {
        let said =
            place.put(&format!("https://{}", server.address), identity(certificate, key)).plan(&[], &[]);
        assert_reached(&said);
        assert_eq!(
            server.versions().last().unwrap().certificate,
            Some(der(certificate)),
            "{certificate} {key}"
        );
    }
}

#[test]
fn client_certificates_that_cannot_be_used_are_named_with_the_reason() {
    let place = Place::new();
    for (certificate, key, parts) in [
        (
            "client-expired.pem",
            "client.key",
            &["expired at 2021-01-01T00:00:00Z; renew it", "client-expired.pem"][..],
        ),
        ("client.pem", "rsa.key", &["the private key does not belong to the client certificate", "rsa.key"]),
        ("client-v1.pem", "rsa.key", &["the private key does not belong to the client certificate"]),
        (
            "client.pem",
            "client-encrypted.key",
            &["the private key is encrypted", "openssl pkey -in KEY -out NEW"],
        ),
        ("make.sh", "client.key", &["no certificate found; expected PEM", "make.sh"]),
        ("client.pem", "make.sh", &["no private key found; expected PEM", "make.sh"]),
        ("nowhere.pem", "client.key", &["nowhere.pem\" cannot be read: No such file"]),
    ] {
        let said = place.put("https://localhost:1", identity(certificate, key)).plan(&[], &[]);
        assert_said(&said, parts);
    }
    let said = place.put("https://localhost:1", json!({"client-key": pki("client.key")})).plan(&[], &[]);
    assert_said(&said, &["a client-key but no client-certificate"]);
    let said = place
        .put("https://localhost:1", json!({"client-certificate-data": "%", "client-key-data": "%"}))
        .plan(&[], &[]);
    assert_said(&said, &["client-certificate-data is not valid base64"]);
}

#[test]
fn a_server_certificate_that_is_not_accepted_is_explained() {
    let place = Place::new();
    for (certificate, parts) in [
        ("no-san.pem", &["has no subjectAltName, and its common name does not count"][..]),
        ("v1.pem", &["is of X.509 version 1"]),
        ("expired.pem", &["expired at 2021-01-01T00:00:00Z"]),
    ] {
        let server = Server::start("127.0.0.1:0", Some(certificate));
        let url = format!("https://localhost:{}", server.address.port());
        let said = place.put(&url, nobody()).plan(&[], &[]);
        assert_said(&said, parts);
        assert!(!said.contains("check that it is up"), "it is: {said}");
        let insecure = json!({"server": url, "insecure-skip-tls-verify": true});
        assert_reached(&place.put_cluster(insecure, nobody()).plan(&[], &[]));
    }
}

#[test]
fn the_servers_name_and_authority_are_those_of_the_kubeconfig() {
    let server = Server::start("127.0.0.2:0", Some("server.pem"));
    let url = format!("https://{}", server.address);
    let place = Place::new();
    let said = place.put(&url, nobody()).plan(&[], &[]);
    assert_said(&said, &["is valid for", "api.test, proxy.test", "not for 127.0.0.2", "tls-server-name"]);
    let named = json!({"server": url, "certificate-authority": pki("ca.pem"), "tls-server-name": "api.test"});
    assert_reached(&place.put_cluster(named, nobody()).plan(&[], &[]));
    let local = Server::start("127.0.0.1:0", Some("server.pem"));
    let url = format!("https://{}", local.address);
    for (authority, part) in [
        ("client.pem", "signed by an unknown authority; check certificate-authority"),
        ("make.sh", "no certificate found; expected PEM"),
        ("nowhere.pem", "nowhere.pem\" cannot be read: No such file"),
    ] {
        let cluster = json!({"server": url, "certificate-authority": pki(authority)});
        assert_said(&place.put_cluster(cluster, nobody()).plan(&[], &[]), &["certificate-authority", part]);
    }
    let plain = Server::start("127.0.0.1:0", None);
    let said = place.put(&format!("https://{}", plain.address), nobody()).plan(&[], &[]);
    assert_said(&said, &["the answer is not one of TLS"]);
}
