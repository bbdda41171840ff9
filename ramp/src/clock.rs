//! Clocks: the wall clock beside the monotonic clock, of this machine or of a simulated one.
//!
//! Durations, deadlines and ages are by `CLOCK_MONOTONIC`, which nobody can set and which stops while the machine is suspended, as do the
//! timers of the runtime. The wall clock only says what time it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};
use ramp_format::run_clock::RunClock;
use tokio::time::Instant;

/// A point in time of a run, by each clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock, as it was set then.
    pub wall: SystemTime,
    /// Time since the run began, without [`Self::suspended`].
    pub elapsed: Duration,
    /// Time since the run began for which this machine was suspended.
    pub suspended: Duration,
}

impl Moment {
    /// Time since the run began, suspended or not: what has passed for other machines.
    #[must_use]
    pub fn passed(&self) -> Duration {
        self.elapsed.saturating_add(self.suspended)
    }
}

/// The clocks of a run.
#[derive(Clone, Debug)]
pub struct Clock {
    source: ClockSource,
    /// Readings at the begin of the run.
    began: BootTime,
}

#[derive(Clone, Debug)]
enum ClockSource {
    System,
    Simulated(Arc<SimulatedClock>),
}

/// Clocks of a simulated machine: they follow the time of the runtime, which may be paused.
#[derive(Debug)]
struct SimulatedClock {
    begin: SystemTime,
    made: Instant,
    ahead_ns: AtomicI64,
    suspended_ns: AtomicI64,
}

/// Time since the machine was booted, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct BootTime {
    /// `CLOCK_MONOTONIC`.
    awake_ns: i64,
    /// `CLOCK_BOOTTIME` less that.
    suspended_ns: i64,
}

impl Clock {
    /// The clocks of this machine; the run begins now.
    #[must_use]
    pub fn system() -> Self {
        Self { source: ClockSource::System, began: system().1 }
    }

    /// Simulated clocks that show `now`; the run begins now.
    #[must_use]
    pub fn simulated(now: SystemTime) -> Self {
        let (ahead_ns, suspended_ns) = (AtomicI64::new(0), AtomicI64::new(0));
        let clock = SimulatedClock { begin: now, made: Instant::now(), ahead_ns, suspended_ns };
        Self { source: ClockSource::Simulated(Arc::new(clock)), began: BootTime::default() }
    }

    /// The same clocks; the run begins now.
    #[must_use]
    pub fn begin(self) -> Self {
        let began = self.read().1;
        Self { began, ..self }
    }

    /// The same clocks for a run of an earlier process, whose last row is of a time by the run's clock and the wall clock. Also whether the
    /// time since then is by the monotonic clock: otherwise the machine was booted since, or is another one, and only the wall clock
    /// tells. It is never negative.
    #[must_use]
    pub fn resume(self, run: &RunClock, last: Moment) -> (Self, bool) {
        let (wall, now) = self.read();
        let is_same_boot = run.boot_id.is_some() && run.boot_id == boot_id();
        let began = BootTime {
            awake_ns: (run.began_monotonic_seconds * 1e9) as i64,
            suspended_ns: (run.began_suspended_seconds * 1e9) as i64,
        };
        let (elapsed_ns, suspended_ns) = (signed_ns(last.elapsed), signed_ns(last.suspended));
        if is_same_boot && now.awake_ns - began.awake_ns >= elapsed_ns {
            return (Self { began, ..self }, true);
        }
        let since_ns = signed_ns(wall.duration_since(last.wall).unwrap_or_default());
        let began = BootTime {
            awake_ns: now.awake_ns.saturating_sub(elapsed_ns).saturating_sub(since_ns),
            suspended_ns: now.suspended_ns - suspended_ns,
        };
        (Self { began, ..self }, false)
    }

    /// What `run.json` says of these clocks.
    #[must_use]
    pub fn recorded(&self) -> RunClock {
        let boot_id = matches!(self.source, ClockSource::System).then(boot_id).flatten();
        RunClock {
            boot_id,
            began_monotonic_seconds: self.began.awake_ns as f64 / 1e9,
            began_suspended_seconds: self.began.suspended_ns as f64 / 1e9,
            ..RunClock::default()
        }
    }

    /// Current time by the wall clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.read().0
    }

    /// Current time by each clock.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let (wall, now) = self.read();
        let since = |began: i64, now: i64| Duration::from_nanos((now - began).try_into().unwrap_or(0));
        Moment {
            wall,
            elapsed: since(self.began.awake_ns, now.awake_ns),
            suspended: since(self.began.suspended_ns, now.suspended_ns),
        }
    }

    /// Sets a simulated wall clock forward (or back), and has the machine been suspended, for so many nanoseconds in all.
    pub fn simulate(&self, ahead_ns: i64, suspended: Duration) {
        if let ClockSource::Simulated(clock) = &self.source {
            clock.ahead_ns.store(ahead_ns, Ordering::Relaxed);
            clock.suspended_ns.store(signed_ns(suspended), Ordering::Relaxed);
        }
    }

    fn read(&self) -> (SystemTime, BootTime) {
        match &self.source {
            ClockSource::System => system(),
            ClockSource::Simulated(clock) => {
                let (awake, suspended_ns) =
                    (clock.made.elapsed(), clock.suspended_ns.load(Ordering::Relaxed));
                let passed = clock.begin + awake + Duration::from_nanos(suspended_ns.unsigned_abs());
                let ahead_ns = clock.ahead_ns.load(Ordering::Relaxed);
                let ahead = Duration::from_nanos(ahead_ns.unsigned_abs());
                let wall = if ahead_ns < 0 { passed.checked_sub(ahead) } else { passed.checked_add(ahead) };
                (wall.unwrap_or(passed), BootTime { awake_ns: signed_ns(awake), suspended_ns })
            }
        }
    }
}

/// Readings of the clocks at one time.
fn system() -> (SystemTime, BootTime) {
    const AT_ONCE_NS: i64 = 1_000_000;
    let read = |clock| clock_gettime(clock).map_or(0, |time| time.tv_sec() * 1_000_000_000 + time.tv_nsec());
    let mut attempts = 0;
    loop {
        let begin_ns = read(ClockId::CLOCK_MONOTONIC);
        let (wall, boot_ns) = (SystemTime::now(), read(ClockId::CLOCK_BOOTTIME));
        let awake_ns = read(ClockId::CLOCK_MONOTONIC);
        attempts += 1;
        // Readings that others ran between, or a suspension, would look like a clock that was set.
        if awake_ns - begin_ns < AT_ONCE_NS || attempts == 10 {
            // Kernels without this clock are never suspended.
            let suspended_ns = if boot_ns == 0 { 0 } else { (boot_ns - awake_ns).max(0) };
            return (wall, BootTime { awake_ns, suspended_ns });
        }
    }
}

fn signed_ns(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The id of this boot: `CLOCK_MONOTONIC` of another one says nothing.
fn boot_id() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_is_set_and_a_suspension_change_no_duration() {
        let clock = Clock::simulated(UNIX_EPOCH + 10_000 * SECOND);
        tokio::time::advance(5 * SECOND).await;
        clock.simulate(-3_600_000_000_000, 60 * SECOND);
        let now = clock.moment();
        assert_eq!((now.elapsed, now.suspended, now.passed()), (5 * SECOND, 60 * SECOND, 65 * SECOND));
        assert_eq!(now.wall, UNIX_EPOCH + 6465 * SECOND);
        clock.simulate(3_600_000_000_000, 60 * SECOND);
        assert_eq!(clock.now(), UNIX_EPOCH + 13_665 * SECOND);
    }

    #[tokio::test]
    async fn a_run_that_is_resumed_goes_on_from_its_last_row() {
        let first = Clock::system();
        let (run, wall) = (first.recorded(), first.now());
        let last = |elapsed, wall| Moment { wall, elapsed, suspended: 5 * SECOND };
        // The wall clock was set back by an hour since.
        let (second, by_monotonic) = Clock::system().resume(&run, last(Duration::ZERO, wall + 3600 * SECOND));
        assert!(by_monotonic && second.moment().elapsed < 60 * SECOND, "{:?}", second.moment());
        let other_boot = RunClock { boot_id: Some("other".into()), ..run };
        let (second, by_monotonic) =
            Clock::system().resume(&other_boot, last(60 * SECOND, wall - 600 * SECOND));
        assert!(!by_monotonic && (660 * SECOND..700 * SECOND).contains(&second.moment().elapsed));
        let (second, _) =
            Clock::system().resume(&RunClock::default(), last(60 * SECOND, wall + 600 * SECOND));
        let now = second.moment();
        assert!((60 * SECOND..100 * SECOND).contains(&now.elapsed), "never negative: {now:?}");
        assert_eq!(now.suspended, 5 * SECOND);
    }
}
