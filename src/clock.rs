//! Clocks: monotonic time, CPU time of the process and of each thread.
//!
//! Wall time is `CLOCK_MONOTONIC`: nobody can set it, and time spent suspended makes no debt. All readings
//! are nanoseconds.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_getres, clock_gettime, clock_nanosleep};
use nix::unistd::{Pid, gettid};

fn to_ns(time: TimeSpec) -> u64 {
    // None of the clocks read here is ever negative.
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// A duration in nanoseconds; centuries saturate.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds of `CLOCK_MONOTONIC`: about 25 ns a reading, no system call.
#[must_use]
pub fn monotonic_ns() -> u64 {
    // POSIX and Linux have had this clock for ever; without it there is no time to report either.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, to_ns)
}

/// CPU time of the whole process in nanoseconds.
///
/// # Caveats
/// What other threads are running right now is missing up to the scheduler's last tick (the kernel's
/// `thread_group_cputime`). [`ThreadClock::read_ns`] of each of them just before makes it exact.
#[must_use]
pub fn process_cpu_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(0, to_ns)
}

/// The first point after `now_ns` of the grid that goes on from `point_ns` in steps of `step_ns`: points that went by
/// are skipped. All in nanoseconds; what is centuries away saturates.
#[must_use]
pub(crate) fn next_point_ns(point_ns: u64, step_ns: u64, now_ns: u64) -> u64 {
    let steps = now_ns.saturating_sub(point_ns) / step_ns.max(1) + 1;
    point_ns.saturating_add(steps.saturating_mul(step_ns))
}

/// The scheduler's tick in nanoseconds: the resolution of the coarse clock (`CONFIG_HZ`).
#[must_use]
pub fn tick_ns() -> u64 {
    const HZ_250_NS: u64 = 4_000_000;
    clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).map_or(HZ_250_NS, to_ns)
}

/// Sleeps until `CLOCK_MONOTONIC` reads `time_ns`; returns at once where it has passed.
pub fn sleep_until(time_ns: u64) {
    const LAST_NS: u64 = i64::MAX as u64;
    let time_ns = time_ns.min(LAST_NS);
    let time = TimeSpec::new((time_ns / 1_000_000_000) as i64, (time_ns % 1_000_000_000) as i64);
    let flags = ClockNanosleepFlags::TIMER_ABSTIME;
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &time) == Err(Errno::EINTR) {}
}

/// The CPU clock of one thread of this process, readable from every other.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(ClockId);

impl ThreadClock {
    /// The clock of the thread that calls.
    #[must_use]
    pub fn of_current() -> Self {
        Self::of(gettid())
    }

    fn of(tid: Pid) -> Self {
        // include/linux/posix-timers_types.h, make_thread_cpuclock(): the thread's id inverted, above three
        // bits of kind; 4 is CPUCLOCK_PERTHREAD_MASK, 2 is CPUCLOCK_SCHED.
        const PER_THREAD_SCHED: i32 = 4 | 2;
        Self(ClockId::from_raw((!tid.as_raw() << 3) | PER_THREAD_SCHED))
    }

    /// CPU time of the thread in nanoseconds, exact also while it runs on another CPU (about 600 ns a
    /// reading); 0 where the kernel does not know the clock.
    #[must_use]
    pub fn read_ns(self) -> u64 {
        clock_gettime(self.0).map_or(0, to_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_threads_clock_reads_the_same_from_outside_as_from_inside() {
        let inside_ns = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(to_ns).unwrap();
        let outside_ns = ThreadClock::of_current().read_ns();
        assert!(outside_ns >= inside_ns, "{outside_ns} {inside_ns}");
        assert!(outside_ns - inside_ns < 5_000_000, "{outside_ns} {inside_ns}");
    }

    fn stay_on(cpu: usize) {
        let mut mask = CpuSet::new();
        mask.set(cpu).unwrap();
        sched_setaffinity(Pid::from_raw(0), &mask).unwrap();
    }

    #[test]
    fn a_running_threads_clock_moves_between_two_ticks() {
        // Each on its own CPU: on a busy machine the scheduler may leave both threads on one, where they never run at the same time.
        let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let cpus: Vec<usize> =
            (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu).unwrap()).take(2).collect();
        let &[cpu_of_reader, cpu_of_runner] = cpus.as_slice() else {
            panic!("this test needs two CPUs, and may use {cpus:?}")
        };

        let stop = AtomicBool::new(false);
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                stay_on(cpu_of_runner);
                send.send(ThreadClock::of_current()).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            let reader = scope.spawn(move || {
                stay_on(cpu_of_reader);
                let clock = receive.recv().unwrap();
                // Within a fifth of the shortest tick, a clock in ticks would give two values at most. Either thread may have to wait for
                // its CPU, so there is more than one attempt.
                let distinct_within_200_us = || {
                    let begin_ns = monotonic_ns();
                    let mut readings = Vec::new();
                    while monotonic_ns() < begin_ns + 200_000 {
                        readings.push(clock.read_ns());
                    }
                    readings.dedup();
                    readings.len()
                };
                (0..50_000).map(|_| distinct_within_200_us()).find(|&distinct| distinct > 10)
            });
            let moves = reader.join();
            stop.store(true, Ordering::Relaxed);
            assert!(matches!(moves, Ok(Some(_))), "never more than 10 values within 200 us");
        });
    }

    #[test]
    fn points_of_a_grid_that_went_by_are_skipped() {
        for (now_ns, expected_ns) in [(0, 110), (100, 110), (109, 110), (110, 120), (135, 140)] {
            assert_eq!(next_point_ns(100, 10, now_ns), expected_ns, "{now_ns}");
        }
        assert_eq!(next_point_ns(u64::MAX - 5, 10, u64::MAX), u64::MAX);
        assert_eq!(next_point_ns(100, u64::MAX, 100), u64::MAX);
    }

    #[test]
    fn sleeping_until_a_time_that_has_passed_returns() {
        sleep_until(0);
        let before_ns = monotonic_ns();
        sleep_until(before_ns + 1_000_000);
        assert!(monotonic_ns() >= before_ns + 1_000_000);
    }
}
