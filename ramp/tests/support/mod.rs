//! Runs on simulated clusters, and readers of their run directories.
#![allow(dead_code, reason = "each test program uses what it needs")]

pub(crate) mod schemas;
pub(crate) mod script;
pub(crate) mod studies;
pub(crate) mod transitions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ramp::clock::Clock;
use ramp::engine::Engine;
use ramp::preflight::forecast::{forecast, needs};
use ramp::run::{Run, Surroundings};
use ramp::ui::{Summary, View};
use ramp_format::directory::Directory;
use ramp_format::plan::Plan;
use ramp_format::preflight::Preflight;
use ramp_format::run_file::RunFile;
use ramp_format::scenario::Scenario;
use ramp_format::time::Time;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

#[allow(unused_imports, reason = "each test program uses what it needs")]
pub(crate) use script::{Fault, FaultKind, Script, Shortage, engine, script};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Steps of one up to five, by readiness, without rules.
pub(crate) fn plan() -> Plan {
    Plan {
        run: "20261125-000000-test".into(),
        to: 5,
        step_timeout: Duration::from_secs(10),
        ..Plan::default()
    }
}

pub(crate) fn rules(rules: &[&str]) -> Vec<ramp_format::stop_rule::StopRule> {
    rules.iter().map(|rule| rule.parse().unwrap()).collect()
}

/// A run's surroundings in a test: simulated time, a directory of its own, interrupts on demand.
pub(crate) struct Stage {
    pub(crate) clock: Clock,
    pub(crate) directory: TempDir,
    pub(crate) interrupt: watch::Sender<u32>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let noon = humantime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap();
        Self {
            clock: Clock::simulated(noon),
            directory: TempDir::new().unwrap(),
            interrupt: watch::channel(0).0,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        let interrupts = self.interrupt.subscribe();
        Surroundings { clock: self.clock.clone(), view: View::Nothing, interrupts }
    }

    pub(crate) fn create(&self, plan: &Plan) -> Directory {
        Directory::create(&self.path(), run_file(plan, self.clock.now())).unwrap()
    }

    pub(crate) async fn run(&self, plan: &Plan, engine: impl Engine) -> Summary {
        Run::new(engine, self.create(plan), self.surroundings()).go().await.unwrap()
    }

    pub(crate) async fn run_script(&self, plan: &Plan, script: Script) -> Summary {
        self.run(plan, engine(&script)).await
    }
}

pub(crate) fn run_file(plan: &Plan, begin: SystemTime) -> RunFile {
    let file = RunFile::new(plan.clone(), "test".into(), Value::Null, Preflight::default(), Time(begin));
    RunFile { ramp_version: "0.0.0".into(), ..file }
}

/// The same with what the preflight of an engine finds and forecasts.
pub(crate) async fn surveyed_run_file(
    engine: &mut impl Engine,
    scenario: &Scenario,
    plan: &Plan,
    begin: SystemTime,
) -> RunFile {
    let preflight = engine.preflight().await.unwrap();
    let forecast = forecast(&preflight, &needs(scenario, &preflight), plan, Some(1.0));
    let file =
        RunFile::new(plan.clone(), scenario.name.clone(), scenario.manifest.clone(), preflight, Time(begin));
    RunFile { forecast: Some(forecast), ramp_version: "0.0.0".into(), ..file }
}

/// The rows of a table, each as a map of its cells.
pub(crate) fn rows(directory: &Path, table: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(directory.join(table)).unwrap();
    reader.deserialize().collect::<Result<_, _>>().unwrap()
}

/// A column of a table.
pub(crate) fn column(directory: &Path, table: &str, column: &str) -> Vec<String> {
    rows(directory, table).iter().map(|row| row[column].clone()).collect()
}

/// A column of numbers, those missing left out.
pub(crate) fn numbers(directory: &Path, table: &str, name: &str) -> Vec<f64> {
    column(directory, table, name).iter().filter_map(|cell| cell.parse().ok()).collect()
}
