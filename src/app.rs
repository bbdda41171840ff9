//! The application: process set-up, and the choice between load and node mode.

mod components;
mod event_loop;
mod load;
mod loads;
mod node;
mod outcome;
mod poller;
mod process_info;
mod refusal;
mod reporter;
mod set_points;
mod signals;
mod sink;

pub use components::ComponentSampler;
pub use node::NodeSampler;
pub use outcome::Outcome;
pub use signals::Signals;

use std::io;

use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use tracing::debug;

use crate::arena::use_one_malloc_arena;
use crate::cli::{Args, Command};
use refusal::warn_of_few_descriptors;

/// Whether the program's own code and data are locked in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residency {
    /// All of it, so that it goes on reporting when memory is exhausted. It counts as resident.
    Locked,
    /// Unused pages may be reclaimed: for a larger program that acts as a load as well.
    Reclaimable,
}

/// Runs until the end that `args` or a signal sets. `started_ns` is when the program began, on the monotonic
/// clock.
///
/// # Errors
/// Where the system refuses threads, descriptors or an address, or a percentage is of an unknown capacity.
pub fn run(args: &Args, signals: &Signals, started_ns: u64, residency: Residency) -> io::Result<Outcome> {
    prepare_process(residency);
    warn_of_few_descriptors();
    match &args.command {
        Some(Command::Node { reports }) => node::run(reports, signals, started_ns),
        Some(Command::Components { reports }) => components::run(reports, signals, started_ns),
        None => load::run(&args.load, signals, started_ns),
    }
}

/// Sets the process up to be exact: no timer slack, one malloc arena, and the program locked in memory where that is
/// asked for.
fn prepare_process(residency: Residency) {
    use_one_malloc_arena();
    if let Err(error) = prctl::set_timerslack(1) {
        debug!("cannot set the timer slack: {error}");
    }
    // Refused where RLIMIT_MEMLOCK is below the 2 MB of the program.
    if residency == Residency::Locked
        && let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT)
    {
        debug!("cannot lock the program in memory: {error}");
    }
}
