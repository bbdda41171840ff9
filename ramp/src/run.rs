//! A run: scales up step by step, holds, scales down, removes all instances, and records everything.
//!
//! # Guarantees
//! - While the run waits for a step, everything the engine observes is recorded as it comes.
//! - Requests that fail are retried with growing pauses: only a stop rule, an interrupt, the last step or a permanent failure ends
//!   the ramp.
//! - However the ramp ended, all instances are removed (except with `--keep`), and `run.json` says why it ended.

mod api_calls;
mod beats;
mod eta;
mod event_loop;
pub mod instance_tracker;
mod memory_watch;
pub mod node_tracker;
mod retry;
mod step;
mod stop_rules;
mod teardown;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use beats::Beats;
use event_loop::{EventLoop, Interrupt};
use retry::{PATIENCE, RampEnd, retry};
use stop_rules::StopRules;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::engine::{Engine, Events, Failure, GroupId, Notice, NoticeKind};
use crate::plan::pacing::{Pacing, pacing};
use crate::ui::{Summary, View};
use ramp_format::directory::{Before, Directory};
use ramp_format::plan::Plan;
use ramp_format::rows::{Part, StepOutcome, StepRow};
use ramp_format::run_file::Teardown;
use ramp_format::stop_rule::StepObservation;
use ramp_format::time::Time;

/// Time limit for writing pending rows and `run.json` at the end.
const LAST_ROWS_WITHIN: Duration = Duration::from_secs(30);
/// Time limit for the first sample of each node: without them memory at rest is unknown.
const FIRST_SAMPLES_WITHIN: Duration = Duration::from_secs(5);

/// Idle times of this length are told.
const TOLD_FROM: Duration = Duration::from_secs(3);

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
    /// Time of the last observation before the resume, and damage to the files: recorded once the instances are adopted.
    missed: Option<(Option<SystemTime>, Vec<String>)>,
    /// Why an earlier process had ended the ramp.
    decided: Option<String>,
    /// Whether the engine has begun: created or adopted the workload.
    begun: bool,
    steps_up: u32,
    pacing: Box<dyn Pacing>,
    /// Observation of the last step up.
    observed: Option<StepObservation>,
    /// Available memory of each kernel before the first step, by boot ID.
    idle: BTreeMap<String, u64>,
}

impl<E: Engine> Run<E> {
    /// A new run in a new directory.
    #[must_use]
    pub fn new(engine: E, directory: Directory, surroundings: Surroundings) -> Self {
        let plan = directory.run.plan.clone();
        let Surroundings { clock, view, interrupts } = surroundings;
        let (events, receiver) = Events::channel(clock);
        let pacing = pacing(&plan);
        let mut event_loop = EventLoop::new(clock, directory, view, receiver, interrupts);
        event_loop.planned_steps = pacing.steps();
        let rules = StopRules::of(&plan);
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
            observed: None,
            idle: BTreeMap::new(),
        }
    }

    /// Resumes the run of an earlier process.
    ///
    /// # Errors
    /// If rows are malformed.
    pub fn resume(
        engine: E,
        (directory, before): (Directory, Before),
        surroundings: Surroundings,
    ) -> Result<Self, String> {
        let mut run = Self::new(engine, directory, surroundings);
        for row in &before.pods {
            run.event_loop.population.follow(row);
            run.event_loop.tracker.replay(&row.transition().map_err(|error| format!("pods.csv: {error}"))?);
        }
        for row in before.steps.iter().filter(|row| row.part == Part::Up) {
            run.pacing.next(run.observed.as_ref());
            run.decided = run.rules.look(&row.into()).end;
            run.steps_up = row.step;
            run.observed = Some(row.into());
        }
        let last = before.steps.last();
        run.event_loop.step = last.map_or(0, |row| row.step);
        run.event_loop.asked = last.map_or(0, |row| row.asked_instances);
        run.idle = before.idle;
        run.resumed = Some(last.map_or(Part::Up, |row| row.part));
        let since = last.map(|row| row.time.0).max(before.pods.last().map(|row| row.time.0));
        run.missed = Some((since, before.notes));
        Ok(run)
    }

    fn record_resume(&mut self, since: Option<SystemTime>, notes: &[String]) {
        let (now, step) = (self.event_loop.clock.now(), self.event_loop.step);
        self.event_loop.directory.run.resumes.push(Time(now));
        let mut gap = |kind, at, reason: &str, message| {
            let (object, reason) = ("ramp".into(), reason.into());
            self.event_loop.event(now, &Notice { kind, at, object, reason, message, count: None });
        };
        gap(NoticeKind::GapBegins, since, "Ended", "recording stopped: the process ended".into());
        gap(NoticeKind::GapEnds, Some(now), "Resumed", format!("recording resumed at step {step}"));
        for note in notes {
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
        let failed = matches!(ramp, Err(RampEnd::Failed(_)));
        if matches!(ramp, Err(RampEnd::Halt(Interrupt::Interrupted))) && !self.plan.keep {
            let view = &self.event_loop.view;
            view.say("interrupted: removing all instances (interrupt again to leave them)");
        }
        let why = match ramp {
            Ok(why) => why,
            Err(RampEnd::Halt(Interrupt::Interrupted)) => "interrupted".to_owned(),
            Err(RampEnd::Halt(Interrupt::TimeUp)) => self.time_is_up(),
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
            directory: self.event_loop.directory.path().display().to_string(),
        };
        let rows_lost = self.event_loop.directory.rows_not_written();
        let run = &mut self.event_loop.directory.run;
        run.end = Some(Time(self.event_loop.clock.now()));
        run.why_ended = Some(why);
        run.teardown = teardown;
        run.held = Some(held);
        run.running = Some(running);
        run.rows_lost = rows_lost;
        let saved = self.event_loop.save(LAST_ROWS_WITHIN).await;
        self.event_loop.view.end(&summary);
        saved.map(|()| summary).map_err(|error| format!("run.json: {error}"))
    }

    fn time_is_up(&self) -> String {
        let limit = self.rules.time_limit().unwrap_or_default();
        format!("time:{0}: {0} have passed", humantime::format_duration(limit))
    }

    /// Scales up, holds and scales down. Returns why the way up ended.
    async fn ramp(&mut self) -> Result<String, RampEnd> {
        self.begin().await?;
        let decided = self.decided.take();
        let goes_up = matches!(self.resumed, None | Some(Part::Up));
        let why = match decided {
            None if goes_up => {
                let reached = self.event_loop.step;
                let why = self.up_in_time().await?;
                if self.resumed.is_some() && self.event_loop.step == reached {
                    // Killed after the last step, and instances may have ended with the process.
                    self.restore().await?;
                }
                why
            }
            decided => {
                if goes_up {
                    self.restore().await?;
                }
                decided
            }
        };
        if goes_up {
            self.hold().await?;
        }
        let why = why.unwrap_or_else(|| "all planned steps completed".to_owned());
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
        if let Some((since, notes)) = self.missed.take() {
            self.record_resume(since, &notes);
        }
        if let Err(error) = self.event_loop.directory.save() {
            self.event_loop.note("run.json", "NotWritten", error.to_string());
        }
        self.event_loop.view.heading();
        let first = Instant::now() + FIRST_SAMPLES_WITHIN;
        self.event_loop.until(first, |event_loop| event_loop.nodes.all_sampled()).await?;
        if self.resumed.is_none() {
            // Memory and CPU of the idle nodes.
            if self.plan.settle >= TOLD_FROM {
                let words = humantime::format_duration(self.plan.settle);
                self.event_loop
                    .view
                    .say(&format!("measuring the idle nodes for {words} before the first step"));
            }
            self.event_loop.wait(Instant::now() + self.plan.settle).await?;
        }
        if self.idle.is_empty() {
            self.idle = self.event_loop.nodes.available(self.event_loop.clock.now());
        }
        Ok(())
    }

    /// Scales up, within the time that a rule sets.
    async fn up_in_time(&mut self) -> Result<Option<String>, RampEnd> {
        self.event_loop.part = Part::Up;
        let limit = self.rules.time_limit();
        self.event_loop.time_limit = limit.map(|limit| self.event_loop.directory.run.begin.0 + limit);
        let why = match self.up().await {
            Err(RampEnd::Halt(Interrupt::TimeUp)) => Ok(Some(self.time_is_up())),
            other => other,
        };
        self.event_loop.time_limit = None;
        why
    }

    /// Scales up step by step. Returns why a rule ended it.
    async fn up(&mut self) -> Result<Option<String>, RampEnd> {
        let mut beats = Beats::new(self.plan.pace);
        while let Some(asked) = self.pacing.next(self.observed.as_ref()) {
            self.event_loop.step += 1;
            let row = self.step(&asked, Part::Up, beats.next(), EventLoop::is_settled).await?;
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
        let scale = async |engine: &mut E| engine.scale(GroupId::ONLY, asked).await;
        retry(&mut self.engine, &mut self.event_loop, deadline, "scale", scale).await?;
        self.event_loop.until(deadline, |event_loop| event_loop.is_settled(asked)).await?;
        Ok(())
    }

    async fn hold(&mut self) -> Result<(), RampEnd> {
        if self.plan.hold.is_zero() {
            return Ok(());
        }
        self.event_loop.part = Part::Hold;
        let began = Instant::now();
        self.event_loop.wait(began + self.plan.hold).await?;
        let row = self.row(StepOutcome::Settled, began, None);
        self.event_loop.step_row(&row);
        Ok(())
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
