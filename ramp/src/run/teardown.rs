//! How a run's population is removed, and what is left of it.

use std::time::Duration;

use tokio::time::Instant;

use super::event_loop::WaitResult;
use super::step::insist;
use super::{PATIENCE, RampEnd, Run};
use crate::engine::{Engine, Failure};
use ramp_format::rows::{Part, StepOutcome};
use ramp_format::run_file::{MemoryReturned, Teardown};
use ramp_format::time::seconds;

/// For how long the last instances are waited for at the end.
const TEARDOWN_AT_MOST: Duration = Duration::from_secs(600);
/// Memory may take so many times longer to come back than it was watched before the first step.
const LONGER_THAN_BEFORE: u32 = 3;

impl<E: Engine> Run<E> {
    /// Removes everything, and looks whether anything is left.
    pub(super) async fn clean(&mut self) -> Teardown {
        // Only further interrupts end the clean-up.
        self.event_loop.heed();
        self.event_loop.part = Part::Clean;
        let (began, instances) = (Instant::now(), self.event_loop.tracker.in_place());
        let gone = match self.remove().await {
            Ok(gone) => gone,
            Err(RampEnd::Halt(_)) => None,
            Err(RampEnd::Failed(failure)) => {
                self.event_loop.note("engine", "NotRemoved", failure.message);
                None
            }
        };
        let row =
            self.row(if gone.is_some() { StepOutcome::Settled } else { StepOutcome::Ended }, began, None);
        self.write(&row);
        let left = self.left().await;
        let watched = self.watch_memory().await;
        let seconds = gone.filter(|_| left.is_empty()).map(seconds);
        let steady = self.event_loop.memory.is_steady();
        Teardown {
            instances,
            seconds,
            left,
            memory: self.memory_returned(),
            watched_seconds: Some(watched),
            steady,
        }
    }

    /// How long it took until the last instance was gone; none where one is still there.
    async fn remove(&mut self) -> Result<Option<Duration>, RampEnd> {
        let began = Instant::now();
        let deadline = began + TEARDOWN_AT_MOST;
        let remove = async |engine: &mut E| engine.remove().await;
        let asked = insist(&mut self.engine, &mut self.event_loop, Some(deadline), "remove", remove).await?;
        self.event_loop.asked = 0;
        if asked.is_none() || !self.begun {
            return Ok(None);
        }
        let waited =
            self.event_loop.until(Some(deadline), |event_loop| event_loop.tracker.there() == 0).await?;
        Ok((waited == WaitResult::Met).then(|| began.elapsed()))
    }

    async fn left(&mut self) -> Vec<String> {
        let ask = async |engine: &mut E| match engine.left().await?.as_slice() {
            [] => Ok(Vec::new()),
            // Asked again, until the time is up.
            left => Err(Failure { transient: true, message: format!("still there: {}", left.join(", ")) }),
        };
        let deadline = Some(Instant::now() + PATIENCE);
        match insist(&mut self.engine, &mut self.event_loop, deadline, "left", ask).await {
            Ok(Some(none)) => none,
            _ => match self.engine.left().await {
                Ok(left) => left,
                Err(failure) => vec![format!("unknown: {failure}")],
            },
        }
    }

    /// Until memory has come back and stopped changing, for a bounded time. For how many seconds.
    async fn watch_memory(&mut self) -> f64 {
        let began = Instant::now();
        self.event_loop.memory.begin_after();
        if !self.idle.is_empty() {
            let deadline = Some(began + self.plan.settle * LONGER_THAN_BEFORE);
            // An interrupt is no reason not to say what is known.
            let _ = self.event_loop.until(deadline, |event_loop| event_loop.memory.is_back()).await;
        }
        seconds(began.elapsed())
    }

    fn memory_returned(&self) -> Vec<MemoryReturned> {
        let after = self.event_loop.nodes.available(self.event_loop.clock.now());
        let both =
            self.idle.iter().filter_map(|(boot_id, before)| Some((boot_id, *before, *after.get(boot_id)?)));
        both.map(|(boot_id, before_bytes, after_bytes)| MemoryReturned {
            boot_id: boot_id.clone(),
            before_bytes,
            after_bytes,
        })
        .collect()
    }
}
