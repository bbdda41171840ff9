//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use workload::quantity::{Bytes, MemoryTarget};

use ramp_format::plan::{EngineKind, Pace};
use ramp_format::stop_rule::{RULES, StopRule};
use ramp_format::time::parse_time;
use ramp_report::report::assertion::{Assertion, help as assertion_help};

/// Pushes a population of calibrated containers past saturation, step by step, and records everything.
///
/// Without a manifest and without an engine it fills a quarter of this machine's available memory with processes, which
/// takes about a minute and needs nothing.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ramp",
    version,
    max_term_width = 110,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 done, 1 failed, 2 usage or malformed data, 3 refused before the first step, 4 an --assert does not hold, \
                  130 interrupted (what was recorded is kept).\n\n\
                  Examples:\n  ramp run\n  \
                  ramp plan deploy/kata/memory-capacity.yaml --engine kubernetes\n  \
                  ramp run deploy/kata/memory-capacity.yaml --engine kubernetes --to 500 --down --out kata-1\n  \
                  ramp run deploy/runc/memory-restricted.yaml --engine podman --pace 5s --runtime crun\n  \
                  ramp run --resume kata-1\n  \
                  ramp report runc-1 kata-1\n  \
                  ramp clean kata-1"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Look at everything, and say what a run would do and find; change nothing
    Plan(RunArgs),
    /// Run it: up step by step, past saturation, then remove everything
    Run(RunArgs),
    /// Say what runs have shown, in numbers and pictures; needs nothing but what they recorded
    Report(ReportArgs),
    /// Remove what runs have left, and say what cannot be removed
    Clean(CleanArgs),
    /// An instance of the local engine: joins its cgroup, then becomes what it was told to
    #[command(hide = true)]
    Instance(crate::engine::local::subcommands::InstanceArgs),
    /// The load itself, for instances of the local engine
    #[command(hide = true, disable_help_flag = true)]
    Workload(crate::engine::local::subcommands::WorkloadArgs),
}

/// What to run, and how.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The scenario: a Deployment manifest, such as deploy/runc/memory-capacity.yaml [default: that one, made to fit]
    #[arg(value_name = "MANIFEST")]
    pub manifest: Option<PathBuf>,

    /// What runs the instances [default: kubernetes with a manifest, local without]
    #[arg(long, value_name = "ENGINE", value_parser = engine())]
    pub engine: Option<EngineKind>,

    /// Instances that the first step asks for
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub from: u32,

    /// Instances that the last step asks for, where no rule ends the run before
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub to: u32,

    /// Instances more with each step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub step: u32,

    /// When the next step comes: ready (each instance holds its memory or has ended), a time (5s: at that beat, whatever
    /// happens), or none (as fast as requests are taken)
    #[arg(long, value_name = "PACE", default_value = "ready")]
    pub pace: Pace,

    /// How long a step waits at most for what it asked for; then it says so, and the next one comes
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_time)]
    pub step_timeout: Duration,

    /// For how long memory is watched before the first step, and, until it is steady, for at most three times as long after the last
    /// instance is gone
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub settle: Duration,

    /// For how long the population stays after the last step
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = parse_time)]
    pub hold: Duration,

    /// Go down again step by step, and time it; without it all are removed at once
    #[arg(long)]
    pub down: bool,

    /// Rules that end the ramp, any of them; those of saturation only after as many steps as --beyond says
    #[arg(long, value_name = "RULE", long_help = format!("Rules that end the ramp, any of them; those of saturation \
        only after as many steps as --beyond says. Can be given more than once; \"never\" is none.\n\
        Rules: {RULES}\n[default: {}; \
        without those of --note, and without stalled at --pace none]", usual()))]
    pub stop: Vec<String>,

    /// Rules that are only noted when they become true
    #[arg(long, value_name = "RULE")]
    pub note: Vec<StopRule>,

    /// Steps after the first rule of saturation that becomes true: what happens past the knee is what is studied
    #[arg(long, value_name = "N")]
    pub beyond: Option<u32>,

    /// The run directory, which is made [default: ramp-RUN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Words about the run, kept in run.json
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub label: Vec<(String, String)>,

    /// Resident set of each instance, in place of the manifest's
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryTarget>,

    /// local: what all instances together may have [default: a quarter of available memory]
    #[arg(long, value_name = "SIZE")]
    pub budget: Option<Bytes>,

    /// podman: the OCI runtime (runc, crun, kata). kubernetes: the RuntimeClass in place of the manifest's; default for none
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,

    /// podman: the socket of the API [default: DOCKER_HOST, Podman's, Docker's]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// kubernetes: the namespace, in place of the manifest's
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// kubernetes: the context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// simulated: the file that says what is true of the cluster, see docs/worlds.md [default: a small quiet cluster]
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,

    /// Begin although something is wrong, and record what
    #[arg(long)]
    pub force: bool,

    /// Leave the population in place at the end
    #[arg(long)]
    pub keep: bool,

    /// JSON objects on standard output, one a line, in place of words on standard error
    #[arg(long)]
    pub json: bool,

    /// Go on with the run of this directory, at the step that it had reached; nothing else has to be said again
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "manifest", "engine", "from", "to", "step", "pace", "step_timeout", "settle", "hold", "down", "stop", "note", "beyond", "out",
        "label", "memory", "budget", "runtime", "socket", "namespace", "context", "world", "force", "keep",
    ])]
    pub resume: Option<PathBuf>,
}

/// What to remove.
#[derive(Clone, Debug, Args)]
pub struct CleanArgs {
    /// The run's directory, or its id [default: every run that has left something]
    #[arg(value_name = "DIR|RUN")]
    pub run: Option<String>,

    /// Where to look; a directory says it itself [default: kubernetes]
    #[arg(long, value_name = "ENGINE", value_parser = engine())]
    pub engine: Option<EngineKind>,

    /// kubernetes: the namespace
    #[arg(long, value_name = "NAME", default_value = "workload")]
    pub namespace: String,

    /// kubernetes: the context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// podman: the socket of the API
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// What to report on, and how.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Run directories, whole or of runs that still go on, or CSV files of the study of 2021 and its successors. Runs of one load under
    /// two runtimes are held against each other, and repeats are pooled
    #[arg(value_name = "DIR|FILE", required = true)]
    pub runs: Vec<PathBuf>,

    /// Where to write report.html, report.md and its charts [default: ramp-report; with --json nowhere]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// All findings as JSON on standard output, in place of words
    #[arg(long)]
    pub json: bool,

    /// Exit with status 4 unless this holds for each run or comparison, such as max_running>=100 or overhead_by_maximum<=50%. Can be
    /// given more than once
    #[arg(long = "assert", value_name = "FIGURE>=N", long_help = assertion_help())]
    pub assertions: Vec<Assertion>,

    /// What each instance was asked to take, where the data does not tell: predicted capacity rests on it
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Bytes>,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is no KEY=VALUE".into()),
    }
}

fn usual() -> String {
    StopRule::usual().iter().map(StopRule::to_string).collect::<Vec<_>>().join(", ")
}

/// Reads the name of an engine.
fn engine() -> impl TypedValueParser<Value = EngineKind> {
    let values = EngineKind::ALL.map(|kind| PossibleValue::new(kind.name()).help(kind.description()));
    let named = |name: String| EngineKind::ALL.into_iter().find(|kind| kind.name() == name);
    PossibleValuesParser::new(values).try_map(move |name| named(name).ok_or("no such engine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
