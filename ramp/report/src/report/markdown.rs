//! The report as Markdown, beside charts as SVG: for a repository.

use super::{Report, chart::Chart, estimate_table, narrative};

/// The report, with links to `charts/ID.svg`.
#[must_use]
pub fn markdown(report: &Report, charts: &[Chart]) -> String {
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
    for chart in charts {
        text += &format!("\n![{}](charts/{}.svg)\n", escaped(&chart.title), chart.id);
        if !chart.note.is_empty() {
            text += &format!("\n{}\n", escaped(&chart.note));
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
