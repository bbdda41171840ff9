//! Rows of the tables, each declared once: headers, `--json`, readers and docs/run-format.md follow these fields.

use std::collections::HashMap;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use workload::report::{Kind, NodeReport, Scope, Unit, WorkloadReport};

use crate::state::State;
use crate::state::Transition;
use crate::text::one_line;
use crate::time::Time;

/// A column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, with the unit.
    pub name: &'static str,
    /// Type of its values: `integer`, `number`, `text`, `time` or `boolean`.
    pub data_type: &'static str,
    /// What it means, in a phrase.
    pub description: &'static str,
}

/// A type of a column.
trait ColumnType {
    const NAME: &'static str;
}

macro_rules! column_types {
    ($($type:ty: $name:literal),+) => { $( impl ColumnType for $type { const NAME: &'static str = $name; } )+ };
}

column_types!(u32: "integer", u64: "integer", f64: "number", bool: "boolean", Time: "time", String: "text");
column_types!(Part: "text", StepOutcome: "text", NodeRowKind: "text");

impl<T: ColumnType> ColumnType for Option<T> {
    const NAME: &'static str = T::NAME;
}

/// A table of the run directory, by its rows.
pub trait Table: Serialize {
    /// Its file.
    const FILE: &'static str;

    /// Its columns, in order.
    fn columns() -> Vec<Column>;

    /// The names of its columns, in order.
    #[must_use]
    fn header() -> Vec<&'static str> {
        Self::columns().iter().map(|column| column.name).collect()
    }
}

/// Declares a row and its table: the columns are the fields, their descriptions the documentation.
macro_rules! table {
    (
        $(#[$meta:meta])*
        $name:ident in $file:literal {
            $( $(#[doc = $doc:literal])+ $field:ident: $type:ty, )*
        }
        $( with the fields of $kind:ident )?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
            $(
                #[doc = concat!("The cells of a [`", stringify!($kind), "`]; not read back.")]
                #[serde(skip_deserializing)]
                pub report: ReportCells,
            )?
        }

        impl Table for $name {
            const FILE: &'static str = $file;

            fn columns() -> Vec<Column> {
                let own = [ $( Column {
                    name: stringify!($field),
                    data_type: <$type as ColumnType>::NAME,
                    description: concat!($($doc),+),
                } ),* ];
                own.into_iter()$( .chain(report_columns::<$kind>()) )?.collect()
            }
        }
    };
}

/// The columns of a report: its fields but for the time, which has a column of its own, and the settings, which the manifest has.
fn report_columns<K: Kind>() -> impl Iterator<Item = Column> {
    let is_column = |name: &str| !matches!(name, "time" | "settings" | "version");
    let fields = K::FIELDS.iter().filter(move |field| {
        is_column(field.name) && (field.scope != Scope::Start || field.unit != Unit::None)
    });
    fields.map(|field| Column {
        name: if field.name == "elapsed_seconds" { PROGRAM_ELAPSED } else { field.name },
        data_type: match field.unit {
            Unit::None => "text",
            Unit::Time => "time",
            Unit::Bytes | Unit::Count => "integer",
            _ => "number",
        },
        description: field.help,
    })
}

/// The report's own `elapsed_seconds`, beside that of the run.
const PROGRAM_ELAPSED: &str = "program_elapsed_seconds";

/// The cells of a report, in the order of its columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportCells(Vec<String>);

/// Where the fields of a report stand among its columns. A record has few of them.
#[derive(Clone, Debug)]
pub struct ReportColumns {
    by_field: HashMap<&'static str, usize>,
}

impl ReportColumns {
    /// Those of a kind of report.
    #[must_use]
    pub fn of<K: Kind>() -> Self {
        let field =
            |column: Column| if column.name == PROGRAM_ELAPSED { "elapsed_seconds" } else { column.name };
        Self { by_field: report_columns::<K>().map(field).zip(0..).collect() }
    }

    /// The cells of a record.
    #[must_use]
    pub fn cells(&self, record: &Map<String, Value>) -> ReportCells {
        let mut cells = vec![String::new(); self.by_field.len()];
        for (field, value) in record {
            let at = self.by_field.get(field.as_str());
            let Some(cell) = at.and_then(|at| cells.get_mut(*at)) else { continue };
            *cell = match value {
                Value::Null => continue,
                Value::String(text) => one_line(text).into_owned(),
                value => value.to_string(),
            };
        }
        ReportCells(cells)
    }
}

impl Serialize for ReportCells {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cells = serializer.serialize_seq(Some(self.0.len()))?;
        self.0.iter().try_for_each(|cell| cells.serialize_element(cell))?;
        cells.end()
    }
}

/// Phase of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Scaling up.
    #[default]
    Up,
    /// Holding.
    Hold,
    /// A search, after the first level that did not hold.
    Search,
    /// Scaling down.
    Down,
    /// Removing all instances.
    Clean,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// All instances were ready or had ended; or were gone.
    Settled,
    /// `--step-timeout` elapsed.
    TimedOut,
    /// The interval of `--pace` elapsed.
    Beat,
    /// The request was accepted (`--pace none`).
    Taken,
    /// The request was not answered within the interval.
    Unanswered,
    /// The run was interrupted or a rule ended it.
    Ended,
}

table! {
    /// A row of `steps.csv`: a step, as it was when it ended.
    StepRow in "steps.csv" {
        /// End of the step.
        time: Time,
        /// Time since the run began.
        elapsed_seconds: f64,
        /// Number of the step: steps up, then steps down, counted from 1.
        step: u32,
        /// Phase of the run: `up`, `hold`, `search`, `down`, `clean`. Of a search the levels up to the first that did not hold are `up`.
        part: Part,
        /// How the step ended: `settled`, `timed_out`, `beat`, `taken`, `unanswered`, `ended`.
        outcome: StepOutcome,
        /// Duration of the step.
        step_seconds: f64,
        /// Instances requested.
        asked_instances: u32,
        /// Instances not scheduled yet.
        pending_instances: u32,
        /// Instances that the scheduler finds no node for (included in neither pending nor creating).
        unschedulable_instances: u32,
        /// Instances on a node whose container does not run yet.
        creating_instances: u32,
        /// Instances that run without all of their memory.
        running_instances: u32,
        /// Instances that hold all of their memory.
        ready_instances: u32,
        /// Instances being terminated.
        terminating_instances: u32,
        /// Evicted instances that are still listed.
        evicted_instances: u32,
        /// Instances whose container was OOM-killed and does not run again.
        oom_killed_instances: u32,
        /// Instances whose container ended otherwise and does not run again.
        failed_instances: u32,
        /// Evictions since the run began.
        evictions_total: u32,
        /// OOM kills since the run began.
        oom_kills_total: u32,
        /// Other container failures since the run began.
        failures_total: u32,
        /// Instances gone since the run began.
        gone_total: u32,
        /// Latency of the scale request of this step.
        scale_latency_seconds: Option<f64>,
        /// Highest latency of any API request answered within this step.
        api_latency_max_seconds: Option<f64>,
        /// API requests answered within this step.
        api_answers: u32,
        /// API requests that failed or timed out within this step.
        api_failures: u32,
        /// Ready nodes. Here and below, nodes are those that instances may be placed on.
        nodes_ready: u32,
        /// Nodes that are not ready.
        nodes_not_ready: u32,
        /// Kernels (machines) of the nodes; nodes with one boot ID share a kernel, and one that was never sampled counts as one.
        kernels: u32,
        /// Kernels whose last sample is fresh; sums of memory are empty unless all are.
        kernels_fresh: u32,
        /// Age of the oldest last sample.
        sample_age_seconds: Option<f64>,
        /// MemTotal of all kernels.
        memory_total_bytes: Option<u64>,
        /// MemFree of all kernels.
        memory_free_bytes: Option<u64>,
        /// MemAvailable of all kernels.
        memory_available_bytes: Option<u64>,
        /// Active of all kernels.
        memory_active_bytes: Option<u64>,
        /// Memory limit of all instances together, where they share one.
        budget_bytes: Option<u64>,
        /// Memory charged to all instances together.
        budget_used_bytes: Option<u64>,
        /// Stop rules that held after this step, separated by spaces.
        rules: String,
        /// Climb of a search that the step belongs to, counted from 1; empty while the search grows and bisects. A climb that is
        /// made again has the same number.
        climb: Option<u32>,
        /// Whether the level held: all instances became ready, and were neither lost nor stalled within `--hold`. Empty where that
        /// is not known: others changed the instances, the API did not answer, or the step was interrupted.
        level_held: Option<bool>,
        /// Why the level did not hold, or why that is not known.
        not_held_because: Option<String>,
    }
}

table! {
    /// A row of `pods.csv`: a transition of an instance.
    PodRow in "pods.csv" {
        /// Time of the observation.
        time: Time,
        /// Time since the run began.
        elapsed_seconds: f64,
        /// Time of the transition by its source; on Kubernetes in whole seconds.
        source_time: Option<Time>,
        /// Step at that time.
        step: u32,
        /// Name of the instance.
        instance: String,
        /// Unique ID of the instance.
        uid: String,
        /// Node of the instance.
        node: Option<String>,
        /// State before; empty for a new instance.
        from: Option<String>,
        /// State after.
        to: String,
        /// Reason, in the words of the source.
        reason: String,
        /// Restarts of the container.
        restarts: u32,
        /// ID of the container that ended, if one did.
        container: Option<String>,
        /// Runtime of the instance's group in a mixed run.
        group: Option<String>,
    }
}

/// Kind of a row of `nodes.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeRowKind {
    /// A sample.
    Sample,
    /// There was no sample for some time.
    Gap,
}

table! {
    /// A row of `nodes.csv`: a sample of a node, or a gap between samples.
    NodeRow in "nodes.csv" {
        /// Time of the recording.
        time: Time,
        /// Time since the run began.
        elapsed_seconds: f64,
        /// Step at that time.
        step: u32,
        /// Name of the node.
        node: String,
        /// `sample`, or `gap` if no sample arrived.
        row: NodeRowKind,
        /// Time of the sample by the clock of the node.
        sample_time: String,
        /// Age of the sample, or time since the last one.
        age_seconds: Option<f64>,
        /// Instances that run on the node.
        instances: u32,
        /// Whether the node is ready.
        ready: Option<bool>,
        /// Memory limit of all instances together, where they share one.
        budget_bytes: Option<u64>,
        /// Memory charged to all instances together.
        budget_used_bytes: Option<u64>,
        /// Whether instances may be placed on the node when it is ready: neither cordoned nor excluded by a selector or a taint.
        eligible: Option<bool>,
    }
    with the fields of NodeReport
}

table! {
    /// A row of `workloads.csv`: a report of an instance.
    WorkloadRow in "workloads.csv" {
        /// Time of the recording.
        time: Time,
        /// Time since the run began.
        elapsed_seconds: f64,
        /// Step at that time.
        step: u32,
        /// Name of the instance.
        instance: String,
        /// Unique ID of the instance.
        uid: String,
        /// Node of the instance.
        node: String,
        /// Time of the report by the clock of the instance.
        report_time: String,
    }
    with the fields of WorkloadReport
}

impl PodRow {
    /// The transition that it tells of.
    ///
    /// # Errors
    /// Where a state is none.
    pub fn transition(&self) -> Result<Transition, String> {
        Ok(Transition {
            uid: self.uid.clone(),
            name: self.instance.clone(),
            node: self.node.clone(),
            from: self.from.as_deref().map(str::parse).transpose()?,
            to: self.to.parse::<State>()?,
            at: self.source_time.map(|time| time.0),
            reason: self.reason.clone(),
            restarts: self.restarts,
            container: self.container.clone(),
            group: self.group.clone(),
        })
    }
}

table! {
    /// A row of `events.csv`: what else happened.
    EventRow in "events.csv" {
        /// Time of the observation.
        time: Time,
        /// Time since the run began.
        elapsed_seconds: f64,
        /// Time of the event by its source.
        source_time: Option<Time>,
        /// Step at that time.
        step: u32,
        /// `cluster`, `gap_begins`, `gap_ends`, `rule`, `noted_rule`, `not_honoured`, `note`.
        kind: String,
        /// Object concerned, such as `pod/NAME`, `node/NAME`, `rule/RULE`.
        object: String,
        /// Reason, one word.
        reason: String,
        /// Message.
        message: String,
        /// Occurrences, if the source counts them.
        count: Option<u32>,
    }
}

table! {
    /// A row of `components.csv`: what one component of a pod, or of a node, holds, by the component probe (deploy/setup/components).
    ComponentRow in "components.csv" {
        /// Time of the recording.
        time: Time,
        /// Time since the run began.
        elapsed_seconds: f64,
        /// Step at that time.
        step: u32,
        /// Name of the node.
        node: String,
        /// Time of the sample by the clock of the node.
        sample_time: Option<Time>,
        /// Boot ID of the node: nodes with the same one share a kernel.
        boot_id: Option<String>,
        /// Unique ID of the pod; empty for a component of the node.
        pod_uid: Option<String>,
        /// Name of the instance, if the pod is one of the run.
        instance: Option<String>,
        /// `pod` (the whole pod, by its cgroup), `load`, `pause`, `shim`, `vmm`, `virtiofsd`, `sentry`, `gofer`, `other`; of a node
        /// `kubelet`, `container_runtime`, `probe`.
        component: String,
        /// Names of its processes, separated by spaces.
        process: Option<String>,
        /// Its processes.
        processes: Option<u32>,
        /// Their threads.
        threads: Option<u32>,
        /// Those of its processes whose memory cannot be read; if there are any, its sizes are empty.
        unreadable: Option<u32>,
        /// File of the kernel that the sizes are from: `smaps_rollup`, or `status` (RssAnon and RssShmem) for the load, which shares no
        /// memory but that of its program.
        pss_source: Option<String>,
        /// Proportional set size of its processes (Pss of smaps_rollup): shared memory is divided among those that map it.
        pss_bytes: Option<u64>,
        /// Of that anonymous memory (Pss_Anon).
        pss_anon_bytes: Option<u64>,
        /// Of that shared memory (Pss_Shmem).
        pss_shmem_bytes: Option<u64>,
        /// Of that files (Pss_File).
        pss_file_bytes: Option<u64>,
        /// Swapped-out memory (SwapPss).
        swap_bytes: Option<u64>,
        /// Page tables (VmPTE).
        page_tables_bytes: Option<u64>,
        /// CPU time of its processes; of a pod that of its cgroup.
        cpu_seconds_total: Option<f64>,
        /// Memory charged to the cgroup of the pod, page cache that can be reclaimed included.
        cgroup_memory_bytes: Option<u64>,
        /// Most memory that was charged to the cgroup at any time (memory.max_usage_in_bytes, memory.peak).
        cgroup_memory_peak_bytes: Option<u64>,
        /// Anonymous memory charged to the cgroup (total_rss of v1, anon of v2).
        cgroup_anon_bytes: Option<u64>,
        /// Shared memory and file systems in memory charged to the cgroup (total_shmem, shmem).
        cgroup_shmem_bytes: Option<u64>,
        /// Reclaimable page cache charged to the cgroup (inactive and active file pages).
        cgroup_file_bytes: Option<u64>,
        /// Kernel memory charged to the cgroup.
        cgroup_kernel_bytes: Option<u64>,
        /// Swap charged to the cgroup.
        cgroup_swap_bytes: Option<u64>,
    }
}

table! {
    /// A row of `limits.csv`: a limit of a node other than memory and CPU, and how much of it is used.
    LimitRow in "limits.csv" {
        /// Time of the recording.
        time: Time,
        /// Time since the run began.
        elapsed_seconds: f64,
        /// Step at that time.
        step: u32,
        /// Name of the node.
        node: String,
        /// Time of the sample by the clock of the node.
        sample_time: Option<Time>,
        /// Boot ID of the node: nodes with the same one share a kernel.
        boot_id: Option<String>,
        /// What is limited: `pids`, `threads`, `open_files`, `map_count`, `inotify_instances`, `inotify_watches`, `keys`, `key_bytes`,
        /// `neighbours`, `conntrack`, `disk_bytes`, `disk_inodes`.
        resource: String,
        /// Where the limit holds: `machine`, `pods` (all pods of the node together), the path of a cgroup around them, `process`,
        /// `user ID N` (of inotify that with the most), `container runtime`, `kubelet`, or the path of a directory.
        scope: String,
        /// The limit; empty if there is none.
        limit: Option<u64>,
        /// How much of it is used; empty if that is not known.
        used: Option<u64>,
        /// Kernel file or system call that tells the limit.
        source: String,
    }
}
