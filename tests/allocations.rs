//! Reporting allocates nothing once it has started, so that it works when there is no memory left.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use workload::host::Host;
use workload::memory::Phase;
use workload::quantity::{Bytes, Cores};
use workload::report::{Format, Record, Snapshot, Start, Wanted, Writer};
use workload::sample::{Rates, Sample};

#[test]
fn a_report_allocates_nothing_in_any_format() {
    let host = Host::discover(Path::new("/"));
    let start = Start {
        hostname: "test".into(),
        kernel: "6.1".into(),
        cpus: 2,
        cpu_threads: 1,
        settings: Vec::new(),
    };
    for format in [Format::Text, Format::Json, Format::Csv] {
        let mut writer = Writer::new(format);
        let mut report = |record| {
            let snapshot = Snapshot {
                record,
                elapsed: Duration::from_secs(1),
                wanted: Wanted {
                    memory_target: None,
                    memory: Some(Bytes(u64::MAX)),
                    cpu: Cores::from_nano(1),
                    cpu_time: Duration::MAX,
                },
                observed: Sample::take(&host, None, Phase::Limited, None),
                rates: Rates { cpu_used_cores: Some(0.1), work_units_per_cpu_second: Some(1e6) },
                work_rate_of_best: Some(1.0),
                reports_lost: u64::MAX,
                start: &start,
            };
            writer.render(&snapshot).expect("memory takes it").len()
        };
        report(Record::Start);
        for record in [Record::Report, Record::End("out of memory")] {
            let mut length = 0;
            let counted = allocation_counter::measure(|| length = report(record));
            assert!(length > 100);
            assert_eq!(counted.count_total, 0, "{format:?} {record:?}");
        }
    }
}
