use std::os::unix::fs::symlink;
use std::time::UNIX_EPOCH;

use super::*;

/// A machine of files.
struct Tree(tempfile::TempDir);

impl Tree {
    fn of(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(file, text)| tree.put(file, text));
        tree
    }

    fn put(&self, file: &str, text: &str) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn found(&self, rights: Rights) -> Vec<(String, Option<u64>, Option<u64>)> {
        // The disk is that of the machine on which this runs.
        let of_disk = |reading: &LimitReading| reading.resource.starts_with("disk");
        let all = records(self.0.path(), rights).into_iter().filter(|reading| !of_disk(reading));
        all.map(|LimitReading { resource, scope, limit, used, .. }| {
            (format!("{resource} {scope}"), limit, used)
        })
        .collect()
    }
}

const NONE: Rights = Rights { all_processes: false };
const ALL: Rights = Rights { all_processes: true };

fn expected(found: &[(&str, u64, Option<u64>)]) -> Vec<(String, Option<u64>, Option<u64>)> {
    found.iter().map(|(what, limit, used)| ((*what).to_owned(), Some(*limit), *used)).collect()
}

#[test]
fn a_machine_tells_its_limits_and_what_is_used_of_them() {
    // Numbers of a Linux 6.18 host.
    let tree = Tree::of(&[
        ("proc/loadavg", "0.48 0.63 1.40 4/297 17075\n"),
        ("proc/sys/kernel/pid_max", "32768\n"),
        ("proc/sys/kernel/threads-max", "192730\n"),
        ("proc/sys/fs/file-nr", "1435\t0\t2466170\n"),
        ("proc/sys/vm/max_map_count", "65530\n"),
        ("proc/sys/fs/inotify/max_user_instances", "128\n"),
        ("proc/sys/fs/inotify/max_user_watches", "65536\n"),
        (
            "proc/key-users",
            "    0:    18 17/17 12/1000000 670/25000000\n 1000:     3 3/3 150/200 2000/20000\n",
        ),
        ("proc/sys/net/ipv4/neigh/default/gc_thresh3", "1024\n"),
        ("proc/net/stat/arp_cache", "entries  allocs\n0000001f 00001670\n0000001f 0000166a\n"),
        ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
        ("proc/sys/net/netfilter/nf_conntrack_count", "87\n"),
    ]);
    let all = expected(&[
        ("pids machine", 32_768, Some(297)),
        ("threads machine", 192_730, Some(297)),
        ("open_files machine", 2_466_170, Some(1_435)),
        ("map_count process", 65_530, None),
        ("inotify_instances user ID", 128, None),
        ("inotify_watches user ID", 65_536, None),
        ("keys user ID 0", 1_000_000, Some(12)),
        ("key_bytes user ID 0", 25_000_000, Some(670)),
        ("keys user ID 1000", 200, Some(150)),
        ("key_bytes user ID 1000", 20_000, Some(2_000)),
        ("neighbours machine, IPv4", 1_024, Some(31)),
        ("conntrack machine", 262_144, Some(87)),
    ]);
    assert_eq!(tree.found(NONE), all);
}

#[test]
fn the_limit_of_a_pid_namespace_is_not_that_of_the_machine() {
    let tree = Tree::of(&[
        ("proc/loadavg", "0 0 0 1/297 1\n"),
        ("proc/sys/kernel/pid_max", "4194304\n"),
        ("proc/sys/kernel/osrelease", "6.18.44-cloud\n"),
        ("proc/self/ns/x", ""),
    ]);
    let namespace = tree.0.path().join("proc/self/ns/pid");
    symlink("pid:[4026532477]", &namespace).unwrap();
    assert_eq!(tree.found(NONE), [("pids machine".to_owned(), None, Some(297))]);
    tree.put("proc/sys/kernel/osrelease", "6.1.0-56-cloud-amd64\n");
    assert_eq!(tree.found(NONE), expected(&[("pids machine", 4_194_304, Some(297))]), "there is only one");
    tree.put("proc/sys/kernel/osrelease", "6.18.44\n");
    fs::remove_file(&namespace).unwrap();
    symlink("pid:[4026531836]", &namespace).unwrap();
    assert_eq!(tree.found(NONE), expected(&[("pids machine", 4_194_304, Some(297))]));
}

#[test]
fn numbers_of_another_network_namespace_are_not_those_of_the_machine() {
    let tree = Tree::of(&[
        ("proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
        ("proc/sys/net/netfilter/nf_conntrack_count", "0\n"),
    ]);
    assert_eq!(tree.found(NONE), []);
}

#[test]
fn what_is_not_there_or_not_of_the_format_is_missing() {
    assert_eq!(Tree::of(&[]).found(ALL), []);
    let odd = [
        ("proc/loadavg", "odd\n"),
        ("proc/sys/kernel/pid_max", "32768\n"),
        ("proc/sys/kernel/threads-max", "many\n"),
        ("proc/sys/fs/file-nr", "1435\n"),
        ("proc/key-users", "0: odd\n"),
        ("sys/fs/cgroup/kubepods/pids.max", ""),
    ];
    assert_eq!(Tree::of(&odd).found(NONE), expected(&[("pids machine", 32_768, None)]));
}

#[test]
fn the_cgroup_of_all_pods_is_found_on_either_version_and_below_another_one() {
    for pods in [
        "sys/fs/cgroup/pids/kubepods",
        "sys/fs/cgroup/pids/node-0/kubepods",
        "sys/fs/cgroup/kubepods.slice",
        "sys/fs/cgroup/kubelet.slice/kubelet-kubepods.slice",
        "proc/1/root/sys/fs/cgroup/kubepods.slice",
    ] {
        let tree = Tree::of(&[
            (&format!("{pods}/pids.max"), "600\n"),
            (&format!("{pods}/pids.current"), "123\n"),
            ("sys/fs/cgroup/system.slice/kubepods.slice/pids.max", "1\n"),
        ]);
        assert_eq!(tree.found(ALL), expected(&[("pids pods", 600, Some(123))]), "{pods}");
        let readings = records(tree.0.path(), ALL);
        assert_eq!(readings[0].source, format!("/{pods}/pids.max"));
    }
    let unlimited = Tree::of(&[
        ("sys/fs/cgroup/kubepods/pids.max", "max\n"),
        ("sys/fs/cgroup/kubepods/pids.current", "7\n"),
    ]);
    assert_eq!(unlimited.found(NONE), [("pids pods".to_owned(), None, Some(7))]);
}

#[test]
fn of_two_nodes_on_a_machine_it_is_that_of_the_own_one() {
    let pods = [
        ("sys/fs/cgroup/pids/node-0/kubepods/pids.max", "500\n"),
        ("sys/fs/cgroup/pids/node-1/kubepods/pids.max", "700\n"),
        ("sys/fs/cgroup/pids/node-1/kubepods/pids.current", "70\n"),
    ];
    let tree = Tree::of(&pods);
    assert_eq!(tree.found(NONE), [], "which of them is not known");
    tree.put("proc/self/cgroup", "8:pids:/node-1/kubepods/pod1/a\n0::/\n");
    assert_eq!(tree.found(NONE), expected(&[("pids pods", 700, Some(70))]));
}

#[test]
fn a_cgroup_around_the_pods_that_leaves_less_is_told_too() {
    let tree = Tree::of(&[
        ("sys/fs/cgroup/pids/node-0/pids.max", "300\n"),
        ("sys/fs/cgroup/pids/node-0/pids.current", "120\n"),
        ("sys/fs/cgroup/pids/node-0/kubepods/pids.max", "500\n"),
        ("sys/fs/cgroup/pids/node-0/kubepods/pids.current", "100\n"),
    ]);
    assert_eq!(
        tree.found(NONE),
        expected(&[("pids pods", 500, Some(100)), ("pids /node-0", 300, Some(120))])
    );
    tree.put("sys/fs/cgroup/pids/node-0/pids.max", "900\n");
    assert_eq!(tree.found(NONE), expected(&[("pids pods", 500, Some(100))]));
}

#[test]
fn inotify_is_counted_for_the_user_with_the_most_where_descriptors_may_be_read() {
    let tree = Tree::of(&[
        ("proc/sys/fs/inotify/max_user_instances", "128\n"),
        ("proc/sys/fs/inotify/max_user_watches", "8192\n"),
        ("proc/10/status", "Name:\ta\nUid:\t0\t0\t0\t0\n"),
        ("proc/10/fdinfo/3", "pos:\t0\ninotify wd:2 ino:1\ninotify wd:1 ino:2\n"),
        ("proc/10/fdinfo/4", "pos:\t0\n"),
        ("proc/11/status", "Name:\tb\nUid:\t1000\t1000\t1000\t1000\n"),
        ("proc/11/fdinfo/3", "inotify wd:3 ino:1\ninotify wd:2 ino:1\ninotify wd:1 ino:2\n"),
        ("proc/self/status", "Uid:\t5\t5\t5\t5\n"),
    ]);
    for descriptor in ["10/fd/3", "10/fd/4", "11/fd/3"] {
        let path = tree.0.path().join("proc").join(descriptor);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink("anon_inode:inotify", path).unwrap();
    }
    symlink("/dev/null", tree.0.path().join("proc/10/fd/5")).unwrap();
    assert_eq!(
        tree.found(ALL),
        expected(&[
            ("inotify_instances user ID 0", 128, Some(2)),
            ("inotify_watches user ID 1000", 8_192, Some(3))
        ])
    );
}

#[test]
fn all_are_told_at_the_start_and_every_half_minute_and_pids_when_they_change() {
    const SECOND: u64 = 1_000_000_000;
    let tree = Tree::of(&[
        ("proc/loadavg", "0 0 0 1/100 1\n"),
        ("proc/sys/kernel/pid_max", "32768\n"),
        ("proc/sys/vm/max_map_count", "65530\n"),
    ]);
    let mut reports = LimitReports::new(tree.0.path(), NONE);
    let mut at = |second: u64| {
        let due = reports.due(second * SECOND);
        due.iter().map(|reading| (reading.resource, reading.used)).collect::<Vec<_>>()
    };
    assert_eq!(at(1), [("pids", Some(100)), ("map_count", None)]);
    tree.put("proc/loadavg", "0 0 0 1/110 1\n");
    assert_eq!(at(2), []);
    assert_eq!(at(6), [("pids", Some(110))]);
    assert_eq!(at(11), []);
    assert_eq!(at(31), [("pids", Some(110)), ("map_count", None)]);
}

#[test]
fn a_record_is_a_line_of_json_by_the_columns_of_the_table() {
    let (scope, source) = ("pods".to_owned(), "/sys/fs/cgroup/a \"b\"/pids.max".to_owned());
    let reading = LimitReading { resource: "pids", scope, limit: None, used: Some(7), source };
    assert_eq!(
        reading.line(UNIX_EPOCH, Some("boot")),
        "{\"record\":\"limit\",\"time\":\"1970-01-01T00:00:00.000Z\",\"boot_id\":\"boot\",\"resource\":\"pids\",\"scope\":\"pods\",\
         \"limit\":null,\"used\":7,\"source\":\"/sys/fs/cgroup/a \\\"b\\\"/pids.max\"}\n"
    );
}

#[test]
fn this_machine_tells_its_tasks() {
    let all = records(Path::new("/"), NONE);
    let pids = all.iter().find(|reading| (reading.resource, &*reading.scope) == ("pids", MACHINE)).unwrap();
    assert!(pids.limit.is_none_or(|limit| limit > 1) && pids.used.unwrap() > 1, "{pids:?}");
}
