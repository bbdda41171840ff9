//! The command line.

pub mod export;
pub mod history;
pub mod installation;
pub mod results;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use workload::quantity::{Bytes, MemoryTarget};

use history::{GateArgs, HistoryArgs};
use ramp_format::plan::{EngineKind, Pace, SearchSettings};
use ramp_format::stop_rule::{StopRule, syntax};
use ramp_format::time::parse_time;
use ramp_report::study::report::assertion::{ReportAssertion, help as assertion_help};

/// Scales a calibrated container load past saturation, step by step, and records everything.
///
/// Without arguments, `ramp run` fills a quarter of this machine's available memory with processes: about a minute, without
/// any set-up or privileges.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ramp",
    version,
    max_term_width = 110,
    after_help = "Exit status: 0 success, 1 failure, 2 usage error or malformed data (options, manifest, run directory), \
                  3 preflight failed, 4 an --assert does not hold or a figure is worse than --against allows, 130 interrupted by \
                  SIGINT, SIGTERM or SIGHUP (the run \
                  directory is kept).\n\n\
                  Examples:\n  ramp run\n  \
                  ramp plan deploy/kata/memory-capacity.yaml --engine kubernetes\n  \
                  ramp run deploy/kata/memory-capacity.yaml --engine kubernetes --to 500 --down --out kata-1\n  \
                  ramp run deploy/runc/memory-restricted.yaml --engine podman --pace 5s --runtime crun\n  \
                  ramp run --resume kata-1\n  \
                  ramp report runc-1 kata-1\n  \
                  ramp report kata-2 --against kata-1 --bounds bounds.yaml\n  \
                  ramp history nightly --out history\n  \
                  ramp clean kata-1"
)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Preflight: check the environment and forecast the capacity; creates nothing
    Plan(RunArgs),
    /// Scale up step by step past saturation, record everything, then remove all instances
    Run(RunArgs),
    /// Report on run directories: figures with confidence intervals, sentences and charts
    Report(ReportArgs),
    /// Figures over the runs of weeks and months, and where they change
    History(HistoryArgs),
    /// Remove what earlier runs left behind
    Clean(CleanArgs),
    /// Write the tables of a run or a study for other tools: OpenMetrics, Arrow
    Export(export::ExportArgs),
    /// Print a JSON schema
    Schema(export::SchemaArgs),
    /// Repeat runs of several runtimes and sizes in random order, and compare them
    Study(StudyArgs),
    /// Copy the results of a Job in the cluster, also while it runs, and report on them
    Fetch(results::FetchArgs),
    /// Serve the page and the files of a run or study directory by HTTP
    Serve(results::ServeArgs),
    /// Print the completion script of a shell
    Completions(installation::CompletionsArgs),
    /// Print the manual page, or write the pages of all subcommands to a directory
    Man(installation::ManArgs),
    /// An instance of the local engine: joins its cgroup, then executes its command
    #[command(hide = true)]
    Instance(crate::engine::local::subcommands::InstanceArgs),
    /// The load itself, run by instances of the local engine
    #[command(hide = true, disable_help_flag = true)]
    Workload(crate::engine::local::subcommands::WorkloadArgs),
}

/// Arguments of `plan` and `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Scenario: a Deployment manifest [default: deploy/runc/memory-capacity.yaml, built in, scaled to fit with --engine local]
    #[arg(value_name = "MANIFEST")]
    pub manifest: Option<PathBuf>,

    /// What runs the instances [default: kubernetes if a manifest is given, else local]
    #[arg(long, value_name = "ENGINE", value_parser = engine())]
    pub engine: Option<EngineKind>,

    /// Instances in the first step
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub from: u32,

    /// Instances in the last step, unless a stop rule ends the ramp earlier
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub to: u32,

    /// Instances added by each step
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub step: u32,

    /// When the next step begins: "ready" (all instances hold their memory or have ended), a fixed interval (5s), or "none" (as
    /// soon as the request is accepted)
    #[arg(long, value_name = "PACE", default_value = "ready")]
    pub pace: Pace,

    /// Timeout of a step with --pace ready; the next step then begins
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_time)]
    pub step_timeout: Duration,

    /// Idle time before the first step, to measure memory at rest. After the last instance is gone, memory is watched until it is
    /// steady, for at most three times as long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub settle: Duration,

    /// How long all instances are kept after the last step [default: 30s; 5s with the built-in scenario and --engine local]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub hold: Option<Duration>,

    /// Scale down step by step, too; by default all instances are removed at once
    #[arg(long)]
    pub down: bool,

    /// Stop rule; the first that fires ends the ramp, rules of saturation after --beyond more steps. Repeatable
    #[arg(long, value_name = "RULE", long_help = format!("Stop rule; the first that fires ends the ramp, rules of saturation \
        after --beyond more steps. Repeatable; \"never\" disables all rules.\n\
        Rules: {}\n[default: {}; \
        except those given by --note, and stalled with --pace none]", syntax(), usual()))]
    pub stop: Vec<String>,

    /// Rule that is only recorded when it fires. Repeatable
    #[arg(long, value_name = "RULE", value_parser = StopRule::requested)]
    pub note: Vec<StopRule>,

    /// Steps to go on after the first rule of saturation fired [default: 50; 5 with the built-in scenario and --engine local]
    #[arg(long, value_name = "N")]
    pub beyond: Option<u32>,

    /// Search for the number of instances that holds with a probability of 95%, by up to CLIMBS climbs from well below it to the first
    /// level that does not hold. --from is the first level, --to the highest, and each level is kept for --hold [CLIMBS default: 20]
    #[arg(long, value_name = "CLIMBS", num_args = 0..=1, default_missing_value = "20",
        value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["step", "beyond", "down"])]
    pub search: Option<u32>,

    /// With --search: end once the 95% interval is this many instances wide to either side, after 20 climbs or more
    #[arg(long, value_name = "N", requires = "search", value_parser = precision)]
    pub precision: Option<f64>,

    /// Run directory to create [default: ramp-RUN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Label stored in run.json. Repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub label: Vec<(String, String)>,

    /// Resident set of each instance, overriding the manifest
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemoryTarget>,

    /// local: memory limit of all instances together [default: a quarter of available memory]
    #[arg(long, value_name = "SIZE")]
    pub budget: Option<Bytes>,

    /// podman: OCI runtime (runc, crun, kata). kubernetes: RuntimeClass, overriding the manifest; "default" removes it
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,

    /// kubernetes, simulated: both runtimes at once: a group of instances under each of these RuntimeClasses ("default" for none), each
    /// step adding to one group in turn; the difference is then free of drift. At least two
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', conflicts_with = "runtime")]
    pub mix: Vec<String>,

    /// podman: API socket [default: DOCKER_HOST, else Podman's, else Docker's]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// kubernetes: namespace, overriding the manifest
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// kubernetes: kubeconfig context
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// simulated: description of the cluster, see docs/worlds.md [default: a small idle cluster]
    #[arg(long, value_name = "FILE")]
    pub world: Option<PathBuf>,

    /// Start although preflight failed; its errors are recorded
    #[arg(long)]
    pub force: bool,

    /// podman, kubernetes: keep the instances at the end
    #[arg(long)]
    pub keep: bool,

    /// Print JSON lines on standard output instead of text on standard error
    #[arg(long)]
    pub json: bool,

    /// The server of its results.
    #[command(flatten)]
    pub server: results::ServeOption,

    /// Resume the run of this directory at the step it had reached, with its own options
    #[arg(long, value_name = "DIR", conflicts_with_all = [
        "manifest", "engine", "from", "to", "step", "pace", "step_timeout", "settle", "hold", "down", "stop", "note", "beyond", "out",
        "search", "precision", "label", "memory", "budget", "runtime", "mix", "socket", "namespace", "context", "world", "force", "keep",
    ])]
    pub resume: Option<PathBuf>,
}

/// Arguments of `clean`.
#[derive(Clone, Debug, Args)]
pub struct CleanArgs {
    /// Run directory or run ID [default: all runs that left something behind]
    #[arg(value_name = "DIR|RUN")]
    pub run: Option<String>,

    /// Engine of the run; a run directory names its own [default: kubernetes]
    #[arg(long, value_name = "ENGINE", value_parser = engine())]
    pub engine: Option<EngineKind>,

    /// kubernetes: namespace [default: workload]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,

    /// kubernetes: kubeconfig context
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// podman: API socket
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

/// Arguments of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Run directories (complete, cut off or still running), the directory of a study, or CSV files of the study of 2021 and its
    /// successors. Runs of one load under two runtimes are compared; repeats are pooled
    #[arg(value_name = "DIR|FILE", required = true)]
    pub runs: Vec<PathBuf>,

    /// What is printed and written.
    #[command(flatten)]
    pub output: ReportOutputArgs,

    /// Memory requested per instance, if the data does not say; used for the predicted capacity
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Bytes>,
}

/// What a report prints and writes.
#[derive(Clone, Debug, Default, Args)]
pub struct ReportOutputArgs {
    /// Directory for report.html, report.md and charts [default: ramp-report; with --json none]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print all figures as JSON
    #[arg(long)]
    pub json: bool,

    /// Print more than one screen: the analysis in sentences, each with its rule, and a row also for each figure that a run was not made
    /// to tell, with the reason; of a study also p-values, ratios, drift and every run. The page and --json always have all of it
    #[arg(long)]
    pub verbose: bool,

    /// Condition that every run or comparison must meet, such as max_running>=100 or overhead_by_maximum<=50%; of a study every cell or
    /// comparison, such as memory_per_instance_difference<=130Mi; else exit status 4. Repeatable
    #[arg(long = "assert", value_name = "FIGURE>=N", long_help = assertion_help())]
    pub assertions: Vec<ReportAssertion>,

    /// What it is held against.
    #[command(flatten)]
    pub gate: GateArgs,
}

fn precision(text: &str) -> Result<f64, String> {
    // What is no number is none above 0 either.
    let number = text.parse().unwrap_or(f64::NAN);
    SearchSettings::check_precision(number)?;
    Ok(number)
}

/// Arguments of `study`.
///
/// A study is a file that says which scenarios are run under which runtimes in which sizes. Each block has a run of each, in random order;
/// the differences between the runs of a block are compared.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Exit status: 0 the study ended, 1 failure (such as all runs of a block), 2 usage error or malformed data \
                        (study file, manifest, study directory), 3 preflight failed, 4 an --assert does not hold or a figure is worse than \
                        --against allows, 130 interrupted by \
                        SIGINT, SIGTERM or SIGHUP (the study can be resumed).\n\n\
                        Examples:\n  ramp study init\n  ramp study plan study.yaml\n  ramp study run study.yaml --out study-1\n  \
                        ramp study status study-1\n  ramp study run --resume study-1\n  ramp study report study-1"
)]
pub struct StudyArgs {
    /// The subcommand.
    #[command(subcommand)]
    pub command: StudyCommand,
}

/// Subcommands of `study`.
#[derive(Clone, Debug, Subcommand)]
pub enum StudyCommand {
    /// Write a study file with comments: two sizes on this machine, without any set-up or privileges
    Init(StudyInitArgs),
    /// Preflight of all runs, their order and expected duration; creates nothing
    Plan(StudyPlanArgs),
    /// Run a study, or go on with one
    Run(StudyRunArgs),
    /// Where a study stands, also while another process runs it
    Status(StudyDirectoryArgs),
    /// Differences between the cells of a study, with intervals and verdicts
    Report(StudyReportArgs),
    /// Print the JSON schema of study files
    Schema,
}

/// Arguments of `study init`.
#[derive(Clone, Debug, Args)]
pub struct StudyInitArgs {
    /// Study file to create
    #[arg(value_name = "FILE", default_value = "study.yaml")]
    pub file: PathBuf,
}

/// Arguments of `study plan`.
#[derive(Clone, Debug, Args)]
pub struct StudyPlanArgs {
    /// Study file (see ramp study init)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `study run`.
#[derive(Clone, Debug, Args)]
pub struct StudyRunArgs {
    /// Study file (see ramp study init)
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    pub file: Option<PathBuf>,

    /// Study directory to create [default: study-ID]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Go on with the study in --out where there is one that has not ended, after the process that may still run it; else begin it. So
    /// the same command serves each attempt of a Job
    #[arg(long = "continue", requires = "out", conflicts_with = "resume")]
    pub continue_existing: bool,

    /// Do not print the report at the end, nor write it to DIR/report
    #[arg(long)]
    pub no_report: bool,

    /// Go on with the study of this directory: the run that was cut off is repeated
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "out"])]
    pub resume: Option<PathBuf>,

    /// Print JSON lines on standard output instead of text on standard error
    #[arg(long)]
    pub json: bool,

    /// The server of its results.
    #[command(flatten)]
    pub server: results::ServeOption,
}

/// Arguments of `study status`.
#[derive(Clone, Debug, Args)]
pub struct StudyDirectoryArgs {
    /// Study directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `study report`.
#[derive(Clone, Debug, Args)]
pub struct StudyReportArgs {
    /// Study directory (complete, interrupted or still under way)
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// What is printed and written.
    #[command(flatten)]
    pub output: ReportOutputArgs,
}

impl StudyReportArgs {
    /// Those of the report that ends a study: below its directory.
    #[must_use]
    pub fn of(directory: PathBuf) -> Self {
        let out = Some(directory.join("report"));
        Self { directory, output: ReportOutputArgs { out, ..ReportOutputArgs::default() } }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not of the form KEY=VALUE".into()),
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
