//! Load mode: starts the memory and CPU loads, and reports on both.

use std::io;
use std::path::Path;

use nix::sys::prctl;
use tracing::{debug, info, warn};

use super::event_loop::{EventHandler, ReportSchedule, open_server, run_event_loop};
use super::outcome::Outcome;
use super::process_info::ProcessInfo;
use super::refusal::thread_refused;
use super::reporter::Reporter;
use super::set_points::SetPoints;
use super::signals::Signals;
use crate::clock::{ThreadClock, tick_ns};
use crate::config::{HugePages, LoadSpec, OnFailure};
use crate::cpu::{CpuLoad, CpuPlan};
use crate::host::Host;
use crate::log_writer::LogWriter;
use crate::memory::{HostMemory, MemoryLoad, MemoryPlan};
use crate::quantity::Bytes;
use crate::report::{Record, Start};
use crate::target::{Capacity, Doubt, Target, TargetSpec};

pub(super) fn run(spec: &LoadSpec, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    let info = ProcessInfo::gather();
    use_small_pages(spec.huge_pages);
    let server = open_server(&spec.reports)?;
    let host = Host::discover(Path::new("/"));
    let capacity = Capacity::of(&host, info.cpus);
    let asked = TargetSpec { memory: spec.memory, cpu: spec.cpu };
    let target = Target::resolve(asked, &capacity).map_err(io::Error::other)?;
    let shortfalls: Vec<_> = target.shortfalls(asked, &capacity).iter().map(ToString::to_string).collect();
    for doubt in target.doubts(asked, &capacity) {
        match doubt {
            Doubt::OfLimit(text) => info!("{text}"),
            Doubt::OfMachine(text) => warn!("{text}"),
        }
    }
    let schedule = ReportSchedule::new(&spec.reports, started_ns);
    let set_points = SetPoints::new(asked, target, &capacity, schedule);
    let plan = cpu_plan(&target, &info, schedule);
    let start =
        Start { hostname: info.hostname.clone(), kernel: info.kernel.clone(), settings: spec.settings() };
    let mut reporter = Reporter::new(spec, host, &start, set_points, schedule)?;
    reporter.record(Record::Start, true);
    for shortfall in &shortfalls {
        warn!("{shortfall}");
    }
    if let (Some(shortfall), OnFailure::Exit) = (shortfalls.first(), spec.on_failure) {
        reporter.record(Record::End(shortfall), false);
        return Ok(Outcome::CouldNotHold);
    }
    let outcome = start_loads(spec, &target, &info, &plan, &mut reporter)
        .and_then(|()| match reporter.could_not_hold() {
            Some(reason) => {
                reporter.record(Record::End(reason), false);
                Ok(Outcome::CouldNotHold)
            }
            None => run_event_loop(&mut reporter, server, signals, schedule),
        })
        .map(|outcome| reporter.outcome(outcome));
    if let Err(error) = &outcome {
        reporter.record(Record::End(&error.to_string()), false);
    }
    reporter.loads().end();
    outcome
}

/// Disables huge pages unless they are asked for, whatever the machine's setting.
fn use_small_pages(huge_pages: HugePages) {
    // Kernels without huge pages refuse, and have none.
    if huge_pages == HugePages::Never
        && let Err(error) = prctl::set_thp_disable(true)
    {
        debug!("cannot set huge pages: {error}");
    }
}

fn cpu_plan(target: &Target, info: &ProcessInfo, schedule: ReportSchedule) -> CpuPlan {
    CpuPlan {
        wanted: target.cpu,
        cpus: info.cpus,
        origin_ns: schedule.started_ns,
        end_ns: schedule.end_ns,
        tick_ns: tick_ns(),
        inherited_ns: info.inherited_cpu_ns,
        // The upper bits, as a fraction.
        phase: (info.seed >> 11) as f64 / (1_u64 << 53) as f64,
    }
}

/// Starts all threads before memory grows: only then is the program's own size known.
fn start_loads(
    spec: &LoadSpec,
    target: &Target,
    info: &ProcessInfo,
    plan: &CpuPlan,
    reporter: &mut Reporter<'_>,
) -> io::Result<()> {
    let mut others = vec![reporter.clock(), ThreadClock::of_current()];
    let threads = reporter.threads();
    let memory_plan = MemoryPlan {
        target: target.memory,
        rate: spec.growth_rate,
        step: spec.growth_step,
        fill: spec.fill,
        touch_every: spec.touch_every.time(),
        huge_pages: spec.huge_pages == HugePages::Transparent,
        seed: info.seed,
        page_size: info.page_size,
        cpus: info.cpus,
    };
    if target.memory != Some(Bytes(0)) {
        let memory = MemoryLoad::start(memory_plan, HostMemory::open(Path::new("/")))
            .map_err(thread_refused("cannot start the thread that holds memory", threads))?;
        others.extend(memory.clock());
        reporter.loads().memory = Some(memory);
    }
    if plan.workers() > 0 {
        let others_ns = move || others.iter().chain(&LogWriter::clock()).map(|clock| clock.read_ns()).sum();
        let cpu = CpuLoad::start(plan, others_ns)
            .map_err(thread_refused("cannot start the threads that burn CPU", threads))?;
        reporter.burn(cpu);
    }
    if let Some(memory) = &reporter.loads().memory {
        memory.begin();
    }
    Ok(())
}
