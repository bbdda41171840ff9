//! Reproducible run directories, recorded on simulated clusters.

use std::path::Path;
use std::time::Duration;

use ramp::clock::Clock;
use ramp::run::{Run, Surroundings};
use ramp::ui::View;
use ramp_format::directory::Directory;
use ramp_format::plan::Plan;
use tokio::sync::watch;

use super::support::{Script, Shortage, engine, plan, rules, run_file, script};

/// Steps of one up to thirty and down again, which end five steps after the first eviction or OOM kill.
pub(crate) fn thirty() -> Plan {
    Plan { to: 30, down: true, stop: rules(&["evictions:0/1m", "oom-kills:0/1m"]), beyond: 5, ..plan() }
}

/// Twenty-four fit, and then there is a shortage of this kind.
pub(crate) fn twenty_four(shortage: Shortage) -> Script {
    let mut script = Script { shortage, ..script() };
    script.nodes.iter_mut().for_each(|node| node.memory.0 *= 3);
    script
}

/// Runs in a directory, for so long at most: what is cut off is as its process has left it when it was killed.
pub(crate) fn record(directory: &Path, plan: &Plan, script: &Script, limit: Duration, view: View) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let noon = humantime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap();
        let clock = Clock::simulated(noon);
        let (_interrupt, interrupts) = watch::channel(0);
        let directory = Directory::create(directory, run_file(plan, clock.now())).unwrap();
        let surroundings = Surroundings { clock, view, interrupts };
        let run = Run::new(engine(script), directory, surroundings).go();
        let _ = tokio::time::timeout(limit, run).await;
    });
}

/// As long as any of them takes.
pub(crate) const WHOLE: Duration = Duration::from_secs(100_000);
