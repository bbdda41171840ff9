//! Run directories as the report reads them: whole, truncated at any byte, and with foreign content.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use ramp_format::plan::Plan;
use ramp_report::analysis::external_changes::changes;
use ramp_report::analysis::failure_modes::{Resource, breaks};
use ramp_report::analysis::instance_losses::losses;
use ramp_report::analysis::latency::{latency, startups};
use ramp_report::analysis::{Estimates, SaturationRule};
use ramp_report::dataset::{Dataset, Freshness};
use ramp_report::stats::Quantile;

use crate::support::{Fault, FaultKind, SECOND, Stage, plan, rows, script};

const TABLES: [&str; 7] =
    ["steps.csv", "nodes.csv", "pods.csv", "workloads.csv", "events.csv", "components.csv", "limits.csv"];

/// Thirty steps up and down on two nodes that 24 instances fit on.
async fn recorded() -> Stage {
    let stage = Stage::new();
    let plan = Plan { to: 30, down: true, ..plan() };
    let mut script = script();
    script.nodes.iter_mut().for_each(|node| node.memory.0 *= 3);
    stage.run_script(&plan, script).await;
    stage
}

#[tokio::test(start_paused = true)]
async fn a_run_says_how_many_fit_and_what_each_costs() {
    let stage = recorded().await;
    let data = Dataset::read(&stage.path()).unwrap();
    assert_eq!(data.rows, rows(&stage.path(), "steps.csv").len());
    assert_eq!(data.way_up().count(), 30);
    assert!(data.notes.is_empty(), "{:?}", data.notes);
    assert_eq!(data.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let found = Estimates::of(&data, None);
    // More were at work for a moment, until they were evicted.
    assert_eq!(found.held.unwrap().count, 24);
    assert!(found.running.unwrap().count > 24);
    let saturation = found.saturation.saturation.unwrap();
    assert_eq!((saturation.step, saturation.rule), (25, SaturationRule::Evicted));
    assert_eq!(saturation.resource, Some(Resource::Memory));
    let cost = found.marginal_cost.unwrap();
    // Of whole pages, with the page tables that this world's kernels do not have.
    assert!((cost.bytes - 500e6).abs() < 1.1e6, "{cost:?}");
    assert!(cost.interval.low < 500e6 && 500e6 < cost.interval.high, "{cost:?}");
}

type Cells = BTreeMap<String, String>;

/// Writes `nodes.csv` anew, each of its rows changed.
fn rewrite(stage: &Stage, before: &[Cells], change: impl Fn(usize, &mut Cells)) {
    let mut writer = csv::Writer::from_path(stage.path().join("nodes.csv")).unwrap();
    let mut after = before.to_vec();
    after.iter_mut().enumerate().for_each(|(at, row)| change(at, row));
    writer.write_record(after[0].keys()).unwrap();
    after.iter().for_each(|row| writer.write_record(row.values()).unwrap());
}

#[tokio::test(start_paused = true)]
async fn unreclaimable_memory_is_each_of_its_parts_once() {
    let stage = recorded().await;
    let before = rows(&stage.path(), "nodes.csv");
    let parts = [
        "memory_anon_bytes",
        "memory_shmem_bytes",
        "memory_slab_unreclaimable_bytes",
        "memory_kernel_stack_bytes",
        "memory_page_tables_bytes",
        "memory_secondary_page_tables_bytes",
        "memory_percpu_bytes",
    ];
    rewrite(&stage, &before, |at, row| {
        for (number, part) in parts.iter().enumerate() {
            let is_told = at != 1 || number < 5;
            row.insert((*part).into(), if is_told { (1 << number).to_string() } else { String::new() });
        }
        for (name, value) in [("count", "7"), ("free_count", "4")] {
            row.insert(format!("huge_pages_{name}"), value.into());
        }
        row.insert("huge_page_size_bytes".into(), "2048".into());
    });
    let data = Dataset::read(&stage.path()).unwrap();
    let told = data.nodes.iter().map(|node| node.samples[0].memory.unreclaimable);
    assert_eq!(
        told.collect::<Vec<_>>(),
        [Some(127 + 3 * 2048), Some(31 + 3 * 2048)],
        "the second knows no Percpu"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_booted_again_is_another_kernel() {
    let stage = recorded().await;
    let before = rows(&stage.path(), "nodes.csv");
    let points = || {
        let costs = Estimates::of(&Dataset::read(&stage.path()).unwrap(), None).costs;
        costs.series.iter().map(Vec::len).collect::<Vec<_>>()
    };
    let once = points();
    assert_eq!(once.len(), 2);
    rewrite(&stage, &before, |_, row| {
        if row["node"] == "a" && row["elapsed_seconds"].parse::<f64>().unwrap() > 8.0 {
            row.insert("boot_id".into(), "another".into());
            row.insert("memory_available_bytes".into(), "1".into());
        }
    });
    let twice = points();
    assert_eq!((twice[0] + twice[2], twice[1]), (once[0], once[1]), "each sample is of one kernel");
}

#[tokio::test(start_paused = true)]
async fn what_stayed_after_a_run_that_was_cut_short_is_not_known() {
    let stage = recorded().await;
    for table in ["steps.csv", "nodes.csv", "pods.csv", "workloads.csv"] {
        let file = stage.path().join(table);
        let text = fs::read_to_string(&file).unwrap();
        let half = text.lines().count() / 2;
        fs::write(&file, text.split_inclusive('\n').take(half).collect::<String>()).unwrap();
    }
    let cost = Estimates::of(&Dataset::read(&stage.path()).unwrap(), None).marginal_cost.unwrap();
    assert!(cost.inputs.contains("memory retained after the run is unknown"), "{cost:?}");
}

#[tokio::test(start_paused = true)]
async fn what_each_costs_is_of_memory_that_cannot_be_taken_back_where_each_sample_tells_of_it() {
    let stage = recorded().await;
    let before = rows(&stage.path(), "nodes.csv");
    let bytes = |row: &Cells, what: &str| row[what].parse::<u64>().unwrap();
    let tell = |at: usize, row: &mut Cells| {
        // Caches that come and go are not what an instance costs.
        let used = bytes(row, "memory_total_bytes") - bytes(row, "memory_available_bytes");
        row.insert("memory_available_bytes".into(), (at as u64 % 7 * 100_000_000).to_string());
        for part in ["shmem", "slab_unreclaimable", "kernel_stack", "page_tables", "percpu"] {
            row.insert(format!("memory_{part}_bytes"), "1000000".into());
        }
        row.insert("memory_anon_bytes".into(), used.to_string());
    };
    rewrite(&stage, &before, tell);
    let found = Estimates::of(&Dataset::read(&stage.path()).unwrap(), None).marginal_cost.unwrap();
    assert!(
        found.inputs.contains("unreclaimable memory") && (found.bytes - 500e6).abs() < 1.1e6,
        "{found:?}"
    );
    rewrite(&stage, &before, |at, row| {
        tell(at, row);
        row.insert("memory_page_tables_bytes".into(), if at == 3 { "" } else { "0" }.into());
    });
    let found = Estimates::of(&Dataset::read(&stage.path()).unwrap(), None).costs;
    assert!(found.measure.name.contains("MemAvailable"), "one that does not tell is enough: {found:?}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_never_got_ready_takes_longer_than_it_was_watched() {
    let stage = recorded().await;
    let data = Dataset::read(&stage.path()).unwrap();
    let levels = latency(&data, 24).unwrap();
    let first = &levels[0];
    assert_eq!((first.from, first.to, first.survival.count, first.survival.censored), (0, Some(6), 6, 0));
    assert!(
        matches!(first.survival.quantile(0.5), Quantile::Seconds(seconds, ..) if (2.0..2.3).contains(&seconds)),
        "created within 1 s, filled within another: {:?}",
        first.survival.quantile(0.5)
    );
    let beyond = levels.last().unwrap();
    assert_eq!((beyond.from, beyond.to), (24, None));
    assert!(beyond.survival.censored > 0, "some never found room: {beyond:?}");
    assert!(matches!(beyond.survival.quantile(0.99), Quantile::LongerThan(_)));
    let all: usize = levels.iter().map(|level| level.survival.count).sum();
    assert_eq!(all, startups(&data).unwrap().len(), "each instance is of one level");
}

#[tokio::test(start_paused = true)]
async fn what_gave_way_first_is_named() {
    let stage = recorded().await;
    let data = Dataset::read(&stage.path()).unwrap();
    let found = breaks(&data, &losses(&data), &changes(&data));
    let said: Vec<_> = found.iter().map(|found| (found.resource, found.what, found.step)).collect();
    let expected = [
        (Resource::Memory, "an instance was evicted", 25),
        (Resource::Time, "a step did not settle within its time limit", 25),
    ];
    assert_eq!(said, expected);
    assert_eq!(found[0].evidence, "Evicted: The node was low on resource: memory.");
}

#[tokio::test(start_paused = true)]
async fn a_run_directory_can_be_read_wherever_it_was_cut_short() {
    let stage = recorded().await;
    let whole = Dataset::read(&stage.path()).unwrap();
    for table in TABLES {
        let file = stage.path().join(table);
        let text = fs::read(&file).unwrap();
        let first = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        // Anywhere in the header and the first rows, and then here and there.
        let cuts = (0..(first + 400).min(text.len())).step_by(31).chain((0..text.len()).step_by(4999));
        for cut in cuts {
            fs::write(&file, &text[..cut]).unwrap();
            let data =
                Dataset::read(&stage.path()).unwrap_or_else(|error| panic!("{table} cut at {cut}: {error}"));
            let is_whole = text[..cut].last() == Some(&b'\n');
            let said = data.notes.iter().any(|note| {
                note.contains(table) && ["cut off", "incomplete"].iter().any(|what| note.contains(what))
            });
            assert_eq!(said, !is_whole, "{table} cut at {cut}: {:?}", data.notes);
            assert!(data.rows <= whole.rows);
            let _ = Estimates::of(&data, None);
        }
        fs::write(&file, &text).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_lost_is_said() {
    let stage = recorded().await;
    fs::remove_file(stage.path().join("nodes.csv")).unwrap();
    let file = stage.path().join("run.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("\"rows_lost\": 0", "\"rows_lost\": 3")).unwrap();
    let data = Dataset::read(&stage.path()).unwrap();
    let notes = data.notes.join("\n");
    for said in ["nodes.csv is missing", "3 rows could not be written"] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    let why = Estimates::of(&data, None).marginal_cost.unwrap_err();
    assert!(why.0.starts_with("no sample before saturation"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_belong_there_is_refused_with_its_place() {
    let stage = recorded().await;
    let said = |table: &str, from: &str, to: &str| {
        let file = stage.path().join(table);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{table}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let error = Dataset::read(&stage.path()).unwrap_err().to_string();
        fs::write(&file, text).unwrap();
        error.split_once(&format!("{table}:")).map(|(_, said)| said.to_owned()).unwrap_or(error)
    };
    assert_eq!(
        said("steps.csv", ",up,", ",sideways,"),
        "2: column \"part\": found \"sideways\", expected a value that ramp writes (unknown variant `sideways`, expected one of \
         `up`, `hold`, `search`, `down`, `clean`)"
    );
    let number = said("steps.csv", ",settled,", ",settled,x");
    assert!(number.starts_with(r#"2: column "step_seconds": found "x"#), "{number}");
    let header = said("steps.csv", "asked_instances", "asked");
    assert!(header.contains("missing field `asked_instances`"), "{header}");
    assert!(said("nodes.csv", ",sample,", ",guess,").ends_with(r#"found "guess", expected sample or gap"#));
    let version = said("run.json", "\"format_version\": 1", "\"format_version\": 7");
    assert!(version.starts_with(" format version 7; "), "{version}");
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_missing_and_enters_nothing() {
    let stage = Stage::new();
    let mut script = script();
    script.faults.push(Fault { from: 3 * SECOND, to: 9 * SECOND, kind: FaultKind::Silent("a".into()) });
    stage.run_script(&plan(), script).await;
    let data = Dataset::read(&stage.path()).unwrap();
    let node = data.nodes.iter().find(|node| node.name == "a").unwrap();
    assert!(node.samples.iter().any(|sample| sample.freshness == Freshness::Missing));
    assert_eq!(
        data.cells().missing,
        node.samples.iter().filter(|sample| sample.freshness == Freshness::Missing).count()
    );
}

fn any_table() -> impl Strategy<Value = usize> {
    0..TABLES.len()
}

#[test]
fn whatever_bytes_are_in_it_a_run_directory_is_read_or_refused() {
    let stage = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(recorded());
    let whole: Vec<Vec<u8>> =
        TABLES.iter().map(|table| fs::read(stage.path().join(table)).unwrap()).collect();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    proptest!(ProptestConfig::with_cases(100), |(table in any_table(), changes in changes)| {
        let mut text = whole[table].clone();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let file = stage.path().join(TABLES[table]);
        fs::write(&file, text).unwrap();
        judge(&stage.path());
        fs::write(&file, &whole[table]).unwrap();
    });
}

/// It is read, and everything can be estimated or not; or it is refused with a place.
fn judge(path: &Path) {
    match Dataset::read(path) {
        Ok(data) => drop(Estimates::of(&data, Some(500_000_000))),
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains(": found ") && error.contains(", expected "), "{error}");
        }
    }
}
