//! Pacing: number of instances in the next step, which may depend on what was observed.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

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

    /// The groups of `asked` instances.
    fn groups(&self, asked: u32) -> Vec<(GroupId, u32)> {
        vec![(GroupId::ONLY, asked)]
    }

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

/// Pacing of a mixed run: the increments of [`LinearPacing`], each to one group. In each round every group is added to once, in an order
/// drawn from the run's id, so that a drift of the nodes is no difference between the groups.
#[derive(Clone, Debug)]
pub struct MixedPacing {
    linear: LinearPacing,
    /// Instances of each group after each step.
    after: Vec<Vec<u32>>,
}

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
        self.0.asked(before.saturating_add(1)).map(|asked| self.groups(asked))
    }

    fn down(&mut self, asked: u32) -> Option<Vec<(GroupId, u32)>> {
        (asked > 0).then(|| self.groups(asked.saturating_sub(self.0.step.max(1))))
    }

    fn steps(&self) -> Option<u32> {
        Some(self.0.steps())
    }
}

impl MixedPacing {
    pub(super) fn new(linear: LinearPacing, groups: usize) -> Self {
        let plan = &linear.0;
        let mut hasher = DefaultHasher::new();
        plan.run.hash(&mut hasher);
        let mut random = Pcg64Mcg::seed_from_u64(hasher.finish());
        let (mut counts, mut round, mut after) = (vec![0; groups], Vec::new(), Vec::new());
        let mut total = 0;
        for asked in (1..).map_while(|step| plan.asked(step)) {
            if round.is_empty() {
                round = (0..groups).collect();
                round.shuffle(&mut random);
            }
            if let Some(count) = round.pop().and_then(|group| counts.get_mut(group)) {
                *count += asked - total;
            }
            total = asked;
            after.push(counts.clone());
        }
        Self { linear, after }
    }
}

impl Pacing for MixedPacing {
    fn next(&mut self, observed: Option<&StepObservation>) -> Option<Vec<(GroupId, u32)>> {
        let before = observed.map_or(0, |observed| observed.step);
        self.linear.0.asked(before.saturating_add(1)).map(|asked| self.groups(asked))
    }

    fn down(&mut self, asked: u32) -> Option<Vec<(GroupId, u32)>> {
        (asked > 0).then(|| self.groups(asked.saturating_sub(self.linear.0.step.max(1))))
    }

    fn groups(&self, asked: u32) -> Vec<(GroupId, u32)> {
        let total = |counts: &Vec<u32>| counts.iter().sum::<u32>();
        let at = self.after.partition_point(|counts| total(counts) < asked);
        let Some(counts) = self.after.get(at).or(self.after.last()) else { return Vec::new() };
        let before = at.checked_sub(1).and_then(|at| self.after.get(at));
        // On the way down a step may end within one of the way up.
        let mut surplus = total(counts).saturating_sub(asked);
        let group = |(index, count): (usize, &u32)| {
            let added = count - before.map_or(0, |before| before[index]);
            let less = surplus.min(added);
            surplus -= less;
            (GroupId(index as u32), count - less)
        };
        counts.iter().enumerate().map(group).collect()
    }

    fn steps(&self) -> Option<u32> {
        self.linear.steps()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ramp_format::plan::EngineOptions;

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

    fn mixed(run: &str, from: u32, to: u32, step: u32, groups: usize) -> MixedPacing {
        let mix = (0..groups).map(|group| format!("runtime-{group}")).collect();
        let options = EngineOptions { mix, ..EngineOptions::default() };
        let plan = Plan { run: run.into(), from, to, step, options, ..Plan::default() };
        MixedPacing::new(LinearPacing::of(&plan), plan.options.mix.len())
    }

    fn counts(asked: Option<Vec<(GroupId, u32)>>) -> Option<Vec<u32>> {
        asked.map(|asked| asked.into_iter().map(|(_, count)| count).collect())
    }

    #[test]
    fn each_step_of_a_mixed_run_adds_to_one_group_and_each_round_to_every_group_once() {
        for groups in 2..=4 {
            let mut pacing = mixed("r1", 2, 24 * groups as u32, 2, groups);
            let mut before = vec![0; groups];
            for step in 0..12 * groups as u32 {
                let now = counts(pacing.next(Some(&observed(step)))).unwrap();
                let more: Vec<u32> = now.iter().zip(&before).map(|(now, before)| now - before).collect();
                assert_eq!((more.iter().sum::<u32>(), more.iter().filter(|more| **more > 0).count()), (2, 1));
                let (least, most) = (now.iter().min().unwrap(), now.iter().max().unwrap());
                assert!(most - least <= 2, "{now:?}");
                before = now;
            }
            assert_eq!(before, vec![24; groups]);
            assert_eq!(pacing.next(Some(&observed(12 * groups as u32))), None);
        }
    }

    #[test]
    fn the_order_is_that_of_the_run_and_differs_between_runs() {
        let order = |run: &str| -> Vec<_> {
            let mut pacing = mixed(run, 1, 40, 1, 2);
            (0..40).map(|step| pacing.next(Some(&observed(step)))).collect()
        };
        assert_eq!(order("r1"), order("r1"), "as a resume needs it");
        assert_ne!(order("r1"), order("r2"));
    }

    #[test]
    fn a_mixed_run_goes_down_the_way_it_went_up_to_none_of_each() {
        let mut pacing = mixed("r1", 1, 10, 3, 2);
        let mut asked = 10;
        while let Some(now) = counts(pacing.down(asked)) {
            assert_eq!(now.iter().sum::<u32>(), asked.saturating_sub(3));
            asked = asked.saturating_sub(3);
        }
        assert_eq!((asked, counts(Some(pacing.groups(0)))), (0, Some(vec![0, 0])));
    }
}
