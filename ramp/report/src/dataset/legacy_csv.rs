//! The CSV files of the study of 2021 and of its successors: a row per step, memory in KiB.
//!
//! All layouts have a header. Its first columns are named and come in any order:
//!
//! | column | is |
//! |---|---|
//! | `Iteration` or `Wanted` | the step, which asks for so many instances |
//! | `Start` | seconds since the run began |
//! | `Elapsed` | seconds since the run began; in the oldest files, where it also falls, seconds that the step took |
//! | `Running`, `Creating`, `Pending`, `Terminating`, `Evicted`, `Error` | instances in that state |
//! | `WorkUnits`, `WorkCount` | work done by all instances, and how many of them told of it |
//! | `Total Active Memory`, `Total Free Memory`, `Total Available` | sums over the workers, as their script made them |
//!
//! Then come sections: `Active`, `Free`, `Available`, … name an empty column that separates them, and the numbers behind it are the
//! workers. The script that made the sums counted a worker that did not answer as 0, and one whose connection had died with its last
//! value: a worker with 0 in all sections is [`Freshness::Missing`], one whose active and free memory are those of the row before is
//! [`Freshness::Stale`].

use std::path::Path;

use super::table_reader::{Malformed, TableReader, TableRow, Unreadable};
use super::{Dataset, Freshness, NodeMemory, NodeSample, NodeSeries, Source, Step, name_of};
use crate::progress::Observer;

/// Reads a file of the study.
pub(super) fn read(file: &Path, observer: &Observer) -> Result<Dataset, Unreadable> {
    dataset(file, TableReader::open(file, observer)?)
}

/// Where the columns of a file are that have no name of their own.
struct Layout {
    /// The column of the step, which has two names.
    step: usize,
    workers: Vec<Worker>,
    /// Named columns that nothing is made of.
    unused: Vec<String>,
}

/// Where the columns of a worker are.
struct Worker {
    name: String,
    active: Option<usize>,
    free: Option<usize>,
    available: Option<usize>,
}

/// Columns that are known, and sections that are known but say nothing that is used here.
const KNOWN: [&str; 19] = [
    "Iteration",
    "Wanted",
    "Start",
    "GetPodsTime",
    "Elapsed",
    "Running",
    "Creating",
    "Pending",
    "Terminating",
    "Evicted",
    "Error",
    "WorkUnits",
    "WorkCount",
    "Total Active Memory",
    "Total Free Memory",
    "Total Available",
    "Total Buffers",
    "Total Cached",
    "",
];

impl Layout {
    fn of(table: &mut TableReader) -> Result<Self, Malformed> {
        let step = match table.column("Iteration") {
            Some(step) => step,
            None => table.column("Wanted").map_or_else(|| table.required("Iteration"), Ok)?,
        };
        table.required("Running")?;
        let mut layout = Self { step, workers: Vec::new(), unused: Vec::new() };
        layout.sections(table);
        Ok(layout)
    }

    /// A column named by a number belongs to the section that the nearest other name in front of it begins.
    fn sections(&mut self, table: &mut TableReader) {
        let header = table.header().to_vec();
        let mut section = "";
        for (column, name) in header.iter().enumerate() {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_digit()) {
                section = name;
                let begins_one = header.get(column + 1).is_some_and(|next| next == "0");
                if !begins_one && !KNOWN.contains(&name.as_str()) {
                    self.unused.push(name.clone());
                }
                continue;
            }
            table.rename(column, format!("{section} {name}"));
            let at = self.workers.iter().position(|worker| worker.name == *name).unwrap_or_else(|| {
                self.workers.push(Worker { name: name.clone(), active: None, free: None, available: None });
                self.workers.len() - 1
            });
            let Some(worker) = self.workers.get_mut(at) else { continue };
            match section {
                "Active" => worker.active = Some(column),
                "Free" => worker.free = Some(column),
                "Available" => worker.available = Some(column),
                _ => {}
            }
        }
    }

    fn step(&self, row: &TableRow<'_>) -> Result<Step, Malformed> {
        let count = |name: &str| row.count(row.column(name));
        let number = |name: &str| row.number(row.column(name));
        let step = row.some(self.step, row.count(self.step)?, "the number of the step")?;
        let running = row.column("Running").unwrap_or_default();
        Ok(Step {
            step,
            elapsed_seconds: row.number(row.column("Start").or(row.column("Elapsed")))?,
            asked: Some(step),
            running: row.some(running, row.count(running)?, "a count of instances")?,
            pending: count("Pending")?,
            creating: count("Creating")?,
            terminating: count("Terminating")?,
            evicted: count("Evicted")?,
            failed: count("Error")?,
            work_units: number("WorkUnits")?,
            work_count: number("WorkCount")?,
            memory: NodeMemory {
                free: kib(row, row.column("Total Free Memory"))?,
                available: kib(row, row.column("Total Available"))?,
                active: kib(row, row.column("Total Active Memory"))?,
                ..NodeMemory::default()
            },
            ..Step::default()
        })
    }
}

/// A number of KiB, in bytes.
fn kib(row: &TableRow<'_>, column: Option<usize>) -> Result<Option<u64>, Malformed> {
    // More than any cluster has, and far from where numbers of bytes are no longer exact.
    const MOST_KIB: f64 = (1_u64 << 43) as f64;
    let Some(column) = column else { return Ok(None) };
    match row.number(column)? {
        Some(kib) if kib > MOST_KIB => {
            let found = super::table_reader::quoted(row.text(column)?.unwrap_or_default());
            Err(row.malformed(Some(column), found, "a number of KiB, less than 8 PiB"))
        }
        kib => Ok(kib.map(|kib| (kib * 1024.0).round() as u64)),
    }
}

impl Worker {
    fn memory(&self, row: &TableRow<'_>) -> Result<NodeMemory, Malformed> {
        Ok(NodeMemory {
            free: kib(row, self.free)?,
            available: kib(row, self.available)?,
            active: kib(row, self.active)?,
            ..NodeMemory::default()
        })
    }
}

/// How new a worker's cell is, next to the one before.
fn freshness(now: NodeMemory, before: Option<&NodeSample>) -> Freshness {
    let nothing = |bytes: Option<u64>| bytes.unwrap_or(0) == 0;
    if nothing(now.active) && nothing(now.free) {
        return Freshness::Missing;
    }
    let same = |before: &NodeSample| before.memory.active == now.active && before.memory.free == now.free;
    if before.is_some_and(same) { Freshness::Stale } else { Freshness::Fresh }
}

fn dataset(file: &Path, mut table: TableReader) -> Result<Dataset, Unreadable> {
    let layout = Layout::of(&mut table)?;
    let mut notes: Vec<String> = table.torn().into_iter().collect();
    if !layout.unused.is_empty() {
        notes.push(format!("ignored columns: {}", layout.unused.join(", ")));
    }
    let mut steps: Vec<Step> = Vec::new();
    let node = |worker: &Worker| NodeSeries { name: format!("worker {}", worker.name), samples: Vec::new() };
    let mut nodes: Vec<NodeSeries> = layout.workers.iter().map(node).collect();
    table.rows(|row| {
        let mut step = layout.step(row)?;
        step.fresh = !nodes.is_empty();
        for (node, worker) in nodes.iter_mut().zip(&layout.workers) {
            let memory = worker.memory(row)?;
            let freshness = freshness(memory, node.samples.last());
            step.fresh &= freshness == Freshness::Fresh;
            let elapsed_seconds = step.elapsed_seconds;
            node.samples.push(NodeSample {
                step: step.step,
                elapsed_seconds,
                freshness,
                memory,
                ..NodeSample::default()
            });
        }
        steps.push(step);
        Ok(())
    })?;
    times(&mut steps, table.column("Start").is_some());
    sums(&mut steps, &nodes, &mut notes);
    notes.extend(leftovers(&steps));
    notes.extend(in_no_state(&steps));
    Ok(Dataset { name: name_of(file), source: Source::LegacyCsv, rows: steps.len(), notes, steps, nodes })
}

/// When each step ended and how long it took, from the one column of the two that the layout has. The step that `Start` tells of
/// begins there, so that it took until the next one.
fn times(steps: &mut [Step], tell_the_start: bool) {
    let told: Vec<Option<f64>> = steps.iter().map(|step| step.elapsed_seconds).collect();
    let differences = || told.windows(2).map(|pair| Some(pair.last().copied()?? - pair.first().copied()??));
    if tell_the_start {
        for (step, took) in steps.iter_mut().zip(differences()) {
            step.step_seconds = took.filter(|seconds| *seconds >= 0.0);
        }
    } else if differences().flatten().any(|seconds| seconds < 0.0) {
        let mut elapsed = 0.0;
        for (step, took) in steps.iter_mut().zip(&told) {
            elapsed += took.unwrap_or(0.0);
            step.step_seconds = *took;
            step.elapsed_seconds = Some(elapsed);
        }
    } else {
        let took = std::iter::once(told.first().copied().flatten()).chain(differences());
        for (step, took) in steps.iter_mut().zip(took) {
            step.step_seconds = took;
        }
    }
}

/// Instances of an earlier run that were still there when this one began.
fn leftovers(steps: &[Step]) -> Option<String> {
    let first = steps.first()?;
    let known = [
        (first.terminating, "terminating"),
        (first.evicted, "evicted"),
        (first.failed, "failed"),
        (Some(first.running.saturating_sub(first.asked?)), "running"),
    ];
    let left: Vec<String> = known
        .into_iter()
        .filter_map(|(count, state)| Some((count.filter(|count| *count > 0)?, state)))
        .map(|(count, state)| format!("{count} {state}"))
        .collect();
    (!left.is_empty() && first.asked <= Some(1)).then(|| {
        format!(
            "instances of an earlier run were present at the first step ({}): memory before it is not that of an idle cluster",
            left.join(", ")
        )
    })
}

/// Instances that were asked for and are in none of the states that a file has.
fn in_no_state(steps: &[Step]) -> Option<String> {
    let missing = |step: &Step| {
        let known =
            [step.creating?, step.pending.unwrap_or(0), step.evicted.unwrap_or(0), step.failed.unwrap_or(0)];
        let there = step.running + known.iter().sum::<u32>();
        let missing = step.asked?.saturating_sub(there);
        (missing > 0).then_some((missing, step.step))
    };
    // A poll sees pods a moment after they were asked for.
    const A_MOMENT: u32 = 1;
    let all: Vec<(u32, u32)> =
        steps.iter().filter_map(missing).filter(|(count, _)| *count > A_MOMENT).collect();
    let (most, step) = all.iter().copied().max()?;
    Some(format!(
        "in {} of {} steps requested instances are in none of the recorded states, up to {most} (step {step})",
        all.len(),
        steps.len()
    ))
}

/// Where the file has no sums they are made, of rows in which each worker said something new. Where it has, they are held against
/// the workers.
fn sums(steps: &mut [Step], nodes: &[NodeSeries], notes: &mut Vec<String>) {
    type Part = fn(&NodeMemory) -> Option<u64>;
    type Place = fn(&mut NodeMemory) -> &mut Option<u64>;
    let parts: [(&str, Part, Place); 3] = [
        ("active", |memory| memory.active, |memory| &mut memory.active),
        ("free", |memory| memory.free, |memory| &mut memory.free),
        ("available", |memory| memory.available, |memory| &mut memory.available),
    ];
    for (name, of, sum) in parts {
        let recorded = steps.iter().any(|step| of(&step.memory).is_some());
        let mut differ = 0;
        for (index, step) in steps.iter_mut().enumerate() {
            let cells =
                nodes.iter().map(|node| node.samples.get(index).and_then(|sample| of(&sample.memory)));
            let Some(made) = cells.sum::<Option<u64>>().filter(|_| !nodes.is_empty()) else { continue };
            if recorded {
                // Sums with six digits are still these sums.
                let others = |recorded: u64| recorded.abs_diff(made) > made / 100_000;
                differ += usize::from(of(&step.memory).is_some_and(others));
            } else if step.fresh {
                *sum(&mut step.memory) = Some(made);
            }
        }
        if differ > 0 {
            notes.push(format!(
                "in {differ} rows total {name} memory differs from the sum of the workers; used as recorded"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Dataset, String> {
        let file = Path::new("runc.csv");
        let table = TableReader::of(file, text.as_bytes().to_vec()).map_err(|error| error.to_string())?;
        dataset(file, table).map_err(|error| error.to_string())
    }

    const OLDEST: &str = "Iteration,Elapsed,Running,Creating,Total Active Memory,Total Free Memory, Active,0,1,Free,0,1\n\
                          0,5,0,0,300,700,,100,200,,300,400\n\
                          1,26,1,0,310,690,,110,200,,290,400\n\
                          2,4,2,1,310,690,,110,200,,290,400\n";
    const LAST: &str = "Start,GetPodsTime,Wanted,Running,Creating,Pending,Terminating,Error,Total Active Memory,Total Free Memory,\
         Total Available,Total Buffers,Total Cached,Active,0,Free,0,Available,0,Buffers,0,Cached,0\n\
         0,1,0,0,0,0,2,0,100,900,950,1,2,,100,,900,,950,,1,,2\n\
         5,0,10,7,2,1,2,3,8.41218e+06,800,850,1,2,,8412180,,800,,850,,1,,2\n";

    #[test]
    fn the_oldest_layout_has_steps_times_and_workers() {
        let data = read(OLDEST).unwrap();
        assert_eq!((data.name.as_str(), data.rows, data.nodes.len()), ("runc", 3, 2));
        let last = data.steps.last().unwrap();
        assert_eq!((last.step, last.asked, last.running, last.creating), (2, Some(2), 2, Some(1)));
        assert_eq!((last.evicted, last.terminating), (None, None), "what is not told is not 0");
        assert_eq!(last.memory.active, Some(310 * 1024));
        // It falls, so that it is the time of each step.
        assert_eq!((last.step_seconds, last.elapsed_seconds), (Some(4.0), Some(35.0)));
        assert!(data.notes.is_empty(), "{:?}", data.notes);
    }

    #[test]
    fn times_that_never_fall_are_those_since_the_beginning() {
        let data = read("Iteration,Elapsed,Running\n1,5,1\n2,14,2\n3,14,3\n").unwrap();
        let times: Vec<_> = data.steps.iter().map(|step| (step.elapsed_seconds, step.step_seconds)).collect();
        assert_eq!(times, [(Some(5.0), Some(5.0)), (Some(14.0), Some(9.0)), (Some(14.0), Some(0.0))]);
    }

    #[test]
    fn the_last_layout_tells_when_steps_began_and_what_was_wanted() {
        let data = read(LAST).unwrap();
        let (first, last) = (&data.steps[0], &data.steps[1]);
        assert_eq!((first.elapsed_seconds, first.step_seconds), (Some(0.0), Some(5.0)));
        assert_eq!((last.step, last.asked, last.pending, last.failed), (10, Some(10), Some(1), Some(3)));
        assert_eq!(last.memory.available, Some(850 * 1024));
        assert_eq!(last.memory.active, Some(8_412_180 * 1024));
        assert_eq!(data.nodes[0].samples[1].memory.available, Some(850 * 1024));
        assert!(data.notes[0].contains("present at the first step (2 terminating)"), "{:?}", data.notes);
    }

    #[test]
    fn a_cell_that_repeats_the_row_before_is_stale_and_one_of_zeros_is_missing() {
        let data = read(
            "Iteration,Elapsed,Running,Active,0,1,Free,0,1\n1,1,1,,100,0,,300,0\n2,2,2,,100,50,,300,60\n\
             3,3,3,,100,50,,301,60\n4,4,4,,101,51,,301,61\n5,5,5,,0,51,,0,61\n6,6,6,,0,52,,0,61\n",
        )
        .unwrap();
        let of = |worker: usize| {
            data.nodes[worker].samples.iter().map(|sample| sample.freshness).collect::<Vec<_>>()
        };
        use Freshness::{Fresh, Missing, Stale};
        assert_eq!(of(0), [Fresh, Stale, Fresh, Fresh, Missing, Missing]);
        assert_eq!(of(1), [Missing, Fresh, Stale, Fresh, Stale, Fresh]);
        let cells = data.cells();
        assert_eq!((cells.all, cells.stale, cells.missing), (12, 3, 3));
        assert_eq!(cells.stale_percent(), Some(25.0));
        // Where the file has no sums, only of rows in which each worker said something new.
        let sums: Vec<_> =
            data.steps.iter().map(|step| step.memory.active.map(|bytes| bytes / 1024)).collect();
        assert_eq!(sums, [None, None, None, Some(152), None, None]);
    }

    #[test]
    fn sums_stand_as_recorded_and_it_is_said_where_they_are_not_those_of_the_workers() {
        let data =
            read("Iteration,Elapsed,Running,Total Active Memory,Active,0,1\n1,1,1,999,,100,200\n").unwrap();
        assert_eq!(data.steps[0].memory.active, Some(999 * 1024));
        assert!(data.notes[0].contains("in 1 rows total active memory differs"), "{:?}", data.notes);
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let said = |text: &str| read(text).unwrap_err();
        assert_eq!(
            said("a,b\n1,2\n"),
            r#"runc.csv:1: found "a,b", expected a header with a column "Iteration""#
        );
        let text = "Iteration,Elapsed,Running,Active,0,Free,0\n1,1,1,,x,,3\n";
        assert_eq!(said(text), r#"runc.csv:2: column "Active 0": found "x", expected a number, 0 or more"#);
        let text = "Iteration,Elapsed,Running\n1,1,2.5\n";
        assert_eq!(said(text), r#"runc.csv:2: column "Running": found "2.5", expected a whole number"#);
        let text = "Iteration,Elapsed,Running\n,1,2\n";
        assert_eq!(
            said(text),
            r#"runc.csv:2: column "Iteration": found nothing, expected the number of the step"#
        );
        let text = "Iteration,Running,Active,0\n1,1,,1e300\n";
        assert!(said(text).ends_with("expected a number of KiB, less than 8 PiB"), "{}", said(text));
    }

    #[test]
    fn a_column_that_is_not_known_is_named() {
        let data = read("Iteration,Elapsed,Running,Mood\n1,1,1,fine\n").unwrap();
        assert_eq!(data.notes, ["ignored columns: Mood"]);
    }
}
