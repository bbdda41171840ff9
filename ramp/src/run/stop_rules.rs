//! Stop rules of a run, applied after each step.

use std::time::Duration;

use ramp_format::plan::Plan;
use ramp_format::stop_rule::{RuleState, StepObservation, StopRule};
use ramp_format::text::count;

/// Rules of a run.
#[derive(Clone, Debug)]
pub(super) struct StopRules {
    /// Each rule, and whether it is only noted (`--note`).
    rules: Vec<(RuleState, bool)>,
    /// Rules reported before.
    reported: Vec<StopRule>,
    /// Step at which the first rule of saturation fired, and why.
    first: Option<(u32, String)>,
    beyond: u32,
}

/// Result of the rules after a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RuleVerdict {
    /// Rules that fired.
    pub(super) fired: Vec<StopRule>,
    /// Those that fired for the first time: whether only noted, and why.
    pub(super) news: Vec<(StopRule, bool, String)>,
    /// Why the ramp ends, if it does.
    pub(super) end: Option<String>,
}

impl StopRules {
    pub(super) fn of(plan: &Plan) -> Self {
        let stop = plan.stop.iter().map(|rule| (RuleState::new(*rule), false));
        let note = plan.note.iter().map(|rule| (RuleState::new(*rule), true));
        Self { rules: stop.chain(note).collect(), reported: Vec::new(), first: None, beyond: plan.beyond }
    }

    /// The shortest time limit.
    pub(super) fn time_limit(&self) -> Option<Duration> {
        let limits = self.rules.iter().filter(|(_, only_noted)| !only_noted);
        limits.filter_map(|(state, _)| state.rule.time_limit()).min()
    }

    /// The rules of a plan about instances that cannot start, and whether each is only noted. They are applied while a step waits.
    pub(super) fn blocked(plan: &Plan) -> Vec<(StopRule, bool)> {
        let stop = plan.stop.iter().map(|rule| (*rule, false));
        let all = stop.chain(plan.note.iter().map(|rule| (*rule, true)));
        all.filter(|(rule, _)| rule.blocked_limit().is_some()).collect()
    }

    /// Applies the rules to the observation of a step.
    pub(super) fn look(&mut self, observed: &StepObservation) -> RuleVerdict {
        let mut verdict = RuleVerdict::default();
        for (state, only_noted) in &mut self.rules {
            let Some(why) = state.look(observed) else { continue };
            let rule = state.rule;
            verdict.fired.push(rule);
            if !*only_noted && rule.kind().is_of_saturation {
                self.first.get_or_insert_with(|| (observed.step, format!("{rule}: {why}")));
            } else if !*only_noted {
                verdict.end = Some(format!("{rule}: {why}"));
            }
            if !self.reported.contains(&rule) {
                self.reported.push(rule);
                verdict.news.push((rule, *only_noted, why));
            }
        }
        if let Some((step, why)) = &self.first
            && observed.step >= step.saturating_add(self.beyond)
        {
            let beyond = match self.beyond {
                0 => String::new(),
                beyond => format!(", then {}", count(beyond, "more step")),
            };
            verdict.end.get_or_insert_with(|| format!("{why} at step {step}{beyond}"));
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
    fn a_run_goes_on_beyond_the_first_rule_that_fired_and_each_is_reported_once() {
        let mut rules = rules(&["oom-kills:0/1m"], &[], 2);
        assert_eq!(rules.look(&after(1, 0)), RuleVerdict::default());
        let second = rules.look(&after(2, 1));
        assert_eq!((second.news.len(), second.end), (1, None));
        let third = rules.look(&after(3, 5));
        assert_eq!((third.news.len(), third.fired.len(), third.end), (0, 1, None));
        let end = rules.look(&after(4, 5)).end.unwrap();
        assert_eq!(end, "oom-kills:0/1m: 1 OOM kill within 1m at step 2, then 2 more steps");
    }

    #[test]
    fn what_is_only_noted_ends_nothing_and_steps_end_at_once() {
        let mut rules = rules(&["steps:3"], &["oom-kills:0/1m"], 50);
        assert_eq!(rules.look(&after(2, 9)).end, None);
        assert_eq!(rules.look(&after(3, 9)).end.unwrap(), "steps:3: 3 steps have been made");
    }
}
