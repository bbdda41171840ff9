//! The load: memory, CPU, and the reports on both.

use std::io;
use std::path::Path;

use nix::sys::prctl;
use tracing::{debug, warn};

use super::facts::Facts;
use super::reporter::Reporter;
use super::wants::Wants;
use super::watch::{Schedule, Watched, open_server, watch};
use super::{Outcome, Signals, in_context};
use crate::clock::{ThreadClock, tick_ns};
use crate::config::{Args, HugePages, OnFailure};
use crate::cpu::{CpuLoad, CpuPlan};
use crate::host::Host;
use crate::memory::{HostMemory, MemoryLoad, MemoryPlan};
use crate::output::Log;
use crate::quantity::Bytes;
use crate::report::{Record, Start};
use crate::target::{Capacity, Target, TargetSpec};

pub(super) fn run(args: &Args, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    let facts = Facts::gather();
    use_small_pages(args.huge_pages);
    let server = open_server(&args.reports)?;
    let host = Host::discover(Path::new("/"));
    let capacity = Capacity::of(&host, facts.cpus);
    let spec = TargetSpec { memory: args.memory, cpu: args.cpu };
    let target = Target::resolve(spec, &capacity).map_err(io::Error::other)?;
    let shortfalls: Vec<_> = target.shortfalls(args.cpu, &capacity).iter().map(ToString::to_string).collect();
    for doubt in target.doubts(spec, &capacity) {
        warn!("{doubt}");
    }
    let schedule = Schedule::new(&args.reports, started_ns);
    let wants = Wants::new(spec, target, &capacity, schedule);
    let plan = cpu_plan(&target, &facts, schedule);
    let start =
        Start { hostname: facts.hostname.clone(), kernel: facts.kernel.clone(), settings: args.settings() };
    let mut reporter = Reporter::new(args, host, &start, wants, schedule)?;
    reporter.record(Record::Start, true);
    for shortfall in &shortfalls {
        warn!("{shortfall}");
    }
    if let (Some(shortfall), OnFailure::Exit) = (shortfalls.first(), args.on_failure) {
        reporter.record(Record::End(shortfall), false);
        return Ok(Outcome::CouldNotHold);
    }
    let outcome = start_loads(args, &target, &facts, &plan, &mut reporter)
        .and_then(|()| watch(&mut reporter, server, signals, schedule));
    if let Err(error) = &outcome {
        reporter.record(Record::End(&error.to_string()), false);
    }
    reporter.loads().end();
    outcome
}

/// No huge pages unless they are asked for, whatever the machine's setting.
fn use_small_pages(huge_pages: HugePages) {
    // Kernels without huge pages refuse, and have none.
    if huge_pages == HugePages::Never
        && let Err(error) = prctl::set_thp_disable(true)
    {
        debug!("huge pages stay as they are: {error}");
    }
}

fn cpu_plan(target: &Target, facts: &Facts, schedule: Schedule) -> CpuPlan {
    CpuPlan {
        wanted: target.cpu,
        cpus: facts.cpus,
        origin_ns: schedule.started_ns,
        end_ns: schedule.end_ns,
        tick_ns: tick_ns(),
        inherited_ns: facts.inherited_cpu_ns,
        // The upper bits, as a fraction.
        phase: (facts.seed >> 11) as f64 / (1_u64 << 53) as f64,
    }
}

/// Starts all threads, then lets memory grow: only so is the program's own size known.
fn start_loads(
    args: &Args,
    target: &Target,
    facts: &Facts,
    plan: &CpuPlan,
    reporter: &mut Reporter<'_>,
) -> io::Result<()> {
    let mut others = vec![reporter.clock(), ThreadClock::of_current()];
    let memory_plan = MemoryPlan {
        target: target.memory,
        rate: args.growth_rate,
        step: args.growth_step,
        fill: args.fill,
        touch_every: args.touch_every.time(),
        huge_pages: args.huge_pages == HugePages::Transparent,
        seed: facts.seed,
        page_size: facts.page_size,
        cpus: facts.cpus,
    };
    if target.memory != Some(Bytes(0)) {
        let memory = MemoryLoad::start(memory_plan, HostMemory::open(Path::new("/")))
            .map_err(in_context("cannot start the memory load"))?;
        others.extend(memory.clock());
        reporter.loads().memory = Some(memory);
    }
    if plan.workers() > 0 {
        let others_ns = move || others.iter().chain(&Log::clock()).map(|clock| clock.read_ns()).sum();
        let cpu = CpuLoad::start(plan, others_ns).map_err(in_context("cannot start the CPU load"))?;
        reporter.loads().cpu = Some(cpu);
    }
    if let Some(memory) = &reporter.loads().memory {
        memory.begin();
    }
    Ok(())
}
