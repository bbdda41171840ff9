//! Changes by others while a run is under way.

use std::time::Duration;

use ramp::engine::simulated::SimulatedEngine;
use ramp::engine::{Applied, Engine, Event, Events, Failure, GroupId};
use ramp::run::Run;
use ramp_format::plan::Plan;
use ramp_format::preflight::Preflight;

use crate::support::{SECOND, Stage, column, engine, plan, script};

/// A cluster on which others remove the workload after a while.
struct RemovedByOthers {
    engine: SimulatedEngine,
    after: Duration,
}

impl Engine for RemovedByOthers {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn place(&self) -> String {
        self.engine.place()
    }

    async fn preflight(&mut self) -> Result<Preflight, Failure> {
        self.engine.preflight().await
    }

    async fn begin(&mut self, events: Events, adopt: bool) -> Result<Applied, Failure> {
        let (sender, after) = (events.clone(), self.after);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            sender.send(Event::Removed("deployment/a was deleted by another client".into())).await;
        });
        self.engine.begin(events, adopt).await
    }

    async fn scale(&mut self, group: GroupId, instances: u32) -> Result<(), Failure> {
        self.engine.scale(group, instances).await
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        self.engine.remove().await
    }

    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        self.engine.left().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_workload_others_remove_ends_at_once_whatever_it_waits_for() {
    // In a step that never settles, and while it holds.
    for (to, hold, after) in [(20, Duration::ZERO, 100), (2, 600 * SECOND, 60)] {
        let stage = Stage::new();
        let plan = Plan { to, hold, step_timeout: 300 * SECOND, ..plan() };
        let engine = RemovedByOthers { engine: engine(&script()), after: after * SECOND };
        let summary = Run::new(engine, stage.create(&plan), stage.surroundings()).go().await.unwrap();
        assert_eq!(summary.why_ended, "deployment/a was deleted by another client");
        assert!(summary.failed);
        let ramped = column(&stage.path(), "steps.csv", "elapsed_seconds");
        let ended: f64 = ramped.last().unwrap().parse().unwrap();
        assert!((f64::from(after)..f64::from(after) + 30.0).contains(&ended), "{ended}: {ramped:?}");
    }
}
