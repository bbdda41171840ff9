//! The program: gathers what the host offers, starts the loads, reports until it is told to end.

mod events;
mod facts;
mod load;
mod loads;
mod machine;
mod node;
mod reporter;
mod sink;
mod wants;
mod watch;

pub use events::Signals;
pub use machine::Machine;

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use tracing::debug;

use crate::arena::{exit_at_once, use_one_malloc_arena};
use crate::config::{Args, Command};

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or asked to stop.
    Done,
    /// What was asked could not be had, and it was told to exit then.
    CouldNotHold,
}

impl Outcome {
    /// Ends the program at once with the exit status that says so: all has been written, and a clean-up may have to
    /// wait for memory.
    pub fn exit(self) -> ! {
        exit_at_once(match self {
            Self::Done => 0,
            Self::CouldNotHold => 3,
        })
    }
}

/// Runs until the end that `args` or a signal sets. `started_ns` is when the program began, on the monotonic
/// clock.
///
/// # Errors
/// Where the system refuses threads, descriptors or an address, or a percentage is asked of something unknown.
pub fn run(args: &Args, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    prepare_process();
    match &args.command {
        Some(Command::Node { reports }) => node::run(reports, signals, started_ns),
        None => load::run(args, signals, started_ns),
    }
}

/// Makes the process exact: wake-ups without slack, one pool of memory, and the program itself kept in memory, so
/// that it goes on reporting where there is no more to be had.
fn prepare_process() {
    use_one_malloc_arena();
    if let Err(error) = prctl::set_timerslack(1) {
        debug!("timer slack stays as it is: {error}");
    }
    // Refused where RLIMIT_MEMLOCK is below the 2 MB of the program.
    if let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT) {
        debug!("the program may be reclaimed: {error}");
    }
}

/// Says what was being done, and what may be in the way.
fn in_context(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        io::Error::new(error.kind(), format!("{what}: {error} (too low a limit on processes or files?)"))
    }
}
