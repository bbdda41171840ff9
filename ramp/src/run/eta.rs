//! Estimated time left on the way up.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::plan::pacing::Level;
use ramp_format::rows::Part;

/// Number of recent steps that the estimate is based on: past saturation steps take longer.
const RECENT: usize = 8;

/// Durations of the last steps.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeLeft {
    recent: VecDeque<Duration>,
}

/// Number of steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    /// Current step.
    pub(super) now: u32,
    /// Last step expected by the forecast.
    pub(super) expected: Option<u32>,
    /// Last step of the plan, if known.
    pub(super) planned: Option<u32>,
}

impl TimeLeft {
    /// Takes the duration of a step.
    pub(super) fn step(&mut self, took: Duration) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
    }

    /// Time left as text: an estimate or an upper bound. `limit` is the time until a rule ends the ramp.
    pub(super) fn words(&self, steps: Steps, limit: Option<Duration>) -> String {
        let Some(count) = u32::try_from(self.recent.len()).ok().filter(|count| *count > 0) else {
            return limit.map(|limit| format!("at most {} left", short(limit))).unwrap_or_default();
        };
        let each = self.recent.iter().sum::<Duration>() / count;
        // The current step counts as a whole: it may have just begun.
        let until = |last: u32| each.saturating_mul(last.saturating_add(1).saturating_sub(steps.now));
        let expected = steps.expected.map(|last| steps.planned.map_or(last, |planned| last.min(planned)));
        let (words, left) = match expected.filter(|last| steps.now <= *last) {
            Some(last) => ("about", Some(until(last))),
            None => ("at most", steps.planned.map(until)),
        };
        let least = left.into_iter().chain(limit).min();
        least.map(|left| format!("{words} {} left", short(left))).unwrap_or_default()
    }
}

/// When the climbs of a search began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClimbTimes {
    /// The first climb of this process, and when it began.
    first: Option<(u32, Instant)>,
}

impl ClimbTimes {
    /// How far a search has come, and the time left if all of its climbs are made.
    pub(super) fn words(&mut self, level: Level, now: Instant) -> String {
        let Some(climb) = level.climb else {
            return match level.part {
                Part::Up => "search: doubling until a level does not hold".to_owned(),
                _ => "search: bisecting".to_owned(),
            };
        };
        let (first, began) = *self.first.get_or_insert((climb, now));
        let all = level.climbs_at_most;
        let left = match climb.checked_sub(first) {
            None | Some(0) => String::new(),
            Some(made) => {
                let each = now.duration_since(began) / made;
                let left = each.saturating_mul(all.saturating_add(1).saturating_sub(climb));
                format!(", at most about {} left", short(left))
            }
        };
        format!("search: climb {climb} of {all}{left}")
    }
}

/// Rounds to the precision of the estimate.
fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..5400 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{:.1} h", seconds as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn steps(now: u32) -> Steps {
        Steps { now, expected: Some(50), planned: Some(1000) }
    }

    #[test]
    fn the_last_steps_say_how_long_those_take_that_are_expected_or_planned() {
        let mut left = TimeLeft::default();
        assert_eq!(left.words(steps(1), None), "");
        (0..20).for_each(|_| left.step(4 * SECOND));
        assert_eq!(left.words(steps(21), None), "about 2 min left");
        assert_eq!(left.words(steps(51), None), "at most 63 min left");
        (0..RECENT).for_each(|_| left.step(SECOND));
        assert_eq!(left.words(steps(45), None), "about 6 s left", "what was long ago does not count");
    }

    #[test]
    fn a_search_tells_its_climb_and_the_time_left_by_those_made() {
        let (mut times, start) = (ClimbTimes::default(), Instant::now());
        let level = |climb, part| Level { part, climb, climbs_at_most: 20, is_foot: false };
        assert_eq!(times.words(level(None, Part::Search), start), "search: bisecting");
        assert_eq!(times.words(level(Some(1), Part::Search), start), "search: climb 1 of 20");
        let later = start + 60 * SECOND;
        assert_eq!(
            times.words(level(Some(3), Part::Search), later),
            "search: climb 3 of 20, at most about 9 min left"
        );
    }

    #[test]
    fn a_rule_s_time_is_the_most_that_is_left() {
        let mut left = TimeLeft::default();
        assert_eq!(left.words(steps(1), Some(90 * SECOND)), "at most 2 min left");
        left.step(60 * SECOND);
        assert_eq!(left.words(steps(2), Some(30 * SECOND)), "about 30 s left");
    }
}
