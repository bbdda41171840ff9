//! The report as Markdown, beside charts as SVG: for a repository.

use super::{Report, chart::Chart, estimate_table, narrative, plot::PlotChart};

/// The report, with links to `charts/ID.svg`.
#[must_use]
pub fn markdown(report: &Report, charts: &[Chart], plots: &[PlotChart]) -> String {
    let mut text = format!("# Report of ramp\n\n{}\n", escaped(&narrative::summary(report)));
    for (run, data) in report.data.iter().enumerate() {
        text += &format!("\n## {}\n\n", escaped(&data.name));
        table(&mut text, &estimate_table::of_run(report, run));
    }
    for compared in &report.findings.comparisons {
        let (base, other) = (report.findings.name(compared.base), report.findings.name(compared.other));
        text += &format!("\n## {} against {}\n\n", escaped(other), escaped(base));
        table(&mut text, &estimate_table::of_comparison(report, compared));
    }
    text += "\n## Charts\n";
    let charts = charts.iter().map(|chart| (&chart.title, &chart.id, &chart.note));
    for (title, id, note) in charts.chain(plots.iter().map(|plot| (&plot.title, &plot.id, &plot.note))) {
        text += &format!("\n![{}](charts/{id}.svg)\n", escaped(title));
        if !note.is_empty() {
            text += &format!("\n{}\n", escaped(note));
        }
    }
    text += "\n## Analysis\n";
    for section in narrative::sections(report) {
        text += &format!("\n### {}\n\n", escaped(&section.title));
        for sentence in section.sentences {
            text += &format!("- {} *({})*\n", escaped(&sentence.text), escaped(&sentence.rule));
        }
    }
    text
}

fn table(text: &mut String, lines: &[estimate_table::EstimateRow]) {
    *text += "| estimate | value | based on |\n|---|---|---|\n";
    for line in lines {
        *text += &format!("| {} | {} | {} |\n", line.name, escaped(&line.text()), escaped(&line.basis));
    }
}

/// Text in which nothing is markup.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '&' | '~' | '$' | '\\' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            '\n' | '\r' => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}
