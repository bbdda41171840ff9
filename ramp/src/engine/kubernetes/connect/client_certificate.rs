//! Client certificates: PEM, formats of the private key, X.509 v1, and when they expire.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};

/// A certificate chain with its private key.
#[derive(Clone, Debug)]
pub(super) struct ClientCertificate {
    key: Arc<CertifiedKey>,
    /// The end of its validity, where it can be read.
    pub(super) expires: Option<SystemTime>,
}

impl PartialEq for ClientCertificate {
    fn eq(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

impl ClientCertificate {
    /// Reads PEM; `of_certificate` and `of_key` say where each stands.
    ///
    /// # Errors
    /// If they cannot be used, or have expired by `now`.
    pub(super) fn read(
        (certificate, of_certificate): (&[u8], &str),
        (key, of_key): (&[u8], &str),
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| format!("{of_certificate}: invalid PEM: {error}"))?;
        let Some(first) = chain.first() else {
            return Err(format!("{of_certificate}: no certificate found; expected PEM (BEGIN CERTIFICATE)"));
        };
        let validity = validity(first);
        let expires = validity.map(|(_, until)| until);
        let key = certified(chain, private_key(key, of_key)?, provider)
            .map_err(|error| format!("{of_key}: {}", unusable(&error)))?;
        check_validity(validity, of_certificate, now)?;
        Ok(Self { key: Arc::new(key), expires })
    }

    pub(super) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.key.clone()))
    }
}

fn check_validity(
    validity: Option<(SystemTime, SystemTime)>,
    of_certificate: &str,
    now: SystemTime,
) -> Result<(), String> {
    let at = humantime::format_rfc3339_seconds;
    match validity {
        Some((_, until)) if until < now => Err(format!(
            "{of_certificate}: the client certificate expired at {}; renew it, for example by downloading the kubeconfig again",
            at(until)
        )),
        Some((from, _)) if from > now => Err(format!(
            "{of_certificate}: the client certificate is not valid before {}; check the clock of this machine",
            at(from)
        )),
        _ => Ok(()),
    }
}

fn private_key(pem: &[u8], of_key: &str) -> Result<PrivateKeyDer<'static>, String> {
    let has = |words: &str| pem.windows(words.len()).any(|window| window == words.as_bytes());
    if has("BEGIN ENCRYPTED PRIVATE KEY") || has("Proc-Type: 4,ENCRYPTED") {
        return Err(format!(
            "{of_key}: the private key is encrypted, which neither kubectl nor ramp supports; write it without a passphrase: openssl \
             pkey -in KEY -out NEW"
        ));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        format!("{of_key}: no private key found; expected PEM (BEGIN PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY)")
    })
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let key = CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?);
    match key.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(key),
        // rustls reads certificates of X.509 v3 only, but a client need not read its own: it is enough that the API server accepts it.
        Err(Error::InvalidCertificate(_)) if has_public_key(&key) => Ok(key),
        Err(Error::InvalidCertificate(_)) => Err(InconsistentKeys::KeyMismatch.into()),
        Err(error) => Err(error),
    }
}

/// Whether the public key stands in the certificate: in one of any version its encoding is the same.
fn has_public_key(key: &CertifiedKey) -> bool {
    let Some(public) = key.key.public_key() else { return true };
    key.cert
        .first()
        .is_some_and(|certificate| certificate.windows(public.len()).any(|part| part == public.as_ref()))
}

fn unusable(error: &Error) -> String {
    match error {
        Error::InconsistentKeys(_) => "the private key does not belong to the client certificate".into(),
        other => format!(
            "the private key cannot be used ({other}); supported are RSA of 2048 to 4096 bits, ECDSA P-256 and P-384, and Ed25519"
        ),
    }
}

/// `notBefore` and `notAfter` of a certificate of any version: RFC 5280, 4.1. (rustls does not tell them.)
fn validity(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate).filter(|(tag, ..)| *tag == SEQUENCE)?;
    let (_, mut fields, _) = element(certificate)?;
    if fields.first() == Some(&VERSION) {
        (.., fields) = element(fields)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        (.., fields) = element(fields)?;
    }
    let (_, dates, _) = element(fields)?;
    let (tag, from, dates) = element(dates)?;
    let (tag_of_end, until, _) = element(dates)?;
    Some((time(tag, from)?, time(tag_of_end, until)?))
}

/// The first DER element: its tag and content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = der.split_first_chunk()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        _ => {
            let (bytes, rest) =
                rest.split_at_checked(usize::from(short & 0x7f)).filter(|(bytes, _)| bytes.len() <= 4)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// UTCTime `YYMMDDHHMMSSZ`, with years from 1950 to 2049, or GeneralizedTime `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<SystemTime> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let text = match tag {
        UTC_TIME if *text >= *"50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        _ => text.to_owned(),
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, time) =
        ((part(0, 4)?, part(4, 6)?, part(6, 8)?), (part(8, 10)?, part(10, 12)?, part(12, 14)?));
    let rfc3339 = format!("{}-{}-{}T{}:{}:{}Z", date.0, date.1, date.2, time.0, time.1, time.2);
    humantime::parse_rfc3339(&rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn der(file: &str) -> Vec<u8> {
        let path = format!("{}/tests/connection/pki/{file}", env!("CARGO_MANIFEST_DIR"));
        CertificateDer::from_pem_file(path).unwrap().to_vec()
    }

    #[test]
    fn the_validity_of_certificates_of_both_versions_is_read() {
        let at = |text| humantime::parse_rfc3339(text).unwrap();
        for (file, until) in [
            // The second has the other type of time: from 2050 on.
            ("client-expired.pem", "2021-01-01T00:00:00Z"),
            ("client-v1.pem", "2120-01-01T00:00:00Z"),
            ("client.pem", "2120-01-01T00:00:00Z"),
        ] {
            assert_eq!(validity(&der(file)), Some((at("2020-01-01T00:00:00Z"), at(until))), "{file}");
        }
        assert_eq!(time(0x17, b"991231235959Z"), Some(at("1999-12-31T23:59:59Z")));
    }

    #[test]
    fn a_certificate_that_is_not_valid_yet_is_refused_with_the_date() {
        let validity = validity(&der("client.pem"));
        let error = check_validity(validity, "client-certificate", SystemTime::UNIX_EPOCH).unwrap_err();
        assert!(error.contains("not valid before 2020-01-01T00:00:00Z; check the clock"), "{error}");
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_never_panics(at in 0..400_usize, byte: u8, length in 0..400_usize) {
            let mut der = der("client-v1.pem");
            if let Some(damaged) = der.get_mut(at) {
                *damaged = byte;
            }
            der.truncate(length);
            let _ = validity(&der);
        }
    }
}
