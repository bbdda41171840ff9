//! A run: scales up step by step, holds, scales down, removes all instances, and records everything.
//!
//! # Guarantees
//! - While the run waits for a step, everything the engine observes is recorded as it comes.
//! - Requests that fail are retried with growing pauses: only a stop rule, an interrupt, the last step or a permanent failure ends
//!   the ramp.
//! - However the ramp ended, all instances are removed (except with `--keep`), and `run.json` says why it ended.

mod api_calls;
mod beats;
mod blockage;
mod clock_watch;
mod eta;
mod event_loop;
mod external_removals;
pub mod instance_tracker;
mod level;
mod level_watch;
mod line_limiter;
mod memory_watch;
pub mod node_tracker;
mod retry;
mod step;
mod stop_rules;
mod teardown;

use std::collections::BTreeMap;
use std::time::Duration;

use beats::Beats;
use clock_watch::ClockWatch;
use eta::ClimbTimes;
use event_loop::{EventLoop, Interrupt};
use retry::{PATIENCE, RampEnd, retry};
use stop_rules::StopRules;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::{Clock, Moment};
use crate::engine::{Engine, Events, Failure, GroupId, Notice, NoticeKind};
use crate::plan::pacing::Pacing;
use crate::plan::pacing_of;
use crate::ui::{Summary, View};
use crate::waiting;
use ramp_format::directory::{Before, Directory};
use ramp_format::plan::Plan;
use ramp_format::rows::{Part, StepOutcome, StepRow};
use ramp_format::run_clock::RunClock;
use ramp_format::run_file::Teardown;
use ramp_format::stop_rule::StepObservation;
use ramp_format::text::first_names;
use ramp_format::time::Time;

/// Time limit for writing pending rows and `run.json` at the end.
const LAST_ROWS_WITHIN: Duration = Duration::from_secs(30);
/// Time limit for the first sample of each node: without them memory at rest is unknown.
const FIRST_SAMPLES_WITHIN: Duration = Duration::from_secs(5);

/// Environment of a run.
#[derive(Debug)]
pub struct Surroundings {
    /// Wall clock.
    pub clock: Clock,
    /// Live view.
    pub view: View,
    /// Number of interrupts so far.
    pub interrupts: watch::Receiver<u32>,
}

/// What a resumed run has missed.
#[derive(Debug)]
struct Missed {
    /// Time since the run began of the last row of the earlier process.
    since: Duration,
    /// By which clock the time since then is known.
    by: &'static str,
    /// Damage to the files.
    notes: Vec<String>,
}

/// Instances of all groups.
fn size(asked: &[(GroupId, u32)]) -> u32 {
    asked.iter().map(|(_, instances)| instances).sum()
}

/// A run.
#[derive(Debug)]
pub struct Run<E> {
    engine: E,
    event_loop: EventLoop,
    rules: StopRules,
    plan: Plan,
    events: Events,
    /// Part of the run that an earlier process had reached; none for a new run.
    resumed: Option<Part>,
    /// What is recorded of the resume once the instances are adopted.
    missed: Option<Missed>,
    /// Why an earlier process had ended the ramp.
    decided: Option<String>,
    /// Whether the engine has begun: created or adopted the workload.
    begun: bool,
    steps_up: u32,
    pacing: Box<dyn Pacing>,
    /// For how long memory is watched at most after the last instance; none for the usual time.
    watched_at_most: Option<Duration>,
    /// Observation of the last step up.
    observed: Option<StepObservation>,
    /// Available memory of each kernel before the first step, by boot ID.
    idle: BTreeMap<String, u64>,
}

impl<E: Engine> Run<E> {
    /// A new run in a new directory.
    #[must_use]
    pub fn new(engine: E, mut directory: Directory, surroundings: Surroundings) -> Self {
        let plan = directory.run.plan.clone();
        directory.run.clock.get_or_insert_with(|| surroundings.clock.recorded());
        let Surroundings { clock, view, interrupts } = surroundings;
        let (events, receiver) = Events::channel(clock.clone());
        let pacing = pacing_of(&plan);
        let mut event_loop = EventLoop::new(clock, directory, view, receiver, interrupts);
        event_loop.planned_steps = pacing.steps();
        let rules = StopRules::of(&plan);
        event_loop.blocked_rules = StopRules::blocked(&plan);
        Self {
            engine,
            event_loop,
            rules,
            plan,
            events,
            resumed: None,
            missed: None,
            decided: None,
            begun: false,
            steps_up: 0,
            pacing,
            watched_at_most: None,
            observed: None,
            idle: BTreeMap::new(),
        }
    }

    /// Memory is watched for longer after the last instance, until it is back, or stays where it is: another run begins then.
    #[must_use]
    pub fn watching_memory_for(self, at_most: Duration) -> Self {
        Self { watched_at_most: Some(at_most), ..self }
    }

    /// Resumes the run of an earlier process.
    ///
    /// # Errors
    /// If rows are malformed.
    pub fn resume(
        engine: E,
        (mut directory, before): (Directory, Before),
        surroundings: Surroundings,
    ) -> Result<Self, String> {
        let earlier = directory.run.clock.take().unwrap_or_default();
        let (elapsed, wall) = before.last.unwrap_or((Duration::ZERO, directory.run.begin));
        let suspended = Duration::try_from_secs_f64(earlier.suspended_seconds()).unwrap_or_default();
        let last = Moment { wall: wall.0, elapsed, suspended };
        let (clock, by_monotonic) = surroundings.clock.resume(&earlier, last);
        directory.run.clock =
            Some(RunClock { set: earlier.set, suspended: earlier.suspended, ..clock.recorded() });
        let by = if by_monotonic { "monotonic" } else { "wall" };
        let missed = Missed { since: elapsed, by, notes: before.notes };
        let mut run = Self::new(engine, directory, Surroundings { clock, ..surroundings });
        if by_monotonic {
            run.event_loop.clocks = ClockWatch::resume(last);
        }
        for row in &before.pods {
            run.event_loop.population.follow(row);
            run.event_loop.tracker.replay(&row.transition().map_err(|error| format!("pods.csv: {error}"))?);
        }
        for row in before.steps.iter().filter(|row| matches!(row.part, Part::Up | Part::Search)) {
            let next = run.pacing.next(run.observed.as_ref());
            // After an earlier resume a climb began again.
            if next.is_some_and(|next| size(&next) != row.asked_instances) {
                run.pacing.restart();
            }
            run.decided = run.rules.look(&row.into()).end;
            run.steps_up = row.step;
            run.observed = Some(row.into());
        }
        let last = before.steps.last();
        run.event_loop.step = last.map_or(0, |row| row.step);
        run.event_loop.asked = last.map_or(0, |row| row.asked_instances);
        run.idle = before.idle;
        run.resumed = Some(last.map_or(Part::Up, |row| row.part));
        run.missed = Some(missed);
        Ok(run)
    }

    fn record_resume(&mut self, missed: &Missed) {
        let (now, step) = (self.event_loop.clock.moment(), self.event_loop.step);
        self.event_loop.directory.run.resumes.push(Time(now.wall));
        let unseen = now.elapsed.saturating_sub(missed.since);
        let since = now.wall.checked_sub(unseen);
        let mut gap = |kind, at, reason: &str, message| {
            let (object, reason) = ("ramp".into(), reason.into());
            self.event_loop.event(now, &Notice { kind, at, object, reason, message, count: None });
        };
        gap(NoticeKind::GapBegins, since, "Ended", "recording stopped: the process ended".into());
        let resumed = format!(
            "recording resumed at step {step}, {:.1} s after the last row by the {} clock",
            unseen.as_secs_f64(),
            missed.by
        );
        gap(NoticeKind::GapEnds, Some(now.wall), "Resumed", resumed);
        for note in &missed.notes {
            self.event_loop.note("ramp", "Torn", note);
        }
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// If `run.json` cannot be written at the end, or if the instances of a resumed run cannot be adopted: nothing is changed then,
    /// so that resuming can be retried.
    pub async fn go(mut self) -> Result<Summary, String> {
        let ramp = self.ramp().await;
        if self.resumed.is_some() && !self.begun {
            return Err(self.not_adopted(ramp));
        }
        let failed = matches!(ramp, Err(RampEnd::Failed(_) | RampEnd::Halt(Interrupt::Removed)));
        if matches!(ramp, Err(RampEnd::Halt(Interrupt::Interrupted))) && !self.plan.keep {
            let view = &self.event_loop.view;
            view.say("interrupted: removing all instances (interrupt again to leave them)");
        }
        let why = match ramp {
            Ok(why) => why,
            Err(RampEnd::Halt(Interrupt::Interrupted)) => "interrupted".to_owned(),
            Err(RampEnd::Halt(Interrupt::TimeUp)) => self.time_is_up(),
            Err(RampEnd::Halt(Interrupt::Blocked)) => self.event_loop.take_blocked(),
            Err(RampEnd::Halt(Interrupt::Removed)) => self.event_loop.removed.clone().unwrap_or_default(),
            Err(RampEnd::Failed(failure)) => failure.message,
        };
        let teardown = if self.plan.keep { None } else { Some(self.clean().await) };
        self.finish(why, failed, teardown).await
    }

    /// Ends a run whose process is gone: removes all instances and records the teardown.
    ///
    /// # Errors
    /// Those of [`Self::go`].
    pub async fn clean_up(mut self) -> Result<Summary, String> {
        let why = match self.begin().await {
            Ok(()) => "the process ended; instances removed by ramp clean".to_owned(),
            // The workload is gone. Objects that still have its label are removed.
            Err(RampEnd::Failed(failure)) if !failure.transient => {
                format!("the process ended; {}", failure.message)
            }
            end => return Err(self.not_adopted(end.map(|()| String::new()))),
        };
        let teardown = Some(self.clean().await);
        self.finish(why, false, teardown).await
    }

    fn not_adopted(&self, end: Result<String, RampEnd>) -> String {
        let why = match end {
            Err(RampEnd::Failed(failure)) => failure.message,
            Err(RampEnd::Halt(Interrupt::Removed)) => self.event_loop.removed.clone().unwrap_or_default(),
            Ok(_) | Err(RampEnd::Halt(_)) => "interrupted".to_owned(),
        };
        let directory = self.event_loop.directory.path().display();
        format!(
            "{why}\nnothing changed: the instances of the run were not adopted; fix the cause, then: \
             ramp run --resume {directory}, or ramp clean {directory}"
        )
    }

    async fn finish(
        mut self,
        why: String,
        failed: bool,
        teardown: Option<Teardown>,
    ) -> Result<Summary, String> {
        self.event_loop.handle_arrived();
        self.event_loop.flush(LAST_ROWS_WITHIN).await;
        let rows_lost = self.event_loop.directory.rows_not_written();
        let (held, running) = (self.event_loop.population.held(), self.event_loop.population.running());
        let totals = self.event_loop.tracker.totals();
        let summary = Summary {
            run: self.plan.run.clone(),
            why_ended: why.clone(),
            failed,
            steps: self.steps_up,
            held,
            running,
            most_at_work: running.count,
            most_at_work_at_step: running.step,
            evictions: totals.evictions,
            oom_kills: totals.oom_kills,
            teardown_seconds: teardown.as_ref().and_then(|teardown| teardown.seconds),
            left: teardown.as_ref().map(|teardown| teardown.left.clone()).unwrap_or_default(),
            search: self.pacing.found(),
            rows_lost,
            directory: self.event_loop.directory.path().display().to_string(),
        };
        let run = &mut self.event_loop.directory.run;
        run.end = Some(Time(self.event_loop.clock.now()));
        run.why_ended = Some(why);
        run.failed = failed;
        run.teardown = teardown;
        run.held = Some(held);
        run.running = Some(running);
        run.rows_lost = rows_lost;
        let saved = self.event_loop.save(LAST_ROWS_WITHIN).await;
        self.event_loop.view.end(&summary);
        let path = self.event_loop.directory.path().join("run.json");
        saved.map(|()| summary).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn time_is_up(&self) -> String {
        let limit = self.rules.time_limit().unwrap_or_default();
        format!("time:{0}: {0} have passed", humantime::format_duration(limit))
    }

    /// Scales up, holds and scales down. Returns why the way up ended.
    async fn ramp(&mut self) -> Result<String, RampEnd> {
        self.begin().await?;
        let decided = self.decided.take();
        let goes_up = matches!(self.resumed, None | Some(Part::Up | Part::Search));
        let is_search = self.plan.search.is_some();
        let why = match decided {
            None if goes_up => {
                let reached = self.event_loop.step;
                let why = self.up_in_time().await?;
                if self.resumed.is_some() && self.event_loop.step == reached && !is_search {
                    // Killed after the last step, and instances may have ended with the process.
                    self.restore().await?;
                }
                why
            }
            decided => {
                if goes_up && !is_search {
                    self.restore().await?;
                }
                decided
            }
        };
        // Without a running instance there is nothing to hold.
        let is_in_vain = why.is_some() && self.event_loop.has_none_running_because_blocked();
        let held = if goes_up && !is_in_vain && !is_search { self.hold().await? } else { None };
        let why = why
            .or(held)
            .or_else(|| self.pacing.why_ended())
            .unwrap_or_else(|| "all planned steps completed".to_owned());
        if self.plan.down && self.resumed != Some(Part::Clean) {
            self.down().await?;
        }
        Ok(why)
    }

    /// Creates or adopts the workload, and waits for the first samples and the idle time.
    async fn begin(&mut self) -> Result<(), RampEnd> {
        let (events, adopt) = (self.events.clone(), self.resumed.is_some());
        let deadline = Instant::now() + PATIENCE;
        let begin = async |engine: &mut E| engine.begin(events.clone(), adopt).await;
        let applied = retry(&mut self.engine, &mut self.event_loop, deadline, "begin", begin).await?;
        let applied = applied.ok_or_else(|| {
            let seconds = PATIENCE.as_secs();
            RampEnd::Failed(Failure::transient(format!(
                "creating the workload timed out after {seconds} s: see events.csv"
            )))
        })?;
        self.event_loop.directory.run.manifest = applied.manifest;
        self.begun = true;
        if let Some(missed) = self.missed.take() {
            self.record_resume(&missed);
        }
        if let Err(error) = self.event_loop.directory.save() {
            self.event_loop.note("run.json", "NotWritten", error.to_string());
        }
        self.event_loop.view.heading();
        let first = Instant::now() + FIRST_SAMPLES_WITHIN;
        let sampled = |event_loop: &EventLoop| event_loop.nodes.all_sampled();
        let what = |event_loop: &EventLoop| {
            let unsampled: Vec<&str> = event_loop.nodes.unsampled().collect();
            format!("the first sample of {}", first_names(&unsampled, 3))
        };
        self.event_loop.until_told(first, "nodes", sampled, what).await?;
        let unsampled: Vec<String> = self.event_loop.nodes.unsampled().map(str::to_owned).collect();
        if !unsampled.is_empty() {
            let names = first_names(&unsampled, 3);
            let message = format!(
                "no sample from {names}: memory of all nodes is not known (run the node probe there, or exclude the nodes)"
            );
            self.event_loop.note("nodes", "NotSampled", message);
        }
        if self.resumed.is_none() {
            // Memory and CPU of the idle nodes.
            if self.plan.settle >= waiting::FIRST {
                let words = humantime::format_duration(self.plan.settle);
                self.event_loop
                    .view
                    .say(&format!("measuring the idle nodes for {words} before the first step"));
            }
            self.event_loop.wait(Instant::now() + self.plan.settle).await?;
        }
        if self.idle.is_empty() {
            self.idle = self.event_loop.nodes.available(self.event_loop.clock.moment().passed());
        }
        Ok(())
    }

    /// Scales up, within the time that a rule sets.
    async fn up_in_time(&mut self) -> Result<Option<String>, RampEnd> {
        self.event_loop.part = Part::Up;
        self.event_loop.time_limit = self.rules.time_limit();
        let why = match self.up().await {
            Err(RampEnd::Halt(Interrupt::TimeUp)) => Ok(Some(self.time_is_up())),
            Err(RampEnd::Halt(Interrupt::Blocked)) => Ok(Some(self.event_loop.take_blocked())),
            other => other,
        };
        self.event_loop.time_limit = None;
        why
    }

    /// Scales up step by step. Returns why a rule ended it.
    async fn up(&mut self) -> Result<Option<String>, RampEnd> {
        let mut beats = Beats::new(self.plan.pace);
        let mut climbs = ClimbTimes::default();
        let mut is_resumed = self.resumed.is_some();
        while let Some(mut asked) = self.pacing.next(self.observed.as_ref()) {
            // Instances may have ended with the earlier process.
            if std::mem::take(&mut is_resumed)
                && let Some(again) = self.pacing.restart()
            {
                asked = again;
            }
            self.event_loop.step += 1;
            let row = match self.pacing.level() {
                Some(level) => {
                    self.event_loop.searched = Some(climbs.words(level, Instant::now()));
                    self.level(&asked, level).await?
                }
                None => self.step(&asked, Part::Up, beats.next(), EventLoop::is_settled).await?,
            };
            self.observed = Some((&row).into());
            if let Some(why) = self.apply_rules(row) {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// Applies the rules to a step and writes its row with the rules that fired. Returns why the ramp ends.
    fn apply_rules(&mut self, mut row: StepRow) -> Option<String> {
        let verdict = self.rules.look(&(&row).into());
        row.rules = verdict.fired.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        self.event_loop.step_row(&row);
        self.steps_up = row.step;
        for (rule, only_noted, why) in verdict.news {
            self.event_loop.rule(if only_noted { "noted_rule" } else { "rule" }, &rule.to_string(), &why);
        }
        verdict.end
    }

    /// Scales to the number requested by the earlier process: instances of some engines end with it.
    async fn restore(&mut self) -> Result<(), RampEnd> {
        let (asked, deadline) = (self.event_loop.asked, Instant::now() + self.plan.step_timeout);
        let groups = self.pacing.groups(asked);
        self.scale(&groups, deadline).await?;
        self.event_loop.until_settled(deadline, |event_loop| event_loop.is_settled(asked)).await?;
        Ok(())
    }

    /// Keeps what there is for a while. Returns why a rule ended that.
    async fn hold(&mut self) -> Result<Option<String>, RampEnd> {
        if self.plan.hold.is_zero() {
            return Ok(None);
        }
        self.event_loop.part = Part::Hold;
        if self.plan.hold >= waiting::FIRST {
            let words = humantime::format_duration(self.plan.hold);
            self.event_loop.view.say(&format!("holding for {words}"));
        }
        let began = Instant::now();
        let why = match self.event_loop.wait(began + self.plan.hold).await {
            Err(Interrupt::Blocked) => Some(self.event_loop.take_blocked()),
            other => {
                other?;
                None
            }
        };
        let row = self.row(StepOutcome::Settled, began, None);
        self.event_loop.step_row(&row);
        Ok(why)
    }

    /// Scales down step by step to zero.
    async fn down(&mut self) -> Result<(), RampEnd> {
        let mut beats = Beats::new(self.plan.pace);
        while let Some(asked) = self.pacing.down(self.event_loop.asked) {
            self.event_loop.step += 1;
            let gone = |event_loop: &EventLoop, asked| event_loop.tracker.in_place() <= asked;
            let row = self.step(&asked, Part::Down, beats.next(), gone).await?;
            self.event_loop.step_row(&row);
        }
        Ok(())
    }
}
