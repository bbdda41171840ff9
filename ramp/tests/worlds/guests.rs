//! How often the intervals of what is used in guests and of what is outside of them hold the truth.

#[path = "../support/kata_studies.rs"]
mod studies;

use studies::{OUTSIDE, USED, definition, holds, measured, overhead};

#[test]
#[ignore = "needs minutes, and a release build"]
fn intervals_of_what_is_inside_and_outside_of_guests_hold_the_truth() {
    let studies: u64 = std::env::var("GUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(80);
    let mut held = [0_u64; 2];
    for seed in 1..=studies {
        let found = overhead(&definition(seed, 2 + (seed % 3) as u32, ", spread: 0.05"), "kata-qemu", 160);
        let guest = &measured(&found)["guest"];
        for (held, (key, truth)) in held.iter_mut().zip([("used_beyond_load", USED), ("outside", OUTSIDE)]) {
            *held += u64::from(holds(&guest[key], truth));
        }
    }
    println!("used in the guest, outside: {held:?} of {studies} hold the truth");
    // Two standard errors of 95 % of so many.
    let n = studies as f64;
    let least = if studies >= 200 { 0.93 } else { 0.95 - 2.0 * (0.95_f64 * 0.05 / n).sqrt() };
    assert!(held.iter().all(|count| *count as f64 / n >= least), "{held:?} of {studies}");
}
