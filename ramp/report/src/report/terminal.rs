//! The report as text, for a terminal.

use super::{Report, estimate_table, format, narrative};

/// All of it in words, for a terminal.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = format!("{}\n", narrative::summary(report));
    for (run, data) in report.data.iter().enumerate() {
        text.push_str(&format!("\n{}\n", data.name));
        push_lines(&mut text, &estimate_table::of_run(report, run));
    }
    for compared in &report.findings.comparisons {
        let [base, other] = report.names(compared);
        text.push_str(&format!("\n{other} against {base}\n"));
        push_lines(&mut text, &estimate_table::of_comparison(report, compared));
    }
    text.push_str("\nAnalysis\n");
    for section in narrative::sections(report) {
        text.push_str(&format!("  {}\n", section.title));
        for sentence in section.sentences {
            text.push_str(&format::wrapped(&format!("{} [{}]", sentence.text, sentence.rule), 4, 100));
        }
    }
    text
}

fn push_lines(text: &mut String, lines: &[estimate_table::EstimateRow]) {
    for line in lines {
        let wrapped = format::wrapped(&line.text(), 26, 100);
        text.push_str(&format!("  {:<24}{}", line.name, wrapped.trim_start()));
    }
}
