//! Exactness while metrics are scraped, and under hostile clients.

use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::client::{Answers, beside, get, scraped};
use crate::cpu::{add_exactness, burning};
use crate::hostile::attack;
use crate::life::add_overhead;
use crate::memory::{resident_row, wait_until_holding};
use crate::meter::{Metered, exactness, first, last, second_half};
use crate::peers::{Beside, Peers};
use crate::support::rollup;
use crate::table::{Row, Table};
use crate::{Effort, Outcome, workload};

pub(crate) fn listen(effort: Effort, _: &Peers, table: &mut Table) -> Outcome<()> {
    let mut answers = Answers::default();
    exact(effort, &mut answers, table)?;
    resident(&mut answers, table)?;
    idle(effort, &mut answers, table)?;
    answers.add(table, "/metrics", false)?;
    under_attack(effort, table)
}

/// Starts it with a server, and waits until that answers.
fn listening(command: &mut Command) -> Outcome<(Metered, SocketAddr)> {
    // Somebody else may take the port in between; then the program says so by ending.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut metered = Metered::start(command.args(["--listen", &address.to_string()]))?;
    let begin = Instant::now();
    loop {
        metered.still_runs().map_err(|error| format!("workload --listen {address}: {error}"))?;
        match get(address, "/healthz") {
            Ok(_) => return Ok((metered, address)),
            Err(error) if begin.elapsed() > Duration::from_secs(5) => {
                return Err(format!("workload --listen {address}: no answer within 5 s: {error}").into());
            }
            Err(_) => sleep(Duration::from_millis(1)),
        }
    }
}

fn exact(effort: Effort, answers: &mut Answers, table: &mut Table) -> Outcome<()> {
    let time = effort.seconds(20, 2);
    table.title(format!("CPU, {} s, /metrics read at 10 Hz", time.as_secs()));
    let asked: &[f64] = if effort.smoke { &[0.2] } else { &[0.05, 0.2, 1.5] };
    for &cores in asked {
        let (mut metered, address) = listening(&mut burning(cores))?;
        let readings = scraped(answers, address, || metered.watch(time));
        metered.still_runs()?;
        add_exactness(table, cores, exactness(&readings, cores), <[Beside; 3]>::default());
    }
    Ok(())
}

fn resident(answers: &mut Answers, table: &mut Table) -> Outcome<()> {
    table.title("resident set when holding, /metrics read at 10 Hz");
    let mut command = workload(&["--memory", "500M", "--growth-rate", "instant"]);
    let (mut metered, address) = listening(command.stdout(Stdio::piped()))?;
    let had = scraped(answers, address, || {
        wait_until_holding(&mut metered.running)?;
        // As without a server: the lost reader of its reports takes a page or two.
        sleep(Duration::from_secs(3));
        let had = rollup(metered.running.child.id(), "Rss");
        had.ok_or_else(|| Box::<dyn std::error::Error>::from("no smaps_rollup"))
    })?;
    table.add(resident_row(500_000_000, had));
    Ok(())
}

fn idle(effort: Effort, answers: &mut Answers, table: &mut Table) -> Outcome<()> {
    let time = effort.seconds(20, 2);
    table.title(format!("own overhead: --memory 0 --cpu 0 for {} s, /metrics read at 10 Hz", time.as_secs()));
    let (mut metered, address) = listening(&mut workload(&["--memory", "0", "--cpu", "0"]))?;
    scraped(answers, address, || sleep(time));
    add_overhead(table, &mut metered, None)
}

/// No memory is asked for here: a program that holds so much makes up for what its server takes, and hides it.
fn under_attack(effort: Effort, table: &mut Table) -> Outcome<()> {
    let time = effort.seconds(20, 2);
    table.title(format!(
        "CPU 0.2 for {} s under 200 silent connections, one that drips, one that never reads, a flood of connects",
        time.as_secs()
    ));
    let (mut metered, address) = listening(&mut burning(0.2))?;
    for _ in 0..10 {
        // What the first request takes is not what the attack takes.
        get(address, "/metrics")?;
    }
    sleep(Duration::from_secs(1));
    let pid = metered.running.child.id();
    let resident = || rollup(pid, "Rss").map(|bytes| bytes as f64).ok_or("no smaps_rollup");
    let before = resident()?;
    let mut answers = Answers::default();
    let ask = |ended: &AtomicBool| {
        answers.ask(address, "/readyz", Duration::from_millis(500), |_| Ok(()), ended);
    };
    let measure = || (metered.watch(time), resident());
    let (made, ((), (readings, during))) = beside(|ended| attack(address, ended), || beside(ask, measure));
    metered.still_runs()?;
    let half = second_half(&readings);
    let settled = last(half).cores_since(first(half));
    table.add(Row::new("second half", "cores", settled).asked(0.2).bound(0.2));
    let growth = during?.max(resident()?) - before;
    table.add(Row::new("growth of the resident set", "B", growth).bound(65_536.0));
    table.add(Row::new("connections of the flood", "", made as f64));
    answers.add(table, "/readyz", true)
}
