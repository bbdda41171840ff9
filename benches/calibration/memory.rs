//! Memory calibration: resident set by the page tables against `--memory`, and the CPU cost of growth.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::meter::Metered;
use crate::peers::{Beside, Figure, Peers, side_by_side};
use crate::support::{Running, rollup, started};
use crate::table::{Row, Table};
use crate::{Effort, Outcome};

/// The program on its way to so many bytes, with a pipe for its reports.
fn growing(bytes: u64, rate: &str) -> Command {
    let mut command = crate::workload(&["--memory", &bytes.to_string(), "--growth-rate", rate]);
    command.stdout(Stdio::piped());
    command
}

/// Waits until a program says itself that it holds what was asked.
pub(crate) fn wait_until_holding(running: &mut Running) -> Outcome<()> {
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
fn settled(running: &Running) -> Outcome<u64> {
    let mut before = 0;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        sleep(Duration::from_millis(500));
        let now = running.resident();
        if now > 10 << 20 && now.abs_diff(before) < 64 << 10 {
            return Ok(now);
        }
        before = now;
    }
    Err("its resident set did not settle within a minute".into())
}

/// What was had of so many bytes, which must be within 64 KiB.
pub(crate) fn resident_row(asked: u64, had: u64) -> Row {
    let bound = 65_536.0 / asked as f64 * 100.0;
    let bound = (bound * 1e4).round() / 1e4;
    Row::new(format!("{asked} bytes"), "B", had as f64).asked(asked as f64).bound(bound)
}

pub(crate) fn resident(effort: Effort, peers: &Peers, table: &mut Table) -> Outcome<()> {
    table.title("resident set when holding");
    let sizes: &[u64] =
        if effort.smoke { &[100_000_000] } else { &[10_000_000, 100_000_000, 500_000_000, 2_000_000_000] };
    for size in sizes {
        let mut running = started(&mut growing(*size, "instant"))?;
        wait_until_holding(&mut running)?;
        // Its reports have lost their reader by now, which it says: time to make up for the pages that took.
        sleep(Duration::from_secs(3));
        let had = rollup(running.child.id(), "Rss").ok_or("no smaps_rollup")?;
        drop(running);
        let [others] = side_by_side(peers.memory(*size), |command| {
            let metered = Metered::start(command)?;
            Ok([settled(&metered.running)? as f64])
        });
        table.add(resident_row(*size, had).peers(others));
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
fn reading(running: &Running) -> Outcome<(f64, f64)> {
    // Before and after: the reading of large sets takes its time.
    let before = running.started.elapsed();
    let had = rollup(running.child.id(), "Rss").ok_or("no smaps_rollup")?;
    Ok((((before + running.started.elapsed()) / 2).as_secs_f64(), had as f64))
}

pub(crate) fn growth(effort: Effort, _: &Peers, table: &mut Table) -> Outcome<()> {
    table.title("growth");
    let seconds = if effort.smoke { 2 } else { 19 };
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
fn cost(command: &mut Command, done: impl FnOnce(&mut Running) -> Outcome<()>) -> Outcome<f64> {
    let mut metered = Metered::start(command)?;
    done(&mut metered.running)?;
    Ok(metered.cpu_time().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn fill(effort: Effort, peers: &Peers, table: &mut Table) -> Outcome<()> {
    const SIZE: u64 = 500_000_000;
    table.title("filling 500 MB at once");
    let mut ours = Vec::new();
    let mut others: Vec<(&str, Vec<Figure>)> = Vec::new();
    // In turns, so that a machine that drifts does so for all.
    for _ in 0..effort.repeats(5, 1) {
        ours.push(cost(&mut growing(SIZE, "instant"), wait_until_holding)?);
        let [costs] = side_by_side(peers.memory(SIZE), |command| {
            Ok([cost(command, |running| settled(running).map(drop))?])
        });
        for (name, figure) in costs {
            match others.iter_mut().find(|(other, _)| *other == name) {
                Some((_, figures)) => figures.push(figure),
                None => others.push((name, vec![figure])),
            }
        }
    }
    let ours = median(ours);
    let median_of = |figures: Vec<Figure>| Ok(median(figures.into_iter().collect::<Result<_, _>>()?));
    let others: Beside = others.into_iter().map(|(name, figures)| (name, median_of(figures))).collect();
    let stress = others.iter().find(|(name, _)| *name == "stress").and_then(|(_, cost)| cost.clone().ok());
    let row = Row::new("CPU time, random fill", "s", ours).peers(others);
    table.add(match stress {
        Some(stress) => row.bound((stress * 1.5 * 1e4).round() / 1e4),
        None => row,
    });
    table.add(Row::new("throughput per CPU second", "MB", SIZE as f64 / 1e6 / ours));
    Ok(())
}
