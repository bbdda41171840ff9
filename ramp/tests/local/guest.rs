//! A virtual machine whose wall clock is set while `ramp` records: what a machine of users does to a run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Under emulation on a busy machine a guest takes a minute; this one hangs.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// Process 1 of the guest: sets the clock forward and back while instances come, and sends what was recorded and reported.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mkdir -p /proc /sys /dev /tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
(sleep 6; date -s 2031-01-01; sleep 5; date -s 2021-01-01) >/dev/null &
/ramp run --engine local --memory 30M --budget 400M --to 50 --pace 2s --settle 3s --stop time:16s --out /run >/ramp.log 2>&1
echo \"status $?\" >>/ramp.log
/ramp report /run --json >/report.json 2>&1
cd /run
for file in run.json steps.csv pods.csv nodes.csv events.csv /ramp.log /report.json; do
  echo \"--- $file\"
  cat $file
done >/dev/ttyS1
poweroff -f
";

fn kernel() -> PathBuf {
    if let Some(named) = std::env::var_os("WORKLOAD_TEST_KERNEL") {
        return named.into();
    }
    let found = fs::read_dir("/boot").unwrap().map(|entry| entry.unwrap().path());
    let is_kernel = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("vmlinuz-");
    found.filter(is_kernel).max().expect("a kernel in /boot")
}

/// Boots a guest and returns what it sent.
fn boot(scratch: &Path) -> String {
    let file = |name: &str| scratch.join(name);
    fs::create_dir_all(file("root/bin")).unwrap();
    fs::copy("/bin/busybox", file("root/bin/busybox")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_ramp"), file("root/ramp")).unwrap();
    fs::write(file("root/init"), INIT).unwrap();
    let script = "chmod -R 755 . && find . | cpio --quiet --create --format newc --owner 0:0";
    let archive = File::create(file("initramfs")).unwrap();
    let packed = Command::new("sh").args(["-c", script]).current_dir(file("root")).stdout(archive).status();
    assert!(packed.unwrap().success());
    let serial = |name: &str| format!("file:{}", file(name).display());
    let mut qemu = Command::new("qemu-system-x86_64")
        .args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024", "-nodefaults", "-no-reboot"])
        .args(["-display", "none", "-serial", &serial("console"), "-serial", &serial("files")])
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(kernel())
        .arg("-initrd")
        .arg(file("initramfs"))
        .stdin(Stdio::null())
        .spawn()
        .expect("qemu-system-x86_64");
    let text = |name: &str| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).replace("\r\n", "\n");
    let began = Instant::now();
    while qemu.try_wait().unwrap().is_none() {
        if began.elapsed() > TIME_LIMIT {
            let _ = qemu.kill();
            panic!("no end after {TIME_LIMIT:?}: {}", text("console"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    text("files")
}

#[test]
#[ignore = "needs qemu, a kernel and busybox"]
fn a_run_on_a_machine_whose_clock_is_set_forth_and_back_has_right_durations_and_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let sent = boot(scratch.path());
    let file = |name: &str| {
        let begin =
            sent.split_once(&format!("--- {name}\n")).unwrap_or_else(|| panic!("no {name} in {sent}")).1;
        begin.split("\n--- ").next().unwrap().to_owned()
    };
    let log = file("/ramp.log");
    assert!(log.contains("ended: time:16s: 16s have passed") && log.contains("status 0"), "{log}");
    for table in ["steps.csv", "pods.csv", "nodes.csv", "events.csv"] {
        let text = file(table);
        let elapsed: Vec<f64> =
            text.lines().skip(1).filter_map(|row| row.split(',').nth(1)?.parse().ok()).collect();
        assert!(elapsed.len() > 1 && elapsed.iter().all(|at| *at < 200.0), "{table}: {text}");
    }
    let events = file("events.csv");
    let set: Vec<&str> = events.lines().filter(|row| row.contains(",ClockSet,")).collect();
    assert_eq!(set.len(), 2, "{events}");
    assert!(set[0].contains("set forward by") && set[0].contains("to 2031-01-01T00:00:0"), "{set:?}");
    assert!(set[1].contains("set back by") && set[1].contains("to 2021-01-01T00:00:0"), "{set:?}");
    assert!(!events.contains("ClockApart"), "the node's clock is this one: {events}");
    assert!(!file("nodes.csv").contains(",gap,"), "no sample is old");
    let report: serde_json::Value = serde_json::from_str(&file("/report.json")).unwrap();
    let run = &report["runs"][0];
    assert_eq!(
        run["notes"].to_string().matches("the wall clock of the recording machine was set").count(),
        2,
        "{run}"
    );
    assert!(!run.to_string().contains("times and durations are unknown"), "{run}");
}
