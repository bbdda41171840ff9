//! Plan builder: command line, scenario and machine in, plan out.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use workload::quantity::{Bytes, Cores, CpuTarget, MemoryTarget, Rate};

use crate::cli::RunArgs;
use crate::clock::Clock;
use crate::engine::EngineSpec;
use crate::engine::machine::MachineFacts;
use crate::engine::simulated::World;
use crate::plan::engine_options;
use ramp_format::plan::{EngineKind, EngineOptions, MOST_GROUPS, Pace, Plan};
use ramp_format::scenario::InstanceNeeds;
use ramp_format::scenario::Scenario;
use ramp_format::stop_rule::StopRule;
use ramp_format::study::SearchSettings;

/// Instances of the built-in scenario that fit in the budget.
const FIT: u64 = 20;
/// Default of `--beyond`, as in the study.
const BEYOND: u32 = 50;
/// The same for the built-in scenario on this machine, which takes about a minute.
const BEYOND_BUILT_IN: u32 = 5;

/// Default of `--hold`.
const HOLD: Duration = Duration::from_secs(30);
/// The same for the built-in scenario on this machine.
const HOLD_BUILT_IN: Duration = Duration::from_secs(5);

/// A plan, its scenario and its run directory.
#[derive(Debug)]
pub struct PlanBuilder {
    /// The plan.
    pub plan: Plan,
    /// The scenario.
    pub scenario: Scenario,
    /// The run directory.
    pub out: PathBuf,
}

impl PlanBuilder {
    /// Builds the plan from arguments, the machine and the scenario.
    ///
    /// # Errors
    /// If a file cannot be read, or arguments contradict each other.
    pub fn of(args: &RunArgs, clock: &Clock) -> Result<Self, String> {
        let engine = args.engine.unwrap_or(match args.manifest {
            Some(_) => EngineKind::Kubernetes,
            None => EngineKind::Local,
        });
        engine_options::check(engine, args.engine.is_some(), engine_options::given(args))?;
        if args.from > args.to {
            return Err(format!("--from {} is greater than --to {}", args.from, args.to));
        }
        if args.search.is_some() && args.pace != Pace::Ready {
            return Err(format!(
                "--search and --pace {}: a level holds once all of its instances are ready; use --pace ready",
                args.pace
            ));
        }
        let budget = match (engine, args.budget) {
            (EngineKind::Local, None) => MachineFacts::read().default_budget(),
            (_, budget) => budget,
        };
        check_mix(&args.mix)?;
        if args.search.is_some() && !args.mix.is_empty() {
            return Err(
                "--search and --mix: a level is so many instances of one runtime; search under each".into()
            );
        }
        let built_in = engine == EngineKind::Local && args.manifest.is_none();
        let mut scenario = match &args.manifest {
            Some(path) => Scenario::read(path)?,
            // With a size of its own it need not fit; its other settings are those of the built-in scenario.
            None if built_in => fitting(budget, args.memory)?,
            None => Scenario::embedded()?,
        };
        let world = match (engine, &args.world) {
            (EngineKind::Simulated, Some(path)) => Some(World::read(path)?),
            (EngineKind::Simulated, None) => Some(World::default()),
            (_, _) => None,
        };
        if let Some(world) = &world {
            world.check_mix(&args.mix)?;
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
            hold: args.hold.unwrap_or(if built_in { HOLD_BUILT_IN } else { HOLD }),
            down: args.down,
            stop: rules(args, engine, budget, &scenario.needs())?,
            note: args.note.clone(),
            beyond: match args.search {
                // Rules that end a search end it at once.
                Some(_) => 0,
                None => args.beyond.unwrap_or(if built_in { BEYOND_BUILT_IN } else { BEYOND }),
            },
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
                mix: args.mix.clone(),
            },
            search: args.search.map(|climbs| SearchSettings { climbs, precision: args.precision }),
        };
        Ok(Self { plan, scenario, out })
    }

    /// Specification of the engine.
    #[must_use]
    pub fn engine_spec(&self) -> EngineSpec {
        EngineSpec {
            run: self.plan.run.clone(),
            scenario: self.scenario.clone(),
            options: self.plan.options.clone(),
        }
    }
}

/// Runtimes of a mixed run: at least two, each once, and no more than a report can tell apart.
fn check_mix(runtimes: &[String]) -> Result<(), String> {
    let given = runtimes.join(",");
    if let Some(name) = runtimes.iter().find(|name| name.is_empty()) {
        return Err(format!(
            "--mix {given}: {name:?} is not the name of a runtime (\"default\" is no RuntimeClass)"
        ));
    }
    if let Some(twice) =
        runtimes.iter().find(|name| runtimes.iter().filter(|other| other == name).count() > 1)
    {
        return Err(format!("--mix {given}: {twice} is given twice"));
    }
    if runtimes.len() == 1 || runtimes.len() > MOST_GROUPS {
        return Err(format!(
            "--mix {given}: expected 2 to {MOST_GROUPS} runtimes, such as default,kata (--runtime for a single one)"
        ));
    }
    Ok(())
}

/// The built-in scenario, scaled to twenty instances in the budget, each of which allocates its memory within a second.
fn fitting(budget: Option<Bytes>, given: Option<MemoryTarget>) -> Result<Scenario, String> {
    const SMALLEST: u64 = 10_000_000;
    let budget = budget.ok_or("available memory is unknown on this machine: set --budget")?;
    // Whole megabytes.
    let share = Bytes(budget.0 / FIT / 1_000_000 * 1_000_000);
    if share.0 < SMALLEST && given.is_none() {
        return Err(format!(
            "a budget of {} is too small for {FIT} instances of at least {}: set a larger --budget",
            budget.rounded(),
            Bytes(SMALLEST).rounded()
        ));
    }
    let memory = given.unwrap_or(MemoryTarget::Bytes(share));
    let rate = match memory {
        MemoryTarget::Bytes(bytes) => bytes,
        _ => share,
    };
    Scenario::embedded()?.with_load(|load| {
        load.memory = memory;
        load.growth_rate = Rate::PerSecond(rate.max(Bytes(1_000_000)));
        load.growth_step = None;
        // All instances together use a small part of the CPUs.
        load.cpu = CpuTarget::Cores(Cores::from_nano(10_000_000));
    })
}

fn rules(
    args: &RunArgs,
    engine: EngineKind,
    budget: Option<Bytes>,
    needs: &InstanceNeeds,
) -> Result<Vec<StopRule>, String> {
    if args.stop.is_empty() {
        // A rule given by --note does not stop; with --pace none instances have no time to become ready.
        let is_noted = |rule: &StopRule| args.note.iter().any(|note| note.kind() == rule.kind());
        let applies = |rule: &StopRule| args.pace != Pace::None || rule.name() != "stalled";
        let ends = |rule: &StopRule| args.search.is_none() || rule.ends_search();
        let usual =
            StopRule::usual().into_iter().filter(|rule| applies(rule) && ends(rule) && !is_noted(rule));
        // A budget is much smaller than a cluster: it is exhausted when no further instance fits.
        let least = needs.memory_on(budget).or(budget.map(|budget| Bytes(budget.0 / FIT)));
        let fitted = usual.map(|rule| match (engine, least) {
            (EngineKind::Local, Some(least)) => rule.with_floor(least),
            _ => rule,
        });
        return Ok(fitted.collect());
    }
    let rules = args.stop.iter().filter(|rule| *rule != "never");
    if rules.clone().count() < args.stop.len() && args.stop.len() > 1 {
        return Err(format!(
            "--stop never contradicts the other rules, --stop {}: pass one or the other",
            rules.cloned().collect::<Vec<_>>().join(" --stop ")
        ));
    }
    let parsed = rules.map(|rule| StopRule::requested(rule).map_err(|error| format!("--stop {error}")));
    let parsed: Vec<StopRule> = parsed.collect::<Result<_, _>>()?;
    match parsed.iter().find(|rule| args.search.is_some() && !rule.ends_search()) {
        Some(rule) => Err(format!(
            "--search and --stop {rule}: saturation is what a search looks for, and ends a level, not the search; use --note {rule}"
        )),
        None => Ok(parsed),
    }
}

/// ID of a new run or study: time, and four hexadecimal digits because of others in the same second. Valid as a label and as a file name.
pub(crate) fn id(clock: &Clock) -> String {
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
            (builder.plan.options.budget_bytes.unwrap(), builder.scenario.needs().memory_on(None).unwrap());
        assert_eq!(budget / memory.0, 20, "{budget} {memory}");
        assert_eq!(builder.scenario.fill_seconds(memory), Some(1.0));
        assert!(builder.plan.run.starts_with("20261125-120000-"), "{}", builder.plan.run);
        assert_eq!(builder.out, PathBuf::from(format!("ramp-{}", builder.plan.run)));
        assert_eq!(builder.plan.stop[0], format!("available-memory:{memory}:3").parse().unwrap());
    }

    #[test]
    fn rules_are_those_that_were_said_and_never_is_none() {
        assert_eq!(builder(&["--stop", "time:10m"]).unwrap().plan.stop, ["time:10m".parse().unwrap()]);
        assert_eq!(builder(&["--stop", "never"]).unwrap().plan.stop, []);
        let both = builder(&["--stop", "never", "--stop", "time:10m"]).unwrap_err();
        assert_eq!(both, "--stop never contradicts the other rules, --stop time:10m: pass one or the other");
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
    fn a_search_has_the_rules_that_end_one_and_refuses_those_that_it_looks_for() {
        let plan = builder(&["--search"]).unwrap().plan;
        assert_eq!(plan.search, Some(SearchSettings { climbs: 20, precision: None }));
        assert_eq!(plan.stop, ["node-not-ready".parse().unwrap(), "blocked:30s".parse().unwrap()]);
        let plan = builder(&["--search", "40", "--precision", "2", "--stop", "time:10m"]).unwrap().plan;
        assert_eq!(plan.search, Some(SearchSettings { climbs: 40, precision: Some(2.0) }));
        assert_eq!(plan.stop, ["time:10m".parse().unwrap()]);
        let refused = builder(&["--search", "--stop", "evictions:0/1m"]).unwrap_err();
        assert!(refused.contains("use --note evictions:0/1m"), "{refused}");
        assert!(builder(&["--search", "--pace", "5s"]).unwrap_err().contains("use --pace ready"));
        for meaningless in [["--step", "2"], ["--beyond", "3"], ["--search", "0"]] {
            let words = [&["ramp", "run", "--search", "9"], meaningless.as_slice()].concat();
            assert!(Cli::try_parse_from(words).is_err(), "{meaningless:?}");
        }
        assert!(Cli::try_parse_from(["ramp", "run", "--precision", "2"]).is_err(), "it is of a search");
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(builder(&["--from", "9", "--to", "3"]).unwrap_err().contains("greater"));
        assert!(builder(&["--budget", "1M"]).unwrap_err().contains("too small"));
        let small = builder(&["--budget", "10M", "--memory", "5M", "--to", "1"]).unwrap();
        assert_eq!(small.scenario.needs().memory_on(None), Some(Bytes(5_000_000)));
        assert_eq!(small.plan.stop[0].to_string(), "available-memory:5M:3");
        assert!(
            builder(&["--mix", "runc,kata"])
                .unwrap_err()
                .starts_with("--mix applies to --engine kubernetes or")
        );
        for (mix, expected) in [
            ("kata", "expected 2 to 4 runtimes"),
            ("a,b,c,d,e", "expected 2 to 4 runtimes"),
            ("kata,kata", "kata is given twice"),
            ("kata,", "\"\" is not the name of a runtime"),
            ("default,gvisor", "no runtime gvisor in the world"),
        ] {
            let error = builder(&["--engine", "simulated", "--mix", mix]).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        assert!(builder(&["no/such/file.yaml"]).unwrap_err().contains("no/such/file.yaml"));
    }
}
