//! Run of an earlier process, resumed from its directory.

use std::path::Path;

use tokio::sync::watch;

use super::CommandError;
use crate::clock::Clock;
use crate::engine::EngineSpec;
use crate::engine::factory::AnyEngine;
use crate::run::{Run, Surroundings};
use crate::ui::{ProgressView, View};
use ramp_format::directory::Directory;
use ramp_format::plan::EngineKind;
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;

/// Opens the directory of a run, with the engine and the scenario in its `run.json`.
pub(super) async fn resumed(
    path: &Path,
    file: &RunFile,
    view: View,
    interrupts: watch::Receiver<u32>,
) -> Result<Run<AnyEngine>, CommandError> {
    let scenario = Scenario::of(file.manifest.clone());
    let scenario = scenario.map_err(|error| CommandError::Input(format!("run.json: manifest: {error}")))?;
    let spec = EngineSpec { run: file.run.clone(), scenario, options: file.plan.options.clone() };
    let mut seen = interrupts.clone();
    // An exec plugin of the kubeconfig may take minutes.
    let engine = tokio::select! {
        biased;
        engine = AnyEngine::new(file.plan.engine, spec) => engine?,
        Ok(_) = seen.wait_for(|count| *count > 0) => return Err(CommandError::Interrupted),
    };
    if file.plan.engine == EngineKind::Local {
        check_machine(path, file).map_err(CommandError::Input)?;
    }
    let _reading = ProgressView::busy(format!("{}: its rows to be read", path.display()));
    let before = Directory::resume(path).map_err(|error| CommandError::reading(&error))?;
    Run::resume(engine, before, Surroundings { clock: Clock::system(), view, interrupts })
        .map_err(CommandError::Input)
}

/// Instances of the local engine are processes of the machine that the run was begun on.
fn check_machine(path: &Path, file: &RunFile) -> Result<(), String> {
    let here = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let (Some(node), Ok(here)) = (file.nodes.first(), here.as_deref().map(str::trim)) else { return Ok(()) };
    if node.name == here {
        return Ok(());
    }
    Err(format!(
        "{}: the run was begun on machine {:?}, this is {here:?}: resume it there, or start a new run",
        path.display(),
        node.name
    ))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ramp_format::plan::Plan;
    use ramp_format::preflight::{NodeFacts, Preflight};
    use ramp_format::time::Time;
    use serde_json::Value;

    use super::*;

    #[test]
    fn processes_of_another_machine_cannot_be_resumed() {
        let on = |name: String| {
            let preflight =
                Preflight { nodes: vec![NodeFacts { name, ..NodeFacts::default() }], ..Preflight::default() };
            RunFile::new(Plan::default(), "test".into(), Value::Null, preflight, Time(UNIX_EPOCH))
        };
        let here = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(check_machine(Path::new("run"), &on(here.trim().to_owned())), Ok(()));
        let error = check_machine(Path::new("run"), &on("elsewhere".into())).unwrap_err();
        assert!(error.starts_with("run: the run was begun on machine \"elsewhere\", this is "), "{error}");
    }
}
