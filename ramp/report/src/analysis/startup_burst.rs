//! Starts per second: how fast instances that were requested at once came to be ready.

use std::collections::HashMap;

use super::{Estimate, recorded, timed, unavailable};
use crate::dataset::Dataset;
use ramp_format::rows::StepOutcome;
use ramp_format::state::State;

/// Instances that were requested at once, and how fast they started.
#[derive(Clone, Debug, PartialEq)]
pub struct Burst {
    /// The first step that requested them.
    pub step: u32,
    /// So many.
    pub instances: u32,
    /// From when the first of them was seen until the last of as many was seen to be ready.
    pub seconds: f64,
    /// How many came to be ready in each tenth of that time.
    pub windows: Vec<u32>,
}

/// A burst is of this many instances at least.
pub const FEWEST: u32 = 8;
/// Why a run without one has no burst.
pub const NO_BURST: &str = "no 8 instances were requested at once";
/// Why a search has none.
pub const SEARCH_HAS_NO_BURST: &str = "levels of a search are no bursts";
/// Windows of the time of a burst.
const WINDOWS: usize = 10;

impl Burst {
    /// Starts per second, on average until the last one.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        f64::from(self.instances) / self.seconds
    }

    /// Starts per second in the tenth of the time in which there were most.
    #[must_use]
    pub fn most_per_second(&self) -> f64 {
        let most = self.windows.iter().copied().max().unwrap_or_default();
        f64::from(most) * WINDOWS as f64 / self.seconds
    }
}

/// What was requested at once: one step, or all that followed each other without being waited for.
struct Request {
    step: u32,
    instances: u32,
    is_open: bool,
}

/// The largest burst of a run.
///
/// # Errors
/// Where there is none, or not all of it came to be ready.
pub fn startup_burst(data: &Dataset) -> Estimate<Burst> {
    let recorded = recorded(data)?;
    timed(recorded)?;
    if recorded.run.plan.search.is_some() {
        return unavailable(SEARCH_HAS_NO_BURST);
    }
    let requests = requests(data);
    let largest =
        requests.iter().enumerate().max_by_key(|(at, request)| (request.instances, usize::MAX - at));
    let Some((at, request)) = largest.filter(|(_, request)| request.instances >= FEWEST) else {
        return unavailable(NO_BURST);
    };
    let until = requests.get(at + 1).map_or(u32::MAX, |next| next.step);
    let mut begin = None;
    let mut waits: HashMap<&str, bool> = HashMap::new();
    let mut ready = Vec::new();
    for row in &recorded.pods {
        let is_of_it = (request.step..until).contains(&row.step);
        let waits = waits.entry(&row.uid).or_insert(is_of_it);
        if *waits {
            let begin = *begin.get_or_insert(row.elapsed_seconds);
            if row.to.parse() == Ok(State::Ready) {
                *waits = false;
                ready.push(row.elapsed_seconds - begin);
            }
        }
    }
    let begin: f64 = begin.unwrap_or_default();
    ready.sort_by(f64::total_cmp);
    let count = request.instances as usize;
    let Some(seconds) = count.checked_sub(1).and_then(|last| ready.get(last)).copied() else {
        return unavailable(format!(
            "{} of {count} that were requested at once held their memory",
            ready.len()
        ));
    };
    if recorded
        .run
        .clock
        .as_ref()
        .is_some_and(|clock| clock.suspended_within(begin, begin + seconds).is_some())
    {
        return unavailable("the recording machine was suspended meanwhile");
    }
    let mut windows = vec![0; WINDOWS];
    for time in ready.iter().take(count) {
        let window = (time / seconds * WINDOWS as f64) as usize;
        windows[window.min(WINDOWS - 1)] += 1;
    }
    Ok(Burst { step: request.step, instances: request.instances, seconds, windows })
}

fn requests(data: &Dataset) -> Vec<Request> {
    let mut all: Vec<Request> = Vec::new();
    let mut before = 0;
    for (_, step) in data.way_up() {
        let Some(asked) = step.asked else { continue };
        let more = asked.saturating_sub(before);
        before = asked;
        let is_open = step.outcome == Some(StepOutcome::Taken);
        match all.last_mut() {
            Some(last) if last.is_open => (last.instances, last.is_open) = (last.instances + more, is_open),
            _ => all.push(Request { step: step.step, instances: more, is_open }),
        }
    }
    all
}
