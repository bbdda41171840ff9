//! Truth of a world: what its report must say, and must not.

use ramp::engine::simulated::World;
use ramp_report::analysis::causes::{Cause, Resource, named_in};
use ramp_report::analysis::comparison::{Comparison, Pooled};
use ramp_report::dataset::Source;
use ramp_report::stats::{Quantile, Survival};

use crate::experiment::StepOutcome;

/// A figure with an interval, held against the truth.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// Whether its interval holds the truth; none where it was not given.
    pub(crate) holds: Option<bool>,
    /// The interval's width as a share of the truth.
    pub(crate) width: f64,
    /// In words, for who looks.
    pub(crate) said: String,
}

/// Seconds that startups and ends take in a world, whatever its seed: the median and nine of ten.
pub(crate) struct Times {
    startup: [f64; 2],
    stop: [f64; 2],
}

impl Times {
    pub(crate) fn of(world: &World) -> Self {
        Self { startup: quantiles(&world.startup_seconds()), stop: quantiles(&world.stop_seconds()) }
    }
}

/// All figures with intervals.
pub(crate) fn figures(outcome: &StepOutcome, times: &Times) -> Vec<Figure> {
    let mut figures = vec![marginal_cost(outcome)];
    if let Ok(levels) = &outcome.found.latency {
        for level in levels {
            figures.extend(of_survival(["startup, median", "startup, 90 %"], &level.survival, times.startup));
        }
    }
    if let Ok(survival) = &outcome.found.terminations {
        figures.extend(of_survival(["end, median", "end, 90 %"], survival, times.stop));
    }
    figures
}

/// What instances of the other runs take more than those of the base.
pub(crate) fn overhead_per_pod(base: &[StepOutcome], other: &[StepOutcome]) -> Figure {
    let pooled = |runs: &[StepOutcome]| {
        Pooled::of(&runs.iter().map(|run| (&run.data, &run.found.estimates)).collect::<Vec<_>>())
    };
    let mean = |runs: &[StepOutcome]| {
        runs.iter().map(|run| run.truth.marginal_cost_bytes).sum::<f64>() / runs.len() as f64
    };
    let truth = mean(other) - mean(base);
    let name = "overhead per pod";
    match Comparison::of(&pooled(base), &pooled(other)).overhead_per_pod {
        Err(why) => Figure { name, holds: None, width: 0.0, said: why.0 },
        Ok(found) => {
            let (low, high) = (found.interval.low, found.interval.high);
            Figure {
                name,
                holds: Some((low..=high).contains(&truth)),
                width: (high - low) / truth,
                said: format!(
                    "{:.2} ({:.2} to {:.2}) MB where {:.2} is true",
                    found.bytes / 1e6,
                    low / 1e6,
                    high / 1e6,
                    truth / 1e6
                ),
            }
        }
    }
}

fn marginal_cost(outcome: &StepOutcome) -> Figure {
    let truth = outcome.truth.marginal_cost_bytes;
    let name = "marginal cost";
    match &outcome.found.estimates.marginal_cost {
        Err(why) => Figure { name, holds: None, width: 0.0, said: why.0.clone() },
        Ok(cost) => Figure {
            name,
            holds: Some((cost.interval.low..=cost.interval.high).contains(&truth)),
            width: (cost.interval.high - cost.interval.low) / truth,
            said: format!(
                "{:.2} ({:.2} to {:.2}) MB where {:.2} is true",
                cost.bytes / 1e6,
                cost.interval.low / 1e6,
                cost.interval.high / 1e6,
                truth / 1e6
            ),
        },
    }
}

fn quantiles(seconds: &[f64]) -> [f64; 2] {
    let mut sorted = seconds.to_vec();
    sorted.sort_by(f64::total_cmp);
    [0.5, 0.9].map(|share| ramp_report::stats::quantile(&sorted, share).unwrap())
}

fn of_survival(names: [&'static str; 2], survival: &Survival, truths: [f64; 2]) -> Vec<Figure> {
    let figure = |(at, share): (usize, f64)| match survival.quantile(share) {
        Quantile::Seconds(seconds, low, high) => {
            // Rows tell of whole milliseconds.
            let (low, high) = (low.unwrap_or(0.0) - 0.001, high.unwrap_or(f64::INFINITY) + 0.001);
            Figure {
                name: names[at],
                holds: Some((low..=high).contains(&truths[at])),
                width: (high - low) / truths[at],
                said: format!("{seconds:.3} ({low:.3} to {high:.3}) s where {:.3} is true", truths[at]),
            }
        }
        Quantile::LongerThan(_) => {
            Figure { name: names[at], holds: None, width: 0.0, said: "longer than was watched".into() }
        }
    };
    [(0, 0.5), (1, 0.9)].map(figure).to_vec()
}

/// Statements that are wrong.
pub(crate) fn wrong(outcome: &StepOutcome) -> Vec<String> {
    let StepOutcome { truth, found, summary, data, world } = outcome;
    let estimates = &found.estimates;
    let mut wrong = Vec::new();
    let mut hold = |holds: bool, words: String| {
        if !holds {
            wrong.push(words);
        }
    };
    let (held, running) = (estimates.held.as_ref().unwrap().count, estimates.running.as_ref().unwrap().count);
    hold(held == truth.held, format!("held {held} where {} is true", truth.held));
    hold(running == truth.running, format!("running {running} where {} is true", truth.running));
    hold(
        (summary.held.count, summary.running.count) == (held, running),
        format!(
            "the run ends with {:?} and {:?}, and the report has {held} and {running}",
            summary.held, summary.running
        ),
    );
    let Source::Run(recorded) = &data.source else { panic!("it is a run of ramp") };
    hold(
        (recorded.run.held, recorded.run.running) == (Some(summary.held), Some(summary.running)),
        format!("run.json has {:?} and {:?}", recorded.run.held, recorded.run.running),
    );
    // What ran out.
    let loss = truth.losses.iter().find_map(|loss| match named_in(&loss.reason) {
        Some(Cause::Resource(resource)) => Some((loss, resource)),
        _ => None,
    });
    let verdict = &estimates.saturation;
    let first = found
        .breaks
        .iter()
        .find(|broke| !matches!(broke.resource, Resource::Api | Resource::Time | Resource::Nodes));
    match loss {
        Some((loss, resource)) => {
            let said = verdict.saturation.as_ref().ok().map(|at| (at.instances, at.resource));
            // Steps that nobody waits for go on while it is told.
            let asked = if data
                .steps
                .iter()
                .any(|step| step.outcome == Some(ramp_format::rows::StepOutcome::Taken))
            {
                loss.asked..=loss.asked + 1
            } else {
                loss.asked..=loss.asked
            };
            hold(verdict.saturated() == Some(true), format!("not saturated: {:?}", verdict.saturation));
            hold(
                said.is_some_and(|(instances, of)| asked.contains(&instances) && of == Some(resource)),
                format!("saturated at {said:?} where {} and {resource} are true", loss.asked),
            );
            let gave_way = first.map(|broke| broke.resource);
            hold(gave_way == Some(resource), format!("{gave_way:?} gave way first where {resource} is true"));
        }
        None => {
            hold(verdict.saturated() != Some(true), format!("saturated: {:?}", verdict.saturation));
            let quiet = !truth.changed_by_others && truth.killed == 0 && truth.held == truth.asked;
            if quiet {
                hold(
                    (verdict.saturated(), verdict.up_to) == (Some(false), Some(truth.held)),
                    format!(
                        "{:?} up to {:?} where it was not up to {}",
                        verdict.saturated(),
                        verdict.up_to,
                        truth.held
                    ),
                );
            }
            let gave_way = first.map(|broke| broke.resource);
            let expected = (truth.killed > 0).then_some(Resource::Unknown);
            hold(gave_way == expected, format!("{gave_way:?} gave way where nothing ran out"));
        }
    }
    let changed = !found.changed_by_others.is_empty();
    hold(
        changed == truth.changed_by_others,
        format!("changed by others: {:?} where that is {}", found.changed_by_others, truth.changed_by_others),
    );
    if let Ok(leak) = &found.leak {
        use ramp_report::analysis::teardown::Returned;
        let nodes: u32 = world.nodes.iter().map(|kind| kind.count).sum();
        let kept = world.machine.keeps.0 as f64 * f64::from(truth.running.max(1))
            + world.runtime.first.0 as f64 * f64::from(nodes);
        match leak.returned() {
            Returned::NotAll => hold(kept > 0.0, format!("left behind where nothing is: {leak:?}")),
            Returned::All => hold(
                world.machine.keeps.0 == 0 || kept < leak.matters_bytes(),
                format!("all came back where {kept} stayed: {leak:?}"),
            ),
            Returned::NotSteady | Returned::CannotTell => {}
        }
    }
    if let Ok(course) = &found.goodput {
        for at in &course.steps {
            let step = &data.steps[at.index];
            let ready = step.ready.unwrap();
            if world.load.starved > 0.5 {
                continue;
            }
            hold(
                at.instances == ready,
                format!("goodput {} of {ready} ready at step {}", at.instances, step.step),
            );
        }
        if world.load.starved > 0.5
            && let Some(at) =
                course.steps.iter().rfind(|at| data.steps[at.index].part == ramp_format::rows::Part::Hold)
        {
            hold(at.instances == 0, format!("goodput {} where all are starved", at.instances));
        }
    }
    wrong
}
