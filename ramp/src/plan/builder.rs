//! Plan builder: command line, scenario and machine in, plan out.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use workload::host::{Host, Node};
use workload::quantity::{Bytes, Cores, CpuTarget, MemoryTarget, Rate};

use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::EngineSpec;
use crate::engine::simulated::World;
use ramp_format::plan::{EngineKind, EngineOptions, Pace, Plan};
use ramp_format::scenario::InstanceNeeds;
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;

/// Instances that fit in the budget, with the scenario that is made to fit.
const FIT: u64 = 20;
/// Steps beyond saturation, where it is not said: in the study's runs, and in the one that takes a minute.
const BEYOND: u32 = 50;
const BEYOND_IN_A_MINUTE: u32 = 5;

/// A plan with the scenario it runs and the directory it is recorded in.
#[derive(Debug)]
pub struct PlanBuilder {
    /// What the run does.
    pub plan: Plan,
    /// What each instance is.
    pub scenario: Scenario,
    /// The run directory.
    pub out: PathBuf,
}

impl PlanBuilder {
    /// Builds the plan from arguments, the machine and the scenario.
    ///
    /// # Errors
    /// Where a file cannot be read, or arguments contradict each other.
    pub fn of(args: &RunArgs, clock: &Clock) -> Result<Self, String> {
        let engine = args.engine.unwrap_or(match args.manifest {
            Some(_) => EngineKind::Kubernetes,
            None => EngineKind::Local,
        });
        if args.from > args.to {
            return Err(format!("--from {} is beyond --to {}", args.from, args.to));
        }
        let budget = match (engine, args.budget) {
            (EngineKind::Local, None) => quarter_of_available(),
            (_, budget) => budget,
        };
        let in_a_minute = engine == EngineKind::Local && args.manifest.is_none();
        let mut scenario = match &args.manifest {
            Some(path) => Scenario::read(path)?,
            None if in_a_minute => fitting(budget)?,
            None => Scenario::embedded()?,
        };
        let world = match (engine, &args.world) {
            (EngineKind::Simulated, Some(path)) => Some(World::read(path)?),
            (EngineKind::Simulated, None) => Some(World::default()),
            (_, Some(_)) => return Err("--world goes with --engine simulated".into()),
            (_, None) => None,
        };
        if let Some(world) = &world {
            scenario = world.applied_to(&scenario)?;
        }
        if let Some(memory) = args.memory {
            scenario = scenario.with_memory(memory)?;
        }
        let run = id(clock);
        let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("ramp-{run}")));
        let plan = Plan {
            run,
            engine,
            scenario: args.manifest.clone(),
            from: args.from,
            to: args.to,
            step: args.step,
            pace: args.pace,
            step_timeout: args.step_timeout,
            settle: args.settle,
            hold: if in_a_minute { args.hold.min(Duration::from_secs(5)) } else { args.hold },
            down: args.down,
            stop: rules(args, engine, budget, scenario.needs())?,
            note: args.note.clone(),
            beyond: args.beyond.unwrap_or(if in_a_minute { BEYOND_IN_A_MINUTE } else { BEYOND }),
            keep: args.keep,
            force: args.force,
            labels: args.label.clone(),
            options: EngineOptions {
                budget_bytes: budget.map(|budget| budget.0),
                runtime: args.runtime.clone(),
                socket: args.socket.clone(),
                namespace: args.namespace.clone(),
                context: args.context.clone(),
                world: world.map(serde_json::to_value).transpose().map_err(|error| error.to_string())?,
            },
        };
        Ok(Self { plan, scenario, out })
    }

    /// What the engine is made from.
    #[must_use]
    pub fn order(&self) -> EngineSpec {
        EngineSpec {
            run: self.plan.run.clone(),
            scenario: self.scenario.clone(),
            options: self.plan.options.clone(),
        }
    }
}

/// A quarter of what this machine, and the cgroup that ramp is in, have to give.
fn quarter_of_available() -> Option<Bytes> {
    let root = Path::new("/");
    let mut machine = Node::open(root);
    machine.refresh();
    let available = machine.memory("MemAvailable")?;
    let host = Host::discover(root);
    let available = host.read().memory.headroom.map_or(available, |headroom| headroom.min(available));
    Some(Bytes(available.0 / 4))
}

/// The study's main scenario with twenty instances to the budget, each of which has its memory within a second.
fn fitting(budget: Option<Bytes>) -> Result<Scenario, String> {
    const SMALLEST: u64 = 10_000_000;
    let budget = budget.ok_or("how much memory is available cannot be told here: say --budget")?;
    // A round number reads better.
    let memory = Bytes(budget.0 / FIT / 1_000_000 * 1_000_000);
    if memory.0 < SMALLEST {
        return Err(format!(
            "a budget of {} is too small for {FIT} instances: say a larger --budget",
            budget.rounded()
        ));
    }
    Scenario::embedded()?.with_load(|load| {
        load.memory = MemoryTarget::Bytes(memory);
        load.growth_rate = Rate::PerSecond(memory);
        load.growth_step = None;
        // All of them together leave the machine its CPUs.
        load.cpu = CpuTarget::Cores(Cores::from_nano(10_000_000));
    })
}

fn rules(
    args: &RunArgs,
    engine: EngineKind,
    budget: Option<Bytes>,
    needs: InstanceNeeds,
) -> Result<Vec<StopRule>, String> {
    if args.stop.is_empty() {
        // What is only to be noted ends nothing; and steps that take no time wait for nobody who could be at work.
        let is_noted = |rule: &StopRule| args.note.iter().any(|note| note.kind() == rule.kind());
        let is_of_use = |rule: &StopRule| args.pace != Pace::None || rule.name() != "stalled";
        let usual = StopRule::usual().into_iter().filter(|rule| is_of_use(rule) && !is_noted(rule));
        // A budget is much smaller than a cluster: it is full where not one more instance fits.
        let least = needs.memory.or(budget.map(|budget| Bytes(budget.0 / FIT)));
        let fitted = usual.map(|rule| match (engine, least) {
            (EngineKind::Local, Some(least)) => rule.with_floor(least),
            _ => rule,
        });
        return Ok(fitted.collect());
    }
    let rules = args.stop.iter().filter(|rule| *rule != "never");
    rules.map(|rule| rule.parse().map_err(|error| format!("--stop {error}"))).collect()
}

/// When it was, and four letters, so that two of the same second differ. Valid as a label and as a file name.
fn id(clock: &Clock) -> String {
    let time = humantime::format_rfc3339_seconds(clock.now()).to_string();
    let digits: String = time.chars().filter(|character| *character != '-' && *character != ':').collect();
    let (day, second) = digits.split_once('T').unwrap_or((&digits, ""));
    let random = RandomState::new().hash_one(std::process::id());
    format!("{day}-{}-{:04x}", second.trim_end_matches('Z'), random & 0xffff)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn builder(args: &[&str]) -> Result<PlanBuilder, String> {
        let cli = Cli::try_parse_from([&["ramp", "run"], args].concat()).unwrap();
        let Command::Run(args) = cli.command else { panic!("it is run") };
        let noon = humantime::parse_rfc3339("2026-11-25T12:00:00Z").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        PlanBuilder::of(&args, &Clock::simulated(noon))
    }

    #[test]
    fn with_nothing_said_twenty_instances_fit_in_a_quarter_of_available_memory() {
        let builder = builder(&[]).unwrap();
        assert_eq!(builder.plan.engine, EngineKind::Local);
        let (budget, memory) =
            (builder.plan.options.budget_bytes.unwrap(), builder.scenario.needs().memory.unwrap());
        assert_eq!(budget / memory.0, 20, "{budget} {memory}");
        assert_eq!(builder.scenario.fill_seconds(), Some(1.0));
        assert!(builder.plan.run.starts_with("20261125-120000-"), "{}", builder.plan.run);
        assert_eq!(builder.out, PathBuf::from(format!("ramp-{}", builder.plan.run)));
        assert_eq!(builder.plan.stop[0], format!("available-memory:{memory}:3").parse().unwrap());
    }

    #[test]
    fn rules_are_those_that_were_said_and_never_is_none() {
        assert_eq!(builder(&["--stop", "time:10m"]).unwrap().plan.stop, ["time:10m".parse().unwrap()]);
        assert_eq!(builder(&["--stop", "never"]).unwrap().plan.stop, []);
        assert!(builder(&["--stop", "soon"]).unwrap_err().contains("expected one of"));
        let has = |args: &[&str], name: &str| {
            builder(args).unwrap().plan.stop.iter().any(|rule| rule.to_string().starts_with(name))
        };
        assert!(
            has(&[], "evictions") && !has(&["--note", "evictions:3/1m"], "evictions"),
            "noted, it ends nothing"
        );
        assert!(has(&["--pace", "5s"], "stalled") && !has(&["--pace", "none"], "stalled"));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(builder(&["--from", "9", "--to", "3"]).unwrap_err().contains("beyond"));
        assert!(builder(&["--budget", "1M"]).unwrap_err().contains("too small"));
        assert!(builder(&["no/such/file.yaml"]).unwrap_err().contains("no/such/file.yaml"));
    }
}
