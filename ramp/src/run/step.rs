//! One step: what it asks for, how it is waited for, and its row.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use workload::quantity::Bytes;

use super::event_loop::{EventLoop, WaitResult};
use super::{RampEnd, Run};
use crate::backoff::Backoff;
use crate::engine::{Engine, Failure, GroupId};
use ramp_format::plan::Pace;
use ramp_format::rows::{Part, StepOutcome, StepRow};
use ramp_format::state::State;
use ramp_format::time::{Time, seconds};

/// Samples come each second; one may be late.
const SAMPLED_WITHIN: Duration = Duration::from_millis(2500);

impl<E: Engine> Run<E> {
    /// One step: asks, and waits as the pace says. Its row, as it is when it ends.
    pub(super) async fn step(
        &mut self,
        asked: &[(GroupId, u32)],
        part: Part,
        next_beat: Option<Instant>,
        settled: impl Fn(&EventLoop, u32) -> bool,
    ) -> Result<StepRow, RampEnd> {
        let began = Instant::now();
        self.event_loop.part = part;
        self.event_loop.asked = asked.iter().map(|(_, instances)| instances).sum();
        self.event_loop.calls.take();
        let deadline = next_beat.unwrap_or(began + self.plan.step_timeout);
        let (outcome, latency, mut end) = match self.ask(asked, deadline, settled).await {
            Ok((outcome, latency)) => (outcome, latency, None),
            Err(end) => (StepOutcome::Ended, None, Some(end)),
        };
        let took = began.elapsed();
        if part == Part::Up && outcome == StepOutcome::Settled {
            end = self.sample_settled().await.err();
        }
        let row = StepRow { step_seconds: seconds(took), ..self.row(outcome, began, latency) };
        let Some(end) = end else { return Ok(row) };
        // What the step has seen so far is not lost.
        self.write(&row);
        if part == Part::Up {
            self.steps_up = row.step;
        }
        Err(end)
    }

    /// Waits for a sample of each node from after now: of all instances of the step at rest. A step must not be over before it has one, or
    /// samples and steps of about the same length beat with each other.
    async fn sample_settled(&mut self) -> Result<(), RampEnd> {
        let (settled, deadline) = (self.event_loop.clock.now(), Instant::now() + SAMPLED_WITHIN);
        self.event_loop
            .until(Some(deadline), |event_loop| {
                event_loop.nodes.sampled_since(settled, event_loop.clock.now())
            })
            .await?;
        Ok(())
    }

    async fn ask(
        &mut self,
        asked: &[(GroupId, u32)],
        deadline: Instant,
        settled: impl Fn(&EventLoop, u32) -> bool,
    ) -> Result<(StepOutcome, Option<Duration>), RampEnd> {
        let scale = async |engine: &mut E| {
            let asked_at = Instant::now();
            for (group, instances) in asked {
                engine.scale(*group, *instances).await?;
            }
            Ok(asked_at.elapsed())
        };
        let latency = insist(&mut self.engine, &mut self.event_loop, Some(deadline), "scale", scale).await?;
        let outcome = match (self.plan.pace, latency) {
            (Pace::Every(_), _) => {
                self.event_loop.until(Some(deadline), |_| false).await?;
                if latency.is_some() { StepOutcome::Beat } else { StepOutcome::Unanswered }
            }
            (_, None) => StepOutcome::Unanswered,
            (Pace::None, Some(_)) => {
                self.event_loop.take_arrived();
                StepOutcome::Taken
            }
            (Pace::Ready, Some(_)) => {
                let so = |event_loop: &EventLoop| settled(event_loop, event_loop.asked);
                match self.event_loop.until(Some(deadline), so).await? {
                    WaitResult::Met => StepOutcome::Settled,
                    WaitResult::TimedOut => StepOutcome::TimedOut,
                }
            }
        };
        Ok((outcome, latency))
    }

    pub(super) fn row(&mut self, outcome: StepOutcome, began: Instant, latency: Option<Duration>) -> StepRow {
        let event_loop = &mut self.event_loop;
        let now = event_loop.clock.now();
        let (counts, totals, sums) =
            (event_loop.tracker.counts(), event_loop.tracker.totals(), event_loop.nodes.sums(now));
        let (ready, not_ready) = event_loop.nodes.ready_or_not();
        let calls = event_loop.calls.take();
        let memory = |of: fn(&crate::run::node_tracker::MemoryTotals) -> Bytes| {
            sums.memory.as_ref().map(|memory| of(memory).0)
        };
        StepRow {
            time: Time(now),
            elapsed_seconds: event_loop.elapsed_seconds(now),
            step: event_loop.step,
            part: event_loop.part,
            outcome,
            step_seconds: seconds(began.elapsed()),
            asked_instances: event_loop.asked,
            pending_instances: counts.of(State::Pending),
            unschedulable_instances: counts.of(State::Unschedulable),
            creating_instances: counts.of(State::Creating),
            running_instances: counts.of(State::Running),
            ready_instances: counts.of(State::Ready),
            terminating_instances: counts.of(State::Terminating),
            evicted_instances: counts.of(State::Evicted),
            oom_killed_instances: counts.of(State::OomKilled),
            failed_instances: counts.of(State::Failed),
            evictions_total: totals.evictions,
            oom_kills_total: totals.oom_kills,
            failures_total: totals.failures,
            gone_total: totals.gone,
            scale_latency_seconds: latency.map(seconds),
            api_latency_max_seconds: calls.longest.map(seconds),
            api_answers: calls.answered,
            api_failures: calls.failed,
            nodes_ready: ready.len().try_into().unwrap_or(u32::MAX),
            nodes_not_ready: not_ready.len().try_into().unwrap_or(u32::MAX),
            kernels: sums.kernels,
            kernels_fresh: sums.fresh,
            sample_age_seconds: sums.oldest.map(seconds),
            memory_total_bytes: memory(|memory| memory.total),
            memory_free_bytes: memory(|memory| memory.free),
            memory_available_bytes: memory(|memory| memory.available),
            memory_active_bytes: memory(|memory| memory.active),
            budget_bytes: sums.budget.map(|budget| budget.limit.0),
            budget_used_bytes: sums.budget.map(|budget| budget.used.0),
            rules: String::new(),
        }
    }

    pub(super) fn write(&mut self, row: &StepRow) {
        self.event_loop.step_row(row);
    }
}

/// When steps begin, with a fixed beat: on an absolute schedule. What was missed is not made up for.
#[derive(Debug)]
pub(super) struct Beats {
    beat: Option<Duration>,
    next: Instant,
}

impl Beats {
    pub(super) fn new(pace: Pace) -> Self {
        let beat = match pace {
            Pace::Every(beat) => Some(beat),
            Pace::Ready | Pace::None => None,
        };
        Self { beat, next: Instant::now() }
    }

    /// When the step that begins now is over.
    pub(super) fn next(&mut self) -> Option<Instant> {
        let (beat, now) = (self.beat?, Instant::now());
        while self.next <= now {
            self.next += beat;
        }
        Some(self.next)
    }
}

/// Tries until it works, with growing pauses; none where the time is up. Everything that comes in meanwhile is taken in.
pub(super) async fn insist<E: Engine, T>(
    engine: &mut E,
    event_loop: &mut EventLoop,
    deadline: Option<Instant>,
    what: &str,
    mut work: impl AsyncFnMut(&mut E) -> Result<T, Failure>,
) -> Result<Option<T>, RampEnd> {
    let mut pauses = Backoff::short();
    loop {
        let attempt = async {
            match deadline {
                Some(deadline) => timeout_at(deadline, work(engine)).await.ok(),
                None => Some(work(engine).await),
            }
        };
        let failure = match event_loop.during(attempt).await? {
            Some(Ok(value)) => return Ok(Some(value)),
            None => return Ok(None),
            Some(Err(failure)) if failure.transient => failure,
            Some(Err(failure)) => return Err(RampEnd::Failed(failure)),
        };
        let pause = pauses.failed();
        event_loop.note("engine", "Retried", format!("{what}: {failure}; tried again in {pause:?}"));
        let again = Instant::now() + pause;
        if deadline.is_some_and(|deadline| deadline <= again) {
            event_loop.until(deadline, |_| false).await?;
            return Ok(None);
        }
        event_loop.until(Some(again), |_| false).await?;
    }
}
