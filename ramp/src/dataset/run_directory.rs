//! A run directory of ramp, whole or cut short anywhere: the run may still be going on, or its machine may have ended with it.

use std::collections::HashMap;
use std::path::Path;

use super::table::{Malformed, Row, Table, Unreadable, quoted};
use super::workloads::{self, Reports};
use super::{AtWork, Dataset, Freshness, Memory, Node, Sample, Source, Step, name_of};
use crate::analysis::Maximum;
use crate::record::{EventRow, PodRow, RunFile, StepRow, read_run};

/// What a run directory has beside steps and nodes.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `run.json`.
    pub run: RunFile,
    /// `pods.csv`.
    pub pods: Vec<PodRow>,
    /// `events.csv`.
    pub events: Vec<EventRow>,
    /// `workloads.csv`, of it what tells whether instances do what they are there for.
    pub reports: Reports,
    /// Kernels by the boot ids that nodes told, and the index of the node in [`Dataset::nodes`] for each of its nodes.
    pub kernels: Vec<Vec<usize>>,
}

/// Reads a run directory.
pub(super) fn read(directory: &Path) -> Result<Dataset, Unreadable> {
    let file = directory.join("run.json");
    let run = read_run(directory).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => Unreadable::from(Malformed {
            file: file.clone(),
            line: 1,
            column: None,
            found: error.to_string(),
            expected: "the run.json of a run directory of ramp".into(),
        }),
        _ => Unreadable::Io { file: file.clone(), error },
    })?;
    let mut notes = Vec::new();
    let mut reader = Reader { directory, notes: &mut notes };
    let steps: Vec<Step> = reader.records::<StepRow>("steps.csv")?.into_iter().map(step).collect();
    let (nodes, kernels) = reader.nodes()?;
    let pods = reader.records("pods.csv")?;
    let events = reader.records("events.csv")?;
    let reports = match reader.table("workloads.csv")? {
        Some(mut table) => workloads::read(&mut table)?,
        None => Reports::default(),
    };
    if run.end.is_none() {
        notes.push("the run has not ended, or was ended with its process: what comes after the last row is not known".into());
    }
    if run.rows_lost > 0 {
        notes.push(format!("{} rows could not be written, and are missing", run.rows_lost));
    }
    let rows = steps.len();
    let recorded = Recorded { run, pods, events, reports, kernels };
    Ok(Dataset {
        name: name_of(directory),
        source: Source::Run(Box::new(recorded)),
        rows,
        notes,
        steps,
        nodes,
    })
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
        memory: Memory {
            total: row.memory_total_bytes,
            free: row.memory_free_bytes,
            available: row.memory_available_bytes,
            active: row.memory_active_bytes,
            unreclaimable: None,
        },
        fresh: row.kernels > 0 && row.kernels_fresh == row.kernels,
        rules: row.rules,
    }
}

struct Reader<'r> {
    directory: &'r Path,
    notes: &'r mut Vec<String>,
}

impl Reader<'_> {
    /// A table, or none where it is missing or has not even a header: that is said.
    fn table(&mut self, name: &str) -> Result<Option<Table>, Unreadable> {
        let file = self.directory.join(name);
        let table = match Table::open_begun(&file) {
            Ok(Some(table)) => table,
            Ok(None) => {
                self.notes.push(format!("{name} was cut off before its first row"));
                return Ok(None);
            }
            Err(Unreadable::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
                self.notes.push(format!("there is no {name}: nothing can be said from it"));
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

    /// The nodes with their samples, and the nodes of each kernel.
    fn nodes(&mut self) -> Result<(Vec<Node>, Vec<Vec<usize>>), Unreadable> {
        let Some(mut table) = self.table("nodes.csv")? else { return Ok(Default::default()) };
        let columns = NodeColumns::of(&table)?;
        let mut nodes = Nodes::default();
        table.rows(|row| {
            let node = row.some(columns.node, row.text(columns.node)?, "a node's name")?;
            let kernel = columns.boot_id.map_or(Ok(None), |column| row.text(column))?;
            let taken = row.text(columns.sample_time)?.unwrap_or_default().to_owned();
            let mut sample = columns.sample(row)?;
            nodes.add(node, kernel, taken, &mut sample);
            Ok(())
        })?;
        Ok((nodes.nodes, nodes.kernels.into_iter().map(|(_, nodes)| nodes).collect()))
    }
}

/// Where the columns of `nodes.csv` are. Those of a newer or an older ramp may be missing.
struct NodeColumns {
    elapsed: usize,
    step: usize,
    node: usize,
    row: usize,
    sample_time: usize,
    age: Option<usize>,
    instances: usize,
    boot_id: Option<usize>,
    memory: [Option<usize>; 4],
    unreclaimable: Unreclaimable,
    pressure: [Option<usize>; 3],
}

impl NodeColumns {
    fn of(table: &Table) -> Result<Self, Malformed> {
        let memory = |name: &str| table.column(&format!("memory_{name}_bytes"));
        let pressure = |name: &str| table.column(&format!("{name}_pressure_some_seconds_total"));
        Ok(Self {
            elapsed: table.required("elapsed_seconds")?,
            step: table.required("step")?,
            node: table.required("node")?,
            row: table.required("row")?,
            sample_time: table.required("sample_time")?,
            age: table.column("age_seconds"),
            instances: table.required("instances")?,
            boot_id: table.column("boot_id"),
            memory: ["total", "free", "available", "active"].map(memory),
            unreclaimable: Unreclaimable::of(table),
            pressure: ["memory", "cpu", "io"].map(pressure),
        })
    }

    fn sample(&self, row: &Row<'_>) -> Result<Sample, Malformed> {
        let freshness = match row.text(self.row)?.unwrap_or_default() {
            "sample" => Freshness::Fresh,
            "gap" => Freshness::Missing,
            other => return Err(row.malformed(Some(self.row), quoted(other), "sample or gap")),
        };
        let bytes = |column: Option<usize>| column.map_or(Ok(None), |column| row.bytes(column));
        let seconds = |column: Option<usize>| column.map_or(Ok(None), |column| row.number(column));
        let [total, free, available, active] = self.memory;
        let [memory_pressure, cpu_pressure, io_pressure] = self.pressure;
        Ok(Sample {
            taken_seconds: row.time(self.sample_time)?,
            age_seconds: seconds(self.age)?,
            kernel: None,
            step: row.some(self.step, row.count(self.step)?, "the number of the step")?,
            elapsed_seconds: row.number(self.elapsed)?,
            freshness,
            instances: row.count(self.instances)?,
            memory: Memory {
                total: bytes(total)?,
                free: bytes(free)?,
                available: bytes(available)?,
                active: bytes(active)?,
                unreclaimable: self.unreclaimable.bytes(row)?,
            },
            memory_pressure_seconds: seconds(memory_pressure)?,
            cpu_pressure_seconds: seconds(cpu_pressure)?,
            io_pressure_seconds: seconds(io_pressure)?,
        })
    }
}

/// Where the parts of [`Memory::unreclaimable`] are.
struct Unreclaimable {
    /// Without one of these nothing can be said.
    all: [Option<usize>; 5],
    /// What only newer kernels tell, or some.
    some: [Option<usize>; 2],
    huge_pages: [Option<usize>; 3],
}

impl Unreclaimable {
    fn of(table: &Table) -> Self {
        let memory = |name: &str| table.column(&format!("memory_{name}_bytes"));
        Self {
            all: ["anon", "shmem", "slab_unreclaimable", "kernel_stack", "page_tables"].map(memory),
            some: ["secondary_page_tables", "percpu"].map(memory),
            huge_pages: ["huge_pages_count", "huge_pages_free_count", "huge_page_size_bytes"]
                .map(|name| table.column(name)),
        }
    }

    fn bytes(&self, row: &Row<'_>) -> Result<Option<u64>, Malformed> {
        let bytes = |column: Option<usize>| column.map_or(Ok(None), |column| row.bytes(column));
        let mut sum = 0_u64;
        for column in self.all {
            let Some(part) = bytes(column)? else { return Ok(None) };
            sum = sum.saturating_add(part);
        }
        for column in self.some {
            sum = sum.saturating_add(bytes(column)?.unwrap_or(0));
        }
        let [count, free, size] = self.huge_pages;
        if let (Some(count), Some(free), Some(size)) = (bytes(count)?, bytes(free)?, bytes(size)?) {
            sum = sum.saturating_add(count.saturating_sub(free).saturating_mul(size));
        }
        Ok(Some(sum))
    }
}

/// The nodes that were seen so far.
#[derive(Default)]
struct Nodes {
    nodes: Vec<Node>,
    by_name: HashMap<String, usize>,
    /// When the last sample of each was taken.
    taken: Vec<String>,
    /// Boot ids, and the nodes of each, in the order in which they were seen.
    kernels: Vec<(String, Vec<usize>)>,
}

impl Nodes {
    fn add(&mut self, name: &str, kernel: Option<&str>, taken: String, sample: &mut Sample) {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                self.nodes.push(Node { name: name.to_owned(), samples: Vec::new() });
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

impl Recorded {
    /// The largest number of instances at work at once, from each transition.
    pub(super) fn peak(&self) -> Option<Maximum> {
        let mut at_work = AtWork::default();
        let mut most = None::<Maximum>;
        for row in &self.pods {
            at_work.follow(row);
            let now = at_work.now();
            if most.is_none_or(|most| now > most.count) {
                most = Some(Maximum { count: now, step: row.step });
            }
        }
        most
    }
}
