//! Waiting and reporting, whatever there is to report on.

use std::io;
use std::time::Duration;

use nix::sys::eventfd::EventFd;
use tracing::info;

use super::events::{Alarm, Rounds, Signals, wait};
use super::{Outcome, in_context};
use crate::clock::{monotonic_ns, nanos, next_point_ns};
use crate::config::ReportArgs;
use crate::report::Record;
use crate::serve::{Answers, Server};

/// When it began, when it ends, and how often it reports; on the monotonic clock.
#[derive(Clone, Copy)]
pub(super) struct Schedule {
    pub(super) started_ns: u64,
    pub(super) end_ns: Option<u64>,
    pub(super) interval: Duration,
}

impl Schedule {
    pub(super) fn new(args: &ReportArgs, started_ns: u64) -> Self {
        let end_ns = args.duration.map(|duration| started_ns.saturating_add(nanos(duration.0)));
        Self { started_ns, end_ns, interval: args.report_every.0 }
    }
}

/// What is watched and reported on.
pub(super) trait Watched: Answers {
    /// Readable when there is something to report before it is time.
    fn changed(&self) -> Option<&EventFd>;

    /// Takes a sample and writes a record; those `on_grid` come at regular times. Gives the reason where it is time
    /// to give up.
    fn record(&mut self, record: Record<'_>, on_grid: bool) -> Option<&'static str>;

    /// When to look at what reports do not show, on the monotonic clock.
    fn look_due_ns(&self) -> u64 {
        u64::MAX
    }

    /// Looks, and lets what is wanted follow.
    fn look(&mut self, _now_ns: u64) {}
}

/// Listens where that is asked for, and says where.
///
/// # Errors
/// Where the address cannot be had.
pub(super) fn open_server(args: &ReportArgs) -> io::Result<Option<Server>> {
    let Some(address) = args.listen else { return Ok(None) };
    let server = Server::open(address).map_err(|error| {
        let advice = "is it in use, or of another host, or the port below 1024?";
        io::Error::new(error.kind(), format!("--listen {address}: {error} ({advice})"))
    })?;
    info!("listening on http://{}", server.address()?);
    Ok(Some(server))
}

/// Reports at each interval and at each change, and answers requests, until the end.
///
/// # Errors
/// Where the system refuses a timer.
pub(super) fn watch(
    watched: &mut impl Watched,
    mut server: Option<Server>,
    signals: &Signals,
    schedule: Schedule,
) -> io::Result<Outcome> {
    let Schedule { started_ns, end_ns, interval } = schedule;
    let alarm = Alarm::new().map_err(in_context("cannot make a timer"))?;
    let mut rounds = Rounds::default();
    let interval_ns = nanos(interval);
    let mut next_ns = started_ns.saturating_add(interval_ns);
    loop {
        let now_ns = monotonic_ns();
        let server_due_ns = server.as_ref().map_or(u64::MAX, |server| server.due_ns(now_ns));
        let due_ns = next_ns.min(end_ns.unwrap_or(u64::MAX)).min(server_due_ns).min(watched.look_due_ns());
        alarm.set(due_ns)?;
        let requests = server.as_ref().and_then(|server| server.events(now_ns));
        if let Err(error) = wait(signals, &alarm, watched.changed(), requests) {
            rounds.sleep(error, due_ns);
        }
        let now_ns = monotonic_ns();
        if let Some(signal) = signals.read() {
            watched.record(Record::End(signal), false);
            return Ok(Outcome::Done);
        }
        if end_ns.is_some_and(|end_ns| now_ns >= end_ns) {
            watched.record(Record::End("the duration asked for has passed"), false);
            return Ok(Outcome::Done);
        }
        let changed = watched.changed().is_some_and(|changed| changed.read().is_ok());
        if (now_ns >= next_ns || changed)
            && let Some(reason) = watched.record(Record::Report, now_ns >= next_ns)
        {
            watched.record(Record::End(reason), false);
            return Ok(Outcome::CouldNotHold);
        }
        if now_ns >= next_ns {
            next_ns = next_point_ns(next_ns, interval_ns, now_ns);
        }
        if now_ns >= watched.look_due_ns() {
            watched.look(now_ns);
        }
        if let Some(server) = &mut server {
            server.serve(monotonic_ns(), watched);
        }
    }
}
