//! A run: up step by step, until there is enough; held, down again, and everything removed.
//!
//! # Guarantees
//! - While a step is waited for, everything that the engine tells is written down as it comes.
//! - What the engine cannot do now is tried again, with growing pauses: nothing but a rule, an interrupt, the last step or a
//!   refusal for good ends the ramp.
//! - Whatever ended the ramp, everything is removed then (unless it is to be kept), and the run directory says how it went.

mod api_calls;
mod eta;
mod event_loop;
pub mod instance_tracker;
mod memory_watch;
pub mod node_tracker;
mod step;
mod stop_rules;
mod teardown;

pub use api_calls::ApiCalls;
pub use event_loop::Interrupt;

use std::time::{Duration, SystemTime};

use event_loop::EventLoop;
use step::{Beats, insist};
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

/// For how long what the engine cannot do at the beginning or at the end is tried again.
const PATIENCE: Duration = Duration::from_secs(120);
/// For how long rows that wait for the disk are tried at the end.
const LAST_ROWS_WITHIN: Duration = Duration::from_secs(30);
/// For how long the first samples of the nodes are waited for: without them the idle machines are unknown.
const FIRST_SAMPLES_WITHIN: Duration = Duration::from_secs(5);

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
    event_loop: EventLoop,
    rules: StopRules,
    plan: Plan,
    events: Events,
    /// Whether an earlier process began it, and what it was doing at last.
    resumed: Option<Part>,
    /// Since when nothing had been observed, and what was wrong with the files: told once the population is taken over.
    missed: Option<(Option<SystemTime>, Vec<String>)>,
    /// Why an earlier process had found that there are enough.
    decided: Option<String>,
    /// Whether anything of it is watched.
    begun: bool,
    steps_up: u32,
    pacing: Box<dyn Pacing>,
    /// What was seen of the last step up.
    observed: Option<StepObservation>,
    /// Available memory of each kernel before the first step.
    idle: std::collections::BTreeMap<String, u64>,
}

/// Why the ramp ends before its last step.
#[derive(Debug)]
enum RampEnd {
    Halt(Interrupt),
    Failed(Failure),
}

impl From<Interrupt> for RampEnd {
    fn from(halt: Interrupt) -> Self {
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
        let since = [last.map(|row| row.time.0), before.pods.last().map(|row| row.time.0)]
            .into_iter()
            .flatten()
            .max();
        run.missed = Some((since, before.notes));
        Ok(run)
    }

    fn say_resumed(&mut self, since: Option<SystemTime>, notes: &[String]) {
        let now = self.event_loop.clock.now();
        self.event_loop.directory.run.resumes.push(Time(now));
        self.event_loop.event(
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
        self.event_loop.event(
            now,
            &Notice {
                kind: NoticeKind::GapEnds,
                at: Some(now),
                object: "ramp".into(),
                reason: "Resumed".into(),
                message: format!("another process goes on at step {}", self.event_loop.step),
                count: None,
            },
        );
        for note in notes {
            self.event_loop.note("ramp", "Torn", note);
        }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Where `run.json` cannot be written at the end; and where a run that is gone on with is not found, or cannot be reached:
    /// then nothing is changed, so that it can be tried again.
    pub async fn go(mut self) -> Result<Summary, String> {
        let ramp = self.ramp().await;
        if self.resumed.is_some() && !self.begun {
            return Err(self.not_taken_over(ramp));
        }
        let failed = matches!(ramp, Err(RampEnd::Failed(_)));
        let why = match ramp {
            Ok(why) => why,
            Err(RampEnd::Halt(Interrupt::Interrupted)) => "interrupted".to_owned(),
            Err(RampEnd::Halt(Interrupt::TimeUp)) => self.time_is_up(),
            Err(RampEnd::Failed(failure)) => failure.message,
        };
        let teardown = if self.plan.keep { None } else { Some(self.clean().await) };
        self.finish(why, failed, teardown).await
    }

    /// Ends a run whose process was no longer there: removes everything, and writes down how that went.
    ///
    /// # Errors
    /// Those of [`Self::go`].
    pub async fn clean_up(mut self) -> Result<Summary, String> {
        let why = match self.begin().await {
            Ok(()) => "its process was ended; what it had left was removed by another one".to_owned(),
            // It is not there any more. What bears its name all the same is removed.
            Err(RampEnd::Failed(failure)) if !failure.transient => {
                format!("its process was ended; {}", failure.message)
            }
            end => return Err(self.not_taken_over(end.map(|()| String::new()))),
        };
        let teardown = Some(self.clean().await);
        self.finish(why, false, teardown).await
    }

    fn not_taken_over(&self, end: Result<String, RampEnd>) -> String {
        let why = match end {
            Err(RampEnd::Failed(failure)) => failure.message,
            Ok(_) | Err(RampEnd::Halt(_)) => "interrupted".to_owned(),
        };
        let directory = self.event_loop.directory.path().display();
        format!(
            "{why}\nThe run was not taken over, and its instances are as they were. When that is mended: ramp run --resume \
             {directory}, or ramp clean {directory}"
        )
    }

    async fn finish(
        mut self,
        why: String,
        failed: bool,
        teardown: Option<Teardown>,
    ) -> Result<Summary, String> {
        self.event_loop.take_arrived();
        self.event_loop.write_what_waits(LAST_ROWS_WITHIN).await;
        let summary = Summary {
            run: self.plan.run.clone(),
            why_ended: why.clone(),
            failed,
            steps: self.steps_up,
            held: self.event_loop.population.held(),
            running: self.event_loop.population.running(),
            most_at_work: self.event_loop.population.running().count,
            most_at_work_at_step: self.event_loop.population.running().step,
            evictions: self.event_loop.tracker.totals().evictions,
            oom_kills: self.event_loop.tracker.totals().oom_kills,
            teardown_seconds: teardown.as_ref().and_then(|teardown| teardown.seconds),
            left: teardown.as_ref().map(|teardown| teardown.left.clone()).unwrap_or_default(),
            directory: self.event_loop.directory.path().display().to_string(),
        };
        let rows_lost = self.event_loop.directory.rows_not_written();
        let run = &mut self.event_loop.directory.run;
        run.end = Some(Time(self.event_loop.clock.now()));
        run.why_ended = Some(why);
        run.teardown = teardown;
        run.held = Some(summary.held);
        run.running = Some(summary.running);
        run.rows_lost = rows_lost;
        let saved = self.event_loop.save(LAST_ROWS_WITHIN).await;
        self.event_loop.view.end(&summary);
        saved.map(|()| summary).map_err(|error| format!("run.json: {error}"))
    }

    fn time_is_up(&self) -> String {
        let limit = self.rules.time_limit().unwrap_or_default();
        format!("time:{0}: {0} have passed", humantime::format_duration(limit))
    }

    /// Up, held and down again. Why it went no further up.
    async fn ramp(&mut self) -> Result<String, RampEnd> {
        self.begin().await?;
        let decided = self.decided.take();
        let goes_up = matches!(self.resumed, None | Some(Part::Up));
        let why = match decided {
            None if goes_up => self.up_in_time().await?,
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
        let why = why.unwrap_or_else(|| "every step that was planned has been made".to_owned());
        if self.plan.down && self.resumed != Some(Part::Clean) {
            self.down().await?;
        }
        Ok(why)
    }

    /// The population, at rest, and the first look at everything.
    async fn begin(&mut self) -> Result<(), RampEnd> {
        let (events, adopt) = (self.events.clone(), self.resumed.is_some());
        let deadline = Some(Instant::now() + PATIENCE);
        let begin = async |engine: &mut E| engine.begin(events.clone(), adopt).await;
        let applied = insist(&mut self.engine, &mut self.event_loop, deadline, "begin", begin).await?;
        let applied = applied.ok_or_else(|| {
            RampEnd::Failed(Failure::transient("the population could not be made in time: see events.csv"))
        })?;
        self.event_loop.directory.run.manifest = applied.manifest;
        self.begun = true;
        if let Some((since, notes)) = self.missed.take() {
            self.say_resumed(since, &notes);
        }
        if let Err(error) = self.event_loop.directory.save() {
            self.event_loop.note("run.json", "NotWritten", error.to_string());
        }
        self.event_loop.view.heading();
        let first = Some(Instant::now() + FIRST_SAMPLES_WITHIN);
        self.event_loop.until(first, |event_loop| event_loop.nodes.all_have_told()).await?;
        if self.resumed.is_none() {
            // What the idle machines do by themselves.
            self.event_loop.until(Some(Instant::now() + self.plan.settle), |_| false).await?;
        }
        if self.idle.is_empty() {
            self.idle = self.event_loop.nodes.available(self.event_loop.clock.now());
        }
        Ok(())
    }

    /// Up, for no longer than a rule says.
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

    /// More with each step, until there are enough. The rule that says so.
    async fn up(&mut self) -> Result<Option<String>, RampEnd> {
        let mut beats = Beats::new(self.plan.pace);
        while let Some(asked) = self.pacing.next(self.observed.as_ref()) {
            self.event_loop.step += 1;
            let row = self.step(&asked, Part::Up, beats.next(), EventLoop::is_settled).await?;
            self.observed = Some((&row).into());
            if let Some(why) = self.judge(row) {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// What the rules say of a step. Its row is written with their names.
    fn judge(&mut self, mut row: StepRow) -> Option<String> {
        let verdict = self.rules.look(&(&row).into());
        row.rules = verdict.hold.iter().map(|(rule, _)| rule.to_string()).collect::<Vec<_>>().join(" ");
        self.write(&row);
        self.steps_up = row.step;
        for (rule, only_noted, why) in verdict.news {
            self.event_loop.rule(if only_noted { "noted_rule" } else { "rule" }, &rule.to_string(), &why);
        }
        verdict.end
    }

    /// What was asked for when an earlier process ended: not every engine's instances outlive it.
    async fn restore(&mut self) -> Result<(), RampEnd> {
        let (asked, deadline) = (self.event_loop.asked, Instant::now() + self.plan.step_timeout);
        let scale = async |engine: &mut E| engine.scale(GroupId::ONLY, asked).await;
        insist(&mut self.engine, &mut self.event_loop, Some(deadline), "scale", scale).await?;
        self.event_loop.until(Some(deadline), |event_loop| event_loop.is_settled(asked)).await?;
        Ok(())
    }

    async fn hold(&mut self) -> Result<(), RampEnd> {
        if self.plan.hold.is_zero() {
            return Ok(());
        }
        self.event_loop.part = Part::Hold;
        let began = Instant::now();
        self.event_loop.until(Some(began + self.plan.hold), |_| false).await?;
        let row = self.row(StepOutcome::Settled, began, None);
        self.write(&row);
        Ok(())
    }

    /// Fewer with each step, to none.
    async fn down(&mut self) -> Result<(), RampEnd> {
        let mut beats = Beats::new(self.plan.pace);
        while let Some(asked) = self.pacing.down(self.event_loop.asked) {
            self.event_loop.step += 1;
            let gone = |event_loop: &EventLoop, asked| event_loop.tracker.in_place() <= asked;
            let row = self.step(&asked, Part::Down, beats.next(), gone).await?;
            self.write(&row);
        }
        Ok(())
    }
}
