//! Workload reports: the load, wanted beside observed.

mod fields;
mod snapshot;
mod words;

pub use snapshot::{Snapshot, Start, Wanted, WorkloadReport};

use std::io;

use super::field::{Field, Kind, Record};

impl Kind for WorkloadReport {
    type Snapshot<'a> = Snapshot<'a>;

    const FIELDS: &'static [Field<Self>] = fields::FIELDS;

    fn record<'a>(snapshot: &'a Snapshot<'a>) -> Record<'a> {
        snapshot.record
    }

    fn introduction<'a>(snapshot: &'a Snapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
        words::introduction(snapshot, out)
    }

    fn trouble<'a>(snapshot: &'a Snapshot<'a>, out: &mut Vec<u8>) -> io::Result<()> {
        words::trouble(snapshot, out)
    }

    fn conclusion<'a>(snapshot: &'a Snapshot<'a>, reason: &str, out: &mut Vec<u8>) -> io::Result<()> {
        words::conclusion(snapshot, reason, out)
    }
}
