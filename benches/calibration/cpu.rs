//! CPU calibration: CPU time charged to the cgroup against `--cpu`.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::meter::{Metered, back_within_5_percent, exactness, first, last};
use crate::peers::{Beside, Peers, side_by_side};
use crate::support::cgroup::Cgroup;
use crate::support::{Running, started};
use crate::table::{Row, Table};
use crate::{Effort, Outcome};

pub(crate) fn burning(cores: f64) -> Command {
    crate::workload(&["--cpu", &cores.to_string()])
}

/// The three figures of [`exactness`] with their bounds.
pub(crate) fn add_exactness(table: &mut Table, asked: f64, had: [f64; 3], peers: [Beside; 3]) {
    let [whole, settled, worst] = had;
    let [peers_whole, peers_settled, peers_worst] = peers;
    table.add(
        Row::new("whole run, start included", "cores", whole).asked(asked).bound(0.3).peers(peers_whole),
    );
    table.add(Row::new("second half", "cores", settled).asked(asked).bound(0.2).peers(peers_settled));
    let bound = if asked < 0.1 { 3.0 } else { 1.5 };
    table.add(Row::new("worst single second", "cores", worst).asked(asked).bound(bound).peers(peers_worst));
}

pub(crate) fn alone(effort: Effort, peers: &Peers, table: &mut Table) -> Outcome<()> {
    let (time, peers_time) = (effort.seconds(20, 2), effort.seconds(10, 2));
    table.title(format!(
        "CPU, {} s (peers {} s), nothing else running",
        time.as_secs(),
        peers_time.as_secs()
    ));
    let figures = |command: &mut Command, cores, time| {
        let mut metered = Metered::start(command)?;
        let readings = metered.watch(time);
        metered.still_runs()?;
        Ok(exactness(&readings, cores))
    };
    let asked: &[f64] = if effort.smoke { &[0.2, 1.0] } else { &[0.05, 0.2, 0.5, 1.0, 1.5] };
    for &cores in asked {
        let had = figures(&mut burning(cores), cores, time)?;
        let peers = side_by_side(peers.cpu(cores), |command| figures(command, cores, peers_time));
        add_exactness(table, cores, had, peers);
    }
    Ok(())
}

/// A process that takes all it can get.
fn busy() -> std::io::Result<Running> {
    started(Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()))
}

pub(crate) fn beside_busy_processes(effort: Effort, peers: &Peers, table: &mut Table) -> Outcome<()> {
    let (warm, time) = (effort.seconds(5, 1), effort.seconds(10, 1));
    let settled = |command: &mut Command| {
        let mut metered = Metered::start(command)?;
        sleep(warm);
        let before = metered.read();
        sleep(time);
        let cores = metered.read().cores_since(before);
        metered.still_runs()?;
        Ok([cores])
    };
    table.title(format!("CPU beside busy processes, for {} s", time.as_secs()));
    let one_per_cpu = std::thread::available_parallelism()?.get();
    // Four as well: the row that earlier runs have.
    let mut counts = vec![one_per_cpu, 4];
    counts.dedup();
    for count in counts {
        let _busy: Vec<Running> = (0..count).map(|_| busy()).collect::<std::io::Result<_>>()?;
        let [had] = settled(&mut burning(0.2))?;
        let [peers] = side_by_side(peers.cpu(0.2), settled);
        let what = format!("beside {count} busy processes");
        table.add(Row::new(what, "cores", had).asked(0.2).bound(0.5).peers(peers));
    }
    Ok(())
}

/// Stops it for 60 ms of every 100.
fn freeze_in_turns(metered: &Metered, time: Duration) {
    let begin = Instant::now();
    let mut turn = Duration::ZERO;
    while turn < time {
        let at = |offset| sleep((begin + turn + offset).saturating_duration_since(Instant::now()));
        metered.signal(Signal::SIGSTOP);
        at(Duration::from_millis(60));
        metered.signal(Signal::SIGCONT);
        at(Duration::from_millis(100));
        turn += Duration::from_millis(100);
    }
}

pub(crate) fn frozen(effort: Effort, peers: &Peers, table: &mut Table) -> Outcome<()> {
    table.title("CPU, stopped for 60 ms of every 100");
    let figures = |command: &mut Command| {
        let mut metered = Metered::start(command)?;
        sleep(Duration::from_secs(1));
        let before = metered.read();
        freeze_in_turns(&metered, effort.seconds(10, 1));
        let cores = metered.read().cores_since(before);
        metered.still_runs()?;
        Ok([cores])
    };
    let [had] = figures(&mut burning(0.2))?;
    let [peers] = side_by_side(peers.cpu(0.2), figures);
    table.add(Row::new("all of it", "cores", had).asked(0.2).bound(1.0).peers(peers));
    Ok(())
}

pub(crate) fn stopped(effort: Effort, peers: &Peers, table: &mut Table) -> Outcome<()> {
    let stop = effort.seconds(5, 1);
    table.title(format!("CPU after a stop of {} s", stop.as_secs()));
    let figures = |command: &mut Command| {
        let mut metered = Metered::start(command)?;
        sleep(effort.seconds(2, 1));
        metered.signal(Signal::SIGSTOP);
        let stopped = metered.read();
        sleep(stop);
        if metered.read().cores_since(stopped) > 0.01 {
            return Err("it went on while stopped".into());
        }
        metered.signal(Signal::SIGCONT);
        let readings = metered.watch_every(Duration::from_millis(100), effort.seconds(6, 2));
        metered.still_runs()?;
        let second = readings[10];
        let (first_second, then) =
            (second.cores_since(first(&readings)), last(&readings).cores_since(second));
        Ok([first_second, then, back_within_5_percent(&readings, 0.2)])
    };
    let [first_second, then, back] = figures(&mut burning(0.2))?;
    let [peers_first, peers_then, peers_back] = side_by_side(peers.cpu(0.2), figures);
    // A quarter of a second's worth may be made up for.
    table.add(Row::new("first second (asked 0.2)", "cores", first_second).bound(0.2525).peers(peers_first));
    table.add(Row::new("then", "cores", then).asked(0.2).bound(1.5).peers(peers_then));
    table.add(Row::new("until a second within 5 %", "s", back).bound(1.0).peers(peers_back));
    Ok(())
}

pub(crate) fn quota(effort: Effort, peers: &Peers, table: &mut Table) -> Outcome<()> {
    table.title("CPU 0.5 under a quota of 0.2 cores, then without");
    let figures = |command: &mut Command| {
        let cgroup = Cgroup::new()?;
        cgroup.set_quota(Some(0.2));
        let mut metered = Metered::start_in(cgroup, command)?;
        let readings = metered.watch(effort.seconds(6, 2));
        let under = last(&readings).cores_since(readings[1]);
        metered.cgroup.set_quota(None);
        let readings = metered.watch(effort.seconds(4, 2));
        metered.still_runs()?;
        let second = readings[1];
        Ok([under, second.cores_since(first(&readings)), last(&readings).cores_since(second)])
    };
    let [under, first_second, then] = figures(&mut burning(0.5))?;
    let [peers_under, peers_first, peers_then] = side_by_side(peers.cpu(0.5), figures);
    table.add(Row::new("under the quota", "cores", under).asked(0.2).bound(3.0).peers(peers_under));
    table.add(
        Row::new("first second without (asked 0.5)", "cores", first_second).bound(0.63).peers(peers_first),
    );
    table.add(Row::new("then", "cores", then).asked(0.5).bound(1.0).peers(peers_then));
    Ok(())
}
