//! Changes by others while a run is under way.

use std::time::Duration;

use ramp::engine::simulated::SimulatedEngine;
use ramp::engine::{Applied, Engine, Event, Events, Failure, GroupId};
use ramp::run::Run;
use ramp_format::plan::Plan;
use ramp_format::preflight::Preflight;

use crate::support::{SECOND, Stage, column, engine, plan, script};

/// A cluster on which something is observed after a while that it does not simulate.
pub(crate) struct Observing {
    pub(crate) engine: SimulatedEngine,
    pub(crate) after: Duration,
    pub(crate) event: Event,
}

impl Engine for Observing {
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
        let (sender, after, event) = (events.clone(), self.after, self.event.clone());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            sender.send(event).await;
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
        let event = Event::Removed("deployment/a was deleted by another client".into());
        let engine = Observing { engine: engine(&script()), after: after * SECOND, event };
        let summary = Run::new(engine, stage.create(&plan), stage.surroundings()).go().await.unwrap();
        assert_eq!(summary.why_ended, "deployment/a was deleted by another client");
        assert!(summary.failed);
        let ramped = column(&stage.path(), "steps.csv", "elapsed_seconds");
        let ended: f64 = ramped.last().unwrap().parse().unwrap();
        assert!((f64::from(after)..f64::from(after) + 30.0).contains(&ended), "{ended}: {ramped:?}");
    }
}
