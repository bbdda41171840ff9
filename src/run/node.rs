//! Reports of the machine, with no load.

use std::io;
use std::time::SystemTime;

use nix::sys::eventfd::EventFd;

use super::machine::Machine;
use super::sink::Sink;
use super::watch::{Schedule, Watched, open_server, watch};
use super::{Outcome, Signals};
use crate::config::ReportArgs;
use crate::report::{NodeReport, Record, metrics};
use crate::serve::Answers;

pub(super) fn run(args: &ReportArgs, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    let machine = Machine::open(args.settings(), started_ns);
    let server = open_server(args)?;
    let mut probe = Probe { machine, sink: Sink::open(args.format)? };
    probe.record(Record::Start, true);
    watch(&mut probe, server, signals, Schedule::new(args, started_ns))
}

/// Reads the machine and writes records.
struct Probe {
    machine: Machine,
    sink: Sink,
}

impl Watched for Probe {
    fn changed(&self) -> Option<&EventFd> {
        None
    }

    fn record(&mut self, record: Record<'_>, _on_grid: bool) -> Option<&'static str> {
        let lost = self.sink.lost();
        self.sink.write::<NodeReport>(&self.machine.snapshot(record, SystemTime::now(), lost));
        None
    }
}

impl Answers for Probe {
    fn metrics(&mut self) -> String {
        let snapshot = self.machine.snapshot(Record::Report, SystemTime::now(), self.sink.lost());
        metrics::render::<NodeReport>("workload_node", &snapshot)
    }

    fn readiness(&mut self) -> Result<String, String> {
        Ok("sampling".into())
    }
}
