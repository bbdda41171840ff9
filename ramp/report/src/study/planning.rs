//! Planning of blocks: how many more reach the precision asked for.

use super::data::StudyData;
use super::verdict::blocks_for;
use ramp_format::study::Amount;

/// What is known of the blocks that a study needs.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockPlan {
    /// Whether every figure of every comparison has the precision asked for. Without one asked for, never.
    pub is_reached: bool,
    /// Blocks in all that are probably needed; none where that is not known yet, or more than anybody would run.
    pub blocks_needed: Option<u32>,
    /// The figure that needs the most, its precision asked for and reached, in a sentence.
    pub reason: String,
}

/// Plans the blocks of a study by those that it has.
#[must_use]
pub fn plan_blocks(data: &StudyData) -> BlockPlan {
    let wanted = &data.record.definition.precision;
    let mut all: Vec<(Option<u32>, bool, String)> = Vec::new();
    for compared in data.comparisons() {
        let name = |cell: usize| data.record.cells.get(cell).map_or("", |cell| cell.name.as_str());
        for found in compared.comparison.figures.iter().flatten() {
            let Some(precision) = wanted.of(found.figure.name) else { continue };
            let half_width = match precision {
                // Of the base: a difference may be 0.
                Amount::Share(_) => precision.of(found.base),
                Amount::Absolute(amount) => amount,
            };
            let reached = found.interval.half_width();
            let needed = blocks_for(found.difference.deviation, half_width);
            let reason = format!(
                "{} of {} against {}: ±{reached:.4} of ±{half_width:.4} asked for",
                found.figure.title,
                name(compared.other),
                name(compared.base)
            );
            all.push((needed, reached <= half_width, reason));
        }
    }
    // None is more than any number.
    let most = all.iter().max_by_key(|(needed, ..)| needed.unwrap_or(u32::MAX));
    match most {
        Some((blocks_needed, _, reason)) => BlockPlan {
            is_reached: all.iter().all(|(_, reached, _)| *reached),
            blocks_needed: *blocks_needed,
            reason: reason.clone(),
        },
        None => BlockPlan {
            is_reached: false,
            blocks_needed: None,
            reason: "no figure can be compared yet".into(),
        },
    }
}
