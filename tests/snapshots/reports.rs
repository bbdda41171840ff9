//! Reports in each format, of synthetic samples on the recorded machine `tests/hosts/v2-nested`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use workload::cpu::CpuCounters;
use workload::host::{Correction, Host, MergedPages, Node, SharedMemory};
use workload::memory::{MemoryCounters, Phase};
use workload::quantity::{Bytes, Cores};
use workload::report::{
    Format, Kind, NodeReport, NodeSnapshot, NodeStart, Record, Snapshot, Start, Wanted, WorkloadReport,
    Writer, metrics,
};
use workload::sample::{Rates, Sample};

use super::hold;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/v2-nested")
}

fn noon() -> SystemTime {
    humantime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap()
}

fn start() -> Start {
    let settings = [("memory", "500M"), ("growth-rate", "10M/s"), ("cpu", "0.2"), ("format", "text")];
    Start {
        hostname: "pod-1".into(),
        kernel: "6.1.0".into(),
        settings: settings.map(|(name, value)| (name, value.to_owned())).to_vec(),
    }
}

/// A load of 500 MB and 0.2 cores so many seconds after its start.
fn snapshot<'a>(host: &'a Host, start: &'a Start, record: Record<'a>, seconds: u64) -> Snapshot<'a> {
    let wanted = Bytes((seconds * 10_000_000).min(500_000_000));
    let busy = Duration::from_millis(200 * seconds);
    Snapshot {
        record,
        elapsed: Duration::from_secs(seconds),
        wanted: Wanted {
            memory_target: Some(Bytes(500_000_000)),
            memory: Some(wanted),
            cpu: Cores::from_nano(200_000_000),
            cpu_time: busy,
        },
        cpus: 2,
        cpu_threads: 1,
        observed: Sample {
            time: noon() + Duration::from_secs(seconds),
            monotonic_ns: seconds * 1_000_000_000,
            host: host.read(),
            major_faults: Some(0),
            process_cpu: busy,
            memory: MemoryCounters {
                phase: if wanted.0 < 500_000_000 { Phase::Growing } else { Phase::Holding },
                wanted: Some(wanted),
                populated: wanted,
                correction: Correction::default(),
                failed_allocations: 0,
                stuck: false,
                held_ns: (wanted.0 >= 500_000_000).then_some(1_953_125_000),
            },
            cpu: CpuCounters {
                worker_cpu_ns: seconds * 200_000_000,
                work_units: seconds * 1_000_000,
                ..CpuCounters::default()
            },
        },
        rates: Rates { cpu_used_cores: Some(0.2), work_units_per_cpu_second: Some(5e6) },
        work_rate_of_best: Some(1.0),
        reports_lost: 0,
        start,
    }
}

/// The first record, one on the way, and the last one.
fn three(format: Format) -> String {
    let (host, start) = (Host::discover(&root()), start());
    let records = [(Record::Start, 0), (Record::Report, 20), (Record::End("SIGTERM"), 60)];
    written::<WorkloadReport>(
        format,
        &records.map(|(record, seconds)| snapshot(&host, &start, record, seconds)),
    )
}

fn written<'a, K: Kind>(format: Format, snapshots: &'a [K::Snapshot<'a>]) -> String {
    let mut writer = Writer::new(format);
    let mut line = |snapshot| String::from_utf8(writer.render::<K>(snapshot).unwrap().to_vec()).unwrap();
    snapshots.iter().map(&mut line).collect()
}

/// JSON lines with a field a line, so that a change of one is a line of the diff.
fn spread(lines: &str) -> String {
    let spread = |line: &str| {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        // In the order in which they are written, which a map does not keep.
        let mut fields: Vec<_> = object.iter().collect();
        fields.sort_by_key(|(name, _)| line.find(&format!("\"{name}\":")));
        fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>()
    };
    lines.lines().map(spread).collect::<Vec<_>>().join("\n")
}

/// Each column of CSV as a line.
fn columns(csv: &str) -> String {
    assert!(!csv.contains('"'), "no cell has a comma in it");
    let rows: Vec<Vec<&str>> = csv.lines().map(|row| row.split(',').collect()).collect();
    let column = |at: usize| rows.iter().map(|row| row[at]).collect::<Vec<_>>().join(" | ") + "\n";
    (0..rows[0].len()).map(column).collect()
}

#[test]
fn a_load_reports_in_a_table_with_words_around_it() {
    hold("report_text", &three(Format::Text));
}

#[test]
fn what_is_wrong_stands_behind_its_row() {
    let (host, start) = (Host::discover(&root()), start());
    let mut wrong = snapshot(&host, &start, Record::Report, 60);
    wrong.observed.memory =
        MemoryCounters { phase: Phase::Limited, failed_allocations: 3, stuck: true, ..wrong.observed.memory };
    wrong.observed.cpu.stalls = 2;
    wrong.observed.host.memory.events.oom_kill = Some(1);
    if let Some(resident) = &mut wrong.observed.host.resident {
        resident.swap = Some(Bytes(12_000_000));
    }
    wrong.reports_lost = 4;
    let nothing = Wanted { memory_target: None, cpu: Cores::default(), ..wrong.wanted };
    let mut last = snapshot(&host, &start, Record::End("memory could not be allocated"), 61);
    last.wanted = nothing;
    hold("report_text_troubles", &written::<WorkloadReport>(Format::Text, &[wrong, last]));
}

#[test]
fn the_first_words_say_what_is_not_known_as_well() {
    let empty = tempfile::tempdir().unwrap();
    let (host, start) = (Host::discover(empty.path()), start());
    let first = snapshot(&host, &start, Record::Start, 0);
    let last = snapshot(&host, &start, Record::End("SIGINT"), 60);
    hold("report_text_nothing_known", &written::<WorkloadReport>(Format::Text, &[first, last]));
}

#[test]
fn a_load_reports_as_json() {
    hold("report_json", &spread(&three(Format::Json)));
}

#[test]
fn a_load_reports_as_csv() {
    hold("report_csv", &columns(&three(Format::Csv)));
}

#[test]
fn a_load_is_scraped_as_metrics_with_what_each_means() {
    let (host, start) = (Host::discover(&root()), start());
    let now = snapshot(&host, &start, Record::Report, 20);
    hold("report_metrics", &metrics::render::<WorkloadReport>("workload", &now));
}

fn node_start(cpus: Option<u64>) -> NodeStart {
    let settings = vec![("report-every", "1s".to_owned()), ("format", "text".to_owned())];
    NodeStart { hostname: "node-1".into(), kernel: "6.1.0".into(), cpus, page_size: 4096, settings }
}

fn node_snapshot<'a>(
    node: &'a Node,
    start: &'a NodeStart,
    record: Record<'a>,
    seconds: u64,
) -> NodeSnapshot<'a> {
    NodeSnapshot {
        record,
        time: noon() + Duration::from_secs(seconds),
        elapsed: Duration::from_secs(seconds),
        node,
        pressure: node.pressure(),
        merged: MergedPages { shared: Some(1), sharing: Some(2), unshared: None },
        shared_memory: Some(SharedMemory { size: Bytes(64_000_000), used: Bytes(1_000_000) }),
        sampler_cpu: Duration::from_millis(seconds),
        sampler_resident: Some(Bytes(2_000_000)),
        reports_lost: if seconds > 30 { 2 } else { 0 },
        start,
    }
}

fn three_of_a_node(format: Format) -> String {
    let (mut node, start) = (Node::open(&root()), node_start(Some(2)));
    node.refresh();
    let records = [(Record::Start, 0), (Record::Report, 20), (Record::End("SIGTERM"), 60)];
    written::<NodeReport>(
        format,
        &records.map(|(record, seconds)| node_snapshot(&node, &start, record, seconds)),
    )
}

#[test]
fn a_node_reports_in_a_table_with_words_around_it() {
    hold("node_text", &three_of_a_node(Format::Text));
    let empty = tempfile::tempdir().unwrap();
    let (mut node, start) = (Node::open(empty.path()), node_start(None));
    node.refresh();
    let first = [node_snapshot(&node, &start, Record::Start, 0)];
    hold("node_text_nothing_known", &written::<NodeReport>(Format::Text, &first));
}

#[test]
fn a_node_reports_as_json() {
    hold("node_json", &spread(&three_of_a_node(Format::Json)));
}

#[test]
fn a_node_reports_as_csv() {
    hold("node_csv", &columns(&three_of_a_node(Format::Csv)));
}

#[test]
fn a_node_is_scraped_as_metrics_with_what_each_means() {
    let (mut node, start) = (Node::open(&root()), node_start(Some(2)));
    node.refresh();
    let now = node_snapshot(&node, &start, Record::Report, 20);
    hold("node_metrics", &metrics::render::<NodeReport>("workload_node", &now));
}
