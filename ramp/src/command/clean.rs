//! `ramp clean`: removes what earlier runs left behind.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kube::Client;
use tokio::time::{Instant, sleep};

use super::interrupts;
use super::resumed::resumed;
use crate::cli::CleanArgs;
use crate::engine::{Failure, kubernetes, local, podman};
use crate::ui::{View, out};
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions};
use ramp_format::run_file::read_run;

/// Time limit for the removal.
const GONE_WITHIN: Duration = Duration::from_secs(180);

/// Names of the objects left behind, by run.
type Leftovers = BTreeMap<String, Vec<String>>;

/// Removes the leftovers of a run, or of all runs.
///
/// # Errors
/// If they cannot be listed or removed.
pub async fn clean(args: &CleanArgs) -> Result<ExitCode, String> {
    let Some(path) = args.run.as_deref().map(Path::new).filter(|path| path.is_dir()) else {
        let options = EngineOptions {
            namespace: Some(args.namespace.clone()),
            context: args.context.clone(),
            socket: args.socket.clone(),
            ..EngineOptions::default()
        };
        let engine = args.engine.unwrap_or(EngineKind::Kubernetes);
        return remove_leftovers(engine, &options, &args.namespace, args.run.as_deref()).await;
    };
    let file = read_run(path).map_err(|error| error.to_string())?;
    let (engine, options) = (file.plan.engine, &file.plan.options);
    if file.end.is_none() && engine != EngineKind::Simulated {
        match Directory::check_resumable(path) {
            // What another version has begun, or what lacks a table, is removed all the same.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound) => {
                out(&format!("the end of the run is not recorded: {error}"));
            }
            Err(error) => return Err(error.to_string()),
            Ok(()) => {
                // Also records the end, which its process could not.
                let run = resumed(path, &file, View::words(), interrupts::count()).await?;
                return Ok(exit_code(run.clean_up().await?.left.is_empty()));
            }
        }
    }
    let namespace = options.namespace.as_deref().or(file.manifest["metadata"]["namespace"].as_str());
    remove_leftovers(engine, options, namespace.unwrap_or("default"), Some(&file.run)).await
}

async fn remove_leftovers(
    engine: EngineKind,
    options: &EngineOptions,
    namespace: &str,
    run: Option<&str>,
) -> Result<ExitCode, String> {
    match engine {
        EngineKind::Local => Ok(clean_machine(run).await),
        EngineKind::Simulated => {
            out("no leftovers: a simulated cluster ends with its process");
            Ok(ExitCode::SUCCESS)
        }
        EngineKind::Podman => RemoteStore::Podman(options.clone()).clean(run).await,
        EngineKind::Kubernetes => {
            let client = kubernetes::connect(options).await?;
            RemoteStore::Kubernetes(client, namespace.to_owned()).clean(run).await
        }
    }
}

fn exit_code(is_clean: bool) -> ExitCode {
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn clean_machine(run: Option<&str>) -> ExitCode {
    let cleaned = local::clean(run).await;
    for removed in &cleaned.removed {
        out(&format!("removed: {}", removed.display()));
    }
    for kept in &cleaned.kept {
        out(&format!("not removed: {kept}"));
    }
    if cleaned.removed.is_empty() && cleaned.kept.is_empty() {
        report_none(run, "on this machine");
    }
    exit_code(cleaned.kept.is_empty())
}

fn report_none(run: Option<&str>, place: &str) {
    let of_run = run.map(|run| format!(" of run {run}")).unwrap_or_default();
    out(&format!("no leftovers{of_run} {place}"));
}

/// Server that may have leftovers.
enum RemoteStore {
    Podman(EngineOptions),
    Kubernetes(Client, String),
}

impl RemoteStore {
    async fn leftovers(&self) -> Result<Leftovers, Failure> {
        match self {
            Self::Podman(options) => {
                let mut leftovers = Leftovers::new();
                for left in podman::leftovers(options).await? {
                    leftovers.entry(left.run).or_default().push(format!("container/{}", left.name));
                }
                Ok(leftovers)
            }
            Self::Kubernetes(client, namespace) => kubernetes::runs(client, namespace).await,
        }
    }

    async fn remove(&self, run: &str) -> Result<(), Failure> {
        match self {
            Self::Podman(options) => podman::remove_leftovers(options, Some(run)).await.map(|_| ()),
            Self::Kubernetes(client, namespace) => kubernetes::remove_run(client, namespace, run).await,
        }
    }

    /// Removes the leftovers of a run, or of all runs, and waits until they are gone.
    async fn clean(&self, run: Option<&str>) -> Result<ExitCode, String> {
        let chosen = async || {
            let mut leftovers = self.leftovers().await?;
            leftovers.retain(|id, _| run.is_none_or(|run| run == id));
            Ok::<_, String>(leftovers)
        };
        let leftovers = chosen().await?;
        if leftovers.is_empty() {
            match self {
                Self::Podman(_) => report_none(run, "in Podman"),
                Self::Kubernetes(_, namespace) => report_none(run, &format!("in namespace {namespace}")),
            }
            return Ok(ExitCode::SUCCESS);
        }
        for (run, left) in &leftovers {
            out(&format!("removing run {run}: {}", left.join(", ")));
            self.remove(run).await?;
        }
        let began = Instant::now();
        loop {
            let leftovers = chosen().await?;
            if leftovers.is_empty() {
                out(&format!("removed in {:.1} s", began.elapsed().as_secs_f64()));
                return Ok(ExitCode::SUCCESS);
            }
            if began.elapsed() >= GONE_WITHIN {
                for (run, left) in &leftovers {
                    let seconds = GONE_WITHIN.as_secs();
                    out(&format!("run {run}: not removed after {seconds} s: {}", left.join(", ")));
                }
                return Ok(ExitCode::FAILURE);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}
