//! Single run: the steps that every run is begun by, of `ramp run` and of a study.

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::CommandError;
use super::output_directory;
use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::factory::AnyEngine;
use crate::engine::simulated::World;
use crate::live_runs::LiveRun;
use crate::plan::builder::PlanBuilder;
use crate::preflight::forecast::{forecast, largest_load, needs, no_room};
use crate::preflight::summary;
use crate::run::{Run, Surroundings};
use crate::ui::notice;
use crate::waiting::{Wait, telling};
use ramp_format::directory::Directory;
use ramp_format::plan::EngineKind;
use ramp_format::preflight::{Forecast, Preflight};
use ramp_format::run_file::RunFile;
use ramp_format::time::Time;

/// Does `work`, and says on standard error what it waits for.
pub(crate) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    telling(Wait::begin(Instant::now()), || what.to_owned(), notice, work).await
}

/// Plan, engine and clock of a new run.
pub(crate) async fn prepare(args: &RunArgs) -> Result<(PlanBuilder, AnyEngine, Clock), CommandError> {
    let mut clock = Clock::system();
    let builder = PlanBuilder::of(args, &clock).map_err(CommandError::Input)?;
    if builder.plan.engine == EngineKind::Simulated {
        // From here on time advances whenever all tasks wait for it.
        tokio::time::pause();
        let world = World::of(&builder.plan.options).map_err(CommandError::Input)?;
        clock = Clock::simulated(world.begin.0);
    }
    let engine = engine_of(&builder).await?;
    Ok((builder, engine, clock))
}

/// The engine of a plan.
pub(crate) async fn engine_of(builder: &PlanBuilder) -> Result<AnyEngine, CommandError> {
    let engine = AnyEngine::new(builder.plan.engine, builder.engine_spec()).await;
    engine.map_err(|failure| match builder.plan.engine {
        // They ask for nothing but the scenario.
        EngineKind::Local | EngineKind::Simulated => CommandError::Input(failure.message),
        EngineKind::Podman | EngineKind::Kubernetes => failure.into(),
    })
}

/// What is known before the first step.
pub(crate) struct RunDiscovery {
    pub(crate) preflight: Preflight,
    pub(crate) forecast: Forecast,
    /// Both, and the plan, as text.
    pub(crate) text: String,
}

pub(crate) async fn preflight(
    engine: &mut impl Engine,
    builder: &PlanBuilder,
) -> Result<RunDiscovery, CommandError> {
    let PlanBuilder { plan, scenario, out } = builder;
    let what = format!("{}: preflight", engine.place());
    let mut preflight = waiting(&what, engine.preflight()).await?;
    preflight.versions.insert("ramp".into(), env!("CARGO_PKG_VERSION").into());
    preflight.findings.extend(output_directory::findings(out));
    let needs = needs(scenario, &preflight);
    let fill_seconds = largest_load(&preflight, &needs).and_then(|memory| scenario.fill_seconds(memory));
    let forecast = forecast(&preflight, &needs, plan, fill_seconds);
    preflight.findings.extend(no_room(&forecast));
    let ignored = scenario.other_objects.iter();
    preflight
        .not_honoured
        .extend(ignored.map(|object| {
            format!("{object}: not applied; of its file only Deployment/{} is", scenario.name)
        }));
    let text = summary::describe(plan, scenario, &preflight, &forecast);
    Ok(RunDiscovery { preflight, forecast, text })
}

/// The preflight, unless it is interrupted. That of the local engine is not cut off: it removes what it tries.
pub(crate) async fn unless_interrupted(
    interrupts: &watch::Receiver<u32>,
    engine: &mut AnyEngine,
    builder: &PlanBuilder,
) -> Result<Option<RunDiscovery>, CommandError> {
    let mut seen = interrupts.clone();
    let may_be_cut = builder.plan.engine != EngineKind::Local;
    tokio::select! {
        biased;
        found = preflight(engine, builder) => {
            let found = found?;
            Ok((*interrupts.borrow() == 0).then_some(found))
        }
        Ok(_) = seen.wait_for(|count| *count > 0), if may_be_cut => Ok(None),
    }
}

pub(crate) fn is_refused(preflight: &Preflight) -> bool {
    preflight.findings.iter().any(|finding| finding.refuses)
}

/// Creates the run directory, and the run in it. Nothing of it is created yet where the engine is. It is marked as live for as long as
/// the second value exists.
pub(crate) fn begin(
    builder: PlanBuilder,
    found: RunDiscovery,
    engine: AnyEngine,
    surroundings: Surroundings,
) -> Result<(Run<AnyEngine>, Option<LiveRun>), CommandError> {
    let PlanBuilder { plan, scenario, out } = builder;
    let RunDiscovery { preflight, forecast, .. } = found;
    let clock = surroundings.clock.begin();
    let file = RunFile::new(plan, scenario.name, scenario.manifest, preflight, Time(clock.now()));
    let directory = Directory::create(&out, RunFile { forecast: Some(forecast), ..file })
        .map_err(|error| format!("{}: {error}", out.display()))?;
    let live = mark_as_live(&directory.run.run);
    Ok((Run::new(engine, directory, Surroundings { clock, ..surroundings }), live))
}

/// Other processes neither remove the instances of this run nor take them for left behind.
pub(crate) fn mark_as_live(run: &str) -> Option<LiveRun> {
    LiveRun::begin(run).inspect_err(|error| tracing::debug!("run {run} is not marked as live: {error}")).ok()
}
