//! Parts of the memory of an instance: its components, what is swapped out and compressed, and the rest. Where the rest is known they add
//! up to what one instance more costs.

use super::components::{ComponentCost, Components, Holder};
use super::results::RunResults;
use super::swap::{MATTERS, Swapped};
use super::{Estimate, MarginalCost, unavailable};
use crate::stats::Interval;

/// What is in memory, where no component is known.
pub const IN_MEMORY: &str = "in memory";
/// What is on a disk.
pub const SWAPPED_OUT: &str = "swapped out";
/// What compressed memory takes.
pub const COMPRESSED: &str = "compressed";
/// The rest of one runtime of a mixed run, of which node and kernel are not told apart.
pub const NODE_AND_REST: &str = "all else";

/// A part of the memory of an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MemoryPart {
    /// The name of a component, `node`, `kernel` or `rest`, or one of the names above.
    pub name: &'static str,
    /// Bytes.
    pub bytes: f64,
    /// The 95 % interval of that, where it is known.
    pub interval: Option<Interval>,
}

/// What an instance has swapped out, and what compressed memory takes for it, in a run or of one runtime of a mixed run. Of a mixed run
/// the component probe tells what its processes have swapped out.
///
/// # Errors
/// Where the run does not tell.
pub fn swapped_parts(run: &RunResults, group: Option<usize>) -> Estimate<[MemoryPart; 2]> {
    let found = run.estimates.swapped.as_ref().map_err(Clone::clone)?;
    let part = |name, of: &Swapped| MemoryPart { name, bytes: of.bytes, interval: Some(of.interval) };
    let all = [part(SWAPPED_OUT, &found.on_disk), part(COMPRESSED, &found.compressed)];
    let [on_disk, compressed] = &all;
    if group.is_none() || on_disk.bytes == 0.0 && compressed.bytes == 0.0 {
        return Ok(all);
    }
    let probed = run.components.of(group).components.as_ref().map_err(Clone::clone)?;
    if compressed.bytes != 0.0 {
        return unavailable(
            "of a mixed run: what is on a disk and what is compressed is not told apart by runtime",
        );
    }
    let bytes = probed.costs.iter().map(|cost| cost.swapped_bytes).sum();
    Ok([MemoryPart { bytes, interval: None, ..*on_disk }, *compressed])
}

/// Whether so much of an instance of this cost is worth a word.
#[must_use]
pub fn is_worth_telling(bytes: f64, cost: Option<&MarginalCost>) -> bool {
    bytes > 0.0 && cost.is_none_or(|cost| bytes > MATTERS * cost.bytes)
}

/// The parts of the memory of an instance, the load first and the rest last, in a run or of one runtime of a mixed run. Empty where
/// neither components are known nor anything is swapped out.
#[must_use]
pub fn memory_parts(run: &RunResults, group: Option<usize>) -> Vec<MemoryPart> {
    let cost = match group {
        None => run.estimates.marginal_cost.as_ref().ok(),
        Some(index) => run.mixed.get(index).and_then(|group| group.cost.as_ref().ok()),
    };
    let swapped = swapped_parts(run, group).into_iter().flatten();
    let swapped: Vec<MemoryPart> = swapped.filter(|part| is_worth_telling(part.bytes, cost)).collect();
    let (mut parts, rest) = match (&run.components.of(group).components, cost) {
        (Ok(found), cost) => (components(found), cost.map(|cost| rest(found, cost))),
        (Err(_), Some(cost)) if !swapped.is_empty() => (
            Vec::new(),
            Some(MemoryPart { name: IN_MEMORY, bytes: cost.bytes, interval: Some(cost.interval) }),
        ),
        _ => return Vec::new(),
    };
    // No component has what is swapped out.
    let out: f64 = swapped.iter().map(|part| part.bytes).sum();
    parts.extend(swapped);
    parts.extend(rest.map(|rest| rest.shifted(-out)));
    parts
}

fn part(cost: &ComponentCost) -> MemoryPart {
    MemoryPart { name: cost.name, bytes: cost.bytes, interval: Some(cost.interval) }
}

/// Components of an instance, and the sums of those of node and kernel.
fn components(found: &Components) -> Vec<MemoryPart> {
    let of_instance = found.costs.iter().filter(|cost| cost.holder == Holder::Instance);
    of_instance.chain(found.node.as_ref().ok()).chain(found.kernel.as_ref().ok()).map(part).collect()
}

/// What no component accounts for. Of a mixed run that is more, and its interval is as if all of them erred to one side.
fn rest(found: &Components, cost: &MarginalCost) -> MemoryPart {
    if let Ok(rest) = &found.rest {
        return part(rest);
    }
    let sum = found.sum();
    let wider: f64 = found.costs.iter().map(|part| part.interval.half_width()).sum();
    let Interval { low, high } = cost.interval;
    MemoryPart {
        name: NODE_AND_REST,
        bytes: cost.bytes - sum,
        interval: Some(Interval { low: low - sum - wider, high: high - sum + wider }),
    }
}

impl MemoryPart {
    fn shifted(self, by: f64) -> Self {
        let interval =
            self.interval.map(|interval| Interval { low: interval.low + by, high: interval.high + by });
        Self { bytes: self.bytes + by, interval, ..self }
    }
}
