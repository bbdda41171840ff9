//! Request of a run of a study: what the study file says, as the plan of an ordinary run.

use std::path::PathBuf;

use clap::{Args, FromArgMatches};
use serde_json::Value;

use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::simulated::World;
use crate::plan::builder::PlanBuilder;
use crate::study::schedule::run_seed;
use ramp_format::plan::EngineKind;
use ramp_format::study::{Cell, StudyFile};
use ramp_format::time::Time;

/// What stands for no runtime in a study file: that of the manifest is removed.
pub(super) const NO_RUNTIME: &str = "default";

/// A run of a study.
#[derive(Clone, Debug)]
pub(super) struct RunRequest<'s> {
    pub(super) definition: &'s StudyFile,
    /// Seed of the study.
    pub(super) seed: u64,
    pub(super) block: u32,
    pub(super) cell_index: usize,
    pub(super) cell: &'s Cell,
    /// The run's id.
    pub(super) run: String,
    pub(super) out: PathBuf,
    /// Of a warm-up: the number of instances, all of which are started at once.
    pub(super) warm_up: Option<u32>,
}

impl RunRequest<'_> {
    /// The plan of the run, which begins now.
    ///
    /// # Errors
    /// Those of [`PlanBuilder::of`], and where what is true under its runtime makes no world.
    pub(super) fn builder(&self, clock: &Clock) -> Result<PlanBuilder, String> {
        let size = self.cell.size.as_ref();
        let args = RunArgs { out: Some(self.out.clone()), ..run_args(self.definition, self.cell)? };
        let mut builder = PlanBuilder::of(&args, clock)?;
        builder.plan.run.clone_from(&self.run);
        if builder.plan.engine == EngineKind::Simulated {
            let world = self.world(&builder, clock)?;
            // As with `ramp run`, what a size says goes before what the world says.
            builder.scenario = world.applied_to(&builder.scenario)?;
            if let Some(memory) = size.and_then(|size| size.memory) {
                builder.scenario = builder.scenario.with_memory(memory)?;
            }
            builder.plan.options.world =
                Some(serde_json::to_value(&world).map_err(|error| error.to_string())?);
        }
        if let Some(size) = size {
            if let Some(cpu) = size.cpu {
                builder.scenario = builder.scenario.with_cpu(cpu)?;
            }
            builder.scenario = builder.scenario.with_limits(&size.limits)?;
        }
        if let Some(instances) = self.warm_up {
            let plan = &mut builder.plan;
            (plan.from, plan.to, plan.down) = (instances, instances, false);
            (plan.settle, plan.hold) = Default::default();
            plan.stop.clear();
            plan.note.clear();
            plan.search = None;
        }
        Ok(builder)
    }

    /// The world of the run: that of the study, with what is true under its runtime and a seed of its own.
    fn world(&self, builder: &PlanBuilder, clock: &Clock) -> Result<World, String> {
        let mut world = builder.plan.options.world.clone().unwrap_or_default();
        let mut at = String::new();
        if let (Some(runtime), false) = (self.cell.runtimes.first(), self.definition.mix) {
            world["runtime"]["name"] = runtime.clone().into();
            if let Some(overrides) = self.definition.worlds.get(runtime) {
                at = format!("worlds.{runtime}: ");
                merge(&mut world, overrides);
            }
        }
        world["seed"] = run_seed(self.seed, self.block, self.cell_index).into();
        let world = World::parse(&world.to_string()).map_err(|error| format!("{at}{error}"))?;
        Ok(World { begin: Time(clock.now()), ..world })
    }
}

/// The options of `ramp run` for the runs of a cell.
fn run_args(definition: &StudyFile, cell: &Cell) -> Result<RunArgs, String> {
    let ramp = &definition.ramp;
    let usual = usual_args()?;
    let mix = if definition.mix { cell.runtimes.clone() } else { Vec::new() };
    let runtime = match (definition.engine, cell.runtimes.first()) {
        _ if definition.mix => None,
        // It is part of its world.
        (Some(EngineKind::Simulated), _) => None,
        // Podman's own default.
        (Some(EngineKind::Podman), Some(name)) if name == NO_RUNTIME => None,
        (_, name) => name.cloned(),
    };
    Ok(RunArgs {
        manifest: cell.manifest.clone(),
        engine: definition.engine,
        from: ramp.from.unwrap_or(usual.from),
        to: ramp.to.unwrap_or(usual.to),
        step: ramp.step.unwrap_or(usual.step),
        pace: ramp.pace.unwrap_or(usual.pace),
        step_timeout: ramp.step_timeout.unwrap_or(usual.step_timeout),
        settle: ramp.settle.unwrap_or(usual.settle),
        hold: ramp.hold,
        stop: ramp.stop.clone().unwrap_or_default(),
        note: ramp.note.clone(),
        beyond: ramp.beyond,
        search: ramp.search.map(|search| search.climbs),
        precision: ramp.search.and_then(|search| search.precision),
        label: definition.labels.clone().into_iter().collect(),
        memory: cell.size.as_ref().and_then(|size| size.memory),
        budget: definition.memory_budget,
        runtime,
        mix,
        socket: cell
            .runtimes
            .first()
            .and_then(|name| definition.sockets.get(name))
            .or(definition.socket.as_ref())
            .cloned(),
        namespace: definition.namespace.clone(),
        context: definition.context.clone(),
        world: definition.world.clone(),
        ..usual
    })
}

/// The defaults of `ramp run`.
fn usual_args() -> Result<RunArgs, String> {
    let command = RunArgs::augment_args(clap::Command::new("run"));
    let matches = command.try_get_matches_from(["run"]).map_err(|error| error.to_string())?;
    RunArgs::from_arg_matches(&matches).map_err(|error| error.to_string())
}

/// Puts the values of `overrides` in the place of those of `base`, key by key.
fn merge(base: &mut Value, overrides: &Value) {
    match (base, overrides) {
        (Value::Object(base), Value::Object(overrides)) => {
            for (key, value) in overrides {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, overrides) => *base = overrides.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use workload::quantity::Bytes;

    use super::*;
    use crate::study::schedule::cells;
    use ramp_format::plan::Pace;

    fn builder(
        text: &str,
        runtimes: &[&str],
        cell: usize,
        warm_up: Option<u32>,
    ) -> Result<PlanBuilder, String> {
        let definition = StudyFile::parse(text).unwrap();
        let runtimes: Vec<String> = runtimes.iter().map(|&name| name.to_owned()).collect();
        let cells = cells(&definition, &["load".into()], &runtimes).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        let clock = Clock::simulated(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let (run, out) = ("study-1".into(), "out".into());
        let cell_index = cell;
        RunRequest {
            definition: &definition,
            seed: 7,
            block: 1,
            cell_index,
            cell: &cells[cell],
            run,
            out,
            warm_up,
        }
        .builder(&clock)
    }

    #[test]
    fn a_run_has_the_options_of_the_study_file_and_the_defaults_of_ramp_run() {
        let text = "engine: simulated\nramp: {to: 30, pace: 5s, hold: 1m, stop: [never]}\nlabels: {rack: r7}\n\
                    sizes: [{memory: 100M, cpu: 200m, limits: {memory: 150Mi}}]\n";
        let PlanBuilder { plan, scenario, out } = builder(text, &[], 0, None).unwrap();
        assert_eq!((plan.run.as_str(), out), ("study-1", PathBuf::from("out")));
        assert_eq!((plan.from, plan.to, plan.pace), (1, 30, Pace::Every(Duration::from_secs(5))));
        assert_eq!(
            (plan.hold, plan.settle, plan.beyond),
            (Duration::from_secs(60), Duration::from_secs(10), 50)
        );
        assert_eq!((plan.stop, plan.labels), (Vec::new(), vec![("rack".to_owned(), "r7".to_owned())]));
        assert_eq!(scenario.needs().memory_on(None), Some(Bytes(100_000_000)));
        assert_eq!(scenario.needs().resources.load_limit, Some(Bytes(150 << 20)));
        assert_eq!(scenario.load().unwrap().cpu, "0.2".parse().unwrap());
    }

    #[test]
    fn a_warm_up_starts_its_instances_at_once_and_ends() {
        let plan = builder("engine: simulated\nramp: {to: 30, from: 2}\n", &["a"], 0, Some(3)).unwrap().plan;
        assert_eq!((plan.from, plan.to, plan.steps(), plan.stop.len()), (3, 3, 1, 0));
        assert_eq!((plan.hold, plan.settle), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn a_runtime_changes_the_world_and_what_makes_none_is_refused_with_the_runtime_and_the_key() {
        let text = "engine: simulated\nworlds: {kata: {runtime: {memory: 30M}, load: {memory: 9M}}}\n";
        let world =
            |cell| World::of(&builder(text, &["runc", "kata"], cell, None).unwrap().plan.options).unwrap();
        let (runc, kata) = (world(0), world(1));
        assert_eq!((runc.runtime.name.as_str(), kata.runtime.name.as_str()), ("runc", "kata"));
        assert_eq!((runc.runtime.memory, kata.runtime.memory), (Bytes(2_000_000), Bytes(30_000_000)));
        assert_eq!(kata.runtime.spread, World::default().runtime.spread, "the rest is as it was");
        assert_ne!(runc.seed, kata.seed);
        let kata = builder(text, &["runc", "kata"], 1, None).unwrap().scenario;
        assert_eq!(kata.needs().memory_on(None), Some(Bytes(9_000_000)));
        let sized =
            builder(&format!("{text}sizes: [{{memory: 50M}}]\n"), &["kata"], 0, None).unwrap().scenario;
        assert_eq!(sized.needs().memory_on(None), Some(Bytes(50_000_000)), "a size goes before the world");
        for (overrides, key) in [("{runtime: {memry: 3}}", "memry"), ("{machine: {lost: 2}}", "machine.lost")]
        {
            let text = format!("engine: simulated\nworlds: {{kata: {overrides}}}\n");
            let error = builder(&text, &["kata"], 0, None).unwrap_err();
            assert!(error.starts_with("worlds.kata: ") && error.contains(key), "{error}");
        }
    }

    #[test]
    fn a_runtime_has_the_socket_of_its_own_service() {
        let text = "engine: podman\nsocket: /run/all.sock\nsockets: {crun: /run/crun.sock}\n";
        let definition = StudyFile::parse(text).unwrap();
        let cells = cells(&definition, &["load".into()], &["runc".into(), "crun".into()]).unwrap();
        let sockets: Vec<_> =
            cells.iter().map(|cell| run_args(&definition, cell).unwrap().socket.unwrap()).collect();
        assert_eq!(sockets, [PathBuf::from("/run/all.sock"), PathBuf::from("/run/crun.sock")]);
    }

    #[test]
    fn default_is_no_runtime() {
        let runtime = |engine: &str, name| {
            let text = format!("engine: {engine}\n");
            let definition = StudyFile::parse(&text).unwrap();
            let cells = cells(&definition, &["load".into()], &[name]).unwrap();
            run_args(&definition, &cells[0]).unwrap().runtime
        };
        assert_eq!(
            runtime("kubernetes", "default".into()).as_deref(),
            Some("default"),
            "that of the manifest is removed"
        );
        assert_eq!(runtime("podman", "default".into()), None);
        assert_eq!(runtime("podman", "crun".into()).as_deref(), Some("crun"));
        assert_eq!(runtime("simulated", "kata".into()), None);
    }
}
