//! What a sample costs: the more there is to read, the rarer.

use std::fmt::Write;
use std::path::Path;

use workload::app::ComponentSampler;
use workload::clock::process_cpu_ns;

use crate::trees::planted;

/// A node with so many pods: a load, pause and shim each.
fn node(pods: u32) -> tempfile::TempDir {
    let mut text = String::from("-- proc/self/cgroup\n0::/\n-- sys/fs/cgroup/cgroup.controllers\nmemory");
    for pod in 1..=pods {
        let uid = format!("{pod:08}-0000-4000-8000-000000000000");
        let directory = format!("sys/fs/cgroup/kubepods/pod{uid}");
        let stat = "anon 1\nfile 1\nkernel 1\nshmem 0\ninactive_file 1\nactive_file 1";
        let _ = write!(
            text,
            "\n-- {directory}/memory.current\n1\n-- {directory}/memory.stat\n{stat}\n-- {directory}/cpu.stat\nusage_usec 1"
        );
        let ids = [pod * 10, pod * 10 + 1, pod * 10 + 2];
        let lines = [
            "/workload\\0--memory\\0100M\\0".to_owned(),
            "/pause\\0".to_owned(),
            format!("containerd-shim-runc-v2\\0-id\\0{pod:064}\\0"),
        ];
        for (id, line) in ids.iter().zip(lines) {
            let cgroup = if id % 10 == 2 {
                "/system.slice".to_owned()
            } else {
                format!("/kubepods/pod{uid}/{pod:064}")
            };
            let sizes = "Pss: 40 kB\nPss_Anon: 40 kB\nPss_File: 0 kB\nPss_Shmem: 0 kB\nSwapPss: 0 kB";
            let status = "VmRSS:\t40 kB\nRssAnon:\t40 kB\nRssFile:\t0 kB\nRssShmem:\t0 kB\nVmPTE:\t4 kB\nVmSwap:\t0 kB";
            let stat = format!("{id} (a) S 1 {id} {id} 0 -1 4194560 0 0 0 0 5 0 0 0 20 0 1 0 100 0 0");
            let _ = write!(
                text,
                "\n-- proc/{id}/stat\n{stat}\n-- proc/{id}/cgroup\n0::{cgroup}\n-- proc/{id}/cmdline\n{line}\n-- proc/{id}/status\n\
                 {status}\n-- proc/{id}/smaps_rollup\n{sizes}"
            );
        }
    }
    planted(&text)
}

#[test]
fn on_a_node_of_a_hundred_pods_it_takes_less_than_a_hundredth_of_a_core() {
    const SECOND: u64 = 1_000_000_000;
    let root = node(100);
    let mut sampler = ComponentSampler::open(Path::new(root.path()), Vec::new(), 0);
    let (mut samples, mut used_ns, mut now_ns) = (0, 0, SECOND);
    // Until there are two; the wall clock is made up, the CPU time is not.
    while samples < 2 {
        now_ns += 5 * SECOND;
        assert!(now_ns < 10_000 * SECOND, "samples are not put off for hours");
        let begin_ns = process_cpu_ns();
        if sampler.is_due(now_ns) {
            assert_eq!(sampler.sample(0).len(), 400, "of each pod the whole and three parts");
            sampler.is_written();
            used_ns += process_cpu_ns() - begin_ns;
            samples += 1;
        }
    }
    let wall_ns = now_ns + sampler.pause_ns();
    assert!(used_ns * 100 < wall_ns, "{used_ns} ns of CPU time in {wall_ns} ns");
}
