//! Cool-down between the runs of a study: nothing left of the last run, and memory steady again. Pure.
//!
//! A run of a study watches memory after its last instance until it is back or stays where it is, for as long as `cooldown.most`; so
//! what is left here is the rest of `cooldown.least`, and a note where the state of rest was not reached.

use std::time::{Duration, SystemTime};

use ramp_format::run_file::RunFile;
use ramp_format::study::Cooldown;

/// Time to wait before the next run, and what is to be known of that run.
pub(super) fn before_next(
    last: Option<&RunFile>,
    cooldown: Cooldown,
    now: SystemTime,
) -> (Duration, Vec<String>) {
    let Some(last) = last else { return (Duration::ZERO, Vec::new()) };
    let since = last.end.and_then(|end| now.duration_since(end.0).ok());
    let wait = cooldown.least.saturating_sub(since.unwrap_or_default());
    let mut notes = Vec::new();
    if let Some(teardown) = &last.teardown {
        if !teardown.left.is_empty() {
            notes.push(format!("before it, {} was left of the run before", teardown.left.join(", ")));
        }
        if teardown.steady == Some(false) {
            let seconds = teardown.watched_seconds.unwrap_or_default();
            notes.push(format!("before it, memory was not steady {seconds:.0} s after the run before"));
        }
    }
    (wait, notes)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use ramp_format::plan::Plan;
    use ramp_format::preflight::Preflight;
    use ramp_format::run_file::Teardown;
    use ramp_format::time::Time;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_least_time_passes_and_what_was_not_reached_is_noted() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let teardown = Teardown {
            instances: 2,
            seconds: None,
            left: vec!["pod/a".into()],
            memory: Vec::new(),
            watched_seconds: Some(120.0),
            steady: Some(false),
        };
        let mut run =
            RunFile::new(Plan::default(), "s".into(), Value::Null, Preflight::default(), Time(at(0)));
        (run.end, run.teardown) = (Some(Time(at(100))), Some(teardown.clone()));
        let cooldown = Cooldown { least: Duration::from_secs(30), most: Duration::from_secs(120) };
        let (wait, notes) = before_next(Some(&run), cooldown, at(110));
        assert_eq!(wait, Duration::from_secs(20));
        assert_eq!(
            notes,
            [
                "before it, pod/a was left of the run before",
                "before it, memory was not steady 120 s after the run before"
            ]
        );
        run.teardown = Some(Teardown { left: Vec::new(), steady: Some(true), ..teardown });
        assert_eq!(before_next(Some(&run), cooldown, at(500)), (Duration::ZERO, Vec::new()));
        assert_eq!(before_next(None, cooldown, at(0)), (Duration::ZERO, Vec::new()));
    }
}
