//! Peak counts of instances, from their transitions.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rows::PodRow;
use crate::state::State;
use crate::time::Time;

/// Instances, followed from row to row of `pods.csv`: the same for who runs, and for who reports on it.
///
/// What was seen at one moment counts together: of a list that came late some have taken the places of others.
#[derive(Clone, Debug, Default)]
pub struct PeakCounts {
    states: HashMap<String, State>,
    now: [u32; 2],
    seen: Option<(Time, u32)>,
    most: [Most; 2],
}

/// The largest number at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Most {
    /// So many.
    pub count: u32,
    /// In which step first.
    pub step: u32,
}

impl PeakCounts {
    /// Goes on by a row.
    pub fn follow(&mut self, row: &PodRow) {
        if self.seen.is_some_and(|(at, _)| row.time != at) {
            self.count();
        }
        self.seen = Some((row.time, row.step));
        let Ok(state) = row.to.parse::<State>() else { return };
        let before = match self.states.get_mut(&row.uid) {
            // Nothing follows: a run may lose a thousand instances a minute.
            Some(_) if state == State::Gone => self.states.remove(&row.uid),
            Some(known) => Some(std::mem::replace(known, state)),
            None if state == State::Gone => None,
            None => self.states.insert(row.uid.clone(), state),
        };
        for (now, is) in self.now.iter_mut().zip([is_held, State::is_at_work]) {
            let (was, is) = (before.is_some_and(is), is(state));
            *now = now.saturating_add(u32::from(is)).saturating_sub(u32::from(was));
        }
    }

    fn count(&mut self) {
        let step = self.seen.map_or(0, |(_, step)| step);
        for (most, now) in self.most.iter_mut().zip(self.now) {
            if now > most.count {
                *most = Most { count: now, step };
            }
        }
    }

    /// The most that held all of their memory at once.
    #[must_use]
    pub fn held(&self) -> Most {
        self.counted().most[0]
    }

    /// The most that ran at once, whether or not they held all of their memory.
    #[must_use]
    pub fn running(&self) -> Most {
        self.counted().most[1]
    }

    /// Those that run now.
    #[must_use]
    pub fn running_now(&self) -> u32 {
        self.now[1]
    }

    fn counted(&self) -> Self {
        let mut counted = Self { states: HashMap::new(), ..*self };
        counted.count();
        counted
    }
}

fn is_held(state: State) -> bool {
    state == State::Ready
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seconds: f64, step: u32, uid: &str, to: State) -> PodRow {
        PodRow {
            time: Time(std::time::UNIX_EPOCH + std::time::Duration::from_secs_f64(seconds)),
            elapsed_seconds: seconds,
            source_time: None,
            step,
            instance: uid.into(),
            uid: uid.into(),
            node: None,
            from: None,
            to: to.name().into(),
            reason: String::new(),
            restarts: 0,
            container: None,
            group: None,
        }
    }

    #[test]
    fn the_most_is_of_one_moment_and_a_place_that_is_taken_over_counts_once() {
        let mut population = PeakCounts::default();
        for (seconds, step, uid, to) in [
            (1.0, 1, "a", State::Running),
            (2.0, 1, "a", State::Ready),
            (3.0, 2, "b", State::Running),
            (4.0, 2, "b", State::Ready),
            // Seen together, after a gap.
            (9.0, 3, "c", State::Ready),
            (9.0, 3, "a", State::OomKilled),
        ] {
            population.follow(&row(seconds, step, uid, to));
        }
        assert_eq!(population.held(), Most { count: 2, step: 2 });
        assert_eq!(population.running(), Most { count: 2, step: 2 });
        population.follow(&row(10.0, 4, "d", State::Ready));
        assert_eq!(population.held(), Most { count: 3, step: 4 }, "the last moment counts too");
    }
}
