//! Metrics of an export: the name of each column, as `workload` and the node probe serve the same quantity.

use std::borrow::Cow;
use std::io::{self, Write};

use super::columns::{SampleValue, TableKind};
use ramp_format::rows::Column;
use workload::report::{ComponentReport, Kind, NodeReport, WorkloadReport};

/// Columns that are labels of the other columns of a table, and the names of the labels.
#[derive(Clone, Copy, Debug)]
pub struct TableLabels {
    /// Name of the table.
    pub table: &'static str,
    /// Columns and labels.
    pub labels: &'static [(&'static str, &'static str)],
}

/// Tables whose columns are metrics; those of `pods` and `events` are made from their rows.
pub const LABELS: [TableLabels; 5] = [
    TableLabels { table: "steps", labels: &[] },
    TableLabels { table: "nodes", labels: &[("node", "node")] },
    TableLabels { table: "workloads", labels: &[("instance", "pod"), ("uid", "uid"), ("node", "node")] },
    TableLabels {
        table: "components",
        labels: &[("node", "node"), ("instance", "pod"), ("pod_uid", "uid"), ("component", "component")],
    },
    TableLabels {
        table: "limits",
        labels: &[("node", "node"), ("resource", "resource"), ("scope", "scope")],
    },
];

/// What all samples of a metric have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFamily {
    /// Its name, without the `_total` of a counter.
    pub name: String,
    /// Whether it is a counter, and not a gauge.
    pub is_counter: bool,
    /// What it means.
    pub help: Cow<'static, str>,
}

impl MetricFamily {
    /// A metric by the name of its samples.
    #[must_use]
    pub fn named(name: &str, help: impl Into<Cow<'static, str>>) -> Self {
        let bare = name.strip_suffix("_total");
        Self { name: bare.unwrap_or(name).to_owned(), is_counter: bare.is_some(), help: help.into() }
    }

    /// That of a column; none of those that are the same in every table, and of labels.
    #[must_use]
    pub fn of(kind: &TableKind, column: &Column) -> Option<Self> {
        let labels = LABELS.iter().find(|labels| labels.table == kind.name())?;
        let is_label = labels.labels.iter().any(|(label, _)| *label == column.name);
        let is_common = matches!(column.name, "time" | "elapsed_seconds")
            || column.name == "step" && kind.name() != "steps";
        if is_label || is_common {
            return None;
        }
        Some(Self::named(&name(kind.name(), column.name), column.description.trim_end_matches('.')))
    }

    /// The name of its samples.
    #[must_use]
    pub fn sample_name(&self) -> Cow<'_, str> {
        if self.is_counter { format!("{}_total", self.name).into() } else { self.name.as_str().into() }
    }

    /// Its unit, which its name ends with.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        ["bytes", "seconds"]
            .into_iter()
            .find(|unit| self.name.strip_suffix(unit).is_some_and(|before| before.ends_with('_')))
    }

    /// Writes its metadata.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let Self { name, help, .. } = self;
        let kind = if self.is_counter { "counter" } else { "gauge" };
        writeln!(out, "# HELP {name} {}.\n# TYPE {name} {kind}", escaped(help))?;
        self.unit().map_or(Ok(()), |unit| writeln!(out, "# UNIT {name} {unit}"))
    }
}

/// The name of a metric by its table and column. A column of a report is what the program that wrote it serves at `/metrics`.
fn name(table: &str, column: &str) -> String {
    // The report's own time, beside that of the run.
    let field = if column == "program_elapsed_seconds" { "elapsed_seconds" } else { column };
    match table {
        "nodes" if is_field::<NodeReport>(field) => format!("workload_node_{field}"),
        "workloads" if is_field::<WorkloadReport>(field) => format!("workload_{field}"),
        "components" if is_field::<ComponentReport>(field) => format!("workload_components_{field}"),
        "nodes" if column == "age_seconds" => "ramp_node_sample_age_seconds".into(),
        "nodes" => format!("ramp_node_{column}"),
        "limits" if column == "limit" => "ramp_node_limit".into(),
        "limits" => format!("ramp_node_limit_{column}"),
        _ => format!("ramp_{column}"),
    }
}

/// Whether a report has a field. Its times are those of the run here.
fn is_field<K: Kind>(name: &str) -> bool {
    K::FIELDS.iter().any(|field| field.name == name)
}

/// Text of help and of labels, on one line.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(['\\', '"', '\n']) {
        text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").into()
    } else {
        text.into()
    }
}

/// Writes one sample.
///
/// # Errors
/// Those of `out`.
pub fn write_sample(
    out: &mut impl Write,
    name: &str,
    labels: &str,
    value: SampleValue,
    time_ms: i64,
) -> io::Result<()> {
    write!(out, "{name}{labels} ")?;
    match value {
        SampleValue::Integer(number) => write!(out, "{number}")?,
        SampleValue::Number(number) if number.is_infinite() => out.write_all(b"+Inf")?,
        SampleValue::Number(number) => write!(out, "{number}")?,
    }
    writeln!(out, " {}.{:03}", time_ms.div_euclid(1000), time_ms.rem_euclid(1000))
}
