//! Pacing of a search: levels up to the first that does not hold, again and again, so that the capacity is known as a distribution.
//!
//! The search grows until a level does not hold, bisects to a first estimate, and then climbs: from a foot, which is well below the
//! thresholds so far, in small steps until a level does not hold, and back to the foot. Each climb tells an interval that the threshold
//! of that moment lies in. The next size depends on what was observed alone, so that a resumed run goes on as it would have.

use ramp_format::plan::Plan;
use ramp_format::rows::Part;
use ramp_format::stop_rule::StepObservation;
use ramp_format::text::count;
use ramp_report::analysis::search::held;
use ramp_report::stats::{Climb, Thresholds, held_with_95_percent};

use super::pacing::{Level, Pacing};
use crate::engine::GroupId;

/// The bracket of the threshold is narrow enough to begin with climbs at this share of its upper end.
const BRACKET: u32 = 16;
/// A foot is below the mean of the thresholds by so many of their standard deviations.
const FOOT: f64 = 2.5;
/// A step of a climb is this share of the standard deviation.
const STEP: f64 = 0.5;
/// Climbs that the first guess of the standard deviation counts as.
const WEIGHT_OF_GUESS: f64 = 0.25;
/// The precision is judged after this many climbs, and must be reached twice in a row.
const FEWEST_FOR_PRECISION: usize = 20;
/// The limit is exact where so many climbs in a row ended alike.
const ALIKE: usize = 10;
/// Levels in a row whose verdict is unknown, after which the search ends.
const UNKNOWN_AT_MOST: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before any level that did not hold.
    Grow,
    /// Back at the foot.
    Foot,
    /// Above the foot.
    Ascend,
}

/// Pacing of a search.
#[derive(Clone, Debug)]
pub struct SearchPacing {
    from: u32,
    to: u32,
    climbs_at_most: u32,
    precision: Option<f64>,
    phase: Phase,
    /// Size of the present level.
    size: u32,
    /// Largest size that held since the last return to the foot.
    held: Option<u32>,
    /// While bisecting: the largest that held, and the smallest that did not.
    bracket: (u32, Option<u32>),
    /// Mean and standard deviation of the thresholds as guessed by bisecting; none while that goes on.
    guess: Option<(f64, f64)>,
    climbs: Vec<Climb>,
    /// The last foot, if it did not hold: the next one is below it.
    failed_foot: Option<u32>,
    /// How often in a row the precision was reached.
    precise: u32,
    unknown: u32,
    ended: Option<String>,
}

impl SearchPacing {
    /// The search of a plan, if it is one.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Self> {
        let settings = plan.search?;
        Some(Self {
            from: plan.from.max(1).min(plan.to),
            to: plan.to,
            climbs_at_most: settings.climbs.max(1),
            precision: settings.precision,
            phase: Phase::Grow,
            size: 0,
            held: None,
            bracket: (0, None),
            guess: None,
            climbs: Vec::new(),
            failed_foot: None,
            precise: 0,
            unknown: 0,
            ended: None,
        })
    }

    /// The climbs so far.
    #[must_use]
    pub fn climbs(&self) -> &[Climb] {
        &self.climbs
    }

    fn advance(&mut self, held: Option<bool>) {
        self.unknown = if held.is_some() { 0 } else { self.unknown + 1 };
        if self.unknown >= UNKNOWN_AT_MOST {
            let levels = count(self.unknown, "level");
            self.ended =
                Some(format!("{levels} in a row could not be judged: see not_held_because in steps.csv"));
            return;
        }
        match (self.phase, held) {
            (Phase::Grow, None) => {}
            (_, None) => self.return_to_foot(),
            (Phase::Grow, Some(true)) => {
                self.bracket.0 = self.size;
                if self.size >= self.to {
                    self.begin_climbs();
                } else {
                    self.size = self.size.saturating_mul(2).min(self.to);
                }
            }
            (Phase::Foot, Some(false)) => {
                self.failed_foot = Some(self.size);
                match self.guess {
                    Some(_) => self.record(Climb { held: None, failed: Some(self.size) }),
                    None => {
                        let lower = self.size - (self.size / 8).max(1).min(self.size);
                        self.bracket = (lower, Some(self.size));
                        self.bisect();
                    }
                }
            }
            (Phase::Grow | Phase::Ascend, Some(false)) => match self.guess {
                Some(_) => self.record(Climb { held: self.held, failed: Some(self.size) }),
                None => {
                    self.bracket.1 = Some(self.size);
                    self.bisect();
                }
            },
            (Phase::Foot | Phase::Ascend, Some(true)) => {
                // That none were lost of none tells nothing.
                self.held = Some(self.size).filter(|held| *held > 0);
                if self.phase == Phase::Foot {
                    self.failed_foot = None;
                }
                match self.guess {
                    Some(_) if self.size >= self.to => self.record(Climb { held: self.held, failed: None }),
                    Some((_, _)) => {
                        let (_, deviation) = self.thresholds();
                        let step = (STEP * deviation).round().max(1.0) as u32;
                        self.ascend(self.size.saturating_add(step));
                    }
                    None => {
                        self.bracket.0 = self.size;
                        if self.is_narrow() {
                            self.begin_climbs();
                        } else {
                            let (low, high) = self.bracket;
                            self.ascend(low + (high.unwrap_or(self.to) - low) / 2);
                        }
                    }
                }
            }
        }
    }

    fn ascend(&mut self, size: u32) {
        self.phase = Phase::Ascend;
        self.size = size.min(self.to);
    }

    fn is_narrow(&self) -> bool {
        let (low, high) = self.bracket;
        high.is_none_or(|high| high.saturating_sub(low) <= (high / BRACKET).max(1))
    }

    fn bisect(&mut self) {
        if self.is_narrow() { self.begin_climbs() } else { self.return_to_foot() }
    }

    fn begin_climbs(&mut self) {
        let (low, high) = self.bracket;
        let width = high.map_or(low / BRACKET, |high| high.saturating_sub(low)).max(1);
        self.guess = Some((f64::from(low) + f64::from(high.map_or(0, |_| width)) / 2.0, width.into()));
        self.failed_foot = None;
        self.return_to_foot();
    }

    fn record(&mut self, climb: Climb) {
        self.climbs.push(climb);
        self.return_to_foot();
        self.ended = self.why_enough();
    }

    /// Back below what has failed.
    fn return_to_foot(&mut self) {
        (self.phase, self.held) = (Phase::Foot, None);
        let foot = match self.guess {
            None => self.bracket.0,
            Some(_) => {
                let (mean, deviation) = self.thresholds();
                let foot = (mean - FOOT * deviation).floor().max(0.0) as u32;
                let below = self.failed_foot.map(|failed| failed.saturating_sub((deviation as u32).max(1)));
                foot.min(below.unwrap_or(u32::MAX))
            }
        };
        self.size = foot.min(self.to.saturating_sub(1));
    }

    /// Mean and standard deviation of the thresholds, the guess among them.
    fn thresholds(&self) -> (f64, f64) {
        let Some((guessed, deviation)) = self.guess else { return (self.bracket.0.into(), 1.0) };
        let middle = |climb: &Climb| match (climb.held, climb.failed) {
            (Some(held), Some(failed)) => f64::midpoint(held.into(), failed.into()),
            (held, failed) => held.or(failed).map_or(guessed, f64::from),
        };
        let number = self.climbs.len() as f64;
        if self.climbs.is_empty() {
            return (guessed, deviation);
        }
        if let Some((low, high)) = self.common_threshold() {
            return (f64::midpoint(low.into(), high.into()), f64::from(high - low).max(0.5));
        }
        let mean = self.climbs.iter().map(middle).sum::<f64>() / number;
        let squares: f64 = self.climbs.iter().map(|climb| (middle(climb) - mean).powi(2)).sum();
        let freedom = WEIGHT_OF_GUESS + number - 1.0;
        (mean, ((WEIGHT_OF_GUESS * deviation.powi(2) + squares) / freedom).sqrt().max(0.5))
    }

    /// The interval that one threshold of all climbs would lie in: as long as there is one, the limit may be exact.
    fn common_threshold(&self) -> Option<(u32, u32)> {
        let low = self.climbs.iter().map(|climb| climb.held.unwrap_or(0)).max()?;
        let high = self.climbs.iter().filter_map(|climb| climb.failed).min()?;
        (self.climbs.len() > 1 && low < high).then_some((low, high))
    }

    /// Why no more climbs are needed, if so.
    fn why_enough(&mut self) -> Option<String> {
        let made = count(self.climbs.len() as u64, "climb");
        if let Some(limit) = self.exact_limit() {
            return Some(format!("{limit} (the last {ALIKE} climbs ended alike), after {made}"));
        }
        if let Some(precision) = self.precision
            && self.climbs.len() >= FEWEST_FOR_PRECISION
        {
            let found =
                Thresholds::of(&self.climbs).and_then(|found| held_with_95_percent(&found, &self.climbs));
            let is_precise = found.is_some_and(|(_, interval)| interval.half_width() <= precision);
            self.precise = if is_precise { self.precise + 1 } else { 0 };
            if self.precise >= 2 {
                return Some(format!("precision of ±{precision} reached after {made}"));
            }
        }
        (self.climbs.len() >= self.climbs_at_most as usize).then(|| format!("{made} completed"))
    }

    /// The limit, where climbs always end at it.
    fn exact_limit(&self) -> Option<String> {
        let last = self.climbs.len().checked_sub(ALIKE).and_then(|first| self.climbs.get(first..))?;
        let first = last.first().filter(|first| last.iter().all(|climb| climb == *first))?;
        match (first.held.unwrap_or(0), first.failed) {
            (0, Some(1)) => Some("not even 1 instance ever held".to_owned()),
            (held, None) => Some(format!("{} (--to) always held", count(held, "instance"))),
            (held, Some(failed)) if failed == held + 1 => {
                Some(format!("{} always held and {failed} never did", count(held, "instance")))
            }
            _ => None,
        }
    }
}

impl Pacing for SearchPacing {
    fn next(&mut self, observed: Option<&StepObservation>) -> Option<Vec<(GroupId, u32)>> {
        match observed {
            None => self.size = self.from,
            Some(observed) => self.advance(observed.level_held),
        }
        self.ended.is_none().then(|| vec![(GroupId::ONLY, self.size)])
    }

    fn down(&mut self, asked: u32) -> Option<Vec<(GroupId, u32)>> {
        (asked > 0).then(|| vec![(GroupId::ONLY, 0)])
    }

    fn steps(&self) -> Option<u32> {
        None
    }

    fn level(&self) -> Option<Level> {
        let climb =
            self.guess.map(|_| u32::try_from(self.climbs.len()).unwrap_or(u32::MAX).saturating_add(1));
        Some(Level {
            part: if self.phase == Phase::Grow { Part::Up } else { Part::Search },
            climb,
            climbs_at_most: self.climbs_at_most,
            is_foot: self.phase == Phase::Foot,
        })
    }

    fn restart(&mut self) -> Option<Vec<(GroupId, u32)>> {
        if self.phase == Phase::Ascend {
            self.return_to_foot();
        }
        self.ended.is_none().then(|| vec![(GroupId::ONLY, self.size)])
    }

    fn found(&self) -> Option<String> {
        let held = held(&self.climbs, Thresholds::of(&self.climbs).as_ref(), self.to, self.climbs_at_most);
        Some(match held {
            Ok(held) => held.words(),
            Err(why) => format!("instances that hold with a probability of 95%: n/a: {}", why.0),
        })
    }

    fn why_ended(&self) -> Option<String> {
        self.ended.clone()
    }
}

#[cfg(test)]
mod tests {
    use ramp_format::study::SearchSettings;
    use rand::SeedableRng;
    use rand_distr::{Distribution, Normal};
    use rand_pcg::Pcg64Mcg;

    use super::*;

    /// A cluster in which as many instances fit as are drawn whenever there are fewer than before.
    struct Model {
        thresholds: Normal<f64>,
        random: Pcg64Mcg,
        threshold: f64,
        there: u32,
        starts: u32,
        steps: u32,
    }

    impl Model {
        fn new(mean: f64, deviation: f64, seed: u64) -> Self {
            let (thresholds, mut random) =
                (Normal::new(mean, deviation).unwrap(), Pcg64Mcg::seed_from_u64(seed));
            Self {
                threshold: thresholds.sample(&mut random),
                thresholds,
                random,
                there: 0,
                starts: 0,
                steps: 0,
            }
        }

        fn scale(&mut self, size: u32) -> bool {
            if size < self.there {
                self.threshold = self.thresholds.sample(&mut self.random);
            }
            self.starts += size.saturating_sub(self.there);
            self.there = size;
            self.steps += 1;
            size == 0 || f64::from(size) <= self.threshold
        }
    }

    fn plan(to: u32, climbs: u32, precision: Option<f64>) -> Plan {
        Plan { to, search: Some(SearchSettings { climbs, precision }), ..Plan::default() }
    }

    fn observed(held: Option<bool>) -> StepObservation {
        StepObservation { level_held: held, ..StepObservation::default() }
    }

    fn size(next: Option<Vec<(GroupId, u32)>>) -> Option<u32> {
        next.map(|groups| groups.iter().map(|(_, instances)| instances).sum())
    }

    /// A whole search. Panics where it does not end.
    fn search(plan: &Plan, model: &mut Model) -> SearchPacing {
        let mut pacing = SearchPacing::of(plan).unwrap();
        let mut last = None;
        for _ in 0..20_000 {
            let Some(asked) = size(pacing.next(last.as_ref())) else { return pacing };
            assert!(asked <= plan.to);
            last = Some(observed(Some(model.scale(asked))));
        }
        panic!("a search without an end: {pacing:?}");
    }

    fn found(pacing: &SearchPacing) -> f64 {
        Thresholds::of(pacing.climbs()).unwrap().quantile(0.05)
    }

    #[test]
    fn what_holds_with_95_percent_is_found_with_a_third_of_the_starts() {
        const TRUTH: f64 = 100.0 - 1.644_854 * 8.0;
        let (mut close, mut worst) = (0, 0.0_f64);
        for seed in 0..100 {
            let mut model = Model::new(100.0, 8.0, seed);
            let pacing = search(&plan(1000, 100, None), &mut model);
            close += usize::from((found(&pacing) - TRUTH).abs() <= 3.0);
            worst = worst.max(f64::from(model.starts) / pacing.climbs().len() as f64);
        }
        assert!(close >= 95, "{close} of 100");
        // A linear ramp to the same threshold makes 100 starts.
        assert!(worst <= 100.0 / 3.0, "{worst} starts per climb");
    }

    #[test]
    fn however_wide_thresholds_scatter_and_however_few_fit_it_ends_near_the_truth() {
        for (mean, deviation) in
            [(100.0, 2.0), (100.0, 15.0), (7.0, 1.0), (7.0, 3.0), (1.5, 1.0), (3000.0, 50.0)]
        {
            let mut close = 0;
            for seed in 0..20 {
                let pacing = search(&plan(10_000, 60, None), &mut Model::new(mean, deviation, seed));
                let truth = mean - 1.644_854 * deviation;
                // Four standard errors, and the width of a step.
                close += usize::from((found(&pacing) - truth).abs() <= 0.8 * deviation + 1.0);
            }
            assert!(close >= 19, "{mean} {deviation}: {close} of 20");
        }
    }

    #[test]
    fn an_exact_limit_is_found_to_the_instance_with_few_starts() {
        for limit in [1.0, 2.0, 7.0, 100.0, 110.0, 1023.0] {
            let mut model = Model::new(limit, 0.0, 1);
            let pacing = search(&plan(5000, 60, None), &mut model);
            assert_eq!(found(&pacing).floor(), limit, "{:?}", pacing.climbs());
            let why = pacing.why_ended().unwrap();
            assert!(why.contains("always held and"), "{why}");
            assert!(model.starts < 6 * limit as u32 + 150 && pacing.climbs().len() <= 25, "{}", model.starts);
        }
    }

    #[test]
    fn where_everything_holds_up_to_the_ceiling_it_says_so() {
        let pacing = search(&plan(50, 60, None), &mut Model::new(1000.0, 8.0, 1));
        assert_eq!(
            pacing.why_ended().unwrap(),
            "50 instances (--to) always held (the last 10 climbs ended alike), after 10 climbs"
        );
        let near = search(&plan(100, 30, None), &mut Model::new(100.0, 8.0, 1));
        assert!(near.climbs().iter().any(|climb| climb.failed.is_none()));
        assert!((found(&near) - 86.8).abs() < 8.0, "{}", found(&near));
    }

    #[test]
    fn where_not_even_one_holds_it_ends_too() {
        let pacing = search(&plan(50, 60, None), &mut Model::new(0.5, 0.0, 1));
        assert!(pacing.climbs().iter().all(|climb| climb.failed == Some(1)), "{:?}", pacing.climbs());
        assert!(pacing.climbs().len() <= 10);
    }

    #[test]
    fn a_precision_ends_it_once_it_is_reached_twice() {
        let pacing = search(&plan(1000, 500, Some(3.0)), &mut Model::new(100.0, 8.0, 3));
        let climbs = pacing.climbs();
        assert!((20..120).contains(&climbs.len()), "{}", climbs.len());
        let half = |climbs: &[Climb]| {
            Thresholds::of(climbs).unwrap().quantile_interval(climbs, 0.05).unwrap().half_width()
        };
        assert!(half(climbs) <= 3.0 && half(&climbs[..climbs.len() - 1]) <= 3.0);
    }

    #[test]
    fn the_number_promised_is_held_by_later_levels_as_often_as_it_says() {
        let (mut kept, mut drifts) = (0, 0);
        for seed in 0..100 {
            let mut model = Model::new(60.0, 5.0, seed);
            let pacing = search(&plan(1000, 40, None), &mut model);
            let said = pacing.found().unwrap();
            drifts += usize::from(said.contains("thresholds fell") || said.contains("thresholds rose"));
            let promised = found(&pacing).floor();
            let later = (0..400).filter(|_| model.thresholds.sample(&mut model.random) >= promised).count();
            // 95 %, less what 40 climbs leave uncertain.
            kept += usize::from(later >= 350);
        }
        assert!(kept >= 95 && drifts <= 1, "{kept} of 100, {drifts} taken for a drift");
    }

    #[test]
    fn a_capacity_that_falls_from_climb_to_climb_is_told_and_nothing_is_promised() {
        let mut told = 0;
        for seed in 0..50 {
            let mut pacing = SearchPacing::of(&plan(1000, 40, None)).unwrap();
            let mut model = Model::new(100.0, 4.0, seed);
            let mut last = None;
            while let Some(asked) = size(pacing.next(last.as_ref())) {
                let lost = 0.5 * pacing.climbs().len() as f64;
                let held = model.scale(asked) && f64::from(asked) <= model.threshold - lost;
                last = Some(observed(Some(asked == 0 || held)));
            }
            let said = pacing.found().unwrap();
            told += usize::from(said.contains("n/a: thresholds fell by about 0."));
        }
        assert!(told >= 48, "{told} of 50");
    }

    #[test]
    fn instances_that_fail_now_and_then_lower_the_promise_and_the_search_ends() {
        for seed in 0..20 {
            let mut pacing = SearchPacing::of(&plan(1000, 30, None)).unwrap();
            let mut model = Model::new(60.0, 3.0, seed);
            let (mut last, mut levels) = (None, 0_u64);
            while let Some(asked) = size(pacing.next(last.as_ref())) {
                levels += 1;
                assert!(levels < 2000, "a search without an end: {pacing:?}");
                // One level of fifty fails, whatever its size.
                last = Some(observed(Some(model.scale(asked) && (levels * 7 + seed) % 50 != 0)));
            }
            assert!(found(&pacing) < 60.0 - 1.6 * 3.0 + 2.0, "{}", found(&pacing));
        }
    }

    #[test]
    fn what_is_not_known_of_a_level_counts_for_nothing_and_its_climb_begins_again() {
        let mut pacing = SearchPacing::of(&plan(1000, 5, None)).unwrap();
        let mut model = Model::new(100.0, 8.0, 1);
        let (mut last, mut steps) = (None, 0);
        while let Some(asked) = size(pacing.next(last.as_ref())) {
            steps += 1;
            let held = model.scale(asked);
            let made = pacing.climbs().len();
            last = Some(observed((steps % 7 != 0).then_some(held)));
            if steps % 7 == 0 && pacing.level().unwrap().part == Part::Search {
                let foot = size(pacing.next(last.as_ref())).unwrap();
                assert!(pacing.level().unwrap().is_foot && pacing.climbs().len() == made);
                last = Some(observed(Some(model.scale(foot))));
                steps += 1;
            }
        }
        assert_eq!(pacing.climbs().len(), 5);
        let mut lost = SearchPacing::of(&plan(1000, 5, None)).unwrap();
        lost.next(None);
        let nexts = (0..10).map_while(|_| lost.next(Some(&observed(None)))).count();
        assert_eq!(nexts, 4, "it does not go on for ever");
        assert!(lost.why_ended().unwrap().starts_with("5 levels in a row"));
    }

    #[test]
    fn sizes_follow_from_the_verdicts_alone_and_a_restart_returns_to_the_foot() {
        let mut model = Model::new(100.0, 8.0, 4);
        let mut pacing = SearchPacing::of(&plan(1000, 20, None)).unwrap();
        let (mut last, mut seen) = (None, Vec::new());
        while let Some(asked) = size(pacing.next(last.as_ref())) {
            let held = model.scale(asked);
            seen.push((asked, held));
            last = Some(observed(Some(held)));
        }
        let mut again = SearchPacing::of(&plan(1000, 20, None)).unwrap();
        let mut last = None;
        for (asked, held) in &seen[..seen.len() / 2] {
            assert_eq!(size(again.next(last.as_ref())), Some(*asked));
            last = Some(observed(Some(*held)));
        }
        again.next(last.as_ref());
        let made = again.climbs().len();
        again.restart();
        assert!(again.level().unwrap().is_foot && again.climbs().len() == made);
    }
}
