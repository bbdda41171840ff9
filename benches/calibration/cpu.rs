//! CPU: what the cgroup is charged against what was asked.

use std::error::Error;
use std::io;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Effort;
use crate::peers::Peers;
use crate::support::{Cgroup, Running, started};
use crate::table::{Row, Table};

/// A process in a cgroup of its own, and what the cgroup was charged.
pub(crate) struct Metered {
    pub(crate) running: Running,
    pub(crate) cgroup: Cgroup,
    /// What starting it was charged.
    cost: Duration,
}

/// Wall time since the start and CPU time charged by then, in seconds.
#[derive(Clone, Copy)]
struct Reading {
    wall: f64,
    cpu: f64,
}

impl Reading {
    fn cores_since(self, before: Self) -> f64 {
        (self.cpu - before.cpu) / (self.wall - before.wall)
    }
}

impl Metered {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        Self::start_in(Cgroup::new()?, command)
    }

    fn start_in(cgroup: Cgroup, command: &mut Command) -> io::Result<Self> {
        let (child, cost) = cgroup.spawn(command)?;
        // The schedule begins when the program does, not when this one set out to start it.
        Ok(Self { running: Running { child, started: Instant::now() }, cgroup, cost })
    }

    pub(crate) fn cpu_time(&self) -> Duration {
        self.cgroup.cpu_time().saturating_sub(self.cost)
    }

    fn read(&self) -> Reading {
        let wall = self.running.started.elapsed().as_secs_f64();
        Reading { wall, cpu: self.cpu_time().as_secs_f64() }
    }

    /// A reading each second, from now on.
    fn watch(&self, time: Duration) -> Vec<Reading> {
        let begin = Instant::now();
        let mut readings = vec![self.read()];
        for second in 1..=time.as_secs() {
            sleep((begin + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
            readings.push(self.read());
        }
        readings
    }
}

fn burning(cores: f64) -> Command {
    crate::workload(&["--cpu", &cores.to_string()])
}

fn first(readings: &[Reading]) -> Reading {
    readings[0]
}

fn last(readings: &[Reading]) -> Reading {
    readings[readings.len() - 1]
}

fn second_half(readings: &[Reading]) -> &[Reading] {
    &readings[readings.len() / 2..]
}

/// The start included: from the program's first instruction.
const START: Reading = Reading { wall: 0.0, cpu: 0.0 };

fn average(command: &mut Command, time: Duration) -> io::Result<f64> {
    Ok(last(&Metered::start(command)?.watch(time)).cores_since(START))
}

fn peers_average(commands: Vec<(&'static str, Command)>, time: Duration) -> io::Result<Vec<(String, f64)>> {
    commands
        .into_iter()
        .map(|(name, mut command)| Ok((name.to_owned(), average(&mut command, time)?)))
        .collect()
}

pub(crate) fn alone(effort: Effort, peers: &Peers, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let time = effort.seconds(20, 4);
    table.section(&format!("CPU, {} s, nothing else running", time.as_secs()));
    for cores in [0.05, 0.2, 0.5, 1.0, 1.5] {
        let readings = Metered::start(&mut burning(cores))?.watch(time);
        let peers = peers_average(peers.cpu(cores), effort.seconds(10, 2))?;
        let whole = last(&readings).cores_since(START);
        table.add(Row::new("whole run, start included", "cores", whole).asked(cores).bound(0.3).peers(peers));
        let half = second_half(&readings);
        let settled = last(half).cores_since(first(half));
        table.add(Row::new("second half", "cores", settled).asked(cores).bound(0.2));
        let seconds = half.windows(2).map(|pair| pair[1].cores_since(pair[0]));
        let worst =
            seconds.max_by(|a, b| (a - cores).abs().total_cmp(&(b - cores).abs())).unwrap_or(f64::NAN);
        let bound = if cores < 0.1 { 3.0 } else { 1.5 };
        table.add(Row::new("worst single second", "cores", worst).asked(cores).bound(bound));
    }
    Ok(())
}

/// A process that takes all it can get.
fn busy() -> io::Result<Running> {
    started(Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()))
}

pub(crate) fn beside_busy_processes(
    effort: Effort,
    peers: &Peers,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let time = effort.seconds(20, 4);
    table.section("CPU beside 4 busy processes");
    let _busy: Vec<Running> = (0..4).map(|_| busy()).collect::<io::Result<_>>()?;
    let readings = Metered::start(&mut burning(0.2))?.watch(time);
    let half = second_half(&readings);
    let peers = peers_average(peers.cpu(0.2), effort.seconds(10, 2))?;
    let settled = last(half).cores_since(first(half));
    table.add(Row::new("second half", "cores", settled).asked(0.2).bound(0.5).peers(peers));
    Ok(())
}

/// Stops it for 60 ms of every 100.
fn freeze_in_turns(process: &Running, time: Duration) {
    let begin = Instant::now();
    let mut turn = Duration::ZERO;
    while turn < time {
        let at = |offset| sleep((begin + turn + offset).saturating_duration_since(Instant::now()));
        process.signal(Signal::SIGSTOP);
        at(Duration::from_millis(60));
        process.signal(Signal::SIGCONT);
        at(Duration::from_millis(100));
        turn += Duration::from_millis(100);
    }
}

pub(crate) fn frozen(effort: Effort, _: &Peers, table: &mut Table) -> Result<(), Box<dyn Error>> {
    table.section("CPU, stopped for 60 ms of every 100");
    let metered = Metered::start(&mut burning(0.2))?;
    sleep(Duration::from_secs(1));
    let before = metered.read();
    freeze_in_turns(&metered.running, effort.seconds(10, 2));
    let cores = metered.read().cores_since(before);
    table.add(Row::new("all of it", "cores", cores).asked(0.2).bound(1.0));
    Ok(())
}

pub(crate) fn stopped(_: Effort, _: &Peers, table: &mut Table) -> Result<(), Box<dyn Error>> {
    table.section("CPU after a stop of 3 s");
    let metered = Metered::start(&mut burning(0.2))?;
    sleep(Duration::from_secs(2));
    metered.running.signal(Signal::SIGSTOP);
    sleep(Duration::from_secs(3));
    metered.running.signal(Signal::SIGCONT);
    let readings = metered.watch(Duration::from_secs(3));
    table.add(
        Row::new("first second (asked 0.2)", "cores", readings[1].cores_since(readings[0])).bound(0.2525),
    );
    let cores = last(&readings).cores_since(readings[1]);
    table.add(Row::new("then", "cores", cores).asked(0.2).bound(1.5));
    Ok(())
}

pub(crate) fn quota(_: Effort, _: &Peers, table: &mut Table) -> Result<(), Box<dyn Error>> {
    table.section("CPU 0.5 under a quota of 0.2 cores, then without");
    let cgroup = Cgroup::new()?;
    cgroup.set_quota(Some(0.2));
    let metered = Metered::start_in(cgroup, &mut burning(0.5))?;
    let readings = metered.watch(Duration::from_secs(6));
    let cores = last(&readings).cores_since(readings[1]);
    table.add(Row::new("under the quota", "cores", cores).asked(0.2).bound(3.0));
    metered.cgroup.set_quota(None);
    let readings = metered.watch(Duration::from_secs(4));
    let first_second = readings[1].cores_since(readings[0]);
    table.add(Row::new("first second without (asked 0.5)", "cores", first_second).bound(0.63));
    let cores = last(&readings).cores_since(readings[1]);
    table.add(Row::new("then", "cores", cores).asked(0.5).bound(1.0));
    Ok(())
}
