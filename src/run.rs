//! The program: gathers what the host offers, starts the loads, reports until it is told to end.

mod reporter;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::sys::utsname::uname;
use nix::unistd::{Pid, SysconfVar, getpid, sysconf};
use tracing::{debug, warn};

use crate::arena::use_one_malloc_arena;
use crate::clock::{ThreadClock, monotonic_ns, tick_ns};
use crate::config::{Args, HugePages, OnFailure};
use crate::cpu::{CpuLoad, CpuPlan};
use crate::goal::{Goal, Offer};
use crate::host::{Host, Process};
use crate::memory::{MemoryLoad, MemoryPlan};
use crate::quantity::Bytes;
use crate::report::{Record, Start};
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

/// SIGTERM and SIGINT, waiting to be read.
///
/// They are blocked and read from a descriptor: a blocked signal is kept also for process 1, whose unhandled
/// signals the kernel otherwise drops.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes them over, for this thread and all that it starts later.
    ///
    /// # Errors
    /// Where the system has no descriptor left.
    pub fn take() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// The name of the signal that came, if one did.
    fn read(&self) -> Option<&'static str> {
        let info = self.0.read_signal().ok().flatten()?;
        let number = i32::try_from(info.ssi_signo).ok()?;
        Signal::try_from(number).ok().map(Signal::as_str)
    }
}

/// What this process finds out about itself and its machine once.
struct Facts {
    cpus: u64,
    page_size: usize,
    /// Different in every instance.
    seed: u64,
    hostname: String,
    kernel: String,
}

impl Facts {
    fn gather() -> Self {
        let uname = uname().ok();
        let name = |of: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
            uname
                .as_ref()
                .map_or_else(|| "unknown".to_owned(), |uname| of(uname).to_string_lossy().into_owned())
        };
        let hostname = name(|uname| uname.nodename());
        // Replicas differ in their host name, processes of one host in their id, and what has neither of its
        // own (process 1 on a host's network) in the kernel's randomness.
        let seed = RandomState::new().hash_one((&hostname, getpid().as_raw()));
        Self {
            cpus: usable_cpus(),
            page_size: page_size(),
            seed,
            kernel: name(|uname| uname.release()),
            hostname,
        }
    }
}

/// CPUs in the affinity mask, which a cpuset narrows as well.
fn usable_cpus() -> u64 {
    let count = sched_getaffinity(Pid::from_raw(0))
        .map(|set| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count());
    match count {
        Ok(count) if count > 0 => count as u64,
        // More CPUs than the mask has room for.
        _ => std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
    }
}

fn page_size() -> usize {
    const USUAL: usize = 4096;
    let size = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(USUAL)
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
        memory_limit: host.memory.limit(),
        machine_memory: host.machine.memory().map(|memory| memory.total),
        cpu_limit: host.cpu.limit(),
        cpus: facts.cpus,
    };
    let goal = Goal::resolve(args.memory, args.cpu, &offer).map_err(io::Error::other)?;
    let end_ns = args.duration.map(|duration| started_ns.saturating_add(nanos(duration.0)));
    let plan = CpuPlan {
        wanted: goal.cpu,
        cpus: facts.cpus,
        origin_ns: started_ns,
        end_ns,
        tick_ns: tick_ns(),
        // The upper bits, as a fraction.
        phase: (facts.seed >> 11) as f64 / (1_u64 << 53) as f64,
    };
    let start = Start {
        hostname: facts.hostname.clone(),
        kernel: facts.kernel.clone(),
        cpus: facts.cpus,
        cpu_threads: plan.workers(),
        settings: args.settings(),
    };
    let mut reporter =
        Reporter::new(&host, &start, goal, args.format, started_ns, end_ns, args.report_every.0)?;
    reporter.record(Record::Start, true);
    let shortfalls = goal.shortfalls(args.cpu, &offer);
    for shortfall in &shortfalls {
        warn!("{shortfall}");
    }
    if let (Some(shortfall), OnFailure::Exit) = (shortfalls.first(), args.on_failure) {
        reporter.record(Record::End(&shortfall.to_string()), false);
        return Ok(Outcome::CouldNotHold);
    }
    start_loads(args, &goal, &facts, &plan, &mut reporter)?;
    let outcome = watch(args, signals, &mut reporter, started_ns, end_ns);
    // The burning first, so that giving back has the CPUs to itself.
    if let Some(cpu) = &reporter.cpu {
        cpu.end();
    }
    if let Some(memory) = &reporter.memory {
        memory.end();
    }
    outcome
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
        let memory = MemoryLoad::start(memory_plan, Process::open(Path::new("/")))?;
        others.extend(memory.clock());
        reporter.memory = Some(memory);
    }
    if plan.workers() > 0 {
        reporter.cpu = Some(CpuLoad::start(plan, others)?);
    }
    if let Some(memory) = &reporter.memory {
        memory.begin();
    }
    Ok(())
}

/// Reports at each interval and at each change, until the end.
fn watch(
    args: &Args,
    signals: &Signals,
    reporter: &mut Reporter<'_>,
    started_ns: u64,
    end_ns: Option<u64>,
) -> io::Result<Outcome> {
    let alarm = Alarm::new()?;
    let interval_ns = nanos(args.report_every.0);
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
        if stuck && args.on_failure == OnFailure::Exit {
            reporter.record(Record::End("memory could not be allocated"), false);
            return Ok(Outcome::CouldNotHold);
        }
        if now_ns >= next_ns {
            // An absolute grid; points that went by are skipped.
            next_ns += ((now_ns - next_ns) / interval_ns + 1).saturating_mul(interval_ns);
        }
    }
}

/// A timer on the monotonic clock that can be waited for together with other things. (The time limit of `poll`
/// itself is late by a thousandth of its length: `select_estimate_accuracy` in the kernel's fs/select.c.)
struct Alarm(TimerFd);

impl Alarm {
    fn new() -> io::Result<Self> {
        Ok(Self(TimerFd::new(
            nix::sys::timerfd::ClockId::CLOCK_MONOTONIC,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?))
    }

    fn set(&self, time_ns: u64) -> io::Result<()> {
        let time = TimeSpec::from_duration(Duration::from_nanos(time_ns));
        Ok(self.0.set(Expiration::OneShot(time), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }
}

/// Waits for a signal, a change, or the alarm.
fn wait(signals: &Signals, alarm: &Alarm, memory: Option<&MemoryLoad>) {
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let (signals, alarm) = (readable(signals.0.as_fd()), readable(alarm.0.as_fd()));
    // An error (EINTR after SIGCONT) is as good as a time-out: the caller looks at everything anyway.
    let _ = match memory {
        Some(memory) => poll(&mut [signals, alarm, readable(memory.changed().as_fd())], PollTimeout::NONE),
        None => poll(&mut [signals, alarm], PollTimeout::NONE),
    };
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
