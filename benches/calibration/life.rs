//! Fixed costs: CPU time while idle and in node mode, start-up and exit times.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::memory::wait_until_holding;
use crate::meter::Metered;
use crate::peers::Peers;
use crate::support::{rollup, started};
use crate::table::{Row, Table};
use crate::{Effort, Outcome, program, workload};

pub(crate) fn idle(effort: Effort, _: &Peers, table: &mut Table) -> Outcome<()> {
    let time = effort.seconds(60, 2);
    table.title(format!("own overhead: --memory 0 --cpu 0 for {} s", time.as_secs()));
    let mut metered = Metered::start(&mut workload(&["--memory", "0", "--cpu", "0"]))?;
    sleep(time);
    add_overhead(table, &mut metered, Some(0.05))
}

pub(crate) fn node(effort: Effort, _: &Peers, table: &mut Table) -> Outcome<()> {
    let time = effort.seconds(60, 2);
    table.title(format!("own overhead: workload node, a report a second, for {} s", time.as_secs()));
    let mut metered = Metered::start(&mut workload(&["node", "--report-every", "1s"]))?;
    sleep(time);
    add_overhead(table, &mut metered, Some(0.1))
}

/// What it has used and holds by now, start included; the bound is on its CPU time.
pub(crate) fn add_overhead(table: &mut Table, metered: &mut Metered, bound: Option<f64>) -> Outcome<()> {
    let cpu = Row::new("CPU", "% of a core", metered.cores() * 100.0);
    metered.still_runs()?;
    let size = |key| rollup(metered.running.child.id(), key).ok_or("no smaps_rollup");
    table.add(match bound {
        Some(bound) => cpu.bound(bound),
        None => cpu,
    });
    table.add(Row::new("resident set", "MB", size("Rss")? as f64 / 1e6).bound(2.5));
    table.add(Row::new("  of it anonymous", "MB", size("Anonymous")? as f64 / 1e6).bound(0.5));
    Ok(())
}

fn milliseconds_since(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

fn worst(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

pub(crate) fn birth_and_death(effort: Effort, _: &Peers, table: &mut Table) -> Outcome<()> {
    table.title("time to the first report, time to exit");
    let mut births = Vec::new();
    for _ in 0..effort.repeats(20, 3) {
        let mut running = started(workload(&[]).stdout(Stdio::piped()))?;
        let stdout = running.child.stdout.as_mut().ok_or("standard output is not a pipe")?;
        stdout.read_exact(&mut [0])?;
        births.push(milliseconds_since(running.started));
    }
    table.add(Row::new("first report, from fork, worst", "ms", worst(&births)).bound(10.0));
    let mut deaths = Vec::new();
    for _ in 0..effort.repeats(10, 2) {
        let args = ["--memory", "500M", "--growth-rate", "instant", "--cpu", "0.2"];
        let mut running = started(workload(&args).stdout(Stdio::piped()))?;
        wait_until_holding(&mut running)?;
        let begin = Instant::now();
        running.signal(Signal::SIGTERM);
        running.child.wait()?;
        deaths.push(milliseconds_since(begin));
    }
    table.add(Row::new("exit on SIGTERM with 500M, worst", "ms", worst(&deaths)).bound(50.0));
    let mut deaths = Vec::new();
    for _ in 0..effort.repeats(10, 2) {
        deaths.push(death_of_process_1()?);
    }
    table.add(Row::new("  as process 1, worst", "ms", worst(&deaths)).bound(50.0));
    Ok(())
}

/// The same as process 1 of a process namespace, in milliseconds.
fn death_of_process_1() -> Outcome<f64> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork"]).arg(program());
    command.args(["--memory", "500M", "--growth-rate", "instant", "--format", "json"]);
    let mut running = started(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
    wait_until_holding(&mut running)?;
    let pid = running.children().first().copied().ok_or("unshare has no child")?;
    let begin = Instant::now();
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)?;
    // Ends when its child has.
    running.child.wait()?;
    Ok(milliseconds_since(begin))
}
