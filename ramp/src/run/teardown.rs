//! Teardown of a run: removes all instances, checks for leftovers, and watches memory until it is back.

use std::time::Duration;

use tokio::time::Instant;

use super::Run;
use super::event_loop::EventLoop;
use super::retry::{PATIENCE, RampEnd, retry};
use crate::engine::{Engine, Failure};
use crate::waiting::{Wait, telling};
use ramp_format::rows::{Part, StepOutcome};
use ramp_format::run_file::{MemoryReturned, Teardown};
use ramp_format::time::seconds;

/// Time limit for the removal of all instances.
const TEARDOWN_AT_MOST: Duration = Duration::from_secs(600);
/// Memory is watched for at most this many times as long as before the first step.
const LONGER_THAN_BEFORE: u32 = 3;

impl<E: Engine> Run<E> {
    /// Removes all instances and checks for leftovers.
    pub(super) async fn clean(&mut self) -> Teardown {
        // Only the second interrupt ends the teardown: a terminal may be closed during it.
        self.event_loop.acknowledge_first_interrupt();
        self.event_loop.handle_arrived();
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
        let outcome = if gone.is_some() { StepOutcome::Settled } else { StepOutcome::Ended };
        let row = self.row(outcome, began, None);
        self.event_loop.step_row(&row);
        let left = self.left().await;
        let watched = self.watch_memory().await;
        Teardown {
            instances,
            seconds: gone.filter(|_| left.is_empty()).map(seconds),
            left,
            memory: self.memory_returned(),
            watched_seconds: Some(watched),
            steady: self.event_loop.memory.is_steady(),
        }
    }

    /// Time until the last instance was gone; none if one is left.
    async fn remove(&mut self) -> Result<Option<Duration>, RampEnd> {
        let began = Instant::now();
        let deadline = began + TEARDOWN_AT_MOST;
        let remove = async |engine: &mut E| engine.remove().await;
        let asked = retry(&mut self.engine, &mut self.event_loop, deadline, "remove", remove).await?;
        self.event_loop.asked = 0;
        if asked.is_none() || !self.begun {
            return Ok(None);
        }
        let none_is_there = |event_loop: &EventLoop| event_loop.tracker.there() == 0;
        let all_gone =
            self.event_loop.until_told(deadline, "teardown", none_is_there, EventLoop::remaining).await?;
        Ok(all_gone.then(|| began.elapsed()))
    }

    async fn left(&mut self) -> Vec<String> {
        let ask = async |engine: &mut E| match engine.left().await?.as_slice() {
            [] => Ok(Vec::new()),
            // Transient: retried until the deadline.
            left => Err(Failure::transient(format!("not removed yet: {}", left.join(", ")))),
        };
        let deadline = Instant::now() + PATIENCE;
        match retry(&mut self.engine, &mut self.event_loop, deadline, "check for leftovers", ask).await {
            Ok(Some(none)) => none,
            _ => {
                let (place, view) = (self.engine.place(), &self.event_loop.view);
                let what = || format!("{place}: check for leftovers");
                let wait = Wait::begin(Instant::now());
                // Not interrupted: what is left has to be said at the end.
                match telling(wait, what, |line| view.say(line), self.engine.left()).await {
                    Ok(left) => left,
                    Err(failure) => vec![format!("unknown: {failure}")],
                }
            }
        }
    }

    /// Waits until memory is back and steady, for a bounded time. Returns for how many seconds.
    async fn watch_memory(&mut self) -> f64 {
        let began = Instant::now();
        self.event_loop.memory.begin_after();
        self.event_loop.acknowledge_interrupts();
        if !self.idle.is_empty() {
            let usual = self.plan.settle * LONGER_THAN_BEFORE;
            // No other run begins after one that was interrupted.
            let is_interrupted = self.event_loop.is_interrupted();
            let at_most = self.watched_at_most.filter(|_| !is_interrupted);
            let longest = at_most.map_or(usual, |at_most| usual.max(at_most));
            let deadline = began + longest;
            let between_runs = self.watched_at_most.is_some();
            let is_back = |event_loop: &EventLoop| {
                let memory = &event_loop.memory;
                if between_runs { memory.has_settled() } else { memory.is_back() }
            };
            let what = |_: &EventLoop| "memory of the nodes to be steady".to_owned();
            // An interrupt only ends the wait: what is known is reported.
            let _ = self.event_loop.until_told(deadline, "teardown", is_back, what).await;
        }
        seconds(began.elapsed())
    }

    fn memory_returned(&self) -> Vec<MemoryReturned> {
        let after = self.event_loop.nodes.available(self.event_loop.clock.moment().passed());
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
