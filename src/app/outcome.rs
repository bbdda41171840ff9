//! Outcome of a run, and its exit status.

use crate::arena::exit_at_once;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or asked to stop.
    Done,
    /// The target could not be held, with `--on-failure exit`.
    CouldNotHold,
}

impl Outcome {
    /// Exits at once with its status: everything has been written, and a clean-up might wait for memory.
    pub fn exit(self) -> ! {
        exit_at_once(match self {
            Self::Done => 0,
            Self::CouldNotHold => 3,
        })
    }
}
