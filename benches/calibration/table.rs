//! Table of requested against measured values, for the terminal and as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Outcome;
use crate::peers::{Beside, Figure, NOT_INSTALLED, Peers};

/// One figure.
pub(crate) struct Row {
    section: &'static str,
    title: String,
    what: String,
    unit: &'static str,
    value: f64,
    asked: Option<f64>,
    /// The largest value allowed, or with `asked` the largest deviation from it, as a part of it.
    bound: Option<f64>,
    peers: Beside,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            section: "",
            title: String::new(),
            what: what.into(),
            unit,
            value,
            asked: None,
            bound: None,
            peers: Vec::new(),
        }
    }

    /// What was asked for.
    pub(crate) fn asked(self, asked: f64) -> Self {
        Self { asked: Some(asked), ..self }
    }

    /// The largest value allowed, or with [`Self::asked`] the largest deviation in percent of it.
    pub(crate) fn bound(self, bound: f64) -> Self {
        Self { bound: Some(bound), ..self }
    }

    /// What peers had of the same.
    pub(crate) fn peers(self, peers: Beside) -> Self {
        Self { peers, ..self }
    }

    fn deviation_percent(&self) -> Option<f64> {
        self.asked.map(|asked| (self.value / asked - 1.0) * 100.0)
    }

    fn within(&self) -> Option<bool> {
        let bound = self.bound?;
        Some(self.deviation_percent().map_or(self.value <= bound, |deviation| deviation.abs() <= bound))
    }

    fn number(&self, value: f64) -> String {
        match self.unit {
            // A time that did not come.
            _ if value.is_nan() => "never".to_owned(),
            "B" => format!("{value:.0} B"),
            unit => format!("{value:.4} {unit}"),
        }
    }

    /// What a peer had, and how much that is of what was asked.
    fn peer(&self, name: &str, figure: &Figure) -> String {
        match (figure, self.asked) {
            (Err(why), _) => format!("{name} {why}"),
            (Ok(value), Some(asked)) => format!("{name} {} ({:.3} ×)", self.number(*value), value / asked),
            (Ok(value), None) => format!("{name} {}", self.number(*value)),
        }
    }

    fn print(&self) {
        let deviation = self.deviation_percent().map(|percent| format!("{percent:+.3} %"));
        let (sign, unit) = if self.asked.is_some() { ("±", "%") } else { ("≤ ", self.unit) };
        let bound = self.bound.map(|bound| {
            let verdict = if self.within() == Some(true) { "ok" } else { "MISSED" };
            format!("{sign}{bound} {unit} {verdict}")
        });
        // Who is not installed is said once, at the top.
        let peers =
            self.peers.iter().filter(|(_, figure)| !matches!(figure, Err(why) if why == NOT_INSTALLED));
        let peers: Vec<String> = peers.map(|(name, figure)| self.peer(name, figure)).collect();
        println!(
            "  {:<34} {:>12} {:>12}  {:>9}  {:<18} {}",
            self.what,
            self.asked.map(|asked| self.number(asked)).unwrap_or_default(),
            self.number(self.value),
            deviation.unwrap_or_default(),
            bound.unwrap_or_default(),
            peers.join(", ")
        );
    }

    fn json(&self) -> Value {
        let had = self.peers.iter().filter_map(|(name, figure)| Some((name, figure.as_ref().ok()?)));
        let without = self.peers.iter().filter_map(|(name, figure)| Some((name, figure.as_ref().err()?)));
        let had: Value = had.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let without: Value = without.map(|(name, why)| ((*name).to_owned(), json!(why))).collect();
        json!({
            "section": self.section, "title": self.title, "what": self.what, "unit": self.unit,
            "asked": self.asked, "had": self.value, "deviation_percent": self.deviation_percent(),
            "bound": self.bound, "within": self.within(), "peers": had, "peers_without_figure": without,
        })
    }
}

/// All figures of a run. They are on disk after each section, in case the next one never ends.
pub(crate) struct Table {
    machine: Value,
    path: PathBuf,
    smoke: bool,
    section: &'static str,
    title: String,
    rows: Vec<Row>,
    /// Sections that gave no or not all figures, and why.
    failures: Vec<String>,
}

impl Table {
    pub(crate) fn new(peers: &Peers, smoke: bool, path: PathBuf) -> Self {
        let machine = machine(peers, smoke);
        Self {
            machine,
            path,
            smoke,
            section: "",
            title: String::new(),
            rows: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Runs a section under its name. One that fails does not take the others' figures with it.
    pub(crate) fn section(
        &mut self,
        name: &'static str,
        measure: impl FnOnce(&mut Self) -> Outcome<()>,
    ) -> Outcome<()> {
        self.section = name;
        if let Err(error) = measure(self) {
            println!("  FAILED: {error}");
            self.failures.push(format!("{name}: {error}"));
        }
        self.write()
    }

    /// Names a group of figures.
    pub(crate) fn title(&mut self, title: impl Into<String>) {
        self.title = title.into();
        println!("\n{}", self.title);
        println!("  {:<34} {:>12} {:>12}  {:>9}  {:<18} peers", "", "asked", "had", "off by", "bound");
    }

    /// Shows a figure and keeps it.
    pub(crate) fn add(&mut self, mut row: Row) {
        if self.smoke {
            // Too short to hold it against anything.
            row.bound = None;
        }
        row.section = self.section;
        row.title.clone_from(&self.title);
        row.print();
        self.rows.push(row);
    }

    fn write(&self) -> Outcome<()> {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        let all = json!({ "machine": self.machine, "rows": rows, "failures": self.failures });
        fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(fs::write(&self.path, serde_json::to_string_pretty(&all)?)?)
    }

    /// Says what was missed.
    ///
    /// # Errors
    ///
    /// Where a section failed. A missed bound is a figure like any other: on a busy machine there are some.
    pub(crate) fn finish(self) -> Outcome<()> {
        let missed: Vec<_> = self.rows.iter().filter(|row| row.within() == Some(false)).collect();
        let bounded = self.rows.iter().filter(|row| row.bound.is_some()).count();
        println!("\n{} of {bounded} bounds met", bounded - missed.len());
        for row in missed {
            let asked = row.asked.map(|asked| format!(", asked {}", row.number(asked))).unwrap_or_default();
            println!("  missed: {}: {}{asked}", row.section, row.what.trim_start());
        }
        println!("{}", self.path.display());
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("; ").into()) }
    }
}

/// What the figures are of, shown and as JSON.
fn machine(peers: &Peers, smoke: bool) -> Value {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let model =
        file("/proc/cpuinfo").lines().find_map(|line| Some(line.split_once("model name")?.1.to_owned()));
    let model = model.map(|name| name.trim_start_matches(['\t', ':', ' ']).to_owned());
    let is_virtual = file("/proc/cpuinfo").contains(" hypervisor");
    let kernel = file("/proc/sys/kernel/osrelease").trim().to_owned();
    let cpus = std::thread::available_parallelism().map_or(0, |count| count.get());
    let load = file("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    println!("{cpus} × {}, Linux {kernel}, load {load}", model.as_deref().unwrap_or("unknown CPU"));
    println!("peers: {peers}");
    json!({
        "cpu": model, "cpus": cpus, "virtual": is_virtual, "kernel": kernel, "load_before": load, "smoke": smoke,
        "peers": peers.versions(),
        "time": humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
    })
}
