//! Machines as files. `v1-*` of a runtime class were captured on Kubernetes 1.20.2 with containerd 1.6 (Linux 6.18, cgroup v1), paths
//! shortened; `v2-systemd` and `v1-kata-overhead` were written by hand, as containerd, CRI-O, Kata Containers 3 and runsc name things.

use std::collections::BTreeMap;
use std::fs;

use workload::host::{Component, Components, MemorySource, Program};

/// The files of a tree: `-- PATH`, then their text, in which `\0` is a NUL.
pub(crate) fn planted(text: &str) -> tempfile::TempDir {
    // In memory where that is possible: they are thousands of small files.
    let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    for file in text.strip_prefix("-- ").expect("a path first").split("\n-- ") {
        let (path, content) = file.split_once('\n').unwrap_or((file, ""));
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, content.replace("\\0", "\0")).expect("written");
    }
    root
}

/// What is found, by the last digits of the pod and the name of the component.
fn found(text: &str) -> BTreeMap<(String, &'static str), Component> {
    let root = planted(text);
    let all = Components::open(root.path()).read();
    let count = all.len();
    let by_name: BTreeMap<_, _> = all
        .into_iter()
        .map(|component| {
            let pod =
                component.pod_uid.as_deref().unwrap_or("the node").rsplit('-').next().unwrap_or_default();
            ((pod.to_owned(), component.program.map_or("pod", Program::name)), component)
        })
        .collect();
    assert_eq!(by_name.len(), count, "each component once");
    by_name
}

fn names(found: &BTreeMap<(String, &'static str), Component>) -> Vec<String> {
    found.keys().map(|(pod, name)| format!("{pod} {name}")).collect()
}

const MIB: u64 = 1 << 20;

/// Within three MiB of a known truth in MiB.
fn is_about(bytes: Option<u64>, mib: u64) -> bool {
    bytes.is_some_and(|bytes| bytes.abs_diff(mib * MIB) <= 3 * MIB)
}

#[test]
fn of_a_vm_on_v1_the_monitor_and_its_file_server_hold_what_they_are_known_to() {
    let found = found(include_str!("trees/v1-kata-parts.txt"));
    let pod = found.keys().next().unwrap().0.clone();
    let of = |name: &'static str| &found[&(pod.clone(), name)];
    let pss = |name| of(name).memory.map(|memory| memory.pss);
    // Of their own 32 and 16 MiB, 64 MiB shared.
    assert!(is_about(pss("vmm"), 64) && is_about(pss("virtiofsd"), 48), "{found:#?}");
    let vmm = of("vmm").memory.unwrap();
    assert!(is_about(vmm.anon, 32) && is_about(vmm.shmem, 32) && vmm.source == MemorySource::SmapsRollup);
    // The load's 100 MB, without its program.
    let load = of("load").memory.unwrap();
    assert_eq!((load.source, load.file), (MemorySource::Status, None));
    assert!(load.pss.abs_diff(100_000_000) < 2_500_000, "{load:?}");
    assert_eq!(of("shim").process, "containerd-shim-runc-v2");
    // What the processes in the pod's cgroup hold is what is charged to it; the shim is outside.
    let cgroup = of("pod").cgroup.unwrap();
    let anon: u64 =
        ["load", "pause", "vmm", "virtiofsd"].iter().filter_map(|name| of(name).memory?.anon).sum();
    assert!(cgroup.anon.unwrap().abs_diff(anon) < MIB, "{cgroup:?}");
    assert_eq!(cgroup.shmem, Some(64 * MIB));
    assert!(
        cgroup.memory > Some(212_000_000) && cgroup.peak >= cgroup.memory && cgroup.kernel > Some(0),
        "{cgroup:?}"
    );
    assert!(cgroup.cpu_ns > Some(10_000_000), "{cgroup:?}");
    for name in ["kubelet", "container_runtime", "probe"] {
        assert!(found.contains_key(&("the node".to_owned(), name)), "{name}: {:?}", names(&found));
    }
    assert_eq!(found[&("the node".to_owned(), "probe")].processes, 2, "both probes");
}

#[test]
fn of_gvisor_the_sandbox_holds_the_memory_of_what_runs_in_it() {
    let found = found(include_str!("trees/v1-gvisor.txt"));
    let pod = found.keys().next().unwrap().0.clone();
    let of = |name: &'static str| &found[&(pod.clone(), name)];
    assert!(!found.contains_key(&(pod.clone(), "load")), "its process is the sandbox's: {:?}", names(&found));
    let (sentry, gofer) = (of("sentry").memory.unwrap(), of("gofer").memory.unwrap());
    assert!(sentry.shmem > Some(90_000_000) && sentry.pss > 105_000_000, "{sentry:?}");
    assert!(gofer.pss > 5_000_000 && gofer.pss < 20_000_000, "{gofer:?}");
    let cgroup = of("pod").cgroup.unwrap();
    for (charged, part) in [
        (cgroup.anon, [sentry.anon, gofer.anon, of("pause").memory.unwrap().anon]),
        (cgroup.shmem, [sentry.shmem, gofer.shmem, None]),
    ] {
        let parts: u64 = part.iter().flatten().sum();
        assert!(charged.unwrap().abs_diff(parts) < charged.unwrap() / 20, "within 5 %: {charged:?} {parts}");
    }
}

#[test]
fn with_the_systemd_driver_and_from_within_a_cgroup_namespace_all_is_found() {
    let found = found(include_str!("trees/v2-systemd.txt"));
    assert_eq!(
        names(&found),
        [
            "111111111111 load",
            "111111111111 pause",
            "111111111111 pod",
            "111111111111 shim",
            "222222222222 pod",
            "222222222222 shim",
            "222222222222 virtiofsd",
            "222222222222 vmm",
            "333333333333 gofer",
            "333333333333 pod",
            "333333333333 sentry",
            "the node container_runtime",
            "the node kubelet",
            "the node probe",
        ]
    );
    let of = |pod: &str, name: &'static str| &found[&(pod.repeat(12), name)];
    assert_eq!((of("1", "shim").threads, of("1", "shim").processes), (11, 1));
    let load = of("1", "load").memory.unwrap();
    assert_eq!(
        (load.pss, load.file, load.swap, load.page_tables),
        (100_000 << 10, None, Some(0), Some(40 << 10))
    );
    let virtiofsd = of("2", "virtiofsd");
    assert_eq!((virtiofsd.processes, virtiofsd.process.as_str()), (2, "virtiofsd"));
    assert_eq!(
        virtiofsd.memory.map(|memory| (memory.pss, memory.page_tables)),
        Some((11_500 << 10, Some(80 << 10)))
    );
    assert_eq!(
        of("3", "sentry").memory.map(|memory| memory.pss),
        Some(62_408 << 10),
        "with what runs inside"
    );
    assert_eq!(of("3", "sentry").process, "runsc-sandbox exe");
    let kata = of("2", "pod").cgroup.unwrap();
    assert_eq!(
        (kata.memory, kata.peak, kata.anon, kata.shmem, kata.file, kata.kernel, kata.swap, kata.cpu_ns),
        (
            Some(190_000_000),
            Some(250_000_000),
            Some(32_256_000),
            Some(162_816_000),
            Some(0),
            Some(900_000),
            Some(4_096),
            Some(2_500_000_000)
        )
    );
    assert_eq!(of("1", "pod").cgroup.unwrap().file, Some(3_000));
    assert_eq!(found[&("the node".to_owned(), "kubelet")].cpu_hundredths, 1_234);
}

#[test]
fn what_runs_outside_of_the_pods_cgroup_is_told_by_the_ids_it_works_for() {
    let found = found(include_str!("trees/v1-kata-overhead.txt"));
    assert_eq!(
        names(&found),
        [
            "111111111111 pod",
            "111111111111 shim",
            "111111111111 virtiofsd",
            "111111111111 vmm",
            "222222222222 load",
            "222222222222 pod",
            "222222222222 shim",
            "the node kubelet",
        ]
    );
    let pod = found[&("2".repeat(12), "pod")].cgroup.unwrap();
    assert_eq!(
        (pod.memory, pod.peak, pod.kernel, pod.anon, pod.file, pod.cpu_ns),
        (
            Some(103_000_000),
            Some(104_000_000),
            Some(200_000),
            Some(102_400_000),
            Some(12_288),
            Some(7_000_000_000)
        )
    );
    assert_eq!(found[&("2".repeat(12), "shim")].process, "conmon");
}

#[test]
fn what_ends_while_it_is_read_is_left_out() {
    let root = planted(include_str!("trees/v2-systemd.txt"));
    for file in ["602/smaps_rollup", "602/status", "703/smaps_rollup", "801/cgroup", "802/cmdline"] {
        fs::remove_file(root.path().join("proc").join(file)).unwrap();
    }
    // Without memory: it is about to end.
    fs::write(root.path().join("proc/601/smaps_rollup"), "").unwrap();
    let all = Components::open(root.path()).read();
    let of = |pod: &str, program: Program| {
        all.iter().any(|part| {
            part.program == Some(program) && part.pod_uid.as_ref().is_some_and(|uid| uid.starts_with(pod))
        })
    };
    assert!(!of("1", Program::Load) && !of("1", Program::Pause) && !of("2", Program::Vmm));
    assert!(of("1", Program::Shim) && of("2", Program::Virtiofsd));
    assert!(all.iter().all(|part| part.unreadable == 0), "none of them is unreadable: {all:?}");
}

#[test]
fn what_may_not_be_read_is_counted_and_not_left_out_of_a_sum() {
    let root = planted(include_str!("trees/v2-systemd.txt"));
    // Root may read everything, but no directory is a file.
    let file = root.path().join("proc/702/smaps_rollup");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let all = Components::open(root.path()).read();
    let of = |program: Option<Program>| {
        let mut found = all.iter().filter(|part| part.program == program);
        found.find(|part| part.pod_uid.as_ref().is_some_and(|uid| uid.starts_with("2222"))).unwrap()
    };
    let virtiofsd = of(Some(Program::Virtiofsd));
    assert_eq!((virtiofsd.processes, virtiofsd.unreadable, virtiofsd.memory), (2, 1, None));
    assert_eq!((of(None).unreadable, of(Some(Program::Vmm)).unreadable), (1, 0));
}

#[test]
fn a_machine_without_anything_to_read_has_no_components() {
    let nowhere = tempfile::tempdir().unwrap();
    assert_eq!(Components::open(nowhere.path()).read(), []);
}

#[test]
fn pods_of_another_node_on_the_same_machine_are_not_this_node_s() {
    let text = include_str!("trees/v1-kata-parts.txt");
    let (before, after) = text.split_once("-- proc/self/cgroup\n").unwrap();
    let (own, rest) = after.split_once("\n-- ").unwrap();
    let elsewhere =
        format!("{before}-- proc/self/cgroup\n{}\n-- {rest}", own.replace("/wlc-node-0/", "/wlc-node-1/"));
    assert!(own.contains("/wlc-node-0/"), "{own}");
    let found = found(&elsewhere);
    assert_eq!(names(&found), ["the node container_runtime", "the node kubelet", "the node probe"]);
}
