//! `ramp history`: figures over the runs of weeks and months.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::error::MALFORMED;
use super::recorded_report::{is_json, is_study, read};
use crate::cli::history::HistoryArgs;
use crate::ui::{error, out};
use ramp_report::history::page::page;
use ramp_report::history::timeline::{FigureChoice, Timeline};
use ramp_report::history::timeline_text::text;

/// Prints the history of reports, and writes its page where that is wanted. Errors are printed on standard error.
#[must_use]
pub(super) fn history(args: &HistoryArgs) -> ExitCode {
    let timeline = match timeline(args) {
        Ok(timeline) => timeline,
        Err(errors) => {
            errors.iter().for_each(|message| error(message));
            return ExitCode::from(MALFORMED);
        }
    };
    if args.json {
        out(&format!("{:#}", timeline.json()));
    } else {
        out(text(&timeline).trim_end());
    }
    let Some(directory) = &args.out else { return ExitCode::SUCCESS };
    match write(&timeline, directory) {
        Ok(page) => {
            if !args.json {
                out(&format!("\npage: {}", page.display()));
            }
            ExitCode::SUCCESS
        }
        Err(cause) => {
            error(&format!("{cause} (choose another directory with --out)"));
            ExitCode::FAILURE
        }
    }
}

/// Reads all reports, or returns what is wrong with those that cannot be read.
fn timeline(args: &HistoryArgs) -> Result<Timeline, Vec<String>> {
    let choice = FigureChoice::of(&args.figures).map_err(|why| vec![format!("--figure: {why}")])?;
    let (mut reports, mut errors) = (Vec::new(), Vec::new());
    for path in args.reports.iter().flat_map(|path| found_in(path)) {
        match read(&path, None) {
            Ok(report) => reports.push((path.display().to_string(), report)),
            Err(why) => errors.push(why),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Timeline::of(&reports, &choice).map_err(|why| vec![why])
}

/// The reports in a directory of reports; of anything else itself.
fn found_in(path: &Path) -> Vec<PathBuf> {
    let is_run = |path: &Path| path.join("run.json").exists();
    if !path.is_dir() || is_run(path) || is_study(path) {
        return vec![path.to_owned()];
    }
    let entries = path.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        entries.filter(|path| is_json(path) || is_run(path) || is_study(path)).collect();
    found.sort();
    // Its own error says what it lacks.
    if found.is_empty() { vec![path.to_owned()] } else { found }
}

/// Writes the page and the table. Returns the path of the page.
fn write(timeline: &Timeline, directory: &Path) -> Result<PathBuf, String> {
    let put = |name: &str, text: String| {
        let file = directory.join(name);
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok::<_, String>(file)
    };
    std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    put("history.csv", timeline.csv()?)?;
    put("history.html", page(timeline)?)
}
