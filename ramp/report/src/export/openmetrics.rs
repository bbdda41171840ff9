//! A run as OpenMetrics text with timestamps: `promtool tsdb create-blocks-from openmetrics` puts it into a Prometheus.
//!
//! One table at a time is in memory. Timestamps are when the run began plus `elapsed_seconds`, so that they never go back. Samples of a
//! series at the same millisecond are one, the last. Texts are left out but for those that are labels: a text that changes is another
//! series each time.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::ExportError;
use super::columns::{ColumnTable, SampleValue, TableKind};
use super::context::ExportedRun;
use super::metric::{LABELS, MetricFamily, escaped, write_sample};
use crate::progress::Observer;

/// Rows of a table by series: each has the same labels.
struct SeriesRows {
    /// Labels of each series, with braces.
    labels: Vec<String>,
    /// Series and row, series by series, each in the order of the table.
    rows: Vec<(u32, usize)>,
}

/// A sample of a series.
type Sample = (u32, i64, SampleValue);

/// Writes a run into a file.
///
/// # Errors
/// Where a table cannot be read, or the file not be written.
pub fn write_run(run: &ExportedRun, file: &Path, observer: &Observer) -> Result<(), ExportError> {
    let written = ExportError::written(file);
    let mut out = BufWriter::new(File::create(file).map_err(&written)?);
    let mut export = RunMetrics { run, out: &mut out, groups: HashMap::new() };
    export.information().map_err(&written)?;
    for kind in TableKind::all() {
        let table = ColumnTable::read(&run.directory, &kind, observer)?;
        let done = match kind.name() {
            "pods" => export.pods(&table),
            "events" => export.events(&table),
            _ => export.table(&kind, &table),
        };
        done.map_err(&written)?;
    }
    out.write_all(b"# EOF\n").and_then(|()| out.flush()).map_err(&written)
}

struct RunMetrics<'r, W> {
    run: &'r ExportedRun,
    out: &'r mut W,
    /// Runtime of each instance of a mixed run, by its unique ID.
    groups: HashMap<String, String>,
}

impl<W: Write> RunMetrics<'_, W> {
    /// What the run is, at its beginning.
    fn information(&mut self) -> io::Result<()> {
        let run = &self.run.run;
        let more = [
            ("scenario", run.scenario.as_str()),
            ("engine", run.plan.engine.name()),
            ("ramp_version", run.ramp_version.as_str()),
        ];
        let labels = self.labels(more.into_iter());
        writeln!(self.out, "# HELP ramp_run What was run.\n# TYPE ramp_run info")?;
        let begin = self.milliseconds(0.0);
        write_sample(self.out, "ramp_run_info", &labels, SampleValue::Integer(1), begin)
    }

    /// When something happened, in milliseconds since 1970.
    fn milliseconds(&self, elapsed_seconds: f64) -> i64 {
        let begin = self.run.run.begin.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        ((begin.as_secs_f64() + elapsed_seconds) * 1000.0).round() as i64
    }

    /// Labels of the run and of a series, those without a value left out.
    fn labels<'l>(&self, more: impl Iterator<Item = (&'l str, &'l str)>) -> String {
        let text = |name: &str, value: &str| format!("{name}=\"{}\"", escaped(value));
        let own = self.run.labels();
        let mut all: Vec<String> = own.iter().map(|(name, value)| text(name, value)).collect();
        all.extend(more.filter(|(_, value)| !value.is_empty()).map(|(name, value)| text(name, value)));
        format!("{{{}}}", all.join(","))
    }

    /// The runtime of an instance of a mixed run.
    fn group(&self, uid: Option<&str>) -> Option<(&str, &str)> {
        self.groups.get(uid?).map(|group| ("runtime", group.as_str()))
    }

    /// A table whose columns are metrics.
    fn table(&mut self, kind: &TableKind, table: &ColumnTable) -> io::Result<()> {
        let series = self.series(kind, table);
        let elapsed = table.numbers("elapsed_seconds").unwrap_or_default();
        for column in &table.columns {
            let Some(family) = MetricFamily::of(kind, &column.column) else { continue };
            let samples = series.rows.iter().filter_map(|(series, row)| {
                let seconds = elapsed.get(*row).filter(|seconds| seconds.is_finite())?;
                Some((*series, self.milliseconds(*seconds), column.values.number(*row)?))
            });
            write_family(self.out, &family, &series.labels, samples.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    fn series(&self, kind: &TableKind, table: &ColumnTable) -> SeriesRows {
        let names =
            LABELS.iter().find(|labels| labels.table == kind.name()).map_or(&[][..], |labels| labels.labels);
        let texts: Vec<_> =
            names.iter().filter_map(|(column, label)| Some((*label, table.texts(column)?))).collect();
        let mut known: HashMap<Vec<i64>, u32> = HashMap::new();
        let mut found = SeriesRows { labels: Vec::new(), rows: Vec::with_capacity(table.rows) };
        for row in 0..table.rows {
            let key = texts
                .iter()
                .map(|(_, texts)| texts.references().get(row).copied().unwrap_or_default())
                .collect();
            let next = known.len() as u32;
            let at = *known.entry(key).or_insert(next);
            if at == next {
                let own = texts.iter().map(|(label, texts)| (*label, texts.get(row).unwrap_or_default()));
                let uid = own.clone().find(|(label, _)| *label == "uid").map(|(_, uid)| uid);
                found.labels.push(self.labels(own.chain(self.group(uid))));
            }
            found.rows.push((at, row));
        }
        // Stable: each series stays in order.
        found.rows.sort_by_key(|(series, _)| *series);
        found
    }

    /// The states of each instance: 1 from when it comes to one, 0 from when it leaves it.
    fn pods(&mut self, table: &ColumnTable) -> io::Result<()> {
        let [Some(pod), Some(uid), Some(from), Some(to), Some(group)] =
            ["instance", "uid", "from", "to", "group"].map(|name| table.texts(name))
        else {
            return Ok(());
        };
        let elapsed = table.numbers("elapsed_seconds").unwrap_or_default();
        let restarts = table.column("restarts");
        let mut series = SeriesLabels::default();
        let (mut states, mut restarted) = (Vec::new(), Vec::new());
        for row in 0..table.rows {
            let Some(seconds) = elapsed.get(row).filter(|seconds| seconds.is_finite()) else { continue };
            let time_ms = self.milliseconds(*seconds);
            if let (Some(uid), Some(group)) = (uid.get(row), group.get(row)) {
                self.groups.insert(uid.to_owned(), group.to_owned());
            }
            let own = [("pod", pod.get(row).unwrap_or_default()), ("uid", uid.get(row).unwrap_or_default())];
            let group = self.group(uid.get(row));
            for (state, value) in [(from.get(row), 0), (to.get(row), 1)] {
                let Some(state) = state.filter(|state| *state != "gone") else { continue };
                let labels = own.into_iter().chain(group).chain([("state", state)]);
                states.push((series.at(self.labels(labels)), time_ms, SampleValue::Integer(value)));
            }
            if let Some(count) = restarts.and_then(|column| column.values.number(row)) {
                restarted.push((series.at(self.labels(own.into_iter().chain(group))), time_ms, count));
            }
        }
        let family = MetricFamily::named("ramp_pod_state", "1 while the instance is in this state");
        write_family(self.out, &family, &series.labels, states)?;
        let family = MetricFamily::named("ramp_pod_restarts_total", "Restarts of the container");
        write_family(self.out, &family, &series.labels, restarted)
    }

    /// Events, counted by kind and reason.
    fn events(&mut self, table: &ColumnTable) -> io::Result<()> {
        let [Some(kind), Some(reason)] = ["kind", "reason"].map(|name| table.texts(name)) else {
            return Ok(());
        };
        let elapsed = table.numbers("elapsed_seconds").unwrap_or_default();
        let mut series = SeriesLabels::default();
        let mut counts: BTreeMap<u32, i64> = BTreeMap::new();
        let mut samples = Vec::new();
        for row in 0..table.rows {
            let Some(seconds) = elapsed.get(row).filter(|seconds| seconds.is_finite()) else { continue };
            let own = [
                ("kind", kind.get(row).unwrap_or_default()),
                ("reason", reason.get(row).unwrap_or_default()),
            ];
            let at = series.at(self.labels(own.into_iter()));
            let count = counts.entry(at).or_default();
            *count += 1;
            samples.push((at, self.milliseconds(*seconds), SampleValue::Integer(*count)));
        }
        let family = MetricFamily::named("ramp_events_total", "Rows of events.csv since the run began");
        write_family(self.out, &family, &series.labels, samples)
    }
}

/// Series by their labels.
#[derive(Default)]
struct SeriesLabels {
    labels: Vec<String>,
    by_labels: HashMap<String, u32>,
}

impl SeriesLabels {
    fn at(&mut self, labels: String) -> u32 {
        let next = self.labels.len() as u32;
        let at = *self.by_labels.entry(labels.clone()).or_insert(next);
        if at == next {
            self.labels.push(labels);
        }
        at
    }
}

/// Writes a metric, where it has samples: series by series, each in the order of its times.
fn write_family(
    out: &mut impl Write,
    family: &MetricFamily,
    labels: &[String],
    mut samples: Vec<Sample>,
) -> io::Result<()> {
    if samples.is_empty() {
        return Ok(());
    }
    family.write(out)?;
    samples.sort_by_key(|(series, time_ms, _)| (*series, *time_ms));
    let name = family.sample_name();
    for (at, (series, time_ms, value)) in samples.iter().enumerate() {
        let next = samples.get(at + 1);
        if next.is_some_and(|(next, next_ms, _)| (next, next_ms) == (series, time_ms)) {
            continue;
        }
        let labels = labels.get(*series as usize).map_or("", String::as_str);
        write_sample(out, &name, labels, *value, *time_ms)?;
    }
    Ok(())
}
