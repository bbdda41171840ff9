//! An API server that has a version and nothing else, with what it was sent.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme, StreamOwned,
};
use serde_json::json;

/// A file of `pki/`.
pub(crate) fn pki(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/connection/pki").join(file)
}

/// A request, as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) impersonate: Option<String>,
    /// The client certificate in DER.
    pub(crate) certificate: Option<Vec<u8>>,
}

/// It ends with the process.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Speaks TLS with a certificate of `pki/`, or none.
    pub(crate) fn start(address: &str, certificate: Option<&str>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let server = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let (requests, tls) = (server.requests.clone(), certificate.map(|file| Arc::new(tls(file))));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (requests, tls) = (requests.clone(), tls.clone());
                thread::spawn(move || serve(Box::new(client), tls.as_ref(), &requests));
            }
        });
        server
    }

    /// The requests for its version.
    pub(crate) fn versions(&self) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.path.ends_with("/version")).cloned().collect()
    }
}

fn tls(file: &str) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(pki(file)).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(pki("server.key")).unwrap();
    ServerConfig::builder()
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_single_cert(chain, key)
        .unwrap_or_else(|_| v1(file))
}

/// rustls refuses to show a certificate of version 1, unless it does not look.
fn v1(file: &str) -> ServerConfig {
    let builder = ServerConfig::builder().with_client_cert_verifier(Arc::new(Anybody));
    let key = PrivateKeyDer::from_pem_file(pki("server.key")).unwrap();
    let key = builder.crypto_provider().key_provider.load_private_key(key).unwrap();
    let chain = CertificateDer::pem_file_iter(pki(file)).unwrap().map(Result::unwrap).collect();
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)))
}

/// Asks for a client certificate and accepts each, as an API server does in the handshake.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}

trait Duplex: Read + Write {}

impl<S: Read + Write> Duplex for S {}

/// Answers requests. A request for a tunnel leads to the server itself, with TLS again: it is a proxy as well.
fn serve(
    mut client: Box<dyn Duplex>,
    tls: Option<&Arc<ServerConfig>>,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<()> {
    let Some(config) = tls else { return answer(&mut client, None, requests).map(drop) };
    let mut connection = ServerConnection::new(config.clone()).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut client)?;
    }
    let certificate = connection.peer_certificates().map(|chain| chain[0].to_vec());
    let mut stream = StreamOwned::new(connection, client);
    match answer(&mut stream, certificate.as_ref(), requests)? {
        Next::End => Ok(()),
        Next::Tunnel => serve(Box::new(stream), tls, requests),
    }
}

enum Next {
    End,
    Tunnel,
}

fn answer(
    stream: &mut dyn Duplex,
    certificate: Option<&Vec<u8>>,
    requests: &Mutex<Vec<Request>>,
) -> io::Result<Next> {
    loop {
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
            // TLS, where none is spoken.
            if head == [0x16] {
                return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").map(|()| Next::End);
            }
        }
        if head.starts_with(b"CONNECT api.test") {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            stream.flush()?;
            return Ok(Next::Tunnel);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let header = |name: &str| {
            let pairs = head.lines().filter_map(|line| line.split_once(": "));
            pairs.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        stream.read_exact(&mut vec![0; length])?;
        let path = head.split_whitespace().nth(1).unwrap().to_owned();
        let authorization = header("authorization");
        let (status, body) = match (authorization.as_deref(), path.ends_with("/version")) {
            (Some("Bearer rejected"), _) => (401, failure(401, "Unauthorized")),
            (Some("Bearer forbidden"), _) => (403, failure(403, "Forbidden")),
            (_, true) => (200, version()),
            _ => (404, failure(404, "NotFound")),
        };
        let (impersonate, certificate) = (header("impersonate-user"), certificate.cloned());
        requests.lock().unwrap().push(Request { path, authorization, impersonate, certificate });
        let head = format!(
            "HTTP/1.1 {status} _\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes())?;
        stream.flush()?;
    }
}

fn version() -> String {
    let version = json!({
        "major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": "", "gitTreeState": "", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "",
    });
    version.to_string()
}

fn failure(code: u16, reason: &str) -> String {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code,
    })
    .to_string()
}
