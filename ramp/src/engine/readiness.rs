//! Readiness: whether an instance holds all of its memory, by its own reports.

use std::time::Duration;

use serde_json::{Map, Value};
use workload::report::Format;

use ramp_format::scenario::Scenario;

/// The source of readiness.
#[derive(Clone, Debug)]
pub(crate) enum Readiness {
    /// Reports of the instance, at this interval.
    Reported(Duration),
    /// None, for this reason: an instance is ready as soon as it runs.
    Running(String),
}

impl Readiness {
    /// That of a scenario's instances.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        match scenario.load() {
            Ok(load) if load.reports.format == Format::Json => Self::Reported(load.reports.report_every.0),
            Ok(_) => Self::Running("it does not report as --format json".into()),
            Err(reason) => Self::Running(reason),
        }
    }

    /// Whether an instance is ready as soon as it runs.
    pub(crate) fn once_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }
}

/// Whether a report says that the load holds its memory, as its `/readyz` does: all of its target, or with the target `max` all
/// that it can get.
pub(crate) fn is_ready(record: &Map<String, Value>) -> bool {
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    if text("record") == Some("end") {
        return false;
    }
    if let Some(ready) = record.get("ready").and_then(Value::as_u64) {
        return ready == 1;
    }
    // Older images have no field `ready`.
    match text("phase") {
        Some("holding") => true,
        Some("limited") => text("memory_target_bytes") == Some("unlimited"),
        Some(_) => false,
        // A record of `workload node`, which allocates nothing.
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ready(record: &Value) -> bool {
        is_ready(record.as_object().unwrap())
    }

    #[test]
    fn ready_is_who_holds_what_was_asked_for() {
        assert!(!ready(&json!({"record": "start", "phase": "growing", "memory_target_bytes": 5})));
        assert!(ready(&json!({"record": "report", "phase": "holding", "memory_target_bytes": 5})));
        assert!(!ready(&json!({"record": "report", "phase": "limited", "memory_target_bytes": 5})));
        assert!(ready(&json!({"record": "report", "phase": "limited", "memory_target_bytes": "unlimited"})));
        assert!(!ready(&json!({"record": "end", "phase": "holding", "memory_target_bytes": 5})));
    }

    #[test]
    fn what_an_instance_says_itself_goes_before_what_its_phase_would_mean() {
        assert!(ready(
            &json!({"record": "report", "ready": 1, "phase": "limited", "memory_target_bytes": 5})
        ));
        assert!(!ready(&json!({"record": "report", "ready": 0, "phase": "holding"})));
    }

    #[test]
    fn what_is_no_load_or_not_json_is_ready_when_it_runs() {
        let mut scenario = Scenario::embedded().unwrap();
        assert!(!Readiness::of(&scenario).once_running());
        scenario.container.command = vec!["sleep".into()];
        let Readiness::Running(reason) = Readiness::of(&scenario) else { panic!() };
        assert!(reason.contains("sleep"));
    }
}
