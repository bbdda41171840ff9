//! Study directories recorded on the simulated engine, in simulated time: the same each time.

use std::path::Path;
use std::time::{Duration, SystemTime};

use ramp::clock::Clock;
use ramp::engine::EngineSpec;
use ramp::engine::simulated::{NodeKind, PhaseTime, RuntimeTruth, SimulatedEngine, World};
use ramp::run::{Run, Surroundings};
use ramp::ui::View;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Pace, Plan};
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;
use ramp_format::study::{
    Blocks, Cell, Decision, RunRecord, RunRecordState, STUDY_FORMAT_VERSION, Size, StudyFile, StudyRecord,
};
use ramp_format::time::Time;
use tokio::sync::watch;
use workload::quantity::Bytes;

use super::run_file;

/// A study, as far as its fixture needs it.
#[derive(Clone, Debug)]
pub(crate) struct StudyFixture {
    pub(crate) runtimes: Vec<SimulatedRuntime>,
    /// Memory of an instance; none for one size without a name.
    pub(crate) sizes: Vec<u64>,
    pub(crate) blocks: u32,
    /// Instances in the last step.
    pub(crate) to: u32,
    /// The study file.
    pub(crate) definition: StudyFile,
    /// What the engine is said to be.
    pub(crate) engine: EngineKind,
}

/// A runtime, and what it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimulatedRuntime {
    pub(crate) name: &'static str,
    /// Memory beyond that of the load.
    pub(crate) memory: u64,
    /// Median time from being scheduled to running.
    pub(crate) create: Duration,
}

pub(crate) const RUNC: SimulatedRuntime =
    SimulatedRuntime { name: "runc", memory: 2 << 20, create: Duration::from_millis(600) };
pub(crate) const KATA: SimulatedRuntime =
    SimulatedRuntime { name: "kata", memory: 40 << 20, create: Duration::from_millis(1500) };
/// As heavy as runc.
pub(crate) const CRUN: SimulatedRuntime =
    SimulatedRuntime { name: "crun", memory: 2 << 20, create: Duration::from_millis(550) };

const MINUTE: Duration = Duration::from_secs(60);

impl StudyFixture {
    /// Two runtimes and one size.
    pub(crate) fn small() -> Self {
        Self {
            runtimes: vec![RUNC, KATA],
            sizes: Vec::new(),
            blocks: 4,
            to: 16,
            definition: StudyFile { engine: Some(EngineKind::Simulated), ..StudyFile::default() },
            engine: EngineKind::Simulated,
        }
    }

    /// Two runtimes and two sizes.
    pub(crate) fn of_sizes() -> Self {
        Self { sizes: vec![32_000_000, 64_000_000], ..Self::small() }
    }

    fn cells(&self) -> Vec<Cell> {
        let sizes: Vec<Option<u64>> = match self.sizes.len() {
            0 => vec![None],
            _ => self.sizes.iter().copied().map(Some).collect(),
        };
        let cell = |size: Option<u64>, runtime: &SimulatedRuntime| Cell {
            name: match size {
                Some(bytes) => format!("workload-{}-{}M", runtime.name, bytes / 1_000_000),
                None => format!("workload-{}", runtime.name),
            },
            scenario: "workload".into(),
            manifest: None,
            runtimes: vec![runtime.name.into()],
            size: size.map(|bytes| Size {
                memory: Some(format!("{}M", bytes / 1_000_000).parse().unwrap()),
                ..Size::default()
            }),
        };
        sizes
            .into_iter()
            .flat_map(|size| self.runtimes.iter().map(move |runtime| (size, runtime)))
            .map(|(size, runtime)| cell(size, runtime))
            .collect()
    }

    /// Runs all of it.
    pub(crate) fn record(&self, directory: &Path) -> StudyRecord {
        let begin = humantime::parse_rfc3339("2026-11-29T12:00:00Z").unwrap();
        let mut record = StudyRecord {
            format_version: STUDY_FORMAT_VERSION,
            study: "20261129-120000-beef".into(),
            name: "runtimes".into(),
            ramp_version: "0.0.0".into(),
            begin: Time(begin),
            end: None,
            why_ended: None,
            resumes: Vec::new(),
            definition: StudyFile { blocks: Blocks::Fixed(self.blocks), ..self.definition.clone() },
            seed: 7,
            cells: self.cells(),
            runs: Vec::new(),
            decisions: Vec::new(),
        };
        let mut now = begin;
        let count = record.cells.len();
        for block in 1..=self.blocks {
            // Another cell is the first one each time: some come first, some last.
            for place in 0..count {
                let cell = if block % 3 == 0 { count - 1 - place } else { (place + block as usize) % count };
                now += 2 * MINUTE;
                let run = self.run(&record.cells[cell], (block, cell), directory, now);
                now = run.end.unwrap().0;
                record.runs.push(run);
            }
            record.decisions.push(Decision {
                time: Time(now),
                after_blocks: block,
                blocks_needed: Some(self.blocks),
                reason: "the number of blocks is fixed".into(),
            });
        }
        record.end = Some(Time(now));
        record.why_ended = Some("all blocks are done".into());
        record.save(directory).unwrap();
        record
    }

    fn run(
        &self,
        cell: &Cell,
        (block, index): (u32, usize),
        directory: &Path,
        begin: SystemTime,
    ) -> RunRecord {
        let name = format!("runs/{block}-{}", cell.name);
        let at = directory.join(&name);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        let runtime = *self.runtimes.iter().find(|one| one.name == cell.runtimes[0]).unwrap();
        let seed = u64::from(block) * 100 + index as u64;
        let memory = self.sizes.get(index / self.runtimes.len()).copied().unwrap_or(64_000_000);
        let end = simulate(&world(runtime, memory, seed, begin), &self.plan(cell, block), &at);
        RunRecord {
            block,
            cell: index,
            directory: name.into(),
            state: RunRecordState::Done,
            begin: Time(begin),
            end: Some(Time(end)),
            notes: Vec::new(),
        }
    }

    fn plan(&self, cell: &Cell, block: u32) -> Plan {
        Plan {
            run: format!("20261129-120000-beef-{block}-{}", cell.name),
            engine: self.engine,
            scenario: None,
            from: 1,
            to: self.to,
            step: 1,
            pace: Pace::Ready,
            step_timeout: Duration::from_secs(30),
            settle: Duration::from_secs(10),
            hold: Duration::from_secs(10),
            stop: StopRule::usual(),
            beyond: 2,
            options: EngineOptions { runtime: cell.runtimes.first().cloned(), ..EngineOptions::default() },
            ..Plan::default()
        }
    }
}

/// Two small nodes.
fn world(runtime: SimulatedRuntime, memory: u64, seed: u64, begin: SystemTime) -> World {
    const MI: u64 = 1 << 20;
    let mut world = World { seed, begin: Time(begin), ..World::default() };
    world.nodes = vec![NodeKind {
        count: 2,
        memory: Bytes(600 * MI),
        idle: Bytes(100 * MI),
        page_cache: Bytes(50 * MI),
        ..NodeKind::default()
    }];
    world.load.memory = Some(Bytes(memory));
    world.load.report_every = Some(Duration::from_secs(5));
    world.runtime = RuntimeTruth {
        name: runtime.name.into(),
        memory: Bytes(runtime.memory),
        spread: 0.02,
        ..RuntimeTruth::default()
    };
    world.phases.create = PhaseTime { median: runtime.create, spread: 0.2 };
    world
}

/// Runs a world in a directory. Returns when it ended.
fn simulate(world: &World, plan: &Plan, directory: &Path) -> SystemTime {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = Clock::simulated(world.begin.0);
        let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
        let file = RunFile {
            scenario: scenario.name.clone(),
            manifest: scenario.manifest.clone(),
            ..run_file(plan, clock.now())
        };
        let options =
            EngineOptions { world: Some(serde_json::to_value(world).unwrap()), ..plan.options.clone() };
        let engine = SimulatedEngine::new(EngineSpec { run: plan.run.clone(), scenario, options }).unwrap();
        let (_never, interrupts) = watch::channel(0);
        let surroundings = Surroundings { clock: clock.clone(), view: View::Nothing, interrupts };
        let directory = Directory::create(directory, file).unwrap();
        Run::new(engine, directory, surroundings).go().await.unwrap();
        clock.now()
    })
}

/// Gives the instances of all runs under a runtime another memory request, as their manifests have it.
pub(crate) fn request_memory(study: &Path, record: &StudyRecord, runtime: &str, memory: &str) {
    let is_of = |run: &&RunRecord| record.cells[run.cell].runtimes == [runtime];
    for run in record.runs.iter().filter(is_of) {
        let file = study.join(&run.directory).join("run.json");
        let mut json: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let container = json.pointer_mut("/manifest/spec/template/spec/containers/0").unwrap();
        container["resources"]["requests"]["memory"] = memory.into();
        std::fs::write(&file, json.to_string()).unwrap();
    }
}
