//! Tables of run directories in the formats of other tools.
//!
//! | made by | what |
//! |---|---|
//! | [`context`] | what each row is of: run, runtime, and block and cell of a study |
//! | [`columns`] | a table, column by column, with types |
//! | [`metric`], [`openmetrics`] | OpenMetrics text with timestamps, to be put into a Prometheus |
//! | [`arrow`] | Arrow IPC files (Feather V2), for pandas, Polars, DuckDB and R |

pub mod arrow;
pub mod columns;
pub mod context;
mod ipc;
pub mod metric;
pub mod openmetrics;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::dataset::Unreadable;

/// Why an export failed.
#[derive(Debug)]
pub enum ExportError {
    /// What is exported cannot be read.
    Unreadable(Unreadable),
    /// `study.json` or `run.json` cannot be read; the error names the file.
    Record(io::Error),
    /// A file cannot be written.
    Written {
        /// Which one.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl ExportError {
    /// A file that cannot be written.
    pub(crate) fn written(file: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let file = file.to_owned();
        move |error| Self::Written { file: file.clone(), error }
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
            Self::Written { file, error } => write!(f, "{}: {error}", file.display()),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<Unreadable> for ExportError {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}
