//! Meter: a process in a cgroup of its own, and what is charged to that cgroup.

use std::io;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::Outcome;
use crate::support::Running;
use crate::support::cgroup::Cgroup;

/// A process in a cgroup of its own. It ends with the value, and so does everything it has started.
pub(crate) struct Metered {
    pub(crate) running: Running,
    pub(crate) cgroup: Cgroup,
    /// What starting it was charged.
    cost: Duration,
}

/// Wall time since the start and CPU time charged by then, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) wall: f64,
    cpu: f64,
}

impl Reading {
    pub(crate) fn cores_since(self, before: Self) -> f64 {
        (self.cpu - before.cpu) / (self.wall - before.wall)
    }
}

/// The start included: from the program's first instruction.
const START: Reading = Reading { wall: 0.0, cpu: 0.0 };

const SECOND: Duration = Duration::from_secs(1);

impl Metered {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        Self::start_in(Cgroup::new()?, command)
    }

    pub(crate) fn start_in(cgroup: Cgroup, command: &mut Command) -> io::Result<Self> {
        let (child, cost) = cgroup.spawn(command)?;
        // The schedule begins when the program does, not when this one set out to start it.
        Ok(Self { running: Running { child, started: Instant::now() }, cgroup, cost })
    }

    pub(crate) fn cpu_time(&self) -> Duration {
        self.cgroup.cpu_time().saturating_sub(self.cost)
    }

    /// CPU time per wall time since the start.
    pub(crate) fn cores(&self) -> f64 {
        self.read().cores_since(START)
    }

    pub(crate) fn read(&self) -> Reading {
        let wall = self.running.started.elapsed().as_secs_f64();
        Reading { wall, cpu: self.cpu_time().as_secs_f64() }
    }

    /// A reading each second, from now on.
    pub(crate) fn watch(&self, time: Duration) -> Vec<Reading> {
        self.watch_every(SECOND, time)
    }

    pub(crate) fn watch_every(&self, interval: Duration, time: Duration) -> Vec<Reading> {
        let begin = Instant::now();
        let mut readings = vec![self.read()];
        let mut at = interval;
        while at <= time {
            sleep((begin + at).saturating_duration_since(Instant::now()));
            readings.push(self.read());
            at += interval;
        }
        readings
    }

    /// Signals everything in its cgroup: peers do their work in children.
    pub(crate) fn signal(&self, signal: Signal) {
        for pid in self.cgroup.processes() {
            // Gone already is as good.
            let _ = kill(pid, signal);
        }
    }

    /// Figures of a process that ended meanwhile are none.
    pub(crate) fn still_runs(&mut self) -> Outcome<()> {
        match self.running.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("it ended by itself: {status}").into()),
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        // Also what is no longer a descendant of the process: nothing of it may run beside the next one.
        self.signal(Signal::SIGKILL);
    }
}

pub(crate) fn first(readings: &[Reading]) -> Reading {
    readings[0]
}

pub(crate) fn last(readings: &[Reading]) -> Reading {
    readings[readings.len() - 1]
}

pub(crate) fn second_half(readings: &[Reading]) -> &[Reading] {
    &readings[readings.len() / 2..]
}

/// Whole run with its start, second half, and the second of that half farthest from what was asked, in cores.
pub(crate) fn exactness(readings: &[Reading], asked: f64) -> [f64; 3] {
    let half = second_half(readings);
    let seconds = half.windows(2).map(|pair| pair[1].cores_since(pair[0]));
    let worst = seconds.max_by(|a, b| (a - asked).abs().total_cmp(&(b - asked).abs())).unwrap_or(f64::NAN);
    [last(readings).cores_since(START), last(half).cores_since(first(half)), worst]
}

/// How long after the first reading a second begins in which it has what was asked within 5 %; NaN where none does.
pub(crate) fn back_within_5_percent(readings: &[Reading], asked: f64) -> f64 {
    let second_from = |begin: &Reading| readings.iter().find(|end| end.wall >= begin.wall + 0.99);
    readings
        .iter()
        .filter_map(|begin| Some((begin, second_from(begin)?)))
        .find(|(begin, end)| (end.cores_since(**begin) / asked - 1.0).abs() <= 0.05)
        .map_or(f64::NAN, |(begin, _)| begin.wall - first(readings).wall)
}
