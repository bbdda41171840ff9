//! Line limiter: a few lines of a kind in an interval are shown; the others are counted and summed up in one line.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use ramp_format::text::count;

/// Interval of the lines of one kind.
const INTERVAL: Duration = Duration::from_secs(10);
/// Notices of one kind that are shown in an interval.
const NOTICES: u32 = 5;
/// Kinds that are told apart.
const KINDS: usize = 200;

/// Lines by kind.
#[derive(Debug, Default)]
pub(super) struct LineLimiter {
    failures: BTreeMap<String, LinesOfKind>,
    notices: BTreeMap<String, LinesOfKind>,
}

/// Lines of one kind.
#[derive(Debug)]
struct LinesOfKind {
    total: u64,
    begun: Instant,
    shown: u32,
    /// Not shown since the last line.
    hidden: u64,
    last: String,
}

impl LineLimiter {
    /// An instance has failed. Returns the line to show, if any.
    pub(super) fn failure(&mut self, reason: &str, now: Instant) -> Option<String> {
        let kind = reason.split([':', ',']).next().unwrap_or(reason);
        let lines = of_kind(&mut self.failures, kind, now);
        lines.add(reason.to_owned(), 1, now).then(|| failures(lines))
    }

    /// A notice. Returns the line to show, if any.
    pub(super) fn notice(&mut self, kind: &str, line: String, now: Instant) -> Option<String> {
        let lines = of_kind(&mut self.notices, kind, now);
        lines.add(line, NOTICES, now).then(|| lines.last.clone())
    }

    /// The lines that sum up what was not shown in the last interval.
    pub(super) fn due(&mut self, now: Instant) -> Vec<String> {
        let mut due = Vec::new();
        for lines in self.failures.values_mut().filter(|lines| lines.is_due(now)) {
            let seconds = INTERVAL.as_secs();
            due.push(format!("{} ({} in the last {seconds} s)", failures(lines), lines.hidden));
            lines.sum_up(now);
        }
        for lines in self.notices.values_mut().filter(|lines| lines.is_due(now)) {
            due.push(format!("{} ({} more like this)", lines.last, lines.hidden));
            lines.sum_up(now);
        }
        due
    }
}

fn failures(lines: &LinesOfKind) -> String {
    format!("{}: {}", count(lines.total, "failure"), lines.last)
}

fn of_kind<'a>(all: &'a mut BTreeMap<String, LinesOfKind>, kind: &str, now: Instant) -> &'a mut LinesOfKind {
    let kind = if all.len() < KINDS || all.contains_key(kind) { kind } else { "" };
    let new = || LinesOfKind { total: 0, begun: now, shown: 0, hidden: 0, last: String::new() };
    all.entry(kind.to_owned()).or_insert_with(new)
}

impl LinesOfKind {
    /// Whether a line is shown, of which at most `most` are in an interval.
    fn add(&mut self, line: String, most: u32, now: Instant) -> bool {
        if self.hidden == 0 && now.duration_since(self.begun) >= INTERVAL {
            (self.begun, self.shown) = (now, 0);
        }
        let is_shown = self.shown < most;
        self.total += 1;
        self.shown += u32::from(is_shown);
        self.hidden += u64::from(!is_shown);
        self.last = line;
        is_shown
    }

    fn is_due(&self, now: Instant) -> bool {
        self.hidden > 0 && now.duration_since(self.begun) >= INTERVAL
    }

    fn sum_up(&mut self, now: Instant) {
        (self.begun, self.shown, self.hidden) = (now, 1, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_of_failures_one_line_is_shown_in_ten_seconds_with_their_numbers() {
        let (begin, mut lines, mut shown) = (Instant::now(), LineLimiter::default(), Vec::new());
        for tenth in 0..300_u64 {
            let now = begin + Duration::from_millis(100 * tenth);
            shown.extend(lines.failure("OutOfcpu: Node didn't have enough resource: cpu", now));
            shown.extend(lines.due(now));
        }
        let reason = "OutOfcpu: Node didn't have enough resource: cpu";
        let expected = [
            format!("1 failure: {reason}"),
            format!("101 failures: {reason} (100 in the last 10 s)"),
            format!("201 failures: {reason} (100 in the last 10 s)"),
        ];
        assert_eq!(shown, expected);
        assert_eq!(lines.failure("Error, exit 2", begin).as_deref(), Some("1 failure: Error, exit 2"));
    }

    #[test]
    fn a_few_notices_are_shown_as_they_come_and_of_many_the_last_with_the_number_of_the_others() {
        let (begin, mut lines) = (Instant::now(), LineLimiter::default());
        let shown: Vec<String> = (0..50)
            .filter_map(|number| lines.notice("FailedCreate", format!("container/{number}: no"), begin))
            .collect();
        assert_eq!(shown.len(), 5);
        assert_eq!(lines.due(begin + Duration::from_secs(1)), Vec::<String>::new());
        let later = begin + INTERVAL;
        assert_eq!(lines.due(later), ["container/49: no (45 more like this)"]);
        assert_eq!(lines.due(later + INTERVAL), Vec::<String>::new());
        assert!(lines.notice("FailedCreate", "container/50: no".into(), later + INTERVAL).is_some());
    }

    #[test]
    fn however_many_kinds_there_are_few_are_kept() {
        let (begin, mut lines) = (Instant::now(), LineLimiter::default());
        (0..10_000).for_each(|kind| drop(lines.failure(&format!("kind-{kind}"), begin)));
        assert_eq!(lines.failures.len(), KINDS + 1);
    }
}
