//! Stop rules: pure predicates over the observations of each step.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use workload::quantity::{Bytes, MemoryTarget, Percent, QuantityError};

use crate::rows::StepRow;
use crate::text::count;
use crate::time::parse_time;

/// A kind of stop rule: one row of [`RULES`].
#[derive(Debug)]
pub struct RuleKind {
    /// Name and parameters, as on the command line.
    pub syntax: &'static str,
    /// When it fires, in Markdown.
    pub fires_when: &'static str,
    /// Whether it tells of saturation: the run then continues for `--beyond` steps.
    pub is_of_saturation: bool,
    /// Why it fires after a step, in numbers; none if it does not.
    check: fn(&mut RuleState, &StepObservation) -> Option<String>,
}

/// All rules. Parsing, `--help` and the table in docs/ramp.md follow these rows; a new rule is one more.
pub static RULES: &[RuleKind] = &[
    RuleKind {
        syntax: "available-memory:FLOOR:STEPS",
        fires_when: "available memory of all nodes (or of the budget) was below `FLOOR` (bytes or a percentage) for `STEPS` steps in a row",
        is_of_saturation: true,
        check: |state, seen| {
            let Parameters { floor, steps, .. } = state.rule.parameters;
            // A step whose memory is unknown neither counts nor restarts the count.
            let (available, floor) = (seen.available?, bytes_of(floor, seen.total)?);
            let (is_below, available, floor) = (available < floor, available.rounded(), floor.rounded());
            state
                .fires_in_a_row(is_below)
                .then(|| format!("available memory {available} below {floor} for {steps} steps"))
        },
    },
    RuleKind {
        syntax: "stalled:STEPS",
        fires_when: "no more instances ran than before for `STEPS` steps in a row, although more were requested",
        is_of_saturation: true,
        check: |state, seen| {
            let (most, asked) = state.most.unwrap_or_default();
            if seen.at_work > most {
                state.most = Some((seen.at_work, seen.asked));
            }
            let is_stalled = state.most.is_some() && seen.at_work <= most && seen.asked > asked;
            let steps = state.rule.parameters.steps;
            state.fires_in_a_row(is_stalled).then(|| {
                format!("{most} instances at work at most for {steps} steps, {} asked for", seen.asked)
            })
        },
    },
    RuleKind {
        syntax: "evictions:COUNT/TIME",
        fires_when: "there were more than `COUNT` evictions within `TIME`",
        is_of_saturation: true,
        check: |state, seen| state.fires_at_rate("eviction", seen.elapsed, seen.evictions),
    },
    RuleKind {
        syntax: "oom-kills:COUNT/TIME",
        fires_when: "there were more than `COUNT` OOM kills within `TIME`",
        is_of_saturation: true,
        check: |state, seen| state.fires_at_rate("OOM kill", seen.elapsed, seen.oom_kills),
    },
    RuleKind {
        syntax: "node-not-ready",
        fires_when: "a node is not ready",
        is_of_saturation: true,
        check: |_, seen| (seen.not_ready > 0).then(|| format!("nodes not ready: {}", seen.not_ready)),
    },
    RuleKind {
        syntax: "blocked:TIME",
        fires_when: "for `TIME` no instance made progress, and at least one cannot start for a reason that does not pass by itself (image, \
                     configuration, admission, quota, scheduling, crash loop before it was ready), or for lack of a resource of its node \
                     other than memory and CPU (PIDs, inotify, open files, keys, disk, pod addresses)",
        is_of_saturation: false,
        // Applied while a step waits, which may be until its timeout.
        check: |_, _| None,
    },
    RuleKind {
        syntax: "time:TIME",
        fires_when: "the run has lasted `TIME`",
        is_of_saturation: false,
        check: |state, seen| {
            let limit = state.rule.parameters.time;
            (seen.elapsed >= limit).then(|| format!("{} have passed", humantime::format_duration(limit)))
        },
    },
    RuleKind {
        syntax: "steps:STEPS",
        fires_when: "`STEPS` steps were made",
        is_of_saturation: false,
        check: |state, seen| {
            let steps = state.rule.parameters.steps;
            (seen.step >= steps).then(|| format!("{steps} steps have been made"))
        },
    },
];

/// Default of `--stop`.
const USUAL: [&str; 6] = [
    "available-memory:2%:3",
    "stalled:10",
    "evictions:0/1m",
    "oom-kills:0/1m",
    "node-not-ready",
    "blocked:30s",
];

/// Name of the rule that ends a run whose instances cannot start.
pub const BLOCKED: &str = "blocked";

/// A name by which runs of earlier versions have recorded a rule, and its name now.
const RENAMED: (&str, &str) = ("free-memory", "available-memory");

/// The syntax of all rules, separated by commas.
#[must_use]
pub fn syntax() -> String {
    RULES.iter().map(|kind| kind.syntax).collect::<Vec<_>>().join(", ")
}

/// The table of all rules, and the default, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let row = |kind: &RuleKind| {
        let of_saturation = if kind.is_of_saturation { "yes" } else { "no" };
        format!("| `{}` | {} | {of_saturation} |\n", kind.syntax, kind.fires_when)
    };
    let rows: String = RULES.iter().map(row).collect();
    let usual = USUAL.map(|rule| format!("`{rule}`")).join(", ");
    format!("| rule | fires when | of saturation |\n|---|---|---|\n{rows}\nDefault: {usual}.\n")
}

impl RuleKind {
    /// The name, and the syntax of the parameters.
    fn parts(&self) -> (&'static str, &'static str) {
        self.syntax.split_once(':').unwrap_or((self.syntax, ""))
    }
}

impl PartialEq for RuleKind {
    fn eq(&self, other: &Self) -> bool {
        self.syntax == other.syntax
    }
}

/// A rule with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopRule {
    kind: &'static RuleKind,
    parameters: Parameters,
}

impl StopRule {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &'static RuleKind {
        self.kind
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind.parts().0
    }

    /// Whether it ends a search. Rules of saturation do not: a search looks for that. But a node that is not ready changes what it
    /// looks for.
    #[must_use]
    pub fn ends_search(&self) -> bool {
        !self.kind.is_of_saturation || self.name() == "node-not-ready"
    }

    /// The time after which it ends a run, if it is a time limit.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        (self.name() == "time").then_some(self.parameters.time)
    }

    /// The time for which a run may be blocked, if it is a rule about that.
    #[must_use]
    pub fn blocked_limit(&self) -> Option<Duration> {
        (self.name() == BLOCKED).then_some(self.parameters.time)
    }

    /// The same rule with another floor, if it has one.
    #[must_use]
    pub fn with_floor(mut self, floor: Bytes) -> Self {
        if self.kind.syntax.contains("FLOOR") {
            self.parameters.floor = MemoryTarget::Bytes(floor);
        }
        self
    }

    /// The rules of a run for which none are given.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        USUAL.iter().filter_map(|rule| rule.parse().ok()).collect()
    }

    /// Parses a rule of the command line.
    ///
    /// # Errors
    /// Where it is none, or one that never fires. (Directories of earlier versions have such rules, so [`FromStr`] takes them.)
    pub fn requested(text: &str) -> Result<Self, String> {
        let rule: Self = text.parse()?;
        if rule.kind.parts().1.contains("COUNT") && rule.parameters.time.is_zero() {
            return Err(format!("{text:?}: TIME: zero is not allowed; expected {}", rule.kind.syntax));
        }
        Ok(rule)
    }
}

impl FromStr for StopRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, values) = text.split_once(':').unwrap_or((text, ""));
        let name = if name == RENAMED.0 { RENAMED.1 } else { name };
        let kind = RULES.iter().find(|kind| kind.parts().0 == name).ok_or_else(|| {
            format!("{text:?}: unknown rule; expected one of {}; such as {}", syntax(), USUAL[0])
        })?;
        let parameters = Parameters::parse(kind.parts().1, values);
        let parameters =
            parameters.map_err(|error| format!("{text:?}: {error}; expected {}", kind.syntax))?;
        Ok(Self { kind, parameters })
    }
}

impl fmt::Display for StopRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, syntax) = self.kind.parts();
        f.write_str(name)?;
        let mut separator = ":";
        for (parameter, next) in parameters(syntax) {
            f.write_str(separator)?;
            separator = next;
            let Parameters { floor, steps, count, time } = self.parameters;
            match parameter {
                "FLOOR" => floor.fmt(f),
                "STEPS" => steps.fmt(f),
                "COUNT" => count.fmt(f),
                _ => humantime::format_duration(time).fmt(f),
            }?;
        }
        Ok(())
    }
}

text_in_json!(StopRule, "free-memory<10%");

/// Parameters of a rule. Those that its syntax does not name are zero.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Parameters {
    /// Memory.
    floor: MemoryTarget,
    /// Steps, at least one.
    steps: u32,
    /// Occurrences that do not fire yet.
    count: u32,
    /// Time limit, or the window in which occurrences are counted.
    time: Duration,
}

/// Names of parameters in a syntax such as `COUNT/TIME`, each with the separator that follows it.
fn parameters(syntax: &str) -> impl Iterator<Item = (&str, &str)> {
    const SEPARATORS: [char; 2] = [':', '/'];
    syntax.split_inclusive(SEPARATORS).map(|part| part.split_at(part.trim_end_matches(SEPARATORS).len()))
}

impl Parameters {
    fn parse(syntax: &str, mut values: &str) -> Result<Self, String> {
        let mut parsed =
            Self { floor: MemoryTarget::Bytes(Bytes(0)), steps: 0, count: 0, time: Duration::ZERO };
        if values.is_empty() && !syntax.is_empty() {
            return Err(format!("{syntax} is missing"));
        }
        for (name, separator) in parameters(syntax) {
            let (value, rest) = match separator {
                "" => (values, ""),
                _ => values.split_once(separator).ok_or_else(|| format!("no {separator:?} after {name}"))?,
            };
            values = rest;
            let error = |error: String| format!("{name}: {error}");
            let whole = |least| match value.parse::<u32>() {
                Ok(number) if number >= least => Ok(number),
                _ => Err(error(format!("{value:?} is not a whole number from {least}"))),
            };
            match name {
                "FLOOR" => match value.parse() {
                    Ok(MemoryTarget::Max) => return Err(error("max is not a size".into())),
                    Ok(MemoryTarget::Percent(percent)) if percent > Percent::from_whole(100) => {
                        return Err(error(format!("{percent} is more than all of the memory")));
                    }
                    Ok(floor) => parsed.floor = floor,
                    Err(refused) => return Err(error(QuantityError::to_string(&refused))),
                },
                "STEPS" => parsed.steps = whole(1)?,
                "COUNT" => parsed.count = whole(0)?,
                _ => parsed.time = parse_time(value).map_err(error)?,
            }
        }
        if values.is_empty() { Ok(parsed) } else { Err(format!("unexpected {values:?}")) }
    }
}

/// A floor in bytes, of so much memory in all.
fn bytes_of(floor: MemoryTarget, total: Option<Bytes>) -> Option<Bytes> {
    match floor {
        MemoryTarget::Bytes(bytes) => Some(bytes),
        MemoryTarget::Percent(percent) => Some(Bytes(percent.of(total?.0))),
        MemoryTarget::Max => None,
    }
}

/// What a step showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepObservation {
    /// Steps made, this one included.
    pub step: u32,
    /// Time since the run began.
    pub elapsed: Duration,
    /// Instances requested.
    pub asked: u32,
    /// Running instances.
    pub at_work: u32,
    /// Available memory of all kernels, if all samples are fresh.
    pub available: Option<Bytes>,
    /// Memory of all kernels.
    pub total: Option<Bytes>,
    /// Evictions since the run began.
    pub evictions: u32,
    /// OOM kills since the run began.
    pub oom_kills: u32,
    /// Nodes that are not ready.
    pub not_ready: u32,
    /// Whether the level of a search held, if that is known.
    pub level_held: Option<bool>,
}

impl From<&StepRow> for StepObservation {
    fn from(row: &StepRow) -> Self {
        // With a budget for all instances together, the rest of it is available, unless the machine has less.
        let rest =
            row.budget_bytes.zip(row.budget_used_bytes).map(|(limit, used)| limit.saturating_sub(used));
        let available = rest.into_iter().chain(row.memory_available_bytes).min();
        Self {
            step: row.step,
            elapsed: Duration::try_from_secs_f64(row.elapsed_seconds).unwrap_or_default(),
            asked: row.asked_instances,
            at_work: row.running_instances + row.ready_instances,
            available: available.map(Bytes),
            total: row.budget_bytes.or(row.memory_total_bytes).map(Bytes),
            evictions: row.evictions_total,
            oom_kills: row.oom_kills_total,
            not_ready: row.nodes_not_ready,
            level_held: row.level_held,
        }
    }
}

/// State of one rule over the steps of a run.
#[derive(Clone, Debug)]
pub struct RuleState {
    /// The rule.
    pub rule: StopRule,
    /// Steps in a row for which its condition has held.
    row: u32,
    /// Most running instances before, and how many were requested then.
    most: Option<(u32, u32)>,
    /// Times and totals; the oldest is from before the window.
    totals: Vec<(Duration, u32)>,
}

impl RuleState {
    /// State before the first step.
    #[must_use]
    pub fn new(rule: StopRule) -> Self {
        Self { rule, row: 0, most: None, totals: vec![(Duration::ZERO, 0)] }
    }

    /// Why the rule fires after a step, in numbers; none if it does not.
    pub fn look(&mut self, seen: &StepObservation) -> Option<String> {
        (self.rule.kind.check)(self, seen)
    }

    /// Whether a condition has held for `STEPS` steps in a row.
    fn fires_in_a_row(&mut self, holds: bool) -> bool {
        self.row = if holds { self.row.saturating_add(1) } else { 0 };
        self.row >= self.rule.parameters.steps
    }

    /// Whether a total has risen by more than `COUNT` within `TIME`.
    fn fires_at_rate(&mut self, what: &str, elapsed: Duration, total: u32) -> Option<String> {
        let Parameters { count: most, time, .. } = self.rule.parameters;
        self.totals.push((elapsed, total));
        let begin = elapsed.saturating_sub(time);
        // The total at the beginning of the window is the last one before it.
        let before = self.totals.iter().rposition(|(at, _)| *at <= begin).unwrap_or(0);
        self.totals.drain(..before);
        let within = total.saturating_sub(self.totals.first().map_or(0, |(_, total)| *total));
        (within > most)
            .then(|| format!("{} within {}", count(within, what), humantime::format_duration(time)))
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
        assert_eq!(StopRule::usual().iter().map(StopRule::to_string).collect::<Vec<_>>(), USUAL);
    }

    const RULES_SUCH_AS: [&str; 8] = [
        "available-memory:1G:3",
        "stalled:10",
        "evictions:0/1m",
        "oom-kills:3/10s",
        "node-not-ready",
        "blocked:30s",
        "time:10m",
        "steps:500",
    ];

    #[test]
    fn parameters_of_the_table_are_those_that_are_parsed() {
        for (parameter, _) in RULES.iter().flat_map(|kind| parameters(kind.parts().1)) {
            assert!(["FLOOR", "STEPS", "COUNT", "TIME"].contains(&parameter), "{parameter}");
        }
    }

    #[test]
    fn what_is_not_a_rule_is_refused_with_what_is_expected() {
        for (text, expected) in [
            ("", "unknown rule; expected one of available-memory:FLOOR:STEPS, stalled:STEPS, "),
            ("free-memory", "FLOOR:STEPS is missing; expected available-memory:FLOOR:STEPS"),
            ("free-memory:1G", "no \":\" after FLOOR; expected available-memory:FLOOR:STEPS"),
            ("available-memory:200%:1", "FLOOR: 200% is more than all of the memory"),
            ("stalled", "STEPS is missing; expected stalled:STEPS"),
            ("free-memory:1GB:3", "FLOOR: unknown unit"),
            ("stalled:0", "STEPS: \"0\" is not a whole number from 1; expected stalled:STEPS"),
            ("evictions:3", "no \"/\" after COUNT"),
            ("oom-kills:x/1m", "COUNT: \"x\" is not a whole number from 0"),
            ("time:", "TIME is missing"),
            ("time:x", "TIME: "),
            ("node-not-ready:3", "unexpected \"3\"; expected node-not-ready"),
        ] {
            let refusal = text.parse::<StopRule>().unwrap_err();
            assert!(refusal.contains(expected), "{refusal}");
        }
    }

    #[test]
    fn a_rule_that_never_fires_is_refused_and_read_where_it_was_recorded() {
        for text in ["evictions:0/0s", "oom-kills:3/0s"] {
            let refusal = StopRule::requested(text).unwrap_err();
            assert!(refusal.contains("TIME: zero is not allowed; expected "), "{refusal}");
            assert_eq!(text.parse::<StopRule>().unwrap().to_string(), text);
        }
        assert!(StopRule::requested("time:0s").is_ok() && StopRule::requested("evictions:0/1m").is_ok());
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
