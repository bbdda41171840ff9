//! The reference of figures, docs/report.md: names, units, places in `--json` and definitions, from the registry.

use super::figure::{Figure, JsonKey, Scope};
use super::registry::FIGURES;

/// The document, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let is_of_run = |figure: &&Figure| matches!(figure.scope, Scope::Run(_));
    let (runs, comparisons): (Vec<&Figure>, Vec<&Figure>) = FIGURES.iter().partition(is_of_run);
    format!(
        "<!-- Written by `cargo xtask docs` from ramp/report/src/report/registry.rs: change that, not this file. -->\n\
         # Figures of a report\n\n\
         `ramp report` states these figures of each run, and of each comparison of two runtimes. `--assert` takes those that have a\n\
         unit, by the name in the first column: `ramp report DIR --assert 'running>=100'`. `--json` has each under the key in the\n\
         third column; where a figure is unavailable it is `null`, and `reason` beside it says why.\n\n\
         ## Of each run\n\nKeys are those of an object in `runs`.\n\n{}\n\
         ## Of each comparison\n\nKeys are those of an object in `comparisons`.\n\n{}",
        table(&runs),
        table(&comparisons)
    )
}

fn table(figures: &[&Figure]) -> String {
    let row = |figure: &&Figure| {
        let code = |name: &&str| format!("`{name}`");
        let names = [&[figure.name], figure.aliases].concat();
        let mut keys = vec![figure.json.path()];
        if let JsonKey::Renamed(_, _, former) = figure.json {
            keys.push(former.to_owned());
        }
        let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", formerly ");
        let names = names.iter().map(code).collect::<Vec<_>>().join(", ");
        format!("| {names} | {} | {keys} | {} |\n", figure.unit.name(), figure.definition)
    };
    let rows: String = figures.iter().map(row).collect();
    format!("| figure | unit | key in `--json` | definition |\n|---|---|---|---|\n{rows}")
}
