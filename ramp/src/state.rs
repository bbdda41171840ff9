//! What an instance can be.

use std::fmt;
use std::str::FromStr;

/// What an instance is at one moment. Each instance is in one state; those that have a container at work are
/// [`Running`](Self::Running) and [`Ready`](Self::Ready) together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Asked for and made, on no node yet.
    Pending,
    /// The scheduler has looked and found no node for it; it may yet.
    Unschedulable,
    /// On a node, its container not yet at work.
    Creating,
    /// At work, without all of its memory yet.
    Running,
    /// Holds all of its memory.
    Ready,
    /// Told to end.
    Terminating,
    /// Ended by its node, which was short of something.
    Evicted,
    /// Its container was ended by the kernel, which was short of memory. It may be started again.
    OomKilled,
    /// Its container has ended for another reason, or never began. It may be started again.
    Failed,
    /// No longer there.
    Gone,
}

impl State {
    /// All of them, in the order of an instance's life.
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Unschedulable,
        Self::Creating,
        Self::Running,
        Self::Ready,
        Self::Terminating,
        Self::Evicted,
        Self::OomKilled,
        Self::Failed,
        Self::Gone,
    ];

    /// As the run directory writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unschedulable => "unschedulable",
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Terminating => "terminating",
            Self::Evicted => "evicted",
            Self::OomKilled => "oom_killed",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }

    /// Whether a container is at work, with or without all of its memory.
    #[must_use]
    pub fn is_at_work(self) -> bool {
        matches!(self, Self::Running | Self::Ready)
    }

    /// Whether nothing more is to be waited for: it holds what it was told to, or has ended, or there is no place for it.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Unschedulable | Self::Evicted | Self::OomKilled | Self::Failed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| format!("{text:?} is no state of an instance"))
    }
}
