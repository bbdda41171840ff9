//! When there is enough: pure predicates over what each step showed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use workload::quantity::{Bytes, MemoryTarget, Percent};

use crate::time::parse_time;

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StopRule {
    /// Available memory of all nodes (or of what all instances together may have) below a floor for so many steps in a row. Of
    /// free memory a page cache may have taken all.
    AvailableMemory {
        /// The floor.
        floor: Floor,
        /// Steps in a row.
        steps: u32,
    },
    /// No more instances at work than before for so many steps in a row, although more were asked for.
    Stalled {
        /// Steps in a row.
        steps: u32,
    },
    /// More evictions than this within a time.
    Evictions(Rate),
    /// More OOM kills than this within a time.
    OomKills(Rate),
    /// A node is not ready.
    NodeNotReady,
    /// The run has gone on for so long.
    Time(Duration),
    /// So many steps have been made.
    Steps(u32),
}

/// A floor of memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Floor {
    /// So many bytes.
    Bytes(Bytes),
    /// A share of all there is.
    Share(Percent),
}

impl Floor {
    /// In bytes, of so many in all.
    fn of(self, total: Option<Bytes>) -> Option<Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Share(percent) => Some(Bytes(percent.of(total?.0))),
        }
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => bytes.fmt(f),
            Self::Share(percent) => percent.fmt(f),
        }
    }
}

impl FromStr for Floor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<MemoryTarget>() {
            Ok(MemoryTarget::Bytes(bytes)) => Ok(Self::Bytes(bytes)),
            Ok(MemoryTarget::Percent(percent)) => Ok(Self::Share(percent)),
            Ok(MemoryTarget::Max) => Err("max is no floor".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// More than `count` within `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// As many as are borne.
    pub count: u32,
    /// The time in which they are counted.
    pub window: Duration,
}

/// What every rule looks like, for messages and for `--help`.
pub const RULES: &str = "available-memory:FLOOR:STEPS, stalled:STEPS, evictions:COUNT/TIME, oom-kills:COUNT/TIME, \
                         node-not-ready, time:TIME, steps:STEPS";

impl StopRule {
    /// So little available memory is hardly any: a fiftieth.
    pub const HARDLY_ANY: Floor = Floor::Share(Percent::from_whole(2));

    /// Whether it tells of a cluster that gives way, beyond which there is something to see; time and steps do not.
    #[must_use]
    pub fn is_of_saturation(&self) -> bool {
        !matches!(self, Self::Time(_) | Self::Steps(_))
    }

    /// What holds where nothing is said: hardly any memory available, what the kernel and the nodes do about it, and what it
    /// looks like from above.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        let any = Rate { count: 0, window: Duration::from_secs(60) };
        vec![
            Self::AvailableMemory { floor: Self::HARDLY_ANY, steps: 3 },
            Self::Stalled { steps: 10 },
            Self::Evictions(any),
            Self::OomKills(any),
            Self::NodeNotReady,
        ]
    }
}

impl FromStr for StopRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let refused = |why: String| {
            format!("{text:?}: {why} (allowed: {RULES}; such as available-memory:2%:3 or oom-kills:0/1m)")
        };
        let count = |text: &str| match text.parse::<u32>() {
            Ok(count) if count > 0 => Ok(count),
            _ => Err(refused(format!("{text:?} is no number of steps"))),
        };
        let time = |text: &str| parse_time(text).map_err(refused);
        let rate = |text: &str| {
            let (count, window) = text.split_once('/').ok_or_else(|| refused("no COUNT/TIME".into()))?;
            let count = count.parse().map_err(|_| refused(format!("{count:?} is no number")))?;
            Ok::<_, String>(Rate { count, window: time(window)? })
        };
        match name {
            // It was called by what the study looked at.
            "available-memory" | "free-memory" => {
                let (floor, steps) = rest.split_once(':').ok_or_else(|| refused("no FLOOR:STEPS".into()))?;
                let floor = floor.parse().map_err(refused)?;
                Ok(Self::AvailableMemory { floor, steps: count(steps)? })
            }
            "stalled" => Ok(Self::Stalled { steps: count(rest)? }),
            "evictions" => rate(rest).map(Self::Evictions),
            "oom-kills" => rate(rest).map(Self::OomKills),
            "node-not-ready" if rest.is_empty() => Ok(Self::NodeNotReady),
            "time" => time(rest).map(Self::Time),
            "steps" => count(rest).map(Self::Steps),
            _ => Err(refused("no such rule".into())),
        }
    }
}

impl fmt::Display for StopRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration;
        match self {
            Self::AvailableMemory { floor, steps } => write!(f, "available-memory:{floor}:{steps}"),
            Self::Stalled { steps } => write!(f, "stalled:{steps}"),
            Self::Evictions(Rate { count, window }) => write!(f, "evictions:{count}/{}", time(*window)),
            Self::OomKills(Rate { count, window }) => write!(f, "oom-kills:{count}/{}", time(*window)),
            Self::NodeNotReady => f.write_str("node-not-ready"),
            Self::Time(limit) => write!(f, "time:{}", time(*limit)),
            Self::Steps(steps) => write!(f, "steps:{steps}"),
        }
    }
}

text_in_json!(StopRule);

/// What a step showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepObservation {
    /// Steps made, this one included.
    pub step: u32,
    /// Since the run began.
    pub elapsed: Duration,
    /// Instances asked for.
    pub asked: u32,
    /// Instances at work.
    pub at_work: u32,
    /// Available memory of all kernels together, where each told it freshly.
    pub available: Option<Bytes>,
    /// All of their memory.
    pub total: Option<Bytes>,
    /// Evictions since the run began.
    pub evictions: u32,
    /// OOM kills since the run began.
    pub oom_kills: u32,
    /// Nodes that are not ready.
    pub not_ready: u32,
}

/// Watches one rule over the steps.
#[derive(Clone, Debug)]
pub struct RuleState {
    /// The rule.
    pub rule: StopRule,
    /// Steps in a row that it has been true for, for rules that count these.
    row: u32,
    /// The most instances at work before, and how many were asked for then.
    most: Option<(u32, u32)>,
    /// Times and totals, for rates: the oldest is from before the window.
    totals: Vec<(Duration, u32)>,
}

impl RuleState {
    /// From the beginning.
    #[must_use]
    pub fn new(rule: StopRule) -> Self {
        Self { rule, row: 0, most: None, totals: vec![(Duration::ZERO, 0)] }
    }

    /// Why the rule is true after a step, in numbers; none where it is not.
    pub fn look(&mut self, seen: &StepObservation) -> Option<String> {
        match self.rule {
            StopRule::AvailableMemory { floor, steps } => {
                // Unknown is neither: it does not count, nor does it begin the row anew.
                let (available, floor) = (seen.available?, floor.of(seen.total)?);
                self.in_a_row(available < floor, steps).then(|| {
                    let (available, floor) = (available.rounded(), floor.rounded());
                    format!("available memory {available} below {floor} for {steps} steps")
                })
            }
            StopRule::Stalled { steps } => {
                let (most, asked) = self.most.unwrap_or_default();
                if seen.at_work > most {
                    self.most = Some((seen.at_work, seen.asked));
                }
                let stalled = self.most.is_some() && seen.at_work <= most && seen.asked > asked;
                self.in_a_row(stalled, steps).then(|| {
                    format!("{most} instances at work at most for {steps} steps, {} asked for", seen.asked)
                })
            }
            StopRule::Evictions(rate) => self.rate("eviction", seen.elapsed, seen.evictions, rate),
            StopRule::OomKills(rate) => self.rate("OOM kill", seen.elapsed, seen.oom_kills, rate),
            StopRule::NodeNotReady => {
                (seen.not_ready > 0).then(|| format!("nodes not ready: {}", seen.not_ready))
            }
            StopRule::Time(limit) => {
                (seen.elapsed >= limit).then(|| format!("{} have passed", humantime::format_duration(limit)))
            }
            StopRule::Steps(steps) => (seen.step >= steps).then(|| format!("{steps} steps have been made")),
        }
    }

    fn in_a_row(&mut self, so: bool, steps: u32) -> bool {
        self.row = if so { self.row.saturating_add(1) } else { 0 };
        self.row >= steps
    }

    fn rate(
        &mut self,
        what: &str,
        elapsed: Duration,
        total: u32,
        Rate { count, window }: Rate,
    ) -> Option<String> {
        self.totals.push((elapsed, total));
        let begin = elapsed.saturating_sub(window);
        // What was so at the begin of the window is told by the last total before it.
        let before = self.totals.iter().rposition(|(at, _)| *at <= begin).unwrap_or(0);
        self.totals.drain(..before);
        let since = self.totals.first().map_or(0, |(_, total)| *total);
        let within = total.saturating_sub(since);
        let s = if within == 1 { "" } else { "s" };
        (within > count).then(|| format!("{within} {what}{s} within {}", humantime::format_duration(window)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(rule: &str) -> RuleState {
        RuleState::new(rule.parse().unwrap())
    }

    #[test]
    fn a_rule_reads_as_it_is_written() {
        for text in RULES_SUCH_AS {
            assert_eq!(text.parse::<StopRule>().unwrap().to_string(), text);
        }
        for rule in StopRule::usual() {
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    const RULES_SUCH_AS: [&str; 7] = [
        "available-memory:1G:3",
        "stalled:10",
        "evictions:0/1m",
        "oom-kills:3/10s",
        "node-not-ready",
        "time:10m",
        "steps:500",
    ];

    #[test]
    fn what_is_no_rule_is_refused_with_those_there_are() {
        for text in [
            "",
            "free-memory",
            "free-memory:1GB:3",
            "stalled:0",
            "evictions:3",
            "oom-kills:x/1m",
            "time:",
            "node-not-ready:3",
        ] {
            let refusal = text.parse::<StopRule>().unwrap_err();
            assert!(refusal.contains("allowed: available-memory:FLOOR:STEPS"), "{refusal}");
        }
    }

    #[test]
    fn free_memory_has_to_be_low_for_steps_in_a_row_and_unknown_is_neither() {
        let mut rule = watched("free-memory:1G:3");
        let mut look = |free: Option<u64>| {
            rule.look(&StepObservation { available: free.map(Bytes), ..StepObservation::default() }).is_some()
        };
        assert_eq!(
            [Some(5), Some(5), Some(2_000_000_000), Some(5), None, Some(5), Some(5)].map(&mut look),
            [false, false, false, false, false, false, true]
        );
    }

    #[test]
    fn running_has_stalled_when_more_are_asked_for_and_no_more_work() {
        let mut rule = watched("stalled:2");
        let mut look = |asked, at_work| {
            rule.look(&StepObservation { asked, at_work, ..StepObservation::default() }).is_some()
        };
        assert!(!look(1, 0), "nothing has worked yet");
        assert!(!look(2, 2));
        assert!(!look(2, 2), "no more were asked for");
        assert!(!look(3, 2));
        assert!(!look(4, 3), "it rose");
        assert!(!look(5, 3));
        assert!(look(6, 2));
    }

    #[test]
    fn a_rate_counts_what_is_within_its_window() {
        let mut rule = watched("evictions:2/10s");
        let mut look = |seconds, evictions| {
            rule.look(&StepObservation {
                elapsed: Duration::from_secs(seconds),
                evictions,
                ..StepObservation::default()
            })
        };
        assert_eq!(look(1, 2), None);
        assert_eq!(look(5, 3).unwrap(), "3 evictions within 10s");
        assert_eq!(look(12, 4), None, "two within the last ten seconds");
        assert_eq!(look(40, 4), None);
    }

    #[test]
    fn nodes_that_are_not_ready_are_counted() {
        let mut rule = watched("node-not-ready");
        assert_eq!(rule.look(&StepObservation::default()), None);
        let seen = StepObservation { not_ready: 2, ..StepObservation::default() };
        assert_eq!(rule.look(&seen).unwrap(), "nodes not ready: 2");
    }
}
