//! The command line and its environment.

mod times;

pub use times::{Interval, TouchEvery};

use std::net::SocketAddr;

use clap::{Parser, Subcommand, ValueEnum};

use crate::memory::Fill;
use crate::quantity::{Bytes, CpuTarget, MemoryTarget, Rate};
use crate::report::Format;

/// A container load that takes exactly the memory and CPU it was asked for, and reports on standard output what
/// the kernel says it has.
///
/// Every option can be given as an environment variable as well; an option on the command line wins.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "workload",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 done or asked to stop, 2 usage, 3 could not hold what was asked \
                  (with --on-failure exit), 1 anything else.\n\n\
                  Examples:\n  workload --memory 500M --cpu 0.2\n  \
                  workload --memory max --growth-rate 25M/s --format json\n  \
                  workload --memory 80% --growth-rate instant --duration 10m\n  \
                  workload --memory 500M --cpu 0.2 --listen 0.0.0.0:8080\n  \
                  workload node --format csv"
)]
pub struct Args {
    /// What to do instead of being a load
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Resident set of the process: bytes (500M, 500Mi), a share of the limit in force (80%), or max
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_MEMORY",
        value_name = "SIZE",
        default_value = "0"
    )]
    pub memory: MemoryTarget,

    /// How fast memory grows, in bytes per second, or instant
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_GROWTH_RATE",
        value_name = "RATE",
        default_value = "10M/s"
    )]
    pub growth_rate: Rate,

    /// Grow in steps of this many bytes, at the same rate on average; no steps if instant [default: smoothly]
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_GROWTH_STEP", value_name = "SIZE", value_parser = step)]
    pub growth_step: Option<Bytes>,

    /// What pages hold: random withstands merging and compression, unique withstands merging, zero neither
    #[arg(long, env = "WORKLOAD_FILL", value_name = "KIND", default_value = "random", value_enum)]
    pub fill: Fill,

    /// Rewrite every page at least this often, so that a kernel short of memory finds it in use; or never
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_TOUCH_EVERY",
        value_name = "TIME",
        default_value = "10s"
    )]
    pub touch_every: TouchEvery,

    /// Whether to use huge pages; the option alone means transparent
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

    /// CPU time per wall time: cores (0.2, 200m), a share of the limit in force (50%), or max
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_CPU", value_name = "CORES", default_value = "0")]
    pub cpu: CpuTarget,

    /// When what was asked cannot be had: hold what there is and go on trying, or exit with status 3
    #[arg(long, env = "WORKLOAD_ON_FAILURE", value_name = "ACTION", default_value = "hold", value_enum)]
    pub on_failure: OnFailure,

    /// How it reports.
    #[command(flatten)]
    pub reports: ReportArgs,
}

/// What to do instead of being a load.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Report what the machine has and uses, for a probe on each node; be no load
    Node {
        /// How it reports.
        #[command(flatten)]
        reports: ReportArgs,
    },
}

/// How, how often and for how long it reports.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// End after this time (90s, 10m) [default: when stopped]
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_DURATION", value_name = "TIME")]
    pub duration: Option<Interval>,

    /// Time between two reports
    #[arg(
        long,
        allow_hyphen_values = true,
        env = "WORKLOAD_REPORT_EVERY",
        value_name = "TIME",
        default_value = "1s"
    )]
    pub report_every: Interval,

    /// How reports are written on standard output
    #[arg(long, env = "WORKLOAD_FORMAT", value_name = "FORMAT", default_value = "text", value_enum)]
    pub format: Format,

    /// Serve /metrics (OpenMetrics), /readyz and /healthz by HTTP on this address [default: not]
    #[arg(long, allow_hyphen_values = true, env = "WORKLOAD_LISTEN", value_name = "IP:PORT", value_parser = address)]
    pub listen: Option<SocketAddr>,

    /// The least important messages to show on standard error
    #[arg(long, env = "WORKLOAD_LOG", value_name = "LEVEL", default_value = "info", value_enum)]
    pub log: LogLevel,
}

impl Args {
    /// Every setting by the name of its flag, in a form that parses back.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings =
            vec![("memory", self.memory.to_string()), ("growth-rate", self.growth_rate.to_string())];
        settings.extend(self.growth_step.map(|step| ("growth-step", step.to_string())));
        settings.extend([
            ("fill", word(&self.fill)),
            ("touch-every", self.touch_every.to_string()),
            ("huge-pages", word(&self.huge_pages)),
            ("cpu", self.cpu.to_string()),
            ("on-failure", word(&self.on_failure)),
        ]);
        settings.extend(self.reports.settings());
        settings
    }

    /// How it reports, whatever it does.
    #[must_use]
    pub fn reports(&self) -> &ReportArgs {
        match &self.command {
            Some(Command::Node { reports }) => reports,
            None => &self.reports,
        }
    }
}

impl ReportArgs {
    /// Every setting by the name of its flag, in a form that parses back.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = Vec::new();
        settings.extend(self.duration.map(|duration| ("duration", duration.to_string())));
        settings.push(("report-every", self.report_every.to_string()));
        settings.push(("format", word(&self.format)));
        settings.extend(self.listen.map(|address| ("listen", address.to_string())));
        settings.push(("log", word(&self.log)));
        settings
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_| {
        "it is not an address to listen on (allowed: IP:PORT such as 0.0.0.0:8080, 127.0.0.1:8080 or [::]:8080)".into()
    })
}

/// The word on the command line for a value of an enumeration.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn step(text: &str) -> Result<Bytes, String> {
    match text.parse() {
        Ok(Bytes(0)) => Err("steps of zero never get anywhere (allowed: bytes such as 25M or 25Mi)".into()),
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

/// What to do where what was asked cannot be had.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn settings_parse_back_to_the_same_settings() {
        let given = [
            "workload",
            "--memory",
            "1.5Gi",
            "--growth-step",
            "25M",
            "--touch-every",
            "never",
            "--huge-pages",
        ]
        .into_iter()
        .chain(["--cpu", "12.5%", "--duration", "1h 30m", "--format", "csv", "--on-failure", "exit"]);
        let args = Args::try_parse_from(given).unwrap();
        let settings = args.settings();
        let again = settings.iter().map(|(name, value)| format!("--{name}={value}"));
        let again = Args::try_parse_from(std::iter::once("workload".to_owned()).chain(again)).unwrap();
        assert_eq!(again.settings(), settings);
        assert!(settings.contains(&("huge-pages", "transparent".to_owned())));
        assert!(settings.contains(&("duration", "1h30m".to_owned())));
    }
}
