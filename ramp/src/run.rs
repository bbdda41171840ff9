//! A run: up step by step, until there is enough; held, down again, and everything removed.
//!
//! # Guarantees
//! - While a step is waited for, everything that the engine tells is written down as it comes.
//! - What the engine cannot do now is tried again, with growing pauses: nothing but a rule, an interrupt, the last step or a
//!   refusal for good ends the ramp.
//! - Whatever ended the ramp, everything is removed then (unless it is to be kept), and the run directory says how it went.

mod calls;
mod desk;
mod rules;
mod time_left;

pub use calls::Calls;
pub use desk::Halt;

use std::io;
use std::time::{Duration, SystemTime};

use desk::{Desk, Wait};
use rules::Rules;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use workload::quantity::Bytes;

use crate::clock::Clock;
use crate::engine::{Engine, Events, Failure, Notice, NoticeKind};
use crate::pauses::Pauses;
use crate::plan::{Pace, Plan};
use crate::record::{Before, Directory, MemoryReturned, Outcome, Part, StepRow, Teardown, Time, seconds};
use crate::state::State;
use crate::stop::Seen;
use crate::view::{Summary, View};

/// For how long what the engine cannot do at the beginning or at the end is tried again.
const PATIENCE: Duration = Duration::from_secs(120);
/// For how long the last instances are waited for at the end.
const TEARDOWN_AT_MOST: Duration = Duration::from_secs(600);
/// For how long the first samples of the nodes are waited for: without them the idle machines are unknown.
const FIRST_SAMPLES_WITHIN: Duration = Duration::from_secs(5);
/// What a kernel needs to give memory back, and a probe to tell.
const MEMORY_RETURNS_WITHIN: Duration = Duration::from_secs(3);

/// What a run needs beside its engine.
#[derive(Debug)]
pub struct Surroundings {
    /// Tells the time of day.
    pub clock: Clock,
    /// Where it is shown.
    pub view: View,
    /// How often it has been interrupted.
    pub interrupts: watch::Receiver<u32>,
}

/// A run.
#[derive(Debug)]
pub struct Run<E> {
    engine: E,
    desk: Desk,
    rules: Rules,
    plan: Plan,
    events: Events,
    /// Whether an earlier process began it, and what it was doing at last.
    resumed: Option<Part>,
    /// Whether anything of it is watched.
    begun: bool,
    steps_up: u32,
    /// The most instances at work at the end of a step, and which.
    most: (u32, u32),
    /// Available memory of each kernel before the first step.
    idle: std::collections::BTreeMap<String, u64>,
}

/// Why the ramp ends before its last step.
#[derive(Debug)]
enum End {
    Halt(Halt),
    Failed(Failure),
}

impl From<Halt> for End {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl<E: Engine> Run<E> {
    /// A new run, in a directory just made.
    #[must_use]
    pub fn new(engine: E, directory: Directory, surroundings: Surroundings) -> Self {
        let plan = directory.run.plan.clone();
        let Surroundings { clock, view, interrupts } = surroundings;
        let (events, receiver) = Events::channel(clock);
        let desk = Desk::new(clock, directory, view, receiver, interrupts);
        let rules = Rules::of(&plan);
        Self {
            engine,
            desk,
            rules,
            plan,
            events,
            resumed: None,
            begun: false,
            steps_up: 0,
            most: (0, 0),
            idle: Default::default(),
        }
    }

    /// Goes on with what an earlier process began.
    ///
    /// # Errors
    /// Where its rows say what cannot be.
    pub fn resume(
        engine: E,
        (directory, before): (Directory, Before),
        surroundings: Surroundings,
    ) -> Result<Self, String> {
        let mut run = Self::new(engine, directory, surroundings);
        for row in &before.pods {
            run.desk.ledger.replay(&row.transition().map_err(|error| format!("pods.csv: {error}"))?);
        }
        for row in before.steps.iter().filter(|row| row.part == Part::Up) {
            run.rules.look(&seen(row));
            run.count(row);
        }
        let last = before.steps.last();
        run.desk.step = last.map_or(0, |row| row.step);
        run.desk.asked = last.map_or(0, |row| row.asked_instances);
        run.idle = before.idle;
        run.resumed = Some(last.map_or(Part::Up, |row| row.part));
        let since = [last.map(|row| row.time.0), before.pods.last().map(|row| row.time.0)]
            .into_iter()
            .flatten()
            .max();
        run.say_resumed(since, &before.notes);
        Ok(run)
    }

    fn say_resumed(&mut self, since: Option<SystemTime>, notes: &[String]) {
        let now = self.desk.clock.now();
        self.desk.directory.run.resumes.push(Time(now));
        self.desk.event(
            now,
            &Notice {
                kind: NoticeKind::GapBegins,
                at: since,
                object: "ramp".into(),
                reason: "Ended".into(),
                message: "the process that recorded was no longer there; nothing was observed from here on"
                    .into(),
                count: None,
            },
        );
        self.desk.event(
            now,
            &Notice {
                kind: NoticeKind::GapEnds,
                at: Some(now),
                object: "ramp".into(),
                reason: "Resumed".into(),
                message: format!("another process goes on at step {}", self.desk.step),
                count: None,
            },
        );
        for note in notes {
            self.desk.note("ramp", "Torn", note);
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Where `run.json` cannot be written at the end.
    pub async fn go(mut self) -> io::Result<Summary> {
        let limit = self.rules.time_limit();
        self.desk.time_limit = limit.map(|limit| self.desk.directory.run.begin.0 + limit);
        let ramp = self.ramp().await;
        let failed = matches!(ramp, Err(End::Failed(_)));
        let why = match ramp {
            Ok(why) => why,
            Err(End::Halt(Halt::Interrupted)) => "interrupted".to_owned(),
            Err(End::Halt(Halt::TimeUp)) => self.time_is_up(),
            Err(End::Failed(failure)) => failure.message,
        };
        self.desk.time_limit = None;
        let teardown = if self.plan.keep { None } else { Some(self.clean().await) };
        self.finish(why, failed, teardown)
    }

    /// Ends a run whose process was no longer there: removes everything, and writes down how that went.
    ///
    /// # Errors
    /// Those of [`Self::go`].
    pub async fn clean_up(mut self) -> io::Result<Summary> {
        let (why, failed) = match self.begin().await {
            Ok(()) => {
                ("its process was ended; what it had left was removed by another one".to_owned(), false)
            }
            Err(End::Halt(_)) => ("interrupted".to_owned(), false),
            Err(End::Failed(failure)) => (failure.message, true),
        };
        let teardown = Some(self.clean().await);
        self.finish(why, failed, teardown)
    }

    fn finish(mut self, why: String, failed: bool, teardown: Option<Teardown>) -> io::Result<Summary> {
        self.desk.take_arrived();
        let summary = Summary {
            run: self.plan.run.clone(),
            why_ended: why.clone(),
            failed,
            steps: self.steps_up,
            most_at_work: self.most.0,
            most_at_work_at_step: self.most.1,
            evictions: self.desk.ledger.totals().evictions,
            oom_kills: self.desk.ledger.totals().oom_kills,
            teardown_seconds: teardown.as_ref().and_then(|teardown| teardown.seconds),
            left: teardown.as_ref().map(|teardown| teardown.left.clone()).unwrap_or_default(),
            directory: self.desk.directory.path().display().to_string(),
        };
        let rows_lost = self.desk.directory.rows_lost();
        let run = &mut self.desk.directory.run;
        run.end = Some(Time(self.desk.clock.now()));
        run.why_ended = Some(why);
        run.teardown = teardown;
        run.rows_lost = rows_lost;
        self.desk.directory.save()?;
        self.desk.view.end(&summary);
        Ok(summary)
    }

    fn time_is_up(&self) -> String {
        let limit = self.rules.time_limit().unwrap_or_default();
        format!("time:{0}: {0} have passed", humantime::format_duration(limit))
    }

    /// Up, held and down again. Why it went no further up.
    async fn ramp(&mut self) -> Result<String, End> {
        self.begin().await?;
        let mut why = "every step that was planned has been made".to_owned();
        if matches!(self.resumed, None | Some(Part::Up)) {
            self.desk.part = Part::Up;
            match self.up().await {
                Ok(Some(rule)) => why = rule,
                Ok(None) => {}
                Err(End::Halt(Halt::TimeUp)) => why = self.time_is_up(),
                Err(end) => return Err(end),
            }
            // What was up was the time to go up.
            self.desk.time_limit = None;
            self.hold().await?;
        }
        if self.plan.down && self.resumed != Some(Part::Clean) {
            self.down().await?;
        }
        Ok(why)
    }

    /// The population, at rest, and the first look at everything.
    async fn begin(&mut self) -> Result<(), End> {
        let (events, adopt) = (self.events.clone(), self.resumed.is_some());
        let deadline = Some(Instant::now() + PATIENCE);
        let begin = async |engine: &mut E| engine.begin(events.clone(), adopt).await;
        let applied = insist(&mut self.engine, &mut self.desk, deadline, "begin", begin).await?;
        let applied = applied.ok_or_else(|| {
            End::Failed(Failure::transient("the population could not be made in time: see events.csv"))
        })?;
        self.desk.directory.run.manifest = applied.manifest;
        if let Err(error) = self.desk.directory.save() {
            self.desk.note("run.json", "NotWritten", error.to_string());
        }
        self.begun = true;
        self.desk.view.heading();
        let first = Some(Instant::now() + FIRST_SAMPLES_WITHIN);
        self.desk.until(first, |desk| desk.nodes.all_have_told()).await?;
        if self.idle.is_empty() {
            self.idle = self.desk.nodes.available(self.desk.clock.now());
        }
        Ok(())
    }

    /// More with each step, until there are enough. The rule that says so.
    async fn up(&mut self) -> Result<Option<String>, End> {
        let mut beats = Beats::new(self.plan.pace);
        while let Some(asked) = self.plan.asked(self.desk.step.saturating_add(1)) {
            self.desk.step += 1;
            let row = self.step(asked, Part::Up, beats.next(), Desk::is_settled).await?;
            if let Some(why) = self.judge(row) {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// What the rules say of a step. Its row is written with their names.
    fn judge(&mut self, mut row: StepRow) -> Option<String> {
        let verdict = self.rules.look(&seen(&row));
        row.rules = verdict.hold.iter().map(|(rule, _)| rule.to_string()).collect::<Vec<_>>().join(" ");
        self.write(&row);
        self.count(&row);
        for (rule, only_noted, why) in verdict.news {
            self.desk.rule(if only_noted { "noted_rule" } else { "rule" }, &rule.to_string(), &why);
        }
        verdict.end
    }

    fn count(&mut self, row: &StepRow) {
        self.steps_up = row.step;
        let at_work = row.running_instances + row.ready_instances;
        if at_work > self.most.0 {
            self.most = (at_work, row.step);
        }
    }

    async fn hold(&mut self) -> Result<(), End> {
        if self.plan.hold.is_zero() {
            return Ok(());
        }
        self.desk.part = Part::Hold;
        let began = Instant::now();
        self.desk.until(Some(began + self.plan.hold), |_| false).await?;
        let row = self.row(Outcome::Settled, began, None);
        self.write(&row);
        Ok(())
    }

    /// Fewer with each step, to none.
    async fn down(&mut self) -> Result<(), End> {
        let mut beats = Beats::new(self.plan.pace);
        while self.desk.asked > 0 {
            let asked = self.desk.asked.saturating_sub(self.plan.step.max(1));
            self.desk.step += 1;
            let gone = |desk: &Desk, asked| desk.ledger.in_place() <= asked;
            let row = self.step(asked, Part::Down, beats.next(), gone).await?;
            self.write(&row);
        }
        Ok(())
    }

    /// One step: asks, and waits as the pace says. Its row, as it is when it ends.
    async fn step(
        &mut self,
        asked: u32,
        part: Part,
        next_beat: Option<Instant>,
        settled: impl Fn(&Desk, u32) -> bool,
    ) -> Result<StepRow, End> {
        let began = Instant::now();
        self.desk.part = part;
        self.desk.asked = asked;
        self.desk.calls.take();
        let deadline = next_beat.unwrap_or(began + self.plan.step_timeout);
        let waited = self.ask(asked, deadline, settled).await;
        let (outcome, latency) = match waited {
            Ok(waited) => waited,
            Err(end) => {
                // What the step has seen so far is not lost.
                let row = self.row(Outcome::Ended, began, None);
                self.write(&row);
                if part == Part::Up {
                    self.count(&row);
                }
                return Err(end);
            }
        };
        Ok(self.row(outcome, began, latency))
    }

    async fn ask(
        &mut self,
        asked: u32,
        deadline: Instant,
        settled: impl Fn(&Desk, u32) -> bool,
    ) -> Result<(Outcome, Option<Duration>), End> {
        let scale = async |engine: &mut E| {
            let asked_at = Instant::now();
            engine.scale(asked).await.map(|()| asked_at.elapsed())
        };
        let latency = insist(&mut self.engine, &mut self.desk, Some(deadline), "scale", scale).await?;
        let outcome = match (self.plan.pace, latency) {
            (Pace::Every(_), _) => {
                self.desk.until(Some(deadline), |_| false).await?;
                if latency.is_some() { Outcome::Beat } else { Outcome::Unanswered }
            }
            (_, None) => Outcome::Unanswered,
            (Pace::None, Some(_)) => {
                self.desk.take_arrived();
                Outcome::Taken
            }
            (Pace::Ready, Some(_)) => {
                let so = |desk: &Desk| settled(desk, asked);
                match self.desk.until(Some(deadline), so).await? {
                    Wait::Met => Outcome::Settled,
                    Wait::TimedOut => Outcome::TimedOut,
                }
            }
        };
        Ok((outcome, latency))
    }

    fn row(&mut self, outcome: Outcome, began: Instant, latency: Option<Duration>) -> StepRow {
        let desk = &mut self.desk;
        let now = desk.clock.now();
        let (counts, totals, sums) = (desk.ledger.counts(), desk.ledger.totals(), desk.nodes.sums(now));
        let (ready, not_ready) = desk.nodes.ready_or_not();
        let calls = desk.calls.take();
        let memory = |of: fn(&crate::nodes::Memory) -> Bytes| sums.memory.as_ref().map(|memory| of(memory).0);
        StepRow {
            time: Time(now),
            elapsed_seconds: desk.elapsed_seconds(now),
            step: desk.step,
            part: desk.part,
            outcome,
            step_seconds: seconds(began.elapsed()),
            asked_instances: desk.asked,
            pending_instances: counts.of(State::Pending),
            unschedulable_instances: counts.of(State::Unschedulable),
            creating_instances: counts.of(State::Creating),
            running_instances: counts.of(State::Running),
            ready_instances: counts.of(State::Ready),
            terminating_instances: counts.of(State::Terminating),
            evicted_instances: counts.of(State::Evicted),
            oom_killed_instances: counts.of(State::OomKilled),
            failed_instances: counts.of(State::Failed),
            evictions_total: totals.evictions,
            oom_kills_total: totals.oom_kills,
            failures_total: totals.failures,
            gone_total: totals.gone,
            scale_latency_seconds: latency.map(seconds),
            api_latency_max_seconds: calls.longest.map(seconds),
            api_answers: calls.answered,
            api_failures: calls.failed,
            nodes_ready: ready.len().try_into().unwrap_or(u32::MAX),
            nodes_not_ready: not_ready.len().try_into().unwrap_or(u32::MAX),
            kernels: sums.kernels,
            kernels_fresh: sums.fresh,
            sample_age_seconds: sums.oldest.map(seconds),
            memory_total_bytes: memory(|memory| memory.total),
            memory_free_bytes: memory(|memory| memory.free),
            memory_available_bytes: memory(|memory| memory.available),
            memory_active_bytes: memory(|memory| memory.active),
            budget_bytes: sums.budget.map(|budget| budget.limit.0),
            budget_used_bytes: sums.budget.map(|budget| budget.used.0),
            rules: String::new(),
        }
    }

    fn write(&mut self, row: &StepRow) {
        self.desk.step_row(row);
    }

    /// Removes everything, and looks whether anything is left.
    async fn clean(&mut self) -> Teardown {
        // Only further interrupts end the clean-up.
        self.desk.heed();
        self.desk.part = Part::Clean;
        let (began, instances) = (Instant::now(), self.desk.ledger.in_place());
        let gone = self.remove().await.unwrap_or(None);
        let row = self.row(if gone.is_some() { Outcome::Settled } else { Outcome::Ended }, began, None);
        self.write(&row);
        let left = self.left().await;
        let memory = self.memory_returned().await;
        Teardown { instances, seconds: gone.filter(|_| left.is_empty()).map(seconds), left, memory }
    }

    /// How long it took until the last instance was gone; none where one is still there.
    async fn remove(&mut self) -> Result<Option<Duration>, End> {
        let began = Instant::now();
        let deadline = began + TEARDOWN_AT_MOST;
        let remove = async |engine: &mut E| engine.remove().await;
        let asked = insist(&mut self.engine, &mut self.desk, Some(deadline), "remove", remove).await?;
        self.desk.asked = 0;
        if asked.is_none() || !self.begun {
            return Ok(None);
        }
        let waited = self.desk.until(Some(deadline), |desk| desk.ledger.there() == 0).await?;
        Ok((waited == Wait::Met).then(|| began.elapsed()))
    }

    async fn left(&mut self) -> Vec<String> {
        let ask = async |engine: &mut E| match engine.left().await?.as_slice() {
            [] => Ok(Vec::new()),
            // Asked again, until the time is up.
            left => Err(Failure { transient: true, message: format!("still there: {}", left.join(", ")) }),
        };
        let deadline = Some(Instant::now() + PATIENCE);
        match insist(&mut self.engine, &mut self.desk, deadline, "left", ask).await {
            Ok(Some(none)) => none,
            _ => match self.engine.left().await {
                Ok(left) => left,
                Err(failure) => vec![format!("unknown: {failure}")],
            },
        }
    }

    async fn memory_returned(&mut self) -> Vec<MemoryReturned> {
        if self.idle.is_empty() {
            return Vec::new();
        }
        let returned = Some(Instant::now() + MEMORY_RETURNS_WITHIN);
        // An interrupt is no reason not to say what is known.
        let _ = self.desk.until(returned, |_| false).await;
        let after = self.desk.nodes.available(self.desk.clock.now());
        let both =
            self.idle.iter().filter_map(|(boot_id, before)| Some((boot_id, *before, *after.get(boot_id)?)));
        both.map(|(boot_id, before_bytes, after_bytes)| MemoryReturned {
            boot_id: boot_id.clone(),
            before_bytes,
            after_bytes,
        })
        .collect()
    }
}

/// What the rules look at, of a step's row.
fn seen(row: &StepRow) -> Seen {
    let left = row.budget_bytes.zip(row.budget_used_bytes).map(|(limit, used)| limit.saturating_sub(used));
    Seen {
        step: row.step,
        elapsed: Duration::try_from_secs_f64(row.elapsed_seconds).unwrap_or_default(),
        asked: row.asked_instances,
        at_work: row.running_instances + row.ready_instances,
        // Where instances are confined together, what they may have still counts as well.
        free: [row.memory_free_bytes, left].into_iter().flatten().min().map(Bytes),
        evictions: row.evictions_total,
        oom_kills: row.oom_kills_total,
        not_ready: row.nodes_not_ready,
    }
}

/// When steps begin, with a fixed beat: on an absolute schedule. What was missed is not made up for.
#[derive(Debug)]
struct Beats {
    beat: Option<Duration>,
    next: Instant,
}

impl Beats {
    fn new(pace: Pace) -> Self {
        let beat = match pace {
            Pace::Every(beat) => Some(beat),
            Pace::Ready | Pace::None => None,
        };
        Self { beat, next: Instant::now() }
    }

    /// When the step that begins now is over.
    fn next(&mut self) -> Option<Instant> {
        let (beat, now) = (self.beat?, Instant::now());
        while self.next <= now {
            self.next += beat;
        }
        Some(self.next)
    }
}

/// Tries until it works, with growing pauses; none where the time is up. Everything that comes in meanwhile is taken in.
async fn insist<E: Engine, T>(
    engine: &mut E,
    desk: &mut Desk,
    deadline: Option<Instant>,
    what: &str,
    mut work: impl AsyncFnMut(&mut E) -> Result<T, Failure>,
) -> Result<Option<T>, End> {
    let mut pauses = Pauses::short();
    loop {
        let attempt = async {
            match deadline {
                Some(deadline) => timeout_at(deadline, work(engine)).await.ok(),
                None => Some(work(engine).await),
            }
        };
        let failure = match desk.during(attempt).await? {
            Some(Ok(value)) => return Ok(Some(value)),
            None => return Ok(None),
            Some(Err(failure)) if failure.transient => failure,
            Some(Err(failure)) => return Err(End::Failed(failure)),
        };
        let pause = pauses.failed();
        desk.note("engine", "Retried", format!("{what}: {failure}; tried again in {pause:?}"));
        let again = Instant::now() + pause;
        if deadline.is_some_and(|deadline| deadline <= again) {
            desk.until(deadline, |_| false).await?;
            return Ok(None);
        }
        desk.until(Some(again), |_| false).await?;
    }
}
