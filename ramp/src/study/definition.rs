//! Definition of a study: its file with what is settled before the first run (engine, names, runtimes of the cluster, budget, seed), and
//! its cells.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use super::request::NO_RUNTIME;
use super::schedule::cells;
use crate::clock::Clock;
use crate::command::CommandError;
use crate::engine::kubernetes;
use crate::engine::machine::MachineFacts;
use crate::engine::simulated::World;
use crate::plan::builder;
use crate::plan::engine_options;
use ramp_format::plan::{EngineKind, EngineOptions};
use ramp_format::scenario::Scenario;
use ramp_format::study::{Cell, Runtimes, STUDY_FORMAT_VERSION, StudyFile, StudyRecord, Tolerances};
use ramp_format::time::Time;
use ramp_report::study::figure::STUDY_FIGURES;

/// A study before its first run.
#[derive(Clone, Debug)]
pub(crate) struct StudyPlan {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) definition: StudyFile,
    pub(crate) seed: u64,
    pub(crate) cells: Vec<Cell>,
    /// Whether the memory budget is that of this machine and not of the file.
    budget_is_found: bool,
}

impl StudyPlan {
    /// Reads a study file. From here on time is simulated where its cluster is.
    ///
    /// # Errors
    /// If it is not a study, names what does not exist, or contradicts itself; if the RuntimeClasses cannot be listed.
    pub(crate) async fn read(path: &Path) -> Result<(Self, Clock), CommandError> {
        let at = |error: String| CommandError::Input(format!("{}: {error}", path.display()));
        let (mut definition, engine) = settled(path).map_err(CommandError::Input)?;
        check(&definition, engine).map_err(at)?;
        let budget_is_found = engine == EngineKind::Local && definition.memory_budget.is_none();
        if budget_is_found {
            // The same for all runs, whatever memory is available before each.
            definition.memory_budget = MachineFacts::read().default_budget();
        }
        let scenarios = scenario_names(&definition).map_err(at)?;
        let runtimes = match &definition.runtimes {
            Runtimes::Named(names) => names.clone(),
            Runtimes::All(_) => runtime_classes(&definition).await?,
        };
        let cells = cells(&definition, &scenarios, &runtimes).map_err(at)?;
        let clock = clock(&definition, None).map_err(|error| {
            CommandError::Input(format!("{}: world: {}", path.display(), error.message()))
        })?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = definition.name.clone().or(stem).unwrap_or_else(|| "study".into());
        // A number that every reader of JSON has exactly.
        let drawn = || RandomState::new().hash_one(std::process::id()) >> 12;
        let seed = definition.seed.unwrap_or_else(drawn);
        Ok((Self { id: builder::id(&clock), name, seed, cells, definition, budget_is_found }, clock))
    }

    /// Its record, before the first run.
    pub(crate) fn record(self, begin: Time) -> StudyRecord {
        StudyRecord {
            format_version: STUDY_FORMAT_VERSION,
            study: self.id,
            name: self.name,
            ramp_version: env!("CARGO_PKG_VERSION").into(),
            begin,
            end: None,
            why_ended: None,
            resumes: Vec::new(),
            definition: self.definition,
            seed: self.seed,
            cells: self.cells,
            runs: Vec::new(),
            decisions: Vec::new(),
        }
    }

    /// Whether a record is of the study of this file.
    ///
    /// # Errors
    /// If it is not a study file.
    pub(crate) fn is_file_of(path: &Path, record: &StudyRecord) -> Result<bool, CommandError> {
        let (mut definition, engine) = settled(path).map_err(CommandError::Input)?;
        if engine == EngineKind::Local && definition.memory_budget.is_none() {
            definition.memory_budget = record.definition.memory_budget;
        }
        Ok(definition == record.definition)
    }

    /// Whether a record is of the same study. The seed and the budget are those that it has drawn and found, where the file has none.
    pub(crate) fn is_of(&self, record: &StudyRecord) -> bool {
        let mut definition = self.definition.clone();
        if self.budget_is_found {
            definition.memory_budget = record.definition.memory_budget;
        }
        definition == record.definition && self.cells == record.cells && self.name == record.name
    }
}

/// What a study file says, with paths relative to the working directory, and its engine.
fn settled(path: &Path) -> Result<(StudyFile, EngineKind), String> {
    let mut definition = StudyFile::read(path)?;
    relative_to(&mut definition, path.parent().unwrap_or(Path::new("")));
    let has_manifest = definition.scenarios.iter().any(|scenario| scenario.manifest.is_some());
    let usual = if has_manifest { EngineKind::Kubernetes } else { EngineKind::Local };
    let engine = *definition.engine.get_or_insert(usual);
    Ok((definition, engine))
}

/// The clock of a study: of this machine, or of its simulated cluster, which goes on from `last`. Simulated time begins here.
pub(super) fn clock(definition: &StudyFile, last: Option<Time>) -> Result<Clock, CommandError> {
    if definition.engine != Some(EngineKind::Simulated) {
        return Ok(Clock::system());
    }
    let world = definition.world.as_deref().map_or_else(|| Ok(World::default()), World::read);
    let begin = world.map_err(CommandError::Input)?.begin;
    tokio::time::pause();
    Ok(Clock::simulated(last.unwrap_or(begin).0))
}

/// Paths in the file are relative to it.
fn relative_to(definition: &mut StudyFile, directory: &Path) {
    let manifests = definition.scenarios.iter_mut().filter_map(|scenario| scenario.manifest.as_mut());
    for path in manifests.chain(definition.world.as_mut()) {
        *path = directory.join(&*path);
    }
}

/// An error on options of `ramp run`, with the keys of a study file in their place.
pub(super) fn as_keys(error: &str) -> String {
    let key = |option: &str| match option {
        "from" | "to" | "step" | "pace" | "settle" | "hold" | "stop" | "note" | "beyond" | "search" => {
            format!("ramp.{option}")
        }
        "step-timeout" => "ramp.step_timeout".into(),
        "precision" => "ramp.search.precision".into(),
        "memory" => "sizes: memory".into(),
        "budget" => "memory_budget".into(),
        "runtime" => "runtimes".into(),
        other => other.to_owned(),
    };
    let mut parts = error.split("--");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|letter: char| !letter.is_ascii_lowercase() && letter != '-').unwrap_or(part.len());
        let (option, rest) = part.split_at(end);
        text += &key(option);
        text += rest;
    }
    text
}

/// What does not go together with the engine.
fn check(definition: &StudyFile, engine: EngineKind) -> Result<(), String> {
    let given = [
        ("budget", definition.memory_budget.is_some()),
        ("socket", definition.socket.is_some() || !definition.sockets.is_empty()),
        ("namespace", definition.namespace.is_some()),
        ("context", definition.context.is_some()),
        ("world", definition.world.is_some() || !definition.worlds.is_empty()),
    ];
    engine_options::check(engine, true, given).map_err(|error| as_keys(&error))?;
    if definition.mix && !definition.worlds.is_empty() {
        return Err(
            "worlds: with mix all runtimes are in one world: describe them by its own key runtimes".into()
        );
    }
    for (key, amounts) in [("precision", &definition.precision), ("margin", &definition.margin)] {
        check_figures(amounts).map_err(|error| format!("{key}: {error}"))?;
    }
    match &definition.runtimes {
        Runtimes::All(_) if engine != EngineKind::Kubernetes => Err(format!(
            "runtimes: all stands for the RuntimeClasses of a cluster, engine {engine} has none: list the runtimes by their names"
        )),
        Runtimes::Named(names) if engine == EngineKind::Local && !names.is_empty() => Err(
            "runtimes: processes of engine local have no runtime: remove runtimes, or use engine podman or kubernetes".into(),
        ),
        Runtimes::Named(names) => {
            let of_worlds = definition.worlds.keys().map(|name| ("worlds", name));
            let mut by_runtime = of_worlds.chain(definition.sockets.keys().map(|name| ("sockets", name)));
            let unknown = by_runtime.find(|(_, name)| !names.contains(name));
            unknown.map_or(Ok(()), |(key, name)| {
                let names = if names.is_empty() { "none is named".into() } else { names.join(", ") };
                Err(format!("{key}.{name}: not one of the runtimes ({names})"))
            })
        }
        Runtimes::All(_) => Ok(()),
    }
}

/// Tolerances are by the names of figures.
fn check_figures(amounts: &Tolerances) -> Result<(), String> {
    let Tolerances::ByFigure(amounts) = amounts else { return Ok(()) };
    let known: Vec<&str> = STUDY_FIGURES.iter().map(|figure| figure.name).collect();
    match amounts.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(format!("no figure {unknown} (known: {})", known.join(", "))),
        None => Ok(()),
    }
}

/// The names of the scenarios: given, or that of the Deployment.
fn scenario_names(definition: &StudyFile) -> Result<Vec<String>, String> {
    if definition.scenarios.is_empty() {
        return Ok(vec![Scenario::embedded()?.name]);
    }
    let name = |scenario: &ramp_format::study::StudyScenario| {
        // It is read in any case: what cannot be read is told first.
        let read = scenario.manifest.as_deref().map_or_else(Scenario::embedded, Scenario::read)?;
        Ok(scenario.name.clone().unwrap_or(read.name))
    };
    definition.scenarios.iter().map(name).collect()
}

/// No RuntimeClass, and all of the cluster.
async fn runtime_classes(definition: &StudyFile) -> Result<Vec<String>, CommandError> {
    let options = EngineOptions { context: definition.context.clone(), ..EngineOptions::default() };
    let (client, server) = kubernetes::connect(&options).await?;
    let mut names = kubernetes::runtime_classes(&client).await.map_err(|failure| server.failed(failure))?;
    names.retain(|name| name != NO_RUNTIME);
    names.sort();
    Ok([vec![NO_RUNTIME.to_owned()], names].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("s.yaml");
        std::fs::write(&file, text).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(StudyPlan::read(&file)).unwrap_err().message().to_owned()
    }

    #[test]
    fn what_the_engine_does_not_have_is_refused() {
        assert!(refused("runtimes: [runc]\n").contains("processes of engine local have no runtime"));
        let all = refused("engine: podman\nruntimes: all\n");
        assert!(
            all.contains("runtimes: all stands for the RuntimeClasses of a cluster, engine podman has none"),
            "{all}"
        );
        let figure = refused("margin: {overhead: 2%}\n");
        assert!(figure.contains("margin: no figure overhead (known: memory_per_instance, "), "{figure}");
        let budget = refused("engine: podman\nmemory_budget: 1G\n");
        assert!(budget.ends_with("memory_budget applies to engine local, not to podman"), "{budget}");
        assert!(refused("worlds: {kata: {}}\n").contains("world applies to engine simulated, not to local"));
        let unknown = refused("engine: podman\nruntimes: [runc]\nsockets: {crun: /run/crun.sock}\n");
        assert!(unknown.ends_with("sockets.crun: not one of the runtimes (runc)"), "{unknown}");
        let unknown = refused("engine: simulated\nruntimes: [runc]\nworlds: {kata: {}}\n");
        assert!(unknown.ends_with("worlds.kata: not one of the runtimes (runc)"), "{unknown}");
    }

    #[test]
    fn options_of_a_run_are_called_by_their_keys() {
        assert_eq!(as_keys("--from 5 is greater than --to 3"), "ramp.from 5 is greater than ramp.to 3");
        assert_eq!(
            as_keys("available memory is unknown on this machine: set --budget"),
            "available memory is unknown on this machine: set memory_budget"
        );
        assert_eq!(as_keys("--step-timeout: a; use --memory"), "ramp.step_timeout: a; use sizes: memory");
        assert!(refused("engine: simulated\nworld: no.yaml\n").contains("s.yaml: world: "));
    }

    #[test]
    fn paths_are_relative_to_the_file_and_names_are_unique() {
        let missing = refused("scenarios: [{manifest: no/such.yaml}]\n");
        assert!(missing.contains("/no/such.yaml: No such file"), "{missing}");
        assert!(refused("scenarios: [{}, {}]\n").contains("\"memory-capacity\" is there twice"));
    }
}
