//! Phases of startup of single runs: what is told of each, and what is not.

use ramp::engine::EngineSpec;
use ramp::engine::simulated::{SimulatedEngine, World};
use ramp::run::Run;
use ramp_format::directory::Directory;
use ramp_format::plan::{EngineKind, EngineOptions, Pace, Plan};
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;
use ramp_report::analysis::results::RunResults;
use ramp_report::analysis::startup_phases::StartupPhase;
use ramp_report::dataset::Dataset;
use ramp_report::progress::Observer;

use crate::support::{SECOND, Stage, plan, run_file};

/// Sandboxes of 700 ms, containers of 300 ms, memory within a second, and 200 ms until that is seen; events arrive after 4 ms.
const WORLD: &str = "
nodes: [{count: 2, memory: 64Gi}]
load: {memory: 100M, growth_rate: 98M/s, report_every: 5s, cpu: 0.02, shared: 0}
phases: {schedule: 10ms, sandbox: 700ms, create: 300ms, ready: 200ms, events: 4ms}
";

async fn results(world: &str, to: u32, step: u32) -> RunResults {
    let world = World::parse(world).unwrap();
    let scenario = world.applied_to(&Scenario::embedded().unwrap()).unwrap();
    let options =
        EngineOptions { world: Some(serde_json::to_value(world).unwrap()), ..EngineOptions::default() };
    let plan = Plan {
        engine: EngineKind::Simulated,
        from: step,
        to,
        step,
        pace: Pace::Ready,
        step_timeout: 20 * SECOND,
        settle: 5 * SECOND,
        hold: 5 * SECOND,
        options: options.clone(),
        ..plan()
    };
    let stage = Stage::new();
    let order = EngineSpec { run: plan.run.clone(), scenario: scenario.clone(), options };
    let file = RunFile {
        scenario: scenario.name.clone(),
        manifest: scenario.manifest.clone(),
        ..run_file(&plan, stage.clock.now())
    };
    let directory = Directory::create(&stage.path(), file).unwrap();
    Run::new(SimulatedEngine::new(order).unwrap(), directory, stage.surroundings()).go().await.unwrap();
    RunResults::alone(&Dataset::read(&stage.path()).unwrap(), &Observer::default())
}

fn means(found: &RunResults) -> Vec<f64> {
    let phases = found.phases.as_ref().unwrap();
    StartupPhase::ALL.into_iter().map(|phase| phases.mean(phase, None).unwrap_or(f64::NAN)).collect()
}

fn assert_close(found: &[f64], expected: &[f64]) {
    let is_close = |(found, expected): (&f64, &f64)| (found - expected).abs() < 0.003;
    assert!(found.iter().zip(expected).all(is_close), "{found:?} where {expected:?} is true");
}

const TRUTH: [f64; 6] = [0.010, 0.704, 0.300, -0.004, 1.0148, 0.200];

#[tokio::test(start_paused = true)]
async fn each_phase_is_what_its_world_says_whatever_the_clocks_of_the_nodes() {
    for clock in [
        "",
        "events: [{what: clock-set, at: 0s, ahead: 3s}, {what: clock-set, at: 0s, ahead: -90s, node: node-1}]",
    ] {
        let found = results(&format!("{WORLD}{clock}"), 6, 1).await;
        assert_close(&means(&found), &TRUTH);
        let phases = found.phases.unwrap();
        assert_eq!(phases.instances.len(), 6);
        let corrected: Vec<f64> =
            phases.clocks.values().map(|bound| bound.behind().unwrap().round()).collect();
        let expected: &[f64] = if clock.is_empty() { &[0.0, 0.0] } else { &[-3.0, 90.0] };
        assert_eq!(corrected, expected, "{:?}", phases.clocks);
        let program = phases.facts(StartupPhase::Program).unwrap();
        assert_eq!(program.resolution_seconds > 0.3, !clock.is_empty(), "{program:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_phase_of_which_the_events_are_late_or_missing_is_unknown_and_not_wrong() {
    let late = results(&WORLD.replace("events: 4ms", "events: 1500ms"), 6, 1).await.phases.unwrap();
    for phase in [StartupPhase::Sandbox, StartupPhase::Container, StartupPhase::Program] {
        let why = late.mean(phase, None).unwrap_err();
        assert!(why.0.contains("arrived late"), "{phase:?}: {why}");
    }
    assert!((late.mean(StartupPhase::Memory, None).unwrap() - TRUTH[4]).abs() < 0.003);
    let none = results(&WORLD.replace(", events: 4ms", ""), 6, 1).await.phases.unwrap();
    assert_eq!(none.mean(StartupPhase::Sandbox, None).unwrap_err().0, "not told by engine simulated");
    let container = none.facts(StartupPhase::Container).unwrap();
    assert_eq!(container.from, "scheduled");
    assert!((none.mean(StartupPhase::Container, None).unwrap() - 1.0).abs() < 0.003);
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_as_fast_as_its_last_start() {
    let found = results(WORLD, 24, 12).await;
    let burst = found.burst.unwrap();
    // Both are of twelve; the first counts.
    let seconds = 0.010 + 0.700 + 0.300 + 1.0148 + 0.200;
    assert_eq!((burst.step, burst.instances), (1, 12));
    assert!((burst.seconds - seconds).abs() < 0.02, "{burst:?}");
    assert!((burst.per_second() - 12.0 / burst.seconds).abs() < 1e-9);
    assert_eq!(burst.windows.iter().sum::<u32>(), 12);
    let few = results(WORLD, 4, 1).await;
    assert_eq!(few.burst.unwrap_err().0, "no 8 instances were requested at once");
}
