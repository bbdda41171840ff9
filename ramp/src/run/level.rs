//! Level of a search: as many instances as are asked for, started, held for some time, and judged.

use std::time::Duration;

use tokio::time::Instant;

use super::Run;
use super::event_loop::EventLoop;
use super::retry::RampEnd;
use crate::engine::{Engine, GroupId};
use crate::plan::pacing::Level;
use ramp_format::rows::{StepOutcome, StepRow};
use ramp_format::state::State;
use ramp_format::text::count;
use ramp_report::analysis::goodput::PROGRESS;

/// What has no room at a foot after this time will have none: the requests for more are withdrawn by then.
const RESTORED_WITHIN: Duration = Duration::from_secs(30);

/// Whether a level held.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Held,
    /// Why not.
    NotHeld(String),
    /// Why that is not known.
    Unknown(String),
}

impl EventLoop {
    /// Why the level does not hold, as far as is known now.
    fn level_lost(&self) -> Option<Verdict> {
        if let Some(removed) = &self.level.removed {
            return Some(Verdict::Unknown(format!("removed by others: {removed}")));
        }
        if let Some(lost) = &self.level.lost {
            return Some(Verdict::NotHeld(lost.clone()));
        }
        // Others may still be starting.
        if self.has_no_room()
            && let Some(unschedulable) = &self.level.unschedulable
        {
            return Some(Verdict::NotHeld(unschedulable.clone()));
        }
        self.level_blocked().map(Verdict::NotHeld)
    }

    /// Whether all instances are ready, and none beside them is still ending.
    fn is_restored(&self, asked: u32) -> bool {
        self.tracker.in_place() == asked && self.tracker.counts().of(State::Ready) == asked
    }

    fn judge(&self, asked: u32, timeout: Duration) -> Verdict {
        if let Some(verdict) = self.level_lost() {
            return verdict;
        }
        let ready = self.tracker.counts().of(State::Ready);
        if ready < asked {
            let missing = asked - ready;
            if self.tracker.counts().of(State::Unschedulable) > 0
                && let Some(unschedulable) = &self.level.unschedulable
            {
                return Verdict::NotHeld(unschedulable.clone());
            }
            let within = humantime::format_duration(timeout);
            return Verdict::NotHeld(format!("{} not ready within {within}", count(missing, "instance")));
        }
        match self.level.stalled() {
            0 => Verdict::Held,
            stalled => Verdict::NotHeld(format!(
                "{} made no progress: less than {:.0}% of the CPU time due",
                count(stalled as u64, "instance"),
                100.0 * PROGRESS
            )),
        }
    }
}

impl<E: Engine> Run<E> {
    /// Makes a level of a search: requests its instances, waits until they are ready, holds them, and judges. What is certain not to
    /// hold ends at once. Returns its row.
    pub(super) async fn level(&mut self, asked: &[(GroupId, u32)], level: Level) -> Result<StepRow, RampEnd> {
        let began = self.begin_step(asked, level.part);
        self.event_loop.begin_level();
        let result = self.hold_level(asked, level, began).await;
        let (outcome, latency, verdict) = match &result {
            Ok((outcome, latency, verdict)) => (*outcome, *latency, Some(verdict)),
            Err(_) => (StepOutcome::Ended, None, None),
        };
        let (level_held, not_held_because) = match verdict {
            Some(Verdict::Held) => (Some(true), None),
            Some(Verdict::NotHeld(why)) => (Some(false), Some(why.clone())),
            Some(Verdict::Unknown(why)) => (None, Some(why.clone())),
            None => (None, None),
        };
        let row = self.row(outcome, began, latency);
        let row = StepRow { climb: level.climb, level_held, not_held_because, ..row };
        match result {
            Ok(_) => Ok(row),
            Err(end) => {
                self.keep_interrupted(row);
                Err(end)
            }
        }
    }

    async fn hold_level(
        &mut self,
        asked: &[(GroupId, u32)],
        level: Level,
        began: Instant,
    ) -> Result<(StepOutcome, Option<Duration>, Verdict), RampEnd> {
        let (timeout, hold) = (self.plan.step_timeout, self.plan.hold);
        let deadline = began + timeout;
        let latency = self.scale(asked, deadline).await?;
        let event_loop = &mut self.event_loop;
        let number = event_loop.asked;
        if latency.is_none() {
            let why = format!("the request was not answered within {}", humantime::format_duration(timeout));
            return Ok((StepOutcome::Unanswered, None, Verdict::Unknown(why)));
        }
        event_loop.scaled(began);
        let is_settled = if level.is_foot {
            let is_hopeless = |now: &EventLoop| began.elapsed() >= RESTORED_WITHIN && now.has_no_room();
            let settled =
                event_loop.until_settled(deadline, |now| now.is_restored(number) || is_hopeless(now)).await?;
            // What was lost until then is what had not held before.
            event_loop.level.begin();
            settled
        } else {
            event_loop
                .until_settled(deadline, |now| now.level_lost().is_some() || now.is_settled(number))
                .await?
        };
        let outcome = if is_settled { StepOutcome::Settled } else { StepOutcome::TimedOut };
        let mut verdict = event_loop.judge(number, timeout);
        if verdict == Verdict::Held && number > 0 {
            event_loop.level.hold(Instant::now());
            let fails = |now: &EventLoop| now.level_lost().is_some() || !now.is_settled(number);
            event_loop.until(Instant::now() + hold, fails).await?;
            verdict = event_loop.judge(number, timeout);
        }
        if verdict == Verdict::Held && event_loop.is_unobserved() {
            verdict =
                Verdict::Unknown("instances were not observed: the API or the watch did not answer".into());
        }
        Ok((outcome, latency, verdict))
    }
}
