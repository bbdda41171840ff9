//! The reference of figures, docs/report.md: names, units, places in `--json` and definitions, from the registry.

use super::figure::{Figure, JsonKey, Scope};
use super::registry::FIGURES;

/// The document, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let of = |is: fn(Scope) -> bool| FIGURES.iter().filter(|figure| is(figure.scope)).collect::<Vec<_>>();
    let runs = of(|scope| matches!(scope, Scope::Run(_)));
    let mixed = of(|scope| matches!(scope, Scope::Mixed(_)));
    let comparisons = of(|scope| matches!(scope, Scope::Comparison(_)));
    format!(
        "<!-- Written by `cargo xtask docs` from ramp/report/src/report/registry.rs: change that, not this file. -->\n\
         # Figures of a report\n\n\
         `ramp report` states these figures of each run, and of each comparison of two runtimes. `--assert` takes those that have a\n\
         unit, by the name in the first column: `ramp report DIR --assert 'running>=100'`. `--json` has each under the key in the\n\
         third column; where a figure is unavailable it is `null`, and `reason` beside it says why.\n\n\
         The terminal has one screen: the answer, the table, why a figure is not available. What has no room is counted, and\n\
         `--verbose` prints it, with the analysis in sentences. *The page*, `report.html`, is one file that fetches nothing. It begins\n\
         with the answer in large figures and a picture of it: how many instances were held (`≥` where no more were tried), fit by\n\
         requests and fit by memory in use, what each takes, what each takes more than under the base, and what gave way first.\n\
         Comparison, capacity, cost, startup with the ten slowest starts, and the course of the run follow; definitions, nodes, versions\n\
         and manifests are folded at the end. A colour is a runtime, and a stroke a repeat of it; of a single run a colour is a quantity.\n\
         Below each chart are its PNG, its CSV and its table. A click on a chart, or ← and → on one that has the focus, shows the figures\n\
         of a step. Links: `report.html#step=46`, `#pod=NAME` for the start of an instance, `#chart-memory`.\n\n\
         ## Of each run\n\nKeys are those of an object in `runs`.\n\n{}\n\
         *Swap*: memory of an instance that is swapped out is held, and costs as much as in memory: the marginal cost is memory that\n\
         cannot be reclaimed plus swapped-out memory, compressed memory (zswap, swap on zram) at its compressed size. In the overhead\n\
         per pod, in studies and in mixed runs compressed memory counts at its size before. `swapped_per_instance` is from the\n\
         nodes' own counters (SwapTotal − SwapFree − SwapCached, Zswap, Zswapped, mm_stat), with the most instances less before the\n\
         first: memory of the instances, of their runtime, or of others that made room for them. Kernels before 5.19 do not report\n\
         zswap: its memory counts as on disk there. Where nodes swapped, the capacity by memory is not extrapolated.\n\n\
         ## Of each mixed run\n\nOf a run with `--mix`, beside those of each run. Keys are those of an object in `runs`.\n\n{}\n\
         ## Of each comparison\n\nKeys are those of an object in `comparisons`. Runs of one load are compared;\n\
         two runs of other loads, by what they are told to take, are not: the difference would not be that of the runtimes.\n\n{}",
        table(&runs),
        table(&mixed),
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
