//! Arguments of `export` and `schema`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use ramp_report::schema::SCHEMAS;

/// Arguments of `export`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  ramp export kata-1 --arrow\n  ramp export study-1 --arrow --out tables\n  \
                        ramp export kata-1 --openmetrics && promtool tsdb create-blocks-from openmetrics ramp-export/metrics.txt data"
)]
pub struct ExportArgs {
    /// Run directory, or study directory: all runs of it that have ended
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Formats.
    #[command(flatten)]
    pub formats: ExportFormats,

    /// Directory for the files, created if needed
    #[arg(long, value_name = "DIR", default_value = "ramp-export")]
    pub out: PathBuf,
}

/// Formats of an export: at least one.
#[derive(Clone, Copy, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct ExportFormats {
    /// OpenMetrics text with timestamps: metrics.txt; of a study a file for each run
    #[arg(long)]
    pub openmetrics: bool,

    /// Arrow IPC (Feather V2): a file for each table, such as nodes.arrow
    #[arg(long)]
    pub arrow: bool,
}

/// Arguments of `schema`.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// What it describes
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(SCHEMAS.map(|schema| schema.name)))]
    pub name: String,
}
