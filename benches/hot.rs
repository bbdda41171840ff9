//! Microbenchmarks of the hot paths: a unit of work, a burst, the fill, a touch, a sample with its report.

use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use divan::Bencher;
use divan::counter::BytesCount;
use workload::clock::{ThreadClock, monotonic_ns, process_cpu_ns};
use workload::cpu::busy_loop::{burn, work_unit};
use workload::cpu::duty_cycle::Burst;
use workload::host::{Correction, Host};
use workload::memory::Phase;
use workload::memory::{Fill, Filler};
use workload::quantity::{Bytes, Cores};
use workload::report::{Format, Record, Snapshot, Start, Wanted, WorkloadReport, Writer};
use workload::sample::{Rates, Sample};

const PAGE: usize = 4096;
const PAGES: usize = 256;

fn main() {
    divan::main();
}

mod clock {
    use super::*;

    #[divan::bench]
    fn monotonic() -> u64 {
        monotonic_ns()
    }

    #[divan::bench]
    fn thread(bencher: Bencher) {
        let clock = ThreadClock::of_current();
        bencher.bench_local(|| clock.read_ns());
    }

    #[divan::bench]
    fn process() -> u64 {
        process_cpu_ns()
    }
}

mod burning {
    use super::*;

    #[divan::bench]
    fn unit(bencher: Bencher) {
        bencher.bench_local(|| work_unit(black_box(1)));
    }

    #[divan::bench]
    fn burst_of_1_ms(bencher: Bencher) {
        let clock = ThreadClock::of_current();
        let ended = AtomicBool::new(false);
        bencher.bench_local(|| {
            let until_used_ns = clock.read_ns() + 1_000_000;
            burn(Burst { until_used_ns, deadline_ns: u64::MAX }, clock, 0, &ended)
        });
    }
}

mod pages {
    use super::*;

    fn words() -> Vec<u64> {
        vec![0; PAGES * PAGE / size_of::<u64>()]
    }

    #[divan::bench(args = [Fill::Random, Fill::Unique, Fill::Zero])]
    fn fill(bencher: Bencher, fill: Fill) {
        let (mut words, mut filler) = (words(), Filler::new(fill, PAGE, 1));
        bencher.counter(BytesCount::new(PAGES * PAGE)).bench_local(|| filler.fill(black_box(&mut words)));
    }

    #[divan::bench]
    fn touch(bencher: Bencher) {
        let (mut words, filler) = (words(), Filler::new(Fill::Random, PAGE, 1));
        bencher.counter(BytesCount::new(PAGES * PAGE)).bench_local(|| filler.touch(black_box(&mut words)));
    }
}

mod report {
    use super::*;

    fn sample(host: &Host) -> Sample<'_> {
        Sample::take(host, None, (Phase::Holding, Correction::default()), None)
    }

    #[divan::bench(name = "sample")]
    fn sample_alone(bencher: Bencher) {
        let host = Host::discover(Path::new("/"));
        bencher.bench_local(|| sample(&host));
    }

    #[divan::bench(args = [Format::Json, Format::Csv, Format::Text])]
    fn sample_and_record(bencher: Bencher, format: Format) {
        let host = Host::discover(Path::new("/"));
        let settings = vec![("memory", "500M".into())];
        let start = Start { hostname: "bench".into(), kernel: "6.1".into(), settings };
        let mut writer = Writer::new(format);
        bencher.bench_local(|| {
            let snapshot = Snapshot {
                record: Record::Report,
                elapsed: Duration::from_secs(1),
                wanted: Wanted {
                    memory_target: Some(Bytes(500_000_000)),
                    memory: Some(Bytes(500_000_000)),
                    cpu: Cores::from_whole(1),
                    cpu_time: Duration::from_secs(1),
                },
                observed: sample(&host),
                rates: Rates::default(),
                work_rate_of_best: None,
                reports_lost: 0,
                cpus: 2,
                cpu_threads: 1,
                start: &start,
            };
            writer.render::<WorkloadReport>(&snapshot).map(<[u8]>::len).ok()
        });
    }
}
