//! The other programs people use for this, where they are installed.

use std::fmt;
use std::process::{Command, Stdio};

/// The peers found on this machine.
pub(crate) struct Peers {
    found: Vec<(&'static str, String)>,
}

impl Peers {
    pub(crate) fn find() -> Self {
        let version = |name: &'static str, flag: &str| {
            let output = Command::new(name).arg(flag).stderr(Stdio::null()).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout);
            Some((name, text.lines().next().unwrap_or_default().trim().to_owned()))
        };
        let all = [("stress-ng", "--version"), ("stress", "--version"), ("lookbusy", "--version")];
        Self { found: all.into_iter().filter_map(|(name, flag)| version(name, flag)).collect() }
    }

    /// The command lines of those that can be asked for a part of the CPU.
    pub(crate) fn cpu(&self, cores: f64) -> Vec<(&'static str, Command)> {
        let threads = cores.ceil();
        let percent = format!("{:.0}", cores / threads * 100.0);
        let threads = format!("{threads:.0}");
        self.commands(|name| match name {
            "stress-ng" => Some(vec!["--quiet", "--cpu", &threads, "--cpu-load", &percent]),
            "lookbusy" => Some(vec!["--ncpus", &threads, "--cpu-util", &percent]),
            _ => None,
        })
    }

    /// The command lines of those that can be asked to hold memory.
    pub(crate) fn memory(&self, bytes: u64) -> Vec<(&'static str, Command)> {
        let bytes = bytes.to_string();
        self.commands(|name| match name {
            "stress-ng" => {
                Some(vec!["--quiet", "--vm", "1", "--vm-bytes", &bytes, "--vm-keep", "--vm-hang", "0"])
            }
            "stress" => {
                Some(vec!["--quiet", "--vm", "1", "--vm-bytes", &bytes, "--vm-keep", "--vm-hang", "0"])
            }
            "lookbusy" => Some(vec!["--cpu-util", "0", "--mem-util", &bytes]),
            _ => None,
        })
    }

    fn commands<'a>(
        &self,
        args: impl Fn(&'static str) -> Option<Vec<&'a str>>,
    ) -> Vec<(&'static str, Command)> {
        let command = |name| {
            let mut command = Command::new(name);
            command.args(args(name)?).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Some((name, command))
        };
        self.found.iter().filter_map(|(name, _)| command(*name)).collect()
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found.is_empty() {
            return f.write_str("none installed");
        }
        let versions: Vec<&str> = self.found.iter().map(|(_, version)| version.as_str()).collect();
        f.write_str(&versions.join("; "))
    }
}
