//! Command line: its options, the environment variables that stand in for them, and their parsers.

use std::collections::BTreeMap;
use std::iter::once;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde::de::{Deserialize, Deserializer, Error};

use crate::config::{LoadSpec, ReportSpec};

/// A container load that takes exactly the memory and CPU requested, and reports on standard output what it has
/// as the kernel accounts for it.
///
/// Every option can also be set by an environment variable; the command line takes precedence.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "workload",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 done or told to stop, 1 failure, 2 usage error, 3 could not hold what was \
                  requested (with --on-failure exit).\n\n\
                  Examples:\n  workload --memory 500M --cpu 0.2\n  \
                  workload --memory max --growth-rate 25M/s --format json\n  \
                  workload --memory 80% --growth-rate instant --duration 10m\n  \
                  workload --memory 500M --cpu 0.2 --listen :8080\n  \
                  workload node --format csv"
)]
pub struct Args {
    /// The subcommand
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The load.
    #[command(flatten)]
    pub load: LoadSpec,
}

/// Subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Report memory, CPU and pressure of the machine, as a probe on each node
    Node {
        /// How it reports.
        #[command(flatten)]
        reports: ReportSpec,
    },
    /// Report what each component of each pod holds (VMM, shim, sandbox, …), as a probe on each node; needs root and the
    /// host's process IDs
    Components {
        /// How it reports.
        #[command(flatten)]
        reports: ReportSpec,
    },
}

impl Args {
    /// How it reports, in either mode.
    #[must_use]
    pub fn reports(&self) -> &ReportSpec {
        match &self.command {
            Some(Command::Node { reports } | Command::Components { reports }) => reports,
            None => &self.load.reports,
        }
    }

    /// Parses the command line and the environment of this process.
    ///
    /// # Errors
    /// What to print instead of running, and the exit status.
    pub fn of_this_process() -> Result<Self, Instead> {
        Self::try_parse().map_err(|error| {
            let is_request = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            // What is right without the environment is wrong because of it.
            let text = match without_environment(Self::command()).try_get_matches() {
                Ok(given) if !is_request => in_variable(&error, &given),
                _ => error.render().to_string(),
            };
            Instead { text, is_request }
        })
    }

    /// Parses the arguments and the environment of another process, such as a container; nothing comes from the
    /// environment of this one. As on the command line, an argument wins over the environment.
    ///
    /// # Errors
    /// The message of the command line, where it would refuse them; `--help` and `--version` are refused as well.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let refusal = |error: clap::Error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                "with --help or --version it prints a text and exits".into()
            }
            _ => error.to_string().trim_end().to_owned(),
        };
        let mut arguments: Vec<String> = once("workload".into()).chain(arguments).collect();
        let command = Self::command();
        let mut isolated = without_environment(Self::command());
        let matches = isolated.try_get_matches_from_mut(&arguments).map_err(refusal)?;
        // A subcommand comes first, its options follow.
        let (options, given, at) = match matches.subcommand() {
            Some((name, given)) => (command.find_subcommand(name), given, 2),
            None => (Some(&command), &matches, 1),
        };
        let options = options.into_iter().flat_map(clap::Command::get_arguments);
        let variables = options.filter_map(|option| {
            let is_given = given.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine);
            // A variable that an argument overrides is not asked for.
            let variable = option.get_env().filter(|_| !is_given)?;
            let value = environment(variable.to_str()?)?;
            option.get_long().map(|name| format!("--{name}={value}"))
        });
        arguments.splice(at..at, variables.collect::<Vec<_>>());
        // The arguments by themselves are right.
        isolated
            .try_get_matches_from_mut(&arguments)
            .and_then(|all| Self::from_arg_matches(&all))
            .map_err(|error| in_variable(&error, &matches).trim_end().to_owned())
    }
}

/// What to print instead of running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instead {
    /// The help, the version or an error.
    pub text: String,
    /// It was asked for: it belongs on standard output.
    pub is_request: bool,
}

/// The message of an error whose cause is an environment variable, by its name. `given` is the command line.
fn in_variable(error: &clap::Error, given: &clap::ArgMatches) -> String {
    let message = error.render().to_string();
    let mut command = Args::command();
    // An option can be printed afterwards.
    command.build();
    // Those of the load are read before a subcommand as well.
    let options = given.subcommand_name().and_then(|name| command.find_subcommand(name));
    let options = options.into_iter().chain([&command]);
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return message };
    let is_it = |candidate: &&clap::Arg| candidate.to_string() == *option;
    let variable = options.flat_map(clap::Command::get_arguments).find(is_it);
    let Some(variable) = variable.and_then(clap::Arg::get_env) else { return message };
    let named = format!("the environment variable {} (option '{option}')", variable.to_string_lossy());
    message.replacen(&format!("'{option}'"), &named, 1)
}

/// The same command, with options that no environment variable of this process can set.
fn without_environment(command: clap::Command) -> clap::Command {
    command.mut_args(|option| option.env(Resettable::Reset)).mut_subcommands(without_environment)
}

impl LoadSpec {
    /// Parses the arguments and the environment of a load's container, and nothing else: see [`Args::from_arguments`].
    ///
    /// # Errors
    /// Its message; the subcommand `node` is refused as well.
    pub fn from_arguments(
        arguments: impl IntoIterator<Item = String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        match Args::from_arguments(arguments, environment)? {
            Args { command: None, load } => Ok(load),
            Args { command: Some(Command::Node { .. }), .. } => {
                Err("its subcommand node reports on the machine and is no load".into())
            }
            Args { command: Some(Command::Components { .. }), .. } => {
                Err("its subcommand components reports on the machine and is no load".into())
            }
        }
    }
}

/// From a map as `LoadSpec` serializes to; what is missing has its default.
impl<'de> Deserialize<'de> for LoadSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = BTreeMap::<String, String>::deserialize(deserializer)?;
        let arguments = settings.iter().map(|(name, value)| format!("--{name}={value}"));
        Self::from_arguments(arguments, |_| None).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<LoadSpec, String> {
        let variable = |name: &str| Some(environment.iter().find(|(key, _)| *key == name)?.1.to_owned());
        LoadSpec::from_arguments(arguments.iter().map(|&argument| argument.to_owned()), variable)
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_option_is_a_setting() {
        let all = load(&["--growth-step=1", "--duration=1s", "--listen=[::]:1"], &[]).unwrap().settings();
        let command = Args::command();
        let options: Vec<_> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), options);
    }

    #[test]
    fn settings_parse_back_to_the_same_load() {
        let given =
            ["--memory=1.5Gi", "--growth-step=25M", "--touch-every=never", "--huge-pages", "--cpu=12.5%"];
        let more = ["--duration=1h 30m", "--format=csv", "--on-failure=exit"];
        let spec = load(&[&given[..], &more].concat(), &[]).unwrap();
        assert!(spec.settings().contains(&("huge-pages", "transparent".to_owned())));
        assert!(spec.settings().contains(&("duration", "1h30m".to_owned())));
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<LoadSpec>(&json).unwrap(), spec);
        assert_eq!(serde_json::from_str::<LoadSpec>("{}").unwrap(), load(&[], &[]).unwrap());
        assert!(serde_json::from_str::<LoadSpec>(r#"{"unknown": "1"}"#).is_err());
    }

    #[test]
    fn an_argument_wins_over_the_environment() {
        let environment = [("WORKLOAD_MEMORY", "300M"), ("WORKLOAD_CPU", "0.2"), ("PATH", "/bin")];
        let spec = load(&["--cpu", "0.5"], &environment).unwrap();
        assert_eq!((spec.memory.to_string(), spec.cpu.to_string()), ("300M".to_owned(), "0.5".to_owned()));
        assert!(load(&[], &[("WORKLOAD_HUGE_PAGES", "transparent")]).is_ok());
        let refusal = load(&["--cpu=1"], &[("WORKLOAD_MEMORY", "much")]).unwrap_err();
        assert!(
            refusal.contains("'much' for the environment variable WORKLOAD_MEMORY (option '--memory"),
            "{refusal}"
        );
        let refusal = load(&["--memory=much"], &[("WORKLOAD_CPU", "1")]).unwrap_err();
        assert!(refusal.contains("'much' for '--memory"), "{refusal}");
    }

    #[test]
    fn what_is_no_load_is_refused() {
        assert!(load(&["node"], &[("WORKLOAD_FORMAT", "csv")]).unwrap_err().contains("subcommand node"));
        for text in ["--help", "-h", "--version"] {
            assert!(load(&[text], &[]).unwrap_err().contains("exits"), "{text}");
        }
        let given = ["node", "--report-every", "7s"].map(str::to_owned);
        let node =
            Args::from_arguments(given, |name| (name == "WORKLOAD_FORMAT").then(|| "csv".into())).unwrap();
        let settings = node.reports().settings();
        assert!(
            settings.contains(&("report-every", "7s".into())) && settings.contains(&("format", "csv".into()))
        );
    }
}
