//! Level of a search: as many instances as are asked for, started, held for some time, and judged.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::Run;
use super::event_loop::EventLoop;
use super::retry::{RampEnd, retry};
use crate::engine::{Engine, GroupId};
use crate::plan::pacing::Level;
use ramp_format::rows::{StepOutcome, StepRow};
use ramp_format::state::{State, Transition};
use ramp_format::text::{count, one_line};
use ramp_report::analysis::causes::{Cause, named_in};
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

/// What happens to the instances of a level.
#[derive(Debug, Default)]
pub(super) struct LevelWatch {
    /// The first instance that was lost, and how.
    lost: Option<String>,
    /// The first that others removed.
    removed: Option<String>,
    /// The last that no node has room for, and why.
    unschedulable: Option<String>,
    /// Since when the level is held.
    held_since: Option<Instant>,
    /// What instances last reported since then, and whether it tells of progress.
    reports: HashMap<String, (LoadProgress, bool)>,
}

/// CPU time of an instance, as it reports it.
#[derive(Clone, Copy, Debug, Default)]
struct LoadProgress {
    wanted: f64,
    used: f64,
    overdrawn: f64,
}

impl LevelWatch {
    pub(super) fn begin(&mut self) {
        // Which instances have no room is a state.
        *self = Self { unschedulable: self.unschedulable.take(), ..Self::default() };
    }

    fn hold(&mut self, now: Instant) {
        self.held_since = Some(now);
        self.reports.clear();
    }

    /// Takes a transition. `is_removed` is whether the instance had not come to its end, and is still asked for.
    pub(super) fn see(&mut self, transition: &Transition, is_removed: bool) {
        let by_others = matches!(named_in(&transition.reason), Some(Cause::Others(_)));
        let told = || {
            let reason = one_line(transition.reason.trim()).into_owned();
            let what = match transition.to {
                State::OomKilled => "OOM-killed",
                State::Unschedulable => "unschedulable",
                State::Evicted => "evicted",
                State::Failed => "failed",
                _ => "removed",
            };
            // An eviction and an unschedulable instance name themselves.
            if reason.is_empty() {
                format!("{}: {what}", transition.name)
            } else if reason.to_lowercase().starts_with(what) {
                format!("{}: {reason}", transition.name)
            } else {
                format!("{}: {what}: {reason}", transition.name)
            }
        };
        match transition.to {
            State::Evicted | State::OomKilled | State::Failed if !by_others => {
                self.lost.get_or_insert_with(told);
            }
            State::Evicted | State::Failed => drop(self.removed.get_or_insert_with(told)),
            State::Unschedulable => self.unschedulable = Some(told()),
            _ if is_removed => drop(self.removed.get_or_insert_with(told)),
            _ => {}
        }
        if transition.to == State::Gone {
            self.reports.remove(&transition.uid);
        }
    }

    /// Takes a report of an instance.
    pub(super) fn hear(&mut self, uid: &str, record: &Map<String, Value>) {
        if self.held_since.is_none() {
            return;
        }
        let number = |name: &str| record.get(name).and_then(Value::as_f64);
        let (Some(wanted), Some(used)) =
            (number("cpu_wanted_seconds_total"), number("cpu_used_seconds_total"))
        else {
            return;
        };
        let now = LoadProgress { wanted, used, overdrawn: number("cpu_overdrawn_seconds").unwrap_or(0.0) };
        let gets_on = self.reports.get(uid).is_none_or(|(before, _)| now.gets_on(before));
        self.reports.insert(uid.to_owned(), (now, gets_on));
    }

    fn stalled(&self) -> usize {
        self.reports.values().filter(|(_, gets_on)| !gets_on).count()
    }
}

impl LoadProgress {
    /// The rule of goodput: what it was ahead of its schedule before it need not have done since.
    fn gets_on(&self, before: &Self) -> bool {
        let owed = self.wanted - before.wanted - before.overdrawn;
        let used = self.used - before.used;
        owed <= 0.0 || used < 0.0 || used >= PROGRESS * owed
    }
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
        let began = Instant::now();
        self.event_loop.part = level.part;
        self.event_loop.asked = asked.iter().map(|(_, instances)| instances).sum();
        self.event_loop.calls.take();
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
        if let Err(end) = result {
            let rules = self.event_loop.blocked_by.as_ref().map(|(rule, _)| rule.to_string());
            // Keeps what the interrupted level has observed.
            self.event_loop.step_row(&StepRow { rules: rules.unwrap_or_default(), ..row.clone() });
            self.steps_up = row.step;
            return Err(end);
        }
        Ok(row)
    }

    async fn hold_level(
        &mut self,
        asked: &[(GroupId, u32)],
        level: Level,
        began: Instant,
    ) -> Result<(StepOutcome, Option<Duration>, Verdict), RampEnd> {
        let (timeout, hold) = (self.plan.step_timeout, self.plan.hold);
        let deadline = began + timeout;
        let scale = async |engine: &mut E| {
            let asked_at = Instant::now();
            for (group, instances) in asked {
                engine.scale(*group, *instances).await?;
            }
            Ok(asked_at.elapsed())
        };
        let latency = retry(&mut self.engine, &mut self.event_loop, deadline, "scale", scale).await?;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transition(to: State, reason: &str) -> Transition {
        Transition {
            uid: "uid-7".into(),
            name: "instance-0007".into(),
            group: None,
            node: Some("node-0".into()),
            from: Some(State::Ready),
            to,
            at: None,
            reason: reason.into(),
            restarts: 0,
            container: None,
        }
    }

    #[test]
    fn what_is_lost_is_told_and_what_others_remove_is_not_a_loss() {
        let mut watch = LevelWatch::default();
        watch.see(&transition(State::Terminating, ""), false);
        assert!(watch.lost.is_none() && watch.removed.is_none(), "scaled down by ramp itself");
        watch.see(&transition(State::Evicted, "Evicted: The node was low on resource: memory. "), false);
        watch.see(&transition(State::OomKilled, "OOMKilled, exit 137"), false);
        let told = "instance-0007: Evicted: The node was low on resource: memory.";
        assert_eq!(watch.lost.as_deref(), Some(told), "the first");
        watch.begin();
        watch.see(&transition(State::OomKilled, "OOMKilled, exit 137"), false);
        assert_eq!(watch.lost.as_deref(), Some("instance-0007: OOM-killed: OOMKilled, exit 137"));
        watch.begin();
        watch.see(&transition(State::Failed, "Preempting: Preempted in order to admit critical pod"), false);
        assert!(watch.lost.is_none() && watch.removed.is_some());
        watch.begin();
        watch.see(&transition(State::Terminating, ""), true);
        assert_eq!(watch.removed.as_deref(), Some("instance-0007: removed"));
    }

    #[test]
    fn an_instance_that_gets_less_than_half_of_the_cpu_time_due_has_stalled() {
        let mut watch = LevelWatch::default();
        let report = |wanted: f64, used: f64| {
            let record = json!({"cpu_wanted_seconds_total": wanted, "cpu_used_seconds_total": used});
            record.as_object().cloned().unwrap()
        };
        watch.hear("a", &report(1.0, 1.0));
        assert!(watch.reports.is_empty(), "what was before the level is held does not count");
        watch.hold(Instant::now());
        for (wanted, a, b) in [(1.0, 1.0, 1.0), (2.0, 2.0, 1.1), (3.0, 3.0, 1.2)] {
            watch.hear("a", &report(wanted, a));
            watch.hear("b", &report(wanted, b));
        }
        assert_eq!(watch.stalled(), 1);
        watch.see(&Transition { uid: "b".into(), ..transition(State::Gone, "") }, false);
        assert_eq!(watch.stalled(), 0);
    }
}
