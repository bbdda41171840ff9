//! Allocations: reporting makes none after start, so that it works when memory has run out.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use workload::clock::monotonic_ns;
use workload::cpu::{CpuLoad, CpuPlan};
use workload::host::{Correction, Host};
use workload::memory::Fill;
use workload::memory::{HostMemory, MemoryLoad, MemoryPlan, Phase};
use workload::quantity::{Bytes, Cores, Rate};
use workload::report::{Format, Record, Snapshot, Start, Wanted, WorkloadReport, Writer};
use workload::sample::{Rates, Sample};

/// A memory and a CPU load, running.
fn loads() -> (MemoryLoad, CpuLoad) {
    let plan = MemoryPlan {
        target: Some(Bytes(20_000_000)),
        rate: Rate::PerSecond(Bytes(5_000_000)),
        step: None,
        fill: Fill::Random,
        touch_every: None,
        huge_pages: false,
        seed: 1,
        page_size: 4096,
        cpus: 1,
    };
    let memory = MemoryLoad::start(plan, HostMemory::open(Path::new("/"))).expect("a thread");
    memory.begin();
    let plan = CpuPlan {
        wanted: Cores::from_nano(10_000_000),
        cpus: 1,
        origin_ns: monotonic_ns(),
        end_ns: None,
        tick_ns: 4_000_000,
        inherited_ns: 0,
        phase: 0.0,
    };
    (memory, CpuLoad::start(&plan, || 0).expect("a thread"))
}

#[test]
fn a_report_allocates_nothing_in_any_format() {
    let host = Host::discover(Path::new("/"));
    let (memory, cpu) = loads();
    let start = Start { hostname: "test".into(), kernel: "6.1".into(), settings: Vec::new() };
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
                observed: Sample::take(
                    &host,
                    Some(&memory),
                    (Phase::Limited, Correction::default()),
                    Some(&cpu),
                ),
                rates: Rates { cpu_used_cores: Some(0.1), work_units_per_cpu_second: Some(1e6) },
                work_rate_of_best: Some(1.0),
                reports_lost: u64::MAX,
                cpus: 2,
                cpu_threads: 1,
                start: &start,
            };
            writer.render::<WorkloadReport>(&snapshot).expect("memory takes it").len()
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
