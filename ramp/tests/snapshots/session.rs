//! Whole sessions: everything that `ramp` prints from start to end.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// All that is called here ends soon, however busy the machine.
const LIMIT: Duration = Duration::from_secs(120);

/// Holds a text against `snapshots/NAME.snap`. The version is left out: a release changes no wording.
pub(crate) fn hold(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Holds that what a session printed of a report is one screen: 40 lines of 100 columns, beside the command, its exit status and what it
/// said on standard error of a report that took long.
pub(crate) fn fits_on_a_screen(told: &str) {
    let is_printed = |line: &&str| !["$ ", "[exit ", "  ! "].iter().any(|other| line.starts_with(other));
    let printed: Vec<&str> = told.lines().filter(is_printed).collect();
    assert!(printed.len() <= 40, "{} lines: {told}", printed.len());
    let widest = printed.iter().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns: {told}");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory to call it in, where nothing but what is put there can be found: no kubeconfig, and no socket of an engine.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn put(&self, file: &str, text: &str) {
        let file = self.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    /// The program with nothing of the caller's environment, and with a terminal as wide for everybody.
    pub(crate) fn ramp(&self, arguments: &[&str], columns: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ramp"))
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("XDG_RUNTIME_DIR", self.path())
            .env("COLUMNS", columns)
            // Of a terminal its own width would count.
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A pipe holds 64 KiB: who writes more waits for a reader.
        let stdout = read_all(child.stdout.take().unwrap());
        let stderr = read_all(child.stderr.take().unwrap());
        let begin = Instant::now();
        while child.try_wait().unwrap().is_none() {
            // What was to be refused and is not may run for as long as it likes.
            if begin.elapsed() > LIMIT {
                child.kill().unwrap();
                panic!("{arguments:?} does not end");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = child.wait().unwrap();
        Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }

    /// One call, and what comes of it. Times of the log and the place itself, which differ each time, are left out.
    pub(crate) fn session(&self, arguments: &[&str]) -> String {
        let output = self.ramp(arguments, "100");
        let quoted = |word: &&str| match *word {
            "" => "''".to_owned(),
            word if word.contains([' ', '>', '<', '*', '|']) => format!("'{word}'"),
            word => word.to_owned(),
        };
        let call = format!("ramp {}", arguments.iter().map(quoted).collect::<Vec<_>>().join(" "));
        let shown = text(&output.stdout) + &text(&output.stderr);
        let shown = shown.replace(&self.path().canonicalize().unwrap().display().to_string(), "/HERE");
        let shown = shown.replace(&self.path().display().to_string(), "/HERE");
        // A machine that is slow says what it waits for.
        let lines = shown.trim_end().lines().filter(|line| !line.starts_with("  ! waiting for the report: "));
        let lines = lines.map(|line| match line.split_once(' ') {
            Some((time, rest)) if time.parse::<humantime::Timestamp>().is_ok() => format!("TIME {rest}\n"),
            _ => format!("{line}\n"),
        });
        format!(
            "$ {}\n{}[exit status {}]\n",
            call.trim_end(),
            lines.collect::<String>(),
            output.status.code().unwrap()
        )
    }

    pub(crate) fn sessions(&self, all: &[&[&str]]) -> String {
        all.iter().map(|arguments| self.session(arguments)).collect::<Vec<_>>().join("\n")
    }
}

/// Reads a pipe to its end, in a thread.
fn read_all(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Calls that need nothing to be there.
pub(crate) fn sessions(all: &[&[&str]]) -> String {
    Place::new().sessions(all)
}
