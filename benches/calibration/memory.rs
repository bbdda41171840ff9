//! Memory: what the page tables hold against what was asked, and what it costs to get there.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::Effort;
use crate::cpu::Metered;
use crate::peers::Peers;
use crate::support::{Running, rollup, started, wait_for};
use crate::table::{Row, Table};

/// The program on its way to so many bytes, with a pipe for its reports.
fn growing(bytes: u64, rate: &str) -> Command {
    let mut command = crate::workload(&["--memory", &bytes.to_string(), "--growth-rate", rate]);
    command.stdout(Stdio::piped());
    command
}

/// Waits until a program says itself that it holds what was asked.
pub(crate) fn wait_until_holding(running: &mut Running) -> Result<(), Box<dyn Error>> {
    let stdout = running.child.stdout.take().ok_or("standard output is not a pipe")?;
    for line in BufReader::new(stdout).lines() {
        let report: serde_json::Value = serde_json::from_str(&line?)?;
        if report["phase"] == "holding" {
            return Ok(());
        }
    }
    Err("it ended before it held what was asked".into())
}

/// Waits until the resident set of a process (which says nothing) has stopped growing.
fn settled(running: &Running) -> u64 {
    let mut before = 0;
    wait_for("a resident set that stays", Duration::from_secs(60), || {
        sleep(Duration::from_millis(500));
        let now = running.resident();
        let stays = now > 10 << 20 && now.abs_diff(before) < 64 << 10;
        before = now;
        stays.then_some(now)
    })
}

pub(crate) fn resident(effort: Effort, peers: &Peers, table: &mut Table) -> Result<(), Box<dyn Error>> {
    table.section("resident set when holding");
    let sizes: &[u64] = if effort.smoke {
        &[10_000_000, 100_000_000]
    } else {
        &[10_000_000, 100_000_000, 500_000_000, 2_000_000_000]
    };
    for size in sizes {
        let mut running = started(&mut growing(*size, "instant"))?;
        wait_until_holding(&mut running)?;
        // Its reports have lost their reader by now, which it says: time to make up for the pages that took.
        sleep(Duration::from_secs(3));
        let had = rollup(running.child.id(), "Rss").ok_or("no smaps_rollup")?;
        drop(running);
        let mut others = Vec::new();
        for (name, mut command) in peers.memory(*size) {
            let running = started(&mut command)?;
            others.push((name.to_owned(), settled(&running) as f64));
        }
        let bound = 65_536.0 / *size as f64 * 100.0;
        let bound = (bound * 1e4).round() / 1e4;
        table.add(
            Row::new(format!("{size} bytes"), "B", had as f64).asked(*size as f64).bound(bound).peers(others),
        );
    }
    Ok(())
}

/// Slope of the least-squares line through the points.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let (covariance, variance) = points.iter().fold((0.0, 0.0), |(covariance, variance), (x, y)| {
        (covariance + (x - mean_x) * (y - mean_y), variance + (x - mean_x).powi(2))
    });
    covariance / variance
}

/// Resident set and the time at which it was that, from the program's start.
fn reading(running: &Running) -> Result<(f64, f64), Box<dyn Error>> {
    // Before and after: the reading of large sets takes its time.
    let before = running.started.elapsed();
    let had = rollup(running.child.id(), "Rss").ok_or("no smaps_rollup")?;
    Ok((((before + running.started.elapsed()) / 2).as_secs_f64(), had as f64))
}

pub(crate) fn growth(effort: Effort, _: &Peers, table: &mut Table) -> Result<(), Box<dyn Error>> {
    table.section("growth");
    let seconds = if effort.smoke { 4 } else { 19 };
    for rate in [1_000_000_u64, 10_000_000, 100_000_000] {
        let target = rate * (seconds + 1) + (4 << 20);
        let mut running = started(&mut growing(target, &format!("{rate}/s")))?;
        // The line asked for begins at the program's own size, once it runs: at its first record.
        let mut first = String::new();
        let mut stdout = BufReader::new(running.child.stdout.take().ok_or("standard output is not a pipe")?);
        stdout.read_line(&mut first)?;
        let began = running.started.elapsed().as_secs_f64();
        let own = serde_json::from_str::<serde_json::Value>(&first)?["memory_resident_bytes"].as_f64();
        let own = own.ok_or("no resident set in the first record")?;
        let mut points = Vec::new();
        while running.started.elapsed() < Duration::from_secs(seconds) {
            points.push(reading(&running)?);
            sleep(Duration::from_millis(50));
        }
        let what = format!("{} MB/s, slope", rate / 1_000_000);
        table.add(Row::new(what, "B/s", slope(&points)).asked(rate as f64).bound(0.3));
        let off = |(at, had): &(f64, f64)| (had - own - rate as f64 * (at - began)).abs();
        let farthest = Row::new("  farthest from the line", "B", points.iter().map(off).fold(0.0, f64::max));
        table.add(if rate == 10_000_000 { farthest.bound(524_288.0) } else { farthest });
    }
    Ok(())
}

/// CPU time until `done` says so.
fn cost(
    command: &mut Command,
    done: impl FnOnce(&mut Running) -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let mut metered = Metered::start(command)?;
    done(&mut metered.running)?;
    Ok(metered.cpu_time().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn fill(effort: Effort, peers: &Peers, table: &mut Table) -> Result<(), Box<dyn Error>> {
    const SIZE: u64 = 500_000_000;
    table.section("filling 500 MB at once");
    let mut ours = Vec::new();
    let mut others: Vec<(String, Vec<f64>)> = Vec::new();
    // In turns, so that a machine that drifts does so for all.
    for _ in 0..effort.repeats(5, 1) {
        ours.push(cost(&mut growing(SIZE, "instant"), wait_until_holding)?);
        for (name, mut command) in peers.memory(SIZE) {
            let cost = cost(&mut command, |running| {
                settled(running);
                Ok(())
            })?;
            match others.iter_mut().find(|(other, _)| other == name) {
                Some((_, costs)) => costs.push(cost),
                None => others.push((name.to_owned(), vec![cost])),
            }
        }
    }
    let ours = median(ours);
    let others: Vec<(String, f64)> = others.into_iter().map(|(name, costs)| (name, median(costs))).collect();
    let stress = others.iter().find(|(name, _)| name == "stress").map(|(_, cost)| *cost);
    let row = Row::new("CPU time, random fill", "s", ours).peers(others);
    table.add(match stress {
        Some(stress) => row.bound((stress * 1.5 * 1e4).round() / 1e4),
        None => row,
    });
    table.add(Row::new("throughput per CPU second", "MB", SIZE as f64 / 1e6 / ours));
    Ok(())
}
