//! What rules say after each step, and whether there is enough.

use std::time::Duration;

use ramp_format::plan::Plan;
use ramp_format::stop_rule::{RuleState, StepObservation, StopRule};

/// The rules of a run.
#[derive(Clone, Debug)]
pub(super) struct StopRules {
    stop: Vec<RuleState>,
    note: Vec<RuleState>,
    /// What has been said to be true already.
    told: Vec<StopRule>,
    /// The first rule of saturation that fired: at which step, and why.
    first: Option<(u32, String)>,
    beyond: u32,
}

/// What rules say after a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RuleVerdict {
    /// Rules that are true, and whether each is only noted.
    pub(super) hold: Vec<(StopRule, bool)>,
    /// Those that are true for the first time, with the reason.
    pub(super) news: Vec<(StopRule, bool, String)>,
    /// Why there is enough, where there is.
    pub(super) end: Option<String>,
}

impl StopRules {
    pub(super) fn of(plan: &Plan) -> Self {
        let watch = |rules: &[StopRule]| rules.iter().copied().map(RuleState::new).collect();
        Self {
            stop: watch(&plan.stop),
            note: watch(&plan.note),
            told: Vec::new(),
            first: None,
            beyond: plan.beyond,
        }
    }

    /// The least time that a rule sets.
    pub(super) fn time_limit(&self) -> Option<Duration> {
        self.stop.iter().filter_map(|watched| watched.rule.time_limit()).min()
    }

    pub(super) fn look(&mut self, seen: &StepObservation) -> RuleVerdict {
        let mut verdict = RuleVerdict::default();
        let stop = self.stop.iter_mut().map(|watched| (watched, false));
        let note = self.note.iter_mut().map(|watched| (watched, true));
        for (watched, only_noted) in stop.chain(note) {
            let Some(why) = watched.look(seen) else { continue };
            let rule = watched.rule;
            verdict.hold.push((rule, only_noted));
            if !only_noted && rule.kind().is_of_saturation {
                self.first.get_or_insert_with(|| (seen.step, format!("{rule}: {why}")));
            } else if !only_noted {
                verdict.end = Some(format!("{rule}: {why}"));
            }
            if !self.told.contains(&rule) {
                self.told.push(rule);
                verdict.news.push((rule, only_noted, why));
            }
        }
        if let Some((step, why)) = &self.first
            && seen.step >= step.saturating_add(self.beyond)
        {
            verdict
                .end
                .get_or_insert_with(|| format!("{why} at step {step}, and {} steps beyond it", self.beyond));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(stop: &[&str], note: &[&str], beyond: u32) -> StopRules {
        let parse = |rules: &[&str]| rules.iter().map(|rule| rule.parse().unwrap()).collect();
        StopRules::of(&Plan { stop: parse(stop), note: parse(note), beyond, ..Plan::default() })
    }

    fn after(step: u32, oom_kills: u32) -> StepObservation {
        StepObservation {
            step,
            oom_kills,
            elapsed: Duration::from_secs(step.into()),
            ..StepObservation::default()
        }
    }

    #[test]
    fn a_run_goes_on_beyond_the_first_rule_that_fired_and_each_is_told_once() {
        let mut rules = rules(&["oom-kills:0/1m"], &[], 2);
        assert_eq!(rules.look(&after(1, 0)), RuleVerdict::default());
        let second = rules.look(&after(2, 1));
        assert_eq!((second.news.len(), second.end), (1, None));
        let third = rules.look(&after(3, 5));
        assert_eq!((third.news.len(), third.hold.len(), third.end), (0, 1, None));
        let end = rules.look(&after(4, 5)).end.unwrap();
        assert_eq!(end, "oom-kills:0/1m: 1 OOM kill within 1m at step 2, and 2 steps beyond it");
    }

    #[test]
    fn what_is_only_noted_ends_nothing_and_steps_end_at_once() {
        let mut rules = rules(&["steps:3"], &["oom-kills:0/1m"], 50);
        assert_eq!(rules.look(&after(2, 9)).end, None);
        assert_eq!(rules.look(&after(3, 9)).end.unwrap(), "steps:3: 3 steps have been made");
    }
}
