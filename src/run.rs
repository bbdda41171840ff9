//! The program: gathers what the host offers, starts the loads, reports until it is told to end.

mod events;
mod facts;
mod reporter;

pub use events::Signals;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::prctl;
use tracing::{debug, warn};

use crate::arena::use_one_malloc_arena;
use crate::clock::{ThreadClock, monotonic_ns, nanos, tick_ns};
use crate::config::{Args, HugePages, OnFailure};
use crate::cpu::{CpuLoad, CpuPlan};
use crate::goal::{Goal, Offer};
use crate::host::{Host, Process};
use crate::memory::{MemoryLoad, MemoryPlan};
use crate::quantity::Bytes;
use crate::report::{Record, Start};
use events::{Alarm, wait};
use facts::Facts;
use reporter::Reporter;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or asked to stop.
    Done,
    /// What was asked could not be had, and it was told to exit then.
    CouldNotHold,
}

impl Outcome {
    /// The exit status that says so.
    #[must_use]
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::CouldNotHold => ExitCode::from(3),
        }
    }
}

/// Makes the process exact: wake-ups without slack, small pages unless others are asked for, one pool of memory.
fn prepare_process(huge_pages: HugePages) {
    use_one_malloc_arena();
    if let Err(error) = prctl::set_timerslack(1) {
        debug!("timer slack stays as it is: {error}");
    }
    // Kernels without huge pages refuse, and have none.
    if huge_pages == HugePages::Never
        && let Err(error) = prctl::set_thp_disable(true)
    {
        debug!("huge pages stay as they are: {error}");
    }
}

/// When it began, when it ends, and how often it reports; on the monotonic clock.
#[derive(Clone, Copy)]
struct Schedule {
    started_ns: u64,
    end_ns: Option<u64>,
    interval: Duration,
}

/// Runs until the end that `args` or a signal sets. `started_ns` is when the program began, on the monotonic
/// clock.
///
/// # Errors
/// Where the system refuses threads or descriptors, or a percentage is asked of something unknown.
pub fn run(args: &Args, signals: &Signals, started_ns: u64) -> io::Result<Outcome> {
    prepare_process(args.huge_pages);
    let host = Host::discover(Path::new("/"));
    let facts = Facts::gather();
    let offer = Offer {
        memory_limit: host.memory.limit_and_headroom().0,
        machine_memory: host.machine.memory(),
        own_memory: host.process.resident().map(|set| set.total),
        cpu_limit: host.cpu.limit(),
        cpus: facts.cpus,
    };
    let goal = Goal::resolve(args.memory, args.cpu, &offer).map_err(io::Error::other)?;
    let end_ns = args.duration.map(|duration| started_ns.saturating_add(nanos(duration.0)));
    let schedule = Schedule { started_ns, end_ns, interval: args.report_every.0 };
    let plan = cpu_plan(&goal, &facts, schedule);
    let start = Start {
        hostname: facts.hostname.clone(),
        kernel: facts.kernel.clone(),
        cpus: facts.cpus,
        cpu_threads: plan.workers(),
        settings: args.settings(),
    };
    let mut reporter = Reporter::new(&host, &start, goal, args.format, schedule)?;
    reporter.record(Record::Start, true);
    let shortfalls = goal.shortfalls(args.cpu, &offer);
    for shortfall in &shortfalls {
        warn!("{shortfall}");
    }
    if let (Some(shortfall), OnFailure::Exit) = (shortfalls.first(), args.on_failure) {
        reporter.record(Record::End(&shortfall.to_string()), false);
        return Ok(Outcome::CouldNotHold);
    }
    let outcome = start_loads(args, &goal, &facts, &plan, &mut reporter)
        .and_then(|()| watch(args.on_failure, signals, &mut reporter, schedule));
    if let Err(error) = &outcome {
        reporter.record(Record::End(&error.to_string()), false);
    }
    reporter.end_loads();
    outcome
}

fn cpu_plan(goal: &Goal, facts: &Facts, schedule: Schedule) -> CpuPlan {
    CpuPlan {
        wanted: goal.cpu,
        cpus: facts.cpus,
        origin_ns: schedule.started_ns,
        end_ns: schedule.end_ns,
        tick_ns: tick_ns(),
        inherited_ns: facts.inherited_cpu_ns,
        // The upper bits, as a fraction.
        phase: (facts.seed >> 11) as f64 / (1_u64 << 53) as f64,
    }
}

/// Says what was being done, and what may be in the way.
fn in_context(what: &str) -> impl Fn(io::Error) -> io::Error {
    move |error| {
        io::Error::new(error.kind(), format!("{what}: {error} (too low a limit on processes or files?)"))
    }
}

/// Starts all threads, then lets memory grow: only so is the program's own size known.
fn start_loads(
    args: &Args,
    goal: &Goal,
    facts: &Facts,
    plan: &CpuPlan,
    reporter: &mut Reporter<'_>,
) -> io::Result<()> {
    let mut others: Vec<_> = reporter.clock().into_iter().chain([ThreadClock::of_current()]).collect();
    let memory_plan = MemoryPlan {
        target: goal.memory,
        rate: args.growth_rate,
        step: args.growth_step,
        fill: args.fill,
        touch_every: args.touch_every.time(),
        huge_pages: args.huge_pages == HugePages::Transparent,
        seed: facts.seed,
        page_size: facts.page_size,
        cpus: facts.cpus,
    };
    if goal.memory != Some(Bytes(0)) {
        let memory = MemoryLoad::start(memory_plan, Process::open(Path::new("/")))
            .map_err(in_context("cannot start the memory load"))?;
        others.extend(memory.clock());
        reporter.memory = Some(memory);
    }
    if plan.workers() > 0 {
        reporter.cpu = Some(CpuLoad::start(plan, others).map_err(in_context("cannot start the CPU load"))?);
    }
    if let Some(memory) = &reporter.memory {
        memory.begin();
    }
    Ok(())
}

/// Reports at each interval and at each change, until the end.
fn watch(
    on_failure: OnFailure,
    signals: &Signals,
    reporter: &mut Reporter<'_>,
    schedule: Schedule,
) -> io::Result<Outcome> {
    let Schedule { started_ns, end_ns, interval } = schedule;
    let alarm = Alarm::new().map_err(in_context("cannot make a timer"))?;
    let interval_ns = nanos(interval);
    let mut next_ns = started_ns.saturating_add(interval_ns);
    loop {
        alarm.set(next_ns.min(end_ns.unwrap_or(u64::MAX)))?;
        wait(signals, &alarm, reporter.memory.as_ref());
        let now_ns = monotonic_ns();
        if let Some(signal) = signals.read() {
            reporter.record(Record::End(signal), false);
            return Ok(Outcome::Done);
        }
        if end_ns.is_some_and(|end_ns| now_ns >= end_ns) {
            reporter.record(Record::End("the duration asked for has passed"), false);
            return Ok(Outcome::Done);
        }
        let changed = reporter.memory.as_ref().is_some_and(|memory| memory.changed().read().is_ok());
        if now_ns < next_ns && !changed {
            continue;
        }
        let stuck = reporter.record(Record::Report, now_ns >= next_ns);
        if stuck && on_failure == OnFailure::Exit {
            reporter.record(Record::End("memory could not be allocated"), false);
            return Ok(Outcome::CouldNotHold);
        }
        if now_ns >= next_ns {
            // An absolute grid; points that went by are skipped.
            next_ns += ((now_ns - next_ns) / interval_ns + 1).saturating_mul(interval_ns);
        }
    }
}
