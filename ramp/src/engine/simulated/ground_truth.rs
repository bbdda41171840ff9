//! What was true of a run on a simulated cluster: what a report on it is held against.

use std::time::Duration;

/// What was true of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truth {
    /// What an instance of the run took of memory on average, in bytes: its load but for what all share, its page tables, its runtime, and
    /// what the machine keeps because of it.
    pub marginal_cost_bytes: f64,
    /// The most instances that held all of their memory at once.
    pub held: u32,
    /// The most that ran at once.
    pub running: u32,
    /// The most that were asked for.
    pub asked: u32,
    /// Instances lost, or without a place, for want of something.
    pub losses: Vec<TrueLoss>,
    /// Instances killed by somebody.
    pub killed: u32,
    /// Whether others have changed the population.
    pub changed_by_others: bool,
    /// From being made to holding all memory, of those that got there at the first attempt.
    pub startup_seconds: Vec<f64>,
    /// Whether the population has been removed: what comes after that is no part of it.
    pub removed: bool,
    /// How many hold their memory and run now.
    pub(super) now: (u32, u32),
    pub(super) seen_millisecond: u128,
}

/// An instance lost, or without a place.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueLoss {
    /// When, since the cluster was made.
    pub seconds: f64,
    /// Instances asked for then.
    pub asked: u32,
    /// Why, in the words of who tells.
    pub reason: String,
}

impl Truth {
    /// So many hold their memory, run, and are asked for now. What is true for less than a millisecond nobody can tell: rows are
    /// that exact.
    pub(super) fn see(&mut self, now: Duration, held: u32, running: u32, asked: u32) {
        if self.removed {
            return;
        }
        if self.seen_millisecond != now.as_millis() {
            self.seen_millisecond = now.as_millis();
            self.count();
        }
        self.now = (held, running);
        self.asked = self.asked.max(asked);
    }

    /// What is true now has been true long enough.
    pub(super) fn count(&mut self) {
        self.held = self.held.max(self.now.0);
        self.running = self.running.max(self.now.1);
    }
}
