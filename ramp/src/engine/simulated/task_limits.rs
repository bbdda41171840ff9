//! Tasks of a simulated node: what its instances take, the limit on them, and the records of both.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::{Event, NodeRecord};
use super::cluster::{Cluster, ObservedEvent};
use super::records::object;
use super::world::{IncidentKind, TaskTruth};
use ramp_format::preflight::LimitFacts;
use ramp_format::time::Time;

/// The limit on all tasks of a machine (`kernel.pid_max`).
const PID_MAX: u64 = 32_768;
/// Where a kernel tells the limit on the tasks of all pods.
const PODS_SOURCE: &str = "/sys/fs/cgroup/pids/kubepods/pids.max";
const MACHINE_SOURCE: &str = "/proc/sys/kernel/pid_max";

/// Tasks of runc itself while it creates a container.
const OF_RUNC: u64 = 6;

impl Cluster {
    /// Draws the tasks of a new instance.
    pub(super) fn draw_tasks(&mut self) -> u64 {
        let Some(TaskTruth { each, spread, .. }) = self.world.tasks else { return 0 };
        (each + spread * self.task_draw.normal()).round().max(1.0) as u64
    }

    /// Tasks of the instances on a node within the cgroup of all pods, and their number.
    fn tasks_on(&self, node: usize) -> (u64, u64) {
        let all = self.there.iter().map(|at| &self.instances[*at]);
        let here = all.filter(|instance| instance.node == Some(node) && instance.began.is_some());
        here.fold((0, 0), |(tasks, instances), instance| (tasks + instance.tasks, instances + 1))
    }

    /// Whether the node of an instance has no tasks left for it.
    pub(super) fn lacks_tasks(&self, at: usize) -> bool {
        let limit = self.world.tasks.as_ref().and_then(|tasks| tasks.limit);
        let instance = &self.instances[at];
        limit
            .zip(instance.node)
            .is_some_and(|(limit, node)| self.tasks_on(node).0 + instance.tasks + OF_RUNC > limit)
    }

    /// The limits of a node with their use: of all pods, and of the machine.
    fn limit_records(&mut self, node: usize) -> Vec<Map<String, Value>> {
        let Some(tasks) = self.world.tasks.clone() else { return Vec::new() };
        let (own, instances) = self.tasks_on(node);
        let idle = tasks.idle as f64 + tasks.noise * self.task_draw.normal();
        let machine = idle.round().max(1.0) as u64 + own + instances * tasks.beside;
        let kernel = self.nodes[node].kernel;
        let boot_id = self.kernels[kernel].boot_id.clone();
        let record = |scope: &str, limit: Option<u64>, used: u64, source: &str| {
            let record = json!({
                "record": "limit", "boot_id": boot_id, "resource": "pids", "scope": scope, "limit": limit, "used": used,
                "source": source,
            });
            object(record)
        };
        let pods = record("pods", tasks.limit, own, PODS_SOURCE);
        vec![pods, record("machine", Some(PID_MAX), machine, MACHINE_SOURCE)]
    }

    /// A node tells its limits.
    pub(super) fn tell_limits(&mut self, node: usize, now: Duration) {
        if self.is_hit(IncidentKind::ProbeSilent, node) {
            return;
        }
        let time = Time(self.time_on(Some(node), now)).to_string();
        let name = self.names[node].clone();
        for mut record in self.limit_records(node) {
            record.insert("time".into(), time.clone().into());
            let event = Event::Limit(NodeRecord { node: name.clone(), record });
            self.seen.push(ObservedEvent { at: now, event });
        }
    }

    /// The limits as a preflight sees them.
    pub(super) fn limit_facts(&self) -> Vec<LimitFacts> {
        let Some(tasks) = &self.world.tasks else { return Vec::new() };
        let of_node = |(node, name): (usize, &String)| {
            let (own, instances) = self.tasks_on(node);
            let fact = |scope: &str, limit: Option<u64>, used: u64, source: &str| LimitFacts {
                node: name.clone(),
                boot_id: Some(self.kernels[self.nodes[node].kernel].boot_id.clone()),
                resource: "pids".into(),
                scope: scope.into(),
                limit,
                used: Some(used),
                source: source.into(),
            };
            let machine = tasks.idle + own + instances * tasks.beside;
            [
                fact("pods", tasks.limit, own, PODS_SOURCE),
                fact("machine", Some(PID_MAX), machine, MACHINE_SOURCE),
            ]
        };
        self.names.iter().enumerate().flat_map(of_node).collect()
    }
}
