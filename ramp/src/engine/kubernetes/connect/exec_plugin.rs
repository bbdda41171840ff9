//! Credential plugins (`exec` in the kubeconfig): how they are started, and what they print.

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::config::{ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::waiting::{Wait, telling};

/// How long a plugin may take. Where it can ask at a terminal, somebody may have to log in.
const LIMIT: Duration = Duration::from_secs(60);
const LIMIT_AT_TERMINAL: Duration = Duration::from_secs(300);

/// What a plugin answers: <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>.
#[derive(Deserialize)]
struct ExecCredential {
    kind: Option<String>,
    status: Option<ExecCredentialStatus>,
}

/// Credentials of a plugin.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecCredentialStatus {
    expiration_timestamp: Option<Time>,
    pub(super) token: Option<String>,
    pub(super) client_certificate_data: Option<String>,
    pub(super) client_key_data: Option<String>,
}

impl ExecCredentialStatus {
    pub(super) fn expires(&self) -> Option<SystemTime> {
        self.expiration_timestamp.as_ref().map(|time| SystemTime::from(time.0))
    }
}

/// Whether a plugin may use the terminal: before a run it may, during one the live view does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terminal {
    Available,
    Busy,
}

/// Runs a plugin and reads its credentials.
///
/// # Errors
/// If it is not installed, fails, does not end in time, or prints no credentials that are valid at `now`.
pub(super) async fn run(
    exec: &ExecConfig,
    cluster: Option<&ExecAuthCluster>,
    terminal: Terminal,
    now: SystemTime,
) -> Result<ExecCredentialStatus, String> {
    let command = exec.command.as_deref().filter(|command| !command.is_empty());
    let command =
        command.ok_or("the exec plugin of the kubeconfig has no command; add one, or remove exec")?;
    let interactive = is_interactive(exec, terminal)
        .map_err(|error| format!("exec plugin {command:?} of the kubeconfig: {error}"))?;
    let printed =
        printed_by(command, prepared(command, exec, cluster, interactive)?, exec, interactive, terminal)
            .await?;
    credentials(&printed, now).map_err(|error| format!("exec plugin {command:?} of the kubeconfig {error}"))
}

fn is_interactive(exec: &ExecConfig, terminal: Terminal) -> Result<bool, String> {
    let has_terminal = terminal == Terminal::Available && std::io::stdin().is_terminal();
    match exec.interactive_mode {
        Some(ExecInteractiveMode::Never) => Ok(false),
        Some(ExecInteractiveMode::Always) if !has_terminal => Err(
            "needs a terminal (interactiveMode: Always), and standard input is none; log in beforehand, or use credentials \
             that need nobody"
                .into(),
        ),
        _ => Ok(has_terminal),
    }
}

fn prepared(
    name: &str,
    exec: &ExecConfig,
    cluster: Option<&ExecAuthCluster>,
    interactive: bool,
) -> Result<Command, String> {
    let mut command = Command::new(name);
    command.args(exec.args.iter().flatten());
    let pairs = exec.env.iter().flatten().filter_map(|pair| Some((pair.get("name")?, pair.get("value")?)));
    command.envs(pairs);
    let mut spec = json!({"interactive": interactive});
    if let Some(cluster) = cluster {
        spec["cluster"] =
            serde_json::to_value(cluster).map_err(|error| format!("cluster of the kubeconfig: {error}"))?;
    }
    let info = json!({"kind": "ExecCredential", "apiVersion": exec.api_version, "spec": spec});
    command.env("KUBERNETES_EXEC_INFO", info.to_string());
    command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

async fn printed_by(
    name: &str,
    mut command: Command,
    exec: &ExecConfig,
    interactive: bool,
    terminal: Terminal,
) -> Result<Vec<u8>, String> {
    let child = command.spawn().map_err(|error| not_started(name, &error, exec))?;
    let limit = if interactive { LIMIT_AT_TERMINAL } else { LIMIT };
    let mut said = Vec::new();
    let result = waited_for(name, limit, output(child, &mut said, terminal)).await;
    let said = String::from_utf8_lossy(&said);
    let said = if said.trim().is_empty() { "nothing on standard error" } else { said.trim() };
    match result {
        Err(_) => Err(format!(
            "exec plugin {name:?} of the kubeconfig did not end within {} s, and was killed: {said}; run it by hand, or log in \
             beforehand",
            limit.as_secs()
        )),
        Ok(Err(error)) => Err(format!("exec plugin {name:?} of the kubeconfig: {error}")),
        Ok(Ok((status, _))) if !status.success() => Err(format!(
            "exec plugin {name:?} of the kubeconfig failed ({status}): {said}; log in again, or run it by hand"
        )),
        Ok(Ok((_, printed))) => Ok(printed),
    }
}

async fn waited_for<T>(name: &str, limit: Duration, output: impl Future<Output = T>) -> Result<T, Elapsed> {
    let what = || format!("exec plugin {name:?} of the kubeconfig");
    telling(Wait::begin(Instant::now()).at_most(limit), what, |line| warn!("{line}"), timeout(limit, output))
        .await
}

fn not_started(name: &str, error: &std::io::Error, exec: &ExecConfig) -> String {
    if error.kind() != ErrorKind::NotFound {
        return format!("exec plugin {name:?} of the kubeconfig cannot be started: {error}");
    }
    let hint = exec.install_hint.as_deref().map(str::trim).filter(|hint| !hint.is_empty());
    let hint = hint.map_or(String::new(), |hint| format!(": {hint}"));
    format!(
        "exec plugin {name:?} of the kubeconfig is not installed; install it, or put its directory into PATH{hint}"
    )
}

async fn output(
    mut child: Child,
    said: &mut Vec<u8>,
    terminal: Terminal,
) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let (mut stdout, stderr, mut printed) = (child.stdout.take(), child.stderr.take(), Vec::new());
    let print = async {
        match &mut stdout {
            Some(stdout) => stdout.read_to_end(&mut printed).await.map(drop),
            None => Ok(()),
        }
    };
    tokio::try_join!(print, pass_on(stderr, said, terminal))?;
    Ok((child.wait().await?, printed))
}

/// Keeps what a plugin says for the error message, and shows it: it may say where to log in.
async fn pass_on(stderr: Option<ChildStderr>, said: &mut Vec<u8>, terminal: Terminal) -> std::io::Result<()> {
    const KEPT: usize = 4096;
    let Some(stderr) = stderr else { return Ok(()) };
    let (mut stderr, mut piece) = (BufReader::new(stderr), [0; 1024]);
    loop {
        let read = stderr.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        if terminal == Terminal::Available && std::io::stderr().is_terminal() {
            // A terminal that is gone does not matter here.
            let _ = std::io::stderr().write_all(&piece[..read]);
        }
        said.extend_from_slice(&piece[..read.min(KEPT.saturating_sub(said.len()))]);
    }
}

/// Plugins print JSON, some YAML, as kubectl accepts.
fn credentials(printed: &[u8], now: SystemTime) -> Result<ExecCredentialStatus, String> {
    let expected = "expected an ExecCredential; run it by hand";
    // The output is not shown: it may have a token.
    let text = String::from_utf8_lossy(printed);
    if text.trim().is_empty() {
        return Err(format!("printed nothing; {expected}"));
    }
    let answer: ExecCredential =
        serde_saphyr::from_str(&text).map_err(|_| format!("did not print valid JSON or YAML; {expected}"))?;
    if answer.kind.as_deref() != Some("ExecCredential") {
        return Err(format!("printed another kind of object; {expected}"));
    }
    let status = answer.status.ok_or_else(|| format!("printed no status; {expected} and log in"))?;
    let has_certificate = status.client_certificate_data.is_some() && status.client_key_data.is_some();
    if status.token.as_deref().is_none_or(str::is_empty) && !has_certificate {
        return Err(format!(
            "printed neither a token nor a client certificate with its key; {expected} and log in"
        ));
    }
    match status.expires() {
        Some(expires) if expires <= now => Err(format!(
            "printed credentials that expired at {}; log in again, and check the clock of this machine",
            humantime::format_rfc3339_seconds(expires)
        )),
        _ => Ok(status),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What the log says.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_hangs_is_waited_for_in_bounded_time_and_the_log_says_so() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let exec = ExecConfig {
            command: Some("sleep".into()),
            args: Some(vec!["1000".into()]),
            interactive_mode: Some(ExecInteractiveMode::Never),
            ..Default::default()
        };
        let begin = tokio::time::Instant::now();
        let result = run(&exec, None, Terminal::Busy, SystemTime::now()).await;
        let error = result.map(drop).unwrap_err();
        assert!(
            error.contains(
                "did not end within 60 s, and was killed: nothing on standard error; run it by hand"
            ),
            "{error}"
        );
        assert_eq!(begin.elapsed().as_secs(), LIMIT.as_secs());
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(
            log.contains("waiting for exec plugin \"sleep\" of the kubeconfig (3 s of at most 60 s)"),
            "{log}"
        );
        assert_eq!(log.lines().count(), 6, "each 10 s: {log}");
    }
}
