//! The command line as a whole: by the name that the program was called by, a plugin of kubectl among them, and as it is documented.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Command, CommandFactory, FromArgMatches, Parser};

use crate::cli::Cli;

/// Name of the program as a plugin: kubectl finds it in PATH by this name.
const PLUGIN: &str = "kubectl-ramp";
/// What users type then.
const PLUGIN_USAGE: &str = "kubectl ramp";

/// Parses the command line of this process, by the name that it was called by.
///
/// # Errors
/// What clap has to print instead: help, the version, or what is wrong.
pub fn parse() -> Result<Cli, clap::Error> {
    let mut arguments = std::env::args_os();
    if !arguments.next().is_some_and(|program| is_plugin(&program)) {
        return Cli::try_parse();
    }
    parse_as_plugin(arguments)
}

fn parse_as_plugin(arguments: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = as_plugin(Cli::command()).no_binary_name(true);
    let parsed = command
        .try_get_matches_from_mut(arguments)
        .and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    parsed.map_err(|error| error.format(&mut command))
}

fn is_plugin(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == PLUGIN)
}

/// The command with usage and examples as kubectl's users type them.
fn as_plugin(command: Command) -> Command {
    fn with_examples(command: Command) -> Command {
        let examples = command.get_after_help().map(|text| text.to_string());
        let command = match examples {
            Some(text) => command.after_help(text.replace("\n  ramp ", &format!("\n  {PLUGIN_USAGE} "))),
            None => command,
        };
        command.mut_subcommands(with_examples)
    }
    with_examples(command).bin_name(PLUGIN_USAGE)
}

/// The command line as it is documented: without the subcommands that `ramp` runs itself as. (Completion scripts would offer them.)
pub(crate) fn documented() -> Command {
    let whole = Cli::command();
    let visible: Vec<_> = whole.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let mut command = Command::new("ramp")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(visible);
    if let Some(about) = whole.get_about() {
        command = command.about(about.clone());
    }
    if let Some(about) = whole.get_long_about() {
        command = command.long_about(about.clone());
    }
    if let Some(text) = whole.get_after_help() {
        command = command.after_help(text.clone());
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help_as_plugin(arguments: &[&str]) -> String {
        let arguments = arguments.iter().map(OsString::from);
        parse_as_plugin(arguments).unwrap_err().to_string()
    }

    #[test]
    fn a_plugin_of_kubectl_is_known_by_its_name_in_any_directory() {
        assert!(is_plugin(OsStr::new("kubectl-ramp")));
        assert!(is_plugin(OsStr::new("/usr/local/bin/kubectl-ramp")));
        assert!(!is_plugin(OsStr::new("/usr/local/kubectl-ramp/ramp")));
    }

    #[test]
    fn usage_and_examples_of_a_plugin_are_what_is_typed() {
        let help = help_as_plugin(&["--help"]);
        assert!(help.contains("Usage: kubectl ramp <COMMAND>"), "{help}");
        assert!(help.contains("\n  kubectl ramp report runc-1 kata-1"), "{help}");
        assert!(!help.contains("\n  ramp "), "{help}");
        let help = help_as_plugin(&["study", "run", "--help"]);
        assert!(help.contains("Usage: kubectl ramp study run"), "{help}");
        let help = help_as_plugin(&["study", "--help"]);
        assert!(help.contains("\n  kubectl ramp study init"), "{help}");
        let error = help_as_plugin(&["run", "--froce"]);
        assert!(error.contains("Usage: kubectl ramp run"), "{error}");
    }

    #[test]
    fn a_plugin_takes_the_same_arguments() {
        let cli = parse_as_plugin(["clean", "kata-1"].into_iter().map(OsString::from)).unwrap();
        assert!(
            matches!(cli.command, crate::cli::Command::Clean(args) if args.run.as_deref() == Some("kata-1"))
        );
    }

    #[test]
    fn what_is_documented_is_what_help_shows() {
        let mut whole = Cli::command();
        let mut documented = documented().max_term_width(110);
        assert_eq!(documented.render_long_help().to_string(), whole.render_long_help().to_string());
        let hidden = documented.get_subcommands().any(Command::is_hide_set);
        assert!(!hidden);
    }
}
