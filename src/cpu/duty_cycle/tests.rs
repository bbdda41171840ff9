//! The cycle under a simulated clock.

use super::*;
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;

use proptest::prelude::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// A reading of a clock and the cost of waking up, roughly as measured.
const WAKE_COST_NS: u64 = 50_000;

/// A CPU under a simulated clock: it runs the worker except when it is away.
struct Machine<F> {
    now_ns: u64,
    used_ns: u64,
    /// For a time: the next span, present or to come, in which the worker cannot run.
    next_absence: F,
    /// Where the CPU time used is told, for absences that depend on it.
    reported: Option<Rc<Cell<u64>>>,
}

impl<F: Fn(u64) -> Option<Range<u64>>> Machine<F> {
    fn sleep_until(&mut self, time_ns: u64) {
        self.now_ns = self.now_ns.max(time_ns);
        self.run(WAKE_COST_NS, u64::MAX);
    }

    /// Runs for `cpu_ns` of CPU time or until the deadline, away or not.
    fn run(&mut self, cpu_ns: u64, deadline_ns: u64) {
        let end_ns = self.used_ns.saturating_add(cpu_ns);
        while self.used_ns < end_ns && self.now_ns < deadline_ns {
            let absence = (self.next_absence)(self.now_ns).unwrap_or(u64::MAX..u64::MAX);
            if absence.start <= self.now_ns {
                self.now_ns = absence.end;
                continue;
            }
            let until_ns = absence.start.min(deadline_ns);
            let slice_ns = (until_ns - self.now_ns).min(end_ns - self.used_ns);
            self.now_ns += slice_ns;
            self.used_ns += slice_ns;
            if let Some(reported) = &self.reported {
                reported.set(self.used_ns);
            }
        }
    }

    /// Lets the cycle drive until `end_ns`; `watch` sees (wall, CPU) before and after each burst.
    fn drive(&mut self, cycle: &mut DutyCycle, end_ns: u64, mut watch: impl FnMut(&DutyCycle, u64, u64)) {
        let mut wake_ns = cycle.first_wake_ns();
        while wake_ns < end_ns && self.now_ns < end_ns {
            self.sleep_until(wake_ns);
            watch(cycle, self.now_ns, self.used_ns);
            let burst = cycle.begin(self.now_ns, self.used_ns);
            let left_ns = burst.until_used_ns.saturating_sub(self.used_ns);
            self.run(left_ns, burst.deadline_ns);
            watch(cycle, self.now_ns, self.used_ns);
            wake_ns = cycle.next_wake_ns(self.now_ns, self.used_ns);
        }
    }
}

fn always(_: u64) -> Option<Range<u64>> {
    None
}

fn machine<F: Fn(u64) -> Option<Range<u64>>>(next_absence: F) -> Machine<F> {
    Machine { now_ns: 0, used_ns: 0, next_absence, reported: None }
}

fn duty(share: f64) -> DutySpec {
    DutySpec { share, origin_ns: 0, base_ns: 0, end_ns: None, tick_ns: 4 * MS, phase: 0.3 }
}

#[test]
fn a_fifth_of_a_core_is_met_with_nothing_given_up() {
    let mut cycle = DutyCycle::new(duty(0.2));
    let mut cpu = machine(always);
    cpu.drive(&mut cycle, 20 * SECOND, |_, _, _| {});
    let error = cpu.used_ns as f64 / (0.2 * cpu.now_ns as f64) - 1.0;
    assert!(error.abs() < 0.001, "{error}");
    assert_eq!((cycle.forgiven_ns(), cycle.stalls().0), (0, 0));
}

#[test]
fn frozen_60_ms_of_every_100_it_still_has_its_fifth() {
    let away = |now: u64| {
        let start = now - now % (100 * MS);
        let start = if now < start + 60 * MS { start } else { start + 100 * MS };
        Some(start..start + 60 * MS)
    };
    let mut cycle = DutyCycle::new(duty(0.2));
    let mut cpu = machine(away);
    cpu.drive(&mut cycle, 10 * SECOND, |_, _, _| {});
    let error = cpu.used_ns as f64 / (0.2 * cpu.now_ns as f64) - 1.0;
    assert!(error.abs() < 0.01, "{error}");
}

#[test]
fn after_a_stop_of_3_s_the_first_second_is_at_most_a_quarter_share_over() {
    let away = |now: u64| (now < 4 * SECOND).then_some(SECOND..4 * SECOND);
    let mut cycle = DutyCycle::new(duty(0.2));
    let mut cpu = machine(away);
    cpu.drive(&mut cycle, 4 * SECOND, |_, _, _| {});
    let before_ns = cpu.used_ns;
    cpu.drive(&mut cycle, 5 * SECOND, |_, _, _| {});
    let second_ns = cpu.used_ns - before_ns;
    assert!(second_ns < 253 * MS && second_ns > 240 * MS, "{second_ns}");
    assert!(
        cycle.forgiven_ns() > 540 * MS,
        "2.75 s at a fifth of a core is given up: {}",
        cycle.forgiven_ns()
    );
    assert_eq!(cycle.stalls().0, 1);
}

#[test]
fn more_than_a_cpu_has_is_given_up_and_counted() {
    let mut cycle = DutyCycle::new(duty(1.5));
    let mut cpu = machine(always);
    cpu.drive(&mut cycle, 10 * SECOND, |_, _, _| {});
    assert!(cpu.used_ns > 9_900 * MS, "{}", cpu.used_ns);
    let given_up_ns = cycle.forgiven_ns();
    assert!(given_up_ns > 4_500 * MS && given_up_ns < 5_000 * MS, "{given_up_ns}");
}

#[test]
fn what_other_threads_use_comes_out_of_the_budget() {
    let mut cycle = DutyCycle::new(duty(0.1));
    let mut cpu = machine(always);
    cpu.used_ns = 300 * MS;
    cpu.drive(&mut cycle, 2 * SECOND, |_, _, _| {});
    assert!(cpu.used_ns < 301 * MS, "300 ms of filling are worth 3 s of a tenth: {}", cpu.used_ns);
    cpu.drive(&mut cycle, 10 * SECOND, |_, _, _| {});
    assert!((995 * MS..1005 * MS).contains(&cpu.used_ns), "{}", cpu.used_ns);
}

#[test]
fn a_change_of_share_keeps_what_is_owed_and_asks_for_no_more() {
    let mut machine = machine(always);
    let mut cycle = DutyCycle::new(duty(0.5));
    machine.drive(&mut cycle, 10 * SECOND, |_, _, _| {});
    for (step, share) in [0.1, 0.8, 0.2].into_iter().enumerate() {
        let (now_ns, used_ns) = (machine.now_ns, machine.used_ns);
        let base_ns = used_ns.saturating_add_signed(cycle.owed_ns(now_ns, used_ns));
        cycle = cycle.resume(DutySpec { origin_ns: now_ns, base_ns: base_ns.cast_signed(), ..duty(share) });
        let end_ns = (step as u64 + 2) * 10 * SECOND;
        machine.drive(&mut cycle, end_ns, |_, _, _| {});
        let (wanted, used) = (share * (machine.now_ns - now_ns) as f64, (machine.used_ns - used_ns) as f64);
        // A burst at the old share and one at the new one lie across the ends.
        let tolerance = (0.5 + 0.8) * 100.0 * MS as f64;
        assert!((used - wanted).abs() < tolerance, "{share}: {used} {wanted}");
    }
    assert_eq!(cycle.forgiven_ns(), 0);
    let owed_ns = cycle.owed_ns(machine.now_ns, machine.used_ns);
    assert!(owed_ns.unsigned_abs() < 50 * MS, "no drift over the changes: {owed_ns}");
}

#[test]
fn nothing_is_burnt_for_the_time_after_the_end() {
    let mut cycle = DutyCycle::new(DutySpec { end_ns: Some(SECOND), ..duty(0.5) });
    let mut cpu = machine(always);
    cpu.drive(&mut cycle, 2 * SECOND, |_, _, _| {});
    assert!((500 * MS..=501 * MS).contains(&cpu.used_ns), "{}", cpu.used_ns);
}

#[test]
fn wake_ups_fall_evenly_on_every_part_of_the_tick() {
    for (share, tick_ns) in [(0.2, 4 * MS), (0.05, 4 * MS), (0.5, 4 * MS), (0.2, 10 * MS), (0.2, MS)] {
        let cycle = DutyCycle::new(DutySpec { tick_ns, ..duty(share) });
        let mut parts = [0_u32; 4];
        for window in 0..4000 {
            let wake_ns = window * cycle.period_ns + cycle.dither(window);
            parts[(wake_ns % tick_ns * 4 / tick_ns) as usize] += 1;
        }
        assert!(parts.iter().all(|n| (950..1050).contains(n)), "{share} at {tick_ns}: {parts:?}");
    }
}

#[test]
fn a_share_of_next_to_nothing_does_not_wake_for_nothing() {
    let mut cycle = DutyCycle::new(duty(1e-6));
    let mut cpu = machine(always);
    let mut wakes = 0;
    cpu.drive(&mut cycle, 1000 * SECOND, |_, _, _| wakes += 1);
    assert!(wakes < 60, "{wakes} for a budget of 1 ms");
}

fn away_pattern() -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((1..400_u64, 1..1500_u64), 0..40)
}

proptest! {
    #[test]
    fn never_over_the_schedule_never_a_burst_and_it_converges(
        share in 0.001..0.95_f64,
        phase in 0.0..1.0_f64,
        tick_ms in prop::sample::select(vec![1_u64, 4, 10]),
        pattern in away_pattern(),
    ) {
        // Runs and absences in turn, in ms; afterwards the worker runs undisturbed.
        let mut absences = Vec::new();
        let mut time_ns = 0;
        for (run_ms, away_ms) in pattern {
            time_ns += run_ms * MS;
            absences.push(time_ns..time_ns + away_ms * MS);
            time_ns += away_ms * MS;
        }
        let disturbed_until_ns = time_ns;
        let away = |now: u64| absences.iter().find(|a| now < a.end).cloned();
        let mut cycle = DutyCycle::new(DutySpec { share, phase, tick_ns: tick_ms * MS, ..duty(share) });
        let mut cpu = machine(away);
        // One burst, the dither of its wake-up, and what two wake-ups cost.
        let burst_ns = (share * (cycle.period_ns + tick_ms * MS) as f64) as u64 + 2 * WAKE_COST_NS;
        let mut over = Vec::new();
        let mut track = vec![(0_u64, 0_u64)];
        cpu.drive(&mut cycle, disturbed_until_ns + 30 * SECOND, |cycle, now_ns, used_ns| {
            if cycle.owed_ns(now_ns, used_ns) < -burst_ns.cast_signed() {
                over.push((now_ns, used_ns));
            }
            track.push((now_ns, used_ns));
        });
        prop_assert!(over.is_empty(), "over the schedule at {over:?}");
        // Wake-ups alone may cost more than the smallest shares: then they are all there is.
        for (first, last) in track.iter().zip(track.iter().skip(40)) {
            let allowed_ns = share * (last.0 - first.0 + DEBT_WINDOW_NS) as f64 + 2.0 * burst_ns as f64;
            prop_assert!((last.1 - first.1) as f64 <= allowed_ns, "{first:?} to {last:?}");
        }
        let settled = track.iter().position(|t| t.0 > disturbed_until_ns + 10 * SECOND).unwrap();
        let (first, last) = (track[settled], track[track.len() - 1]);
        let error_ns = (last.1 - first.1) as f64 - share * (last.0 - first.0) as f64;
        prop_assert!(error_ns.abs() <= burst_ns as f64, "{error_ns} ns off in 20 s");
    }
}

#[test]
fn under_a_quota_it_has_the_quota_and_after_it_at_most_an_eighth_of_a_second_more() {
    // 20 ms of CPU time in every 100 ms, for 5 s: away from when they are used up until the next period.
    let used_before_period = Cell::new((0, 0));
    let used = Rc::new(Cell::new(0));
    let its = Rc::clone(&used);
    let away = move |now: u64| {
        let period = now / (100 * MS);
        if used_before_period.get().0 != period {
            used_before_period.set((period, its.get()));
        }
        let left_ns = (20 * MS).saturating_sub(its.get() - used_before_period.get().1);
        (now < 5 * SECOND).then(|| now + left_ns..(period + 1) * 100 * MS).filter(|away| !away.is_empty())
    };
    let mut cycle = DutyCycle::new(duty(0.5));
    let mut cpu = Machine { reported: Some(used), ..machine(away) };
    cpu.drive(&mut cycle, 5 * SECOND, |_, _, _| {});
    let throttled_ns = cpu.used_ns;
    assert!((990 * MS..=1_010 * MS).contains(&throttled_ns), "{throttled_ns}");
    cpu.drive(&mut cycle, 6 * SECOND, |_, _, _| {});
    let second_ns = cpu.used_ns - throttled_ns;
    assert!((610 * MS..=630 * MS).contains(&second_ns), "{second_ns}");
}

#[test]
fn what_is_given_up_on_request_is_owed_no_more_and_counted_under_every_duty_to_come() {
    let mut cycle = DutyCycle::new(duty(0.5));
    assert_eq!(cycle.owed_ns(SECOND, 300 * MS), 200_000_000);
    cycle.forgive(200 * MS);
    assert_eq!((cycle.owed_ns(SECOND, 300 * MS), cycle.forgiven_ns()), (0, 200 * MS));
    assert_eq!(cycle.resume(duty(0.1)).forgiven_ns(), 200 * MS);
}

#[test]
fn what_was_used_far_in_advance_is_made_up_for_under_a_new_duty_as_well() {
    // Owed: 2 s less than nothing.
    let mut cycle = DutyCycle::new(DutySpec { base_ns: -2_000_000_000, ..duty(0.5) });
    assert_eq!(cycle.owed_ns(SECOND, 0), -1_500_000_000);
    assert_eq!(cycle.begin(SECOND, 0).until_used_ns, 0, "nothing to burn");
    assert_eq!(cycle.forgiven_ns(), 0);
    let wake_ns = cycle.next_wake_ns(SECOND, 0);
    assert!((3_900 * MS..=4_100 * MS).contains(&wake_ns), "{wake_ns}");
}
