//! What the instances say of themselves, and whom to read next.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::time::Instant;
use workload::quantity::MemoryTarget;
use workload::report::Format;

use ramp_format::scenario::Scenario;
use ramp_format::state::State;

/// A container without all of its memory is not read more often: readiness is known to a second.
const EVERY: Duration = Duration::from_secs(1);

/// Whether the instances' logs tell anything.
#[derive(Clone, Debug)]
pub(super) enum LogFormat {
    /// Records of the load.
    Records {
        /// Whether it takes all it can get, so that nothing but its limit ends its growth.
        all_it_can_get: bool,
        /// How often it writes one.
        every: Duration,
    },
    /// Nothing that is understood, for this reason.
    Nothing(String),
}

impl LogFormat {
    /// What those of a scenario do.
    pub(super) fn of(scenario: &Scenario) -> Self {
        match scenario.load() {
            Ok(load) if load.reports.format == Format::Json => Self::Records {
                all_it_can_get: load.memory == MemoryTarget::Max,
                every: load.reports.report_every.0.max(EVERY),
            },
            Ok(_) => Self::Nothing("it does not report as --format json".into()),
            Err(reason) => Self::Nothing(reason),
        }
    }

    /// What that means for readiness, where it is not what the manifest would mean.
    pub(super) fn caveat(&self) -> Option<String> {
        match self {
            Self::Records { .. } => None,
            Self::Nothing(reason) => Some(format!(
                "readiness: an instance counts as ready once its container runs, and no reports are read; {reason}."
            )),
        }
    }

    /// Whether a container that runs is ready for that.
    pub(super) fn running_is_ready(&self) -> bool {
        matches!(self, Self::Nothing(_))
    }

    /// Whether one that says this holds its memory.
    pub(super) fn is_ready(&self, record: &Map<String, Value>) -> bool {
        let Self::Records { all_it_can_get, .. } = self else { return true };
        match record.get("phase").and_then(Value::as_str) {
            Some("holding") => true,
            Some("limited") => *all_it_can_get,
            _ => false,
        }
    }

    /// How long after its last reading one in this state is read again.
    fn rest(&self, state: State) -> Option<Duration> {
        match (self, state) {
            (Self::Records { .. }, State::Running) => Some(EVERY),
            (Self::Records { every, .. }, State::Ready) => Some(*every),
            _ => None,
        }
    }

    /// Whom to read: those that are not ready before those that are, and the one least recently read first.
    pub(super) fn next(
        &self,
        now: Instant,
        instances: impl Iterator<Item = (u32, State, Option<Instant>)>,
    ) -> Option<u32> {
        let due = instances.filter(|(_, state, read)| {
            self.rest(*state).is_some_and(|rest| read.is_none_or(|read| now.duration_since(read) >= rest))
        });
        due.min_by_key(|(number, state, read)| (*state == State::Ready, *read, *number))
            .map(|(number, ..)| number)
    }
}

/// A record of the load in the last line of a log; none where it is something else.
pub(super) fn record(log: &[u8]) -> Option<Map<String, Value>> {
    let line = log.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty())?;
    let record: Map<String, Value> = serde_json::from_slice(line).ok()?;
    record.contains_key("record").then_some(record)
}

/// When a record was made.
pub(super) fn time(record: &Map<String, Value>) -> Option<SystemTime> {
    humantime::parse_rfc3339(record.get("time")?.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telling(memory: &str) -> LogFormat {
        LogFormat::of(&Scenario::embedded().unwrap().with_memory(memory.parse().unwrap()).unwrap())
    }

    fn phase(phase: &str) -> Map<String, Value> {
        record(format!("{{\"record\":\"report\",\"phase\":\"{phase}\"}}\n").as_bytes()).unwrap()
    }

    #[test]
    fn ready_is_holding_and_for_all_that_can_be_had_limited_as_well() {
        let (fixed, all) = (telling("20M"), telling("max"));
        assert!(fixed.is_ready(&phase("holding")) && all.is_ready(&phase("holding")));
        assert!(!fixed.is_ready(&phase("limited")) && all.is_ready(&phase("limited")));
        assert!(!fixed.is_ready(&phase("growing")) && !all.is_ready(&phase("growing")));
    }

    #[test]
    fn those_not_ready_go_first_then_the_least_recently_read_and_nobody_too_often() {
        let telling = telling("20M");
        let begin = Instant::now();
        let at = |seconds| Some(begin + Duration::from_secs(seconds));
        let next = |now, list: &[(u32, State, Option<Instant>)]| {
            telling.next(begin + Duration::from_secs(now), list.iter().copied())
        };
        use State::{Creating, Ready, Running};
        assert_eq!(next(9, &[(1, Ready, at(0)), (2, Running, at(7)), (3, Running, at(6))]), Some(3));
        assert_eq!(next(9, &[(1, Ready, at(1)), (2, Ready, at(0)), (3, Running, at(9))]), Some(2));
        assert_eq!(next(9, &[(1, Ready, at(5)), (2, Creating, None), (3, Running, at(9))]), None);
        assert_eq!(next(9, &[(1, Running, at(5)), (2, Running, None)]), Some(2), "the one never read");
    }

    #[test]
    fn the_last_whole_line_of_a_log_is_a_record_or_nothing_is() {
        assert!(record(b"").is_none() && record(b"started\n").is_none() && record(b"{\"a\":1}\n").is_none());
        let last =
            record(b"{\"record\":\"start\"}\n{\"record\":\"end\",\"time\":\"2026-11-25T05:17:37.272Z\"}\n")
                .unwrap();
        assert_eq!(last["record"], "end");
        assert!(time(&last).is_some() && time(&phase("holding")).is_none());
    }

    #[test]
    fn what_is_no_load_or_not_json_is_ready_when_it_runs_and_that_is_said() {
        let mut scenario = Scenario::embedded().unwrap();
        assert!(!LogFormat::of(&scenario).running_is_ready() && LogFormat::of(&scenario).caveat().is_none());
        scenario.container.command = vec!["sleep".into()];
        let telling = LogFormat::of(&scenario);
        assert!(telling.running_is_ready() && telling.caveat().unwrap().contains("sleep"));
        let now = Instant::now();
        assert_eq!(telling.next(now, [(1, State::Ready, None)].into_iter()), None);
    }
}
