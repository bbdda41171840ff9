//! Removes what runs have left.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kube::Client;
use tokio::time::{Instant, sleep};

use super::{CommandError, Leftovers, engine_of, interrupts, view, words};
use crate::cli::CleanArgs;
use crate::clock::Clock;
use crate::engine::kubernetes;
use crate::engine::local;
use crate::engine::podman;
use crate::engine::{Engine, Failure};
use crate::run::{Run, Surroundings};
use crate::ui::out;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions};
use ramp_format::run_file::{RunFile, read_run};

/// For how long what has been told to go is waited for.
const GONE_WITHIN: Duration = Duration::from_secs(180);

/// Removes what a run, or every run, has left, and says what cannot be removed.
///
/// # Errors
/// Where it cannot be found out or removed.
pub async fn clean(args: &CleanArgs) -> Result<ExitCode, CommandError> {
    let directory = args.run.as_deref().map(Path::new).filter(|path| path.is_dir());
    if let Some(path) = directory {
        let file = read_run(path).map_err(|error| error.to_string())?;
        return match file.end {
            // What its process could not write down any more is written down now.
            None => finish(path, &file).await,
            Some(_) => {
                let namespace = file
                    .plan
                    .options
                    .namespace
                    .as_deref()
                    .or(file.manifest["metadata"]["namespace"].as_str());
                clean_place(
                    file.plan.engine,
                    &file.plan.options,
                    namespace.unwrap_or("default"),
                    Some(&file.run),
                )
                .await
            }
        };
    }
    let options = EngineOptions {
        namespace: Some(args.namespace.clone()),
        context: args.context.clone(),
        socket: args.socket.clone(),
        ..EngineOptions::default()
    };
    clean_place(args.engine.unwrap_or(EngineKind::Kubernetes), &options, &args.namespace, args.run.as_deref())
        .await
}

async fn clean_place(
    kind: EngineKind,
    options: &EngineOptions,
    namespace: &str,
    run: Option<&str>,
) -> Result<ExitCode, CommandError> {
    match kind {
        EngineKind::Local => Ok(clean_machine(run).await),
        EngineKind::Simulated => {
            out("a simulated cluster ends with its process: nothing is left");
            Ok(ExitCode::SUCCESS)
        }
        EngineKind::Podman => remove(RemoteStore::Podman(options.clone()), run).await,
        EngineKind::Kubernetes => {
            let client = kubernetes::connect(options).await.map_err(words)?;
            remove(RemoteStore::Kubernetes(client, namespace.to_owned()), run).await
        }
    }
}

async fn clean_machine(run: Option<&str>) -> ExitCode {
    let cleaned = local::clean(run).await;
    for removed in &cleaned.removed {
        out(&format!("removed: {}", removed.display()));
    }
    for kept in &cleaned.kept {
        out(&format!("still there: {kept}"));
    }
    if cleaned.removed.is_empty() && cleaned.kept.is_empty() {
        out(&format!("nothing {}is left on this machine", of(run)));
    }
    if cleaned.kept.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Ends a run whose process is no longer there.
async fn finish(path: &Path, file: &RunFile) -> Result<ExitCode, CommandError> {
    match file.plan.engine {
        EngineKind::Simulated => clean_place(file.plan.engine, &file.plan.options, "", None).await,
        _ => end(engine_of(file).await?, path).await,
    }
}

async fn end(engine: impl Engine, path: &Path) -> Result<ExitCode, CommandError> {
    let surroundings =
        Surroundings { clock: Clock::system(), view: view(false), interrupts: interrupts::heard() };
    let before = Directory::resume(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let summary = Run::resume(engine, before, surroundings)?.clean_up().await?;
    Ok(if summary.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where runs leave something that a server knows of.
enum RemoteStore {
    Podman(EngineOptions),
    Kubernetes(Client, String),
}

/// Whose, where it is said.
fn of(run: Option<&str>) -> String {
    run.map(|run| format!("of run {run} ")).unwrap_or_default()
}

impl RemoteStore {
    fn words(&self) -> String {
        match self {
            Self::Podman(_) => " in Podman".into(),
            Self::Kubernetes(_, namespace) => format!(" in namespace {namespace}"),
        }
    }

    async fn runs(&self) -> Result<Leftovers, Failure> {
        match self {
            Self::Podman(options) => {
                let mut remains = Leftovers::new();
                for left in podman::leftovers(options).await? {
                    remains.entry(left.run).or_default().push(format!("container/{}", left.name));
                }
                Ok(remains)
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
}

/// Removes what bears a run's id, or any, and waits until it is gone.
async fn remove(place: RemoteStore, run: Option<&str>) -> Result<ExitCode, CommandError> {
    let chosen = |remains: Leftovers| -> Leftovers {
        remains.into_iter().filter(|(id, _)| run.is_none_or(|run| run == id)).collect()
    };
    let remains = chosen(place.runs().await.map_err(words)?);
    if remains.is_empty() {
        out(&format!("nothing {}is left{}", of(run), place.words()));
        return Ok(ExitCode::SUCCESS);
    }
    for (run, left) in &remains {
        out(&format!("{run}: {}", left.join(", ")));
        place.remove(run).await.map_err(words)?;
    }
    let began = Instant::now();
    loop {
        let remains = chosen(place.runs().await.map_err(words)?);
        if remains.is_empty() {
            out(&format!("removed within {:.1} s", began.elapsed().as_secs_f64()));
            return Ok(ExitCode::SUCCESS);
        }
        if began.elapsed() >= GONE_WITHIN {
            for (run, left) in &remains {
                out(&format!("{run}: still there after {} s: {}", GONE_WITHIN.as_secs(), left.join(", ")));
            }
            return Ok(ExitCode::FAILURE);
        }
        sleep(Duration::from_millis(500)).await;
    }
}
