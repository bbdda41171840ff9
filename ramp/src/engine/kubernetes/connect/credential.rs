//! Credentials of a kubeconfig's user: bearer token, password, client certificate, exec plugin, id-token of OIDC.

use std::fs;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::header::HeaderValue;
use kube::config::{AuthInfo, AuthProviderConfig};
use rustls::crypto::CryptoProvider;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::client_certificate::ClientCertificate;
use super::exec_plugin::{self, ExecCredentialStatus, Terminal};
use crate::engine::kubernetes::kubeconfig::{Access, pem};

/// Token files are read again after this long, as kubectl does.
const TOKEN_FILE_AGE: Duration = Duration::from_secs(60);

/// What identifies the user in a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Credential {
    /// The header `Authorization`.
    pub(super) header: Option<HeaderValue>,
    pub(super) certificate: Option<ClientCertificate>,
    /// When it ceases to be valid.
    pub(super) expires: Option<SystemTime>,
    /// When it is to be read again, although it may be valid for longer.
    pub(super) stale: Option<SystemTime>,
}

impl Credential {
    /// Reads, or has a plugin make, the credentials of a user.
    ///
    /// # Errors
    /// If there is none that can be used at `now`.
    pub(super) async fn load(
        access: &Access,
        provider: &CryptoProvider,
        terminal: Terminal,
        now: SystemTime,
    ) -> Result<Self, String> {
        let user = &access.config.auth_info;
        let mut credential = Self { certificate: certificate_of(user, provider, now)?, ..Self::default() };
        credential.expires = credential.certificate.as_ref().and_then(|certificate| certificate.expires);
        if let Some(token) = token_file(user)? {
            credential.header = Some(bearer(&token)?);
            credential.stale = Some(now + TOKEN_FILE_AGE);
        } else if let Some(token) = &user.token {
            credential.header = Some(bearer(token.expose_secret())?);
        } else if let Some(name) = &user.username {
            let password = user.password.as_ref().map_or("", |password| password.expose_secret());
            credential.header =
                Some(header(&format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}"))))?);
        } else if credential.certificate.is_some() {
            // As kubectl: a plugin is for users without other credentials.
        } else if let Some(exec) = &user.exec {
            let status = exec_plugin::run(exec, access.exec_cluster.as_ref(), terminal, now).await?;
            return Self::of_plugin(&status, provider, now);
        } else if let Some(auth_provider) = &user.auth_provider {
            return Self::of_auth_provider(auth_provider, now);
        }
        Ok(credential)
    }

    fn of_plugin(
        status: &ExecCredentialStatus,
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, String> {
        let token = status.token.as_deref().filter(|token| !token.is_empty());
        let certificate = match (&status.client_certificate_data, &status.client_key_data) {
            (Some(certificate), Some(key)) => Some(ClientCertificate::read(
                (certificate.as_bytes(), "clientCertificateData of the exec plugin"),
                (key.as_bytes(), "clientKeyData of the exec plugin"),
                provider,
                now,
            )?),
            _ => None,
        };
        let expires = status.expires().or(certificate.as_ref().and_then(|certificate| certificate.expires));
        Ok(Self { header: token.map(bearer).transpose()?, certificate, expires, stale: None })
    }

    fn of_auth_provider(provider: &AuthProviderConfig, now: SystemTime) -> Result<Self, String> {
        let name = provider.name.as_str();
        let plugin = match name {
            "gcp" => "gke-gcloud-auth-plugin: gcloud container clusters get-credentials NAME",
            "azure" => "kubelogin: kubelogin convert-kubeconfig",
            "oidc" => return Self::of_oidc(provider, now),
            _ => "an exec plugin of your provider",
        };
        Err(format!(
            "auth-provider {name:?} of the kubeconfig is not supported, nor by kubectl from 1.26 on; use {plugin}"
        ))
    }

    /// The id-token. It is not renewed here: a provider may accept a refresh token once only, and the new one would have to be written to
    /// the kubeconfig. kubectl does that.
    fn of_oidc(provider: &AuthProviderConfig, now: SystemTime) -> Result<Self, String> {
        let advice = "run kubectl get --raw /version, which renews it, or use an exec plugin, which renews it during a run as well \
                      (kubectl oidc-login)";
        let token = provider.config.get("id-token").filter(|token| !token.is_empty());
        let token = token
            .ok_or_else(|| format!("auth-provider \"oidc\" of the kubeconfig has no id-token; {advice}"))?;
        let expires = jwt_expiry(token);
        if let Some(expired) = expires.filter(|expires| *expires <= now) {
            let expired = humantime::format_rfc3339_seconds(expired);
            return Err(format!("the id-token of auth-provider \"oidc\" expired at {expired}; {advice}"));
        }
        Ok(Self { header: Some(bearer(token)?), expires, ..Self::default() })
    }
}

fn certificate_of(
    user: &AuthInfo,
    provider: &CryptoProvider,
    now: SystemTime,
) -> Result<Option<ClientCertificate>, String> {
    let key_data = user.client_key_data.as_ref().map(|data| data.expose_secret());
    let certificate = pem(
        "client-certificate",
        user.client_certificate_data.as_deref(),
        user.client_certificate.as_deref(),
    )?;
    let key = pem("client-key", key_data, user.client_key.as_deref())?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some((certificate, of_certificate)), Some((key, of_key))) => {
            ClientCertificate::read((&certificate, &of_certificate), (&key, &of_key), provider, now).map(Some)
        }
        (Some(_), None) => {
            Err("the user has a client-certificate but no client-key; add it to the kubeconfig".into())
        }
        (None, Some(_)) => {
            Err("the user has a client-key but no client-certificate; add it to the kubeconfig".into())
        }
    }
}

/// A token file takes precedence over a token. One that is missing does not matter beside a token.
fn token_file(user: &AuthInfo) -> Result<Option<String>, String> {
    let Some(path) = user.token_file.as_deref().filter(|path| !path.is_empty()) else { return Ok(None) };
    match fs::read_to_string(path) {
        Ok(token) if !token.trim().is_empty() => Ok(Some(token.trim().to_owned())),
        _ if user.token.is_some() => Ok(None),
        Ok(_) => Err(format!("tokenFile {path:?} is empty; expected a bearer token")),
        Err(error) => Err(format!("tokenFile {path:?} cannot be read: {error}")),
    }
}

fn bearer(token: &str) -> Result<HeaderValue, String> {
    header(&format!("Bearer {}", token.trim()))
}

fn header(text: &str) -> Result<HeaderValue, String> {
    // The text is not shown: it is secret.
    let mut header = HeaderValue::from_str(text).map_err(
        |_| "the token or password of the user has characters that a header cannot have; log in again",
    )?;
    header.set_sensitive(true);
    Ok(header)
}

fn jwt_expiry(token: &str) -> Option<SystemTime> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?.trim_end_matches('=')).ok()?;
    let seconds = serde_json::from_slice::<Value>(&claims).ok()?.get("exp")?.as_f64()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}
