//! Arguments of `ramp completions` and `ramp man`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// A program of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocumentedProgram {
    /// This one.
    Ramp,
    /// The load, which has nothing in it that it does not need to run.
    Workload,
}

impl DocumentedProgram {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ramp => "ramp",
            Self::Workload => "workload",
        }
    }
}

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,

    /// Of this program. For packages, which have both
    #[arg(long, hide = true, default_value = "ramp")]
    pub program: DocumentedProgram,
}

/// Arguments of `man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Directory for the pages of all subcommands; created if missing [default: the page of ramp itself, on standard output]
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,

    /// Of this program. For packages, which have both
    #[arg(long, hide = true, default_value = "ramp")]
    pub program: DocumentedProgram,
}
