//! Counter of the API requests within a step.

use std::time::Duration;

use crate::engine::Call;

/// API requests since the last [`take`](Self::take).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ApiCalls {
    /// Answered requests.
    pub(super) answered: u32,
    /// Failed requests.
    pub(super) failed: u32,
    /// Longest latency.
    pub(super) longest: Option<Duration>,
    last: Option<Duration>,
}

impl ApiCalls {
    /// Counts a request.
    pub(super) fn add(&mut self, call: Call) {
        if !call.answered {
            self.failed += 1;
            return;
        }
        self.answered += 1;
        self.longest = self.longest.max(Some(call.latency));
        self.last = Some(call.latency);
    }

    /// Returns the counts and resets them.
    pub(super) fn take(&mut self) -> Self {
        let taken = *self;
        *self = Self { last: self.last, ..Self::default() };
        taken
    }

    /// Latency of the last answered request.
    pub(super) fn last(&self) -> Option<Duration> {
        self.last
    }
}
