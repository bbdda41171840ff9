//! Event loop: waits, reports, and answers requests, for either mode.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::eventfd::EventFd;
use tracing::info;

use super::outcome::Outcome;
use super::poller::{PollFallback, Timer, wait};
use super::refusal::in_context;
use super::signals::Signals;
use crate::clock::{monotonic_ns, nanos, next_point_ns};
use crate::config::ReportSpec;
use crate::http::{Responder, Server};
use crate::report::Record;

/// Start, end and interval of reports, on the monotonic clock.
#[derive(Clone, Copy)]
pub(super) struct ReportSchedule {
    pub(super) started_ns: u64,
    pub(super) end_ns: Option<u64>,
    pub(super) interval: Duration,
}

impl ReportSchedule {
    pub(super) fn new(spec: &ReportSpec, started_ns: u64) -> Self {
        let end_ns = spec.duration.map(|duration| started_ns.saturating_add(nanos(duration.0)));
        Self { started_ns, end_ns, interval: spec.report_every.0 }
    }
}

/// What the event loop drives: the load or the node probe.
pub(super) trait EventHandler: Responder {
    /// Readable when there is something to report before it is time.
    fn changed(&self) -> Option<&EventFd>;

    /// Takes a sample and writes a record; those `on_grid` come at regular times. Returns the reason where the run has to
    /// end.
    fn record(&mut self, record: Record<'_>, on_grid: bool) -> Option<&'static str>;

    /// When [`Self::refresh`] is due, on the monotonic clock.
    fn refresh_due_ns(&self) -> u64 {
        u64::MAX
    }

    /// Re-reads what reports do not show, such as limits, and adapts to it.
    fn refresh(&mut self, _now_ns: u64) {}
}

/// Starts the HTTP server, where `--listen` asks for it.
///
/// # Errors
/// Where the address cannot be bound.
pub(super) fn open_server(spec: &ReportSpec) -> io::Result<Option<Server>> {
    let Some(address) = spec.listen else { return Ok(None) };
    let server = Server::open(address).map_err(|error| {
        let advice = match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EADDRINUSE) => "another process listens there: choose another port",
            Some(Errno::EADDRNOTAVAIL) => "not an address of this host, or its protocol is disabled",
            Some(Errno::EACCES) => "ports below 1024 need the capability CAP_NET_BIND_SERVICE",
            Some(Errno::EAFNOSUPPORT) => "this host has no IPv6: use :PORT or 0.0.0.0:PORT",
            _ => return in_context(&format!("--listen {address}"))(error),
        };
        io::Error::new(error.kind(), format!("--listen {address}: {error} ({advice})"))
    })?;
    let address = server.address().map_err(in_context("cannot tell the address of --listen"))?;
    info!("listening on http://{address}");
    Ok(Some(server))
}

/// Reports at each interval and at each change, and answers requests, until the end.
///
/// # Errors
/// Where the system refuses a timer.
pub(super) fn run_event_loop(
    handler: &mut impl EventHandler,
    mut server: Option<Server>,
    signals: &Signals,
    schedule: ReportSchedule,
) -> io::Result<Outcome> {
    let ReportSchedule { started_ns, end_ns, interval } = schedule;
    let timer = Timer::new().map_err(in_context("cannot create a timer"))?;
    let mut fallback = PollFallback::default();
    let interval_ns = nanos(interval);
    let mut next_ns = started_ns.saturating_add(interval_ns);
    loop {
        let now_ns = monotonic_ns();
        let server_due_ns = server.as_ref().map_or(u64::MAX, |server| server.due_ns(now_ns));
        let due_ns = next_ns.min(end_ns.unwrap_or(u64::MAX)).min(server_due_ns).min(handler.refresh_due_ns());
        timer.set(due_ns).map_err(in_context("cannot set a timer"))?;
        let requests = server.as_ref().and_then(|server| server.events(now_ns));
        if let Err(error) = wait(signals, &timer, handler.changed(), requests) {
            fallback.sleep(error, due_ns);
        }
        let now_ns = monotonic_ns();
        if let Some(signal) = signals.read() {
            handler.record(Record::End(signal), false);
            return Ok(Outcome::Done);
        }
        if end_ns.is_some_and(|end_ns| now_ns >= end_ns) {
            handler.record(Record::End("--duration elapsed"), false);
            return Ok(Outcome::Done);
        }
        let changed = handler.changed().is_some_and(|changed| changed.read().is_ok());
        if (now_ns >= next_ns || changed)
            && let Some(reason) = handler.record(Record::Report, now_ns >= next_ns)
        {
            handler.record(Record::End(reason), false);
            return Ok(Outcome::CouldNotHold);
        }
        if now_ns >= next_ns {
            next_ns = next_point_ns(next_ns, interval_ns, now_ns);
        }
        if now_ns >= handler.refresh_due_ns() {
            handler.refresh(now_ns);
        }
        if let Some(server) = &mut server {
            server.serve(monotonic_ns(), handler);
        }
    }
}
