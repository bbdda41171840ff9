//! The machine, read for records of it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::unistd::{SysconfVar, sysconf};

use super::facts::Facts;
use crate::clock::{monotonic_ns, process_cpu_ns};
use crate::host::{Node, Process};
use crate::report::{NodeSnapshot, NodeStart, Record};

/// The machine that this process runs on, and what of it does not change.
#[derive(Debug)]
pub struct Machine {
    node: Node,
    process: Process,
    start: NodeStart,
    started_ns: u64,
}

impl Machine {
    /// Opens the machine's files. `settings` go into the first record; times elapsed are counted from `started_ns` of
    /// [`monotonic_ns`].
    #[must_use]
    pub fn open(settings: Vec<(&'static str, String)>, started_ns: u64) -> Self {
        let facts = Facts::gather();
        let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
        let start = NodeStart {
            hostname: facts.hostname,
            kernel: facts.kernel,
            cpus: online.and_then(|count| u64::try_from(count).ok()),
            page_size: facts.page_size as u64,
            settings,
        };
        let root = Path::new("/");
        Self { node: Node::open(root), process: Process::open(root), start, started_ns }
    }

    /// Reads the machine anew. `time` is that of the record.
    pub fn snapshot<'a>(
        &'a mut self,
        record: Record<'a>,
        time: SystemTime,
        reports_lost: u64,
    ) -> NodeSnapshot<'a> {
        self.node.refresh();
        NodeSnapshot {
            record,
            time,
            elapsed: Duration::from_nanos(monotonic_ns().saturating_sub(self.started_ns)),
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
