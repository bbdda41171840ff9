//! Readiness: when an instance holds all of its memory, by what it reports of itself.

use std::time::Duration;

use serde_json::{Map, Value};
use workload::report::Format;

use ramp_format::scenario::Scenario;

/// What tells that an instance is ready.
#[derive(Clone, Debug)]
pub(crate) enum Readiness {
    /// Its reports, which it writes this often.
    Reported(Duration),
    /// That it runs: it reports nothing that is understood, for this reason.
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

    /// Whether one that runs is ready for that.
    pub(crate) fn once_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }
}

/// Whether a report says that its program has got its memory, as `/readyz` of the load does: all that was asked for,
/// or, where that is all that can be had, no more to be had.
pub(crate) fn is_ready(record: &Map<String, Value>) -> bool {
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    if text("record") == Some("end") {
        return false;
    }
    if let Some(ready) = record.get("ready").and_then(Value::as_u64) {
        return ready == 1;
    }
    // Older images do not say it themselves.
    match text("phase") {
        Some("holding") => true,
        Some("limited") => text("memory_target_bytes") == Some("unlimited"),
        Some(_) => false,
        // One of the machine: there is nothing to get.
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
