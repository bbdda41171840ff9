//! Draws of the durations of phases in a world, to which the estimates of reports are compared.

use std::time::Duration;

use super::instance::LoadFacts;
use super::random::Random;
use super::world::{PhaseTimes, World};
use ramp_format::scenario::Scenario;

impl World {
    /// Draws of the time from creation to observed readiness, in seconds, without incidents.
    #[must_use]
    pub fn startup_seconds(&self) -> Vec<f64> {
        let PhaseTimes { schedule, sandbox, create, ready, .. } = self.phases;
        let fill = Scenario::embedded()
            .and_then(|scenario| self.applied_to(&scenario))
            .and_then(|scenario| LoadFacts::of(&scenario, self))
            .map_or(Duration::ZERO, |load| load.fill());
        self.draws(|draw| {
            draw.phase(schedule) + draw.phase(sandbox) + draw.phase(create) + fill + draw.phase(ready)
        })
    }

    /// Draws of the time from termination to removal, in seconds.
    #[must_use]
    pub fn stop_seconds(&self) -> Vec<f64> {
        self.draws(|draw| draw.phase(self.phases.stop))
    }

    fn draws(&self, mut of: impl FnMut(&mut Random) -> Duration) -> Vec<f64> {
        const DRAWS: usize = 20_000;
        let mut draw = Random::new(0, 0);
        (0..DRAWS).map(|_| of(&mut draw).as_secs_f64()).collect()
    }
}
