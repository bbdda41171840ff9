//! Clock watch: notices when the wall clock of this machine was set, when the machine was suspended, and when the clock of a node is
//! apart from it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_duration;
use ramp_format::run_clock::ClockChange;
use ramp_format::time::{Time, seconds};

use crate::clock::Moment;
use crate::engine::Notice;

/// Object of the notices on the clocks of this machine.
const OBJECT: &str = "clock/ramp";
/// Smaller changes, in seconds, are summed up until they are as large.
const MATTERS_SECONDS: f64 = 0.1;
/// A sample is delivered within this time, in seconds, and times have milliseconds: clocks that differ by less may be in step.
const APART_SECONDS: f64 = 2.0;
/// So many samples in a row are dated apart, and most of them alike: some may be late.
const SAMPLES: usize = 5;

/// The clocks, as last noticed.
#[derive(Clone, Debug, Default)]
pub(super) struct ClockWatch {
    before: Option<Before>,
    nodes: BTreeMap<String, NodeOffset>,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    /// By how many seconds the wall clock is ahead of the time since the run began.
    ahead: f64,
    suspended: Duration,
}

impl Before {
    fn of(now: Moment) -> Self {
        Self { ahead: signed(now.wall, UNIX_EPOCH) - now.passed().as_secs_f64(), suspended: now.suspended }
    }
}

/// What was noticed of the clocks of this machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Noticed {
    /// The wall clock was set.
    Set(ClockChange),
    /// The machine was suspended.
    Suspended(ClockChange),
}

impl Noticed {
    pub(super) fn notice(self, now: Moment) -> Notice {
        match self {
            Self::Set(change) => {
                let (way, wall) = (direction(change.by_seconds, "forward", "back"), Time(now.wall));
                let message = format!(
                    "the wall clock of this machine was set {way}, to {wall}; durations are by the monotonic clock"
                );
                Notice::note(OBJECT, "ClockSet", message)
            }
            Self::Suspended(change) => {
                let time = words(change.by_seconds);
                let message = format!(
                    "this machine was suspended for {time}: nothing was observed, and the time does not count as elapsed"
                );
                Notice::note(OBJECT, "Suspended", message)
            }
        }
    }
}

impl ClockWatch {
    /// Goes on from the last row of an earlier process.
    pub(super) fn resume(last: Moment) -> Self {
        Self { before: Some(Before::of(last)), nodes: BTreeMap::new() }
    }

    /// Compares the clocks with what they last showed; to be called until there is nothing more.
    pub(super) fn see(&mut self, now: Moment) -> Option<Noticed> {
        let current = Before::of(now);
        let before = self.before.get_or_insert(current);
        let change = |by_seconds| ClockChange { elapsed_seconds: seconds(now.elapsed), by_seconds };
        let suspended = now.suspended.saturating_sub(before.suspended);
        if suspended.as_secs_f64() >= MATTERS_SECONDS {
            before.suspended = now.suspended;
            return Some(Noticed::Suspended(change(seconds(suspended))));
        }
        let ahead = current.ahead - before.ahead;
        if ahead.abs() >= MATTERS_SECONDS {
            before.ahead = current.ahead;
            return Some(Noticed::Set(change((ahead * 1000.0).round() / 1000.0)));
        }
        None
    }

    /// Takes the time of a sample by its node's clock. Returns a notice if that clock is apart from this machine's, or no longer is.
    pub(super) fn node(&mut self, now: Moment, node: &str, taken: SystemTime) -> Option<Notice> {
        if !self.nodes.contains_key(node) {
            self.nodes.insert(node.to_owned(), NodeOffset::default());
        }
        let message = self.nodes.get_mut(node)?.see(signed(now.wall, taken))?;
        let reason = if message.contains("agrees") { "ClockInStep" } else { "ClockApart" };
        Some(Notice::note(format!("node/{node}"), reason, message))
    }
}

/// Offset of a node's clock.
#[derive(Clone, Debug, Default)]
struct NodeOffset {
    /// As last told, in seconds: positive if the node's clock is behind.
    told: f64,
    /// By how many seconds the latest samples arrived after their time, since one agreed with that.
    recent: VecDeque<f64>,
}

impl NodeOffset {
    /// Takes by how many seconds a sample arrived after its time.
    fn see(&mut self, behind: f64) -> Option<String> {
        if (behind - self.told).abs() < APART_SECONDS {
            self.recent.clear();
            return None;
        }
        if self.recent.len() == SAMPLES {
            self.recent.pop_front();
        }
        self.recent.push_back(behind);
        // Samples that were on their way for longer tell less.
        let least = self.recent.iter().copied().fold(f64::INFINITY, f64::min);
        let agree = self.recent.iter().filter(|behind| **behind - least < APART_SECONDS).count();
        if self.recent.len() < SAMPLES || agree <= SAMPLES / 2 {
            return None;
        }
        self.recent.clear();
        self.told = if least.abs() < APART_SECONDS { 0.0 } else { least };
        Some(if self.told == 0.0 {
            "the node's clock agrees with that of this machine again".to_owned()
        } else {
            let way = direction(-self.told, "ahead of", "behind");
            format!(
                "the node's clock is {way} that of this machine, by the times of its samples; allowed for"
            )
        })
    }
}

/// A duration and its direction by its sign: `forward by 1h`, `2s behind`.
fn direction(seconds: f64, positive: &str, negative: &str) -> String {
    let (way, time) = (if seconds < 0.0 { negative } else { positive }, words(seconds.abs()));
    if way.ends_with("forward") || way.ends_with("back") {
        format!("{way} by {time}")
    } else {
        format!("{time} {way}")
    }
}

/// As people write it, in tenths of a second.
fn words(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as u64;
    format_duration(Duration::from_millis(tenths.saturating_mul(100))).to_string()
}

fn signed(later: SystemTime, earlier: SystemTime) -> f64 {
    match later.duration_since(earlier) {
        Ok(difference) => difference.as_secs_f64(),
        Err(error) => -error.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(elapsed: f64, ahead: f64, suspended: f64) -> Moment {
        Moment {
            wall: UNIX_EPOCH + Duration::from_secs_f64(1e9 + elapsed + ahead + suspended),
            elapsed: Duration::from_secs_f64(elapsed),
            suspended: Duration::from_secs_f64(suspended),
        }
    }

    #[test]
    fn a_clock_that_is_set_and_a_suspension_are_noticed_once_and_slewing_is_neither() {
        let mut watch = ClockWatch::default();
        let noticed = [
            moment(0.0, 0.0, 0.0),
            moment(1.0, 0.02, 0.0),
            moment(2.0, 3600.02, 0.0),
            moment(3.0, 3600.02, 0.0),
            moment(4.0, 3600.02, 120.0),
            moment(5.0, -10.0, 120.0),
        ]
        .map(|now| watch.see(now).map(|noticed| noticed.notice(now).message));
        let [.., set, none, suspended, back] = noticed.clone();
        assert_eq!((&noticed[0], &noticed[1], none), (&None, &None, None));
        assert_eq!(
            set.unwrap(),
            "the wall clock of this machine was set forward by 1h, to 2001-09-09T02:46:42.019Z; \
             durations are by the monotonic clock"
        );
        assert!(suspended.unwrap().starts_with("this machine was suspended for 2m: nothing was observed"));
        assert!(back.unwrap().contains("was set back by 1h 10s, to 2001-09-09T01:48:35.000Z;"));
    }

    #[test]
    fn a_resumed_run_notices_what_was_set_and_suspended_meanwhile() {
        let mut watch = ClockWatch::resume(moment(60.0, 0.0, 5.0));
        let now = moment(100.0, 30.0, 25.0);
        let change = |by_seconds| ClockChange { elapsed_seconds: 100.0, by_seconds };
        assert_eq!(watch.see(now), Some(Noticed::Suspended(change(20.0))));
        assert_eq!(watch.see(now), Some(Noticed::Set(change(30.0))));
        assert_eq!(watch.see(now), None);
    }

    #[test]
    fn a_node_s_clock_that_is_apart_is_told_once_and_when_that_changes_and_late_samples_are_not() {
        let mut watch = ClockWatch::default();
        let mut told = Vec::new();
        for second in 0..60_u32 {
            let now = moment(f64::from(second), 0.0, 0.0);
            // One sample in three is late by 10 s. The clock is 90 s behind, then an hour ahead, then right.
            let late = if second % 3 == 0 { 10.0 } else { 0.1 };
            let behind = [90.0, -3600.0, 0.0][second as usize / 20] + late;
            let taken = now.wall - Duration::from_secs(10_000) + Duration::from_secs_f64(10_000.0 - behind);
            told.extend(watch.node(now, "node-1", taken).map(|notice| (notice.reason, notice.message)));
        }
        let told: Vec<(&str, &str)> =
            told.iter().map(|(reason, said)| (reason.as_str(), &said[..36])).collect();
        let expected = [
            ("ClockApart", "the node's clock is 1m 30s 100ms beh"),
            ("ClockApart", "the node's clock is 59m 59s 900ms ah"),
            ("ClockInStep", "the node's clock agrees with that of"),
        ];
        assert_eq!(told, expected);
    }
}
