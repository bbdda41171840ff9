//! Event loop: records, counts and shows the events of the engine while the run waits for something else.

mod rows;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::api_calls::ApiCalls;
use super::eta::{Steps, TimeLeft};
use super::memory_watch::MemoryWatch;
use crate::clock::{Clock, age};
use crate::engine::{Event, NodeStatus, Notice};
use crate::run::instance_tracker::InstanceTracker;
use crate::run::node_tracker::NodeTracker;
use crate::ui::{Status, View};
use ramp_format::directory::Directory;
use ramp_format::rows::{NodeRowKind, Part};
use ramp_format::running_count::PeakCounts;
use ramp_format::state::State;
use ramp_format::time::seconds;

/// What ends a wait early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// SIGINT, SIGTERM or SIGHUP.
    Interrupted,
    /// The time limit of a rule.
    TimeUp,
}

/// Receiver of the engine's events, with all that is recorded and counted.
#[derive(Debug)]
pub(super) struct EventLoop {
    pub(super) clock: Clock,
    pub(super) directory: Directory,
    pub(super) tracker: InstanceTracker,
    pub(super) nodes: NodeTracker,
    pub(super) calls: ApiCalls,
    /// Largest numbers of instances at once.
    pub(super) population: PeakCounts,
    pub(super) memory: MemoryWatch,
    pub(super) view: View,
    /// Current step.
    pub(super) step: u32,
    /// Number of steps up, if known beforehand.
    pub(super) planned_steps: Option<u32>,
    /// Current part of the run.
    pub(super) part: Part,
    /// Instances requested.
    pub(super) asked: u32,
    /// Time at which a rule ends the ramp.
    pub(super) time_limit: Option<SystemTime>,
    time_left: TimeLeft,
    /// Interrupts acknowledged so far.
    acknowledged: u32,
    /// When an instance last became unschedulable.
    unschedulable_at: Option<Instant>,
    events: mpsc::Receiver<(SystemTime, Event)>,
    interrupts: watch::Receiver<u32>,
    tick: Interval,
    /// Files that cannot be written.
    unwritable: BTreeSet<String>,
}

/// An instance must be unschedulable for this long before a step is settled.
const UNSCHEDULABLE_FOR: Duration = Duration::from_secs(5);

/// Interval at which pending rows are retried, gaps are looked for, and the view is updated.
const TICK: Duration = Duration::from_millis(500);

impl EventLoop {
    pub(super) fn new(
        clock: Clock,
        directory: Directory,
        view: View,
        events: mpsc::Receiver<(SystemTime, Event)>,
        interrupts: watch::Receiver<u32>,
    ) -> Self {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        Self {
            clock,
            directory,
            tracker: InstanceTracker::default(),
            nodes: NodeTracker::default(),
            calls: ApiCalls::default(),
            population: PeakCounts::default(),
            memory: MemoryWatch::default(),
            view,
            step: 0,
            planned_steps: None,
            part: Part::Up,
            asked: 0,
            time_limit: None,
            time_left: TimeLeft::default(),
            acknowledged: 0,
            unschedulable_at: None,
            events,
            interrupts,
            tick,
            unwritable: BTreeSet::new(),
        }
    }

    /// Handles events until `work` is done.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupt> {
        let mut work = pin!(work);
        loop {
            self.check_interrupt()?;
            tokio::select! {
                value = &mut work => return Ok(value),
                Some((at, event)) = self.events.recv() => self.handle(at, event),
                _ = self.tick.tick() => self.on_tick(),
                // A closed channel never interrupts.
                Ok(()) = self.interrupts.changed() => {}
            }
        }
    }

    /// Handles events until a deadline.
    pub(super) async fn wait(&mut self, deadline: Instant) -> Result<(), Interrupt> {
        self.until(deadline, |_| false).await.map(|_| ())
    }

    /// Handles events until a condition is met. Returns false if it is not met by the deadline.
    pub(super) async fn until(
        &mut self,
        deadline: Instant,
        is_met: impl Fn(&Self) -> bool,
    ) -> Result<bool, Interrupt> {
        loop {
            if is_met(self) {
                return Ok(true);
            }
            self.check_interrupt()?;
            tokio::select! {
                // Events first: what was observed by the deadline counts.
                biased;
                Some((at, event)) = self.events.recv() => self.handle(at, event),
                () = sleep_until(deadline) => return Ok(false),
                _ = self.tick.tick() => self.on_tick(),
                Ok(()) = self.interrupts.changed() => {}
            }
        }
    }

    /// Handles the events that have arrived.
    pub(super) fn handle_arrived(&mut self) {
        while let Ok((at, event)) = self.events.try_recv() {
            self.handle(at, event);
        }
    }

    fn check_interrupt(&self) -> Result<(), Interrupt> {
        if *self.interrupts.borrow() > self.acknowledged {
            return Err(Interrupt::Interrupted);
        }
        match self.time_limit {
            Some(limit) if self.clock.now() >= limit => Err(Interrupt::TimeUp),
            _ => Ok(()),
        }
    }

    /// Retries pending rows, for a limited time.
    pub(super) async fn flush(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.directory.tables().into_iter().any(|table| table.retry().is_err())
            && Instant::now() < deadline
        {
            sleep(TICK).await;
        }
    }

    /// Writes `run.json`, and retries for a limited time if the disk is full.
    pub(super) async fn save(&self, limit: Duration) -> std::io::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            match self.directory.save() {
                Err(_) if Instant::now() < deadline => sleep(TICK).await,
                saved => return saved,
            }
        }
    }

    /// Whether a step that requested this many instances has settled. An unschedulable instance may be scheduled soon after, when
    /// terminating ones have released their resources.
    pub(super) fn is_settled(&self, asked: u32) -> bool {
        let waited = self.unschedulable_at.is_none_or(|at| at.elapsed() >= UNSCHEDULABLE_FOR);
        let none = self.tracker.counts().of(State::Unschedulable) == 0;
        self.tracker.is_settled(asked) && (none || waited)
    }

    /// Acknowledges the interrupts so far, and the first one even if it is still to come: it asks for what is being done.
    pub(super) fn acknowledge_first_interrupt(&mut self) {
        self.acknowledged = (*self.interrupts.borrow()).max(1);
    }

    /// Acknowledges the interrupts so far: only another one counts.
    pub(super) fn acknowledge_interrupts(&mut self) {
        self.acknowledged = *self.interrupts.borrow();
    }

    fn handle(&mut self, at: SystemTime, event: Event) {
        match event {
            Event::Instance(status) => {
                let transitions = self.tracker.see(&status);
                self.transitions(at, transitions);
            }
            Event::All(statuses) => {
                let transitions = self.tracker.see_all(&statuses);
                self.transitions(at, transitions);
            }
            Event::Node(status) => self.node(at, status, false),
            Event::Nodes(statuses) => {
                let names: BTreeSet<String> = statuses.iter().map(|status| status.name.clone()).collect();
                for name in self.nodes.only(&names) {
                    self.node_gone(at, &name);
                }
                statuses.into_iter().for_each(|status| self.node(at, status, true));
            }
            Event::NodeGone(name) => {
                if self.nodes.remove(&name) {
                    self.node_gone(at, &name);
                }
            }
            Event::Sample(sample) => self.sample(at, &sample),
            Event::Report(report) => self.report(at, &report),
            Event::Notice(notice) => self.event(at, &notice),
            Event::Call(call) => self.calls.add(call),
        }
    }

    fn node_gone(&mut self, at: SystemTime, name: &str) {
        self.event(at, &Notice::note(format!("node/{name}"), "Gone", "deleted"));
    }

    fn node(&mut self, at: SystemTime, status: NodeStatus, listed: bool) {
        let name = status.name.clone();
        // The preflight summary has shown the initial status.
        let shown = listed && self.nodes.is_ready(&name).is_none();
        if let Some(words) = self.nodes.status(status) {
            let notice = Notice::note(format!("node/{name}"), "Status", words);
            if shown { self.row(at, notice.kind.name(), &notice) } else { self.event(at, &notice) }
        }
    }

    fn on_tick(&mut self) {
        let now = self.clock.now();
        let mut results = Vec::new();
        for table in self.directory.tables() {
            let name = table.path().file_name().map(|name| name.to_string_lossy().into_owned());
            results.push((name.unwrap_or_default(), table.retry()));
        }
        for (name, result) in results {
            self.written(&name, result);
        }
        for (node, age) in self.nodes.gaps(now) {
            self.node_row(now, &node, NodeRowKind::Gap, Some(age), None);
        }
        self.show();
    }

    fn show(&mut self) {
        let (now, run) = (self.clock.now(), &self.directory.run);
        let steps = Steps {
            now: self.step,
            expected: run.forecast.as_ref().and_then(|forecast| forecast.steps_to_saturation),
            planned: self.planned_steps,
        };
        let limit = self.time_limit.map(|limit| age(limit, now));
        let time_left = match self.part {
            Part::Up => self.time_left.words(steps, limit),
            Part::Hold => "holding".to_owned(),
            Part::Down => "scaling down".to_owned(),
            Part::Clean => "removing instances".to_owned(),
        };
        self.view.status(&Status {
            asked: self.asked,
            counts: self.tracker.counts(),
            totals: self.tracker.totals(),
            sums: self.nodes.sums(now),
            latency: self.calls.last(),
            time_left,
        });
    }

    pub(super) fn elapsed_seconds(&self, at: SystemTime) -> f64 {
        seconds(age(at, self.directory.run.begin.0))
    }
}
