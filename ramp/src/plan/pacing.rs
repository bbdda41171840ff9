//! Pacing: number of instances in the next step, which may depend on what was observed.

use std::fmt::Debug;

use crate::engine::GroupId;
use ramp_format::plan::Plan;
use ramp_format::rows::Part;
use ramp_format::stop_rule::StepObservation;

/// Sizes of the steps of a run.
pub trait Pacing: Debug {
    /// Instances of each group in the step after `observed`, or in the first step. None after the last step. Called once for each
    /// step, including those made before a resume.
    fn next(&mut self, observed: Option<&StepObservation>) -> Option<Vec<(GroupId, u32)>>;

    /// The same on the way down, from `asked` instances of all groups. None at zero.
    fn down(&mut self, asked: u32) -> Option<Vec<(GroupId, u32)>>;

    /// Largest number of steps up, if known beforehand.
    fn steps(&self) -> Option<u32>;

    /// The level that the last size is, in a search.
    fn level(&self) -> Option<Level> {
        None
    }

    /// The size in place of the last one where instances may have ended since the one before, as after a resume.
    fn restart(&mut self) -> Option<Vec<(GroupId, u32)>> {
        None
    }

    /// What a search has found, in words.
    fn found(&self) -> Option<String> {
        None
    }

    /// Why there is no next step, if that is not because all are made.
    fn why_ended(&self) -> Option<String> {
        None
    }
}

/// A level of a search: as many instances as have to hold for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Phase of the run.
    pub part: Part,
    /// Climb that it belongs to, counted from 1.
    pub climb: Option<u32>,
    /// Climbs after which the search ends.
    pub climbs_at_most: u32,
    /// Whether it is the return to where a climb begins: what is lost until all are ready is not of this level.
    pub is_foot: bool,
}

/// Pacing by a constant increment.
#[derive(Clone, Debug)]
pub struct LinearPacing(Plan);

impl LinearPacing {
    /// The ramp of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self(plan.clone())
    }
}

impl Pacing for LinearPacing {
    fn next(&mut self, observed: Option<&StepObservation>) -> Option<Vec<(GroupId, u32)>> {
        let before = observed.map_or(0, |observed| observed.step);
        self.0.asked(before.saturating_add(1)).map(|asked| vec![(GroupId::ONLY, asked)])
    }

    fn down(&mut self, asked: u32) -> Option<Vec<(GroupId, u32)>> {
        (asked > 0).then(|| vec![(GroupId::ONLY, asked.saturating_sub(self.0.step.max(1)))])
    }

    fn steps(&self) -> Option<u32> {
        Some(self.0.steps())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(step: u32) -> StepObservation {
        StepObservation { step, ..StepObservation::default() }
    }

    #[test]
    fn up_by_the_plans_step_to_its_last_number_and_down_by_it_to_none() {
        let mut pacing = LinearPacing::of(&Plan { from: 1, to: 10, step: 4, ..Plan::default() });
        let up: Vec<_> = (0..5).map(|step| pacing.next(Some(&observed(step)))).collect();
        let some = |asked| Some(vec![(GroupId::ONLY, asked)]);
        assert_eq!(up, [some(1), some(5), some(9), some(10), None]);
        assert_eq!((pacing.next(None), pacing.steps()), (some(1), Some(4)));
        assert_eq!([10, 2, 0].map(|asked| pacing.down(asked)), [some(6), some(0), None]);
    }
}
