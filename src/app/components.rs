//! Components mode: what the processes of pods and of the node hold, sample by sample.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::eventfd::EventFd;
use tracing::warn;

use super::event_loop::{EventHandler, ReportSchedule, open_server, run_event_loop};
use super::node::NodeSampler;
use super::outcome::Outcome;
use super::refusal::PROGRAM_THREADS;
use super::signals::Signals;
use super::sink::Sink;
use crate::clock::{monotonic_ns, process_cpu_ns};
use crate::config::ReportSpec;
use crate::host::limits::{LimitReports, Rights};
use crate::host::{Component, Components, Program};
use crate::http::Responder;
use crate::report::{ComponentReport, ComponentSnapshot, Format, Record, metrics};

/// Time from a sample to the next as a multiple of the CPU time that it took: 0.5 % of a core at most.
const PAUSE: u64 = 200;

pub(super) fn run(spec: &ReportSpec, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    let server = open_server(spec)?;
    let sampler = ComponentSampler::open(Path::new("/"), spec.settings(), started_ns);
    // Only JSON has records of more than one kind.
    let is_told = spec.format == Format::Json;
    let limits = is_told.then(|| LimitReports::new(Path::new("/"), Rights { all_processes: true }));
    let mut probe = ComponentProbe {
        sampler,
        sink: Sink::open(spec.format, PROGRAM_THREADS)?,
        limits,
        has_warned: false,
    };
    probe.record(Record::Start, true);
    let outcome = run_event_loop(&mut probe, server, signals, ReportSchedule::new(spec, started_ns))?;
    Ok(probe.sink.outcome(outcome))
}

/// Samples the components, no more often than their number allows.
#[derive(Debug)]
pub struct ComponentSampler {
    components: Components,
    node: NodeSampler,
    last: Vec<Component>,
    started_ns: u64,
    pause: SamplePause,
}

/// The pause after a sample.
#[derive(Debug, Default)]
struct SamplePause {
    begin_ns: u64,
    cpu_ns: u64,
    pause_ns: u64,
}

impl SamplePause {
    /// Whether a sample may be taken now, with so much CPU time used so far.
    fn allows(&mut self, now_ns: u64, cpu_ns: u64) -> bool {
        if now_ns < self.begin_ns.saturating_add(self.pause_ns) {
            return false;
        }
        (self.begin_ns, self.cpu_ns) = (now_ns, cpu_ns);
        true
    }

    /// The sample has been taken and written, with so much CPU time used so far.
    fn spent(&mut self, cpu_ns: u64) {
        self.pause_ns = cpu_ns.saturating_sub(self.cpu_ns).saturating_mul(PAUSE);
    }
}

impl ComponentSampler {
    /// Of the machine whose files are below `root`, which is `/` but in tests. `settings` go into the first record; `started_ns` is when
    /// the program began, on the monotonic clock.
    #[must_use]
    pub fn open(root: &Path, settings: Vec<(&'static str, String)>, started_ns: u64) -> Self {
        Self {
            components: Components::open(root),
            node: NodeSampler::open(root, settings, started_ns),
            last: Vec::new(),
            started_ns,
            pause: SamplePause::default(),
        }
    }

    /// A record without a component.
    fn blank<'a>(&'a self, record: Record<'a>, reports_lost: u64) -> ComponentSnapshot<'a> {
        ComponentSnapshot {
            record,
            time: SystemTime::now(),
            elapsed: Duration::from_nanos(monotonic_ns().saturating_sub(self.started_ns)),
            boot_id: self.node.boot_id(),
            component: None,
            sampler_cpu: Duration::from_nanos(process_cpu_ns()),
            reports_lost,
            start: self.node.start(),
        }
    }

    /// Whether the last sample is long enough ago, at this time of the monotonic clock. If so, one has to be taken.
    pub fn is_due(&mut self, now_ns: u64) -> bool {
        self.pause.allows(now_ns, process_cpu_ns())
    }

    /// To be called when the sample has been written, so that its cost is known.
    pub fn is_written(&mut self) {
        self.pause.spent(process_cpu_ns());
    }

    /// How long after a sample none is due.
    #[must_use]
    pub fn pause_ns(&self) -> u64 {
        self.pause.pause_ns
    }

    /// The records of a sample.
    pub fn sample(&mut self, reports_lost: u64) -> Vec<ComponentSnapshot<'_>> {
        self.last = self.components.read();
        let blank = self.blank(Record::Report, reports_lost);
        self.last.iter().map(|component| ComponentSnapshot { component: Some(component), ..blank }).collect()
    }
}

/// The sampler and the sink of its records.
struct ComponentProbe {
    sampler: ComponentSampler,
    sink: Sink,
    /// The limits of the node, where they are told: with what only this probe may read.
    limits: Option<LimitReports>,
    /// Of processes that cannot be read.
    has_warned: bool,
}

impl EventHandler for ComponentProbe {
    fn changed(&self) -> Option<&EventFd> {
        None
    }

    fn record(&mut self, record: Record<'_>, _on_grid: bool) -> Option<&'static str> {
        let lost = self.sink.lost();
        match record {
            Record::Start | Record::End(_) => {
                self.sink.write::<ComponentReport>(&self.sampler.blank(record, lost));
            }
            Record::Report if self.sampler.is_due(monotonic_ns()) => {
                self.sink.write_all::<ComponentReport>(&self.sampler.sample(lost));
                if let Some(limits) = &mut self.limits {
                    let boot_id = self.sampler.node.boot_id();
                    self.sink.write_lines(&limits.due_lines(monotonic_ns(), SystemTime::now(), boot_id));
                }
                self.sampler.is_written();
                self.warn_of_unreadable();
            }
            Record::Report => {}
        }
        None
    }
}

impl ComponentProbe {
    fn warn_of_unreadable(&mut self) {
        let parts = self.sampler.last.iter().filter(|part| part.program.is_some());
        let unreadable: u64 = parts.map(|part| part.unreadable).sum();
        if unreadable > 0 && !self.has_warned {
            self.has_warned = true;
            warn!(
                "memory of {unreadable} processes cannot be read: this needs CAP_SYS_PTRACE, and an AppArmor or SELinux profile that \
                 allows it"
            );
        }
    }
}

impl Responder for ComponentProbe {
    /// What the probe itself holds: the records of pods have no place in metrics without labels.
    fn metrics(&mut self) -> String {
        let own = self.sampler.last.iter().find(|part| part.program == Some(Program::Probe));
        let snapshot = self.sampler.blank(Record::Report, self.sink.lost());
        metrics::render::<ComponentReport>(
            "workload_components",
            &ComponentSnapshot { component: own, ..snapshot },
        )
    }

    fn readiness(&mut self) -> Result<String, String> {
        Ok("sampling".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_that_takes_long_puts_off_the_next_one() {
        const MS: u64 = 1_000_000;
        let mut pause = SamplePause::default();
        assert!(pause.allows(5_000 * MS, 100 * MS));
        pause.spent(160 * MS);
        assert!(!pause.allows(10_000 * MS, 160 * MS) && !pause.allows(16_999 * MS, 160 * MS));
        assert!(pause.allows(17_000 * MS, 161 * MS), "200 times 60 ms");
        pause.spent(162 * MS);
        assert!(pause.allows(22_000 * MS, 162 * MS));
    }
}
