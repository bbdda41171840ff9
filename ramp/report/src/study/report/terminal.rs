//! The report of a study as text, for a terminal: what fits on a screen, without the statistics that it rests on.

use super::answer::ComparedReport;
use super::naming::engine;
use super::overview::{CellGroup, StudyReport};
use super::provenance::{self, headline};
use super::runs::RunReport;
use super::table;
use super::words::{WIDTH, duration};
use super::{components, missing};
use crate::report::format::wrapped;
use crate::report::screen::{Screen, item, short_item};
use ramp_format::plan::EngineKind;
use ramp_format::text::count;

/// The answers in words, for a terminal.
#[must_use]
pub fn text(report: &StudyReport<'_>) -> String {
    let mut screen = Screen::default();
    screen.push(0, vec![wrapped(&headline(report), 0, WIDTH)]);
    screen.push(1, report.findings.iter().map(|finding| item(finding, 0)).collect());
    screen.push_apart(1, report.groups.iter().flat_map(|group| answers(report, group)).collect());
    if report.data.run_count() > 0 {
        let table = table::cells(report);
        screen.push_apart(1, table.lines().map(|line| format!("{line}\n")).collect());
    }
    screen.push(2, missing::reasons(report).iter().map(|reason| short_item(reason, 0)).collect());
    for group in &report.groups {
        push_group(&mut screen, report, group);
    }
    let overheads = report.overheads.iter().flat_map(|overhead| &overhead.sentences);
    screen.push_apart(4, overheads.map(|sentence| item(sentence, 0)).collect());
    screen.push_apart(7, report.notes.iter().map(|note| item(note, 0)).collect());
    push_runs(&mut screen, report);
    screen.push(0, vec![wrapped(&provenance::short(report), 0, WIDTH)]);
    screen.text()
}

/// The answer of each comparison.
fn answers(report: &StudyReport<'_>, group: &CellGroup) -> Vec<String> {
    let title = if report.groups.len() > 1 { format!("{}: ", group.title) } else { String::new() };
    let answer = |compared: &ComparedReport| {
        let answer = compared.not_compared().unwrap_or_else(|| compared.heading());
        let search = compared.search_sentence.iter().map(|sentence| wrapped(sentence, 0, WIDTH));
        wrapped(&format!("{title}{answer}"), 0, WIDTH) + &search.collect::<String>()
    };
    group.comparisons.iter().map(answer).collect()
}

fn push_group(screen: &mut Screen, report: &StudyReport<'_>, group: &CellGroup) {
    let is_one = report.comparisons().count() == 1;
    for compared in group.comparisons.iter().filter(|compared| compared.not_compared().is_none()) {
        let title = if report.groups.len() > 1 { format!("{}: ", group.title) } else { String::new() };
        let heading = format!("{title}{} against {}", compared.other, compared.base);
        let heading = (!is_one).then(|| wrapped(&heading, 0, WIDTH));
        screen.push_apart(3, heading.into_iter().chain(rows(compared, engine(report.data))).collect());
        let sentences = compared.caveats.iter().map(|caveat| short_item(caveat, 2));
        screen.push(6, sentences.collect());
        screen.push(5, compared.capacities.iter().map(|sentence| item(sentence, 2)).collect());
    }
}

/// A line for each figure but the first, which is the answer.
fn rows(compared: &ComparedReport, engine: EngineKind) -> Vec<String> {
    let mut rows: Vec<(String, String)> = compared
        .answers
        .iter()
        .skip(1)
        .filter(|answer| answer.is_main())
        .filter(|answer| components::has_line(answer.figure))
        .filter_map(|answer| Some((answer.title.clone(), answer.short.clone()?)))
        .collect();
    rows.extend(compared.startups_short.clone().map(|short| ("startup curves".to_owned(), short)));
    rows.extend(components::who_holds_it(compared, engine).map(|line| ("who holds it".to_owned(), line)));
    let width = rows.iter().map(|(title, _)| title.chars().count()).fold(0, usize::max);
    let line = |(title, short): (String, String)| {
        let line = wrapped(&short, width + 4, WIDTH);
        format!("  {title:<width$}  {}", line.trim_start())
    };
    let missing = compared.missing_text().map(|missing| wrapped(&missing, 2, WIDTH));
    rows.into_iter().map(line).chain(missing).collect()
}

/// How many runs there were, and those of which something is to be known.
fn push_runs(screen: &mut Screen, report: &StudyReport<'_>) {
    let seconds: f64 = report.runs.iter().filter_map(|run| run.seconds).sum();
    let warm_up = report.runs.iter().filter(|run| run.block == 0).count();
    let warm_up = match warm_up {
        0 => String::new(),
        number => format!(", {number} of them the warm-up"),
    };
    let runs = count(report.runs.len() as u32, "run");
    screen.push_apart(0, vec![format!("{runs}{warm_up}, {} in all\n", duration(seconds))]);
    let unusual = report.runs.iter().filter_map(unusual);
    screen.push(6, unusual.map(|line| item(&line, 0)).collect());
}

/// What is to be known of a run; none where it went as planned.
fn unusual(run: &RunReport) -> Option<String> {
    // Of which findings tell.
    if ["failed", "unreadable"].contains(&run.state) {
        return None;
    }
    let state = (run.state != "done").then(|| run.state.to_owned());
    let is_repeat = run.directory.contains(".repeat-");
    let repeat = is_repeat.then(|| "repetition of one that failed".to_owned());
    let parts: Vec<String> = [state, repeat].into_iter().flatten().chain(run.notes.iter().cloned()).collect();
    let block = if run.block == 0 { run.block_text() } else { format!("block {}", run.block) };
    (!parts.is_empty()).then(|| format!("{block}, {}: {}", run.label, parts.join("; ")))
}
