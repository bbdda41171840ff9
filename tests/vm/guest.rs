//! Guests under qemu (TCG): they boot the built program and report over serial lines. `WORKLOAD_TEST_KERNEL` names the kernel;
//! default: the newest of Debian's cloud kernels.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support;

/// Under emulation on a busy machine a guest takes half a minute; this one hangs.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What a guest sent.
pub(crate) struct Guest {
    /// Of the first serial line, with the kernel's messages.
    pub(crate) console: String,
    /// Sent over the second one, by name.
    files: HashMap<String, String>,
}

impl Guest {
    /// Boots a guest with `init` as its process 1, and waits for its end. Or says why that failed.
    pub(crate) fn boot(init: &str) -> Result<Self, String> {
        serial_lines(init).map(|[console, files]| Self::of(console, &files))
    }

    /// The same, but once in a run of nextest, which has a process for each test: the others, one after the other, read what was sent
    /// to the first (.config/nextest.toml).
    pub(crate) fn boot_once(init: &str) -> Result<Self, String> {
        let Some(run) = std::env::var_os("NEXTEST_RUN_ID") else { return Self::boot(init) };
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
        let file = directory.join(run).with_extension("json");
        if !file.exists() {
            // That of an earlier run, where there is one.
            let _ = fs::remove_dir_all(&directory);
            let sent = match serial_lines(init) {
                Ok([console, files]) => json!({"console": console, "files": files}),
                Err(error) => json!({"error": error}),
            };
            // Never half there.
            let new = file.with_extension("new");
            let written = fs::create_dir_all(&directory)
                .and_then(|()| fs::write(&new, sent.to_string()))
                .and_then(|()| fs::rename(&new, &file));
            written.map_err(|error| format!("{}: {error}", file.display()))?;
        }
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let sent: Value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let text = |name: &str| sent[name].as_str().map(str::to_owned);
        match (text("console"), text("files")) {
            (Some(console), Some(files)) => Ok(Self::of(console, &files)),
            _ => Err(text("error").unwrap_or_default()),
        }
    }

    fn of(console: String, files: &str) -> Self {
        let files = files.split("\n--- ").filter_map(|file| file.split_once('\n'));
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
        Self { console, files }
    }

    /// The text of a file that the guest sent.
    pub(crate) fn file(&self, name: &str) -> &str {
        match self.files.get(name) {
            Some(text) => text,
            None => panic!("the guest sent no {name}; {}", last_words(&self.console)),
        }
    }

    /// A figure in a file of a name and a number a line, as cgroups have them.
    pub(crate) fn figure(&self, name: &str, key: &str) -> u64 {
        let text = self.file(name);
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {key} in {name}:\n{text}"))
    }

    /// The run of this name.
    pub(crate) fn run(&self, name: &str) -> Run {
        let messages = self.file(&format!("{name}.messages")).to_owned();
        let times = self.file(&format!("{name}.times")).lines();
        let times: Vec<f64> = times.map(|time| time.parse().expect("a number")).collect();
        Run {
            took: times[1] - times[0],
            status: self.file(&format!("{name}.status")).trim().parse().expect("a number"),
            records: records(self.file(&format!("{name}.reports")), &messages),
            messages,
        }
    }
}

/// Boots a guest, and waits for its end: what came over its first and its second serial line.
fn serial_lines(init: &str) -> Result<[String; 2], String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = |name: &str| scratch.path().join(name);
    pack(init, &file("root"), &file("initramfs")).map_err(|error| format!("initramfs: {error}"))?;
    let swap = File::create(file("swap")).and_then(|swap| swap.set_len(128 << 20));
    swap.map_err(|error| error.to_string())?;
    let serial = |name: &str| format!("file:{}", file(name).display());
    // Before what other tests do meanwhile: its programs need the time that emulation gives them. (Who may not go first does not.)
    let mut qemu = Command::new("nice");
    qemu.args(["-n", "-10", "qemu-system-x86_64"]);
    qemu.args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "512", "-nodefaults", "-no-reboot"])
        .args(["-display", "none", "-serial", &serial("console"), "-serial", &serial("files")])
        .arg("-drive")
        .arg(format!("file={},if=none,format=raw,id=swap", file("swap").display()))
        .args(["-device", "nvme,drive=swap,serial=swap"])
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(kernel()?)
        .arg("-initrd")
        .arg(file("initramfs"))
        .stdin(Stdio::null())
        .stderr(File::create(file("errors")).map_err(|error| error.to_string())?);
    let mut qemu = support::started(&mut qemu).map_err(|error| format!("qemu-system-x86_64: {error}"))?;
    let text = |name: &str| {
        let bytes = fs::read(file(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
    };
    loop {
        match qemu.child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => break,
            Some(status) => {
                let errors = text("errors");
                return Err(format!("qemu: {status}: {errors}{}", last_words(&text("console"))));
            }
            None if qemu.started.elapsed() > TIME_LIMIT => {
                return Err(format!("no end after {TIME_LIMIT:?}; {}", last_words(&text("console"))));
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    Ok([text("console"), text("files")])
}

/// One run of the program in a guest.
pub(crate) struct Run {
    /// Seconds from its start to its end, by the guest's clock.
    pub(crate) took: f64,
    /// As the shell has it: 128 and the signal where one killed it.
    pub(crate) status: i32,
    /// All that was reported.
    pub(crate) records: Vec<Value>,
    /// Standard error.
    pub(crate) messages: String,
}

impl Run {
    /// The last record.
    pub(crate) fn last(&self) -> &Value {
        self.records.last().expect("never empty")
    }

    /// The first record that is as it should be.
    pub(crate) fn first(&self, what: &str, condition: impl FnMut(&&Value) -> bool) -> &Value {
        self.records.iter().find(condition).unwrap_or_else(|| panic!("never {what}: {}", self.last()))
    }

    /// The longest time between two records.
    pub(crate) fn longest_gap(&self) -> f64 {
        let elapsed: Vec<f64> = self.records.iter().map(|record| number(record, "elapsed_seconds")).collect();
        elapsed.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
    }
}

/// Every line is a record; none is cut off.
pub(crate) fn records(text: &str, messages: &str) -> Vec<Value> {
    let last = text.rsplit('\n').next().filter(|_| !text.is_empty());
    assert_eq!(last, Some(""), "the last line must be a whole one; messages:\n{messages}");
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"));
    text.lines().map(parse).collect()
}

/// A field that must be a number.
pub(crate) fn number(record: &Value, field: &str) -> f64 {
    record[field].as_f64().unwrap_or_else(|| panic!("{field} is no number in {record}"))
}

/// What is of use of a console when something went wrong.
pub(crate) fn last_words(console: &str) -> String {
    let shorten = |line: &str| line.chars().take(300).collect::<String>();
    let mut lines: Vec<String> = console.lines().rev().take(40).map(shorten).collect();
    lines.reverse();
    format!("the guest's last words:\n{}", lines.join("\n"))
}

/// Packs the program, busybox and process 1 into an initramfs.
fn pack(init: &str, root: &Path, archive: &Path) -> std::io::Result<()> {
    fs::create_dir_all(root.join("bin"))?;
    fs::copy("/bin/busybox", root.join("bin/busybox"))?;
    fs::copy(support::WORKLOAD, root.join("workload"))?;
    fs::write(root.join("init"), init)?;
    let script = "chmod -R 755 . && find . | cpio --quiet --create --format newc --owner 0:0";
    let mut sh = Command::new("sh");
    sh.args(["-c", script]).current_dir(root).stdout(File::create(archive)?);
    if sh.status()?.success() { Ok(()) } else { Err(std::io::Error::other("cpio failed")) }
}

/// The kernel to boot.
fn kernel() -> Result<PathBuf, String> {
    if let Some(kernel) = std::env::var_os("WORKLOAD_TEST_KERNEL") {
        return Ok(kernel.into());
    }
    let entries = fs::read_dir("/boot").map_err(|error| format!("/boot: {error}"))?;
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("vmlinuz-") && name.ends_with("-cloud-amd64")
    };
    let kernels = entries.flatten().map(|entry| entry.path()).filter(is_one);
    kernels
        .max_by_key(|path| path.metadata().and_then(|file| file.modified()).ok())
        .ok_or_else(|| "no /boot/vmlinuz-*-cloud-amd64; WORKLOAD_TEST_KERNEL may name another".to_owned())
}
