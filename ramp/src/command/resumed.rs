//! Run of an earlier process, resumed from its directory.

use std::path::Path;

use tokio::sync::watch;

use super::CommandError;
use crate::clock::Clock;
use crate::engine::EngineSpec;
use crate::engine::factory::AnyEngine;
use crate::run::{Run, Surroundings};
use crate::ui::View;
use ramp_format::directory::Directory;
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
    let engine = AnyEngine::new(file.plan.engine, spec).await?;
    let before = Directory::resume(path).map_err(|error| CommandError::reading(&error))?;
    Run::resume(engine, before, Surroundings { clock: Clock::system(), view, interrupts })
        .map_err(CommandError::Input)
}
