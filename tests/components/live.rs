//! Processes of this machine, in made-up pods.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use workload::host::{Component, Components};

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program, which is another copy of this one, and waits until it has reported.
fn started(program: &Path) -> Running {
    let mut child = Command::new(program)
        .args(["--report-every", "1h"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = [0; 1];
    let stdout = child.stdout.as_mut().expect("piped");
    std::io::Read::read_exact(stdout, &mut first).expect("its first report");
    Running(child)
}

/// The files of a process as they are, but in the cgroup of a pod.
fn put_in_a_pod(root: &Path, id: u32, pod: u32) {
    let directory = root.join("proc").join(id.to_string());
    fs::create_dir_all(&directory).expect("made");
    for file in ["stat", "cmdline", "status", "smaps_rollup"] {
        symlink(format!("/proc/{id}/{file}"), directory.join(file)).expect("linked");
    }
    let cgroup = format!("0::/kubepods/pod{pod:08}-0000-4000-8000-000000000000/{pod:064}\n");
    fs::write(directory.join("cgroup"), cgroup).expect("written");
}

fn parts(components: &mut Components) -> Vec<Component> {
    components.read().into_iter().filter(|part| part.program.is_some()).collect()
}

#[test]
fn memory_that_two_processes_share_is_divided_among_them() {
    let root = tempfile::tempdir().unwrap();
    // A file of its own: nobody else maps it. By another name it is no load.
    let program = root.path().join("sample");
    fs::copy(env!("CARGO_BIN_EXE_workload"), &program).unwrap();
    let file = |component: &Component| component.memory.unwrap().file.unwrap_or_default() + shmem(component);
    // Where the temporary directory is in memory.
    fn shmem(component: &Component) -> u64 {
        component.memory.unwrap().shmem.unwrap_or_default()
    }
    let first = started(&program);
    put_in_a_pod(root.path(), first.0.id(), 1);
    let mut components = Components::open(root.path());
    let alone = parts(&mut components);
    assert_eq!((alone.len(), alone[0].process.as_str()), (1, "sample"));
    let second = started(&program);
    put_in_a_pod(root.path(), second.0.id(), 2);
    let both = parts(&mut components);
    assert_eq!(both.len(), 2, "a pod each: {both:?}");
    let (whole, halves) = (file(&alone[0]), [file(&both[0]), file(&both[1])]);
    assert!(whole > 500_000, "the program itself: {alone:?}");
    for half in halves {
        assert!(half.abs_diff(whole / 2) < whole / 10, "{whole} {halves:?}");
    }
}

#[test]
fn the_load_is_as_large_by_its_cheap_count_as_by_its_page_tables() {
    let root = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        let program = root.path().join(name);
        fs::copy(env!("CARGO_BIN_EXE_workload"), &program).unwrap();
        let child = Command::new(program)
            .args(["--memory", "64M", "--growth-rate", "instant", "--touch-every", "never"])
            .stdout(Stdio::null())
            .spawn();
        Running(child.unwrap())
    };
    let (load, other) = (start("workload"), start("other"));
    put_in_a_pod(root.path(), load.0.id(), 1);
    put_in_a_pod(root.path(), other.0.id(), 2);
    let mut components = Components::open(root.path());
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let parts = parts(&mut components);
        let anon = |at: usize| parts.get(at)?.memory?.anon;
        if let (Some(cheap), Some(exact)) = (anon(0), anon(1))
            && cheap > 55_000_000
            && cheap.abs_diff(exact) < 1_000_000
        {
            let sources: Vec<_> = parts.iter().map(|part| part.memory.unwrap().source.name()).collect();
            assert_eq!(sources, ["status", "smaps_rollup"]);
            return;
        }
        assert!(Instant::now() < until, "{parts:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
