//! Other load generators, where they are installed.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Command, Stdio};

use crate::Outcome;

/// A figure, or the word why there is none.
pub(crate) type Figure = Result<f64, String>;

/// What each peer had.
pub(crate) type Beside = Vec<(&'static str, Figure)>;

/// Every peer by name, and the first line with which it introduces itself where it is installed.
pub(crate) struct Peers {
    all: Vec<(&'static str, Option<String>)>,
}

/// A peer and how to ask it, or the word why it cannot be asked.
pub(crate) struct Peer {
    name: &'static str,
    command: Result<Command, &'static str>,
}

pub(crate) const NOT_INSTALLED: &str = "not installed";

const PART_OF_A_CORE: &str = "cannot be asked for a part of a core";

impl Peers {
    pub(crate) fn find() -> Self {
        let version = |name: &str| {
            let output = Command::new(name).arg("--version").stderr(Stdio::null()).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout);
            Some(short(text.lines().next().unwrap_or_default()).trim().to_owned())
        };
        Self { all: ["stress-ng", "stress", "lookbusy"].map(|name| (name, version(name))).into() }
    }

    /// Asks each for so much of the CPU. Each has whole percent of each of its workers, or less choice.
    pub(crate) fn cpu(&self, cores: f64) -> Vec<Peer> {
        let workers = cores.ceil();
        let percent = format!("{:.0}", cores / workers * 100.0);
        let whole = cores.fract() == 0.0;
        let workers = format!("{workers:.0}");
        self.ask(|name| match name {
            "stress-ng" => Ok(vec!["--quiet", "--cpu", &workers, "--cpu-load", &percent]),
            "stress" if whole => Ok(vec!["--quiet", "--cpu", &workers]),
            "stress" => Err(PART_OF_A_CORE),
            // By its manual and the source of 1.4; Debian has no package of it.
            _ => Ok(vec!["--quiet", "--ncpus", &workers, "--cpu-util", &percent]),
        })
    }

    /// Asks each to hold so much memory.
    pub(crate) fn memory(&self, bytes: u64) -> Vec<Peer> {
        let bytes = bytes.to_string();
        self.ask(|name| match name {
            "lookbusy" => Ok(vec!["--quiet", "--cpu-util", "0", "--mem-util", &bytes]),
            _ => Ok(vec!["--quiet", "--vm", "1", "--vm-bytes", &bytes, "--vm-keep", "--vm-hang", "0"]),
        })
    }

    fn ask<'a>(&self, args: impl Fn(&'static str) -> Result<Vec<&'a str>, &'static str>) -> Vec<Peer> {
        let command = |name, version: &Option<String>| {
            version.as_ref().ok_or(NOT_INSTALLED)?;
            let mut command = Command::new(name);
            command.args(args(name)?).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            Ok(command)
        };
        self.all.iter().map(|(name, version)| Peer { name, command: command(*name, version) }).collect()
    }

    /// Name and version of those installed.
    pub(crate) fn versions(&self) -> BTreeMap<&'static str, &str> {
        self.all.iter().filter_map(|(name, version)| Some((*name, version.as_deref()?))).collect()
    }
}

/// What stands before compiler and copyright.
fn short(line: &str) -> &str {
    let end = [" (", " -- "].iter().filter_map(|mark| line.find(mark)).min();
    end.map_or(line, |end| &line[..end])
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(name, version): &(&str, Option<String>)| {
            version.clone().unwrap_or_else(|| format!("{name} {NOT_INSTALLED}"))
        };
        f.write_str(&self.all.iter().map(text).collect::<Vec<_>>().join("; "))
    }
}

/// The same figures of each peer, one after another. What goes wrong with one of them is its own matter.
pub(crate) fn side_by_side<const N: usize>(
    peers: Vec<Peer>,
    mut measure: impl FnMut(&mut Command) -> Outcome<[f64; N]>,
) -> [Beside; N] {
    let had: Vec<(&str, Result<[f64; N], String>)> = peers
        .into_iter()
        .map(|Peer { name, command }| {
            let figures = command
                .map_err(str::to_owned)
                .and_then(|mut command| measure(&mut command).map_err(|error| error.to_string()));
            (name, figures)
        })
        .collect();
    std::array::from_fn(|index| {
        had.iter().map(|(name, figures)| (*name, figures.clone().map(|figures| figures[index]))).collect()
    })
}
