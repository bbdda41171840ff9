//! A run directory of ramp, whole or cut short anywhere: the run may still be going on, or its machine may have ended with it.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::OnceLock;

use super::swapped::{SWAP_FIELDS, SwappedMemory};
use super::table_reader::{Malformed, TableReader, TableRow, Unreadable, quoted};
use super::workload_reports::{self, Reports};
use super::{
    Dataset, Freshness, KernelCpu, KernelMemory, NodeMemory, NodeSample, NodeSeries, Recorded, Source, Step,
    name_of,
};
use super::{clocks, observation_gaps};
use crate::progress::Observer;
use ramp_format::rows::{ComponentRow, EventRow, LimitRow, PodRow, StepRow};
use ramp_format::run_file::{ensure_is_regular, read_run};
use ramp_format::running_count::PeakCounts;
use ramp_format::sidecar::Sidecar;
use ramp_format::text::first_names;
use ramp_format::unreclaimable::{UNRECLAIMABLE_FIELDS, unreclaimable_bytes};

/// Reads a run directory.
pub(super) fn read(directory: &Path, observer: &Observer) -> Result<Dataset, Unreadable> {
    let run = read_run(directory).map_err(Unreadable::RunFile)?;
    let mut notes = Vec::new();
    let mut reader = RunReader { directory, observer, notes: &mut notes };
    let mut steps: Vec<Step> = reader.records::<StepRow>("steps.csv")?.into_iter().map(step).collect();
    let (mut nodes, kernels) = reader.nodes()?;
    let mut pods: Vec<PodRow> = reader.records("pods.csv")?;
    let mut events: Vec<EventRow> = reader.records("events.csv")?;
    let mut reports = match reader.table("workloads.csv")? {
        Some(mut table) => workload_reports::read(&mut table)?,
        None => Reports::default(),
    };
    let mut components: Vec<ComponentRow> = reader.later_records("components.csv")?;
    let mut limits: Vec<LimitRow> = reader.later_records("limits.csv")?;
    if run.end.is_none() {
        notes.push(
            "the run has not ended, or its process was killed: nothing is known after the last row".into(),
        );
    }
    if directory.join("run.json.new").exists() {
        notes.push("run.json.new exists: run.json was not written completely and is an older version".into());
    }
    notes.extend(missing_samples(&steps, &pods, &nodes));
    notes.extend(not_written(&events));
    if run.rows_lost > 0 {
        let until = complete_until(&steps, &nodes, &events);
        notes.push(format!(
            "{} rows could not be written and are missing: what was recorded later than {until:.1} s is left out",
            run.rows_lost
        ));
        steps.retain(|step| step.elapsed_seconds.is_none_or(|at| at <= until));
        pods.retain(|row| row.elapsed_seconds <= until);
        events.retain(|event| event.elapsed_seconds <= until);
        components.retain(|row| row.elapsed_seconds <= until);
        limits.retain(|row| row.elapsed_seconds <= until);
        reports.reports.retain(|report| report.elapsed_seconds <= until);
        for node in &mut nodes {
            node.samples.retain(|sample| sample.elapsed_seconds.is_none_or(|at| at <= until));
        }
    }
    let rows = steps.len();
    clocks::undo_settings(&mut nodes, &mut reports, &pods);
    let (happened_seconds, seen_late) = clocks::happened(&pods, run.clock.as_ref());
    let untimed = match &run.clock {
        Some(_) => None,
        None => clocks::why_unknown(&steps, &pods, !run.resumes.is_empty()),
    };
    notes.extend(clocks::notes(run.clock.as_ref()));
    notes.extend(untimed.clone());
    let undated = observation_gaps::undated(&pods, &events);
    let mut population = PeakCounts::default();
    pods.iter().for_each(|row| population.follow(row));
    let recorded = Recorded {
        run,
        pods,
        happened_seconds,
        untimed,
        undated,
        seen_late,
        population,
        events,
        reports,
        kernels,
        components,
        limits,
        settings: OnceLock::new(),
    };
    notes.extend(with_sidecars(&recorded.sidecars()));
    Ok(Dataset {
        name: name_of(directory),
        source: Source::Run(Box::new(recorded)),
        rows,
        notes,
        steps,
        nodes,
    })
}

/// Samples that should have been recorded after the last one of each node, until the last row of any other table.
fn missing_samples(steps: &[Step], pods: &[PodRow], nodes: &[NodeSeries]) -> Option<String> {
    let last_step = steps.last().and_then(|step| step.elapsed_seconds);
    let end = last_step.into_iter().chain(pods.last().map(|row| row.elapsed_seconds)).fold(0.0, f64::max);
    let (mut missing, mut since) = (0_u64, end);
    for node in nodes {
        let times: Vec<f64> = node.samples.iter().filter_map(|sample| sample.elapsed_seconds).collect();
        let mut between: Vec<f64> =
            times.windows(2).filter_map(|pair| Some(pair.last()? - pair.first()?)).collect();
        between.sort_by(f64::total_cmp);
        let (Some(last), Some(usual)) = (times.last(), crate::stats::quantile(&between, 0.5)) else {
            continue;
        };
        // One may be on its way when a run ends.
        let count = ((end - last) / usual.max(1e-3)).floor();
        if count >= 2.0 {
            missing = missing.saturating_add(count as u64);
            since = since.min(*last);
        }
    }
    (missing > 0).then(|| {
        format!(
            "nodes.csv ends at {since:.1} s, {:.1} s before the run: about {missing} samples are missing",
            end - since
        )
    })
}

/// Until when all rows are there, in seconds since the run began, where some are missing: until one could not be written, or, if that is
/// missing as well, until the first of the tables ends that always have more rows.
fn complete_until(steps: &[Step], nodes: &[NodeSeries], events: &[EventRow]) -> f64 {
    let is_table = |event: &&EventRow| event.reason == "NotWritten" && event.object.ends_with(".csv");
    if let Some(event) = events.iter().find(is_table) {
        return event.elapsed_seconds;
    }
    let step = steps.last().and_then(|step| step.elapsed_seconds);
    let samples = nodes.iter().flat_map(|node| &node.samples);
    let sample = samples.filter_map(|sample| sample.elapsed_seconds).max_by(f64::total_cmp);
    step.into_iter().chain(sample).fold(f64::INFINITY, f64::min)
}

/// What is measured with each instance.
fn with_sidecars(sidecars: &[Sidecar]) -> Option<String> {
    let all: Vec<String> = sidecars.iter().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| {
        format!(
            "pods of the run had further containers: {}; their memory and CPU time are included in each figure per instance, and not \
             told apart from the load's and the runtime's",
            all.join(", ")
        )
    })
}

/// Files that could not be written, as the run noted.
fn not_written(events: &[EventRow]) -> Option<String> {
    let all: Vec<String> = events
        .iter()
        .filter(|event| event.reason == "NotWritten")
        .map(|event| format!("{} ({})", event.object, event.message))
        .collect();
    (!all.is_empty()).then(|| format!("not writable at times: {}", all.join(", ")))
}

fn step(row: StepRow) -> Step {
    Step {
        step: row.step,
        part: row.part,
        outcome: Some(row.outcome),
        elapsed_seconds: Some(row.elapsed_seconds),
        step_seconds: Some(row.step_seconds),
        asked: Some(row.asked_instances),
        running: row.running_instances.saturating_add(row.ready_instances),
        ready: Some(row.ready_instances),
        pending: Some(row.pending_instances),
        unschedulable: Some(row.unschedulable_instances),
        creating: Some(row.creating_instances),
        terminating: Some(row.terminating_instances),
        evicted: Some(row.evicted_instances),
        failed: Some(row.failures_total),
        evictions_total: Some(row.evictions_total),
        oom_kills_total: Some(row.oom_kills_total),
        work_units: None,
        work_count: None,
        api_latency_seconds: row.api_latency_max_seconds,
        nodes_not_ready: Some(row.nodes_not_ready),
        memory: NodeMemory {
            total: row.memory_total_bytes,
            free: row.memory_free_bytes,
            available: row.memory_available_bytes,
            active: row.memory_active_bytes,
            ..NodeMemory::default()
        },
        fresh: row.kernels > 0 && row.kernels_fresh == row.kernels,
        rules: row.rules,
        climb: row.climb,
        level_held: row.level_held,
        not_held_because: row.not_held_because,
    }
}

struct RunReader<'r> {
    directory: &'r Path,
    observer: &'r Observer,
    notes: &'r mut Vec<String>,
}

impl RunReader<'_> {
    /// A table, or none where it is missing or has not even a header: that is said.
    fn table(&mut self, name: &str) -> Result<Option<TableReader>, Unreadable> {
        let file = self.directory.join(name);
        let opened = ensure_is_regular(&file).map_err(|error| Unreadable::Io { file: file.clone(), error });
        let table = match opened.and_then(|()| TableReader::open_begun(&file, self.observer)) {
            Ok(Some(table)) => table,
            Ok(None) => {
                self.notes.push(format!("{name} was cut off before its first row"));
                return Ok(None);
            }
            Err(Unreadable::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                self.notes.push(format!("{name} is missing"));
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        self.notes.extend(table.torn().map(|torn| format!("{name}: {torn}")));
        Ok(Some(table))
    }

    /// All rows of a table that is declared as a struct.
    fn records<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Vec<T>, Unreadable> {
        let mut records = Vec::new();
        if let Some(mut table) = self.table(name)? {
            table.rows(|row| row.record().map(|record| records.push(record)))?;
        }
        Ok(records)
    }

    /// The same of a table that earlier versions did not write.
    fn later_records<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<Vec<T>, Unreadable> {
        match self.directory.join(name).exists() {
            true => self.records(name),
            false => Ok(Vec::new()),
        }
    }

    /// The nodes with their samples, and the nodes of each kernel.
    fn nodes(&mut self) -> Result<(Vec<NodeSeries>, Vec<Vec<usize>>), Unreadable> {
        let Some(mut table) = self.table("nodes.csv")? else { return Ok(Default::default()) };
        let (name, sample_time) = (table.required("node")?, table.required("sample_time")?);
        let (boot_id, sample_of) = (table.column("boot_id"), sampler(&table)?);
        let eligible = table.column("eligible");
        let mut nodes = NodeCollector::default();
        table.rows(|row| {
            let node = row.some(name, row.text(name)?, "a node's name")?;
            let kernel = boot_id.map_or(Ok(None), |column| row.text(column))?;
            // A node that instances may not be placed on is none of the run's, unless it was one before: it may have some.
            let is_excluded = eligible.map_or(Ok(None), |column| row.text(column))? == Some("false");
            if is_excluded && !nodes.by_name.contains_key(node) {
                nodes.excluded.insert(node.to_owned());
                return Ok(());
            }
            let taken = row.text(sample_time)?.unwrap_or_default().to_owned();
            let mut sample = sample_of(row)?;
            nodes.add(node, kernel, taken, &mut sample);
            Ok(())
        })?;
        let left_out: Vec<&String> =
            nodes.excluded.iter().filter(|name| !nodes.by_name.contains_key(*name)).collect();
        if !left_out.is_empty() {
            self.notes.push(format!(
                "nodes left out, as instances may not be placed on them: {} ({})",
                left_out.len(),
                first_names(&left_out, 3)
            ));
        }
        Ok((nodes.nodes, nodes.kernels.into_iter().map(|(_, nodes)| nodes).collect()))
    }
}

/// CPU time in which no program of the machine ran.
const FREE_CPU_COLUMNS: &[&str] =
    &["cpu_idle_seconds_total", "cpu_iowait_seconds_total", "cpu_steal_seconds_total"];
/// CPU time in which one ran; that of guests is part of it.
const BUSY_CPU_COLUMNS: &[&str] = &[
    "cpu_user_seconds_total",
    "cpu_nice_seconds_total",
    "cpu_system_seconds_total",
    "cpu_irq_seconds_total",
    "cpu_softirq_seconds_total",
];

/// Reads the sample of a row of `nodes.csv`. Columns that only a newer or an older ramp writes may be missing.
fn sampler(
    table: &TableReader,
) -> Result<impl Fn(&TableRow<'_>) -> Result<NodeSample, Malformed> + use<>, Malformed> {
    let [elapsed, step, kind, sample_time, instances] =
        ["elapsed_seconds", "step", "row", "sample_time", "instances"].map(|name| table.required(name));
    let (elapsed, step, kind, sample_time, instances) = (elapsed?, step?, kind?, sample_time?, instances?);
    let [age, total, free, available, active, budget_used, oom_kills, memory, cpu, io] = [
        "age_seconds",
        "memory_total_bytes",
        "memory_free_bytes",
        "memory_available_bytes",
        "memory_active_bytes",
        "budget_used_bytes",
        "oom_kills_total",
        "memory_pressure_some_seconds_total",
        "cpu_pressure_some_seconds_total",
        "io_pressure_some_seconds_total",
    ]
    .map(|name| table.column(name));
    let [free_columns, busy_columns] = [FREE_CPU_COLUMNS, BUSY_CPU_COLUMNS]
        .map(|names| names.iter().map(|name| table.column(name)).collect::<Vec<_>>());
    let unreclaimable_columns = UNRECLAIMABLE_FIELDS.map(|name| table.column(name));
    let swap_columns = SWAP_FIELDS.map(|name| table.column(name));
    Ok(move |row: &TableRow<'_>| {
        let mut unreclaimable = [None; UNRECLAIMABLE_FIELDS.len()];
        for (value, column) in unreclaimable.iter_mut().zip(unreclaimable_columns) {
            *value = row.bytes(column)?;
        }
        let [anon, shmem, slab, stacks, tables, secondary, per_cpu, ..] = unreclaimable;
        let seconds = |columns: &[Option<_>]| -> Result<Option<f64>, Malformed> {
            let all: Vec<Option<f64>> =
                columns.iter().map(|column| row.number(*column)).collect::<Result<_, _>>()?;
            Ok(all.into_iter().sum())
        };
        let kernel_cpu = seconds(&free_columns)?.zip(seconds(&busy_columns)?);
        let mut swap = [None; SWAP_FIELDS.len()];
        for (value, column) in swap.iter_mut().zip(swap_columns) {
            *value = row.bytes(column)?;
        }
        Ok(NodeSample {
            taken_seconds: row.time(sample_time)?,
            age_seconds: row.number(age)?,
            kernel: None,
            step: row.some(step, row.count(step)?, "the number of the step")?,
            elapsed_seconds: row.number(elapsed)?,
            freshness: match row.text(kind)?.unwrap_or_default() {
                "sample" => Freshness::Fresh,
                "gap" => Freshness::Missing,
                other => return Err(row.malformed(Some(kind), quoted(other), "sample or gap")),
            },
            instances: row.count(instances)?,
            memory: NodeMemory {
                total: row.bytes(total)?,
                free: row.bytes(free)?,
                available: row.bytes(available)?,
                active: row.bytes(active)?,
                anon_and_shared: anon.zip(shmem).map(|(anon, shmem)| anon.saturating_add(shmem)),
                unreclaimable: unreclaimable_bytes(unreclaimable),
                kernel: KernelMemory {
                    page_tables: tables.map(|tables| tables.saturating_add(secondary.unwrap_or(0))),
                    slab,
                    stacks,
                    per_cpu,
                },
                swapped: SwappedMemory::of(swap),
            },
            budget_used: row.bytes(budget_used)?,
            oom_kills: row.bytes(oom_kills)?,
            memory_pressure_seconds: row.number(memory)?,
            cpu_pressure_seconds: row.number(cpu)?,
            io_pressure_seconds: row.number(io)?,
            cpu: kernel_cpu.map(|(free, busy)| KernelCpu { free, busy }),
        })
    })
}

/// The nodes that were seen so far.
#[derive(Default)]
struct NodeCollector {
    nodes: Vec<NodeSeries>,
    by_name: HashMap<String, usize>,
    /// Nodes that instances could not be placed on.
    excluded: BTreeSet<String>,
    /// When the last sample of each was taken.
    taken: Vec<String>,
    /// Boot ids, and the nodes of each, in the order in which they were seen.
    kernels: Vec<(String, Vec<usize>)>,
}

impl NodeCollector {
    fn add(&mut self, name: &str, kernel: Option<&str>, taken: String, sample: &mut NodeSample) {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                self.nodes.push(NodeSeries { name: name.to_owned(), samples: Vec::new() });
                self.taken.push(String::new());
                self.by_name.insert(name.to_owned(), self.nodes.len() - 1);
                self.nodes.len() - 1
            }
        };
        if let Some(last) = self.taken.get_mut(at)
            && sample.freshness == Freshness::Fresh
        {
            // Recorded once more, it is still the same.
            if !taken.is_empty() && *last == taken {
                sample.freshness = Freshness::Stale;
            }
            *last = taken;
        }
        sample.kernel = kernel.map(|kernel| self.join(kernel, at));
        if let Some(node) = self.nodes.get_mut(at) {
            node.samples.push(*sample);
        }
    }

    /// A node runs on a kernel. Its index.
    fn join(&mut self, kernel: &str, node: usize) -> usize {
        let Some(at) = self.kernels.iter().position(|(id, _)| id == kernel) else {
            self.kernels.push((kernel.to_owned(), vec![node]));
            return self.kernels.len() - 1;
        };
        if let Some((_, nodes)) = self.kernels.get_mut(at)
            && !nodes.contains(&node)
        {
            nodes.push(node);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_node_that_instances_may_not_be_placed_on_is_left_out_unless_it_was_one_of_the_runs() {
        let place = tempfile::tempdir().unwrap();
        let header = "elapsed_seconds,step,node,row,sample_time,instances,eligible\n";
        let rows = "1,0,a,sample,2026-11-25T12:00:00Z,0,true\n1,0,windows,sample,2026-11-25T12:00:00Z,0,false\n\
                    2,0,a,sample,2026-11-25T12:00:01Z,3,false\n2,0,old,sample,2026-11-25T12:00:01Z,0,\n";
        fs::write(place.path().join("nodes.csv"), [header, rows].concat()).unwrap();
        let mut notes = Vec::new();
        let (nodes, _) =
            RunReader { directory: place.path(), observer: &Observer::default(), notes: &mut notes }
                .nodes()
                .unwrap();
        let seen: Vec<_> = nodes.iter().map(|node| (node.name.as_str(), node.samples.len())).collect();
        assert_eq!(seen, [("a", 2), ("old", 1)], "a was cordoned, and may have instances");
        assert_eq!(notes, ["nodes left out, as instances may not be placed on them: 1 (windows)"]);
    }
}
