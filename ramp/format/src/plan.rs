//! The plan of a run, stored in `run.json` so that another process can resume it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::stop_rule::StopRule;
use crate::time::parse_time;

/// What a run is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The run's id: on everything that it makes.
    pub run: String,
    /// Which engine.
    pub engine: EngineKind,
    /// Where the scenario was read from; none for the embedded one.
    pub scenario: Option<PathBuf>,
    /// Instances asked for by the first step.
    pub from: u32,
    /// Instances asked for by the last step, where no rule ends the run before.
    pub to: u32,
    /// Instances more with each step.
    pub step: u32,
    /// When the next step comes.
    pub pace: Pace,
    /// How long a step at most waits for what it asked for, with [`Pace::Ready`].
    #[serde(with = "crate::time::seconds_json")]
    #[schemars(with = "f64", range(min = 0))]
    pub step_timeout: Duration,
    /// For how long memory is watched before the first step; after the last instance for at most three times as long.
    #[serde(with = "crate::time::seconds_json", default)]
    #[schemars(with = "f64", range(min = 0))]
    pub settle: Duration,
    /// For how long the population stays after the last step.
    #[serde(with = "crate::time::seconds_json")]
    #[schemars(with = "f64", range(min = 0))]
    pub hold: Duration,
    /// Whether it goes down step by step, and is timed doing so.
    pub down: bool,
    /// Rules that end the run.
    pub stop: Vec<StopRule>,
    /// Rules that are only noted.
    pub note: Vec<StopRule>,
    /// Steps after the first rule that fired.
    pub beyond: u32,
    /// What is left in place at the end.
    pub keep: bool,
    /// Whether what was found before the first step is recorded instead of refused.
    pub force: bool,
    /// Words of the user's about the run.
    pub labels: Vec<(String, String)>,
    /// What belongs to the engine.
    pub options: EngineOptions,
    /// Searches for how many hold, instead of scaling up in steps: each level is then kept for [`Self::hold`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchSettings>,
}

named_enum! {
    /// Which engine.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum EngineKind {
        /// Processes on this machine.
        Local = "local",
        /// Containers of Podman or Docker.
        Podman = "podman",
        /// Pods on Kubernetes.
        Kubernetes = "kubernetes",
        /// A cluster whose truth is known, in simulated time.
        Simulated = "simulated",
    }
}

impl EngineKind {
    /// What its instances are, for `--help`.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            Self::Local => "Processes on this machine",
            Self::Podman => "Containers of Podman or Docker",
            Self::Kubernetes => "Pods on Kubernetes",
            Self::Simulated => "A cluster whose truth is known, in simulated time",
        }
    }

    /// What one of its instances is.
    #[must_use]
    pub fn instance(self) -> &'static str {
        match self {
            Self::Local => "process",
            Self::Podman => "container",
            Self::Kubernetes | Self::Simulated => "pod",
        }
    }

    /// What its instances are.
    #[must_use]
    pub fn instances(self) -> &'static str {
        match self {
            Self::Local => "processes",
            Self::Podman => "containers",
            Self::Kubernetes | Self::Simulated => "pods",
        }
    }
}

/// What belongs to one engine or another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EngineOptions {
    /// `local`: what all instances together may have, in bytes.
    pub budget_bytes: Option<u64>,
    /// `podman`: the OCI runtime. `kubernetes`: the RuntimeClass in place of the manifest's, `default` for none.
    pub runtime: Option<String>,
    /// `podman`: the socket.
    pub socket: Option<PathBuf>,
    /// `kubernetes`: the namespace, in place of the manifest's.
    pub namespace: Option<String>,
    /// `kubernetes`: the context of the kubeconfig.
    pub context: Option<String>,
    /// `simulated`: the cluster, as docs/worlds.md describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<Value>,
    /// `kubernetes`, `simulated`: runtimes of a mixed run, one group of instances each; empty for a run of one runtime.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<String>,
}

/// Groups of a mixed run at most: as many as a report tells apart.
pub const MOST_GROUPS: usize = 4;

/// How a search goes on once it has found how many hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SearchSettings {
    /// Climbs to the number that no longer holds.
    #[schemars(range(min = 1))]
    pub climbs: u32,
    /// Half of the width of the 95 % interval of N₉₅, in instances, at which no more climbs are needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
}

impl SearchSettings {
    /// Checks a precision.
    ///
    /// # Errors
    /// What was expected, where it is not finite, or not above 0.
    pub fn check_precision(instances: f64) -> Result<(), &'static str> {
        match instances.is_finite() && instances > 0.0 {
            true => Ok(()),
            false => Err("expected a number of instances above 0, such as 2"),
        }
    }
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self { climbs: 5, precision: None }
    }
}

/// When the next step comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Once every instance asked for is ready or has ended.
    Ready,
    /// At a fixed beat, whatever happens.
    Every(Duration),
    /// As fast as the engine takes it.
    None,
}

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ready" => Ok(Self::Ready),
            "none" => Ok(Self::None),
            text => match parse_time(text) {
                Ok(beat) if beat.is_zero() => {
                    Err("an interval of zero is not allowed (allowed: ready, none, or a time such as 5s)"
                        .into())
                }
                Ok(beat) => Ok(Self::Every(beat)),
                Err(_) => Err(format!("{text:?} is not a pace (allowed: ready, none, or a time such as 5s)")),
            },
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Every(beat) => humantime::format_duration(*beat).fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}

text_in_json!(Pace, "5s");

impl Default for Plan {
    /// One local instance, by readiness, with no rule.
    fn default() -> Self {
        Self {
            run: String::new(),
            engine: EngineKind::Local,
            scenario: None,
            from: 1,
            to: 1,
            step: 1,
            pace: Pace::Ready,
            step_timeout: Duration::from_secs(300),
            settle: Duration::ZERO,
            hold: Duration::ZERO,
            down: false,
            stop: Vec::new(),
            note: Vec::new(),
            beyond: 0,
            keep: false,
            force: false,
            labels: Vec::new(),
            options: EngineOptions::default(),
            search: None,
        }
    }
}

impl Plan {
    /// Instances that step `step`, counted from 1, asks for; none behind the last one.
    #[must_use]
    pub fn asked(&self, step: u32) -> Option<u32> {
        let more = step.checked_sub(1)?.checked_mul(self.step)?;
        let before =
            step.checked_sub(2).map(|before| before.saturating_mul(self.step).saturating_add(self.from));
        match self.from.checked_add(more) {
            Some(asked) if asked <= self.to => Some(asked),
            // The last step may be a smaller one.
            _ if step == 1 || before.is_some_and(|before| before < self.to) => Some(self.to),
            _ => None,
        }
    }

    /// The number of steps up, where no rule ends the run before.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.to.saturating_sub(self.from).div_ceil(self.step.max(1)).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_from_the_first_number_to_the_last_one_and_the_last_may_be_smaller() {
        let asked = |from, to, step| {
            let plan = Plan { from, to, step, ..Plan::default() };
            let asked: Vec<u32> = (1..).map_while(|step| plan.asked(step)).collect();
            assert_eq!(asked.len() as u32, plan.steps());
            asked
        };
        assert_eq!(asked(1, 3, 1), [1, 2, 3]);
        assert_eq!(asked(1, 10, 4), [1, 5, 9, 10]);
        assert_eq!(asked(5, 5, 2), [5]);
        assert_eq!(asked(u32::MAX - 1, u32::MAX, 7), [u32::MAX - 1, u32::MAX]);
    }

    #[test]
    fn a_plan_reads_as_it_is_written() {
        let plan = Plan {
            pace: Pace::Every(Duration::from_millis(2500)),
            stop: StopRule::usual(),
            ..Plan::default()
        };
        let text = serde_json::to_string(&plan).unwrap();
        assert!(text.contains(r#""pace":"2s 500ms""#), "{text}");
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }

    #[test]
    fn what_is_no_pace_is_refused_with_those_there_are() {
        for text in ["", "fast", "0s", "5"] {
            assert!(text.parse::<Pace>().unwrap_err().contains("allowed: ready, none"), "{text}");
        }
    }
}
