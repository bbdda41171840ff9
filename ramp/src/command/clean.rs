//! `ramp clean`: removes what earlier runs left behind.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kube::Client;
use tokio::time::{Instant, sleep};

use super::resumed::resumed;
use super::waiting::waiting;
use super::{CommandError, interrupts};
use crate::cli::CleanArgs;
use crate::engine::{Failure, kubernetes, local, podman};
use crate::plan::engine_options::check;
use crate::ui::{View, notice, out};
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions};
use ramp_format::run_file::{RunFile, read_run};
use ramp_format::text::first_names;

/// When a removal that takes long is first told, how often then, and how many objects are named.
const FIRST_TOLD: Duration = Duration::from_secs(3);
const TOLD_EVERY: Duration = Duration::from_secs(10);
const NAMED: usize = 5;

/// Time limit for the removal.
const GONE_WITHIN: Duration = Duration::from_secs(180);

/// Default namespace.
const NAMESPACE: &str = "workload";

/// Names of the objects left behind, by run.
type Leftovers = BTreeMap<String, Vec<String>>;

/// Removes the leftovers of a run, or of all runs.
///
/// # Errors
/// If they cannot be listed or removed.
pub async fn clean(args: &CleanArgs) -> Result<ExitCode, CommandError> {
    let Some(path) = args.run.as_deref().map(Path::new).filter(|path| path.is_dir()) else {
        return clean_by_id(args).await;
    };
    let file = read_run(path).map_err(|error| CommandError::reading(&error))?;
    names_its_own(args, &file)?;
    let (engine, options) = (file.plan.engine, &file.plan.options);
    if file.end.is_none() && engine != EngineKind::Simulated {
        match Directory::check_resumable(path) {
            // What another version has begun is removed all the same.
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                out(&format!("the end of the run is not recorded: {error}"));
            }
            Err(error) => return Err(CommandError::reading(&error)),
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

/// Removes the leftovers of a run by its id, or of all runs.
async fn clean_by_id(args: &CleanArgs) -> Result<ExitCode, CommandError> {
    if let Some(run) = args.run.as_deref().filter(|run| run.contains('/') || Path::new(run).exists()) {
        return Err(CommandError::Input(format!("{run} is neither a run directory nor the ID of a run")));
    }
    let engine = args.engine.unwrap_or(EngineKind::Kubernetes);
    let given = [
        ("socket", args.socket.is_some()),
        ("namespace", args.namespace.is_some()),
        ("context", args.context.is_some()),
    ];
    check(engine, args.engine.is_some(), given).map_err(CommandError::Input)?;
    let namespace = args.namespace.as_deref().unwrap_or(NAMESPACE);
    let options = EngineOptions {
        namespace: Some(namespace.to_owned()),
        context: args.context.clone(),
        socket: args.socket.clone(),
        ..EngineOptions::default()
    };
    remove_leftovers(engine, &options, namespace, args.run.as_deref()).await
}

/// Options that a run directory has recorded must not be given, but for its own engine.
fn names_its_own(args: &CleanArgs, file: &RunFile) -> Result<(), CommandError> {
    let own = file.plan.engine;
    let given = [
        ("engine", args.engine.is_some_and(|engine| engine != own)),
        ("namespace", args.namespace.is_some()),
        ("context", args.context.is_some()),
        ("socket", args.socket.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((option, _)) => Err(CommandError::Input(format!(
            "--{option} cannot be given with a run directory, which has its own (engine {own}); to clean elsewhere give the \
             ID of the run, {}",
            file.run
        ))),
    }
}

async fn remove_leftovers(
    engine: EngineKind,
    options: &EngineOptions,
    namespace: &str,
    run: Option<&str>,
) -> Result<ExitCode, CommandError> {
    match engine {
        EngineKind::Local => Ok(clean_machine(run).await),
        EngineKind::Simulated => {
            out("no leftovers: a simulated cluster ends with its process");
            Ok(ExitCode::SUCCESS)
        }
        EngineKind::Podman => RemoteStore::Podman(options.clone()).clean(run).await,
        EngineKind::Kubernetes => {
            let client = waiting("the API server", kubernetes::connect(options)).await?;
            RemoteStore::Kubernetes(client, namespace.to_owned()).clean(run).await
        }
    }
}

fn exit_code(is_clean: bool) -> ExitCode {
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn clean_machine(run: Option<&str>) -> ExitCode {
    let cleaned = waiting("the processes and cgroups of runs to end", local::clean(run)).await;
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

    /// What is waited for.
    fn name(&self) -> String {
        match self {
            Self::Podman(EngineOptions { socket: Some(socket), .. }) => {
                format!("podman at {}", socket.display())
            }
            Self::Podman(_) => "podman".into(),
            Self::Kubernetes(_, namespace) => format!("the API server, namespace {namespace}"),
        }
    }

    /// Removes the leftovers of a run, or of all runs, and waits until they are gone.
    async fn clean(&self, run: Option<&str>) -> Result<ExitCode, CommandError> {
        let chosen = async || {
            let mut leftovers = self.leftovers().await?;
            leftovers.retain(|id, _| run.is_none_or(|run| run == id));
            Ok::<_, CommandError>(leftovers)
        };
        let leftovers = waiting(&self.name(), chosen()).await?;
        if leftovers.is_empty() {
            match self {
                Self::Podman(_) => report_none(run, "in Podman"),
                Self::Kubernetes(_, namespace) => report_none(run, &format!("in namespace {namespace}")),
            }
            return Ok(ExitCode::SUCCESS);
        }
        for (run, left) in &leftovers {
            out(&format!("removing run {run}: {}", left.join(", ")));
            waiting(&format!("{}: removal of run {run}", self.name()), self.remove(run)).await?;
        }
        let began = Instant::now();
        let mut told_at = began + FIRST_TOLD;
        loop {
            let leftovers = waiting(&self.name(), chosen()).await?;
            if Instant::now() >= told_at && !leftovers.is_empty() {
                told_at += TOLD_EVERY;
                let left: Vec<&String> = leftovers.values().flatten().collect();
                let (names, seconds) = (first_names(&left, NAMED), began.elapsed().as_secs());
                notice(&format!("waiting for the removal of {names} ({seconds} s)"));
            }
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
