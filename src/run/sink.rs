//! Where records go.

use std::io;
use std::time::Duration;

use tracing::error;

use crate::clock::ThreadClock;
use crate::output::Reports;
use crate::report::{Format, Kind, Record, Writer};

/// How long a record is waited for. One that takes longer is written all the same.
const PATIENCE: Duration = Duration::from_millis(10);
/// There is no time after the last one: its reader may be behind, and a CPU quota may let the thread that writes wait
/// for a period or two. What still waits before it is part of this.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

/// Puts snapshots into words and hands them to standard output.
pub(super) struct Sink {
    writer: Writer,
    reports: Reports,
}

impl Sink {
    /// # Errors
    /// Where the system refuses the thread that writes.
    pub(super) fn open(format: Format) -> io::Result<Self> {
        Ok(Self { writer: Writer::new(format), reports: Reports::open()? })
    }

    /// The CPU clock of the thread that writes.
    pub(super) fn clock(&self) -> ThreadClock {
        self.reports.clock()
    }

    /// Records that could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.reports.lost()
    }

    /// Gives whether growth that waits for this record may go on: it is out, or nobody is there to read it. `false`
    /// where a reader may still come: it waits for one, or was lost as another does.
    pub(super) fn write<'a, K: Kind>(&mut self, snapshot: &'a K::Snapshot<'a>) -> bool {
        let line = match self.writer.render::<K>(snapshot) {
            Ok(line) => line,
            Err(error) => {
                error!("a record could not be put into words: {error}");
                return false;
            }
        };
        match K::record(snapshot) {
            Record::Start | Record::Report => self.reports.write(line, PATIENCE),
            Record::End(_) => self.reports.write_last(line, LAST_PATIENCE),
        }
    }
}
