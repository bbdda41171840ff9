//! Simulated cluster: a discrete-event simulation of the nodes and instances of a world.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::super::replicas::difference;
use super::super::{
    ContainerExit, Event, InstanceReport, InstanceStatus, NodeReading, NodeRecord, NodeStatus, Notice,
    NoticeKind, Obstacle, Rescaled,
};
use super::components::{NodeComponents, components_of};
use super::ground_truth::{TrueLoss, Truth};
use super::instance::{LoadFacts, SimulatedInstance, whole_second};
use super::kernel_cpu::KernelCpu;
use super::kernel_memory::{Kernel, Used};
use super::kubelet_messages::{NOT_STARTED, TRIED_AGAIN_AFTER};
use super::quantities::SignedQuantity;
use super::random::Random;
use super::world::{Beyond, GroupTruth, Incident, IncidentKind, NodeKind, Placement, Shortage, World};
use ramp_format::preflight::AdmittedResources;
use ramp_format::state::State;
use ramp_format::time::Time;

/// A planned event. (It is ordered only to be in the agenda: time and number come first.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PlannedEvent {
    /// Missing instances are created, surplus ones ended.
    Reconcile,
    /// An instance enters its next state, unless it has changed since (`life`).
    Next { instance: usize, life: u32 },
    /// Its sandbox is ready.
    SandboxReady { instance: usize, life: u32 },
    /// It holds all of its memory.
    Full { instance: usize, life: u32 },
    /// It reports.
    Report { instance: usize, life: u32 },
    /// A node is sampled.
    Sample { node: usize },
    /// The components on a node are sampled.
    Components { node: usize },
    /// The limits of a node are read.
    Limits { node: usize },
    /// An incident begins.
    Begin { incident: usize },
    /// An incident ends.
    Over { incident: usize },
}

/// Planned events by time, then in the order in which they were planned; the first at the top.
type Agenda = BinaryHeap<Reverse<(Duration, u64, PlannedEvent)>>;

/// An event of the engine, and when it is observed.
#[derive(Debug)]
pub(super) struct ObservedEvent {
    /// Since the cluster was made.
    pub(super) at: Duration,
    pub(super) event: Event,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) world: World,
    groups: Vec<GroupTruth>,
    load: LoadFacts,
    pub(super) nodes: Vec<SimulatedNode>,
    pub(super) names: Vec<String>,
    pub(super) kernels: Vec<Kernel>,
    /// CPU time of each kernel.
    cpus: Vec<KernelCpu>,
    /// Where CPU usage of runtimes is drawn from.
    cpu_draw: Random,
    /// The maximum number of instances on each kernel.
    most: Vec<u32>,
    pub(super) instances: Vec<SimulatedInstance>,
    /// Indices of the instances that exist.
    pub(super) there: Vec<usize>,
    /// Tasks of instances ever created, and the source of further numbers of them.
    tasks_made: u64,
    pub(super) task_draw: Random,
    /// Instances ever created of each group, and memory of its runtime for them.
    overheads: Vec<(u32, f64)>,
    /// CPU usage at rest and CPU time of starts of all instances ever created of each group.
    cpu_overheads: Vec<(f64, f64)>,
    /// The numbers of instances that hold all of their memory, and that run.
    held: u32,
    running: u32,
    /// Indices of instances that have changed since the last events.
    changed: Vec<usize>,
    /// Instances requested of each group.
    wanted: Vec<u32>,
    /// How many fit at the moment, by the world's placement, and the source of the next such number.
    fits: f64,
    placements: Random,
    agenda: Agenda,
    planned: u64,
    draw: Random,
    /// Sandboxes and the kubelets' events: worlds without them draw as if there were none.
    kubelet_draw: Random,
    /// The time of day at the start.
    epoch: SystemTime,
    /// By how much the wall clock of the machine that records is ahead.
    recorder_ahead: SignedQuantity<Duration>,
    /// For how long that machine was suspended.
    recorder_suspended: Duration,
    active: Vec<bool>,
    /// Incidents that begin at a number of instances.
    waiting: Vec<usize>,
    truth: Truth,
    pub(super) seen: Vec<ObservedEvent>,
}

#[derive(Debug)]
pub(super) struct SimulatedNode {
    kind: NodeKind,
    pub(super) kernel: usize,
    /// Whether it has had an instance, of each group.
    used_before: Vec<bool>,
    /// The offset of its clock.
    ahead: SignedQuantity<Duration>,
    draw: Random,
    components: NodeComponents,
}

/// Instances that are over, of which the oldest are removed (terminated-pod-gc-threshold of Kubernetes, which is 12500).
const OVER_AT_MOST: usize = 500;
/// Time from the start of a program to its exit in a crash loop.
const CRASHES_AFTER: Duration = Duration::from_millis(50);

/// The kubelet's event on a container that has started.
const STARTED: &str = "Started";

/// Delay of the controller.
const CONTROL: Duration = Duration::from_millis(20);

impl Cluster {
    pub(super) fn new(world: World, groups: Vec<GroupTruth>, load: LoadFacts) -> Self {
        let (mut nodes, mut names, mut kernels) = (Vec::new(), Vec::new(), Vec::new());
        let mut cpus = Vec::new();
        let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
        for (number, (name, kind)) in world.node_names().enumerate() {
            let boot_id = kind.kernel.clone().unwrap_or_else(|| format!("boot-{name}"));
            let kernel = *by_name.entry(boot_id.clone()).or_insert_with(|| {
                let draw = Random::new(world.seed, 1000 + number as u64);
                let cpu = Random::new(world.seed, 20_000 + number as u64);
                cpus.push(KernelCpu::new(kind.cores, &world.machine, cpu));
                let swap = Random::new(world.seed, 5000 + number as u64);
                kernels.push(Kernel::new(boot_id, kind, &world.machine, draw, swap));
                kernels.len() - 1
            });
            let draw = Random::new(world.seed, 2000 + number as u64);
            let (kind, ahead) = (kind.clone(), SignedQuantity::default());
            let used_before = vec![false; groups.len()];
            let components = NodeComponents::new(world.seed, number);
            nodes.push(SimulatedNode { kind, kernel, used_before, ahead, draw, components });
            names.push(name);
        }
        let truth = Truth {
            marginal_cost_bytes: load.cost()
                + world.runtime.memory.0 as f64
                + world.machine.keeps.0 as f64
                + world.machine.each(),
            ..Truth::default()
        };
        let mut cluster = Self {
            most: vec![0; kernels.len()],
            active: vec![false; world.events.len()],
            draw: Random::new(world.seed, 1),
            kubelet_draw: Random::new(world.seed, 4),
            tasks_made: 0,
            task_draw: Random::new(world.seed, 6),
            load,
            nodes,
            names,
            kernels,
            instances: Vec::new(),
            there: Vec::new(),
            overheads: vec![(0, 0.0); groups.len()],
            cpu_overheads: vec![(0.0, 0.0); groups.len()],
            cpus,
            cpu_draw: Random::new(world.seed, 5),
            held: 0,
            running: 0,
            changed: Vec::new(),
            wanted: vec![0; groups.len()],
            groups,
            fits: f64::INFINITY,
            placements: Random::new(world.seed, 3),
            agenda: Agenda::new(),
            planned: 0,
            epoch: world.begin.0,
            recorder_ahead: SignedQuantity::default(),
            recorder_suspended: Duration::ZERO,
            waiting: Vec::new(),
            truth,
            seen: Vec::new(),
            world,
        };
        cluster.plan_from_the_start();
        cluster.draw_placement();
        cluster
    }

    fn plan_from_the_start(&mut self) {
        for node in 0..self.nodes.len() {
            let every = self.world.machine.sample_every;
            let drawn = every.mul_f64(self.draw.part());
            let phase = self.world.machine.sample_phase.unwrap_or(drawn);
            self.plan(phase, PlannedEvent::Sample { node });
            if self.world.tasks.is_some() {
                self.plan(phase, PlannedEvent::Limits { node });
            }
        }
        self.plan_components();
        for (incident, event) in self.world.events.clone().iter().enumerate() {
            match event.instances {
                Some(_) => self.waiting.push(incident),
                None => self.plan(event.at.unwrap_or_default(), PlannedEvent::Begin { incident }),
            }
        }
    }

    fn plan(&mut self, at: Duration, event: PlannedEvent) {
        self.planned += 1;
        self.agenda.push(Reverse((at, self.planned, event)));
    }

    /// Sets the time of day at which the cluster was created.
    pub(super) fn set_epoch(&mut self, epoch: SystemTime) {
        self.epoch = epoch;
    }

    /// By how much the wall clock of the machine that records is ahead, and for how long that machine was suspended.
    pub(super) fn recorder(&self) -> (SignedQuantity<Duration>, Duration) {
        (self.recorder_ahead, self.recorder_suspended)
    }

    pub(super) fn wanted(&self) -> u32 {
        self.wanted.iter().sum()
    }

    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn truth(&self) -> &Truth {
        &self.truth
    }

    /// How many fit from now on.
    fn draw_placement(&mut self) {
        if let Some(Placement { mean, deviation, .. }) = self.world.placement {
            self.fits = mean + deviation * self.placements.normal();
        }
    }

    /// Whether so many fit beside what happens to the first that does not.
    fn is_beyond(&self, instances: usize, beyond: Beyond) -> bool {
        self.world.placement.is_some_and(|placement| placement.beyond == beyond)
            && instances as f64 > self.fits
    }

    pub(super) fn ask(&mut self, group: usize, instances: u32, now: Duration) {
        if instances < self.wanted[group] {
            self.draw_placement();
        }
        self.wanted[group] = instances;
        self.plan(now + CONTROL, PlannedEvent::Reconcile);
    }

    /// Ends all instances, including those that are over.
    pub(super) fn remove(&mut self, now: Duration) {
        if !self.truth.removed {
            self.truth.count();
            self.truth.removed = true;
        }
        for group in 0..self.groups.len() {
            self.ask(group, 0, now);
        }
        for at in self.there.clone() {
            if self.instances[at].over {
                self.instances[at].over = false;
                self.end(at, "", now);
            }
        }
    }

    pub(super) fn instance_statuses(&self) -> Vec<InstanceStatus> {
        self.there.iter().map(|at| self.instance_status(&self.instances[*at])).collect()
    }

    pub(super) fn node_kinds(&self) -> impl Iterator<Item = (&String, &NodeKind)> {
        self.names.iter().zip(self.nodes.iter().map(|node| &node.kind))
    }

    pub(super) fn node_statuses(&self) -> Vec<NodeStatus> {
        let status = |(at, name): (usize, &String)| NodeStatus {
            name: name.clone(),
            ready: !self.is_hit(IncidentKind::NodeNotReady, at),
            eligible: self.nodes.get(at).is_none_or(|node| node.kind.eligible),
            conditions: String::new(),
        };
        self.names.iter().enumerate().map(status).collect()
    }

    /// Incidents that have begun and are not over.
    fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.world.events.iter().zip(&self.active).filter_map(|(event, active)| active.then_some(event))
    }

    /// The present outage of the API, if any.
    pub(super) fn api(&self) -> Option<IncidentKind> {
        let mut all = self.incidents().map(|event| event.what);
        all.find(|what| matches!(what, IncidentKind::ApiHangs | IncidentKind::ApiRefuses))
    }

    pub(super) fn is_hit(&self, what: IncidentKind, node: usize) -> bool {
        self.incidents().any(|event| event.what == what && self.node_of(event) == node)
    }

    fn node_of(&self, event: &Incident) -> usize {
        let at = event.node.as_ref().and_then(|node| self.names.iter().position(|name| name == node));
        at.unwrap_or(0)
    }

    fn is_active(&self, what: IncidentKind) -> bool {
        self.incidents().any(|event| event.what == what)
    }

    /// The time of the next event.
    pub(super) fn next(&self) -> Option<Duration> {
        self.agenda.peek().map(|Reverse((at, ..))| *at)
    }

    /// Advances to `now`. Returns what is observed.
    pub(super) fn advance(&mut self, now: Duration) -> Vec<ObservedEvent> {
        while let Some(Reverse((at, _, event))) = self.agenda.peek().copied() {
            if at > now {
                break;
            }
            self.agenda.pop();
            self.happen(event, at);
            self.show(at);
        }
        // Changes by requests since the last event.
        self.show(now);
        std::mem::take(&mut self.seen)
    }

    fn happen(&mut self, event: PlannedEvent, now: Duration) {
        match event {
            PlannedEvent::Reconcile => self.reconcile(now),
            PlannedEvent::Next { instance, life } if self.instances[instance].life == life => {
                self.next_state(instance, now);
            }
            PlannedEvent::Full { instance, life } if self.instances[instance].life == life => {
                self.report(instance, "report", now);
                self.run_short(now);
                self.lose_beyond(instance, now);
                if self.instances[instance].life == life {
                    let wait = self.draw.phase(self.world.phases.ready);
                    self.plan(now + wait, PlannedEvent::Next { instance, life });
                }
            }
            PlannedEvent::Report { instance, life } => {
                // Its program reports whether it is ready or not.
                if self.instances[instance].began.is_some() && self.instances[instance].restarts == life {
                    self.report(instance, "report", now);
                    self.plan(now + self.load.report_every, PlannedEvent::Report { instance, life });
                }
            }
            PlannedEvent::Sample { node } => self.sample(node, now),
            PlannedEvent::Components { node } => self.sample_components(node, now),
            PlannedEvent::Limits { node } => {
                self.tell_limits(node, now);
                let every = self.world.tasks.as_ref().map_or(Duration::MAX, |tasks| tasks.read_every);
                self.plan(now.saturating_add(every), PlannedEvent::Limits { node });
            }
            PlannedEvent::Begin { incident } => self.begin(incident, now),
            PlannedEvent::Over { incident } => {
                self.active[incident] = false;
                if self.world.events[incident].what == IncidentKind::ClockSet {
                    let node = self.node_of(&self.world.events[incident]);
                    self.nodes[node].ahead = SignedQuantity::default();
                }
                if self.world.events[incident].what == IncidentKind::RecorderClockSet {
                    self.recorder_ahead = SignedQuantity::default();
                }
                self.tell_nodes(incident, now);
                if matches!(
                    self.world.events[incident].what,
                    IncidentKind::ImageMissing | IncidentKind::ConfigError
                ) {
                    self.pull_again(now);
                }
                self.plan(now, PlannedEvent::Reconcile);
            }
            PlannedEvent::SandboxReady { instance, life } if self.instances[instance].life == life => {
                self.kubelet_event(instance, "Pulled", "Container image already present on machine", now);
                self.kubelet_event(instance, "Created", "Created container workload", now);
            }
            PlannedEvent::Next { .. } | PlannedEvent::Full { .. } | PlannedEvent::SandboxReady { .. } => {}
        }
    }

    /// Creates missing instances and ends surplus ones; those that are over do not count.
    fn reconcile(&mut self, now: Duration) {
        for group in 0..self.groups.len() {
            self.reconcile_group(group, now);
        }
        self.collect_the_oldest(now);
        self.schedule_the_waiting(now);
    }

    fn reconcile_group(&mut self, group: usize, now: Duration) {
        let counting: Vec<usize> =
            self.there.iter().copied().filter(|at| self.instances[*at].counts()).collect();
        let own: Vec<usize> =
            counting.iter().copied().filter(|at| self.instances[*at].group == group).collect();
        let (surplus, missing) = difference(&own, self.wanted[group]);
        for at in surplus {
            self.end(at, "", now);
        }
        let missing = if self.is_active(IncidentKind::DeleteWorkload) { 0 } else { missing };
        let allowed = self.quota().map_or(usize::MAX, |quota| quota.saturating_sub(counting.len()));
        for _ in 0..missing.min(allowed) {
            self.make(group, now);
        }
        if missing > allowed {
            self.exceed_quota(now);
        }
    }

    /// The number of instances that a quota allows.
    fn quota(&self) -> Option<usize> {
        let quotas = self.incidents().filter(|event| event.what == IncidentKind::Quota);
        quotas.filter_map(|event| usize::try_from(event.to?).ok()).min()
    }

    fn exceed_quota(&mut self, now: Duration) {
        let message = "Error creating: pods \"memory-capacity-5d4f\" is forbidden: exceeded quota: team, requested: pods=1";
        self.notice("replicaset/memory-capacity-5d4f", "FailedCreate", message, now);
        self.obstacle(format!("FailedCreate: {message}"), now);
    }

    fn obstacle(&mut self, reason: String, now: Duration) {
        let event = Event::Obstacle(Obstacle { instance: None, reason });
        self.seen.push(ObservedEvent { at: now, event });
    }

    /// Removes the oldest of the instances that are over, as the garbage collector of pods does.
    fn collect_the_oldest(&mut self, now: Duration) {
        let over: Vec<usize> = self.there.iter().copied().filter(|at| self.instances[*at].over).collect();
        for at in over.iter().take(over.len().saturating_sub(OVER_AT_MOST)).copied() {
            self.release(at, now);
            self.turn(at, State::Gone, "", now);
        }
    }

    fn make(&mut self, group: usize, now: Duration) {
        let number = self.instances.len() as u32 + 1;
        let runtime = &self.groups[group].runtime;
        let spread = 1.0 + runtime.spread * self.draw.normal();
        let overhead = runtime.memory.0 as f64 * spread.max(0.0);
        let at = self.instances.len();
        let peak = (runtime.peak.0 as f64, runtime.peak_for);
        self.instances
            .push(SimulatedInstance { peak, ..SimulatedInstance::new(number, group, overhead, now) });
        let tasks = self.draw_tasks();
        self.instances[at].tasks = tasks;
        self.tasks_made += tasks;
        self.truth.tasks_each = self.tasks_made as f64 / f64::from(number);
        let (made, overheads) = &mut self.overheads[group];
        (*made, *overheads) = (*made + 1, *overheads + overhead);
        self.truth.marginal_cost_bytes = self.cost()
            + self.overheads.iter().map(|(_, overheads)| overheads).sum::<f64>() / f64::from(number);
        self.truth.group_cost_bytes = self
            .overheads
            .iter()
            .map(|(made, overheads)| self.cost() + overheads / f64::from((*made).max(1)))
            .collect();
        self.draw_cpu(at, group);
        self.there.push(at);
        self.changed.push(at);
        let wait = self.draw.phase(self.world.phases.schedule);
        self.plan(now + wait, PlannedEvent::Next { instance: at, life: 0 });
    }

    /// Draws the CPU usage of an instance's runtime.
    fn draw_cpu(&mut self, at: usize, group: usize) {
        let runtime = &self.groups[group].runtime;
        let mut drawn = |mean: f64| mean * (1.0 + runtime.spread * self.cpu_draw.normal()).max(0.0);
        let cpu = (drawn(runtime.cpu), drawn(runtime.start_cpu.as_secs_f64()));
        self.instances[at].runtime_cpu = cpu;
        let (at_rest, per_start) = &mut self.cpu_overheads[group];
        (*at_rest, *per_start) = (*at_rest + cpu.0, *per_start + cpu.1);
        let made = self.overheads.iter().map(|(made, _)| f64::from((*made).max(1)));
        let (at_rest, per_start) = self
            .cpu_overheads
            .iter()
            .zip(made)
            .map(|((rest, start), made)| (rest / made, start / made))
            .unzip();
        (self.truth.cpu_at_rest, self.truth.cpu_per_start) = (at_rest, per_start);
    }

    /// What an instance takes beside its runtime's memory.
    fn cost(&self) -> f64 {
        self.load.cost() + self.world.machine.keeps.0 as f64 + self.world.machine.each()
    }

    /// Schedules the unschedulable instances for which there is room now.
    fn schedule_the_waiting(&mut self, now: Duration) {
        let waiting = self.there.iter().copied();
        let waiting: Vec<usize> =
            waiting.filter(|at| self.instances[*at].state == State::Unschedulable).collect();
        for at in waiting {
            // All of a group request the same.
            let Ok(node) = self.place(self.instances[at].group) else { continue };
            self.put(at, node, now);
        }
    }

    fn next_state(&mut self, at: usize, now: Duration) {
        match self.instances[at].state {
            State::Pending => match self.place(self.instances[at].group) {
                Ok(node) => self.put(at, node, now),
                Err(why) => {
                    self.turn(at, State::Unschedulable, &why, now);
                    self.lose(&why, now);
                }
            },
            State::Creating if self.is_active(IncidentKind::RefuseInstances) => self.refuse(at, now),
            State::Creating if self.lacks_tasks(at) => self.fail_to_create(at, now),
            State::Creating => self.start(at, now),
            State::Running if self.is_active(IncidentKind::CrashLoop) => {
                self.truth.killed += 1;
                self.kill(at, State::Failed, "Error, exit 2", now);
            }
            State::OomKilled | State::Failed => {
                self.instances[at].restarts += 1;
                self.start(at, now);
            }
            State::Running => {
                self.turn(at, State::Ready, "", now);
                let took = now.saturating_sub(self.instances[at].made);
                if self.instances[at].restarts == 0 {
                    self.truth.startup_seconds.push(took.as_secs_f64());
                    let peak = self.instances[at].most_charged(&self.load, now);
                    self.truth.peak_bytes.push(peak - (self.load.target - self.load.shared));
                }
                self.begin_those_that_wait_for(self.held, now);
            }
            State::Terminating => {
                self.release(at, now);
                self.turn(at, State::Gone, "", now);
                self.plan(now, PlannedEvent::Reconcile);
            }
            _ => {}
        }
    }

    /// An instance enters a state.
    fn turn(&mut self, at: usize, state: State, reason: &str, now: Duration) {
        let before = self.instances[at].state;
        self.instances[at].turn(state, reason, now);
        self.held = self.held + u32::from(state == State::Ready) - u32::from(before == State::Ready);
        self.running = self.running + u32::from(state.is_at_work()) - u32::from(before.is_at_work());
        self.changed.push(at);
    }

    fn put(&mut self, at: usize, node: usize, now: Duration) {
        let instance = &mut self.instances[at];
        instance.node = Some(node);
        if self.is_active(IncidentKind::ImageMissing) {
            let why = "ErrImagePull: failed to pull image \"localhost/workload:0.1.0\": not found";
            self.turn(at, State::Creating, why, now);
            return;
        }
        if self.is_active(IncidentKind::ConfigError) {
            let why = "CreateContainerConfigError: container has runAsNonRoot and image will run as root";
            self.turn(at, State::Creating, why, now);
            return;
        }
        self.create(at, now);
    }

    fn create(&mut self, at: usize, now: Duration) {
        let group = self.instances[at].group;
        let GroupTruth { sandbox, create, .. } = self.groups[group];
        let sandbox = self.kubelet_draw.phase(sandbox);
        let wait = sandbox + self.draw.phase(create);
        self.turn(at, State::Creating, "", now);
        if self.world.phases.events.is_some() {
            let life = self.instances[at].life;
            self.plan(now + sandbox, PlannedEvent::SandboxReady { instance: at, life });
        }
        let instance = &mut self.instances[at];
        instance.sandbox = Some((now, now + wait));
        let (life, node) = (instance.life, instance.node.unwrap_or(0));
        self.nodes[node].used_before[group] = true;
        let kernel = self.nodes[node].kernel;
        let is_on_kernel = |node: usize| self.nodes[node].kernel == kernel;
        let made = self.there.iter().map(|at| &self.instances[*at]).filter(|other| other.sandbox.is_some());
        let now_there = made.filter(|other| other.node.is_some_and(is_on_kernel)).count() as u32;
        self.most[kernel] = self.most[kernel].max(now_there);
        self.plan(now + wait, PlannedEvent::Next { instance: at, life });
    }

    /// Its node has no tasks left for it: the kubelet tells, and tries again.
    fn fail_to_create(&mut self, at: usize, now: Duration) {
        let (name, life) = (self.instances[at].name(), self.instances[at].life);
        self.notice(&format!("pod/{name}"), "FailedCreatePodSandBox", NOT_STARTED, now);
        let reason = format!("FailedCreatePodSandBox: {NOT_STARTED}");
        let event = Event::Obstacle(Obstacle { instance: Some(name), reason });
        self.seen.push(ObservedEvent { at: now, event });
        if self.instances[at].sandbox.take().is_some() {
            self.lose("low on resource: pids", now);
        }
        self.plan(now + TRIED_AGAIN_AFTER, PlannedEvent::Next { instance: at, life });
    }

    fn pull_again(&mut self, now: Duration) {
        for at in self.there.clone() {
            if self.instances[at].state == State::Creating && self.instances[at].sandbox.is_none() {
                self.create(at, now);
            }
        }
    }

    fn start(&mut self, at: usize, now: Duration) {
        self.turn(at, State::Running, "", now);
        let instance = &mut self.instances[at];
        instance.began = Some(now);
        instance.sandbox.get_or_insert((now, now));
        let (life, restarts) = (instance.life, instance.restarts);
        self.report(at, "start", now);
        self.kubelet_event(at, STARTED, "Started container workload", now);
        if self.is_active(IncidentKind::CrashLoop) {
            return self.plan(now + CRASHES_AFTER, PlannedEvent::Next { instance: at, life });
        }
        self.plan(now + self.load.fill(), PlannedEvent::Full { instance: at, life });
        self.plan(now + self.load.report_every, PlannedEvent::Report { instance: at, life: restarts });
    }

    /// Its program ends and its memory is freed.
    fn stop_program(&mut self, at: usize, now: Duration) {
        let (mut before, mut after) = (Used::default(), Used::default());
        self.instances[at].add_to(&mut before, &self.load, now);
        let cpu = self.instances[at].cpu_seconds(&self.load, now);
        self.instances[at].began = None;
        self.end_cpu(at, cpu, now);
        self.instances[at].add_to(&mut after, &self.load, now);
        self.give_back(at, before.unreclaimable() - after.unreclaimable(), now);
    }

    /// All of its memory is freed.
    fn release(&mut self, at: usize, now: Duration) {
        self.stop_program(at, now);
        let mut left = Used::default();
        self.instances[at].add_to(&mut left, &self.load, now);
        let cpu = self.instances[at].cpu_seconds(&self.load, now);
        self.instances[at].sandbox = None;
        self.end_cpu(at, cpu, now);
        self.give_back(at, left.unreclaimable(), now);
    }

    /// CPU time that an instance has used and no longer has stays that of its kernel.
    fn end_cpu(&mut self, at: usize, before: f64, now: Duration) {
        if let Some(node) = self.instances[at].node {
            let after = self.instances[at].cpu_seconds(&self.load, now);
            self.cpus[self.nodes[node].kernel].ended += before - after;
        }
    }

    fn give_back(&mut self, at: usize, bytes: f64, now: Duration) {
        if let Some(node) = self.instances[at].node {
            let kernel = self.nodes[node].kernel;
            self.kernels[kernel].give_back(bytes, &self.world.machine, now);
        }
    }

    fn end(&mut self, at: usize, reason: &str, now: Duration) {
        self.stop_program(at, now);
        self.turn(at, State::Terminating, reason, now);
        let (wait, life) = (self.draw.phase(self.world.phases.stop), self.instances[at].life);
        self.plan(now + wait, PlannedEvent::Next { instance: at, life });
    }

    /// Its node refuses it.
    fn refuse(&mut self, at: usize, now: Duration) {
        self.release(at, now);
        let reason = "OutOfcpu: Pod Node didn't have enough resource: cpu, requested: 100";
        self.turn(at, State::Failed, reason, now);
        if self.truth.removed {
            return self.end(at, "", now);
        }
        self.instances[at].over = true;
        if self.truth.losses.is_empty() {
            self.lose(reason, now);
        }
        self.plan(now + CONTROL, PlannedEvent::Reconcile);
    }

    fn evict(&mut self, at: usize, resource: &str, now: Duration) {
        let reason = format!("Evicted: The node was low on resource: {resource}. ");
        self.release(at, now);
        self.turn(at, State::Evicted, &reason, now);
        self.instances[at].over = true;
        self.plan(now + CONTROL, PlannedEvent::Reconcile);
        self.lose(&reason, now);
    }

    fn kill_for_memory(&mut self, at: usize, now: Duration) {
        if let Some(node) = self.instances[at].node {
            let kernel = self.nodes[node].kernel;
            self.kernels[kernel].oom_kills += 1;
        }
        self.kill(at, State::OomKilled, "OOMKilled, exit 137", now);
        self.lose("OOMKilled", now);
    }

    fn kill(&mut self, at: usize, state: State, reason: &str, now: Duration) {
        self.stop_program(at, now);
        let time = self.time_on(self.instances[at].node, now);
        let instance = &mut self.instances[at];
        let end = ContainerExit {
            container: format!("{}/{}", instance.uid(), instance.restarts),
            state,
            at: Some(time),
            reason: reason.to_owned(),
        };
        instance.end = Some(end);
        self.turn(at, state, reason, now);
        let (wait, life) = (self.draw.phase(self.world.phases.restart), self.instances[at].life);
        self.plan(now + wait, PlannedEvent::Next { instance: at, life });
    }

    /// What [`Self::place`] goes by.
    pub(super) fn requests(&self) -> AdmittedResources {
        let World { runtime, shortage, .. } = &self.world;
        let memory = (self.load.target + runtime.memory.0 as f64) as u64;
        let nano_cores = (runtime.cpu_request * 1e9).round() as u64;
        AdmittedResources {
            memory_request_bytes: (*shortage == Shortage::Refuse).then_some(memory),
            cpu_request_nano_cores: (nano_cores > 0).then_some(nano_cores),
            memory_limit_bytes: None,
        }
    }

    /// The node with the fewest instances of those that have room.
    ///
    /// # Errors
    /// Why none has room.
    fn place(&self, group: usize) -> Result<usize, String> {
        let mut refusals: BTreeMap<&str, usize> = BTreeMap::new();
        let mut best: Option<(u32, usize)> = None;
        let placed = self.there.iter().filter(|at| {
            let instance = &self.instances[**at];
            instance.node.is_some() && instance.counts()
        });
        if self.is_beyond(placed.count() + 1, Beyond::Unschedulable) {
            let nodes = self.nodes.len();
            return Err(format!(
                "Unschedulable: 0/{nodes} nodes are available: {nodes} Insufficient memory."
            ));
        }
        let request = |group: usize| {
            let runtime = &self.groups[group].runtime;
            let nano_cores = (runtime.cpu_request * 1e9).round();
            (self.load.target + runtime.memory.0 as f64, nano_cores)
        };
        // Whole numbers, whose sums are exact. Instances on each node, and what these and the new one request.
        let mut on_nodes = vec![(0_u32, request(group)); self.nodes.len()];
        let instances = self.there.iter().map(|at| &self.instances[*at]);
        for one in instances.filter(|one| !one.over && one.state != State::Gone) {
            let Some((there, requested)) = one.node.map(|node| &mut on_nodes[node]) else { continue };
            let each = request(one.group);
            *there += 1;
            *requested = (requested.0 + each.0, requested.1 + each.1);
        }
        for (at, (node, (there, (memory, nano_cores)))) in self.nodes.iter().zip(on_nodes).enumerate() {
            let allocatable = node.kind.memory.0.saturating_sub(node.kind.idle.0) as f64;
            let refusal = if !node.kind.eligible {
                Some("node(s) didn't match node selector")
            } else if self.is_hit(IncidentKind::Drain, at) || self.is_hit(IncidentKind::NodeNotReady, at) {
                Some("node(s) were unschedulable")
            } else if there >= node.kind.pods {
                Some("Too many pods")
            } else if nano_cores > (node.kind.cores * 1e9).round() {
                Some("Insufficient cpu")
            } else if self.world.shortage == Shortage::Refuse && memory > allocatable {
                Some("Insufficient memory")
            } else {
                None
            };
            match refusal {
                Some(refusal) => *refusals.entry(refusal).or_default() += 1,
                None if best.is_none_or(|(least, _)| there < least) => best = Some((there, at)),
                None => {}
            }
        }
        best.map(|(_, at)| at).ok_or_else(|| {
            let all: Vec<String> = refusals.iter().map(|(why, count)| format!("{count} {why}")).collect();
            format!("Unschedulable: 0/{} nodes are available: {}.", self.nodes.len(), all.join(", "))
        })
    }

    fn used(&self, kernel: usize, now: Duration) -> Used {
        let mut used = Used::default();
        for at in &self.there {
            let instance = &self.instances[*at];
            if instance.node.is_some_and(|node| self.nodes[node].kernel == kernel) {
                instance.add_to(&mut used, &self.load, now);
                used.anon += if instance.sandbox.is_some() { self.world.machine.each() } else { 0.0 };
            }
        }
        for node in self.nodes.iter().filter(|node| node.kernel == kernel) {
            let firsts = self.groups.iter().zip(&node.used_before).filter(|(_, used_before)| **used_before);
            used.anon += firsts.map(|(group, _)| group.runtime.first.0 as f64).sum::<f64>();
        }
        used.kept += f64::from(self.most[kernel]) * self.world.machine.keeps.0 as f64;
        used
    }

    /// Evicts or kills the newest instance of each kernel that has run out of memory.
    fn run_short(&mut self, now: Duration) {
        if self.world.shortage == Shortage::Refuse {
            return;
        }
        for kernel in 0..self.kernels.len() {
            let used = self.used(kernel, now);
            if self.kernels[kernel].needed(&used, &self.world.machine, now) <= self.kernels[kernel].memory {
                continue;
            }
            let Some(victim) =
                self.newest(|instance, node| instance.began.is_some() && node.kernel == kernel)
            else {
                continue;
            };
            match self.world.shortage {
                Shortage::Evict => self.evict(victim, "memory", now),
                Shortage::OomKill | Shortage::Refuse => self.kill_for_memory(victim, now),
            }
        }
    }

    /// Loses an instance that holds its memory and does not fit.
    fn lose_beyond(&mut self, at: usize, now: Duration) {
        let running = self.there.iter().filter(|other| self.instances[**other].began.is_some()).count();
        if self.is_beyond(running, Beyond::Evict) {
            self.evict(at, "memory", now);
        } else if self.is_beyond(running, Beyond::OomKill) {
            self.kill_for_memory(at, now);
        }
    }

    fn newest(&self, which: impl Fn(&SimulatedInstance, &SimulatedNode) -> bool) -> Option<usize> {
        let is = |at: &usize| {
            let instance = &self.instances[*at];
            instance.node.is_some_and(|node| which(instance, &self.nodes[node]))
        };
        self.there.iter().rev().copied().find(is)
    }

    fn lose(&mut self, to: &str, now: Duration) {
        if !self.truth.removed {
            self.truth.losses.push(TrueLoss {
                seconds: now.as_secs_f64(),
                asked: self.wanted(),
                reason: to.to_owned(),
            });
        }
    }

    fn begin_those_that_wait_for(&mut self, instances: u32, now: Duration) {
        let events = &self.world.events;
        let (due, waiting): (Vec<usize>, Vec<usize>) = self
            .waiting
            .iter()
            .partition(|incident| events[**incident].instances.is_some_and(|count| instances >= count));
        self.waiting = waiting;
        for incident in due {
            self.plan(now, PlannedEvent::Begin { incident });
        }
    }

    fn begin(&mut self, incident: usize, now: Duration) {
        let event = self.world.events[incident].clone();
        self.active[incident] = true;
        if let Some(lasts) = event.lasts {
            self.plan(now + lasts, PlannedEvent::Over { incident });
        }
        self.tell_nodes(incident, now);
        match event.what {
            IncidentKind::Scale => {
                let to = event.to.unwrap_or_default();
                // In a mixed run others set the number of the first group.
                let (before, others) = (self.wanted[0], self.wanted() - self.wanted[0]);
                let way = if to < before { "down" } else { "up" };
                let by = event.by.as_ref().map_or("another client", |_| "horizontal-pod-autoscaler");
                let by = format!("replicas changed from {before} to {to} by {by}");
                let rescaled = Event::Rescaled(Rescaled { instances: to + others, by });
                self.seen.push(ObservedEvent { at: now, event: rescaled });
                self.wanted[0] = to;
                self.truth.changed_by_others = true;
                let (object, reason, message) = match &event.by {
                    Some(by) => (
                        format!("horizontalpodautoscaler/{by}"),
                        "SuccessfulRescale",
                        format!("New size: {to}; reason: All metrics below target"),
                    ),
                    None => (
                        "deployment/memory-capacity".to_owned(),
                        "ScalingReplicaSet",
                        format!("Scaled {way} replica set memory-capacity-5d4f to {to}"),
                    ),
                };
                self.notice(&object, reason, &message, now);
                self.plan(now + CONTROL, PlannedEvent::Reconcile);
            }
            IncidentKind::ClockSet => {
                let node = self.node_of(&event);
                self.nodes[node].ahead = event.ahead.unwrap_or_default();
            }
            IncidentKind::RecorderClockSet => self.recorder_ahead = event.ahead.unwrap_or_default(),
            IncidentKind::RecorderSuspended => self.recorder_suspended += event.lasts.unwrap_or_default(),
            IncidentKind::Drain => {
                let node = self.node_of(&event);
                self.truth.changed_by_others = true;
                let name = self.names[node].clone();
                let status = format!("Node {name} status is now: NodeNotSchedulable");
                self.notice(&format!("node/{name}"), "NodeNotSchedulable", &status, now);
                for at in self.there.clone() {
                    if self.instances[at].node == Some(node) && self.instances[at].counts() {
                        self.end(at, "", now);
                    }
                }
                self.plan(now + CONTROL, PlannedEvent::Reconcile);
            }
            IncidentKind::Evict
            | IncidentKind::Preempt
            | IncidentKind::OomKill
            | IncidentKind::Kill
            | IncidentKind::Delete => {
                for _ in 0..event.count {
                    let victim = self.newest(|instance, _| instance.began.is_some() && instance.counts());
                    let Some(victim) = victim else { break };
                    self.strike(victim, &event, now);
                }
            }
            IncidentKind::DeleteWorkload => {
                self.truth.changed_by_others = true;
                let why = "deployment/memory-capacity was deleted by another client".to_owned();
                self.seen.push(ObservedEvent { at: now, event: Event::Removed(why) });
                for at in self.there.clone() {
                    if self.instances[at].counts() {
                        self.end(at, "", now);
                    }
                }
            }
            IncidentKind::ImageMissing
            | IncidentKind::ConfigError
            | IncidentKind::CrashLoop
            | IncidentKind::Quota
            | IncidentKind::RefuseInstances
            | IncidentKind::ApiHangs
            | IncidentKind::ApiRefuses
            | IncidentKind::NodeNotReady
            | IncidentKind::ProbeSilent => {}
        }
    }

    fn strike(&mut self, victim: usize, event: &Incident, now: Duration) {
        let name = self.instances[victim].name();
        match event.what {
            IncidentKind::Evict => self.evict(victim, event.resource.as_deref().unwrap_or("memory"), now),
            IncidentKind::OomKill => self.kill_for_memory(victim, now),
            IncidentKind::Kill => {
                self.truth.killed += 1;
                self.kill(victim, State::Failed, "Error, exit 137", now);
            }
            // Preempt and Delete: another one replaces it.
            what => {
                self.truth.changed_by_others = true;
                if what == IncidentKind::Preempt {
                    let by = event.by.as_deref().unwrap_or("default/important");
                    let node = self.instances[victim].node.map_or("", |node| self.names[node].as_str());
                    let message = format!("Preempted by {by} on node {node}");
                    self.notice(&format!("pod/{name}"), "Preempted", &message, now);
                }
                self.end(victim, "", now);
                self.plan(now + CONTROL, PlannedEvent::Reconcile);
            }
        }
    }

    fn tell_nodes(&mut self, incident: usize, now: Duration) {
        if self.world.events[incident].what == IncidentKind::NodeNotReady {
            for status in self.node_statuses() {
                self.seen.push(ObservedEvent { at: now, event: Event::Node(status) });
            }
        }
    }

    /// An event of the kubelet of an instance: dated in whole seconds by its node's clock, and seen later.
    fn kubelet_event(&mut self, at: usize, reason: &str, message: &str, now: Duration) {
        let Some(delay) = self.world.phases.events else { return };
        let seen = now + self.kubelet_draw.phase(delay);
        let instance = &self.instances[at];
        let notice = Notice::new(NoticeKind::Cluster, format!("pod/{}", instance.name()), reason, message);
        let dated = whole_second(self.time_on(instance.node, now));
        let event = Event::Notice(Notice { at: Some(dated), count: Some(1), ..notice });
        self.seen.push(ObservedEvent { at: seen, event });
    }

    fn notice(&mut self, object: &str, reason: &str, message: &str, now: Duration) {
        let notice = Notice::new(NoticeKind::Cluster, object, reason, message);
        let notice = Notice { at: Some(self.epoch + now), count: Some(1), ..notice };
        self.seen.push(ObservedEvent { at: now, event: Event::Notice(notice) });
    }

    fn report(&mut self, at: usize, kind: &str, now: Duration) {
        let instance = &self.instances[at];
        let time = Time(self.time_on(instance.node, now)).to_string();
        let kernel = instance.node.map(|node| &self.kernels[self.nodes[node].kernel]);
        let swapped = kernel.and_then(Kernel::swapped_out).map(|out| out.share);
        let mut record = instance.record(kind, &self.load, now, &time, swapped);
        let guest = instance.guest(&self.groups[instance.group].runtime, &self.load, now);
        // What is available of a node only its samples tell: it would draw random numbers.
        let total = guest.map(|(total, _)| total).or(kernel.map(|kernel| kernel.memory));
        let fields =
            [("machine_memory_bytes", total), ("machine_available_bytes", guest.map(|(_, free)| free))];
        for (name, bytes) in fields {
            record.extend(
                bytes.map(|bytes| (name.to_owned(), Value::from((bytes / 1024.0).round() as u64 * 1024))),
            );
        }
        let report = InstanceReport { uid: instance.uid(), record };
        self.seen.push(ObservedEvent { at: now, event: Event::Report(report) });
    }

    /// The time by the clock of a node, or without one of the API server.
    pub(super) fn time_on(&self, node: Option<usize>, now: Duration) -> SystemTime {
        let time = self.epoch + now;
        node.map_or(time, |node| self.nodes[node].ahead.after(time))
    }

    fn instance_status(&self, instance: &SimulatedInstance) -> InstanceStatus {
        let status = instance.instance_status(&self.names, |told_by, at| self.time_on(told_by, at));
        InstanceStatus { group: self.groups[instance.group].name.clone(), ..status }
    }

    fn sample(&mut self, node: usize, now: Duration) {
        self.plan(now + self.world.machine.sample_every, PlannedEvent::Sample { node });
        self.run_short(now);
        let kernel = self.nodes[node].kernel;
        let used = self.used(kernel, now);
        let time = Time(self.time_on(Some(node), now)).to_string();
        let machine = &self.world.machine;
        let mut record = self.kernels[kernel].record(&used, machine, now, &time);
        let is_on_kernel = |instance: &&SimulatedInstance| {
            instance.node.is_some_and(|node| self.nodes[node].kernel == kernel)
        };
        let there = self.there.iter().map(|at| &self.instances[*at]).filter(is_on_kernel);
        let cpu: f64 = there.map(|instance| instance.cpu_seconds(&self.load, now)).sum();
        record.extend(self.cpus[kernel].record(cpu, machine, now));
        if node + 1 == self.nodes.len() {
            self.see_swapped();
        }
        let machine = &self.world.machine;
        let (lost, late) = (self.nodes[node].draw.part() < machine.lost, self.nodes[node].draw.part());
        if lost || self.is_hit(IncidentKind::ProbeSilent, node) {
            return;
        }
        let sample = NodeReading { node: self.names[node].clone(), record, budget: None };
        self.seen.push(ObservedEvent { at: now + machine.late.mul_f64(late), event: Event::Sample(sample) });
    }

    /// What is swapped out where all instances hold their memory.
    fn see_swapped(&mut self) {
        let all: Vec<_> = self.kernels.iter().filter_map(Kernel::swapped_out).collect();
        if all.is_empty() || self.truth.removed || self.held as usize != self.there.len() {
            return;
        }
        let found = self.truth.swapped.entry(self.held).or_default();
        found.samples += 1;
        for out in all {
            found.on_disk += out.all - out.stored;
            found.stored += out.stored;
            found.pool += out.pool;
        }
    }

    fn plan_components(&mut self) {
        let Some(every) = self.world.machine.components_every else { return };
        for node in 0..self.nodes.len() {
            let phase = self.nodes[node].components.phase(every);
            self.plan(phase, PlannedEvent::Components { node });
        }
    }

    /// A record of each component on a node.
    fn sample_components(&mut self, node: usize, now: Duration) {
        let Some(every) = self.world.machine.components_every else { return };
        self.plan(now + every, PlannedEvent::Components { node });
        let all = self.there.iter().map(|at| &self.instances[*at]);
        let made: Vec<&SimulatedInstance> =
            all.filter(|one| one.node == Some(node) && one.sandbox.is_some()).collect();
        let swapped = self.kernels[self.nodes[node].kernel].swapped_out().map_or(0.0, |out| out.share);
        let of_one = |one: &&SimulatedInstance| {
            components_of(one, &self.groups[one.group].runtime, &self.load, made.len(), swapped, now)
        };
        let mut records: Vec<_> = made.iter().flat_map(of_one).collect();
        let there = made.len();
        records.extend(self.nodes[node].components.of_node(&self.world.machine, there));
        let time = Time(self.time_on(Some(node), now)).to_string();
        let boot_id = self.kernels[self.nodes[node].kernel].boot_id.clone();
        for mut record in records {
            record.insert("time".into(), time.clone().into());
            record.insert("boot_id".into(), boot_id.clone().into());
            let event = Event::Component(NodeRecord { node: self.names[node].clone(), record });
            self.seen.push(ObservedEvent { at: now, event });
        }
    }

    /// Observes all instances that have changed, and drops those that are gone.
    fn show(&mut self, now: Duration) {
        let mut any_gone = false;
        for at in std::mem::take(&mut self.changed) {
            if std::mem::take(&mut self.instances[at].changed) {
                let instance = &self.instances[at];
                any_gone |= instance.state == State::Gone;
                let event = Event::Instance(self.instance_status(instance));
                self.seen.push(ObservedEvent { at: now, event });
            }
        }
        if any_gone {
            self.there.retain(|at| self.instances[*at].state != State::Gone);
        }
        let wanted = self.wanted();
        self.truth.see(now, self.held, self.running, wanted);
    }

    /// Instances on each node, by its name.
    pub(super) fn on_nodes(&self) -> HashMap<&str, u64> {
        let mut on: HashMap<&str, u64> = HashMap::new();
        for node in self.there.iter().filter_map(|at| self.instances[*at].node) {
            *on.entry(&self.names[node]).or_default() += 1;
        }
        on
    }
}
