//! One step of a run: request, wait, row.

use std::time::Duration;

use tokio::time::Instant;
use workload::quantity::Bytes;

use super::Run;
use super::event_loop::EventLoop;
use super::node_tracker::MemoryTotals;
use super::retry::{RampEnd, retry};
use crate::engine::{Engine, GroupId};
use ramp_format::plan::Pace;
use ramp_format::rows::{Part, StepOutcome, StepRow};
use ramp_format::state::State;
use ramp_format::time::{Time, seconds};

/// Time limit for a sample of each node after a step: one is due each second, and one may be late.
const SAMPLED_WITHIN: Duration = Duration::from_millis(2500);

impl<E: Engine> Run<E> {
    /// Makes one step: requests instances and waits as the pace says. Returns its row.
    pub(super) async fn step(
        &mut self,
        asked: &[(GroupId, u32)],
        part: Part,
        next_beat: Option<Instant>,
        settled: impl Fn(&EventLoop, u32) -> bool,
    ) -> Result<StepRow, RampEnd> {
        let began = self.begin_step(asked, part);
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
        match end {
            None => Ok(row),
            Some(end) => {
                self.keep_interrupted(row);
                Err(end)
            }
        }
    }

    /// From here on requests and observations are of this step. When that is.
    pub(super) fn begin_step(&mut self, asked: &[(GroupId, u32)], part: Part) -> Instant {
        self.event_loop.part = part;
        self.event_loop.asked = asked.iter().map(|(_, instances)| instances).sum();
        self.event_loop.calls.take();
        Instant::now()
    }

    /// Requests instances of each group. Returns how long that took; none where it was not answered in time.
    pub(super) async fn scale(
        &mut self,
        asked: &[(GroupId, u32)],
        deadline: Instant,
    ) -> Result<Option<Duration>, RampEnd> {
        let scale = async |engine: &mut E| {
            let asked_at = Instant::now();
            for (group, instances) in asked {
                engine.scale(*group, *instances).await?;
            }
            Ok(asked_at.elapsed())
        };
        retry(&mut self.engine, &mut self.event_loop, deadline, "scale", scale).await
    }

    /// Keeps what an interrupted step has observed.
    pub(super) fn keep_interrupted(&mut self, mut row: StepRow) {
        row.rules = self.event_loop.blocked_by.as_ref().map(|(rule, _)| rule.to_string()).unwrap_or_default();
        self.event_loop.step_row(&row);
        if row.part != Part::Down {
            self.steps_up = row.step;
        }
    }

    /// Waits for a sample of each node with all instances of the step settled. Without one, steps about as long as the sampling
    /// interval would be sampled at random phases.
    async fn sample_settled(&mut self) -> Result<(), RampEnd> {
        let (settled, deadline) = (self.event_loop.clock.moment().passed(), Instant::now() + SAMPLED_WITHIN);
        let sampled = |event_loop: &EventLoop| {
            event_loop.nodes.sampled_since(settled, event_loop.clock.moment().passed())
        };
        self.event_loop.until(deadline, sampled).await?;
        Ok(())
    }

    async fn ask(
        &mut self,
        asked: &[(GroupId, u32)],
        deadline: Instant,
        settled: impl Fn(&EventLoop, u32) -> bool,
    ) -> Result<(StepOutcome, Option<Duration>), RampEnd> {
        let requested = Instant::now();
        let latency = self.scale(asked, deadline).await?;
        if latency.is_some() {
            self.event_loop.scaled(requested);
        }
        let outcome = match (self.plan.pace, latency) {
            (Pace::Every(_), _) => {
                self.event_loop.wait(deadline).await?;
                if latency.is_some() { StepOutcome::Beat } else { StepOutcome::Unanswered }
            }
            (_, None) => StepOutcome::Unanswered,
            (Pace::None, Some(_)) => {
                self.event_loop.handle_arrived();
                StepOutcome::Taken
            }
            (Pace::Ready, Some(_)) => {
                let so = |event_loop: &EventLoop| settled(event_loop, event_loop.asked);
                let is_settled = self.event_loop.until_settled(deadline, so).await?;
                if is_settled { StepOutcome::Settled } else { StepOutcome::TimedOut }
            }
        };
        Ok((outcome, latency))
    }

    pub(super) fn row(&mut self, outcome: StepOutcome, began: Instant, latency: Option<Duration>) -> StepRow {
        let event_loop = &mut self.event_loop;
        let now = event_loop.clock.moment();
        let (counts, totals, sums) =
            (event_loop.tracker.counts(), event_loop.tracker.totals(), event_loop.nodes.sums(now.passed()));
        let (nodes_ready, nodes_not_ready) = event_loop.nodes.ready_counts();
        let calls = event_loop.calls.take();
        let memory = |of: fn(&MemoryTotals) -> Bytes| sums.memory.as_ref().map(|memory| of(memory).0);
        StepRow {
            time: Time(now.wall),
            elapsed_seconds: seconds(now.elapsed),
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
            nodes_ready,
            nodes_not_ready,
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
            climb: None,
            level_held: None,
            not_held_because: None,
        }
    }
}
