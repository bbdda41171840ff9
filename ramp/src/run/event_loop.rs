//! Event loop: records, counts and shows the events of the engine while the run waits for something else.

mod rows;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout_at};
use workload::report::{NodeReport, WorkloadReport};

use super::api_calls::ApiCalls;
use super::blockage::{Blockage, BlockageTracker};
use super::clock_watch::{ClockWatch, Noticed};
use super::eta::{Steps, TimeLeft};
use super::external_removals::ExternalRemovals;
use super::level_watch::LevelWatch;
use super::line_limiter::LineLimiter;
use super::memory_watch::MemoryWatch;
use crate::clock::{Clock, Moment};
use crate::engine::{Event, InstanceStatus, NodeStatus, Notice, NoticeKind};
use crate::run::instance_tracker::InstanceTracker;
use crate::run::node_tracker::NodeTracker;
use crate::ui::{Sparkline, Status, View, instances};
use crate::waiting::Wait;
use ramp_format::directory::Directory;
use ramp_format::plan::Pace;
use ramp_format::rows::{NodeRowKind, Part, ReportColumns};
use ramp_format::running_count::PeakCounts;
use ramp_format::state::State;
use ramp_format::stop_rule::StopRule;
use ramp_format::table_writer::TableWriter;
use ramp_format::text::{count, shortened};

/// What ends a wait early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interrupt {
    /// SIGINT, SIGTERM or SIGHUP.
    Interrupted,
    /// The time limit of a rule.
    TimeUp,
    /// The rule about instances that cannot start.
    Blocked,
    /// The workload was removed by others.
    Removed,
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
    /// Time since the run began at which a rule ends the ramp.
    pub(super) time_limit: Option<Duration>,
    /// Rules about instances that cannot start, and whether each is only noted. One that has fired is removed.
    pub(super) blocked_rules: Vec<(StopRule, bool)>,
    /// The rule of them that ends the ramp, and why.
    pub(super) blocked_by: Option<(StopRule, String)>,
    /// What happens to the instances of the present level of a search.
    pub(super) level: LevelWatch,
    /// How far a search has come, in words; none in other runs.
    pub(super) searched: Option<String>,
    blockage: BlockageTracker,
    /// What is blocked now.
    blocked: Option<Blockage>,
    /// Lines on failures and notices.
    lines: LineLimiter,
    /// Who has removed the workload, and how.
    pub(super) removed: Option<String>,
    external_removals: ExternalRemovals,
    time_left: TimeLeft,
    /// Memory left to the instances.
    memory_history: Sparkline,
    pub(super) clocks: ClockWatch,
    /// Interrupts acknowledged so far.
    acknowledged: u32,
    /// What the engine says that its operation waits for.
    waits_for: Option<String>,
    /// When an instance last became unschedulable.
    unschedulable_at: Option<Instant>,
    events: mpsc::Receiver<(Moment, Event)>,
    interrupts: watch::Receiver<u32>,
    tick: Interval,
    /// Files that cannot be written, each with the last error.
    unwritable: BTreeMap<String, String>,
    /// When it was last said, and written to `run.json`, that files cannot be written.
    unwritable_said: Option<Instant>,
    node_columns: ReportColumns,
    workload_columns: ReportColumns,
}

/// An instance must be unschedulable for this long before a step is settled.
const UNSCHEDULABLE_FOR: Duration = Duration::from_secs(5);

/// Characters of a runtime in the line on groups: four fit on a terminal of 80 columns.
const RUNTIME_CHARS: usize = 10;

/// Interval at which it is said that files cannot be written.
const SAY_UNWRITTEN_EVERY: Duration = Duration::from_secs(30);

/// Interval at which pending rows are retried, gaps are looked for, and the view is updated.
const TICK: Duration = Duration::from_millis(500);

impl EventLoop {
    pub(super) fn new(
        clock: Clock,
        directory: Directory,
        view: View,
        events: mpsc::Receiver<(Moment, Event)>,
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
            blocked_rules: Vec::new(),
            blocked_by: None,
            level: LevelWatch::default(),
            searched: None,
            blockage: BlockageTracker::default(),
            blocked: None,
            lines: LineLimiter::default(),
            removed: None,
            external_removals: ExternalRemovals::default(),
            time_left: TimeLeft::default(),
            memory_history: Sparkline::default(),
            clocks: ClockWatch::default(),
            acknowledged: 0,
            waits_for: None,
            unschedulable_at: None,
            events,
            interrupts,
            tick,
            unwritable: BTreeMap::new(),
            unwritable_said: None,
            node_columns: ReportColumns::of::<NodeReport>(),
            workload_columns: ReportColumns::of::<WorkloadReport>(),
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

    /// The same until a deadline, and tells what is waited for. None at the deadline.
    pub(super) async fn during_told<T>(
        &mut self,
        deadline: Instant,
        what: &str,
        work: impl Future<Output = T>,
    ) -> Result<Option<T>, Interrupt> {
        let mut work = pin!(work);
        let mut wait = Self::wait_until(deadline);
        self.waits_for = None;
        loop {
            let until = deadline.min(wait.due_at());
            if let Ok(value) = self.during(timeout_at(until, &mut work)).await? {
                return Ok(Some(value));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let all =
                self.waits_for.as_ref().map_or_else(|| what.to_owned(), |part| format!("{what}: {part}"));
            self.tell_wait(&mut wait, "engine", &all);
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

    /// The same, and tells what is waited for.
    pub(super) async fn until_told(
        &mut self,
        deadline: Instant,
        object: &str,
        is_met: impl Fn(&Self) -> bool,
        what: impl Fn(&Self) -> String,
    ) -> Result<bool, Interrupt> {
        let tell = |event_loop: &mut Self, wait: &mut Wait| {
            let what = what(event_loop);
            event_loop.tell_wait(wait, object, &what);
        };
        self.until_telling(deadline, is_met, tell).await
    }

    /// Handles events until a step has settled. Where no status area shows what is waited for, lines do.
    pub(super) async fn until_settled(
        &mut self,
        deadline: Instant,
        is_met: impl Fn(&Self) -> bool,
    ) -> Result<bool, Interrupt> {
        let tell = |event_loop: &mut Self, wait: &mut Wait| {
            let now = Instant::now();
            if wait.is_due(now) && event_loop.view.is_plain_text() {
                let (counts, totals) = (event_loop.tracker.counts(), event_loop.tracker.totals());
                let instances = instances(event_loop.asked, &counts, &totals);
                event_loop.view.say(&wait.line(&format!("step {}: {instances}", event_loop.step), now));
            }
        };
        self.until_telling(deadline, is_met, tell).await
    }

    /// The same, and calls `tell` whenever a line about the wait is due.
    async fn until_telling(
        &mut self,
        deadline: Instant,
        is_met: impl Fn(&Self) -> bool,
        tell: impl Fn(&mut Self, &mut Wait),
    ) -> Result<bool, Interrupt> {
        let mut wait = Self::wait_until(deadline);
        loop {
            if self.until(deadline.min(wait.due_at()), &is_met).await? {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tell(self, &mut wait);
        }
    }

    fn wait_until(deadline: Instant) -> Wait {
        let now = Instant::now();
        Wait::begin(now).at_most(deadline.duration_since(now))
    }

    /// Records and shows what is waited for, if that is due.
    fn tell_wait(&mut self, wait: &mut Wait, object: &str, what: &str) {
        let now = Instant::now();
        if wait.is_due(now) {
            let line = wait.line(what, now);
            self.row(
                self.clock.moment(),
                NoticeKind::Note.name(),
                &Notice::note(object, "Waiting", line.as_str()),
            );
            self.view.say(&line);
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
        if self.blocked_by.is_some() {
            return Err(Interrupt::Blocked);
        }
        if self.removed.is_some() && self.part != Part::Clean {
            return Err(Interrupt::Removed);
        }
        match self.time_limit {
            Some(limit) if self.clock.moment().elapsed >= limit => Err(Interrupt::TimeUp),
            _ => Ok(()),
        }
    }

    /// Retries pending rows, for a limited time.
    pub(super) async fn flush(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        // A file that was removed does not come back.
        let waits = |table: &mut TableWriter| {
            table.retry().is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound)
        };
        while self.directory.tables().into_iter().any(waits) && Instant::now() < deadline {
            if self.unwritable_said.is_none_or(|at| at.elapsed() >= Duration::from_secs(5)) {
                self.unwritable_said = Some(Instant::now());
                let left = deadline.duration_since(Instant::now()).as_secs();
                let message = format!("{}; waiting for up to {left} s", self.unwritten());
                self.view.say(&message);
            }
            sleep(TICK).await;
        }
    }

    /// Writes `run.json`, and retries for a limited time if the disk is full.
    pub(super) async fn save(&self, limit: Duration) -> std::io::Result<()> {
        let deadline = Instant::now() + limit;
        let mut wait = Self::wait_until(deadline);
        loop {
            match self.directory.save() {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound && Instant::now() < deadline => {
                    let now = Instant::now();
                    if wait.is_due(now) {
                        self.view.say(&wait.line(&format!("run.json to be written: {error}"), now));
                    }
                    sleep(TICK).await;
                }
                saved => return saved,
            }
        }
    }

    /// Whether a step that requested this many instances has settled. An unschedulable instance may be scheduled soon after, when
    /// terminating ones have released their resources.
    pub(super) fn is_settled(&self, asked: u32) -> bool {
        let waited = self.unschedulable_at.is_none_or(|at| at.elapsed() >= UNSCHEDULABLE_FOR);
        let none = self.tracker.counts().of(State::Unschedulable) == 0;
        self.tracker.is_settled(asked) && (none || waited) && !self.waits_for_the_first()
    }

    /// Whether no instance is ready because none can start, which a rule is about to end, or has ended: more of them would not start
    /// either.
    fn waits_for_the_first(&self) -> bool {
        let is_ruled =
            self.blocked_by.is_some() || self.blocked_rules.iter().any(|(_, only_noted)| !only_noted);
        is_ruled && self.tracker.counts().of(State::Ready) == 0 && self.blockage.has_blocked(Instant::now())
    }

    /// ramp itself has set the number of instances, by a request of that time.
    pub(super) fn scaled(&mut self, requested: Instant) {
        self.blockage.scaled(requested);
    }

    /// Acknowledges the interrupts so far, and the first one even if it is still to come: it asks for what is being done.
    pub(super) fn acknowledge_first_interrupt(&mut self) {
        self.acknowledged = (*self.interrupts.borrow()).max(1);
    }

    /// Acknowledges the interrupts so far: only another one counts.
    pub(super) fn acknowledge_interrupts(&mut self) {
        self.acknowledged = *self.interrupts.borrow();
    }

    /// Whether the run was interrupted.
    pub(super) fn is_interrupted(&self) -> bool {
        *self.interrupts.borrow() > 0
    }

    fn handle(&mut self, at: Moment, event: Event) {
        self.check_clocks(at);
        match event {
            Event::Instance(status) => {
                let transitions = self.tracker.see(&status);
                self.blockage.see(&status, !transitions.is_empty(), Instant::now());
                self.transitions(at, transitions);
            }
            Event::All(statuses) => self.all(at, &statuses),
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
            Event::Component(record) => self.component(at, &record),
            Event::Limit(record) => self.limit(at, &record),
            Event::Notice(notice) => self.event(at, &notice),
            Event::Obstacle(obstacle) => self.blockage.obstacle(obstacle, Instant::now()),
            Event::Call(call) => self.calls.add(call),
            Event::Rescaled(rescaled) => self.blockage.rescaled(rescaled, Instant::now()),
            // The first source knows best.
            Event::Removed(why) => drop(self.removed.get_or_insert(why)),
            Event::WaitsFor(what) => self.waits_for = what,
        }
    }

    fn all(&mut self, at: Moment, statuses: &[InstanceStatus]) {
        let transitions = self.tracker.see_all(statuses);
        let news: HashSet<String> = transitions.iter().map(|transition| transition.uid.clone()).collect();
        self.blockage.see_all(statuses, &news, Instant::now());
        self.transitions(at, transitions);
    }

    /// Looks for instances that cannot start, and applies the rules about them.
    fn apply_blocked_rules(&mut self) {
        let now = Instant::now();
        self.blocked = match self.part {
            Part::Up | Part::Hold | Part::Search => self.blockage.evaluate(self.asked, now),
            Part::Down | Part::Clean => None,
        };
        if matches!(self.part, Part::Up | Part::Hold | Part::Search)
            && let Some(waiting) = self.blockage.waiting(now)
        {
            self.note("instances", "Waiting", waiting);
        }
        let Some(blocked) = self.blocked.clone() else { return };
        if self.blockage.is_news(&blocked) {
            self.row(
                self.clock.moment(),
                NoticeKind::Note.name(),
                &Notice::note("instances", "Blocked", blocked.to_string()),
            );
            self.view.say(&format!("blocked: {blocked}"));
        }
        // Where others are ready it is the limit that a search looks for.
        if self.level_blocked().is_some() {
            return;
        }
        let lasts = blocked.lasts(now);
        let is_due =
            |(rule, _): &mut (StopRule, bool)| rule.blocked_limit().is_some_and(|limit| lasts >= limit);
        let due: Vec<(StopRule, bool)> = self.blocked_rules.extract_if(.., is_due).collect();
        for (rule, only_noted) in due {
            let Blockage { instances, reason, .. } = &blocked;
            let all = count(self.asked.max(*instances), "requested instance");
            let why = format!("{instances} of {all} cannot start: {reason}");
            self.rule(if only_noted { "noted_rule" } else { "rule" }, &rule.to_string(), &why);
            if !only_noted {
                self.blocked_by.get_or_insert((rule, why));
            }
        }
    }

    /// Why further instances cannot start, in a search and for as long as a rule allows, where others are ready: the level does not hold.
    pub(super) fn level_blocked(&self) -> Option<String> {
        self.searched.as_ref()?;
        let blocked = self.blocked.as_ref()?;
        let limit = self.blocked_rules.iter().filter_map(|(rule, _)| rule.blocked_limit()).min()?;
        let is_limit = self.tracker.counts().of(State::Ready) > 0 && blocked.lasts(Instant::now()) >= limit;
        is_limit.then(|| format!("cannot start: {}", blocked.reason))
    }

    /// Whether an instance is unschedulable, and for so long that no room is to be expected: nothing ends that would give some.
    pub(super) fn has_no_room(&self) -> bool {
        let counts = self.tracker.counts();
        counts.of(State::Unschedulable) > 0
            && counts.of(State::Terminating) == 0
            && self.unschedulable_at.is_some_and(|at| at.elapsed() >= UNSCHEDULABLE_FOR)
    }

    /// A level begins.
    pub(super) fn begin_level(&mut self) {
        self.level.begin();
        self.blockage.forget_refusal();
        self.blocked = None;
    }

    /// Whether a source of statuses cannot be observed.
    pub(super) fn is_unobserved(&self) -> bool {
        self.blockage.is_unobserved()
    }

    /// Whether instances cannot start, and none runs.
    pub(super) fn has_none_running_because_blocked(&self) -> bool {
        self.blocked.is_some() && self.tracker.counts().at_work() == 0
    }

    /// Why the rule about instances that cannot start has ended a wait. It ends no further one.
    pub(super) fn take_blocked(&mut self) -> String {
        self.blocked_by.take().map(|(rule, why)| format!("{rule}: {why}")).unwrap_or_default()
    }

    fn node_gone(&mut self, at: Moment, name: &str) {
        self.event(at, &Notice::note(format!("node/{name}"), "Gone", "deleted"));
    }

    fn node(&mut self, at: Moment, status: NodeStatus, listed: bool) {
        let name = status.name.clone();
        // The preflight summary has shown the initial status.
        let is_new = self.nodes.is_ready(&name).is_none();
        let shown = listed && is_new;
        if let Some(words) = self.nodes.status(status) {
            let words = if is_new && !listed { format!("joined the cluster: {words}") } else { words };
            let notice = Notice::note(format!("node/{name}"), "Status", words);
            if shown { self.row(at, notice.kind.name(), &notice) } else { self.event(at, &notice) }
        }
    }

    fn on_tick(&mut self) {
        let now = self.clock.moment();
        self.check_clocks(now);
        let mut results = Vec::new();
        for table in self.directory.tables() {
            let name = table.path().file_name().map(|name| name.to_string_lossy().into_owned());
            table.check();
            results.push((name.unwrap_or_default(), table.retry()));
        }
        for (name, result) in results {
            self.written(&name, result);
        }
        self.count_unwritten();
        for (node, age) in self.nodes.gaps(now.passed()) {
            self.node_row(now, &node, NodeRowKind::Gap, Some(age), None);
        }
        self.apply_blocked_rules();
        for line in self.lines.due(Instant::now()) {
            self.view.say(&line);
        }
        self.show_external_removals();
        self.show();
    }

    /// Records that a clock of this machine was set, or that it was suspended, before any row that is after it.
    fn check_clocks(&mut self, now: Moment) {
        while let Some(noticed) = self.clocks.see(now) {
            let clock = self.directory.run.clock.get_or_insert_default();
            match noticed {
                Noticed::Set(change) => clock.set.push(change),
                Noticed::Suspended(change) => clock.suspended.push(change),
            }
            self.event(now, &noticed.notice(now));
            // What a reader has to allow for is not lost if the process is killed.
            if let Err(error) = self.directory.save() {
                self.note("run.json", "NotWritten", error.to_string());
            }
        }
    }

    /// Keeps the number of rows that are not written in `run.json`, and says it for as long as it lasts.
    fn count_unwritten(&mut self) {
        let not_written = self.directory.rows_not_written();
        if self.unwritable.is_empty() && not_written == self.directory.run.rows_lost {
            self.unwritable_said = None;
            return;
        }
        let said = self.unwritable_said;
        if said.is_some_and(|at| at.elapsed() < SAY_UNWRITTEN_EVERY) {
            return;
        }
        self.unwritable_said = Some(Instant::now());
        self.directory.run.rows_lost = not_written;
        // The reserved space may be gone as well, with the directory.
        let saved = self.directory.save();
        if !self.unwritable.is_empty() && said.is_some() {
            let lost = saved.err().map(|error| format!("; run.json: {error}")).unwrap_or_default();
            let message = format!("{}{lost}", self.unwritten());
            self.view.say(&message);
        }
    }

    /// Files that cannot be written, and rows that wait, as text.
    fn unwritten(&mut self) -> String {
        let Some(error) = self.unwritable.values().next() else { return String::new() };
        let names: Vec<&str> = self.unwritable.keys().map(String::as_str).collect();
        let text = format!("not written: {} ({error})", names.join(", "));
        let (mut waiting, mut lost) = (0, 0);
        for table in self.directory.tables() {
            waiting += table.rows_waiting();
            lost += table.rows_lost();
        }
        let lost = if lost == 0 { String::new() } else { format!(", {} lost", count(lost, "row")) };
        format!("{text}: {} waiting{lost}", count(waiting, "row"))
    }

    /// The instances that are still there, by node.
    pub(super) fn remaining(&self) -> String {
        let by_node = self.tracker.there_by_node();
        let parts = by_node.iter().map(|(node, number)| match node {
            None => format!("{number} on no node"),
            Some(node) => {
                let trouble = match self.nodes.is_ready(node) {
                    Some(true) => "",
                    Some(false) => " (not ready)",
                    None => " (deleted)",
                };
                format!("{number} on {node}{trouble}")
            }
        });
        let parts: Vec<String> = parts.collect();
        let all = count(self.tracker.there(), "instance");
        format!("{all} to end: {}", parts.join(", "))
    }

    /// The groups of a mixed run, with those of each that hold their memory.
    pub(super) fn groups(&self) -> String {
        let mix = &self.directory.run.plan.options.mix;
        if mix.is_empty() {
            return String::new();
        }
        let ready = self.tracker.ready_by_group();
        let group = |runtime: &String| {
            let ready = ready.get(runtime.as_str()).copied().unwrap_or_default();
            format!("{} {ready}", shortened(runtime, RUNTIME_CHARS))
        };
        format!("ready: {}", mix.iter().map(group).collect::<Vec<_>>().join(", "))
    }

    fn show_external_removals(&mut self) {
        let nodes = &self.nodes;
        let what = |name: &str| match nodes.is_ready(name) {
            None => Some("their node was deleted"),
            Some(_) if nodes.is_cordoned(name) => Some("their node is cordoned, as by kubectl drain"),
            Some(false) => Some("their node is not ready"),
            Some(true) => None,
        };
        for (reason, message) in self.external_removals.due(Instant::now(), what) {
            self.note("instances", reason, message);
        }
    }

    fn show(&mut self) {
        let unwritten = self.unwritten();
        let (now, run) = (self.clock.moment(), &self.directory.run);
        let steps = Steps {
            now: self.step,
            expected: run.forecast.as_ref().and_then(|forecast| forecast.steps_to_saturation),
            planned: self.planned_steps,
        };
        let limit = self.time_limit.map(|limit| limit.saturating_sub(now.elapsed));
        let time_left = match self.part {
            Part::Up | Part::Search => match &self.searched {
                Some(words) => words.clone(),
                None => self.time_left.words(steps, limit),
            },
            Part::Hold => "holding".to_owned(),
            Part::Down => "scaling down".to_owned(),
            Part::Clean => "removing instances".to_owned(),
        };
        let sums = self.nodes.sums(now.passed());
        if let Some(free) = Status::free_bytes(&sums) {
            self.memory_history.push(free as f64);
        }
        self.view.status(&Status {
            asked: self.asked,
            groups: self.groups(),
            counts: self.tracker.counts(),
            totals: self.tracker.totals(),
            sums,
            latency: self.calls.last(),
            memory_history: self.memory_history.clone(),
            waits_for: self.shown_wait(),
            time_left,
            unwritten,
        });
    }

    /// What the run waits for, for the status area.
    fn shown_wait(&self) -> String {
        if let Some(blocked) = &self.blocked {
            return format!("blocked: {blocked}");
        }
        let counts = self.tracker.counts();
        let missing = self.asked.saturating_sub(counts.of(State::Ready));
        let whose = if missing == 1 { "its" } else { "their" };
        match (self.part, &self.directory.run.plan.pace) {
            (Part::Up, _) if self.step == 0 => "memory at rest is measured before the first step".into(),
            (Part::Up | Part::Search, Pace::Ready) if missing > 0 => {
                format!("step {} waits for {} to hold {whose} memory", self.step, count(missing, "instance"))
            }
            (Part::Up, Pace::Every(pace)) => format!("a step every {}", humantime::format_duration(*pace)),
            (Part::Hold, _) => "all instances are kept for a while after the last step".into(),
            (Part::Down | Part::Clean, _) if self.tracker.there() > 0 => self.remaining(),
            _ => String::new(),
        }
    }
}
