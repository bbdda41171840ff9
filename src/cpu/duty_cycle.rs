//! Duty cycle of a CPU worker: clock readings in; how long to burn and when to wake up out.
//!
//! A worker owes CPU time in proportion to the wall time since the start, `W(t) = share × (t − origin)`.
//! It wakes on a grid, burns until the schedule of that window is met, and sleeps. What it falls behind
//! (stopped, throttled, starved) it catches up, but no more than [`DEBT_WINDOW_NS`] worth of it: the rest is
//! given up and counted.
//!
//! # Guarantees
//! - Nothing here reads a clock: the same readings give the same answers.
//! - The CPU time used never passes the schedule by more than one burst (`share × period`), but for what
//!   other threads of the process have used and for one work unit.
//! - After a stop of any length, at most `share × 250 ms` more than the schedule is burnt.
//! - In the absence of starvation nothing is ever given up, so there is no drift.
//!
//! Clock readings are nanoseconds since an origin of the caller's, the same for wall and grid.

/// Debt older than this much wall time is given up.
///
/// Short enough that the second after a long stop stays within 25 % of its share, long enough to bridge
/// the 100 ms period of a CPU quota and a host that runs the guest only 40 ms in every 100.
pub const DEBT_WINDOW_NS: u64 = 250_000_000;

/// A period is never shorter: the wake-up costs about 50 µs of CPU in a guest.
const SHORTEST_PERIOD_NS: f64 = 10e6;
/// A period is never longer: single seconds are to be exact as well.
const LONGEST_PERIOD_NS: f64 = 100e6;
/// The burst that a period should hold, so that its wake-up stays small beside it.
const WORTHWHILE_BURST_NS: f64 = 1e6;
/// Wake-ups later than this many periods count as stalls.
const STALL_PERIODS: u64 = 3;
/// 1/φ, the step of the sequence that covers an interval most evenly (Weyl, 1916).
const GOLDEN_STEP: f64 = 0.618_033_988_749_894_9;

/// What a worker is to do after waking up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Burn until this much CPU time has been used since the start.
    pub until_used_ns: u64,
    /// Stop at this wall time whatever has been reached.
    pub deadline_ns: u64,
}

/// A worker's share and phase, and when they count from.
#[derive(Clone, Copy, Debug)]
pub struct DutySpec {
    /// CPU time per wall time; above 1 where more is wanted than there are CPUs.
    pub share: f64,
    /// When the schedule starts.
    pub origin_ns: u64,
    /// CPU time that counts as scheduled by then: what had been used, and what was still owed. Negative where more was
    /// used than will be scheduled for some time.
    pub base_ns: i64,
    /// When the schedule ends, if it does: nothing is burnt for the time after it.
    pub end_ns: Option<u64>,
    /// The scheduler's tick, to keep the bursts out of step with it.
    pub tick_ns: u64,
    /// Where in its period this worker wakes, from 0 to 1.
    pub phase: f64,
}

/// The controller of one worker.
#[derive(Clone, Debug)]
pub struct DutyCycle {
    duty: DutySpec,
    period_ns: u64,
    /// Width of the dither of a wake-up.
    dither_ns: f64,
    /// The first point of the grid.
    grid_ns: u64,
    /// The window that the last burst belonged to.
    window: u64,
    planned_wake_ns: u64,
    forgiven_ns: u64,
    /// Given up under earlier duties.
    forgiven_before_ns: u64,
    stalls: u64,
    stalled_ns: u64,
}

/// The period for a share: long enough for a worthwhile burst and for a wake-up to move by one tick
/// without meeting the end of its window.
fn period_ns(share: f64, tick_ns: u64) -> u64 {
    let share = share.clamp(f64::MIN_POSITIVE, 1.0);
    let tick = tick_ns as f64;
    let worthwhile = WORTHWHILE_BURST_NS / share;
    let room_for_dither = tick / (1.0 - share);
    let shortest = SHORTEST_PERIOD_NS.max(2.0 * tick).min(LONGEST_PERIOD_NS);
    worthwhile.max(room_for_dither).clamp(shortest, LONGEST_PERIOD_NS) as u64
}

/// Centuries fit.
fn signed(time_ns: u64) -> i64 {
    i64::try_from(time_ns).unwrap_or(i64::MAX)
}

impl DutyCycle {
    /// A controller for one worker's duty.
    #[must_use]
    pub fn new(duty: DutySpec) -> Self {
        let period_ns = period_ns(duty.share, duty.tick_ns);
        let idle_ns = (1.0 - duty.share).max(0.0) * period_ns as f64;
        let grid_ns = duty.origin_ns + (duty.phase.clamp(0.0, 1.0) * period_ns as f64) as u64;
        Self {
            duty,
            period_ns,
            // One tick's width makes the wake-ups fall on every part of the tick equally often, so that a
            // meter that samples at the tick (`/proc/stat`) sees the true share. More would only add noise.
            dither_ns: (duty.tick_ns as f64).min(idle_ns),
            grid_ns,
            window: 0,
            planned_wake_ns: grid_ns,
            forgiven_ns: 0,
            forgiven_before_ns: 0,
            stalls: 0,
            stalled_ns: 0,
        }
    }

    /// A controller for another duty of the same worker; its counters continue.
    #[must_use]
    pub fn resume(&self, duty: DutySpec) -> Self {
        Self {
            forgiven_before_ns: self.forgiven_ns(),
            stalls: self.stalls,
            stalled_ns: self.stalled_ns,
            ..Self::new(duty)
        }
    }

    /// Gives up CPU time that is still owed.
    pub fn forgive(&mut self, owed_ns: u64) {
        self.forgiven_ns += owed_ns;
    }

    /// CPU time given up so far, because it was not available when due.
    #[must_use]
    pub fn forgiven_ns(&self) -> u64 {
        self.forgiven_before_ns + self.forgiven_ns
    }

    /// CPU time still owed; negative where more than that has been used.
    #[must_use]
    pub fn owed_ns(&self, now_ns: u64, used_ns: u64) -> i64 {
        // Centuries do not overflow.
        self.scheduled_ns(now_ns) - signed(self.forgiven_ns) - signed(used_ns)
    }

    /// Wake-ups that came more than three periods late, and how late they were in total.
    #[must_use]
    pub fn stalls(&self) -> (u64, u64) {
        (self.stalls, self.stalled_ns)
    }

    /// The first time to wake up.
    #[must_use]
    pub fn first_wake_ns(&self) -> u64 {
        self.planned_wake_ns
    }

    /// Called on waking up, with the wall time and the CPU time used so far.
    pub fn begin(&mut self, now_ns: u64, used_ns: u64) -> Burst {
        self.count_stall(now_ns);
        let bound_ns = (self.duty.share * DEBT_WINDOW_NS as f64) as u64;
        let debt_ns = self.owed_ns(now_ns, used_ns).max(0).unsigned_abs();
        self.forgiven_ns += debt_ns.saturating_sub(bound_ns);
        // Grid points that went by are skipped: the debt stands for them.
        self.window = self.window.max(self.window_at(now_ns));
        let until_ns = self.grid_ns + self.window * self.period_ns + self.lead_ns();
        let target_ns = self.owed_ns(until_ns, 0).max(0).unsigned_abs();
        let next_point_ns = self.grid_ns + (self.window + 1) * self.period_ns;
        Burst { until_used_ns: target_ns, deadline_ns: next_point_ns.max(now_ns) + self.period_ns / 4 }
    }

    /// Called after the burst, with the readings that ended it: when to wake up next. A time that has passed
    /// means at once; after the end of the schedule it is [`u64::MAX`].
    pub fn next_wake_ns(&mut self, now_ns: u64, used_ns: u64) -> u64 {
        let behind = self.owed_ns(now_ns, used_ns) > 0;
        let ended = self.duty.end_ns.is_some_and(|end_ns| now_ns >= end_ns);
        self.planned_wake_ns = if ended {
            u64::MAX
        } else if behind {
            // The deadline ended the burst: no time to lose.
            now_ns
        } else {
            self.window = (self.window + 1).max(self.window_at(now_ns)).max(self.window_due(used_ns));
            self.grid_ns + self.window * self.period_ns + self.dither(self.window)
        };
        self.planned_wake_ns
    }

    /// How far ahead of a grid point its burst serves: such that the error, a sawtooth, is zero on average.
    fn lead_ns(&self) -> u64 {
        ((self.period_ns as f64 * (1.0 + self.duty.share.min(1.0)) + self.dither_ns) / 2.0) as u64
    }

    /// CPU time scheduled from the origin until `time_ns`.
    fn scheduled_ns(&self, time_ns: u64) -> i64 {
        let time_ns = self.duty.end_ns.map_or(time_ns, |end_ns| time_ns.min(end_ns));
        // The cast saturates.
        let since_ns = (self.duty.share * time_ns.saturating_sub(self.duty.origin_ns) as f64) as i64;
        self.duty.base_ns.saturating_add(since_ns)
    }

    fn window_at(&self, time_ns: u64) -> u64 {
        time_ns.saturating_sub(self.grid_ns) / self.period_ns
    }

    /// The first window in which there is something left to burn: later than the next one where other
    /// threads have used up the budget, and never, in effect, for a share of next to nothing.
    fn window_due(&self, used_ns: u64) -> u64 {
        let paid_ns = signed(used_ns + self.forgiven_ns).saturating_sub(self.duty.base_ns).max(0);
        let paid_until_ns = paid_ns as f64 / self.duty.share;
        let past_grid_ns = self.duty.origin_ns as f64 + paid_until_ns - self.grid_ns as f64;
        // The cast saturates; a hundred years of windows are enough and leave room to multiply.
        ((past_grid_ns - self.lead_ns() as f64) / self.period_ns as f64).min(1e10) as u64
    }

    fn dither(&self, window: u64) -> u64 {
        let position = (self.duty.phase + window as f64 * GOLDEN_STEP).fract();
        (position * self.dither_ns) as u64
    }

    fn count_stall(&mut self, now_ns: u64) {
        let late_ns = now_ns.saturating_sub(self.planned_wake_ns);
        if late_ns > STALL_PERIODS * self.period_ns {
            self.stalls += 1;
            self.stalled_ns += late_ns;
        }
    }
}

#[cfg(test)]
mod tests;
