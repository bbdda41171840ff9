//! What was asked beside what was had, on the terminal and as JSON.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::peers::Peers;

/// One figure.
pub(crate) struct Row {
    section: String,
    what: String,
    unit: &'static str,
    value: f64,
    asked: Option<f64>,
    /// The largest value allowed, or with `asked` the largest deviation from it, as a part of it.
    bound: Option<f64>,
    peers: Vec<(String, f64)>,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            section: String::new(),
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
    pub(crate) fn peers(self, peers: Vec<(String, f64)>) -> Self {
        Self { peers, ..self }
    }

    fn deviation_percent(&self) -> Option<f64> {
        self.asked.map(|asked| (self.value / asked - 1.0) * 100.0)
    }

    fn within(&self) -> Option<bool> {
        let bound = self.bound?;
        Some(self.deviation_percent().map_or(self.value <= bound, |deviation| deviation.abs() <= bound))
    }
}

/// All figures of a run.
pub(crate) struct Table {
    machine: Value,
    smoke: bool,
    section: String,
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(peers: &Peers, smoke: bool) -> Self {
        let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let model =
            file("/proc/cpuinfo").lines().find_map(|line| Some(line.split_once("model name")?.1.to_owned()));
        let model = model.map(|name| name.trim_start_matches(['\t', ':', ' ']).to_owned());
        let kernel = file("/proc/sys/kernel/osrelease").trim().to_owned();
        let cpus = std::thread::available_parallelism().map_or(0, |count| count.get());
        let load = file("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
        println!("{cpus} × {}, Linux {kernel}, load {load}", model.as_deref().unwrap_or("unknown CPU"));
        println!("peers: {peers}");
        let machine = json!({
            "cpu": model, "cpus": cpus, "kernel": kernel, "load_before": load, "smoke": smoke,
            "time": humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(),
        });
        Self { machine, smoke, section: String::new(), rows: Vec::new() }
    }

    /// Names a group of figures.
    pub(crate) fn section(&mut self, title: &str) {
        title.clone_into(&mut self.section);
        println!("\n{title}");
        println!("  {:<34} {:>12} {:>12}  {:>9}  {:<16} peers", "", "asked", "had", "off by", "bound");
    }

    /// Shows a figure and keeps it.
    pub(crate) fn add(&mut self, mut row: Row) {
        if self.smoke {
            // Too short to hold it against anything.
            row.bound = None;
        }
        let number = |value: f64| match row.unit {
            "B" => format!("{value:.0} B"),
            unit => format!("{value:.4} {unit}"),
        };
        let deviation = row.deviation_percent().map(|percent| format!("{percent:+.3} %"));
        let sign = if row.asked.is_some() { "±" } else { "≤ " };
        let unit = if row.asked.is_some() { "%" } else { row.unit };
        let bound = row.bound.map(|bound| {
            let verdict = if row.within() == Some(true) { "ok" } else { "MISSED" };
            format!("{sign}{bound} {unit} {verdict}")
        });
        let peers = row.peers.iter().map(|(name, value)| match row.asked {
            // How much of what was asked it had.
            Some(asked) => format!("{name} {} ({:.3} ×)", number(*value), value / asked),
            // How much of the peer's cost is ours.
            None => format!("{name} {} (ours is {:.2} ×)", number(*value), row.value / value),
        });
        println!(
            "  {:<34} {:>12} {:>12}  {:>9}  {:<16} {}",
            row.what,
            row.asked.map(number).unwrap_or_default(),
            number(row.value),
            deviation.unwrap_or_default(),
            bound.unwrap_or_default(),
            peers.collect::<Vec<_>>().join(", ")
        );
        row.section.clone_from(&self.section);
        self.rows.push(row);
    }

    /// Writes the JSON and says what was missed.
    pub(crate) fn finish(self, path: &Path) -> Result<(), Box<dyn Error>> {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let peers: Value =
                    row.peers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
                json!({
                    "section": row.section, "what": row.what, "unit": row.unit, "asked": row.asked, "had": row.value,
                    "deviation_percent": row.deviation_percent(), "bound": row.bound, "within": row.within(),
                    "peers": peers,
                })
            })
            .collect();
        let missed: Vec<_> = self.rows.iter().filter(|row| row.within() == Some(false)).collect();
        let bounded = self.rows.iter().filter(|row| row.bound.is_some()).count();
        println!("\n{} of {bounded} bounds met", bounded - missed.len());
        for row in missed {
            println!("  missed: {}", row.what);
        }
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(path, serde_json::to_string_pretty(&json!({ "machine": self.machine, "rows": rows }))?)?;
        println!("{}", path.display());
        Ok(())
    }
}
