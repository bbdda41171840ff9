//! Busy loop: burns CPU time in fixed units of integer work until a clock says stop.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use super::duty_cycle::Burst;
use crate::clock::{ThreadClock, monotonic_ns};

/// Dependent steps in a unit of work: one to two microseconds on a core of today, so that a burst ends
/// within that of where it should.
pub const STEPS_PER_UNIT: u32 = 1024;

/// Does one unit of work: [`STEPS_PER_UNIT`] dependent multiplications and shifts, in registers alone.
///
/// The chain cannot be vectorised or shortened, so a unit costs the same number of cycles everywhere on one
/// kind of CPU, whatever memory does; what it takes in time tells of frequency, SMT neighbours and hidden
/// steal.
#[must_use]
pub fn work_unit(mut state: u64) -> u64 {
    for _ in 0..STEPS_PER_UNIT {
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    }
    state
}

/// Burns until the CPU time of `clock` plus `others_ns` reaches the burst's, or its deadline passes.
///
/// CPU time never runs faster than wall time: as long as the remainder has not passed on the wall (25 ns to
/// read), there is no need to read the CPU clock (600 ns). So a burst reads it about twice, and nothing has
/// to be calibrated. Once `ended` is set it stops after the present unit. Returns the units of work done.
pub fn burn(burst: Burst, clock: ThreadClock, others_ns: u64, ended: &AtomicBool) -> u64 {
    let mut state = 1;
    let mut units = 0;
    loop {
        let left_ns = burst.until_used_ns.saturating_sub(clock.read_ns() + others_ns);
        let now_ns = monotonic_ns();
        if left_ns == 0 || now_ns >= burst.deadline_ns || ended.load(Ordering::Relaxed) {
            return units;
        }
        let pause_ns = (now_ns + left_ns).min(burst.deadline_ns);
        while monotonic_ns() < pause_ns && !ended.load(Ordering::Relaxed) {
            state = work_unit(black_box(state));
            units += 1;
        }
        black_box(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static NOT_ENDED: AtomicBool = AtomicBool::new(false);

    #[test]
    fn it_stops_at_once_when_the_load_has_ended() {
        let burst = Burst { until_used_ns: u64::MAX, deadline_ns: u64::MAX };
        assert_eq!(burn(burst, ThreadClock::of_current(), 0, &AtomicBool::new(true)), 0);
    }

    #[test]
    fn a_burst_ends_when_its_cpu_time_is_used() {
        let clock = ThreadClock::of_current();
        let until_used_ns = clock.read_ns() + 5_000_000;
        let units = burn(Burst { until_used_ns, deadline_ns: u64::MAX }, clock, 0, &NOT_ENDED);
        assert!(clock.read_ns() >= until_used_ns);
        assert!(units > 0);
    }

    #[test]
    fn what_others_used_shortens_it() {
        let clock = ThreadClock::of_current();
        let used_ns = clock.read_ns();
        let burst = Burst { until_used_ns: used_ns + 5_000_000, deadline_ns: u64::MAX };
        assert_eq!(burn(burst, clock, 5_000_000, &NOT_ENDED), 0);
    }

    #[test]
    fn a_deadline_that_has_passed_ends_it_at_once() {
        let burst = Burst { until_used_ns: u64::MAX, deadline_ns: 1 };
        assert_eq!(burn(burst, ThreadClock::of_current(), 0, &NOT_ENDED), 0);
    }
}
