//! Retries of engine requests, and what ends the ramp before its last step.

use std::time::Duration;

use tokio::time::Instant;

use super::event_loop::{EventLoop, Interrupt};
use crate::backoff::Backoff;
use crate::engine::{Engine, Failure};

/// Time limit for requests at the begin and at the end of a run, retries included.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Why the ramp ended before its last step.
#[derive(Debug)]
pub(super) enum RampEnd {
    /// By an interrupt or a time limit.
    Halt(Interrupt),
    /// By a permanent failure of the engine.
    Failed(Failure),
}

impl From<Interrupt> for RampEnd {
    fn from(halt: Interrupt) -> Self {
        Self::Halt(halt)
    }
}

/// Retries transient failures with growing pauses, while events are recorded. None at the deadline.
pub(super) async fn retry<E: Engine, T>(
    engine: &mut E,
    event_loop: &mut EventLoop,
    deadline: Instant,
    what: &str,
    mut work: impl AsyncFnMut(&mut E) -> Result<T, Failure>,
) -> Result<Option<T>, RampEnd> {
    let mut backoff = Backoff::short();
    let waited_for = format!("{}: {what}", engine.place());
    loop {
        let failure = match event_loop.during_told(deadline, &waited_for, work(engine)).await? {
            Some(Ok(value)) => return Ok(Some(value)),
            None => return Ok(None),
            Some(Err(failure)) if failure.transient => failure,
            Some(Err(failure)) => return Err(RampEnd::Failed(failure)),
        };
        let pause = backoff.failed();
        event_loop.note("engine", "Retried", format!("{what}: {failure}; retrying in {pause:?}"));
        let again = Instant::now() + pause;
        event_loop.wait(again.min(deadline)).await?;
        if deadline <= again {
            return Ok(None);
        }
    }
}
