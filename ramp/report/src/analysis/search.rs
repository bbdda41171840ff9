//! Search: how many instances hold with a probability of 95%, from the climbs of a run by `--search`.

use super::{Estimate, unavailable};
use crate::dataset::{Dataset, Step};
use crate::stats::{Climb, Interval, Thresholds, Trend, held_with_95_percent, trend, wilson};
use ramp_format::rows::Part;
use ramp_format::text::count;

/// Why other runs have no such figure.
pub const NOT_A_SEARCH: &str = "the run is not a search (ramp run --search)";
/// Fewer climbs tell too little of how thresholds scatter.
pub const FEWEST_CLIMBS: usize = 5;
/// Thresholds without a trend have one as strong in one of a thousand searches.
const DRIFTS: f64 = 0.001;
/// Levels of the table.
const LEVELS: u32 = 12;

/// What a search has found.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchResult {
    /// The climbs that came to an end, in their order.
    pub climbs: Vec<Climb>,
    /// Instances that were started, those of growing and bisecting included.
    pub starts: u32,
    /// Levels whose verdict is unknown, and the reason of the last.
    pub unknown: Option<(usize, String)>,
    /// Why levels did not hold: each reason with how often, the most frequent first.
    pub reasons: Vec<(String, usize)>,
    /// Levels, and how often they held.
    pub levels: Vec<LevelShare>,
    /// Distribution of the thresholds.
    pub thresholds: Option<Thresholds>,
    /// How many hold with a probability of 95%.
    pub held: Estimate<HeldWithProbability>,
}

/// How many hold with a probability of 95%.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldWithProbability {
    /// The number, as estimated: whole instances are what is below it.
    pub instances: f64,
    /// Its 95% interval.
    pub interval: Interval,
}

/// How often a level held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelShare {
    /// Instances.
    pub level: u32,
    /// Climbs in which it held.
    pub held: u32,
    /// Climbs that tell.
    pub of: u32,
    /// The 95% interval of the share (Wilson).
    pub interval: Interval,
}

/// What the search of a run has found.
///
/// # Errors
/// Where the run is not a search.
pub fn search(data: &Dataset) -> Estimate<SearchResult> {
    let searched = data.recorded().filter(|recorded| recorded.run.plan.search.is_some());
    let Some(recorded) = searched else { return unavailable(NOT_A_SEARCH) };
    let plan = &recorded.run.plan;
    let climbs = climbs(&data.steps, plan.to);
    let judged = data.steps.iter().filter(|step| is_level(step));
    let unknown: Vec<&Step> = judged.clone().filter(|step| step.level_held.is_none()).collect();
    let last_unknown = unknown.last().and_then(|step| step.not_held_because.clone()).unwrap_or_default();
    let thresholds = Thresholds::of(&climbs);
    let asked_for = plan.search.map_or(0, |settings| settings.climbs);
    Ok(SearchResult {
        starts: recorded.pods.iter().filter(|row| row.from.is_none()).count() as u32,
        unknown: (!unknown.is_empty()).then_some((unknown.len(), last_unknown)),
        reasons: reasons(judged.filter(|step| step.level_held == Some(false))),
        levels: levels(&climbs),
        held: held(&climbs, thresholds.as_ref(), plan.to, asked_for),
        thresholds,
        climbs,
    })
}

fn is_level(step: &Step) -> bool {
    matches!(step.part, Part::Up | Part::Search) && step.asked.is_some()
}

/// The climbs that came to an end: each goes up from its foot until a level does not hold, or the largest does. One that was begun
/// again counts from its last foot on.
#[must_use]
pub fn climbs(steps: &[Step], to: u32) -> Vec<Climb> {
    let mut climbs = Vec::new();
    let mut begun: Option<(u32, u32, Option<u32>)> = None;
    for step in steps.iter().filter(|step| step.part == Part::Search) {
        let (Some(number), Some(asked)) = (step.climb, step.asked) else { continue };
        let goes_on = begun.filter(|(of, last, _)| *of == number && *last < asked);
        let held = goes_on.and_then(|(_, _, held)| held);
        begun = match step.level_held {
            None => None,
            Some(false) => {
                climbs.push(Climb { held, failed: Some(asked) });
                None
            }
            Some(true) if asked >= to => {
                climbs.push(Climb { held: Some(asked), failed: None });
                None
            }
            // That none were lost of none tells nothing.
            Some(true) => Some((number, asked, Some(asked).filter(|held| *held > 0))),
        };
    }
    climbs
}

/// How many hold with a probability of 95%, by climbs that end at `to`, of so many that were asked for.
///
/// # Errors
/// Where there are too few, or all reached `to`.
pub fn held(
    climbs: &[Climb],
    thresholds: Option<&Thresholds>,
    to: u32,
    asked_for: u32,
) -> Estimate<HeldWithProbability> {
    let number = climbs.len();
    if !climbs.is_empty() && climbs.iter().all(|climb| climb.failed.is_none()) {
        let at_least = wilson(number as u32, number as u32).low;
        return unavailable(format!(
            "at least {}: all {} reached --to {to}, so it holds with a probability of at least {:.0}% (95% CI); search with a larger --to",
            count(to, "instance"),
            count(number as u64, "climb"),
            (100.0 * at_least).floor()
        ));
    }
    if number < FEWEST_CLIMBS {
        let more = count((FEWEST_CLIMBS - number) as u64, "more climb");
        let ended = if asked_for as usize > number { "; the search ended before its last climb" } else { "" };
        return unavailable(format!("needs {FEWEST_CLIMBS} climbs, there are {number}: {more}{ended}"));
    }
    if let Some(drift) = drift(climbs) {
        let direction = if drift.each < 0.0 { "fell" } else { "rose" };
        return unavailable(format!(
            "thresholds {direction} by about {:.2} with each of {}: the number that holds was not the same at the end as at the \
             beginning; find what changes (memory that is not returned, other load), and search again",
            drift.each.abs(),
            count(number as u64, "climb")
        ));
    }
    let found = thresholds.and_then(|found| held_with_95_percent(found, climbs));
    match found {
        Some((instances, interval)) => Ok(HeldWithProbability { instances, interval }),
        None => unavailable("the climbs do not tell how thresholds scatter"),
    }
}

/// The trend of the thresholds over the climbs, where it is none of chance: they are then no sample of one distribution.
fn drift(climbs: &[Climb]) -> Option<Trend> {
    let middles: Vec<f64> = climbs.iter().filter_map(Climb::middle).collect();
    trend(&middles).filter(|trend| trend.p < DRIFTS)
}

/// Why levels did not hold, without the names of instances and their numbers.
fn reasons<'d>(failed: impl Iterator<Item = &'d Step>) -> Vec<(String, usize)> {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    for step in failed {
        let reason = step.not_held_because.as_deref().unwrap_or("unknown");
        let kind = reason.split_once(": ").map_or(reason, |(_, kind)| kind).trim_end_matches(['.', ' ']);
        match reasons.iter_mut().find(|(known, _)| known == kind) {
            Some((_, count)) => *count += 1,
            None => reasons.push((kind.to_owned(), 1)),
        }
    }
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons
}

/// How often levels held, from the lowest that every climb tells of to the highest that any does.
fn levels(climbs: &[Climb]) -> Vec<LevelShare> {
    let failed = climbs.iter().filter_map(|climb| climb.failed);
    let held = climbs.iter().filter_map(|climb| climb.held);
    let low = held.clone().chain(failed.clone().map(|failed| failed.saturating_sub(1))).min();
    let Some((low, high)) = low.zip(failed.chain(held).max()) else { return Vec::new() };
    let step = (high - low).div_ceil(LEVELS).max(1);
    let share = |level: u32| {
        let held = climbs.iter().filter(|climb| climb.held.is_some_and(|held| held >= level)).count() as u32;
        let failed =
            climbs.iter().filter(|climb| climb.failed.is_some_and(|failed| failed <= level)).count() as u32;
        let of = held + failed;
        (of > 0).then(|| LevelShare { level, held, of, interval: wilson(held, of) })
    };
    (low..=high + step - 1).step_by(step as usize).filter_map(|level| share(level.min(high))).collect()
}

impl SearchResult {
    /// The thresholds in words.
    #[must_use]
    pub fn thresholds_words(&self) -> String {
        let made = count(self.climbs.len() as u64, "climb");
        match &self.thresholds {
            Some(found) => format!(
                "{made}, {} started; thresholds: mean {:.1}, standard deviation {:.1}",
                count(self.starts, "instance"),
                found.mean,
                found.deviation
            ),
            None => format!("{made}, {} started", count(self.starts, "instance")),
        }
    }
}

impl HeldWithProbability {
    /// In whole instances, which is what can be promised.
    #[must_use]
    pub fn words(&self) -> String {
        let (all, Interval { low, high }) = (self.instances.floor() as u64, self.interval);
        let hold = if all == 1 { "holds" } else { "hold" };
        format!(
            "{} {hold} with a probability of 95% (95% CI {:.0} to {:.0})",
            count(all, "instance"),
            low.floor(),
            high.floor()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(climb: Option<u32>, asked: u32, held: Option<bool>) -> Step {
        Step { part: Part::Search, climb, asked: Some(asked), level_held: held, ..Step::default() }
    }

    #[test]
    fn climbs_are_from_their_foot_to_the_first_level_that_did_not_hold() {
        let steps = [
            level(None, 64, Some(true)),
            level(None, 96, Some(false)),
            level(Some(1), 80, Some(true)),
            level(Some(1), 84, Some(true)),
            level(Some(1), 88, Some(false)),
            // Not known, and made again.
            level(Some(2), 80, Some(true)),
            level(Some(2), 84, None),
            level(Some(2), 78, Some(true)),
            level(Some(2), 82, Some(false)),
            level(Some(3), 76, Some(false)),
            // Resumed in the midst of it.
            level(Some(4), 60, Some(true)),
            level(Some(4), 64, Some(true)),
            level(Some(4), 60, Some(true)),
            level(Some(4), 64, Some(true)),
            level(Some(4), 100, Some(true)),
            // Not at its end.
            level(Some(5), 60, Some(true)),
        ];
        let climb = |held: u32, failed: u32| Climb {
            held: Some(held).filter(|held| *held > 0),
            failed: Some(failed).filter(|failed| *failed > 0),
        };
        assert_eq!(climbs(&steps, 100), [climb(84, 88), climb(78, 82), climb(0, 76), climb(100, 0)]);
    }

    #[test]
    fn thresholds_that_fall_over_the_climbs_promise_nothing() {
        let falling: Vec<Climb> = (0..20)
            .map(|at| Climb { held: Some(90 - at + at % 3), failed: Some(92 - at + at % 3) })
            .collect();
        let why = held(&falling, Thresholds::of(&falling).as_ref(), 500, 20).unwrap_err().0;
        assert!(why.starts_with("thresholds fell by about 1.00 with each of 20 climbs: "), "{why}");
        let mixed: Vec<Climb> = (0..20).map(|at| falling[at * 7 % 20]).collect();
        assert!(held(&mixed, Thresholds::of(&mixed).as_ref(), 500, 20).is_ok(), "the same in another order");
    }

    #[test]
    fn a_higher_level_never_held_more_often_than_a_lower_one() {
        for seed in 0_u32..50 {
            let climbs: Vec<Climb> = (0_u32..30)
                .map(|at| {
                    let held = 40 + (seed * 31 + at * 17) % 23;
                    let failed = (at % 7 > 0).then_some(held + 1 + (seed + at) % 4);
                    Climb { held: (at % 5 > 0 || failed.is_none()).then_some(held), failed }
                })
                .collect();
            let shares: Vec<f64> =
                levels(&climbs).iter().map(|at| f64::from(at.held) / f64::from(at.of)).collect();
            assert!(shares.len() > 3 && shares.is_sorted_by(|lower, higher| lower >= higher), "{shares:?}");
        }
    }

    #[test]
    fn too_few_climbs_say_how_many_more_and_the_ceiling_says_at_least() {
        let one = Climb { held: Some(20), failed: Some(21) };
        let few = held(&[one; 3], Thresholds::of(&[one; 3]).as_ref(), 100, 3).unwrap_err();
        assert_eq!(few.0, "needs 5 climbs, there are 3: 2 more climbs");
        let all = [Climb { held: Some(50), failed: None }; 10];
        let at_least = held(&all, Thresholds::of(&all).as_ref(), 50, 20).unwrap_err().0;
        assert!(at_least.starts_with("at least 50 instances: all 10 climbs reached --to 50"), "{at_least}");
        assert!(at_least.contains("at least 72%"), "{at_least}");
        let exact = [one; 10];
        let found = held(&exact, Thresholds::of(&exact).as_ref(), 100, 20).unwrap();
        assert_eq!(found.instances.floor(), 20.0);
        assert!(found.interval.low > 18.0 && found.interval.high < 21.5, "{found:?}");
        assert!(found.words().starts_with("20 instances hold with a probability of 95% (95% CI "));
    }

    #[test]
    fn levels_are_counted_over_the_climbs_that_tell_of_them() {
        let climbs = [
            Climb { held: Some(80), failed: Some(84) },
            Climb { held: Some(84), failed: Some(88) },
            Climb { held: None, failed: Some(76) },
        ];
        let levels = levels(&climbs);
        let of =
            |level: u32| levels.iter().find(|share| share.level == level).map(|share| (share.held, share.of));
        assert_eq!((of(75), of(85), of(87)), (Some((2, 2)), Some((0, 2)), Some((0, 2))), "{levels:?}");
        assert!(levels.windows(2).all(|pair| pair[0].level < pair[1].level));
    }
}
