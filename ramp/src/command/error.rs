//! Errors of subcommands, and the exit status of each kind.

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use crate::engine::Failure;

/// Why a subcommand failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// What was given is wrong: options that contradict each other, a file that cannot be read or is malformed.
    Input(String),
    /// Anything else: the environment, a server, the disk.
    Failed(String),
    /// An interrupt, before anything was changed.
    Interrupted,
}

impl CommandError {
    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Input(message) | Self::Failed(message) => message,
            Self::Interrupted => "interrupted: nothing was changed",
        }
    }

    /// The exit status, as `--help` says.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) => ExitCode::from(MALFORMED),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Interrupted => ExitCode::from(INTERRUPTED),
        }
    }

    /// An error of reading a run directory.
    pub(crate) fn reading(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidData | ErrorKind::NotFound | ErrorKind::NotADirectory => {
                Self::Input(error.to_string())
            }
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Exit status of wrong usage and malformed data, as clap's.
pub(crate) const MALFORMED: u8 = 2;
/// Exit status if preflight failed.
pub(crate) const REFUSED: u8 = 3;
/// Exit status if an assertion does not hold.
pub(crate) const DOES_NOT_HOLD: u8 = 4;
/// Exit status after SIGINT, SIGTERM and SIGHUP, as of shells after the first of them.
pub(crate) const INTERRUPTED: u8 = 130;

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.message)
    }
}

/// A run that could not go on.
impl From<String> for CommandError {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_2_and_all_else_is_1() {
        let of = |kind| CommandError::reading(&io::Error::new(kind, "x")).exit_code();
        let input = [ErrorKind::InvalidData, ErrorKind::NotFound, ErrorKind::NotADirectory];
        assert!(input.into_iter().all(|kind| of(kind) == ExitCode::from(2)));
        assert!(
            [ErrorKind::WouldBlock, ErrorKind::PermissionDenied]
                .into_iter()
                .all(|kind| of(kind) == ExitCode::FAILURE)
        );
        assert_eq!(CommandError::from(Failure::permanent("x")).exit_code(), ExitCode::FAILURE);
    }
}
