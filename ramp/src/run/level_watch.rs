//! Watch over a level of a search: what is lost, removed by others, without room, or makes no progress.

use std::collections::HashMap;

use ramp_format::state::{State, Transition};
use ramp_format::text::one_line;
use ramp_report::analysis::causes::{Cause, named_in};
use ramp_report::analysis::goodput::PROGRESS;
use serde_json::{Map, Value};
use tokio::time::Instant;

/// What happens to the instances of a level.
#[derive(Debug, Default)]
pub(super) struct LevelWatch {
    /// The first instance that was lost, and how.
    pub(super) lost: Option<String>,
    /// The first that others removed.
    pub(super) removed: Option<String>,
    /// The last that no node has room for, and why.
    pub(super) unschedulable: Option<String>,
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
    /// Forgets the level before.
    pub(super) fn begin(&mut self) {
        // Which instances have no room is a state.
        *self = Self { unschedulable: self.unschedulable.take(), ..Self::default() };
    }

    /// The level is held from now on.
    pub(super) fn hold(&mut self, now: Instant) {
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

    /// Instances whose last report tells of no progress.
    pub(super) fn stalled(&self) -> usize {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn transition(to: State, reason: &str) -> Transition {
        Transition {
            group: None,
            uid: "uid-7".into(),
            name: "instance-0007".into(),
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
