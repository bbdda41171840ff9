//! Overhead inside and outside of guests, in sentences and as cells of a table.

use super::words::{mib_with_interval, number, whole_mib, within};
use crate::analysis::Estimate;
use crate::analysis::guest_memory::SeenMachine;
use crate::study::figure::StudyUnit;
use crate::study::guest_memory::GuestSides;
use crate::study::overhead_by_size::{OverheadBySize, SizeOverhead, ValueWithInterval};
use ramp_format::plan::EngineKind;

/// What the machine that loads see is called: a guest only where it is known to be one.
fn machine(sides: &GuestSides) -> &'static str {
    match sides.machine {
        SeenMachine::Guest => "the guest",
        SeenMachine::Sandbox => "the sandbox",
        SeenMachine::Unknown | SeenMachine::Node => "the machine that loads see",
    }
}

/// The size that sentences are on: the largest that was measured, else the first one that tells.
fn told(by_size: &OverheadBySize) -> Option<(&SizeOverhead, &GuestSides)> {
    let sizes = by_size.largest().into_iter().chain(&by_size.sizes);
    sizes.filter_map(|size| Some((size, size.guest.as_ref()?))).next()
}

/// On the largest size; none where loads see the memory of their nodes.
#[must_use]
pub fn sentences(by_size: &OverheadBySize, engine: EngineKind) -> Vec<String> {
    let Some((size, sides)) = told(by_size) else { return Vec::new() };
    let (machine, other) = (machine(sides), &by_size.other);
    let at = if by_size.sizes.len() > 1 { format!(" at {}", size.name) } else { String::new() };
    if sides.machine == SeenMachine::Sandbox {
        let why = sides.beyond_load.as_ref().err().map_or("", |why| &why.0);
        return vec![format!("Memory of {other} inside and outside of {machine}: n/a: {why}.")];
    }
    let total =
        format!("Loads of {other} see {} of memory{at} (MemTotal)", whole_mib(sides.total_bytes as u64));
    let reserved = match &sides.limit_less_total {
        Ok(found) if found.value < 0.0 => {
            let more = ValueWithInterval { value: -found.value, interval: found.interval.negated() };
            format!(
                "{total}: {} more than the limit and podFixed of the {}.",
                mib_with_interval(more),
                engine.instance()
            )
        }
        Ok(found) => {
            let less = mib_with_interval(*found);
            format!("{total}: {less} less than the limit and podFixed of the {}.", engine.instance())
        }
        Err(why) => format!("{total}; how that compares with limit and podFixed: n/a: {}.", why.0),
    };
    let of = |found: &Estimate<ValueWithInterval>| match found {
        Ok(found) => mib_with_interval(*found),
        Err(why) => format!("n/a: {}", why.0),
    };
    let sides = format!(
        "Of the overhead of {other}{at}, used in {machine} beyond the load: {}; outside of it: {}.",
        of(&sides.beyond_load),
        of(&sides.outside)
    );
    vec![reserved, sides]
}

/// Headings of its columns.
#[must_use]
pub fn headings(by_size: &OverheadBySize) -> [String; 3] {
    let machine = told(by_size).map_or("", |(_, sides)| machine(sides));
    [
        "limit + podFixed − MemTotal, MiB".into(),
        format!("used in {machine} beyond the load, MiB"),
        format!("outside of {machine}, MiB"),
    ]
}

/// The cells of a size; of one that was not measured they are empty.
#[must_use]
pub fn cells(sides: Option<&GuestSides>) -> [String; 3] {
    let Some(sides) = sides else { return Default::default() };
    [&sides.limit_less_total, &sides.beyond_load, &sides.outside].map(|found| match found {
        Ok(found) => number(StudyUnit::Bytes, found.value) + &within(StudyUnit::Bytes, found.interval),
        Err(_) => "n/a".into(),
    })
}
