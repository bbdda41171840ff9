//! The hot parts by themselves: a unit of work, a burst, the fill, a touch, a sample with its report.

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use workload::burn::{burn, work_unit};
use workload::clock::{ThreadClock, monotonic_ns, process_cpu_ns};
use workload::duty::Burst;
use workload::fill::{Fill, Filler};
use workload::host::{Correction, Host};
use workload::memory::Phase;
use workload::quantity::{Bytes, Cores};
use workload::report::{Format, Record, Snapshot, Start, Wanted, WorkloadReport, Writer};
use workload::sample::{Rates, Sample};

const PAGE: usize = 4096;
const PAGES: usize = 256;

fn clocks(c: &mut Criterion) {
    let clock = ThreadClock::of_current();
    c.bench_function("clock/monotonic", |b| b.iter(monotonic_ns));
    c.bench_function("clock/thread", |b| b.iter(|| clock.read_ns()));
    c.bench_function("clock/process", |b| b.iter(process_cpu_ns));
}

fn burning(c: &mut Criterion) {
    c.bench_function("burn/unit", |b| b.iter(|| work_unit(black_box(1))));
    let clock = ThreadClock::of_current();
    let ended = AtomicBool::new(false);
    c.bench_function("burn/burst of 1 ms", |b| {
        b.iter(|| {
            let until_used_ns = clock.read_ns() + 1_000_000;
            burn(Burst { until_used_ns, deadline_ns: u64::MAX }, clock, 0, &ended)
        });
    });
}

fn pages(c: &mut Criterion) {
    let mut group = c.benchmark_group("pages");
    group.throughput(Throughput::Bytes((PAGES * PAGE) as u64));
    let mut words = vec![0; PAGES * PAGE / size_of::<u64>()];
    for (name, fill) in [("random", Fill::Random), ("unique", Fill::Unique), ("zero", Fill::Zero)] {
        let mut filler = Filler::new(fill, PAGE, 1);
        group.bench_function(format!("fill {name}"), |b| b.iter(|| filler.fill(black_box(&mut words))));
    }
    let filler = Filler::new(Fill::Random, PAGE, 1);
    group.bench_function("touch", |b| b.iter(|| filler.touch(black_box(&mut words))));
    group.finish();
}

fn reports(c: &mut Criterion) {
    let host = Host::discover(Path::new("/"));
    c.bench_function("report/sample", |b| {
        b.iter(|| Sample::take(&host, None, (Phase::Holding, Correction::default()), None));
    });
    let start =
        Start { hostname: "bench".into(), kernel: "6.1".into(), settings: vec![("memory", "500M".into())] };
    for format in [Format::Json, Format::Csv, Format::Text] {
        let mut writer = Writer::new(format);
        c.bench_function(&format!("report/{format:?}"), |b| {
            b.iter(|| {
                let snapshot = Snapshot {
                    record: Record::Report,
                    elapsed: Duration::from_secs(1),
                    wanted: Wanted {
                        memory_target: Some(Bytes(500_000_000)),
                        memory: Some(Bytes(500_000_000)),
                        cpu: Cores::from_whole(1),
                        cpu_time: Duration::from_secs(1),
                    },
                    observed: Sample::take(&host, None, (Phase::Holding, Correction::default()), None),
                    rates: Rates::default(),
                    work_rate_of_best: None,
                    reports_lost: 0,
                    cpus: 2,
                    cpu_threads: 1,
                    start: &start,
                };
                writer.render::<WorkloadReport>(&snapshot).map(<[u8]>::len).ok()
            });
        });
    }
}

criterion_group!(benches, clocks, burning, pages, reports);
criterion_main!(benches);
