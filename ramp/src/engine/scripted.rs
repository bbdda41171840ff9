//! A cluster made of rules: instances that fill nodes at a set pace, nodes that give way at a set size, and faults at set
//! times. With the runtime's time paused a run of hours takes milliseconds, and takes the same course each time.

mod world;

pub use world::{Fault, FaultKind, Script, ScriptedNode, Shortage};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use world::World;

use super::{Applied, Call, Engine, Event, Events, Failure, NodeFacts, Notice, NoticeKind, Survey};

/// How often the world goes on.
const TICK: Duration = Duration::from_millis(50);
/// How long a request takes that is answered.
const LATENCY: Duration = Duration::from_millis(5);
/// How long a request waits that is not.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// The engine.
#[derive(Debug)]
pub struct ScriptedEngine {
    world: Arc<Mutex<World>>,
    began: Instant,
    events: Option<Events>,
    tasks: JoinSet<()>,
}

impl ScriptedEngine {
    /// A cluster that follows a script, from now on.
    #[must_use]
    pub fn new(script: Script) -> Self {
        let world = Arc::new(Mutex::new(World::new(script)));
        Self { world, began: Instant::now(), events: None, tasks: JoinSet::new() }
    }

    /// The same cluster for another process, as after the first one was killed.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { world: Arc::clone(&self.world), began: self.began, events: None, tasks: JoinSet::new() }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// A request: answered, refused or left unanswered, as the script has it now.
    async fn request(&self) -> Result<(), Failure> {
        let fault = self.world().api_fault(self.began.elapsed());
        let (latency, result) = match fault {
            None => (LATENCY, Ok(())),
            Some(FaultKind::ApiHung) => (REQUEST_LIMIT, Err(Failure::transient("no answer within 10 s"))),
            Some(_) => (LATENCY, Err(Failure::transient("connection refused"))),
        };
        sleep(latency).await;
        if let Some(events) = &self.events {
            events.send(Event::Call(Call { latency, answered: result.is_ok() })).await;
        }
        result
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    // The world is changed by whole ticks alone: one that panicked has changed nothing that matters.
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine for ScriptedEngine {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn survey(&mut self) -> Result<Survey, Failure> {
        self.request().await?;
        let world = self.world();
        let nodes = world.script.nodes.iter().map(|node| NodeFacts {
            name: node.name.clone(),
            eligible: true,
            allocatable_memory_bytes: Some(node.memory.0),
            ..NodeFacts::default()
        });
        Ok(Survey { nodes: nodes.collect(), ..Survey::default() })
    }

    async fn begin(&mut self, events: Events, _adopt: bool) -> Result<Applied, Failure> {
        self.events = Some(events.clone());
        self.request().await?;
        let instances = {
            let mut world = self.world();
            world.start(events.clock());
            world.wanted()
        };
        let (all, nodes) = {
            let world = self.world();
            (world.sightings(), world.nodes(self.began.elapsed()))
        };
        events.send(Event::Nodes(nodes)).await;
        events.send(Event::All(all)).await;
        self.tasks.spawn(go_on(Arc::clone(&self.world), events, self.began));
        Ok(Applied { manifest: json!({"kind": "Script"}), instances })
    }

    async fn scale(&mut self, instances: u32) -> Result<(), Failure> {
        self.request().await?;
        self.world().ask(instances);
        Ok(())
    }

    async fn remove(&mut self) -> Result<(), Failure> {
        self.request().await?;
        self.world().remove();
        Ok(())
    }

    async fn left(&mut self) -> Result<Vec<String>, Failure> {
        self.request().await?;
        Ok(self
            .world()
            .sightings()
            .into_iter()
            .map(|sighting| format!("instance/{}", sighting.name))
            .collect())
    }
}

/// Lets the world go on, and tells what is seen of it: nothing while its API is away, all of it anew once it is back.
async fn go_on(world: Arc<Mutex<World>>, events: Events, began: Instant) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut away = false;
    while !events.is_closed() {
        ticks.tick().await;
        let now = began.elapsed();
        let (mut seen, fault, all) = {
            let mut world = lock(&world);
            let (seen, fault) = (world.tick(now), world.api_fault(now));
            let back = away && fault.is_none();
            (seen, fault, if back { world.sightings() } else { Vec::new() })
        };
        if fault.is_some() {
            // Samples take another way.
            seen.retain(|event| matches!(event, Event::Sample(_)));
        }
        match (away, fault.is_some()) {
            (false, true) => seen.insert(0, Event::Notice(gap(NoticeKind::GapBegins, "is not answered"))),
            (true, false) => {
                seen.insert(0, Event::Notice(gap(NoticeKind::GapEnds, "is answered again")));
                seen.push(Event::All(all));
            }
            _ => {}
        }
        away = fault.is_some();
        for event in seen {
            events.send(event).await;
        }
    }
}

fn gap(kind: NoticeKind, message: &str) -> Notice {
    Notice {
        kind,
        at: None,
        object: "watch/pods".into(),
        reason: "Watch".into(),
        message: message.into(),
        count: None,
    }
}
