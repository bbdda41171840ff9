//! Reports of the machine, with no load.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::eventfd::EventFd;
use nix::unistd::{SysconfVar, sysconf};

use super::facts::Facts;
use super::sink::Sink;
use super::watch::{Schedule, Watched, open_server, watch};
use super::{Outcome, Signals};
use crate::clock::{monotonic_ns, process_cpu_ns};
use crate::config::ReportArgs;
use crate::host::{Node, Process};
use crate::report::{NodeReport, NodeSnapshot, NodeStart, Record, metrics};
use crate::serve::Answers;

pub(super) fn run(args: &ReportArgs, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    let facts = Facts::gather();
    let server = open_server(args)?;
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    let start = NodeStart {
        hostname: facts.hostname,
        kernel: facts.kernel,
        cpus: online.and_then(|count| u64::try_from(count).ok()),
        page_size: facts.page_size as u64,
        settings: args.settings(),
    };
    let root = Path::new("/");
    let schedule = Schedule::new(args, started_ns);
    let (node, process) = (Node::open(root), Process::open(root));
    let machine = Machine { node, process, start, schedule };
    let mut probe = Probe { machine, sink: Sink::open(args.format)? };
    probe.record(Record::Start, true);
    watch(&mut probe, server, signals, schedule)
}

/// Reads the machine and writes records.
struct Probe {
    machine: Machine,
    sink: Sink,
}

/// The machine, and what does not change.
struct Machine {
    node: Node,
    process: Process,
    start: NodeStart,
    schedule: Schedule,
}

impl Machine {
    fn snapshot<'a>(&'a mut self, record: Record<'a>, reports_lost: u64) -> NodeSnapshot<'a> {
        self.node.refresh();
        let elapsed_ns = monotonic_ns().saturating_sub(self.schedule.started_ns);
        NodeSnapshot {
            record,
            time: SystemTime::now(),
            elapsed: Duration::from_nanos(elapsed_ns),
            node: &self.node,
            pressure: self.node.pressure(),
            merged: self.node.merged_pages(),
            shared_memory: self.node.shared_memory(),
            sampler_cpu: Duration::from_nanos(process_cpu_ns()),
            sampler_resident: self.process.resident().map(|set| set.total),
            reports_lost,
            start: &self.start,
        }
    }
}

impl Watched for Probe {
    fn changed(&self) -> Option<&EventFd> {
        None
    }

    fn record(&mut self, record: Record<'_>, _on_grid: bool) -> Option<&'static str> {
        let lost = self.sink.lost();
        self.sink.write::<NodeReport>(&self.machine.snapshot(record, lost));
        None
    }
}

impl Answers for Probe {
    fn metrics(&mut self) -> String {
        let snapshot = self.machine.snapshot(Record::Report, self.sink.lost());
        metrics::render::<NodeReport>("workload_node", &snapshot)
    }

    fn readiness(&mut self) -> Result<String, String> {
        Ok("sampling".into())
    }
}
