//! Instance states, transitions between them, and counts of both.

use std::str::FromStr;
use std::time::SystemTime;

named_enum! {
    /// What an instance is at one moment. Each instance is in one state; those that have a container at work are
    /// [`Running`](Self::Running) and [`Ready`](Self::Ready) together.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum State {
        /// Asked for and made, on no node yet.
        Pending = "pending",
        /// The scheduler has looked and found no node for it; it may yet.
        Unschedulable = "unschedulable",
        /// On a node, its container not yet running.
        Creating = "creating",
        /// At work, without all of its memory yet.
        Running = "running",
        /// Holds all of its memory.
        Ready = "ready",
        /// Told to end.
        Terminating = "terminating",
        /// Ended by its node, which was short of something.
        Evicted = "evicted",
        /// Its container was ended by the kernel, which was short of memory. It may be started again.
        OomKilled = "oom_killed",
        /// Its container has ended for another reason, or never began. It may be started again.
        Failed = "failed",
        /// No longer there.
        Gone = "gone",
    }
}

impl State {
    /// Whether a container is running, with or without all of its memory.
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

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| format!("{text:?} is no state of an instance"))
    }
}

/// A change of an instance's state: a row of `pods.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The instance.
    pub uid: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub node: Option<String>,
    /// What it was; nothing where it is new.
    pub from: Option<State>,
    /// What it is.
    pub to: State,
    /// When that happened, where the source says.
    pub at: Option<SystemTime>,
    /// Why.
    pub reason: String,
    /// How often its container had been started again.
    pub restarts: u32,
    /// The container that has ended, where one has.
    pub container: Option<String>,
    /// Its group, in a mixed run.
    pub group: Option<String>,
}

/// Instances that are there, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; State::ALL.len()]);

impl Counts {
    /// How many are in a state.
    #[must_use]
    pub fn of(&self, state: State) -> u32 {
        self.0[state as usize]
    }

    /// Instances with a running container.
    #[must_use]
    pub fn at_work(&self) -> u32 {
        self.of(State::Running) + self.of(State::Ready)
    }

    /// Counts a transition.
    pub fn change(&mut self, from: Option<State>, to: State) {
        if let Some(from) = from {
            self.0[from as usize] = self.0[from as usize].saturating_sub(1);
        }
        // What is gone is not there to be counted.
        if to != State::Gone {
            self.0[to as usize] += 1;
        }
    }
}

/// What has happened since the run began. These only rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Instances that were evicted.
    pub evictions: u32,
    /// Containers that were killed for memory.
    pub oom_kills: u32,
    /// Containers that have ended otherwise without being asked to, and instances that were refused by their node.
    pub failures: u32,
    /// Instances that are no longer there.
    pub gone: u32,
}
