//! Counter of the API requests within a step.

use std::time::Duration;

use crate::engine::Call;

/// API requests since the last [`take`](Self::take).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiCalls {
    /// Answered requests.
    pub answered: u32,
    /// Failed requests.
    pub failed: u32,
    /// Longest latency.
    pub longest: Option<Duration>,
    last: Option<Duration>,
}

impl ApiCalls {
    /// Counts a request.
    pub fn add(&mut self, call: Call) {
        if !call.answered {
            self.failed += 1;
            return;
        }
        self.answered += 1;
        self.longest = self.longest.max(Some(call.latency));
        self.last = Some(call.latency);
    }

    /// Returns the counts and resets them.
    pub fn take(&mut self) -> Self {
        let taken = *self;
        *self = Self { last: self.last, ..Self::default() };
        taken
    }

    /// Latency of the last answered request.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.last
    }
}
