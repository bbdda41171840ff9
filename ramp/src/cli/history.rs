//! Arguments of the gate and of `history`.

use std::path::PathBuf;

use clap::Args;

/// What a report is held against, and where that is told.
#[derive(Clone, Debug, Default, Args)]
pub struct GateArgs {
    /// Compare each bounded figure with that of a baseline: what --json printed before, a run directory or a study directory. A
    /// regression, which the intervals of both must support, is exit status 4. See docs/history.md
    #[arg(long, value_name = "FILE|DIR")]
    pub against: Option<PathBuf>,

    /// Bounds of --against, as YAML: marginal_cost: {max_increase: 5%}, held: {max_decrease: 3}, or strict: true, with which what cannot
    /// be told fails, too. Names and units are those of --assert [default: 5% of memory and capacity, 10% of the median startup, 10m and
    /// 0.1s of CPU time]
    #[arg(long, value_name = "FILE", requires = "against")]
    pub bounds: Option<PathBuf>,

    /// Write bounds and assertions as JUnit XML, a test case each
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Print what fails as annotations of GitHub (on standard error with --json), and append a summary to GITHUB_STEP_SUMMARY
    #[arg(long)]
    pub github: bool,
}

/// Arguments of `history`.
///
/// Each figure over the runs, in the order of their begin: its first and last value, where its level changes, and single runs that are off.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "A series of a figure that never changed shows something in at most 5 of 100 cases if runs vary normally. See \
                        docs/history.md.\n\n\
                        Examples:\n  ramp history nightly/*.json\n  ramp history kata-1 kata-2 kata-3 --out history\n  \
                        ramp history nightly --figure marginal_cost --figure held"
)]
pub struct HistoryArgs {
    /// Run directories, study directories, what ramp report --json printed (.json), or directories of these, in any order
    #[arg(value_name = "DIR|FILE", required = true)]
    pub reports: Vec<PathBuf>,

    /// Only this figure; a name of --assert. Repeatable
    #[arg(long = "figure", value_name = "FIGURE")]
    pub figures: Vec<String>,

    /// Directory for history.html and history.csv [default: none]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print all series as JSON
    #[arg(long)]
    pub json: bool,
}
