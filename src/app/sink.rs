//! Sink of records: encodes snapshots and writes them to standard output.

use std::io;
use std::time::Duration;

use tracing::error;

use super::outcome::Outcome;
use super::refusal::thread_refused;
use crate::clock::ThreadClock;
use crate::report::{Format, Kind, Record, Writer};
use crate::stdout_writer::StdoutWriter;

/// How long to wait for a record. One that takes longer is written all the same.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long to wait for the last record, and for one still pending before it: its reader may be behind, and a CPU quota
/// may throttle the writing thread for a period or two.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

/// Encodes snapshots and sends them to standard output.
pub(super) struct Sink {
    writer: Writer,
    reports: StdoutWriter,
}

impl Sink {
    /// # Errors
    /// Where the system refuses the thread that writes, one of `threads` of this process.
    pub(super) fn open(format: Format, threads: u64) -> io::Result<Self> {
        let refused = thread_refused("cannot start the thread that writes reports", threads);
        let reports = StdoutWriter::open().map_err(refused)?;
        Ok(Self { writer: Writer::new(format), reports })
    }

    /// The CPU clock of the thread that writes.
    pub(super) fn clock(&self) -> ThreadClock {
        self.reports.clock()
    }

    /// Records lost.
    pub(super) fn lost(&self) -> u64 {
        self.reports.lost()
    }

    /// The outcome of a run that ended so: an error where records are missing.
    pub(super) fn outcome(&self, outcome: Outcome) -> Outcome {
        if outcome != Outcome::Done || !self.reports.is_incomplete() {
            return outcome;
        }
        error!("{} reports could not be written to standard output", self.lost());
        Outcome::Incomplete
    }

    /// Writes records beside the reports, if there are any.
    pub(super) fn write_lines(&mut self, lines: &str) {
        if !lines.is_empty() {
            self.reports.write(lines.as_bytes(), PATIENCE);
        }
    }

    /// Whether growth that waits for this record may go on: it is written, or there is no reader. `false` while it, or one
    /// because of which it was lost, is pending.
    pub(super) fn write<'a, K: Kind>(&mut self, snapshot: &'a K::Snapshot<'a>) -> bool {
        let Some(line) = encoded(self.writer.render::<K>(snapshot)) else { return false };
        match K::record(snapshot) {
            Record::Start | Record::Report => self.reports.write(line, PATIENCE),
            Record::End(_) => self.reports.write_last(line, LAST_PATIENCE),
        }
    }

    /// Writes records that belong together. A reader that is behind gets all of them, or loses them all.
    pub(super) fn write_all<'a, K: Kind>(&mut self, snapshots: &'a [K::Snapshot<'a>]) {
        if let Some(lines) = encoded(self.writer.render_all::<K>(snapshots)) {
            self.reports.write(lines, PATIENCE);
        }
    }
}

fn encoded(lines: io::Result<&[u8]>) -> Option<&[u8]> {
    lines.inspect_err(|error| error!("cannot encode a record: {error}")).ok()
}
