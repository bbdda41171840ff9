use std::fs;

use super::*;
use crate::quantity::Bytes;

const GIB: u64 = 1 << 30;
const V1_UNLIMITED: &str = "9223372036854771712";

/// A host of files: each path below the root with its text.
fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Host) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    // What tells the root of a v1 hierarchy from that of a cgroup namespace.
    for v1 in ["memory", "cpu"].map(|name| root.path().join("sys/fs/cgroup").join(name)) {
        if v1.is_dir() {
            fs::write(v1.join("release_agent"), "\n").unwrap();
        }
    }
    let host = Host::discover(root.path());
    (root, host)
}

/// A limit that is certain.
fn set_by<T>(cgroup: &str, limit: T) -> EffectiveLimit<'_, T> {
    EffectiveLimit { limit: Limit::Value(limit), cgroup: Some(cgroup), is_certain: true }
}

const V2: [(&str, &str); 2] = [
    ("proc/self/cgroup", "0::/pod/container\n"),
    ("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
];
const V1: [(&str, &str); 2] = [
    ("proc/self/cgroup", "4:memory:/pod\n2:cpu,cpuacct:/pod\n0::/\n"),
    (
        "proc/self/mountinfo",
        "33 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
         34 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
    ),
];

#[test]
fn on_v2_a_tighter_parent_sets_the_limit_and_is_the_one_throttled() {
    let (_root, host) = host(&[
        V2[0],
        V2[1],
        ("sys/fs/cgroup/pod/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/pod/container/memory.max", "max\n"),
        ("sys/fs/cgroup/pod/container/memory.current", "4096\n"),
        ("sys/fs/cgroup/pod/container/memory.events", "low 0\nmax 7\noom 2\noom_kill 1\n"),
        ("sys/fs/cgroup/pod/cpu.max", "50000 100000\n"),
        ("sys/fs/cgroup/pod/cpu.stat", "usage_usec 9\nnr_periods 8\nnr_throttled 3\nthrottled_usec 1500\n"),
        ("sys/fs/cgroup/pod/container/cpu.max", "max 100000\n"),
    ]);
    assert_eq!(host.memory.read().limit, set_by("/pod", Bytes(GIB)));
    assert_eq!((host.memory.read().usage, host.memory.read().events.oom_kill), (Some(Bytes(4096)), Some(1)));
    let half = Cores::from_nano(500_000_000);
    assert_eq!(host.cpu.limit(), set_by("/pod", half));
    let throttled = Duration::from_micros(1500);
    assert_eq!(host.cpu.throttling(), Some(CpuThrottling { periods: 8, throttled_periods: 3, throttled }));
}

#[test]
fn on_v1_minus_one_and_the_largest_number_are_no_limits() {
    let (_root, host) = host(&[
        V1[0],
        V1[1],
        ("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", V1_UNLIMITED),
        ("sys/fs/cgroup/memory/pod/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
        ("sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpu/pod/cpu.stat", "nr_periods 0\nnr_throttled 0\nthrottled_time 2000\n"),
    ]);
    assert_eq!(host.memory.read().limit.limit, Limit::Unlimited);
    assert_eq!(host.cpu.limit().limit, Limit::Unlimited);
    assert_eq!(host.memory.read().events.oom_kill, Some(4));
    assert_eq!(host.cpu.throttling().unwrap().throttled, Duration::from_micros(2));
}

#[test]
fn a_v1_limit_out_of_sight_is_told_from_one_in_sight_that_changes() {
    let limit = "sys/fs/cgroup/memory/pod/memory.limit_in_bytes";
    let stat = "sys/fs/cgroup/memory/pod/memory.stat";
    let (root, seen) =
        host(&[V1[0], V1[1], (limit, "1073741824\n"), (stat, "hierarchical_memory_limit 1073741824\n")]);
    assert_eq!(seen.memory.read().limit.cgroup, Some("/pod"));
    fs::write(root.path().join(limit), "2147483648\n").unwrap();
    assert_eq!(seen.memory.read().limit.limit, Limit::Value(Bytes(2 * GIB)), "it was raised while running");
    let (_root, hidden) =
        host(&[V1[0], V1[1], (limit, V1_UNLIMITED), (stat, "hierarchical_memory_limit 1073741824\n")]);
    assert_eq!(hidden.memory.read().limit, set_by("an enclosing cgroup out of sight", Bytes(GIB)));
}

#[test]
fn of_equal_limits_the_innermost_cgroup_is_named() {
    let (_root, host) = host(&[
        V2[0],
        V2[1],
        ("sys/fs/cgroup/pod/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/pod/container/memory.max", "1073741824\n"),
    ]);
    assert_eq!(host.memory.read().limit.cgroup, Some("/pod/container"));
}

#[test]
fn what_is_not_there_is_unlimited_and_what_cannot_be_seen_unknown() {
    // The root cgroup of a v2 guest: a directory without limit files.
    let (_root, guest) =
        host(&[V2[1], ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cgroup.procs", "1\n")]);
    assert_eq!(guest.memory.read().limit.limit, Limit::Unlimited);
    let (_root, unmounted) = host(&V2[..1]);
    assert_eq!(unmounted.memory.read().limit.limit, Limit::Unknown);
    assert_eq!(unmounted.cpu.limit().limit, Limit::Unknown);
    let (_root, nothing) = host(&[]);
    assert_eq!(nothing.memory.read().limit.limit, Limit::Unknown);
    assert_eq!((nothing.memory.read().usage, nothing.cpu.throttling()), (None, None));
}

#[test]
fn above_the_root_of_a_cgroup_namespace_a_v2_limit_is_unknown() {
    let own = ("proc/self/cgroup", "0::/\n");
    for marker in ["memory.max", "cpu.max", "cgroup.type"] {
        let marker = format!("sys/fs/cgroup/{marker}");
        let text = if marker.ends_with("type") { "domain\n" } else { "max\n" };
        let (_root, host) = host(&[V2[1], own, (&marker, text)]);
        let memory = host.memory.read();
        assert_eq!(memory.limit, EffectiveLimit::UNKNOWN, "{marker}");
        assert_eq!((memory.high, memory.swap_limit), (EffectiveLimit::UNKNOWN, EffectiveLimit::UNKNOWN));
        assert_eq!(host.cpu.limit(), EffectiveLimit::UNKNOWN, "{marker}");
    }
    let (_root, bound) = host(&[V2[1], own, ("sys/fs/cgroup/memory.max", "4096\n")]);
    let limit = EffectiveLimit { is_certain: false, ..set_by("/", Bytes(4096)) };
    assert_eq!(bound.memory.read().limit, limit);
}

#[test]
fn a_mount_of_a_part_of_the_hierarchy_leaves_the_limits_above_unknown() {
    let part = ("proc/self/mountinfo", "30 23 0:26 /pod /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    let (_root, host) = host(&[V2[0], part, ("sys/fs/cgroup/container/io.stat", "")]);
    assert_eq!(host.memory.read().limit, EffectiveLimit::UNKNOWN);
}

#[test]
fn above_the_root_of_a_cgroup_namespace_a_v1_quota_is_unknown_and_a_memory_limit_is_told_by_the_sum() {
    let (root, _) = host(&[
        ("proc/self/cgroup", "4:memory:/\n2:cpu,cpuacct:/\n"),
        V1[1],
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", V1_UNLIMITED),
        ("sys/fs/cgroup/memory/memory.stat", "hierarchical_memory_limit 9223372036854771712\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
    ]);
    for controller in ["memory", "cpu"] {
        fs::remove_file(root.path().join("sys/fs/cgroup").join(controller).join("release_agent")).unwrap();
    }
    let host = Host::discover(root.path());
    assert_eq!(host.memory.read().limit, EffectiveLimit::UNLIMITED);
    assert_eq!(host.cpu.limit(), EffectiveLimit::UNKNOWN);
}

#[test]
fn headroom_is_the_smallest_distance_to_a_limit_not_the_distance_to_the_smallest() {
    let (_root, host) = host(&[
        V2[0],
        V2[1],
        ("sys/fs/cgroup/pod/memory.max", "2147483648\n"),
        ("sys/fs/cgroup/pod/memory.current", "2147479552\n"),
        ("sys/fs/cgroup/pod/container/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/pod/container/memory.current", "4096\n"),
    ]);
    let readings = host.memory.read();
    assert_eq!((readings.limit.cgroup, readings.headroom), (Some("/pod/container"), Some(Bytes(4096))));
}

#[test]
fn on_v1_a_parent_that_does_not_use_hierarchy_sets_no_limit() {
    let nested = ("proc/self/cgroup", "4:memory:/pod/container\n");
    let parent = ("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "4096\n");
    let own = ("sys/fs/cgroup/memory/pod/container/memory.limit_in_bytes", "8192\n");
    let flat = ("sys/fs/cgroup/memory/pod/memory.use_hierarchy", "0\n");
    let (_root, with) = host(&[nested, V1[1], parent, own]);
    assert_eq!(with.memory.read().limit.limit, Limit::Value(Bytes(4096)));
    let (_root, without) = host(&[nested, V1[1], parent, own, flat]);
    assert_eq!(without.memory.read().limit.limit, Limit::Value(Bytes(8192)));
}

#[test]
fn each_version_knows_limits_that_the_other_does_not() {
    let (_root, v2) = host(&[V2[0], V2[1], ("sys/fs/cgroup/pod/container/memory.high", "4096\n")]);
    let v2 = v2.memory.read();
    assert_eq!((v2.high.limit, v2.swap_limit.limit), (Limit::Value(Bytes(4096)), Limit::Unlimited));
    assert_eq!((v2.soft_limit.limit, v2.memory_and_swap_limit.limit), (Limit::Unknown, Limit::Unknown));
    let (_root, v1) =
        host(&[V1[0], V1[1], ("sys/fs/cgroup/memory/pod/memory.soft_limit_in_bytes", "4096\n")]);
    let v1 = v1.memory.read();
    assert_eq!((v1.high.limit, v1.swap_limit.limit), (Limit::Unknown, Limit::Unknown));
    assert_eq!(v1.soft_limit.limit, Limit::Value(Bytes(4096)));
    assert_eq!(v1.memory_and_swap_limit.limit, Limit::Unknown, "a kernel without swap accounting");
}

#[test]
fn where_a_level_cannot_be_read_the_others_are_a_bound_and_without_any_nothing_is_known() {
    let (_root, host) = host(&[
        V2[0],
        V2[1],
        ("sys/fs/cgroup/pod/container/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/pod/container/memory.current", "4096\n"),
        // A directory opens and does not read, as files of a cgroup that is gone.
        ("sys/fs/cgroup/pod/memory.max/x", ""),
        ("sys/fs/cgroup/pod/container/cpu.max", "neither a number nor max\n"),
    ]);
    let readings = host.memory.read();
    let bound = EffectiveLimit { is_certain: false, ..set_by("/pod/container", Bytes(GIB)) };
    assert_eq!((readings.limit, readings.headroom), (bound, Some(Bytes(GIB - 4096))));
    assert_eq!(host.cpu.limit(), EffectiveLimit::UNKNOWN);
}

#[test]
fn after_a_move_everything_is_read_where_it_is_now() {
    let (root, mut host) = host(&[
        V2[0],
        V2[1],
        ("sys/fs/cgroup/pod/container/memory.max", "1073741824\n"),
        ("sys/fs/cgroup/pod/container/cpu.max", "50000 100000\n"),
        ("sys/fs/cgroup/pod/container/cpuset.cpus.effective", "0\n"),
        ("sys/fs/cgroup/pod/container/memory.pressure", "some avg10=0.00 total=5\n"),
        ("sys/fs/cgroup/other/memory.max", "4096\n"),
        ("sys/fs/cgroup/other/cpu.max", "max 100000\n"),
        ("sys/fs/cgroup/other/cpuset.cpus.effective", "0-3\n"),
        ("sys/fs/cgroup/other/memory.pressure", "some avg10=0.00 total=7\n"),
    ]);
    fs::write(root.path().join("proc/self/cgroup"), "0::/other\n").unwrap();
    assert!(host.refresh(|| 1_000_000_000));
    let readings = host.read();
    assert_eq!(readings.memory.limit, set_by("/other", Bytes(4096)));
    assert_eq!(readings.cpu_limit, EffectiveLimit::UNLIMITED);
    assert_eq!(readings.cpuset, Some((4, "/other")));
    assert_eq!(readings.pressure.memory.some, Some(Duration::from_micros(7)));
    assert!(!host.refresh(|| 3_000_000_000), "it has stayed there");
}

#[test]
fn a_limit_out_of_sight_leaves_no_headroom_to_be_known_and_may_change() {
    let stat = "sys/fs/cgroup/memory/pod/memory.stat";
    let (root, mut host) = host(&[
        V1[0],
        V1[1],
        ("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "2147483648\n"),
        ("sys/fs/cgroup/memory/pod/memory.usage_in_bytes", "4096\n"),
        (stat, "hierarchical_memory_limit 1073741824\n"),
    ]);
    let limit_and_headroom = |host: &Host| {
        let readings = host.memory.read();
        (readings.limit.limit, readings.headroom)
    };
    assert_eq!(limit_and_headroom(&host), (Limit::Value(Bytes(GIB)), None));
    for (now_s, hidden, expected) in [
        (1, 3 * GIB / 2, (Limit::Value(Bytes(3 * GIB / 2)), None)),
        (2, 2 * GIB, (Limit::Value(Bytes(2 * GIB)), Some(Bytes(2 * GIB - 4096)))),
    ] {
        fs::write(root.path().join(stat), format!("hierarchical_memory_limit {hidden}\n")).unwrap();
        host.refresh(|| now_s * 1_000_000_000);
        assert_eq!(limit_and_headroom(&host), expected);
    }
}

#[test]
fn the_sum_of_v1_stands_for_a_level_that_could_never_be_read() {
    let nested = ("proc/self/cgroup", "4:memory:/pod/container\n");
    let parent = "sys/fs/cgroup/memory/pod/memory.limit_in_bytes";
    let own = ("sys/fs/cgroup/memory/pod/container/memory.limit_in_bytes", "8192\n");
    let stat = "sys/fs/cgroup/memory/pod/container/memory.stat";
    let (root, _) = host(&[nested, V1[1], own, (stat, "hierarchical_memory_limit 8192\n")]);
    // A link to itself cannot be opened and is there all the same.
    std::os::unix::fs::symlink("memory.limit_in_bytes", root.path().join(parent)).unwrap();
    let limit = |text: &str| {
        fs::write(root.path().join(stat), text).unwrap();
        let host = Host::discover(root.path());
        let limit = host.memory.read().limit;
        (limit.limit, limit.is_certain)
    };
    assert_eq!(limit("hierarchical_memory_limit 8192\n"), (Limit::Value(Bytes(8192)), true));
    assert_eq!(limit("hierarchical_memory_limit 4096\n"), (Limit::Value(Bytes(4096)), true));
    assert_eq!(limit(""), (Limit::Value(Bytes(8192)), false));
}

#[test]
fn a_move_in_one_hierarchy_leaves_the_files_of_the_others_as_they_are() {
    let (root, mut host) = host(&[
        V1[0],
        V1[1],
        ("sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpu/pod/cpu.stat", "nr_periods 5\nnr_throttled 0\nthrottled_time 0\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
        ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ("sys/fs/cgroup/cpu/cpu.stat", "nr_periods 9\nnr_throttled 0\nthrottled_time 0\n"),
    ]);
    assert_eq!(host.cpu.throttling().unwrap().periods, 5);
    // Opened anew, the one around would be the one that throttles.
    fs::write(root.path().join("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), "10000\n").unwrap();
    fs::write(
        root.path().join("proc/self/cgroup"),
        "5:freezer:/x\n4:memory:/pod\n2:cpu,cpuacct:/pod\n0::/\n",
    )
    .unwrap();
    assert!(!host.refresh(|| 1_000_000_000));
    assert_eq!(host.cpu.throttling().unwrap().periods, 5);
}
