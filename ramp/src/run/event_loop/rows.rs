//! Rows of the run directory, from events.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::EventLoop;
use crate::clock::Moment;
use crate::engine::{InstanceReport, NodeReading, NodeRecord, Notice, NoticeKind};
use crate::run::external_removals::is_removal;
use ramp_format::directory::Directory;
use ramp_format::rows::{
    ComponentRow, EventRow, LimitRow, NodeRow, NodeRowKind, Part, PodRow, StepRow, Table, WorkloadRow,
};
use ramp_format::state::{State, Transition};
use ramp_format::table_writer::TableWriter;
use ramp_format::text::one_line;
use ramp_format::time::{Time, seconds};
use ramp_format::unreclaimable::{UNRECLAIMABLE_FIELDS, unreclaimable_bytes};

impl EventLoop {
    pub(super) fn transitions(&mut self, at: Moment, transitions: Vec<Transition>) {
        for transition in transitions {
            if transition.to == State::Unschedulable {
                self.unschedulable_at = Some(Instant::now());
            }
            let removed = is_removal(&transition);
            let row = PodRow {
                time: Time(at.wall),
                elapsed_seconds: seconds(at.elapsed),
                source_time: transition.at.map(Time),
                step: self.step,
                instance: transition.name.clone(),
                uid: transition.uid.clone(),
                node: transition.node.clone(),
                from: transition.from.map(|state| state.name().to_owned()),
                to: transition.to.name().to_owned(),
                reason: one_line(&transition.reason).into_owned(),
                restarts: transition.restarts,
                container: transition.container.clone(),
                group: transition.group.clone(),
            };
            if transition.to == State::Failed
                && let Some(line) = self.lines.failure(&row.reason, Instant::now())
            {
                self.view.say(&line);
            }
            // What still becomes ready while all are removed is never held with the others.
            if self.part != Part::Clean {
                self.population.follow(&row);
            }
            // Of more than were asked for the controller ends some itself.
            let is_wanted = matches!(self.part, Part::Up | Part::Hold | Part::Search)
                && self.tracker.wanted() < self.asked;
            self.level.see(&transition, is_wanted && removed);
            if is_wanted && removed {
                self.external_removals.add(&transition, Instant::now());
            }
            self.record(|directory| &mut directory.pods, &row);
        }
    }

    pub(super) fn sample(&mut self, at: Moment, sample: &NodeReading) {
        let now = sample.record.get("boot_id").and_then(Value::as_str);
        if let (Some(before), Some(now)) = (self.nodes.kernel_of(&sample.node), now)
            && before != now
        {
            let message = format!("rebooted: its boot ID has changed from {before} to {now}");
            self.note(&format!("node/{}", sample.node), "Rebooted", message);
        }
        let age = self.nodes.sample(at.passed(), sample);
        let taken = sample.record.get("time").and_then(Value::as_str);
        if let Some(taken) = taken.and_then(|time| humantime::parse_rfc3339(time).ok())
            && let Some(notice) = self.clocks.node(at, &sample.node, taken)
        {
            self.event(at, &notice);
        }
        let counts = self.nodes.is_eligible(&sample.node) != Some(false);
        if counts && (self.step == 0 || self.memory.is_after()) {
            self.watch_memory(at, sample, age);
        }
        self.node_row(at, &sample.node, NodeRowKind::Sample, age, Some(sample));
    }

    fn watch_memory(&mut self, at: Moment, sample: &NodeReading, age: Option<Duration>) {
        let field = |name: &str| sample.record.get(name).and_then(Value::as_u64);
        let kernel = sample.record.get("boot_id").and_then(|id| id.as_str()).unwrap_or(&sample.node);
        if let Some(bytes) = unreclaimable_bytes(UNRECLAIMABLE_FIELDS.map(field)) {
            let taken = seconds(at.elapsed) - age.map_or(0.0, seconds);
            self.memory.see(kernel, taken, bytes as f64);
        }
    }

    /// Records a row of a node: a sample, or a gap without one.
    pub(super) fn node_row(
        &mut self,
        at: Moment,
        node: &str,
        row: NodeRowKind,
        age: Option<Duration>,
        sample: Option<&NodeReading>,
    ) {
        let none = Map::new();
        let record = sample.map_or(&none, |sample| &sample.record);
        let budget = sample.and_then(|sample| sample.budget);
        let row = NodeRow {
            time: Time(at.wall),
            elapsed_seconds: seconds(at.elapsed),
            step: self.step,
            node: node.to_owned(),
            row,
            sample_time: text(record, "time"),
            age_seconds: age.map(seconds),
            instances: self.tracker.at_work_on(node),
            ready: self.nodes.is_ready(node),
            budget_bytes: budget.map(|budget| budget.limit.0),
            budget_used_bytes: budget.map(|budget| budget.used.0),
            eligible: self.nodes.is_eligible(node),
            report: self.node_columns.cells(record),
        };
        self.record(|directory| &mut directory.nodes, &row);
    }

    pub(super) fn report(&mut self, at: Moment, report: &InstanceReport) {
        self.level.hear(&report.uid, &report.record);
        let entry = self.tracker.instance(&report.uid);
        let row = WorkloadRow {
            time: Time(at.wall),
            elapsed_seconds: seconds(at.elapsed),
            step: self.step,
            instance: entry.map(|entry| entry.name.clone()).unwrap_or_default(),
            uid: report.uid.clone(),
            node: entry.and_then(|entry| entry.node.clone()).unwrap_or_default(),
            report_time: text(&report.record, "time"),
            report: self.workload_columns.cells(&report.record),
        };
        self.record(|directory| &mut directory.workloads, &row);
    }

    pub(super) fn component(&mut self, at: Moment, NodeRecord { node, record }: &NodeRecord) {
        let cells = RecordCells(record);
        let pod_uid = cells.text("pod_uid");
        let instance = pod_uid.as_deref().and_then(|uid| Some(self.tracker.instance(uid)?.name.clone()));
        let row = ComponentRow {
            time: Time(at.wall),
            elapsed_seconds: seconds(at.elapsed),
            step: self.step,
            node: node.clone(),
            sample_time: cells.time(),
            boot_id: cells.text("boot_id"),
            pod_uid,
            instance,
            component: cells.text("component").unwrap_or_default(),
            process: cells.text("process"),
            processes: cells.count("processes"),
            threads: cells.count("threads"),
            unreadable: cells.count("unreadable"),
            pss_source: cells.text("pss_source"),
            pss_bytes: cells.whole("pss_bytes"),
            pss_anon_bytes: cells.whole("pss_anon_bytes"),
            pss_shmem_bytes: cells.whole("pss_shmem_bytes"),
            pss_file_bytes: cells.whole("pss_file_bytes"),
            swap_bytes: cells.whole("swap_bytes"),
            page_tables_bytes: cells.whole("page_tables_bytes"),
            cpu_seconds_total: record.get("cpu_seconds_total").and_then(Value::as_f64),
            cgroup_memory_bytes: cells.whole("cgroup_memory_bytes"),
            cgroup_memory_peak_bytes: cells.whole("cgroup_memory_peak_bytes"),
            cgroup_anon_bytes: cells.whole("cgroup_anon_bytes"),
            cgroup_shmem_bytes: cells.whole("cgroup_shmem_bytes"),
            cgroup_file_bytes: cells.whole("cgroup_file_bytes"),
            cgroup_kernel_bytes: cells.whole("cgroup_kernel_bytes"),
            cgroup_swap_bytes: cells.whole("cgroup_swap_bytes"),
        };
        self.record(|directory| &mut directory.components, &row);
    }

    pub(super) fn limit(&mut self, at: Moment, NodeRecord { node, record }: &NodeRecord) {
        let cells = RecordCells(record);
        let row = LimitRow {
            time: Time(at.wall),
            elapsed_seconds: seconds(at.elapsed),
            step: self.step,
            node: node.clone(),
            sample_time: cells.time(),
            boot_id: cells.text("boot_id"),
            resource: cells.text("resource").unwrap_or_default(),
            scope: cells.text("scope").unwrap_or_default(),
            limit: cells.whole("limit"),
            used: cells.whole("used"),
            source: cells.text("source").unwrap_or_default(),
        };
        self.blockage.limit(&row, Instant::now());
        self.record(|directory| &mut directory.limits, &row);
    }

    /// Records an event, and shows it unless it is one of the cluster's own.
    pub(in crate::run) fn event(&mut self, at: Moment, notice: &Notice) {
        self.external_removals.event(notice, Instant::now());
        self.row(at, notice.kind.name(), notice);
        match notice.kind {
            NoticeKind::Cluster => return,
            NoticeKind::GapBegins => self.blockage.observed(&notice.object, false),
            NoticeKind::GapEnds => self.blockage.observed(&notice.object, true),
            NoticeKind::NotHonoured | NoticeKind::Note => {}
        }
        let line = format!("{}: {}", notice.object, notice.message);
        if let Some(line) = self.lines.notice(&notice.reason, line, Instant::now()) {
            self.view.say(&line);
        }
    }

    /// Records and shows that a rule fired.
    pub(in crate::run) fn rule(&mut self, kind: &str, rule: &str, message: &str) {
        let notice = Notice::note(format!("rule/{rule}"), "Fired", message.to_owned());
        self.row(self.clock.moment(), kind, &notice);
        self.view.say(&format!("{rule}: {message}"));
    }

    /// Records and shows a note.
    pub(in crate::run) fn note(&mut self, object: &str, reason: &str, message: impl Into<String>) {
        self.event(self.clock.moment(), &Notice::note(object.to_owned(), reason, message));
    }

    pub(super) fn row(&mut self, at: Moment, kind: &str, notice: &Notice) {
        let row = EventRow {
            time: Time(at.wall),
            elapsed_seconds: seconds(at.elapsed),
            source_time: notice.at.map(Time),
            step: self.step,
            kind: kind.to_owned(),
            object: notice.object.clone(),
            reason: one_line(&notice.reason).into_owned(),
            message: one_line(&notice.message).into_owned(),
            count: notice.count,
        };
        self.record(|directory| &mut directory.events, &row);
    }

    /// Records and shows a step.
    pub(in crate::run) fn step_row(&mut self, row: &StepRow) {
        if row.part == Part::Up {
            self.time_left.step(Duration::try_from_secs_f64(row.step_seconds).unwrap_or_default());
        }
        self.record(|directory| &mut directory.steps, row);
        self.view.step(row);
        let groups = self.groups();
        if !groups.is_empty() && row.part != Part::Clean {
            self.view.groups(&groups);
        }
    }

    fn record<R: Table>(&mut self, table: fn(&mut Directory) -> &mut TableWriter, row: &R) {
        let result = table(&mut self.directory).record(row);
        self.written(R::FILE, result);
    }

    /// Records and shows once that a file cannot be written, and once that it is written again.
    pub(super) fn written(&mut self, name: &str, result: std::io::Result<()>) {
        match result {
            Ok(()) if self.unwritable.remove(name).is_some() => {
                self.note(name, "Written", "written again, rows that waited included");
            }
            Err(error) => {
                let message = error.to_string();
                if self.unwritable.insert(name.to_owned(), message.clone()).is_none() {
                    self.note(name, "NotWritten", format!("{message}; rows wait in memory"));
                }
            }
            Ok(()) => {}
        }
    }
}

/// The cells of a record by the names of its fields; one that is missing or of another type is empty.
struct RecordCells<'r>(&'r Map<String, Value>);

impl RecordCells<'_> {
    fn text(&self, field: &str) -> Option<String> {
        let text = self.0.get(field)?.as_str()?;
        (!text.is_empty()).then(|| one_line(text).into_owned())
    }

    fn whole(&self, field: &str) -> Option<u64> {
        self.0.get(field)?.as_u64()
    }

    fn count(&self, field: &str) -> Option<u32> {
        self.whole(field)?.try_into().ok()
    }

    /// When it was taken, by the clock of its node.
    fn time(&self) -> Option<Time> {
        humantime::parse_rfc3339(self.0.get("time")?.as_str()?).ok().map(Time)
    }
}

fn text(record: &Map<String, Value>, field: &str) -> String {
    record.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}
