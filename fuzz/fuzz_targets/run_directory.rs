//! Fuzz target: a run directory that was cut, changed or shuffled is refused with a message, or gives a report without a panic.
//!
//! The input is a list of changes to a small run directory, eight bytes each: what, in which file, where, and with what.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ramp_report::dataset::Dataset;
use ramp_report::report::Report;
use ramp_report::report::charts::{charts, marks};
use ramp_report::report::html::page;
use ramp_report::report::json::json;
use ramp_report::report::markdown::markdown;
use ramp_report::report::memory_bars;
use ramp_report::report::svg::svg;
use ramp_report::report::terminal::text;

/// Names and contents of the files of a run directory.
type Files = [(&'static str, Vec<u8>); 6];

macro_rules! files {
    ($($name:literal),*) => {
        [$(($name, include_bytes!(concat!("../../ramp/report/tests/versions/1-current/", $name)).to_vec())),*]
    };
}

/// One directory for each process, below `TMPDIR` (which `run.sh` removes).
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = std::env::temp_dir().join(format!("run-directory-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for the files");
    directory
});

fuzz_target!(|changes: &[u8]| {
    let mut files: Files =
        files!("run.json", "steps.csv", "pods.csv", "nodes.csv", "workloads.csv", "events.csv");
    for change in changes.chunks_exact(8) {
        apply(change, &mut files);
    }
    for (name, contents) in &files {
        fs::write(DIRECTORY.join(name), contents).expect("room for the files");
    }
    let data = match Dataset::read(&DIRECTORY) {
        Ok(data) => data,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let report = Report::of(vec![data], None);
    let (charts, plots, marks) = (charts(&report), memory_bars::charts(&report), marks(&report));
    assert!(json(&report).is_object());
    assert!(!text(&report).is_empty() && !markdown(&report, &charts, &plots).is_empty());
    // The page has all charts; the same code draws each of them as a file.
    if let Some(chart) = charts.get(changes.len() / 8 % charts.len().max(1)) {
        svg(chart, &marks).expect("a chart");
    }
    page(&report, &charts, &marks, &plots).expect("a page");
});

/// Makes one change of the files.
fn apply(change: &[u8], files: &mut Files) {
    let [what, file, from @ ..] = change else { return };
    let [a, b, c, d, other, value] = from else { return };
    let (first, second) =
        (usize::from(u16::from_le_bytes([*a, *b])), usize::from(u16::from_le_bytes([*c, *d])));
    let file = usize::from(*file) % files.len();
    let other = usize::from(*other) % files.len();
    let contents = &mut files[file].1;
    match what % 8 {
        // A torn file, or an empty one.
        0 => contents.truncate(first),
        1 => {
            if let Some(byte) = contents.get_mut(first) {
                *byte = *value;
            }
        }
        2 => {
            let at = first.min(contents.len());
            contents.insert(at, *value);
        }
        3 => {
            let (from, to) = (first.min(contents.len()), second.min(contents.len()));
            contents.drain(from.min(to)..from.max(to));
        }
        // Rows: removed, repeated, swapped, and moved to another table.
        4 => rows(contents, |rows| {
            rows.remove(first % rows.len());
        }),
        5 => rows(contents, |rows| rows.insert(second % rows.len(), rows[first % rows.len()].clone())),
        6 => rows(contents, |rows| {
            let (one, two) = (first % rows.len(), second % rows.len());
            rows.swap(one, two);
        }),
        _ => {
            let moved = contents.split_inclusive(|byte| *byte == b'\n').nth(first % 64).map(<[u8]>::to_vec);
            files[other].1.extend(moved.unwrap_or_default());
        }
    }
}

/// Changes the rows of a file that has any.
fn rows(contents: &mut Vec<u8>, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut rows: Vec<Vec<u8>> =
        contents.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if !rows.is_empty() {
        change(&mut rows);
        *contents = rows.concat();
    }
}
