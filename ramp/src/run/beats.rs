//! Beats: the absolute schedule of steps at a fixed interval. Missed beats are skipped.

use std::time::Duration;

use tokio::time::Instant;

use ramp_format::plan::Pace;

/// Beats of a run; none unless its pace is a fixed interval.
#[derive(Debug)]
pub(super) struct Beats {
    beat: Option<Duration>,
    next: Instant,
}

impl Beats {
    pub(super) fn new(pace: Pace) -> Self {
        let beat = match pace {
            Pace::Every(beat) => Some(beat),
            Pace::Ready | Pace::None => None,
        };
        Self { beat, next: Instant::now() }
    }

    /// End of the step that begins now.
    pub(super) fn next(&mut self) -> Option<Instant> {
        let (beat, now) = (self.beat?, Instant::now());
        while self.next <= now {
            self.next += beat;
        }
        Some(self.next)
    }
}
