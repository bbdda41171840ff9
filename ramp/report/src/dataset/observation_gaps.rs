//! Gaps in observation.

use std::collections::HashMap;

use ramp_format::rows::{EventRow, PodRow};
use ramp_format::state::State;

/// Delayed rows arrive within this time after the end of a gap, in seconds.
const ARRIVES_WITHIN_SECONDS: f64 = 1.0;

/// Times in which ramp saw nothing: what did not arrive then tells nothing of who sent it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservationGaps(Vec<(f64, f64)>);

impl ObservationGaps {
    /// From the gaps that are told, but those of nodes' memory.
    #[must_use]
    pub fn of(events: &[EventRow]) -> Self {
        Self::from(events, |object| !object.starts_with("probe/"))
    }

    /// Those of the API, in which instances come and go unseen.
    #[must_use]
    pub fn of_the_api(events: &[EventRow]) -> Self {
        Self::from(events, |object| !object.starts_with("probe/") && !object.starts_with("reports/"))
    }

    fn from(events: &[EventRow], counts: impl Fn(&str) -> bool) -> Self {
        let mut open: HashMap<&str, f64> = HashMap::new();
        let mut times = Vec::new();
        for event in events.iter().filter(|event| counts(&event.object)) {
            match event.kind.as_str() {
                "gap_begins" => {
                    open.entry(&event.object).or_insert(begin(event));
                }
                "gap_ends" => {
                    let since = open.remove(event.object.as_str());
                    // What waited arrives a moment later.
                    times.extend(since.map(|since| (since, event.elapsed_seconds + ARRIVES_WITHIN_SECONDS)));
                }
                _ => {}
            }
        }
        times.extend(open.into_values().map(|since| (since, f64::INFINITY)));
        times.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Self(times)
    }

    /// Seconds of a time in which nothing was seen.
    #[must_use]
    pub fn between(&self, since: f64, until: f64) -> f64 {
        let (mut sum, mut reached) = (0.0, since);
        for (from, to) in &self.0 {
            let (from, to) = (from.max(reached), to.min(until));
            if to > from {
                sum += to - from;
                reached = to;
            }
        }
        sum
    }

    /// Whether nothing was seen at some time, in seconds since the run began.
    #[must_use]
    pub fn is_at(&self, seconds: f64) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&seconds))
    }

    /// The time without a sight in which something was seen at last: its begin and its end.
    #[must_use]
    pub fn that_ends_with(&self, seconds: f64) -> Option<(f64, f64)> {
        self.0.iter().find(|(from, to)| *from < seconds && seconds <= *to).copied()
    }
}

/// When a gap began, in seconds since the run did: it is noticed later.
fn begin(event: &EventRow) -> f64 {
    let noticed = event.source_time.and_then(|source| event.time.0.duration_since(source.0).ok());
    (event.elapsed_seconds - noticed.unwrap_or_default().as_secs_f64()).max(0.0)
}

/// Instances of a node that went while nothing was seen, at a time that nobody tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Undated {
    /// The node.
    pub node: String,
    /// Since when nothing had been seen, in seconds since the run began.
    pub from_seconds: f64,
    /// When it was seen that they had gone.
    pub to_seconds: f64,
}

/// Of which it is not known when they went.
pub(super) fn undated(pods: &[PodRow], events: &[EventRow]) -> Vec<Undated> {
    let blind = ObservationGaps::of_the_api(events);
    let mut found: Vec<Undated> = Vec::new();
    for row in pods.iter().filter(|row| row.source_time.is_none()) {
        let is_end = matches!(row.to.parse(), Ok(State::Gone | State::Terminating));
        let gap = blind.that_ends_with(row.elapsed_seconds).filter(|_| is_end && row.from.is_some());
        if let Some(((from_seconds, _), node)) = gap.zip(row.node.clone()) {
            let of_this = |known: &Undated| known.node == node && known.from_seconds == from_seconds;
            if !found.iter().any(of_this) {
                found.push(Undated { node, from_seconds, to_seconds: row.elapsed_seconds });
            }
        }
    }
    found
}
