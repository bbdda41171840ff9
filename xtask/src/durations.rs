//! Durations of the steps of each lane, one file a lane, for the summary.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

/// A file of each lane, named after it: seconds, a tab, and the title of each step. `.ci/run` writes one as well.
const DIRECTORY: &str = "target/steps";

/// The lane that runs, and its present step.
#[derive(Debug)]
struct Running {
    lane: String,
    step: Option<(String, Instant)>,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

fn running() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A lane begins: what an earlier run of it took is removed.
pub(crate) fn lane_begins(lane: &str) {
    // What cannot be recorded is missing from the summary, and no reason not to test.
    let _ = fs::remove_file(PathBuf::from(DIRECTORY).join(lane));
    *running() = Some(Running { lane: lane.to_owned(), step: None });
}

/// A step begins, and the one before it has ended.
pub(crate) fn step_begins(title: &str) {
    if let Some(running) = running().as_mut() {
        running.record();
        running.step = Some((title.to_owned(), Instant::now()));
    }
}

/// The lane has ended, well or not.
pub(crate) fn lane_ends() {
    if let Some(mut running) = running().take() {
        running.record();
    }
}

impl Running {
    fn record(&mut self) {
        let Some((title, begin)) = self.step.take() else { return };
        let path = PathBuf::from(DIRECTORY).join(&self.lane);
        let file = fs::create_dir_all(DIRECTORY)
            .and_then(|()| fs::OpenOptions::new().create(true).append(true).open(path));
        let _ = file.and_then(|mut file| writeln!(file, "{:.0}\t{title}", begin.elapsed().as_secs_f64()));
    }
}

/// Steps of the lanes that have run, in the order in which the lanes ended: lane, seconds, and title of each.
pub(crate) fn recorded() -> Vec<(String, u64, String)> {
    let mut lanes: Vec<(SystemTime, PathBuf)> = fs::read_dir(DIRECTORY)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    lanes.sort();
    let steps = lanes.into_iter().flat_map(|(_, path)| {
        let lane = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.lines().filter_map(|line| step_of(&lane, line)).collect::<Vec<_>>()
    });
    steps.collect()
}

fn step_of(lane: &str, line: &str) -> Option<(String, u64, String)> {
    let (seconds, title) = line.split_once('\t')?;
    Some((lane.to_owned(), seconds.parse().ok()?, title.to_owned()))
}

/// A table of steps and of what each lane took.
pub(crate) fn table(steps: &[(String, u64, String)]) -> String {
    let width = steps.iter().map(|(lane, ..)| lane.chars().count()).max().unwrap_or_default().max(4);
    let line = |lane: &str, seconds: &str, title: &str| format!("{lane:width$}  {seconds:>7}  {title}\n");
    let mut table = line("lane", "seconds", "step");
    for of_lane in steps.chunk_by(|(one, ..), (other, ..)| one == other) {
        for (lane, seconds, title) in of_lane {
            table += &line(lane, &seconds.to_string(), title);
        }
        if let [(lane, ..), _, ..] = of_lane {
            let all: u64 = of_lane.iter().map(|(_, seconds, _)| seconds).sum();
            table += &line(lane, &all.to_string(), "(all)");
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_step_and_the_sum_of_each_lane_with_several() {
        let lines = ["4\tformat", "186\ttests", "no step"].map(|line| step_of("check", line));
        let mut steps: Vec<_> = lines.into_iter().flatten().collect();
        steps.extend(step_of("worlds", "300\tsimulated clusters"));
        let expected = "\
lane    seconds  step
check         4  format
check       186  tests
check       190  (all)
worlds      300  simulated clusters
";
        assert_eq!(table(&steps), expected);
    }
}
