//! Outcome of a run, and its exit status.

use crate::arena::exit_at_once;
use crate::log_writer::LogWriter;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or asked to stop.
    Done,
    /// The target could not be held, with `--on-failure exit`.
    CouldNotHold,
    /// Done, or asked to stop, but reports could not be written.
    Incomplete,
}

impl Outcome {
    /// Exits with its status once the log is written, and without a clean-up, which might wait for memory.
    pub fn exit(self) -> ! {
        LogWriter::finish();
        exit_at_once(match self {
            Self::Done => 0,
            Self::Incomplete => 1,
            Self::CouldNotHold => 3,
        })
    }
}
