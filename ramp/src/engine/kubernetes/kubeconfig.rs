//! Access to a cluster: the kubeconfig, or the service account of the pod.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use kube::Config;
use kube::config::{AuthInfo, Cluster, Context, ExecAuthCluster, Kubeconfig, KubeconfigError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::engine::Failure;
use crate::engine::timed::causes;

/// An API server and who asks it, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIdentity {
    /// The server, with the context that names it.
    pub place: String,
    /// The user.
    pub user: String,
}

impl ServerIdentity {
    /// The failure of a request to it, which names it.
    #[must_use]
    pub fn failed(&self, failure: Failure) -> Failure {
        let Self { place, user } = self;
        let message = failure.message;
        // Errors of the connection name it already.
        let message = if message.contains(place) { message } else { format!("{place}, {user}: {message}") };
        Failure { message, ..failure }
    }
}

/// Where the API server is, and who asks.
#[derive(Clone, Debug)]
pub(super) struct Access {
    /// Server, certificate authorities, user and namespace.
    pub(super) config: Config,
    /// `proxy-url` of the cluster.
    pub(super) proxy_url: Option<String>,
    /// What an exec plugin is told of the cluster, if it is.
    pub(super) exec_cluster: Option<ExecAuthCluster>,
    /// The context of the kubeconfig; none in a pod.
    pub(super) context: Option<String>,
    /// Whether it is the service account of a pod.
    is_in_a_pod: bool,
    /// The user that the context names.
    user: Option<String>,
    /// The files of the kubeconfig.
    files: Vec<PathBuf>,
}

impl Access {
    /// A server, with the credentials that its configuration has, if any.
    pub(super) fn of_config(config: Config) -> Self {
        Self {
            config,
            proxy_url: None,
            exec_cluster: None,
            context: None,
            is_in_a_pod: false,
            user: None,
            files: Vec::new(),
        }
    }

    /// The server, with the context that names it.
    pub(super) fn place(&self) -> String {
        let server = self.config.cluster_url.to_string();
        let server = server.trim_end_matches('/');
        match &self.context {
            Some(context) => format!("{server} (context {context:?})"),
            None if self.is_in_a_pod => format!("{server} (service account of the pod)"),
            None => server.to_owned(),
        }
    }

    /// The server and the user, for messages.
    pub(super) fn server(&self) -> ServerIdentity {
        let user = match (&self.context, &self.user) {
            (None, _) => "the service account of the pod".to_owned(),
            (Some(_), Some(user)) => format!("user {user:?} of the kubeconfig"),
            (Some(_), None) => "no user, as the context names none".to_owned(),
        };
        ServerIdentity { place: self.place(), user }
    }

    /// Reads the same files again: the user may have logged in again.
    ///
    /// # Errors
    /// If they cannot be used now, or name another server: credentials must not be sent to it.
    pub(super) fn again(&self) -> Result<Self, String> {
        let Some(context) = &self.context else { return Ok(self.clone()) };
        let again = of_files(&self.files, Some(context))?;
        if again.config.cluster_url == self.config.cluster_url {
            return Ok(again);
        }
        Err(format!("the kubeconfig names another server now: {}", again.place()))
    }
}

/// Reads `KUBECONFIG`, `~/.kube/config` or, in a pod, its service account; with a context, the kubeconfig only.
///
/// # Errors
/// If no configuration is found, or it cannot be used.
pub(super) fn read(context: Option<&str>) -> Result<Access, Failure> {
    let (paths, origin) = paths(std::env::var_os("KUBECONFIG").as_deref(), std::env::home_dir());
    found(&paths, &origin, context).map_err(Failure::permanent)
}

/// Reads the files once: one may be a pipe, as of `KUBECONFIG=<(command)`.
fn found(paths: &[PathBuf], origin: &str, context: Option<&str>) -> Result<Access, String> {
    let merged = merged(paths)?;
    if context.is_none() && !merged.1 {
        return in_cluster(origin);
    }
    of_merged(merged, paths, context)
}

fn of_files(paths: &[PathBuf], context: Option<&str>) -> Result<Access, String> {
    of_merged(merged(paths)?, paths, context)
}

fn of_merged(
    (merged, has_content): (Kubeconfig, bool),
    paths: &[PathBuf],
    context: Option<&str>,
) -> Result<Access, String> {
    let files = shown(paths);
    if !has_content {
        return Err(format!(
            "kubeconfig {files} does not exist or is empty; set KUBECONFIG to the file of your cluster"
        ));
    }
    let access = selected(merged, context, &files)?;
    Ok(Access { files: paths.to_vec(), ..access })
}

/// The files to read, and how they are named where none exists.
fn paths(variable: Option<&OsStr>, home: Option<PathBuf>) -> (Vec<PathBuf>, String) {
    let listed =
        variable.into_iter().flat_map(std::env::split_paths).filter(|path| !path.as_os_str().is_empty());
    let listed: Vec<PathBuf> = listed.collect();
    if !listed.is_empty() {
        let origin = format!("{} (KUBECONFIG)", shown(&listed));
        return (listed, origin);
    }
    let default: Vec<PathBuf> = home.map(|home| home.join(".kube/config")).into_iter().collect();
    let origin = format!("{} (KUBECONFIG is not set)", shown(&default));
    (default, origin)
}

fn shown(paths: &[PathBuf]) -> String {
    let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(", ")
}

/// The files as one, and whether any has content. As for kubectl, files of the list may be missing or empty.
fn merged(paths: &[PathBuf]) -> Result<(Kubeconfig, bool), String> {
    let (mut merged, mut has_content) = (Kubeconfig::default(), false);
    for path in paths {
        let Some(mut config) = of_file(path)? else { continue };
        config.current_context = config.current_context.filter(|name| !name.is_empty());
        merged = merged.merge(config).map_err(|error| format!("kubeconfig {}: {error}", path.display()))?;
        has_content = true;
    }
    Ok((merged, has_content))
}

fn of_file(path: &Path) -> Result<Option<Kubeconfig>, String> {
    let config = match Kubeconfig::read_from(path) {
        Ok(config) => config,
        Err(KubeconfigError::ReadConfig(error, _)) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(KubeconfigError::ReadConfig(error, _)) => {
            return Err(format!("kubeconfig {} cannot be read: {error}", path.display()));
        }
        Err(KubeconfigError::Parse(error)) => {
            // Further lines quote the file, which may have secrets.
            let (error, path) = (error.to_string(), path.display());
            let first = error.lines().next().unwrap_or_default().trim_start_matches("error: ");
            return Err(format!(
                "kubeconfig {path} is invalid: {first}; correct it, or set KUBECONFIG to another file"
            ));
        }
        Err(error) => return Err(format!("kubeconfig {}: {}", path.display(), causes(&error))),
    };
    let is_empty = config.clusters.is_empty() && config.contexts.is_empty() && config.auth_infos.is_empty();
    Ok(Some(config).filter(|config| !is_empty || config.current_context.is_some()))
}

fn in_cluster(origin: &str) -> Result<Access, String> {
    let config = Config::incluster().map_err(|error| {
        let why = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_none() {
            "this is not a pod (no KUBERNETES_SERVICE_HOST)".to_owned()
        } else {
            format!("the service account of this pod cannot be used ({})", causes(&error))
        };
        format!(
            "no Kubernetes configuration found: {origin} does not exist or is empty, and {why}; set KUBECONFIG to the file of \
             your cluster, or run in a pod with a service account"
        )
    })?;
    Ok(Access { is_in_a_pod: true, ..Access::of_config(config) })
}

/// The context, with its cluster and user.
fn selected(merged: Kubeconfig, context: Option<&str>, files: &str) -> Result<Access, String> {
    let name = context.map(str::to_owned).or(merged.current_context);
    let available = list(merged.contexts.iter().map(|named| named.name.as_str()));
    let Some(name) = name else {
        return Err(format!(
            "no current-context in kubeconfig {files}; choose one with --context; available: {available}"
        ));
    };
    let found = merged.contexts.into_iter().find(|named| named.name == name);
    let Some(context) = found.map(|named| named.context) else {
        return Err(format!(
            "context {name:?} does not exist in kubeconfig {files}; choose one with --context; available: {available}"
        ));
    };
    let Some(context) = context.filter(|context| !context.cluster.is_empty()) else {
        return Err(format!(
            "context {name:?} of kubeconfig {files} has no cluster; add it, or choose another with --context"
        ));
    };
    let clusters = list(merged.clusters.iter().map(|named| named.name.as_str()));
    let cluster = merged.clusters.into_iter().find(|named| named.name == context.cluster);
    let Some(cluster) = cluster.map(|named| named.cluster.unwrap_or_default()) else {
        let cluster = &context.cluster;
        return Err(format!(
            "cluster {cluster:?} of context {name:?} does not exist in kubeconfig {files}; available: {clusters}"
        ));
    };
    let users = list(merged.auth_infos.iter().map(|named| named.name.as_str()));
    let user = match context.user.as_deref().filter(|user| !user.is_empty()) {
        None => AuthInfo::default(),
        Some(user) => {
            let named = merged.auth_infos.into_iter().find(|named| named.name == user).ok_or_else(|| {
                format!("user {user:?} of context {name:?} does not exist in kubeconfig {files}; available: {users}")
            })?;
            named.auth_info.unwrap_or_default()
        }
    };
    access(&name, &context, cluster, user)
        .map_err(|error| format!("context {name:?} of kubeconfig {files}: {error}"))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn access(name: &str, context: &Context, cluster: Cluster, user: AuthInfo) -> Result<Access, String> {
    let authorities = pem(
        "certificate-authority",
        cluster.certificate_authority_data.as_deref(),
        cluster.certificate_authority.as_deref(),
    )?;
    let mut config =
        Config::new(server(&cluster, authorities.is_some() || user.client_certificate_data.is_some())?);
    config.root_cert = authorities.map(|(pem, origin)| certificates(&pem, &origin)).transpose()?;
    config.default_namespace = context
        .namespace
        .clone()
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "default".to_owned());
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
    let wants_cluster = user.exec.as_ref().is_some_and(|exec| exec.provide_cluster_info);
    let exec_cluster = wants_cluster.then(|| ExecAuthCluster::try_from(&cluster)).transpose();
    let exec_cluster = exec_cluster.map_err(|error| causes(&error))?;
    config.auth_info = user;
    let user = context.user.clone().filter(|user| !user.is_empty());
    let (proxy_url, context) = (cluster.proxy_url, Some(name.to_owned()));
    Ok(Access { config, proxy_url, exec_cluster, context, is_in_a_pod: false, user, files: Vec::new() })
}

/// The URL of the server. As for kubectl, one without a scheme is https if something of TLS is configured.
fn server(cluster: &Cluster, has_certificates: bool) -> Result<Uri, String> {
    let url = cluster.server.as_deref().filter(|url| !url.is_empty());
    let url = url.ok_or("its cluster has no server; expected server: https://HOST:PORT")?;
    let is_tls = has_certificates || cluster.insecure_skip_tls_verify == Some(true);
    let with_scheme = match (url.contains("://"), is_tls) {
        (true, _) => url.to_owned(),
        (false, true) => format!("https://{url}"),
        (false, false) => format!("http://{url}"),
    };
    let parsed: Option<Uri> = with_scheme.parse().ok();
    let is_http = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    };
    parsed.filter(is_http).ok_or_else(|| format!("invalid server {url:?}; expected https://HOST:PORT"))
}

/// PEM that stands in a field as base64, or in the file that another field names; and where it stands.
pub(super) fn pem(
    field: &str,
    data: Option<&str>,
    path: Option<&str>,
) -> Result<Option<(Vec<u8>, String)>, String> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let data: String = data.split_ascii_whitespace().collect();
        let pem = BASE64_STANDARD
            .decode(data)
            .map_err(|error| format!("{field}-data is not valid base64: {error}"))?;
        return Ok(Some((pem, format!("{field}-data"))));
    }
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(None) };
    let pem = fs::read(path).map_err(|error| format!("{field} {path:?} cannot be read: {error}"))?;
    Ok(Some((pem, format!("{field} {path:?}"))))
}

fn certificates(pem: &[u8], origin: &str) -> Result<Vec<Vec<u8>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| format!("{origin}: invalid PEM: {error}"))?;
    if found.is_empty() {
        return Err(format!("{origin}: no certificate found; expected PEM (BEGIN CERTIFICATE)"));
    }
    Ok(found.into_iter().map(|certificate| certificate.to_vec()).collect())
}

#[cfg(test)]
impl Access {
    pub(super) fn of_file(path: &Path) -> Self {
        of_files(&[path.to_owned()], None).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_kubeconfig_that_is_a_pipe_is_read_once() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer
            .write_all(
                b"{clusters: [{name: c, cluster: {server: 'https://a.test'}}], users: [{name: u, user: {token: t}}], \
                  contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}",
            )
            .unwrap();
        drop(writer);
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let access = found(&[path], "nowhere", None).unwrap();
        assert_eq!(access.context.as_deref(), Some("x"));
    }
}
