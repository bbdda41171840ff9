//! Requests to the engine's API within a step.

use std::time::Duration;

use crate::engine::Call;

/// Requests since they were last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiCalls {
    /// Those answered.
    pub answered: u32,
    /// Those not.
    pub failed: u32,
    /// The longest that an answer took.
    pub longest: Option<Duration>,
    last: Option<Duration>,
}

impl ApiCalls {
    /// One more.
    pub fn add(&mut self, call: Call) {
        if !call.answered {
            self.failed += 1;
            return;
        }
        self.answered += 1;
        self.longest = self.longest.max(Some(call.latency));
        self.last = Some(call.latency);
    }

    /// All so far; none from here on.
    pub fn take(&mut self) -> Self {
        let taken = *self;
        *self = Self { last: self.last, ..Self::default() };
        taken
    }

    /// How long the last answer took.
    #[must_use]
    pub fn last(&self) -> Option<Duration> {
        self.last
    }
}
