//! Controller: the event loop that watches the containers, lists them after each gap, and sends the requests that are due. Where the
//! service delivers no events, it lists them each second.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bollard::models::{ContainerCreateBody, EventMessage};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::api::{Api, Refusal};
use super::container_spec::with_uid;
use super::inspect::{ContainerEvent, InspectedContainer};
use super::operations::{bring_down, bring_up, list};
use super::population::{ContainerPopulation, ListedContainer, Operation, UpFailure};
use crate::backoff::Backoff;
use crate::engine::kernel_log::KernelLog;
use crate::engine::log_poller::{AT_ONCE, BEAT, LogQueue, LogRead, ReadOutcome, last_record};
use crate::engine::outage::Outage;
use crate::engine::replicas::{BothClocks, Desired};
use crate::engine::timed::measured;
use crate::engine::{Event, Events, Failure, InstanceStatus, NOT_THERE_AGAIN, Notice};

/// A silent stream tells nothing of the server's health, so the server is pinged.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A new stream begins this much earlier: events are stamped in whole seconds.
const OVERLAP: Duration = Duration::from_secs(2);

/// A stream of events that ends sooner than this was never one: the service keeps no events.
const SHORTEST_STREAM: Duration = Duration::from_secs(2);
/// So many streams in a row that are none: from then on containers are listed.
const FAILED_STREAMS: u32 = 2;
/// A container that was started is told of within this time, unless there are no events (`events_logger=journald` without journald).
const FIRST_EVENT_WITHIN: Duration = Duration::from_secs(5);
/// When a container whose status is unknown is inspected again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Interval of the lists where there are no events.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// What the controller is made from.
pub(super) struct ControllerDeps {
    pub(super) api: Api,
    pub(super) events: Events,
    pub(super) run: String,
    pub(super) body: Arc<ContainerCreateBody>,
    pub(super) stop_timeout_seconds: i64,
    pub(super) adopt: bool,
    /// The queue of logs to read, where instances report.
    pub(super) logs: Option<LogQueue>,
    pub(super) wanted: watch::Receiver<Desired>,
    /// The kernel log of the engine's machine.
    pub(super) log: KernelLog,
    /// Receives the number of instances once they are known.
    pub(super) begun: Option<oneshot::Sender<Result<u32, Failure>>>,
}

/// The watch over containers.
enum Watch {
    /// Events, and whether the list of containers has been taken since.
    On { events: EventSource, listed: bool },
    /// There is no stream; the next attempt is at that time.
    Off { until: Instant },
}

enum EventSource {
    /// The stream of events.
    Stream { stream: BoxStream<'static, Result<EventMessage, Refusal>>, since: Instant },
    /// The service has none; the next list is at that time, none while one is awaited.
    Lists { at: Option<Instant> },
}

enum OperationResult {
    Came { number: u32, asked: u64, result: Result<InspectedContainer, UpFailure> },
    Went { number: u32, result: Result<(), Refusal> },
    Looked { number: u32, asked: u64, result: Result<InspectedContainer, Refusal> },
    Listed { watch: u64, asked: u64, result: Result<Vec<ListedContainer>, Refusal> },
    Pinged { watch: u64, result: Result<(), Refusal> },
    Read { turn: LogRead, result: Result<Option<Map<String, Value>>, Refusal> },
}

pub(super) struct Controller {
    deps: ControllerDeps,
    population: ContainerPopulation,
    jobs: JoinSet<OperationResult>,
    readings: usize,
    watch: Watch,
    /// The number of this watch: answers to requests of an earlier one are stale.
    watches: u64,
    pauses: Backoff,
    /// Streams of events in a row that were none.
    failed_streams: u32,
    /// Since when an event is due that proves that there are any; none while none is due.
    event_due: Option<Instant>,
    /// Whether this watch has had an event.
    had_event: bool,
    /// Whether a log that cannot be read has been told.
    told_of_logs: bool,
    gap: Outage,
    seen_until: SystemTime,
    ping_at: Instant,
}

impl Controller {
    pub(super) fn new(deps: ControllerDeps, population: ContainerPopulation) -> Self {
        let now = Instant::now();
        Self {
            seen_until: deps.events.clock().now(),
            gap: Outage::of("watch/containers", deps.events.clone()),
            deps,
            population,
            jobs: JoinSet::new(),
            readings: 0,
            watch: Watch::Off { until: now },
            watches: 0,
            pauses: Backoff::short(),
            failed_streams: 0,
            event_due: None,
            had_event: false,
            told_of_logs: false,
            ping_at: now,
        }
    }

    /// Runs until the receiver of events is gone.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(BEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.deps.events.is_closed() {
            self.work();
            self.send_events().await;
            tokio::select! {
                changed = self.deps.wanted.changed() => match changed {
                    Ok(()) => self.apply_demand(),
                    Err(_) => return,
                },
                Some(done) = self.jobs.join_next() => {
                    // A task that was aborted or panicked has no result.
                    if let Ok(done) = done && self.take(done).await.is_none() {
                        return;
                    }
                }
                happened = next(&mut self.watch) => match happened {
                    ControllerInput::Event(event) => self.handle_event(event),
                    ControllerInput::NoEvents(ended) => self.no_events(ended).await,
                    ControllerInput::TimeToList => self.list(),
                    ControllerInput::TimeToConnect => self.connect(),
                },
                _ = ticks.tick() => {
                    self.deps.log.refresh();
                    self.read_one();
                    self.ping();
                    self.check_events().await;
                }
            }
        }
    }

    async fn send_events(&mut self) {
        for event in self.population.replicas.take_events() {
            if let (Event::Instance(status), Some(logs)) = (&event, &mut self.deps.logs) {
                // What was reported before an exit is not read: the log continues after the restart.
                logs.saw(&InstanceStatus { end: None, ..status.clone() });
            }
            self.deps.events.send(event).await;
        }
    }

    fn now(&self) -> BothClocks {
        BothClocks::read(&self.deps.events)
    }

    fn apply_demand(&mut self) {
        let (now, Desired { instances, remove }) = (self.now(), *self.deps.wanted.borrow_and_update());
        if remove {
            self.population.clear(now);
        } else {
            self.population.replicas.scale(instances, now);
        }
    }

    fn is_on(&self) -> bool {
        matches!(self.watch, Watch::On { listed: true, .. })
    }

    /// Starts all operations that are due; none without a watch.
    fn work(&mut self) {
        while self.is_on()
            && let Some(operation) = self.population.operation(self.now())
        {
            match operation {
                Operation::Up { number, asked, name, uid, is_there } => {
                    let body = (!is_there).then(|| with_uid(&self.deps.body, &uid));
                    let (api, events) = (self.deps.api.clone(), self.deps.events.clone());
                    self.jobs.spawn(async move {
                        let result = bring_up(&api, &events, &name, &uid, body).await;
                        OperationResult::Came { number, asked, result }
                    });
                }
                Operation::Down { number, name, by_force } => {
                    let (api, seconds) = (self.deps.api.clone(), self.deps.stop_timeout_seconds);
                    self.jobs.spawn(async move {
                        let result = bring_down(&api, &name, seconds, by_force).await;
                        OperationResult::Went { number, result }
                    });
                }
            }
        }
    }

    fn connect(&mut self) {
        self.watches += 1;
        (self.event_due, self.had_event) = (None, false);
        let events = if self.failed_streams < FAILED_STREAMS {
            let since = self.seen_until.checked_sub(OVERLAP).unwrap_or(self.seen_until);
            let stream = self.deps.api.events(&self.deps.run, since);
            EventSource::Stream { stream, since: Instant::now() }
        } else {
            EventSource::Lists { at: None }
        };
        self.watch = Watch::On { events, listed: false };
        self.list();
    }

    /// Lists all containers. Those that run and are known need no inspection.
    fn list(&mut self) {
        if let Watch::On { events: EventSource::Lists { at }, .. } = &mut self.watch {
            *at = None;
        }
        let (watch, asked, known) = (self.watches, self.population.ask(), self.population.known());
        let (api, run) = (self.deps.api.clone(), self.deps.run.clone());
        self.jobs.spawn(async move {
            let result = list(&api, &run, |listed| !listed.is_running || !known.contains(&listed.name)).await;
            OperationResult::Listed { watch, asked, result }
        });
    }

    /// The stream of events has ended. Podman ends it where it rotates its log of events, and another one goes on; where the
    /// server ends it at once, or refuses it, it has none (`events_logger=none`).
    async fn no_events(&mut self, ended: StreamEnd) {
        let Watch::On { events: EventSource::Stream { since, .. }, .. } = &self.watch else { return };
        let at_once = since.elapsed() < SHORTEST_STREAM;
        if !ended.by_server {
            self.failed_streams = 0;
            return self.lose(&ended.why).await;
        }
        self.failed_streams = if at_once { self.failed_streams + 1 } else { 0 };
        if self.failed_streams == FAILED_STREAMS {
            return self.without_events(&format!("{}; events_logger=none?", ended.why)).await;
        }
        self.connect();
    }

    /// From here on containers are listed.
    async fn without_events(&mut self, why: &str) {
        self.failed_streams = FAILED_STREAMS;
        let message =
            format!("the service delivers no events ({why}): containers are listed every second instead");
        self.deps.events.send(Event::Notice(Notice::note("watch/containers", "NoEvents", message))).await;
        self.connect();
    }

    async fn check_events(&mut self) {
        let is_silent = self.event_due.is_some_and(|since| since.elapsed() >= FIRST_EVENT_WITHIN);
        if is_silent && matches!(self.watch, Watch::On { events: EventSource::Stream { .. }, .. }) {
            self.without_events(
                "none came of a container that was started; events_logger=journald without journald?",
            )
            .await;
        }
    }

    /// The watch has failed, for this reason.
    async fn lose(&mut self, why: &str) {
        if matches!(self.watch, Watch::Off { .. }) {
            return;
        }
        self.watches += 1;
        self.watch = Watch::Off { until: Instant::now() + self.pauses.failed() };
        self.gap.begins(Instant::now(), "WatchLost", why.to_owned()).await;
    }

    fn handle_event(&mut self, event: EventMessage) {
        (self.event_due, self.had_event) = (None, true);
        let Some(event) = ContainerEvent::of(event) else { return };
        self.seen_until = self.seen_until.max(event.at.unwrap_or(self.seen_until));
        // A kill is in the kernel log before the engine sends its event.
        self.deps.log.refresh();
        let Some((number, name)) = self.population.happened(&event, self.now()) else { return };
        let (api, asked) = (self.deps.api.clone(), self.population.ask());
        self.jobs.spawn(async move {
            OperationResult::Looked { number, asked, result: api.inspect(&name).await }
        });
    }

    /// Handles a result. None where the controller has to end.
    async fn take(&mut self, done: OperationResult) -> Option<()> {
        self.deps.log.refresh();
        let now = self.now();
        match done {
            OperationResult::Came { number, asked, result } => {
                if result.is_ok() && !self.had_event {
                    self.event_due.get_or_insert(now.instant);
                }
                self.population.came(number, asked, result, &mut self.deps.log, now);
            }
            OperationResult::Went { number, result } => self.population.went(number, result, now),
            OperationResult::Looked { number, asked, result: Ok(seen) } => {
                self.population.saw(number, asked, &seen, &mut self.deps.log, now);
            }
            OperationResult::Looked { number, result: Err(refusal), .. } if refusal.is_not_there() => {
                self.population.missed(number, now);
            }
            OperationResult::Looked { number, asked, result: Err(refusal) } if refusal.unreadable => {
                self.look_again(number, asked);
            }
            // It is inspected again when all are listed.
            OperationResult::Looked { result: Err(refusal), .. } => self.lose(&refusal.message).await,
            OperationResult::Listed { watch, .. } if watch != self.watches => {}
            OperationResult::Listed { asked, result, .. } => return self.listed(asked, result, now).await,
            OperationResult::Pinged { watch, result: Err(refusal) } if watch == self.watches => {
                self.lose(&refusal.message).await;
            }
            OperationResult::Pinged { .. } => {}
            OperationResult::Read { turn, result } => {
                self.readings = self.readings.saturating_sub(1);
                // A log that cannot be read now is read later; the watch tells of a server that is gone.
                let record = match result {
                    Ok(record) => record,
                    Err(refusal) => {
                        self.tell_of_logs(&turn.name, &refusal).await;
                        None
                    }
                };
                let Some(logs) = &mut self.deps.logs else { return Some(()) };
                logs.done(&turn, ReadOutcome::Read, now.instant);
                let time = |record: &Map<String, Value>| record.get("time")?.as_str().map(str::to_owned);
                if let Some(record) = record
                    && logs.is_news(&turn.uid, time(&record).as_deref())
                {
                    self.population.read(&turn.name, record);
                }
            }
        }
        Some(())
    }

    async fn listed(
        &mut self,
        asked: u64,
        result: Result<Vec<ListedContainer>, Refusal>,
        now: BothClocks,
    ) -> Option<()> {
        let found = match (result, self.deps.begun.is_some()) {
            (Ok(found), _) => found,
            (Err(refusal), false) => {
                self.lose(&refusal.message).await;
                return Some(());
            }
            // The first list fails `begin`, whose caller decides whether to retry.
            (Err(refusal), true) => {
                let _ = self.deps.begun.take()?.send(Err(refusal.into()));
                return None;
            }
        };
        let mut goes_on = false;
        if let Watch::On { events, listed } = &mut self.watch {
            goes_on = std::mem::replace(listed, true);
            if let EventSource::Lists { at } = events {
                *at = Some(now.instant + LIST_EVERY);
            }
        }
        self.ping_at = now.instant + PING_EVERY;
        // A stream that the server has ended, and that was begun again at once, is no gap.
        let gone = if self.gap.is_open() { NOT_THERE_AGAIN } else { "removed by someone else" };
        self.population.listed(asked, &found, gone, &mut self.deps.log, now);
        self.send_events().await;
        if !goes_on {
            self.deps.events.send(Event::All(self.population.replicas.statuses())).await;
        }
        self.gap.ends().await;
        self.pauses.succeeded();
        if let Some(begun) = self.deps.begun.take() {
            let instances = if self.deps.adopt { self.population.replicas.adopt() } else { 0 };
            let _ = begun.send(Ok(instances));
        }
        self.population.replicas.reconcile(now);
        Some(())
    }

    fn look_again(&mut self, number: u32, asked: u64) {
        let Some(name) = self.population.replicas.get(number).map(|replica| replica.name.clone()) else {
            return;
        };
        let api = self.deps.api.clone();
        self.jobs.spawn(async move {
            sleep(LOOK_AGAIN_AFTER).await;
            OperationResult::Looked { number, asked, result: api.inspect(&name).await }
        });
    }

    fn read_one(&mut self) {
        if self.readings >= AT_ONCE || !self.is_on() {
            return;
        }
        let Some(turn) = self.deps.logs.as_mut().and_then(|logs| logs.next(Instant::now())) else { return };
        self.readings += 1;
        let api = self.deps.api.clone();
        self.jobs.spawn(async move {
            let result = api.last_line(&turn.name).await.map(|log| last_record(&log));
            OperationResult::Read { turn, result }
        });
    }

    /// Told once: without its log an instance is never ready.
    async fn tell_of_logs(&mut self, name: &str, refusal: &Refusal) {
        if refusal.is_answer() && !refusal.is_not_there() && !std::mem::replace(&mut self.told_of_logs, true)
        {
            let notice = Notice::note(format!("container/{name}"), "LogNotRead", &refusal.message);
            self.deps.events.send(Event::Notice(notice)).await;
        }
    }

    fn ping(&mut self) {
        let now = Instant::now();
        if !self.is_on() || now < self.ping_at {
            return;
        }
        self.ping_at = now + PING_EVERY;
        let (api, events, watch) = (self.deps.api.clone(), self.deps.events.clone(), self.watches);
        self.jobs.spawn(async move {
            OperationResult::Pinged { watch, result: measured(&events, Refusal::is_answer, api.ping()).await }
        });
    }
}

enum ControllerInput {
    Event(EventMessage),
    NoEvents(StreamEnd),
    TimeToList,
    TimeToConnect,
}

/// How a stream of events has ended.
struct StreamEnd {
    /// By the server, which has answered; else the connection was lost.
    by_server: bool,
    why: String,
}

async fn next(watch: &mut Watch) -> ControllerInput {
    match watch {
        Watch::On { events: EventSource::Stream { stream, .. }, .. } => match stream.next().await {
            Some(Ok(event)) => ControllerInput::Event(event),
            Some(Err(refusal)) => {
                ControllerInput::NoEvents(StreamEnd { by_server: refusal.is_answer(), why: refusal.message })
            }
            None => {
                let why = "the stream of events has ended".to_owned();
                ControllerInput::NoEvents(StreamEnd { by_server: true, why })
            }
        },
        Watch::On { events: EventSource::Lists { at: Some(at) }, .. } => {
            sleep_until(*at).await;
            ControllerInput::TimeToList
        }
        Watch::On { events: EventSource::Lists { at: None }, .. } => std::future::pending().await,
        Watch::Off { until } => {
            sleep_until(*until).await;
            ControllerInput::TimeToConnect
        }
    }
}
