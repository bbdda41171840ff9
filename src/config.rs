//! Configuration of a run: what a load is asked for, and how it reports.

mod listen;
mod times;

pub use listen::ListenAddress;
pub use times::{Interval, TouchEvery};

use clap::ValueEnum;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::memory::Fill;
use crate::quantity::{Bytes, CpuTarget, MemoryTarget, Rate};
use crate::report::Format;

/// What a load is asked for. Its fields define the options of the command line, and serialize as a map from the names of
/// these options to their values as text.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct LoadSpec {
    /// Resident set of the process: bytes (500M, 500Mi), a percentage of the limit in force (80%), or max
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_MEMORY",
        value_name = "SIZE",
        default_value = "0"
    )]
    pub memory: MemoryTarget,

    /// Growth of memory in bytes per second, or instant
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_GROWTH_RATE",
        value_name = "RATE",
        default_value = "10M/s"
    )]
    pub growth_rate: Rate,

    /// Grow in steps of this size at the same average rate; not with instant [default: smooth]
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_GROWTH_STEP", value_name = "SIZE", value_parser = step)]
    pub growth_step: Option<Bytes>,

    /// Contents of pages: random prevents merging and compression, unique prevents merging, zero neither
    #[arg(long, env = "WORKLOAD_FILL", value_name = "KIND", default_value = "random", value_enum)]
    pub fill: Fill,

    /// Rewrite every page at least this often, so that reclaim finds it active; or never
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_TOUCH_EVERY",
        value_name = "TIME",
        default_value = "10s"
    )]
    pub touch_every: TouchEvery,

    /// Huge pages; without a value: transparent
    #[arg(
        long,
        env = "WORKLOAD_HUGE_PAGES",
        value_name = "KIND",
        default_value = "never",
        default_missing_value = "transparent",
        num_args = 0..=1,
        require_equals = true,
        value_enum
    )]
    pub huge_pages: HugePages,

    /// CPU time per wall time: cores (0.2, 200m), a percentage of the limit in force (50%), or max
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_CPU", value_name = "CORES", default_value = "0")]
    pub cpu: CpuTarget,

    /// If the request cannot be met: hold what is possible and keep trying, or exit with status 3
    #[arg(long, env = "WORKLOAD_ON_FAILURE", value_name = "ACTION", default_value = "hold", value_enum)]
    pub on_failure: OnFailure,

    /// How it reports.
    #[command(flatten)]
    pub reports: ReportSpec,
}

/// How, how often and for how long it reports.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ReportSpec {
    /// Exit after this time (90s, 10m) [default: run until stopped]
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_DURATION", value_name = "TIME")]
    pub duration: Option<Interval>,

    /// Interval between reports
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_REPORT_EVERY",
        value_name = "TIME",
        default_value = "1s"
    )]
    pub report_every: Interval,

    /// Format of the reports on standard output
    #[arg(long, env = "WORKLOAD_FORMAT", value_name = "FORMAT", default_value = "text", value_enum)]
    pub format: Format,

    /// Serve /metrics (OpenMetrics), /readyz and /healthz over HTTP on this address; :8080 is every address, IPv4 and IPv6
    /// [default: off]
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_LISTEN", value_name = "[IP]:PORT")]
    pub listen: Option<ListenAddress>,

    /// Lowest severity of messages on standard error
    #[arg(long, env = "WORKLOAD_LOG", value_name = "LEVEL", default_value = "info", value_enum)]
    pub log: LogLevel,
}

/// The name of an option, and its value in a form that parses back; `None` where it has none.
type Setting<T> = (&'static str, fn(&T) -> Option<String>);

const LOAD_SETTINGS: [Setting<LoadSpec>; 8] = [
    ("memory", |load| Some(load.memory.to_string())),
    ("growth-rate", |load| Some(load.growth_rate.to_string())),
    ("growth-step", |load| load.growth_step.map(|step| step.to_string())),
    ("fill", |load| word(&load.fill)),
    ("touch-every", |load| Some(load.touch_every.to_string())),
    ("huge-pages", |load| word(&load.huge_pages)),
    ("cpu", |load| Some(load.cpu.to_string())),
    ("on-failure", |load| word(&load.on_failure)),
];

const REPORT_SETTINGS: [Setting<ReportSpec>; 5] = [
    ("duration", |reports| reports.duration.map(|duration| duration.to_string())),
    ("report-every", |reports| Some(reports.report_every.to_string())),
    ("format", |reports| word(&reports.format)),
    ("listen", |reports| reports.listen.map(|address| address.to_string())),
    ("log", |reports| word(&reports.log)),
];

fn settings_of<T>(of: &T, settings: &[Setting<T>]) -> Vec<(&'static str, String)> {
    settings.iter().filter_map(|(name, get)| Some((*name, get(of)?))).collect()
}

impl LoadSpec {
    /// Every setting by the name of its option, in a form that parses back.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = settings_of(self, &LOAD_SETTINGS);
        settings.extend(self.reports.settings());
        settings
    }
}

impl ReportSpec {
    /// Every setting by the name of its option, in a form that parses back.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        settings_of(self, &REPORT_SETTINGS)
    }
}

impl Serialize for LoadSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let settings = self.settings();
        let mut map = serializer.serialize_map(Some(settings.len()))?;
        for (name, value) in &settings {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The word on the command line for a value of an enumeration.
fn word(value: &impl ValueEnum) -> Option<String> {
    value.to_possible_value().map(|value| value.get_name().to_owned())
}

fn step(text: &str) -> Result<Bytes, String> {
    match text.parse() {
        Ok(Bytes(0)) => Err("a step of zero never grows (allowed: bytes such as 25M or 25Mi)".into()),
        Ok(step) => Ok(step),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether to use huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HugePages {
    /// Small pages only: exact and smooth.
    Never,
    /// Transparent huge pages, where the kernel has them.
    Transparent,
}

/// What to do where the target cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// Hold what there is and go on trying.
    Hold,
    /// Exit with status 3.
    Exit,
}

/// The least important messages to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// None.
    Off,
    /// Errors.
    Error,
    /// Warnings as well.
    Warn,
    /// What happens as well.
    Info,
    /// Details as well.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The filter for `tracing`.
    #[must_use]
    pub fn filter(self) -> tracing::level_filters::LevelFilter {
        use tracing::level_filters::LevelFilter;
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}
