//! `ramp clean`: removes what earlier runs left behind.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::resumed::resumed;
use super::single_run::waiting;
use super::{CommandError, interrupts};
use crate::cli::CleanArgs;
use crate::engine::kubernetes::ServerIdentity;
use crate::engine::{Failure, kubernetes, local, podman};
use crate::live_runs::process_of;
use crate::plan::engine_options::check;
use crate::ui::{ProgressView, View, notice, out};
use crate::waiting::Wait;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions};
use ramp_format::run_file::{RunFile, read_run};
use ramp_format::text::first_names;

/// Objects that are named.
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
pub(super) async fn clean(args: &CleanArgs) -> Result<ExitCode, CommandError> {
    let Some(path) = args.run.as_deref().map(Path::new).filter(|path| path.is_dir()) else {
        return clean_by_id(args).await;
    };
    let file = read_run(path).map_err(|error| CommandError::reading(&error))?;
    names_its_own(args, &file)?;
    clean_directory(path, &file, View::words(), interrupts::count()).await
}

/// Removes the leftovers of the run of a directory, and records its end where its process could not.
pub(crate) async fn clean_directory(
    path: &Path,
    file: &RunFile,
    view: View,
    interrupts: watch::Receiver<u32>,
) -> Result<ExitCode, CommandError> {
    let (engine, options) = (file.plan.engine, &file.plan.options);
    if file.end.is_none() && engine != EngineKind::Simulated {
        let reading = ProgressView::busy(format!("{}: its rows to be read", path.display()));
        let resumable = Directory::check_resumable(path);
        drop(reading);
        match resumable {
            // What another version has begun, or what lacks a table, is removed all the same.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound) => {
                out(&format!("the end of the run is not recorded: {error}"));
            }
            Err(error) => return Err(CommandError::reading(&error)),
            Ok(()) => {
                // Also records the end, which its process could not.
                let run = resumed(path, file, view, interrupts).await?;
                return Ok(exit_code(run.clean_up().await?.left.is_empty()));
            }
        }
    }
    let namespace = options.namespace.as_deref().or(file.manifest["metadata"]["namespace"].as_str());
    remove_leftovers(engine, options, namespace.unwrap_or("default"), Chosen::Recorded(&file.run)).await
}

/// What is to be cleaned.
#[derive(Clone, Copy)]
enum Chosen<'a> {
    All,
    /// The run of this ID, which has to have left something: the name may be misspelt.
    Named(&'a str),
    /// The run of a directory.
    Recorded(&'a str),
}

impl<'a> Chosen<'a> {
    fn run(self) -> Option<&'a str> {
        match self {
            Self::All => None,
            Self::Named(run) | Self::Recorded(run) => Some(run),
        }
    }

    /// Nothing is left of it at this place.
    fn none(self, place: &str, others: Option<&Leftovers>) -> Result<ExitCode, CommandError> {
        match self {
            Self::Named(run) => {
                let known =
                    others.map(|others| others.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
                let known = match known.as_deref() {
                    None => String::new(),
                    Some("") => "; no run has left anything there".to_owned(),
                    Some(known) => format!("; runs that have left something there: {known}"),
                };
                let message =
                    format!("no run {run} found {place}{known}, and there is no directory of that name");
                Err(CommandError::Input(message))
            }
            Self::All => {
                out(&format!("no leftovers {place}"));
                Ok(ExitCode::SUCCESS)
            }
            Self::Recorded(run) => {
                out(&format!("no leftovers of run {run} {place}"));
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// What is neither a directory nor looks like an ID is a misspelt path.
fn ensure_is_id(name: &str) -> Result<(), String> {
    let expected = "expected a run directory (it has run.json) or the ID of a run";
    if Path::new(name).exists() {
        return Err(format!("{name} is not a directory; {expected}"));
    }
    if name.is_empty() || name.contains('/') {
        return Err(format!("{name:?}: no such directory; {expected}"));
    }
    Ok(())
}

/// Removes the leftovers of a run by its id, or of all runs.
async fn clean_by_id(args: &CleanArgs) -> Result<ExitCode, CommandError> {
    if let Some(name) = args.run.as_deref() {
        ensure_is_id(name).map_err(CommandError::Input)?;
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
    let chosen = args.run.as_deref().map_or(Chosen::All, Chosen::Named);
    remove_leftovers(engine, &options, namespace, chosen).await
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
    chosen: Chosen<'_>,
) -> Result<ExitCode, CommandError> {
    match engine {
        EngineKind::Local => clean_machine(chosen).await,
        EngineKind::Simulated => {
            out("no leftovers: a simulated cluster ends with its process");
            Ok(ExitCode::SUCCESS)
        }
        EngineKind::Podman => {
            let place = podman::place(options)?;
            RemoteStore::Podman { options: options.clone(), place }.clean(chosen).await
        }
        EngineKind::Kubernetes => {
            let (client, server) = kubernetes::connect(options).await?;
            RemoteStore::Kubernetes { client, server, namespace: namespace.to_owned() }.clean(chosen).await
        }
    }
}

fn exit_code(is_clean: bool) -> ExitCode {
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn clean_machine(chosen: Chosen<'_>) -> Result<ExitCode, CommandError> {
    let cleaned = waiting("the processes and cgroups of runs to end", local::clean(chosen.run())).await;
    for removed in &cleaned.removed {
        out(&format!("removed: {}", removed.display()));
    }
    for kept in &cleaned.kept {
        out(&format!("not removed: {kept}"));
    }
    if cleaned.removed.is_empty() && cleaned.kept.is_empty() {
        return chosen.none("on this machine", None);
    }
    Ok(exit_code(cleaned.kept.is_empty()))
}

/// Server that may have leftovers.
enum RemoteStore {
    Podman { options: EngineOptions, place: String },
    Kubernetes { client: Client, server: ServerIdentity, namespace: String },
}

impl RemoteStore {
    async fn leftovers(&self) -> Result<Leftovers, Failure> {
        match self {
            Self::Podman { options, .. } => {
                let mut leftovers = Leftovers::new();
                for left in podman::leftovers(options).await? {
                    leftovers.entry(left.run).or_default().push(format!("container/{}", left.name));
                }
                Ok(leftovers)
            }
            Self::Kubernetes { client, server, namespace } => {
                kubernetes::runs(client, namespace).await.map_err(|failure| server.failed(failure))
            }
        }
    }

    async fn remove(&self, run: &str) -> Result<(), Failure> {
        match self {
            Self::Podman { options, .. } => podman::remove_leftovers(options, Some(run)).await.map(|_| ()),
            Self::Kubernetes { client, server, namespace } => {
                kubernetes::remove_run(client, namespace, run).await.map_err(|failure| server.failed(failure))
            }
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Podman { .. } => "in Podman".to_owned(),
            Self::Kubernetes { namespace, .. } => format!("in namespace {namespace}"),
        }
    }

    /// What is waited for.
    fn name(&self) -> String {
        match self {
            Self::Podman { place, .. } => place.clone(),
            Self::Kubernetes { server, namespace, .. } => {
                format!("the API server {}, namespace {namespace}", server.place)
            }
        }
    }

    /// Removes the leftovers of a run, or of all runs, and waits until they are gone.
    async fn clean(&self, chosen: Chosen<'_>) -> Result<ExitCode, CommandError> {
        let listing = format!("{}: list of leftovers", self.name());
        let others = waiting(&listing, self.leftovers()).await?;
        let of_chosen = |leftovers: &mut Leftovers| {
            leftovers.retain(|id, _| chosen.run().is_none_or(|run| run == id));
        };
        let mut leftovers = others.clone();
        of_chosen(&mut leftovers);
        if leftovers.is_empty() {
            return chosen.none(&self.place(), Some(&others));
        }
        for run in leftovers.keys() {
            waiting(&format!("{}: process of run {run}", self.name()), self.ensure_has_ended(run)).await?;
        }
        for (run, left) in &leftovers {
            out(&format!("removing run {run}: {}", left.join(", ")));
            waiting(&format!("{}: removal of run {run}", self.name()), self.remove(run)).await?;
        }
        let began = Instant::now();
        let mut wait = Wait::begin(began).at_most(GONE_WITHIN);
        loop {
            let mut leftovers = waiting(&listing, self.leftovers()).await?;
            of_chosen(&mut leftovers);
            if leftovers.is_empty() {
                out(&format!("removed in {:.1} s", began.elapsed().as_secs_f64()));
                return Ok(ExitCode::SUCCESS);
            }
            let is_late = began.elapsed() >= GONE_WITHIN;
            let now = Instant::now();
            if wait.is_due(now) || is_late {
                let what = format!("{}: what is left", self.name());
                let lines = waiting(&what, self.what_is_left(chosen.run(), &leftovers)).await;
                lines.iter().for_each(|line| notice(&wait.line(line, now)));
            }
            if is_late {
                for (run, left) in &leftovers {
                    let seconds = GONE_WITHIN.as_secs();
                    out(&format!("run {run}: not removed after {seconds} s: {}", left.join(", ")));
                }
                return Ok(ExitCode::FAILURE);
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// A run whose process is still at work would go on without its instances.
    async fn ensure_has_ended(&self, run: &str) -> Result<(), CommandError> {
        let found = match self {
            Self::Kubernetes { client, server, namespace } => {
                let found = kubernetes::is_running(client, namespace, run).await;
                found.map_err(|failure| server.failed(failure))?
            }
            // Their labels cannot be changed when another process resumes the run.
            Self::Podman { .. } => {
                process_of(run).map(|process| (true, format!("process {process} on this machine")))
            }
        };
        match found {
            Some((true, process)) => Err(CommandError::Failed(format!(
                "run {run} is under way ({process}), nothing was removed; interrupt it (kill -INT), and it removes its instances \
                 itself"
            ))),
            Some((false, process)) => {
                out(&format!("run {run} was begun by {process}; if that still runs, it ends now"));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What is waited for, by node where that is known.
    async fn what_is_left(&self, run: Option<&str>, leftovers: &Leftovers) -> Vec<String> {
        let lines = match self {
            Self::Podman { .. } => Vec::new(),
            // Why it could not be asked is told with the next list.
            Self::Kubernetes { client, namespace, .. } => {
                kubernetes::remaining(client, namespace, run).await.unwrap_or_default()
            }
        };
        if !lines.is_empty() {
            return lines;
        }
        let left: Vec<&String> = leftovers.values().flatten().collect();
        vec![format!("{} to be gone", first_names(&left, NAMED))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_a_directory_nor_an_id_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = |name: &str| ensure_is_id(name).unwrap_err();
        assert!(error(file.to_str().unwrap()).contains("is not a directory; expected a run directory"));
        assert!(error("/nowhere/run").contains("no such directory"));
        assert!(error("").contains("no such directory"));
        assert_eq!(ensure_is_id("20261125-000000-test"), Ok(()));
        let others = Leftovers::from([("r2".to_owned(), Vec::new())]);
        let message = Chosen::Named("r1").none("in namespace workload", Some(&others)).unwrap_err();
        assert!(
            message.message().starts_with(
                "no run r1 found in namespace workload; runs that have left something there: r2"
            ),
            "{message:?}"
        );
        assert!(Chosen::Recorded("r1").none("on this machine", None).is_ok(), "its directory is known");
    }
}
