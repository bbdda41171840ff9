//! Errors of TLS: what they mean, and what to do.

use std::error::Error;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error as Tls};

/// The error of TLS among the causes, if there is one, as a sentence.
pub(super) fn explained(error: &(dyn Error + 'static)) -> Option<String> {
    match tls_error(error)? {
        Tls::InvalidCertificate(error) => Some(of_certificate(error)),
        Tls::InvalidMessage(_) => {
            Some("the answer is not one of TLS; check that the server's URL needs https, and its port".into())
        }
        Tls::AlertReceived(AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure) => {
            Some("the server speaks neither TLS 1.3 nor 1.2 with a usable cipher; check its tls-min-version and tls-cipher-suites".into())
        }
        Tls::AlertReceived(alert) => Some(format!(
            "the server ended the TLS connection ({alert:?}); check client-certificate of the user"
        )),
        _ => None,
    }
}

fn of_certificate(error: &CertificateError) -> String {
    let at =
        |time: &UnixTime| humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.as_secs()));
    match error {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by an unknown authority; check certificate-authority of the cluster in the kubeconfig"
                .into()
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the server's certificate expired at {}; renew it, or check the clock of this machine", at(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("the server's certificate is not valid before {}; check the clock of this machine", at(not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            "the server's certificate has no subjectAltName, and its common name does not count; issue another".into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is valid for {}, not for {}; use one of its names as server, or set tls-server-name",
            names(presented),
            expected.to_str()
        ),
        // webpki has a type of its own for this, which rustls does not expose.
        other if format!("{other:?}").contains("UnsupportedCertVersion") => {
            "the server's certificate is of X.509 version 1, which has no subjectAltName; issue one of version 3".into()
        }
        other => format!("the server's certificate is not accepted ({other}); issue another"),
    }
}

/// rustls gives `DnsName("api.test")` and `IpAddress(127.0.0.1)`.
fn names(presented: &[String]) -> String {
    let name = |name: &String| {
        let inside = name.split_once('(').map_or(name.as_str(), |(_, inside)| inside);
        inside.trim_end_matches(')').trim_matches('"').to_owned()
    };
    presented.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// An `io::Error` does not give the error that it holds as its source.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Tls> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = held.map(|held| held as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}
