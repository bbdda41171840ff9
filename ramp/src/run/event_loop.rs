//! Where everything that engines tell comes in: it is written down, counted and shown, whatever else is being waited for.

mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

use super::api_calls::ApiCalls;
use super::eta::{Steps, TimeLeft};
use super::memory_watch::MemoryWatch;
use crate::clock::{Clock, age};
use crate::engine::{Event, Notice};
use crate::run::instance_tracker::InstanceTracker;
use crate::run::node_tracker::NodeTracker;
use crate::ui::{Status, View};
use ramp_format::directory::Directory;
use ramp_format::rows::{NodeRow, NodeRowKind, Part, Table};
use ramp_format::running_count::PeakCounts;
use ramp_format::state::State;
use ramp_format::time::seconds;

/// What ends a wait before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Somebody asked for it.
    Interrupted,
    /// The time that a rule sets is up.
    TimeUp,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitResult {
    /// What was waited for is so.
    Met,
    /// The time for it was up.
    TimedOut,
}

/// Takes in events, and writes them down.
#[derive(Debug)]
pub(super) struct EventLoop {
    pub(super) clock: Clock,
    pub(super) directory: Directory,
    pub(super) tracker: InstanceTracker,
    pub(super) nodes: NodeTracker,
    pub(super) calls: ApiCalls,
    /// Who has been there at once.
    pub(super) population: PeakCounts,
    pub(super) memory: MemoryWatch,
    pub(super) view: View,
    /// The step, which part of the run it is of, and how many instances it asks for.
    pub(super) step: u32,
    /// Steps up at most, where that is known.
    pub(super) planned_steps: Option<u32>,
    pub(super) part: Part,
    pub(super) asked: u32,
    /// When a rule says that the run is over.
    pub(super) time_limit: Option<SystemTime>,
    time_left: TimeLeft,
    /// Interrupts that have been heeded already.
    pub(super) heeded: u32,
    /// When an instance was last found to have no place.
    unschedulable_at: Option<Instant>,
    events: mpsc::Receiver<(SystemTime, Event)>,
    interrupts: watch::Receiver<u32>,
    beat: Interval,
    /// Files that cannot be written, and why not.
    disk_trouble: BTreeMap<String, String>,
}

/// For so long the scheduler must have found no place for an instance before it counts.
const UNSCHEDULABLE_FOR: Duration = Duration::from_secs(5);

/// How often what waits for the disk is tried again, gaps are looked for, and the view is renewed.
const BEAT: Duration = Duration::from_millis(500);

impl EventLoop {
    pub(super) fn new(
        clock: Clock,
        directory: Directory,
        view: View,
        events: mpsc::Receiver<(SystemTime, Event)>,
        interrupts: watch::Receiver<u32>,
    ) -> Self {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
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
            heeded: 0,
            unschedulable_at: None,
            events,
            interrupts,
            beat,
            disk_trouble: BTreeMap::new(),
        }
    }

    /// Goes on taking in events until the work is done.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Interrupt> {
        let mut work = pin!(work);
        loop {
            self.halted()?;
            tokio::select! {
                value = &mut work => return Ok(value),
                Some((at, event)) = self.events.recv() => self.take(at, event),
                _ = self.beat.tick() => self.on_tick(),
                // A closed channel never interrupts.
                Ok(()) = self.interrupts.changed() => {}
            }
        }
    }

    /// Goes on taking in events until something is so, or the time for it is up.
    pub(super) async fn until(
        &mut self,
        deadline: Option<Instant>,
        so: impl Fn(&Self) -> bool,
    ) -> Result<WaitResult, Interrupt> {
        loop {
            if so(self) {
                return Ok(WaitResult::Met);
            }
            self.halted()?;
            let up = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // Events first: what has been seen by the deadline counts.
                biased;
                Some((at, event)) = self.events.recv() => self.take(at, event),
                () = up => return Ok(WaitResult::TimedOut),
                _ = self.beat.tick() => self.on_tick(),
                Ok(()) = self.interrupts.changed() => {}
            }
        }
    }

    /// Takes in what has arrived already.
    pub(super) fn take_arrived(&mut self) {
        while let Ok((at, event)) = self.events.try_recv() {
            self.take(at, event);
        }
    }

    fn halted(&self) -> Result<(), Interrupt> {
        if *self.interrupts.borrow() > self.heeded {
            return Err(Interrupt::Interrupted);
        }
        match self.time_limit {
            Some(limit) if self.clock.now() >= limit => Err(Interrupt::TimeUp),
            _ => Ok(()),
        }
    }

    /// Tries to write what waits for the disk, for some time.
    pub(super) async fn write_what_waits(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.directory.tables().into_iter().any(|table| table.retry().is_err())
            && Instant::now() < deadline
        {
            sleep(BEAT).await;
        }
    }

    /// Writes `run.json`, for which there may be no room just now.
    pub(super) async fn save(&self, limit: Duration) -> std::io::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            match self.directory.save() {
                Err(_) if Instant::now() < deadline => sleep(BEAT).await,
                saved => return saved,
            }
        }
    }

    /// Whether there is nothing more to wait for when so many were asked for. That there is no place for an instance may
    /// change soon after: those that make place are still on their way out.
    pub(super) fn is_settled(&self, asked: u32) -> bool {
        let waited = self.unschedulable_at.is_none_or(|at| at.elapsed() >= UNSCHEDULABLE_FOR);
        let none = self.tracker.counts().of(State::Unschedulable) == 0;
        self.tracker.is_settled(asked) && (none || waited)
    }

    /// Interrupts so far have been heeded: only further ones count.
    pub(super) fn heed(&mut self) {
        self.heeded = *self.interrupts.borrow();
    }

    fn take(&mut self, at: SystemTime, event: Event) {
        match event {
            Event::Instance(instance_status) => {
                let transitions = self.tracker.see(&instance_status);
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

    /// Its memory is in no sum any more.
    fn node_gone(&mut self, at: SystemTime, name: &str) {
        self.event(at, &Notice::note(format!("node/{name}"), "Gone", "is no longer there"));
    }

    fn node(&mut self, at: SystemTime, status: crate::engine::NodeStatus, listed: bool) {
        let name = status.name.clone();
        // How the nodes are at first has been shown with the plan.
        let shown = listed && self.nodes.is_ready(&name).is_none();
        if let Some(words) = self.nodes.status(status) {
            let notice = Notice::note(format!("node/{name}"), "Status", words);
            if shown { self.row(at, notice.kind.name(), &notice) } else { self.event(at, &notice) }
        }
    }

    /// Twice a second.
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
            let written =
                self.directory.nodes.record(&self.node_row(now, &node, NodeRowKind::Gap, Some(age)));
            self.written(NodeRow::FILE, written);
        }
        self.show();
    }

    fn show(&mut self) {
        let (now, run) = (self.clock.now(), &self.directory.run);
        let sums = self.nodes.sums(now);
        let steps = Steps {
            now: self.step,
            expected: run.forecast.as_ref().and_then(|forecast| forecast.steps_to_saturation),
            planned: self.planned_steps,
        };
        let limit = self.time_limit.map(|limit| age(limit, now));
        let time_left = match self.part {
            Part::Up => self.time_left.words(steps, limit),
            Part::Hold => "held".to_owned(),
            Part::Down => "down".to_owned(),
            Part::Clean => "removing".to_owned(),
        };
        self.view.status(&Status {
            asked: self.asked,
            counts: self.tracker.counts(),
            totals: self.tracker.totals(),
            sums,
            latency: self.calls.last(),
            time_left,
        });
    }

    pub(super) fn elapsed_seconds(&self, at: SystemTime) -> f64 {
        seconds(age(at, self.directory.run.begin.0))
    }
}
