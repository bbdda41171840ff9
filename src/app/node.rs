//! Node mode: reports of the machine, without a load.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::eventfd::EventFd;
use nix::unistd::{SysconfVar, sysconf};

use super::event_loop::{EventHandler, ReportSchedule, open_server, run_event_loop};
use super::outcome::Outcome;
use super::process_info::ProcessInfo;
use super::refusal::PROGRAM_THREADS;
use super::signals::Signals;
use super::sink::Sink;
use crate::clock::{monotonic_ns, process_cpu_ns};
use crate::config::ReportSpec;
use crate::host::limits::{LimitReports, Rights};
use crate::host::{Node, Process};
use crate::http::Responder;
use crate::report::{Format, NodeReport, NodeSnapshot, NodeStart, Record, metrics};

pub(super) fn run(spec: &ReportSpec, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    let server = open_server(spec)?;
    let sampler = NodeSampler::open(Path::new("/"), spec.settings(), started_ns);
    // Only JSON has records of more than one kind.
    let is_told = spec.format == Format::Json;
    let limits = is_told.then(|| LimitReports::new(Path::new("/"), Rights::default()));
    let mut probe = NodeProbe { sampler, sink: Sink::open(spec.format, PROGRAM_THREADS)?, limits };
    probe.record(Record::Start, true);
    let outcome = run_event_loop(&mut probe, server, signals, ReportSchedule::new(spec, started_ns))?;
    Ok(probe.sink.outcome(outcome))
}

/// The sampler, the sink of its records, and the limits of the node where they are told.
struct NodeProbe {
    sampler: NodeSampler,
    sink: Sink,
    limits: Option<LimitReports>,
}

/// Makes records of [`NodeReport`]: the machine's files, and what does not change.
#[derive(Debug)]
pub struct NodeSampler {
    node: Node,
    process: Process,
    start: NodeStart,
    started_ns: u64,
}

impl NodeSampler {
    /// Opens the machine's files below `root`, which is `/` but in tests. `settings` go into the first record;
    /// `started_ns` is when the program began, on the monotonic clock.
    #[must_use]
    pub fn open(root: &Path, settings: Vec<(&'static str, String)>, started_ns: u64) -> Self {
        let info = ProcessInfo::gather();
        let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
        let start = NodeStart {
            hostname: info.hostname,
            kernel: info.kernel,
            cpus: online.and_then(|count| u64::try_from(count).ok()),
            page_size: info.page_size as u64,
            settings,
        };
        Self { node: Node::open(root), process: Process::open(root), start, started_ns }
    }

    /// What is known from the start and does not change.
    #[must_use]
    pub fn start(&self) -> &NodeStart {
        &self.start
    }

    /// Which boot of which kernel this is.
    #[must_use]
    pub fn boot_id(&self) -> Option<&str> {
        self.node.boot_id()
    }

    /// The machine as it is now, which is `time`.
    pub fn snapshot<'a>(
        &'a mut self,
        record: Record<'a>,
        time: SystemTime,
        reports_lost: u64,
    ) -> NodeSnapshot<'a> {
        self.node.refresh();
        let elapsed_ns = monotonic_ns().saturating_sub(self.started_ns);
        NodeSnapshot {
            record,
            time,
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

impl EventHandler for NodeProbe {
    fn changed(&self) -> Option<&EventFd> {
        None
    }

    fn record(&mut self, record: Record<'_>, _on_grid: bool) -> Option<&'static str> {
        let lost = self.sink.lost();
        let time = SystemTime::now();
        self.sink.write::<NodeReport>(&self.sampler.snapshot(record, time, lost));
        if let (Some(limits), Record::Start | Record::Report) = (&mut self.limits, record) {
            let lines = limits.due_lines(monotonic_ns(), time, self.sampler.boot_id());
            self.sink.write_lines(&lines);
        }
        None
    }
}

impl Responder for NodeProbe {
    fn metrics(&mut self) -> String {
        let snapshot = self.sampler.snapshot(Record::Report, SystemTime::now(), self.sink.lost());
        metrics::render::<NodeReport>("workload_node", &snapshot)
    }

    fn readiness(&mut self) -> Result<String, String> {
        Ok("sampling".into())
    }
}
