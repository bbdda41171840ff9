//! Generated documentation: pages of docs/ that follow a registry of figures or of report fields.

use ramp_format::rows::{ComponentRow, EventRow, LimitRow, NodeRow, PodRow, StepRow, Table, WorkloadRow};
use ramp_report::schema::{PublishedSchema, SCHEMAS};
use workload::report::{ComponentReport, Kind, NodeReport, WorkloadReport};

use crate::generated::{self, GeneratedFile};
use crate::shell::Outcome;

fn files() -> Vec<GeneratedFile> {
    let schema = |schema: PublishedSchema| {
        (format!("docs/schema/{}.json", schema.name), format!("{:#}\n", (schema.schema)()))
    };
    let pages = [
        ("docs/fields.md".into(), fields()),
        ("docs/run-format.md".into(), run_format()),
        ("docs/report.md".into(), figures()),
        ("docs/ramp.md".into(), stop_rules(include_str!("../../docs/ramp.md"))),
    ];
    pages.into_iter().chain(SCHEMAS.map(schema)).collect()
}

/// The figures of runs and of studies.
fn figures() -> String {
    format!(
        "{}\n{}\n## Exhausted resources of nodes\n\nBeside what Kubernetes names itself, a resource is named where a message has these \
         words:\n\n{}",
        ramp_report::report::reference::markdown(),
        ramp_report::study::report::reference::markdown(),
        ramp_report::analysis::exhaustion::markdown()
    )
}

/// The manual of `ramp` with its table of stop rules.
fn stop_rules(manual: &str) -> String {
    const BEGIN: &str = "<!-- Written by `cargo xtask docs` from ramp/format/src/stop_rule.rs: -->\n";
    const END: &str = "<!-- End of the written table. -->\n";
    let (before, rest) = manual.split_once(BEGIN).unwrap_or((manual, ""));
    let (_, after) = rest.split_once(END).unwrap_or_default();
    format!("{before}{BEGIN}{}{END}{after}", ramp_format::stop_rule::markdown())
}

/// The fields of all kinds of reports of `workload`.
fn fields() -> String {
    format!(
        "<!-- Written by `cargo xtask docs` from src/report/{{workload,node,component}}/fields.rs: change these, not this file. -->\n\
         # Report fields\n\n\
         [workload.md](workload.md) says when reports are written, [metrics.md](metrics.md) how the fields become metrics. JSON\n\
         `null` or an empty CSV cell: the kernel does not report it. Of `workload components` JSON leaves such fields out.\n\n\
         ## workload\n\n{}\n## workload node\n\n{}\n## workload components\n\n{}",
        rows::<WorkloadReport>(),
        rows::<NodeReport>(),
        rows::<ComponentReport>()
    )
}

/// The tables of a run directory.
fn run_format() -> String {
    let tables = [
        table::<StepRow>(),
        table::<PodRow>(),
        table::<NodeRow>(),
        table::<WorkloadRow>(),
        table::<ComponentRow>(),
        table::<LimitRow>(),
        table::<EventRow>(),
    ];
    // Links from docs/ are none from where the text is.
    let links = "Its JSON has a [schema](schema/run.json); `ramp export` writes\n\
                 the tables as Arrow or OpenMetrics ([export.md](export.md)).";
    include_str!("run-format.md").replace("{links}", links).replace("{tables}", &tables.concat())
}

fn table<T: Table>() -> String {
    let rows = T::columns().into_iter().map(|column| {
        let description = column.description.trim().trim_end_matches('.');
        format!("| `{}` | {} | {description} |\n", column.name, column.data_type)
    });
    format!("\n## {}\n\n| column | type | meaning |\n|---|---|---|\n{}", T::FILE, rows.collect::<String>())
}

fn rows<K: Kind>() -> String {
    let rows = K::FIELDS.iter().map(|field| format!("| `{}` | {} |\n", field.name, field.help));
    format!("| field | meaning |\n|---|---|\n{}", rows.collect::<String>())
}

/// Writes the documents that are missing or out of date.
///
/// # Errors
/// Where one cannot be written.
pub(crate) fn write() -> Outcome {
    generated::write(files())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_documents_are_current() {
        generated::assert_current(
            files(),
            "Change the registry that the file names, then run `cargo xtask docs`",
        );
    }
}
